"""From Study to Example: what each task asks and answers, what labels mean, and the same bytes everywhere."""

import json
import random
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.boxes import Box, format_boxes, parse_boxes
from radvlm_course.instructions import (
    BuildError,
    BuildOptions,
    BuildReport,
    BuildWarning,
    LabelSemantics,
    build,
    build_examples,
    load_templates,
    present_findings,
)
from radvlm_course.records import TASKS, Example, Study, to_dict, write_jsonl

COMPACT = BuildOptions(templates="compact")
WRITTEN_TASKS = TASKS[:6]
MakeStudy = Callable[..., Study]


def ask(study: Study, task: str, label: str | None = None, options: BuildOptions = COMPACT) -> Example:
    return build(study, task, random.Random(0), label=label, options=options)


def compact_semantics(**choices: str) -> BuildOptions:
    return BuildOptions("compact", LabelSemantics(**choices))  # type: ignore[arg-type]


def lines(examples: list[Example]) -> list[str]:
    return [json.dumps(to_dict(example)) for example in examples]


def test_a_report_is_the_answer_with_its_whitespace_collapsed(make_study: MakeStudy) -> None:
    example = ask(make_study(), "report_generation")
    assert (example.question, example.answer) == ("Write a report.", "Left effusion. Heart is normal.")
    assert example.labels == ("edema", "pleural effusion")
    assert example.id == "phantom/s1/report_generation//0"
    assert (example.patient_id, example.study_id, example.split, example.source) == ("p1", "s1", "train", "phantom")


def test_a_report_with_braces_is_written_as_it_is(make_study: MakeStudy) -> None:
    assert ask(make_study(report="A {name} {0}."), "report_generation").answer == "A {name} {0}."


def test_several_boxes_are_written_from_left_to_right(make_study: MakeStudy) -> None:
    example = ask(make_study(), "abnormality_grounding", "pleural effusion")
    assert example.question == "Where is the pleural effusion?"
    assert example.answer == "[0.10, 0.55, 0.40, 0.95] and [0.60, 0.50, 0.90, 0.90]"
    assert example.boxes == (Box(0.1, 0.55, 0.4, 0.95), Box(0.6, 0.5, 0.9, 0.9))
    assert example.labels == ("pleural effusion",)
    assert example.id == "phantom/s1/abnormality_grounding/pleural effusion/0"


def test_a_structure_and_a_phrase_are_located_by_their_boxes(make_study: MakeStudy) -> None:
    assert ask(make_study(), "anatomical_grounding", "heart").answer == "[0.30, 0.40, 0.70, 0.80]"
    phrase = ask(make_study(), "phrase_grounding")
    assert (phrase.question, phrase.labels) == ('Where is "small left effusion"?', ("Small left effusion.",))


def test_acronyms_keep_their_capitals(make_study: MakeStudy) -> None:
    study = make_study(structures={"SVC": (Box(0.4, 0.2, 0.5, 0.4),), "Right Lung": (Box(0.1, 0.1, 0.4, 0.9),)})
    assert ask(study, "anatomical_grounding", "SVC").question == "Where is the SVC?"
    assert ask(study, "anatomical_grounding", "Right Lung").question == "Where is the right lung?"


@pytest.mark.parametrize(
    ("findings", "answer"),
    [
        ({"pneumothorax": 1, "atelectasis": 1, "mass": 1, "edema": 0}, "atelectasis, mass and pneumothorax."),
        ({"pneumothorax": 1, "no finding": 0}, "pneumothorax."),
        ({"pneumothorax": 0, "no finding": 1}, "No finding."),
        ({}, "No finding."),
    ],
)
def test_classification_lists_present_findings_alphabetically(
    make_study: MakeStudy, findings: dict[str, int], answer: str
) -> None:
    study = make_study(findings=findings, abnormalities={})
    assert ask(study, "abnormality_classification").answer == answer


def test_detection_lists_each_finding_with_its_boxes(make_study: MakeStudy) -> None:
    example = ask(make_study(), "abnormality_detection")
    effusion = "[0.10, 0.55, 0.40, 0.95] and [0.60, 0.50, 0.90, 0.90]"
    assert example.answer == f"edema [0.20, 0.20, 0.80, 0.70]; pleural effusion {effusion}."
    assert example.labels == ("edema", "pleural effusion")
    assert [box.x1 for box in example.boxes] == [0.2, 0.1, 0.6]


def test_detection_on_a_normal_film_says_so(make_study: MakeStudy) -> None:
    study = make_study(findings={"nodule": 0}, abnormalities={})
    assert ask(study, "abnormality_detection").answer == "No finding."
    full = ask(study, "abnormality_detection", options=BuildOptions())
    assert full.answer in load_templates("full").wordings("abnormality_detection", "none")
    assert full.boxes == () and full.labels == ()


def test_uncertain_findings_are_positive_by_default_and_otherwise_as_asked(make_study: MakeStudy) -> None:
    study = make_study()
    assert present_findings(study) == ("edema", "pleural effusion")
    assert present_findings(study, LabelSemantics(uncertain_as="negative")) == ("pleural effusion",)
    with pytest.raises(BuildError, match="uncertain finding"):
        ask(study, "abnormality_classification", options=compact_semantics(uncertain_as="ignore"))
    with pytest.raises(BuildError, match="no box to show for 'edema'"):
        ask(study, "abnormality_grounding", "edema", compact_semantics(uncertain_as="negative"))
    with pytest.raises(ValueError, match="uncertain_as: expected one of positive, negative, ignore; found 'maybe'"):
        LabelSemantics(uncertain_as="maybe")  # type: ignore[arg-type]


def test_a_film_without_a_finding_gives_a_pair_even_where_an_overruled_label_is_uncertain(
    make_study: MakeStudy,
) -> None:
    study = make_study(source="chexpert", findings={"no finding": 1, "edema": -1}, abnormalities={})
    left_out = compact_semantics(uncertain_as="ignore")
    for task in ("abnormality_classification", "abnormality_detection"):
        assert ask(study, task, options=left_out).answer == "No finding."
    with pytest.raises(BuildError, match="uncertain finding"):
        ask(
            study,
            "abnormality_classification",
            options=compact_semantics(uncertain_as="ignore", no_finding_as="ignore"),
        )


def test_a_study_without_labels_is_negative_by_default_or_left_out(make_study: MakeStudy) -> None:
    study = make_study(findings={}, abnormalities={})
    with pytest.raises(BuildError, match="study without labels"):
        ask(study, "abnormality_classification", options=compact_semantics(unlabelled_as="skip"))


def test_detection_is_not_built_from_incomplete_boxes_unless_asked(make_study: MakeStudy) -> None:
    study = make_study(findings={"pleural effusion": 1, "nodule": 1})
    with pytest.raises(BuildError, match="present finding without boxes"):
        ask(study, "abnormality_detection")
    assert "nodule" not in ask(study, "abnormality_detection", options=compact_semantics(unboxed_as="ignore")).answer


def test_only_present_findings_are_grounded_and_contradictions_are_counted(make_study: MakeStudy) -> None:
    study = make_study(findings={"pleural effusion": 0, "edema": 1})
    report = BuildReport()
    with pytest.warns(BuildWarning, match="1 x abnormality_grounding: boxes of a finding that is labelled absent"):
        examples = list(build_examples([study], ["abnormality_grounding"], 0, report=report))
    assert [example.labels for example in examples] == [("edema",)]
    assert report.built["abnormality_grounding"] == 1


def test_an_empty_report_gives_no_example_and_is_counted_and_warned_of(make_study: MakeStudy) -> None:
    studies = [make_study(study_id="s1"), make_study(study_id="s2", report=" \n")]
    report = BuildReport()
    with pytest.warns(BuildWarning, match=r"1 x report_generation: empty report \(first: s2\)"):
        examples = list(build_examples(studies, ["report_generation"], 0, report=report))
    assert [example.study_id for example in examples] == ["s1"]
    assert report.to_dict()["skipped"] == [
        {"task": "report_generation", "reason": "empty report", "count": 1, "first": ["s2"]}
    ]


def test_a_normal_film_is_counted_without_a_warning(make_study: MakeStudy) -> None:
    report = BuildReport()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study = make_study(findings={"nodule": 0}, abnormalities={})
        assert list(build_examples([study], ["abnormality_grounding"], 0, report=report)) == []
    assert dict(report.skipped) == {("abnormality_grounding", "no present finding with a box"): 1}


@pytest.mark.parametrize("task", ["conversation", "grounded_conversation"])
def test_conversations_need_written_conversations_and_say_so(make_study: MakeStudy, task: str) -> None:
    with pytest.raises(BuildError, match="need written conversations"):
        ask(make_study(), task)
    with pytest.raises(BuildError, match="need written conversations"):
        list(build_examples([make_study()], [task], 0))


def test_an_unknown_task_is_refused(make_study: MakeStudy) -> None:
    with pytest.raises(BuildError, match="no such task; expected one of report_generation"):
        ask(make_study(), "captioning")


def many(make_study: MakeStudy, count: int = 30) -> list[Study]:
    return [make_study(study_id=f"s{number}", patient_id=f"p{number}") for number in range(count)]


def build_part(studies: list[Study]) -> list[Example]:
    return list(build_examples(studies, WRITTEN_TASKS, 7, {"abnormality_grounding": 3}))


# A program of its own, not a process pool: radgraph and f1chexbert install a top-level package "tests", which hides
# this folder from a freshly started process.
BUILD_PART = """
import sys
from radvlm_course.instructions import build_examples
from radvlm_course.records import TASKS, Study, read_jsonl, write_jsonl
studies = read_jsonl(sys.argv[1], Study)
write_jsonl(build_examples(studies, TASKS[:6], 7, {"abnormality_grounding": 3}), sys.argv[2])
"""


def test_the_same_seed_gives_the_same_bytes_in_any_order_and_in_two_processes(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    studies = many(make_study)
    inline = build_part(studies)
    assert sorted(lines(build_part(studies[::-1]))) == sorted(lines(inline))
    parts = []
    for number, part in enumerate((studies[:7], studies[7:])):
        read, written = tmp_path / f"studies{number}.jsonl", tmp_path / f"examples{number}.jsonl"
        write_jsonl(part, read)
        subprocess.run([sys.executable, "-c", BUILD_PART, str(read), str(written)], check=True)
        parts.append(written.read_bytes())
    write_jsonl(inline, tmp_path / "inline.jsonl")
    assert b"".join(parts) == (tmp_path / "inline.jsonl").read_bytes()


def test_the_wording_of_a_known_pair_never_changes(make_study: MakeStudy) -> None:
    (example,) = build_examples([make_study()], ["phrase_grounding"], 0)
    wordings = load_templates("full")
    question = wordings.wordings("phrase_grounding", "questions").index(
        example.question.replace("small left effusion", "{name}")
    )
    answer = wordings.wordings("phrase_grounding", "answers").index(
        example.answer.replace("[0.60, 0.50, 0.90, 0.90]", "{boxes}")
    )
    assert (question, answer) == (1, 2)


def test_repeats_draw_new_wordings_and_ids_stay_unique(make_study: MakeStudy) -> None:
    examples = list(
        build_examples([make_study()], WRITTEN_TASKS, 0, {"abnormality_grounding": 6, "phrase_grounding": 0})
    )
    assert len({example.id for example in examples}) == len(examples) == 1 + 1 + 2 + 2 * 6 + 1
    assert len({(e.question, e.answer) for e in examples if e.labels == ("edema",)}) > 3


def test_every_wording_is_used_in_the_long_run(make_study: MakeStudy) -> None:
    examples = list(build_examples(many(make_study, 200), ["report_generation"], 0))
    assert {e.question for e in examples} == set(load_templates("full").wordings("report_generation", "questions"))


boxes_strategy = st.builds(
    lambda x, y, w, h: Box(x, y, min(1.0, x + w), min(1.0, y + h)),
    st.floats(0, 0.9),
    st.floats(0, 0.9),
    st.floats(0.02, 1),
    st.floats(0.02, 1),
)


@given(st.lists(boxes_strategy, min_size=1, max_size=4), st.sampled_from(["full", "compact"]), st.integers(0, 99))
def test_the_boxes_of_an_answer_can_be_read_back_to_two_decimals(boxes: list[Box], templates: str, seed: int) -> None:
    study = Study("a.png", (10, 10), "p", "s", "phantom", "train", abnormalities={"mass": tuple(boxes)})
    for task in ("abnormality_grounding", "abnormality_detection"):
        example = build(study, task, random.Random(seed), options=BuildOptions(templates))
        assert example.boxes == tuple(sorted(boxes))
        assert format_boxes(example.boxes) in example.answer
        for ours, read in zip(example.boxes, parse_boxes(example.answer), strict=True):
            assert ours.to_list() == pytest.approx(read.to_list(), abs=0.0101)
