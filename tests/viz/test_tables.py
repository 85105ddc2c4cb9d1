import math

import pytest

from radvlm_course.evaluation.statistics import Interval
from radvlm_course.viz.tables import ResultsTable, dot_plot


def interval(value, half=0.05):
    return Interval(value, value - half, value + half, 250, 120)


RESULTS = {
    "prior": {"mAP": interval(0.2)},
    "SFT": {"mAP": interval(0.5), "GLEU": interval(0.6)},
    "SFT | GRPO": {"mAP": interval(0.6), "GLEU": Interval(0.55, math.nan, math.nan, 1, 1)},
}


def test_every_metric_has_a_panel_and_every_model_a_row(helpers):
    figure = dot_plot(RESULTS, title="Held out", baselines=["prior"])
    panels = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert [axes.get_title(loc="left").strip() for axes in panels] == ["mAP", "GLEU"]
    assert [label.get_text() for label in panels[0].get_yticklabels()] == list(RESULTS)
    intervals = [line.get_xdata() for line in panels[0].lines if line.get_gid() == "interval"]
    assert intervals == [pytest.approx([0.15, 0.25]), pytest.approx([0.45, 0.55]), pytest.approx([0.55, 0.65])]
    dots = [line.get_xdata()[0] for line in panels[0].lines if line.get_gid() != "interval"]
    assert dots == [0.2, 0.5, 0.6]
    assert helpers.inside(figure)


def test_a_missing_value_is_a_dash_and_an_undefined_interval_is_left_out():
    panel = dot_plot(RESULTS, ["GLEU"]).axes[0]
    assert "\N{EN DASH}" in [text.get_text() for text in panel.texts]
    assert len([line for line in panel.lines if line.get_gid() == "interval"]) == 1


def test_the_direction_is_said(helpers):
    texts = helpers.texts(dot_plot(RESULTS, lower_is_better=["GLEU"]))
    assert "higher is better →" in texts
    assert "lower is better ←" in texts


def test_unknown_metrics_and_empty_results_are_refused():
    with pytest.raises(ValueError, match="no model has the metric CIDEr; there are mAP, GLEU"):
        dot_plot(RESULTS, ["CIDEr"])
    with pytest.raises(ValueError, match="at least one model"):
        dot_plot({})


def test_markdown_shows_intervals_and_the_best_in_bold():
    lines = str(ResultsTable(RESULTS, caption="On 250 films.")).splitlines()
    assert lines[0] == "|  | mAP | GLEU |"
    assert lines[2] == "| prior | 0.200 [0.150, 0.250] | \N{EN DASH} |"
    assert lines[3] == "| SFT | 0.500 [0.450, 0.550] | **0.600 [0.550, 0.650]** |"
    assert lines[4] == "| SFT \\| GRPO | **0.600 [0.550, 0.650]** | 0.550 |"
    assert lines[-1] == "On 250 films."


def test_the_lowest_is_best_where_said():
    table = ResultsTable(RESULTS, ("mAP",), lower_is_better=("mAP",))
    assert "| prior | **0.200 [0.150, 0.250]** |" in table.to_markdown()


def test_html_is_escaped():
    shown = ResultsTable({"<b>model</b>": {"a & b": interval(0.5)}}).to_html()
    assert "<b>model" not in shown
    assert "a &amp; b" in shown
    assert "0.500 [0.450, 0.550]" in shown
