from radvlm_course.rewards.lab.published import PublishedRewards, PublishedTraining
from radvlm_course.viz.published import draw_published_costs, draw_published_pairs, draw_published_training


def test_every_published_figure_is_drawn_with_its_source(helpers):
    rewards, training = PublishedRewards.load(), PublishedTraining.load()
    for figure, source in (
        (draw_published_pairs(rewards), "RadEval"),
        (draw_published_costs(rewards), "RadEval"),
        (draw_published_training(training), "2512.10691"),
    ):
        assert any(source in text for text in helpers.texts(figure))
        assert helpers.inside(figure)


def test_pairs_show_both_sentences_and_their_scores(helpers):
    texts = helpers.texts(draw_published_pairs(PublishedRewards.load()))
    assert "No pleural effusion. \u2192 Pleural effusion." in texts
    assert {"0.893", "0.215", "-0.333"} <= set(texts)


def test_costs_are_written_and_their_scale_is_readable(helpers):
    texts = helpers.texts(draw_published_costs(PublishedRewards.load()))
    assert {"0.09", "157.79", "2,210", "0.1", "1,000"} <= set(texts)


def test_the_run_with_the_shortest_reports_stands_out():
    axes = draw_published_training(PublishedTraining.load()).axes[0]
    colours = [patch.get_facecolor() for patch in axes.patches]
    assert colours.count(colours[3]) == 1 and len(colours) == 5
