"""From examples and predictions to scores: completeness, files, byte-equality, paired comparison."""

import json
import math
import random
import time
from pathlib import Path

import pytest

from radvlm_course.boxes import Box, format_box
from radvlm_course.evaluation.predictions import Prediction, PredictionError
from radvlm_course.evaluation.score import Scores, compare, load_scores, score
from radvlm_course.records import Example

BOX = Box(0.1, 0.1, 0.4, 0.4)
FAR = Box(0.6, 0.6, 0.9, 0.9)


def grounding_examples(count: int = 12) -> list[Example]:
    return [
        Example(
            *(f"g{i}", "abnormality_grounding", "a.png", "Where?", "There.", (BOX,), (("nodule", "edema")[i % 2],)),
            source="phantom",
            patient_id=f"p{i // 2}",
        )
        for i in range(count)
    ]


def report_examples(count: int = 6) -> list[Example]:
    reports = ["Small left pleural effusion. No pneumothorax.", "No pleural effusion. No pneumothorax."]
    return [
        Example(f"r{i}", "report_generation", "a.png", "Report?", reports[i % 2], source="phantom", patient_id=f"p{i}")
        for i in range(count)
    ]


EXAMPLES = [*grounding_examples(), *report_examples()]


def answers(right: float, model: str = "tiny", seed: int = 0) -> list[Prediction]:
    """Predictions of which about ``right`` of all are the reference."""
    rng = random.Random(seed)
    result = []
    for example in EXAMPLES:
        is_right = rng.random() < right
        if example.boxes:
            text = format_box(BOX if is_right else FAR)
        else:
            text = example.answer if is_right else "Large right pneumothorax."
        result.append(Prediction(example.id, text, text, model, {}, "stop"))
    return result


def test_perfect_answers_score_one_everywhere() -> None:
    scores = score(EXAMPLES, answers(1.0))
    for metrics in scores.tasks.values():
        for name, interval in metrics.items():
            if name not in ("characters", "words"):
                assert interval.value == interval.low == interval.high == 1.0, name
    assert scores.counts["abnormality_grounding"] == {
        "examples": 12,
        "patients": 6,
        "without_response": 0,
        "cut_off_at_length": 0,
        "malformed_boxes": 0,
    }
    assert set(scores.labels["abnormality_grounding"]) == {"nodule", "edema"}
    assert scores.labels["report_generation"]["pleural effusion"]["finding_f1"].value == 1.0


def test_rows_come_in_the_order_of_the_examples_whatever_the_order_of_predictions() -> None:
    forth, back = score(EXAMPLES, answers(0.5)), score(EXAMPLES, answers(0.5)[::-1])
    assert [row["example_id"] for row in forth.rows] == [example.id for example in EXAMPLES]
    assert forth == back or forth.to_dict() == back.to_dict()
    assert forth.rows == back.rows


def test_missing_predictions_are_counted_and_named() -> None:
    with pytest.raises(PredictionError, match=r"15 of 18 examples have no prediction: g3, g4, g5, g6, g7, \.\.\."):
        score(EXAMPLES, answers(1.0)[:3])


def test_foreign_and_doubled_predictions_and_two_models_are_refused() -> None:
    given = answers(1.0)
    with pytest.raises(PredictionError, match="'g0', which is not among the 17"):
        score(EXAMPLES[1:], given)
    with pytest.raises(PredictionError, match="two predictions answer example 'g0'"):
        score(EXAMPLES, [*given, given[0]])
    with pytest.raises(PredictionError, match="one model, found other, tiny"):
        score(EXAMPLES, [*given[:-1], answers(1.0, "other")[-1]])


def test_examples_must_be_there_and_have_ids_of_their_own() -> None:
    with pytest.raises(ValueError, match="found none"):
        score([], [])
    with pytest.raises(ValueError, match="share the id 'g0'"):
        score([EXAMPLES[0], EXAMPLES[0]], answers(1.0))


def test_answers_that_never_came_score_zero_and_are_counted() -> None:
    asked = grounding_examples(2)
    given = [
        Prediction("g0", "<think>it is", None, "m", {}, "length"),
        Prediction("g1", "[0.1, 0.2, 0.3, 0.4, 0.5]", "[0.1, 0.2, 0.3, 0.4, 0.5]", "m", {}, "stop"),
    ]
    scores = score(asked, given)
    assert scores.tasks["abnormality_grounding"]["soft_f1"].value == 0.0
    assert scores.counts["abnormality_grounding"] | {"examples": 2, "patients": 1} == {
        "examples": 2,
        "patients": 1,
        "without_response": 1,
        "cut_off_at_length": 1,
        "malformed_boxes": 1,
    }


def test_tasks_without_a_metric_are_counted_with_a_warning() -> None:
    talk = Example("c", "conversation", "a.png", "Hello?", "Hello.")
    with pytest.warns(UserWarning, match=r"no metric for \{'conversation': 1\}"):
        scores = score([*EXAMPLES, talk], [*answers(1.0), Prediction("c", "Hi.", "Hi.", "tiny")])
    assert scores.unscored == {"conversation": 1}
    assert len(scores.rows) == 18


def test_findings_are_left_out_for_real_reports_unless_a_labeller_is_given() -> None:
    real = [Example("x", "report_generation", "a.png", "q", "Clear.", source="open_i")]
    given = [Prediction("x", "Clear.", "Clear.", "m")]
    assert "finding_f1_micro" not in score(real, given).tasks["report_generation"]
    named = score(real, given, labeller=lambda text: frozenset({("nodule", "")}))
    assert named.tasks["report_generation"]["finding_f1_micro"].value == 1.0
    with pytest.raises(ValueError, match="None or 'auto'"):
        score(real, given, labeller="chexbert")  # type: ignore[arg-type]


def test_an_example_without_patient_is_a_patient_of_its_own() -> None:
    asked = [Example(f"g{i}", "phrase_grounding", "a.png", "q", "a", (BOX,)) for i in range(3)]
    scores = score(asked, [Prediction(e.id, format_box(BOX), format_box(BOX), "m") for e in asked])
    assert scores.counts["phrase_grounding"]["patients"] == 3


def test_files_are_equal_to_the_byte_and_read_back_whole(tmp_path: Path) -> None:
    scores = score(EXAMPLES, answers(0.5))
    scores.write(tmp_path / "one")
    score(EXAMPLES, answers(0.5)).write(tmp_path / "two")
    for name in ("scores.json", "per_example.jsonl"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    again = load_scores(tmp_path / "one")
    assert again.to_dict() == scores.to_dict()
    assert again.rows == scores.rows
    assert not list(tmp_path.rglob("*.partial"))
    assert compare(again, scores)["report_generation"]["gleu"].value == 0.0


def test_undefined_metrics_are_null_in_the_file(tmp_path: Path) -> None:
    healthy = [Example("h", "abnormality_grounding", "a.png", "q", "a", (), ("nodule",))]
    path = score(healthy, [Prediction("h", "None seen.", "None seen.", "m")]).write(tmp_path)
    values = json.loads(path.read_text())
    assert values["tasks"]["abnormality_grounding"]["map50"]["value"] is None
    assert math.isnan(load_scores(tmp_path).tasks["abnormality_grounding"]["map50"].value)


def test_paired_differences_match_the_two_values_and_flip_with_the_order() -> None:
    before, after = score(EXAMPLES, answers(0.3)), score(EXAMPLES, answers(0.9, "tuned"))
    forth, back = compare(before, after), compare(after, before)
    for task, metrics in forth.items():
        for name, interval in metrics.items():
            expected = after.tasks[task][name].value - before.tasks[task][name].value
            assert interval.value == pytest.approx(expected, abs=1e-8), (task, name)
            assert back[task][name].value == pytest.approx(-interval.value, abs=1e-12)
    assert forth["abnormality_grounding"]["soft_f1"].low > 0


def test_comparing_different_examples_says_how_they_differ() -> None:
    before = score(EXAMPLES, answers(1.0))
    after = score(EXAMPLES[1:], answers(1.0, "tuned")[1:])
    with pytest.raises(ValueError, match=r"1 only in 'tiny' \['g0'\], 0 only in 'tuned'"):
        compare(before, after)


def test_twenty_thousand_answers_are_scored_in_seconds() -> None:
    rng = random.Random(0)
    asked, given = [], []
    for index in range(20_000):
        x, y = rng.uniform(0, 0.6), rng.uniform(0, 0.6)
        box = Box(x, y, x + 0.3, y + 0.3)
        asked.append(Example(f"e{index}", "phrase_grounding", "a.png", "q", "a", (box,), patient_id=f"p{index // 2}"))
        given.append(Prediction(f"e{index}", format_box(box), format_box(box), "m"))
    start = time.perf_counter()
    scores: Scores = score(asked, given, resamples=100)
    assert time.perf_counter() - start < 15
    assert scores.tasks["phrase_grounding"]["map50"].value == 1.0
