"""From examples and predictions to scores: completeness, files, byte-equality, paired comparison."""

import json
import math
import random
import time
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radvlm_course.boxes import Box, format_box
from radvlm_course.evaluation.predictions import Prediction, PredictionError
from radvlm_course.evaluation.score import Scores, compare, load_scores, score, score_file
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
                values = (interval.value, interval.low, interval.high)
                assert values == pytest.approx((1.0, 1.0, 1.0), abs=1e-9), name
    assert scores.counts["abnormality_grounding"] == {
        "examples": 12,
        "patients": 6,
        "without_response": 0,
        "cut_off_at_length": 0,
        "malformed_boxes": 0,
        "nothing_to_find": 0,
        "nothing_to_find_and_said_so": 0,
        "nothing_to_find_but_boxes_written": 0,
        "boxes_to_find_but_none_written": 0,
        "paper_reader_stops": 0,
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
        "nothing_to_find": 0,
        "nothing_to_find_and_said_so": 0,
        "nothing_to_find_but_boxes_written": 0,
        "boxes_to_find_but_none_written": 2,
        "paper_reader_stops": 0,
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


def test_every_empty_case_is_counted() -> None:
    asked = [Example(f"g{i}", "phrase_grounding", "a.png", "q", "a", ()) for i in range(4)]
    asked.append(Example("g4", "phrase_grounding", "a.png", "q", "a", (BOX,)))
    texts = ["Nothing is seen.", format_box(BOX), "", "[0.1, 1.2.3, 0.4, 0.5]", "It is not there."]
    given = [Prediction(e.id, text, text, "m") for e, text in zip(asked, texts, strict=True)]
    assert score(asked, given).counts["phrase_grounding"] == {
        "examples": 5,
        "patients": 5,
        "without_response": 1,
        "cut_off_at_length": 0,
        "malformed_boxes": 1,
        "nothing_to_find": 4,
        "nothing_to_find_and_said_so": 1,
        "nothing_to_find_but_boxes_written": 1,
        "boxes_to_find_but_none_written": 1,
        "paper_reader_stops": 1,
    }


MALFORMED = [
    "[0.1, 0.1, 0.4]",
    "[0.1, 0.1, 0.4, 0.4, 0.5]",
    "[0.4, 0.4, 0.1, 0.1]",
    "[0.1, 0.1, 0.1, 0.4]",
    "[0.1, 0.1, 0.4, nan]",
    "[0.1, 0.1, 0.4, inf]",
    "[100, 100, 400, 400]",
    "[-0.5, 0.1, 0.4, 0.4]",
    "[0.1, 0.1, 0.4, 1.2.3]",
    "[0.1 0.1 0.4 0.4]",
    "[0.1, 0.1, 0.4, 0.4",
    "[[0.1, 0.1], [0.4, 0.4]]",
    "(0.1, 0.1, 0.4, 0.4)",
    "[0,1, 0,1, 0,4, 0,4]",
    "[0.1, 0.1, 0.4, 0.4_0]",
    "[" * 1000,
]


@pytest.mark.parametrize("text", MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_box_earns_nothing_and_does_not_hide_a_good_one(text: str) -> None:
    asked = grounding_examples(2)
    given = [Prediction("g0", text, text, "m"), Prediction("g1", "x", f"{text} and {format_box(BOX)}", "m")]
    metrics = score(asked, given).tasks["abnormality_grounding"]
    assert metrics["soft_f1"].value == 0.5
    assert metrics["recall50"].value == 0.5
    assert metrics["precision50"].value == 1.0


def test_a_thought_left_in_a_response_is_refused() -> None:
    left = Prediction("g0", "x", f"<think>{format_box(FAR)}</think> {format_box(BOX)}", "m")
    with pytest.raises(PredictionError, match="'g0' still has its thought"):
        score(grounding_examples(1), [left])


def test_a_file_is_scored_like_its_predictions_in_any_order(tmp_path: Path) -> None:
    given = answers(0.5)
    for name, order in (("forth", given), ("back", given[::-1])):
        (tmp_path / f"{name}.jsonl").write_bytes(b"".join(item.to_line() for item in order))
        score_file(EXAMPLES, tmp_path / f"{name}.jsonl").write(tmp_path / name)
    score(EXAMPLES, given).write(tmp_path / "memory")
    for name in ("scores.json", "per_example.jsonl"):
        contents = {(tmp_path / folder / name).read_bytes() for folder in ("forth", "back", "memory")}
        assert len(contents) == 1


def lines_of(predictions: list[Prediction]) -> list[bytes]:
    return [prediction.to_line() for prediction in predictions]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines[:3] + lines[4:], "1 of 18 examples have no prediction: g3"),
        (lambda lines: [*lines, lines[2]], r"line 19: example 'g2' was already answered in line 3"),
        (lambda lines: [*lines[:4], b'{"example_id"\n', *lines[5:]], "line 5: not a JSON line"),
        (lambda lines: [*lines[:4], lines[4].replace(b'"g4"', b'"x"'), *lines[5:]], "line 5: example 'x' is not among"),
        (lambda lines: [*lines[:4], lines[4].replace(b'"tiny"', b'"other"'), *lines[5:]], "line 5: written by model"),
        (lambda lines: [*lines[:4], b"[1, 2]\n", *lines[5:]], "line 5: expected a JSON object"),
        (lambda lines: [*lines[:4], b"\xff\xfe\n", *lines[5:]], "line 5: not a JSON line"),
    ],
    ids=["missing", "doubled", "torn in the middle", "foreign", "two models", "no object", "no text"],
)
def test_a_wrong_file_is_refused_with_its_line(tmp_path: Path, change, message: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "p.jsonl"
    path.write_bytes(b"".join(change(lines_of(answers(1.0)))))
    with pytest.raises(PredictionError, match=message):
        score_file(EXAMPLES, path)


@given(st.integers(min_value=0))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_cut_at_any_byte_is_never_scored_as_if_it_were_whole(tmp_path: Path, place: int) -> None:
    content = b"".join(lines_of(answers(0.5)))
    path = tmp_path / "p.jsonl"
    path.write_bytes(content[: place % len(content)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if content[: place % len(content)] == content[:-1]:  # only the last line break is gone: all is there
            assert score_file(EXAMPLES, path, resamples=5).counts["abnormality_grounding"]["examples"] == 12
            return
        with pytest.raises(PredictionError, match="have no prediction"):
            score_file(EXAMPLES, path, resamples=5)


def test_classification_is_scored_both_ways() -> None:
    asked = [
        Example("c0", "abnormality_classification", "a.png", "q", "a", labels=("Pleural Effusion",), patient_id="p"),
        Example("c1", "abnormality_classification", "a.png", "q", "a", patient_id="q"),
    ]
    texts = ["Pleural effusion, no pneumothorax.", "Nothing abnormal."]
    scores = score(asked, [Prediction(e.id, t, t, "m") for e, t in zip(asked, texts, strict=True)])
    metrics = scores.tasks["abnormality_classification"]
    assert (metrics["f1_micro"].value, metrics["f1_micro_paper"].value, metrics["exact"].value) == (1.0, 2 / 3, 1.0)
    assert scores.labels["abnormality_classification"]["Pneumothorax"]["precision_paper"].value == 0.0


def test_cocos_tool_is_asked_on_request_and_read_back(tmp_path: Path) -> None:
    scores = score(EXAMPLES, answers(0.5), coco=True, resamples=10)
    table = scores.coco["abnormality_grounding"]
    assert (table["n"], table["boxes"], table["labels"]) == (12, 12, 2)
    assert table["worst"]["map50"] <= table["as_written"]["map50"] <= table["best"]["map50"]
    assert score(EXAMPLES, answers(0.5)[::-1], coco=True, resamples=10).coco == scores.coco
    scores.write(tmp_path)
    assert load_scores(tmp_path).to_dict() == scores.to_dict()
    assert load_scores(tmp_path).sizes["abnormality_grounding"]["large"]["recall50"].n == 12


def test_a_judgement_becomes_a_metric_and_an_unreadable_one_is_counted() -> None:
    talk = [Example(f"c{i}", "conversation", "a.png", "Hello?", "Hello.", patient_id=f"p{i}") for i in range(3)]
    given = [Prediction(e.id, "Hi there.", "Hi there.", "tiny") for e in talk]
    scores = score(talk, given, judgements={"judge": {"c0": 7.0, "c1": None, "c2": 4.0}})
    assert scores.tasks["conversation"]["judge"].value == 5.5
    assert scores.tasks["conversation"]["judge"].n == 2
    assert scores.counts["conversation"]["judge_unreadable"] == 1
    with pytest.raises(ValueError, match="1 of 3 examples of conversation are not judged, for example 'c2'"):
        score(talk, given, judgements={"judge": {"c0": 7.0, "c1": None}})


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
