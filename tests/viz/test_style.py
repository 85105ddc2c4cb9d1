import matplotlib as mpl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radvlm_course.viz import style


def luminance(colour):
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in mpl.colors.to_rgb(colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first, second):
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_box_labels_are_black_on_colours_that_black_reads_on():
    assert contrast(style.TRUTH, "black") > 7
    assert contrast(style.PREDICTION, "black") > 7


def test_small_text_reads_on_white():
    assert contrast(style.MUTED, "white") > 4.5
    assert contrast(style.INK, "white") > 4.5


def test_a_figure_shows_itself_as_a_png():
    assert style.new_figure(2, 1)._repr_png_().startswith(b"\x89PNG")


def test_axes_are_placed_in_inches_from_the_top_left():
    figure = style.new_figure(10, 5)
    assert style.axes_at(figure, 1, 1, 2, 3).get_position().bounds == pytest.approx((0.1, 0.2, 0.2, 0.6))


def test_styled_functions_leave_the_settings_of_the_user():
    mpl.rcParams["font.size"] = 17.0
    try:

        @style.styled
        def inner():
            return mpl.rcParams["font.size"]

        assert inner() == style.STYLE["font.size"]
        assert mpl.rcParams["font.size"] == 17.0
    finally:
        mpl.rcParams["font.size"] = mpl.rcParamsDefault["font.size"]


def test_signs_without_a_glyph_become_hollow_squares():
    assert style.printable("a\n\u597d\x07b$") == "a \u25a1\u25a1b$"


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200), st.floats(0.6, 4))
def test_wrapped_lines_fit_and_lose_nothing(text, width):
    lines = style.wrapped(text, width, 9)
    assert all(style.text_width(line, 9) <= width + 1e-9 for line in lines)
    assert "".join("".join(lines).split()) == "".join(style.printable(text).split())


def test_wrapping_stops_at_max_lines_with_an_ellipsis():
    lines = style.wrapped("word " * 100, 2, 9, max_lines=2)
    assert len(lines) == 2
    assert lines[-1].endswith(" …")


def test_ten_thousand_brackets_are_wrapped():
    lines = style.wrapped("[" * 10_000, 2, 9, max_lines=3)
    assert len(lines) == 3


def test_clipped_text_says_what_it_left_out():
    assert style.clipped_text("abcdef", 3) == "abc … (+3 characters)"
    assert style.clipped_text("abc", 3) == "abc"
