import pytest
from matplotlib.patches import FancyBboxPatch

from radvlm_course.boxes import Box
from radvlm_course.viz.diagrams import HIGHLIGHT, STAGES, draw_grpo_idea, draw_pipeline, group_advantages


def highlighted(figure):
    from matplotlib.colors import to_rgba

    return [
        patch
        for patch in figure.axes[0].patches
        if isinstance(patch, FancyBboxPatch) and patch.get_facecolor() == to_rgba(HIGHLIGHT)
    ]


@pytest.mark.parametrize("stage", [*STAGES, "base"])
def test_the_current_stage_and_no_other_is_highlighted(stage, helpers):
    figure = draw_pipeline(stage)
    assert len(highlighted(figure)) == 1
    assert helpers.texts(figure).count("you are here") == 1
    assert helpers.inside(figure)


def test_the_overview_highlights_nothing_and_names_every_stage(helpers):
    figure = draw_pipeline()
    assert highlighted(figure) == []
    assert {"Curate", "SFT", "Cold start", "GRPO: reports", "GRPO: grounding", "Evaluate"} <= set(helpers.texts(figure))


def test_texts_of_the_stages_stay_inside_their_cards():
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = draw_pipeline()
    renderer = FigureCanvasAgg(figure).get_renderer()
    cards = [patch.get_window_extent(renderer) for patch in figure.axes[0].patches if isinstance(patch, FancyBboxPatch)]
    for text in figure.axes[0].texts:
        area = text.get_window_extent(renderer)
        if text.get_text() != "reinforcement learning":
            assert any(
                card.x0 <= area.x0 and area.x1 <= card.x1 and card.y0 <= area.y0 and area.y1 <= card.y1
                for card in cards
            ), text.get_text()


def test_an_unknown_stage_is_refused():
    with pytest.raises(ValueError, match="grpo_grounding"):
        draw_pipeline("rlhf")


def test_the_idea_shows_the_rewards_of_the_reward_itself(helpers):
    texts = helpers.texts(draw_grpo_idea())
    assert "0.60" in texts
    assert "0.00" in texts
    assert texts.count("more likely ▲") == 2
    assert texts.count("less likely ▼") == 2
    assert helpers.inside(draw_grpo_idea())


def test_a_group_without_spread_changes_nothing(helpers):
    texts = helpers.texts(draw_grpo_idea(["none"] * 3, [Box(0.1, 0.1, 0.2, 0.2)]))
    assert texts.count("unchanged") == 3


def test_a_group_of_one_is_refused():
    with pytest.raises(ValueError, match="at least 2"):
        draw_grpo_idea(["alone"])


def test_advantages_by_hand_and_as_in_the_training_code():
    assert group_advantages([0.0, 1.0]) == pytest.approx([-0.5 / (0.5**0.5 + 1e-4), 0.5 / (0.5**0.5 + 1e-4)])
    torch = pytest.importorskip("torch")
    rewards = torch.tensor([0.1, 0.7, 0.4, 0.4])
    expected = (rewards - rewards.mean()) / (rewards.std() + 1e-4)
    assert group_advantages(rewards.tolist()) == pytest.approx(expected.tolist(), abs=1e-5)
