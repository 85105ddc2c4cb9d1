import pytest

from radvlm_course.rewards.lab.shortening import Lengths, expected_scores
from radvlm_course.training.toy_policy import train_toy_policy
from radvlm_course.viz.reward_lab import draw_lengths, draw_looking_pays, draw_measured_lengths, draw_policy_lengths


def labels(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_every_line_says_and_marks_its_best_length(helpers):
    scores = expected_scores([0.9, 0.6, 0.1], true=3)
    figure = draw_lengths({"facts": scores, "again": {"f1": scores["f1"]}})
    assert labels(figure.axes[0]) == ["precision: best at 1", "recall: best at 3", "f1: best at 2"]
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [dot.get_xdata().tolist() for dot in dots] == [[1], [3], [2]]
    assert dots[2].get_ydata() == pytest.approx([2 * 1.5 / 5])
    assert helpers.inside(figure)


def test_measured_lengths_stand_over_their_characters(helpers):
    lengths = Lengths({"fact_precision": [0.9, 0.7], "fact_recall": [0.2, 0.7]}, [27.4, 60.0])
    figure = draw_measured_lengths({"a reader": lengths})
    assert labels(figure.axes[0]) == ["fact_precision: best at 1", "fact_recall: best at 2"]
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["1\n27", "2\n60"]
    assert helpers.inside(figure)


def test_the_crossing_is_where_the_line_meets_the_blind_report(helpers):
    curves = {"gleu": ([0.6, 0.4, 0.2], 0.3), "fact_f1": ([0.9, 0.8, 0.7], 0.3)}
    texts = helpers.texts(draw_looking_pays([0.0, 0.4, 0.8], curves))
    assert sum("looking does not pay" in text for text in texts) == 1
    assert "from 0.60 on,\nlooking does not pay" in texts


def test_a_reader_who_never_earns_as_much_as_the_blind_report_is_shaded_from_the_start(helpers):
    texts = helpers.texts(draw_looking_pays([0.1, 0.4], {"gleu": ([0.3, 0.2], 0.5)}))
    assert "from 0.10 on,\nlooking does not pay" in texts


def test_the_policy_ends_at_the_length_that_pays():
    precision = expected_scores([0.9, 0.6, 0.3], true=3)["precision"][1:].tolist()
    run = train_toy_policy(precision, steps=200)
    axes = draw_policy_lengths({"precision": run}, [1, 2, 3]).axes[0]
    means = axes.lines[0].get_ydata()
    assert means[0] == pytest.approx(2) and means[-1] < 1.3


def test_nothing_to_draw_is_refused():
    for draw, nothing in ((draw_lengths, {}), (draw_measured_lengths, {}), (draw_lengths, {"empty": {}})):
        with pytest.raises(ValueError, match="found none"):
            draw(nothing)
    with pytest.raises(ValueError, match="at least one reward"):
        draw_looking_pays([0.0], {})
    with pytest.raises(ValueError, match="at least one run"):
        draw_policy_lengths({}, [1])
    with pytest.raises(ValueError, match="has 2 answers, expected 3"):
        draw_policy_lengths({"r": train_toy_policy([0.0, 1.0], steps=1)}, [1, 2, 3])
