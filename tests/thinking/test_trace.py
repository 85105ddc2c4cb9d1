"""A reply as the filters see it, and budgets that make sense."""

import pytest

from radvlm_course.thinking.trace import FilterSettings, Trace, plain, words_of


def test_a_reply_has_a_thought_and_a_response(clean) -> None:
    trace = Trace("<think>\n Heart wide,\nangles  sharp. </think>\n\n Cardiomegaly. ", clean[0])
    assert (trace.thought, trace.response) == ("Heart wide,\nangles  sharp.", "Cardiomegaly.")
    assert trace.plain_thought == "Heart wide, angles sharp." and trace.words == ["heart", "wide", "angles", "sharp"]


def test_without_an_end_there_is_no_response(clean) -> None:
    trace = Trace("<think>Heart wi", clean[0])
    assert (trace.thought, trace.response) == ("Heart wi", "")


def test_words_keep_numbers_hyphens_and_apostrophes_whole() -> None:
    assert words_of("It\u2019s 0.61\u2011wide: [0.38, 1] well-defined, I'm.") == [
        "it's",
        "0.61-wide",
        "0.38",
        "1",
        "well-defined",
        "i'm",
    ]
    assert plain("I\u2019m\n  sorry") == "I'm sorry"


@pytest.mark.parametrize(
    "wrong",
    [
        {"opening_tag": "maybe"},
        {"report_check": "roughly"},
        {"box_iou": 0.0},
        {"box_iou": 1.5},
        {"fewest_words": 0},
        {"fewest_words": 50, "most_words": 40},
        {"boxes_in_thought": -1},
        {"words_before_label": -1},
        {"copied_words": 3},
        {"loop_repeats": 1},
    ],
)
def test_budgets_out_of_bounds_are_refused(wrong) -> None:
    with pytest.raises(ValueError, match="expected"):
        FilterSettings(**wrong)


def test_a_teacher_that_saw_the_truth_must_copy_it_and_others_must_agree() -> None:
    assert FilterSettings.for_variant("with_truth") == FilterSettings()
    for variant in ("one_stage", "two_stage"):
        settings = FilterSettings.for_variant(variant)
        assert (settings.report_check, settings.box_iou) == ("findings", 0.5)
