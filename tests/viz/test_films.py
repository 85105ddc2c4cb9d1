import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.patches import Rectangle
from PIL import Image

from radvlm_course.boxes import Box
from radvlm_course.phantoms.dicom_files import write_dicom
from radvlm_course.viz import style
from radvlm_course.viz.films import MAX_BOXES, FilmError, draw_boxes, draw_film, load_film, match_boxes, place_labels


def axes():
    return style.axes_at(style.new_figure(4, 4), 0, 0, 4, 4)


def test_a_path_an_image_and_an_array_give_the_same_film(tmp_path, wide_film):
    Image.fromarray(wide_film).save(tmp_path / "film.png")
    for film in (tmp_path / "film.png", str(tmp_path / "film.png"), Image.fromarray(wide_film), wide_film):
        assert np.allclose(load_film(film), wide_film / 255)


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (1, 4, 6), (4, 6, 3), (4, 6, 4)])
def test_shapes_of_arrays_become_height_by_width(shape):
    film = load_film(np.full(shape, 51, dtype=np.uint8))
    assert film.shape == (4, 6)
    assert film[0, 0] == pytest.approx(0.2)


def test_floats_within_one_stay_and_other_ranges_are_stretched():
    assert load_film(np.array([[0.2, 0.4]])).tolist() == [[pytest.approx(0.2), pytest.approx(0.4)]]
    assert load_film(np.array([[-1024.0, 1024.0]])).tolist() == [[0, 1]]
    assert load_film(np.array([[0, 4095]], dtype=np.uint16)).tolist() == [[0, 1]]


def test_a_sixteen_bit_png_is_not_white(tmp_path):
    Image.fromarray(np.array([[0, 30000, 60000]], dtype=np.uint16)).save(tmp_path / "deep.png")
    assert load_film(tmp_path / "deep.png").tolist() == [[0, 0.5, 1]]


@pytest.mark.parametrize("film", [np.zeros(4), np.zeros((2, 2, 7)), np.zeros((0, 3)), np.zeros((2, 3, 4, 1))])
def test_an_array_that_is_no_film_is_refused_with_its_shape(film):
    with pytest.raises(FilmError, match="found shape"):
        load_film(film)


def test_pixels_that_are_not_finite_are_refused():
    with pytest.raises(FilmError, match="finite"):
        load_film(np.array([[0.0, np.nan]]))


def test_a_missing_or_truncated_file_is_refused_by_name(tmp_path):
    with pytest.raises(FilmError, match=r"nowhere\.png"):
        load_film(tmp_path / "nowhere.png")
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:400])
    with pytest.raises(FilmError, match=r"cut\.png"):
        load_film(tmp_path / "cut.png")


def test_boxes_are_drawn_in_the_pixels_of_a_film_that_is_not_square(wide_film):
    at = axes()
    size = draw_film(at, wide_film)
    assert size == (200, 100)
    draw_boxes(at, [Box(0.25, 0.1, 0.5, 0.6)], size, "truth")
    (patch,) = [artist for artist in at.patches if isinstance(artist, Rectangle)]
    assert patch.get_bbox().extents.tolist() == [50, 10, 100, 60]
    assert at.get_xlim() == (0, 200)
    assert at.get_ylim() == (100, 0)
    assert at.images[0].get_extent() == [0, 200, 100, 0]
    assert at.get_aspect() == 1


def test_truth_is_solid_and_predictions_are_dashed_in_another_colour(wide_film):
    at = axes()
    size = draw_film(at, wide_film)
    draw_boxes(at, [Box(0.1, 0.1, 0.5, 0.6)], size, "truth")
    draw_boxes(at, [Box(0.1, 0.1, 0.5, 0.6)], size, "prediction")
    true, predicted = at.patches
    assert true.get_linestyle() in ("-", "solid")
    assert predicted.get_linestyle() not in ("-", "solid")
    assert true.get_edgecolor() != predicted.get_edgecolor()


def test_labels_that_do_not_fit_the_boxes_are_refused(wide_film):
    with pytest.raises(ValueError, match="one label for each of 1"):
        draw_boxes(axes(), [Box(0, 0, 1, 1)], (10, 10), "truth", ["a", "b"])


def test_very_many_boxes_are_cut_and_said_to_be(wide_film):
    at = axes()
    size = draw_film(at, wide_film)
    boxes = [Box(0.1, 0.1, 0.5, 0.6)] * (MAX_BOXES + 3)
    assert len(draw_boxes(at, boxes, size, "prediction", ["x"] * len(boxes))) == MAX_BOXES
    assert len(at.patches) == MAX_BOXES
    assert [text.get_text() for text in at.texts] == ["3 more prediction boxes not drawn"]


unit_boxes = st.tuples(st.floats(0, 0.9), st.floats(0, 0.9), st.floats(0.05, 1), st.floats(0.05, 1)).map(
    lambda v: Box(v[0], v[1], min(1.0, v[0] + v[2]), min(1.0, v[1] + v[3]))
)


@settings(max_examples=30, deadline=None)
@given(st.lists(unit_boxes, min_size=1, max_size=5))
def test_labels_stay_on_the_film_and_clear_of_each_other(boxes):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    at = axes()
    size = draw_film(at, np.zeros((100, 100)))
    place_labels(at, draw_boxes(at, boxes, size, "prediction", [f"IoU 0.{n}" for n in range(len(boxes))]), size)
    renderer = FigureCanvasAgg(at.figure).get_renderer()
    areas = [text.get_window_extent(renderer) for text in at.texts]
    frame = at.get_window_extent()
    for area in areas:
        assert area.x0 >= frame.x0 - 1
        assert area.x1 <= frame.x1 + 1
        assert area.y0 >= frame.y0 - 1
        assert area.y1 <= frame.y1 + 1
    if len(areas) == 2:
        assert not areas[0].overlaps(areas[1])


def test_the_papers_pair_is_matched_with_its_soft_f1(truth):
    found = match_boxes([Box(0.35, 0.51, 0.75, 0.64), Box(0, 0, 0.1, 0.1)], truth)
    assert found.ious == pytest.approx((0.596, 0), abs=1e-3)
    assert found.soft_f1 == pytest.approx(2 * 0.596 / 3, abs=1e-3)


def test_one_true_box_is_matched_once():
    box = Box(0.1, 0.1, 0.5, 0.5)
    assert sorted(match_boxes([box, box], [box]).ious) == [0, 1]


def test_nothing_to_find_and_nothing_predicted():
    assert match_boxes([], []).soft_f1 == 1
    assert match_boxes([], [Box(0, 0, 1, 1)]).ious == ()


def test_a_dicom_film_is_loaded_through_its_polarity(tmp_path, wide_film):
    write_dicom(tmp_path / "film.dcm", wide_film, inverted=True)
    pixels = load_film(tmp_path / "film.dcm")
    assert pixels.shape == wide_film.shape
    np.testing.assert_allclose(pixels, wide_film / 255, atol=2 / 255)


def test_a_broken_dicom_film_is_named(tmp_path):
    (tmp_path / "film.dcm").write_bytes(b"no film")
    with pytest.raises(FilmError, match=r"film\.dcm"):
        load_film(tmp_path / "film.dcm")
