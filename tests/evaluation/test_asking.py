"""Questions and their keys, pairs of examples and responses."""

from pathlib import Path

import pytest

from radvlm_course.evaluation.asking import Question, jobs_of, key_of, pairs_of
from radvlm_course.evaluation.predictions import Prediction, PredictionError
from radvlm_course.language.jobs import Verdict
from radvlm_course.records import Example

EXAMPLES = [
    Example("r0", "report_generation", "a.png", "q", "Clear."),
    Example("r1", "report_generation", "a.png", "q", "Effusion."),
    Example("c0", "conversation", "a.png", "q", "Hello."),
]


def question(example: Example, text: str) -> Question:
    return Question(example, [{"role": "user", "content": text}])


def test_equal_questions_are_asked_once_and_others_have_other_keys() -> None:
    jobs = jobs_of([question(EXAMPLES[0], "a"), question(EXAMPLES[1], "a"), question(EXAMPLES[1], "b")], Verdict)
    assert len(jobs) == 2
    assert jobs[0].messages() == [{"role": "user", "content": "a"}]
    assert key_of(jobs[0].messages()) == jobs[0].key != jobs[1].key


def write(path: Path, predictions: list[Prediction]) -> Path:
    path.write_bytes(b"".join(prediction.to_line() for prediction in predictions))
    return path


def test_pairs_are_the_examples_of_the_tasks_with_their_responses(tmp_path: Path) -> None:
    given = [
        Prediction("c0", "Hi.", "Hi.", "m"),
        Prediction("r1", "x", None, "m"),
        Prediction("r0", " Clear. ", " Clear. ", "m"),
    ]
    path = write(tmp_path / "p.jsonl", given)
    found = pairs_of(EXAMPLES, path, ("report_generation",))
    assert found == [(EXAMPLES[0], "Clear."), (EXAMPLES[1], "")]


def test_a_missing_or_foreign_prediction_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", [Prediction("r0", "a", "a", "m")])
    with pytest.raises(PredictionError, match="1 examples have no prediction, for example 'r1'"):
        pairs_of(EXAMPLES, path, ("report_generation",))
    with pytest.raises(PredictionError, match="line 1: example 'r0' is not among"):
        pairs_of(EXAMPLES[1:], path, ("report_generation",))
    with pytest.raises(PredictionError, match="expected examples of phrase_grounding, found none"):
        pairs_of(EXAMPLES, path, ("phrase_grounding",))
