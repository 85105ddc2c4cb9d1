"""Comparisons: the verdict is visible, resampling keeps clusters together."""

import numpy as np
import pytest

from radvlm_course.evaluation.comparison import Comparison
from radvlm_course.evaluation.statistics import Interval, bootstrap, mean_statistic
from radvlm_course.evaluation.summary import AgainstPrior
from radvlm_course.viz.comparisons import (
    draw_against_prior,
    draw_bootstrap,
    draw_differences,
    draw_p_values,
    draw_patients,
    resampled_means,
)

VALUES = [0.9, 0.8, 0.2, 0.3, 0.5]
PATIENTS = ["a", "a", "b", "b", "c"]


def interval(value, low, high):
    return Interval(value, low, high, 20, 10)


def test_differences_show_gains_losses_gaps_and_nothing_beyond_the_canvas(helpers):
    panels = {
        "soft-F1": {"x - y": interval(0.1, 0.05, 0.15), "z - y": interval(-0.1, -0.2, -0.05)},
        "GLEU": {"x - y": interval(0.0, 0.0, 0.0)},
        "words": {"z - y": interval(float("nan"), float("nan"), float("nan"))},
    }
    figure = draw_differences(panels, "a title")
    texts = helpers.texts(figure)
    assert {"+0.100", "-0.100", "+0.000", "not measured", "interval above zero"} <= set(texts)
    marks = {line.get_marker() for axes in figure.axes for line in axes.get_lines()}
    assert {"^", "v", "o"} <= marks
    assert helpers.inside(figure)
    with pytest.raises(ValueError, match="at least one panel"):
        draw_differences({"soft-F1": {}})


def test_the_gain_over_the_prior_is_written(helpers):
    rows = [
        AgainstPrior("nodule", interval(0.2, 0.1, 0.3), interval(0.3, 0.2, 0.4), "prior: mean box"),
        AgainstPrior("effusion", interval(0.8, 0.7, 0.9), interval(0.3, 0.2, 0.4), "prior: mean box"),
    ]
    figure = draw_against_prior(rows, "soft-F1", "a title")
    assert {"-0.10", "+0.50", "nodule (n = 20)"} <= set(helpers.texts(figure))
    assert helpers.inside(figure)
    with pytest.raises(ValueError, match="at least one label"):
        draw_against_prior([], "soft-F1")


def test_resampled_means_have_the_spread_of_the_bootstrap_that_the_tables_use():
    drawn = resampled_means(VALUES, PATIENTS, draws=4000)
    expected = bootstrap({"mean": mean_statistic(VALUES)}, PATIENTS, resamples=4000)["mean"]
    assert np.quantile(drawn, 0.025) == pytest.approx(expected.low, abs=0.03)
    assert np.quantile(drawn, 0.975) == pytest.approx(expected.high, abs=0.03)


def test_one_cluster_gives_one_value():
    assert set(resampled_means(VALUES, ["a"] * 5, draws=10).round(6)) == {0.54}


def test_toy_pictures_are_whole(helpers):
    assert helpers.inside(draw_patients(VALUES, PATIENTS))
    drawn = {"films": resampled_means(VALUES, list("12345")), "patients": resampled_means(VALUES, PATIENTS)}
    assert helpers.inside(draw_bootstrap(drawn, 0.54))
    with pytest.raises(ValueError, match="at least one set"):
        draw_bootstrap({}, 0.5)


def test_p_values_stand_smallest_first_before_and_after_correction(helpers):
    def tested(model, p, corrected):
        return Comparison(model, "report_generation", "gleu", interval(0.1, 0.05, 0.15), p, corrected, 2)

    nan = float("nan")
    figure = draw_p_values([tested("b", 0.03, 0.06), tested("a", 0.001, 0.002), tested("c", nan, nan)], "a title")
    texts = helpers.texts(figure)
    rows = dict.fromkeys(text for text in texts if "GLEU" in text)
    assert list(rows) == ["a: GLEU, report generation", "b: GLEU, report generation"]
    assert "corrected for 2 tests (Holm)" in texts
    axes = next(axes for axes in figure.axes if axes.get_xscale() == "log")
    marks = [float(line.get_xdata()[0]) for line in axes.get_lines() if line.get_marker() == "o"]
    assert marks == [0.001, 0.002, 0.03, 0.06]
    assert helpers.inside(figure)
    with pytest.raises(ValueError, match="with a p-value"):
        draw_p_values([tested("c", nan, nan)])
