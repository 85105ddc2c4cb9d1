"""Grids: every cell its value, its change and the colour of its effect; a reward's own metric is framed."""

import dataclasses

import matplotlib as mpl
import pytest

from radvlm_course.viz.experiment_grids import draw_metrics_by_reward, draw_trained_and_measured
from radvlm_course.viz.experiment_parts import LENGTH, PALE


def cells(figure):
    """(column, row) -> (colour, framed)."""
    found = {}
    for patch in figure.axes[0].findobj(mpl.patches.Rectangle):
        if round(patch.get_width(), 2) == 0.96:
            place = round(patch.get_x() + 0.48), round(patch.get_y() + 0.46)
            found[place] = (mpl.colors.to_hex(patch.get_facecolor()), patch.get_linewidth() > 0)
    return found


def test_all_metrics_stand_against_all_rewards_with_the_mean_length(made_results, helpers):
    changes = {
        "gleu: change of gleu": (0.05, 0.01),
        "fact_precision: change of finding_f1_micro": (-0.05, 0.01),
        "fact_precision: change of words": (-6.0, 1.0),
        "rouge_l: change of words": (-0.2, 0.3),
    }
    figure = draw_metrics_by_reward(made_results("reward_choice", changes, usual=(0.001, 0.01)))
    found = cells(figure)
    assert len(found) == 4 * 7
    assert found[0, 1] == (PALE[1].lower(), True)  # gleu by gleu
    assert found[1, 2] == (PALE[0].lower(), True)  # ROUGE-L by rouge_l
    assert found[3, 4] == (PALE[-1].lower(), False)
    assert found[6, 4] == (LENGTH.lower(), False)
    assert found[6, 2] == (PALE[0].lower(), False)
    texts = helpers.texts(figure)
    assert {"0.450\n+0.050", "0.350\n-0.050", "14.0\n-6.0", "20.0", "start", "mean words"} <= set(texts)


def test_what_was_trained_on_is_framed_where_it_was_measured(made_results, helpers):
    changes = {"on grounding: change in reports": (-0.03, 0.01), "on reports: change in grounding": (0.0, 0.01)}
    figure = draw_trained_and_measured(made_results("cross_task", changes))
    found = cells(figure)
    assert [place for place, (_, framed) in found.items() if framed] == [(0, 0), (1, 1), (0, 2), (1, 2)]
    assert found[1, 0][0] == PALE[-1].lower() and found[0, 1][0] == PALE[0].lower()
    assert {"-0.030", "[-0.040, -0.020]\n0.400 → 0.370", "trained on both"} <= set(helpers.texts(figure))


@pytest.mark.parametrize("draw", [draw_metrics_by_reward, draw_trained_and_measured])
def test_an_experiment_without_such_questions_is_refused(draw, made_results):
    results = made_results("cross_task")
    with pytest.raises(ValueError, match="expected"):
        draw(dataclasses.replace(results, answers=()))
