import numpy as np
import pytest
from matplotlib.patches import Rectangle

from radvlm_course.runs import Rollout
from radvlm_course.viz.report_rollouts import NO_RESPONSE, findings_note
from radvlm_course.viz.rollouts import (
    compare_reports,
    response_boxes,
    show_boxes_together,
    show_group,
    show_reports,
)

REFERENCE = "The heart is enlarged. Small left pleural effusion."


def rectangles(axes, kind):
    return [patch for patch in axes.patches if isinstance(patch, Rectangle) and patch.get_gid() == kind]


def films_in(figure):
    return [axes for axes in figure.axes if axes.images]


def test_the_film_is_shown_once_for_each_rollout(wide_film, truth, group, helpers):
    figure = show_group(wide_film, group, truth, "Where is the effusion?", columns=2)
    films = films_in(figure)
    assert [len(rectangles(film, "truth")) for film in films] == [1, 1, 1]
    assert [len(rectangles(film, "prediction")) for film in films] == [1, 2, 0]
    assert rectangles(films[0], "prediction")[0].get_bbox().extents.tolist() == pytest.approx([70, 51, 150, 64])
    texts = helpers.texts(figure)
    for expected in ("Where is the effusion?", "#1  reward 0.60", "advantage +1.10", "advantage -0.70", "Nothing."):
        assert expected in texts
    assert helpers.inside(figure)


def test_advantages_are_bars_around_zero(wide_film, group):
    bars = [axes for axes in show_group(wide_film, group).axes if axes.containers]
    assert [bar.containers[0][0].get_width() for bar in bars] == [1.1, -0.4, -0.7]
    assert {bar.get_xlim() for bar in bars} == {(-1.1, 1.1)}


def test_several_rewards_are_named(wide_film, helpers):
    rollouts = [Rollout(1, "a", "[0.1, 0.1, 0.2, 0.2]", {"soft_f1": 0.2, "format": 1.0}, 0.6, 0.0)]
    assert "(soft_f1 0.20, format 1.00)" in helpers.texts(show_group(wide_film, rollouts, width=3.5))


def test_all_boxes_together_carry_the_numbers_of_their_rollouts(wide_film, truth, group, helpers):
    figure = show_boxes_together(wide_film, group, truth, "Where?")
    (film,) = films_in(figure)
    assert len(rectangles(film, "prediction")) == 3
    assert sorted(text.get_text() for text in film.texts) == ["1", "2", "2"]
    values = [[bar.get_width() for bar in axes.containers[0]] for axes in figure.axes if axes.containers]
    assert values == [[0.596, 0.1, 0.0], [1.1, -0.4, -0.7]]
    assert helpers.inside(figure)


def test_the_bars_stand_beside_their_texts(wide_film, group):
    figure = show_boxes_together(wide_film, group)
    page = next(axes for axes in figure.axes if axes.get_xlim()[1] == figure.get_size_inches()[0])
    numbers = [text for text in page.texts if text.get_text() in ("1", "2", "3")]
    for axes in (axes for axes in figure.axes if axes.containers):
        for number, bar in zip(numbers, axes.containers[0], strict=True):
            bar_height = axes.transData.transform((0, bar.get_y() + bar.get_height() / 2))[1]
            text_height = page.transData.transform(number.get_position())[1]
            assert bar_height == pytest.approx(text_height, abs=0.5)


@pytest.mark.parametrize("show", [show_group, show_boxes_together])
@pytest.mark.parametrize(
    "completion", ["", "[" * 10_000, "[0.1, 0.1, 0.2, 0.2] " * 500, "[nan, 0, 1, 1] [1,2,3,4,5]", "$a$ \u597d \x00"]
)
def test_any_completion_can_be_shown(show, completion, helpers):
    rollouts = helpers.group([completion, "ok"], [0.0, 0.0], [0.0, 0.0])
    assert helpers.inside(show(np.zeros((64, 64)), rollouts))


def test_a_thought_that_never_ended_has_no_boxes():
    rollout = Rollout(1, "a", "<think>maybe [0.1, 0.1, 0.2, 0.2]", {}, 0.0, 0.0)
    assert response_boxes(rollout, thinking=True) == []
    assert len(response_boxes(rollout)) == 1


@pytest.mark.parametrize("show", [lambda g: show_group(np.zeros((8, 8)), g), lambda g: show_reports(g, "x")])
def test_no_rollouts_and_mixed_groups_are_refused(show, group, helpers):
    with pytest.raises(ValueError, match="found none"):
        show([])
    with pytest.raises(ValueError, match="found 2"):
        show([*group, *helpers.group(["x"], [0.0], [0.0], step=9)])


def test_reports_show_reference_words_rewards_and_advantages(wide_film, helpers):
    rollouts = helpers.group([REFERENCE, "Small left pleural effusion.", ""], [1.0, 0.4, 0.0], [1.1, -0.2, -0.9])
    figure = show_reports(rollouts, REFERENCE, wide_film, "Write the report.")
    texts = helpers.texts(figure)
    assert len(films_in(figure)) == 1
    assert texts.count("effusion") == 3
    for expected in ("reference", "Write the report.", "reward (mean 0.47)", "finding words missed: enlarged", "+1.10"):
        assert expected in texts
    assert helpers.inside(figure)


def test_a_report_cut_off_in_mid_thought_is_said_to_have_no_response(helpers):
    rollouts = helpers.group(["<think>the heart", "<think>x</think> Clear."], [0.0, 0.5], [-0.7, 0.7])
    texts = helpers.texts(show_reports(rollouts, REFERENCE, thinking=True))
    assert {"thought", "never", "Clear"} <= set(texts)
    assert NO_RESPONSE.startswith("(no response")


@pytest.mark.parametrize("completion", ["[" * 10_000, "effusion " * 3000, "$a$ \u597d \x00"])
def test_any_report_can_be_shown(completion, helpers):
    assert helpers.inside(show_reports(helpers.group([completion, "ok"], [0.0, 0.0], [0.0, 0.0]), REFERENCE))


def test_reports_of_models_are_compared_by_name(wide_film, helpers):
    figure = compare_reports({"before GRPO": "No effusion.", "after GRPO": REFERENCE}, REFERENCE, wide_film)
    assert {"before GRPO", "after GRPO", "finding words missed: enlarged"} <= set(helpers.texts(figure))
    assert not [axes for axes in figure.axes if axes.containers]
    assert helpers.inside(figure)
    with pytest.raises(ValueError, match="at least one completion"):
        compare_reports({}, REFERENCE)


def test_findings_are_told_apart():
    from radvlm_course.phantoms import report_findings

    note = findings_note("Small right pleural effusion.", "Small left pleural effusion.", report_findings)
    assert note == "agrees: none · missed: left pleural effusion · made up: right pleural effusion"
    assert findings_note("", "", report_findings) == "agrees: nothing abnormal in either"
