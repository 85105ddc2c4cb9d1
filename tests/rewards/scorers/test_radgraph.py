"""Graphs of reports: sets of facts as the package counts them, RadCliQ's combination, loading, caching."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.rewards.base import RewardError
from radvlm_course.rewards.scorers.dygie_heads import Facts
from radvlm_course.rewards.scorers.radgraph import LEVELS, Graph, RadGraphScorer, load_package_model

ANATOMY, PRESENT, ABSENT = (
    "Anatomy::definitely present",
    "Observation::definitely present",
    "Observation::definitely absent",
)
# "small right effusion": small and right modify / locate the effusion
RIGHT = Graph(
    ("small", "right", "effusion"),
    Facts([(0, 0, PRESENT), (1, 1, ANATOMY), (2, 2, PRESENT)], [(0, 2, "modify"), (2, 1, "located_at")]),
)
LEFT = Graph(
    ("small", "left", "effusion"),
    Facts([(0, 0, PRESENT), (1, 1, ANATOMY), (2, 2, PRESENT)], [(0, 2, "modify"), (2, 1, "located_at")]),
)
BARE = Graph(("effusion",), Facts([(0, 0, PRESENT)], []))
NOTHING = Graph(("stable",), Facts([], []))


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("simple", 2 / 3),  # small and effusion of three on each side
        ("partial", 2 / 3),  # the same: small and effusion have relations in both
        ("complete", 1 / 3),  # right and left alone, "effusion located at" differs; "small modifies effusion" is shared
        ("combined", (2 / 3 + 1 / 2) / 2),  # one of two relations shared
    ],
)
def test_hand_counted_facts(level, expected) -> None:
    assert RIGHT.f1(LEFT, level) == pytest.approx(expected)
    assert LEFT.f1(RIGHT, level) == pytest.approx(expected)


def test_precision_and_recall_make_the_f1() -> None:
    assert BARE.f1(RIGHT, "simple") == pytest.approx(2 * 1 * (1 / 3) / (1 + 1 / 3))
    assert BARE.f1(RIGHT, "partial") == 0.0  # the effusion has a relation there and none here


def test_a_report_without_entities_scores_zero_and_without_relations_half_of_combined() -> None:
    for level in LEVELS:
        assert NOTHING.f1(RIGHT, level) == RIGHT.f1(NOTHING, level) == NOTHING.f1(NOTHING, level) == 0.0
    assert BARE.f1(BARE, "combined") == 0.5
    assert [RIGHT.f1(RIGHT, level) for level in LEVELS] == [1.0] * 4


def test_an_annotation_numbers_entities_from_one() -> None:
    assert RIGHT.annotation()["entities"]["3"] == {
        "tokens": "effusion",
        "label": PRESENT,
        "start_ix": 2,
        "end_ix": 2,
        "relations": [["located_at", "2"]],
    }


@st.composite
def graphs(draw) -> Graph:
    words = tuple(draw(st.lists(st.sampled_from(["Small", "right", "effusion", "Lung"]), min_size=1, max_size=6)))
    spans = [(i, j) for i in range(len(words)) for j in range(i, min(i + 2, len(words)))]
    chosen = sorted(draw(st.sets(st.sampled_from(spans), max_size=5)))
    entities = [(*span, draw(st.sampled_from([ANATOMY, PRESENT, ABSENT]))) for span in chosen]
    numbers = st.integers(0, max(len(entities) - 1, 0))
    pairs = draw(st.sets(st.tuples(numbers, numbers), max_size=6)) if entities else set()
    return Graph(
        words, Facts(entities, [(i, j, draw(st.sampled_from(["modify", "located_at"]))) for i, j in sorted(pairs)])
    )


@given(graphs(), graphs())
def test_levels_equal_the_packages_own_count(first: Graph, second: Graph) -> None:
    from radgraph.rewards import compute_reward

    expected = compute_reward(first.annotation(), second.annotation(), "all")
    assert tuple(first.f1(second, level) for level in LEVELS[:3]) == pytest.approx(expected, abs=1e-12)


@given(graphs(), graphs())
def test_f1_is_symmetric_bounded_and_best_for_equal_graphs(first: Graph, second: Graph) -> None:
    for level in LEVELS:
        assert 0.0 <= first.f1(second, level) <= 1.0
        assert first.f1(second, level) == pytest.approx(second.f1(first, level))
        assert first.f1(second, level) <= second.f1(second, level) + 1e-12


@given(graphs())
def test_a_graph_survives_its_form_on_disk(graph: Graph) -> None:
    scorer = RadGraphScorer.__new__(RadGraphScorer)
    assert scorer.from_bytes(scorer.to_bytes(graph)) == graph


def test_the_package_class_and_the_scorer_agree_on_a_batch_of_pairs(metric_weights, reports) -> None:
    from radvlm_course.rewards import weights
    from radvlm_course.rewards.compat import radgraph as compat

    folder = weights.radgraph_folder("radgraph").parent
    package = compat.load().F1RadGraph("all", "radgraph", model_cache_dir=str(folder), cuda=-1)
    references, responses = reports[:12], reports[12:24]
    _, expected, _, _ = package(refs=references, hyps=responses)
    scorer = RadGraphScorer("radgraph", package=package.radgraph)
    found = scorer.features([*references, *responses])
    for level, values in zip(LEVELS[:3], expected, strict=True):
        mine = [
            found[response].f1(found[reference], level)
            for response, reference in zip(responses, references, strict=True)
        ]
        assert mine == pytest.approx(values, abs=1e-12)


def test_the_plain_path_gives_the_same_graphs(metric_weights, reports) -> None:
    package = load_package_model("radgraph")
    batched, plain = (
        RadGraphScorer("radgraph", package=package),
        RadGraphScorer("radgraph", package=package, batched=False),
    )
    texts = [*reports[:8], "", "No  Effusion."]
    assert plain.features(texts) == batched.features(texts)


def test_blank_texts_have_no_facts(metric_weights) -> None:
    scorer = RadGraphScorer("radgraph")
    assert [annotation["entities"] for annotation in scorer.annotate(["", " ", "\n\t"])] == [{}, {}, {}]


def test_references_outlive_the_process_on_disk(metric_weights, reports, tmp_path) -> None:
    package = load_package_model("radgraph")
    first = RadGraphScorer("radgraph", package=package, cache_path=tmp_path / "cache")
    expected = first.annotate(reports[:5], references=reports[:5])
    later = RadGraphScorer("radgraph", package=package, cache_path=tmp_path / "cache")
    assert later.annotate(reports[:5], references=reports[:5]) == expected
    assert (later.cache_info().hits, later.cache_info().computed) == (5, 0)


def test_a_package_whose_annotations_changed_is_refused(metric_weights, monkeypatch) -> None:
    monkeypatch.setattr(RadGraphScorer, "compute", lambda self, texts: [NOTHING for _ in texts])
    with pytest.raises(RewardError, match=r"differs from radgraph's own.*batched=False"):
        RadGraphScorer("radgraph")


def test_missing_weights_name_the_file_and_the_command(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("RADVLM_COURSE_METRIC_WEIGHTS", str(tmp_path))
    with pytest.raises(RewardError, match=r"weights\.th, found none.*rewards\.weights radgraph"):
        RadGraphScorer("radgraph-xl")
    with pytest.raises(ValueError, match="found 'radgraph-xxl'"):
        RadGraphScorer("radgraph-xxl")


def test_lower_precision_changes_few_facts(metric_weights, reports) -> None:
    exact, coarse = RadGraphScorer("radgraph"), RadGraphScorer("radgraph", dtype="bfloat16")
    first, second = exact.features(reports), coarse.features(reports)
    scores = [first[text].f1(second[text], "simple") for text in reports if first[text].entities]
    assert sum(scores) / len(scores) > 0.8


def test_lower_precision_needs_batches(metric_weights) -> None:
    with pytest.raises(ValueError, match="'float32' with batched=False, found 'bfloat16'"):
        RadGraphScorer("radgraph", dtype="bfloat16", batched=False)
