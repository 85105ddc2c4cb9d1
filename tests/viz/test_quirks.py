"""Quirks as a picture: both values of every one, marks for those between 0 and 1."""

import pytest

from radvlm_course.evaluation.quirks import Quirk, quirks
from radvlm_course.viz import style
from radvlm_course.viz.quirks import draw_quirks


def marks(figure, colour):
    return [
        line for line in figure.axes[0].get_lines() if line.get_marker() in ("D", "o") and line.get_color() == colour
    ]


def test_both_values_are_written_and_those_on_the_scale_are_marked(helpers):
    figure = draw_quirks(
        [
            Quirk("mAP", "an example", 1.0, 0.25, "a reason"),
            Quirk("mAP", "another", "stops", 0.5, "a reason"),
            Quirk("RadCliQ", "off the scale", 3.0, -1.4407, "a reason that is long enough to be broken into lines"),
        ]
    )
    texts = helpers.texts(figure)
    assert {"1.000", "0.250", "stops", "0.500", "3.000", "-1.441"} <= set(texts)
    assert (texts.count("mAP"), texts.count("RadCliQ")) == (1, 1)
    assert (len(marks(figure, style.PREDICTION)), len(marks(figure, style.SERIES[0]))) == (1, 2)
    assert helpers.inside(figure)


def test_all_quirks_of_the_course_fit(helpers):
    figure = draw_quirks(quirks())
    assert helpers.inside(figure)
    assert {"mAP@0.5", "reading of boxes", "GREEN"} <= set(helpers.texts(figure))


def test_no_quirk_is_an_error():
    with pytest.raises(ValueError, match="at least one quirk"):
        draw_quirks([])
