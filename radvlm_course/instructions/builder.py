"""From a Study to instruction pairs.

One radiograph gives many pairs: its report, its list of findings, one question a structure or finding that has
boxes. What may vary (the wording) is drawn from a generator that is seeded with the pair's own identity, never with
its place in a queue: the same seed gives the same bytes on any machine, in any order, with any number of processes.

The answers of the two conversation tasks were written before by a language model, see
:mod:`radvlm_course.instructions.written`.
"""

from __future__ import annotations

import functools
import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from radvlm_course.boxes import Box, format_boxes, parse_boxes
from radvlm_course.instructions.build_report import PROBLEMS, BuildReport, BuildWarning
from radvlm_course.instructions.labels import PAPER, LabelSemantics, is_undecided, present_findings, targets
from radvlm_course.instructions.templates import load_templates
from radvlm_course.instructions.written import ConversationError, ConversationFolder, image_name
from radvlm_course.records import Example, Study

__all__ = [
    "BuildError",
    "BuildOptions",
    "BuildReport",
    "BuildWarning",
    "build",
    "build_examples",
    "pairs_of_study",
]

_GROUNDING = ("anatomical_grounding", "abnormality_grounding", "phrase_grounding")
_CONVERSATIONS = ("conversation", "grounded_conversation")


class BuildError(ValueError):
    """A study that cannot give this pair, with the reason."""

    def __init__(self, reason: str, study: Study, task: str) -> None:
        super().__init__(f"{task} of study {study.study_id}: {reason}")
        self.reason = reason


@dataclass(frozen=True)
class BuildOptions:
    """What shapes the pairs besides the study.

    Attributes:
        templates: the set of wordings, see :func:`instructions.templates.load_templates`.
        semantics: what labels mean.
        targets: a grounding task asks about ``all`` names with boxes, or about ``one``, drawn.
        conversations: the written conversations; the conversation tasks need them.
    """

    templates: str = "full"
    semantics: LabelSemantics = PAPER
    targets: Literal["all", "one"] = "all"
    conversations: ConversationFolder | None = None


DEFAULT = BuildOptions()


@dataclass(frozen=True)
class _Pair:
    question: str
    answer: str
    boxes: tuple[Box, ...] = ()
    labels: tuple[str, ...] = ()
    follow_up: tuple[tuple[str, str], ...] = ()


def build(
    study: Study,
    task: str,
    rng: random.Random,
    *,
    label: str | None = None,
    repeat: int = 0,
    options: BuildOptions = DEFAULT,
) -> Example:
    """One instruction pair.

    Args:
        rng: draws the wording, and the label if none is given.
        label: the structure, finding or phrase to ask about, for the grounding tasks.
        repeat: which of several pairs with the same question target this is; part of the example's id.

    Returns:
        the pair; its boxes from left to right on the image, unit coordinates, unrounded.

    Raises:
        BuildError: the study cannot give this pair, for example because its report is empty.
    """
    _check_task(study, task, options)
    if label is None:
        names = targets(study, task, options.semantics)
        if not names:
            raise BuildError(_nothing_to_ground(study, task), study, task)
        label = names[rng.randrange(len(names))]
    pair = _WRITERS[task](study, task, label, rng, options)
    return Example(
        id=f"{study.source}/{_radiograph(study.study_id, study.image_path)}/{task}/{' '.join(label.split())}/{repeat}",
        task=task,
        image_path=study.image_path,
        question=pair.question,
        answer=pair.answer,
        boxes=pair.boxes,
        labels=pair.labels,
        source=study.source,
        patient_id=study.patient_id,
        study_id=study.study_id,
        split=study.split,
        follow_up=pair.follow_up,
    )


def build_examples(
    studies: Iterable[Study],
    tasks: Sequence[str],
    seed: int,
    repeats: Mapping[str, int] | None = None,
    *,
    options: BuildOptions = DEFAULT,
    report: BuildReport | None = None,
) -> Iterator[Example]:
    """Every pair that the studies give: one a study and task, and one a label for the grounding tasks.

    Args:
        seed: the wording of a pair depends on it and on the pair's source, study, task, label and repeat only.
        repeats: task -> how many pairs with newly drawn wordings instead of one; 0 leaves the task out.
        report: receives the counts of what was built and what could not be; what the data lacks is also
            given as one :class:`BuildWarning` at the end.

    Raises:
        BuildError: a task is unknown or needs written conversations.
    """
    report = BuildReport() if report is None else report
    for study in studies:
        for task in tasks:
            yield from pairs_of_study(study, task, seed, (repeats or {}).get(task, 1), options, report)
    report.warn()


def pairs_of_study(
    study: Study, task: str, seed: int, repeats: int, options: BuildOptions, report: BuildReport
) -> Iterator[Example]:
    """Every pair of one task that a study gives; what it cannot give is counted in ``report``.

    The ``repeats`` pairs of one question target are worded differently, as far as there are wordings.

    Raises:
        BuildError: the task is unknown or needs written conversations.
    """
    _check_task(study, task, options)
    names = targets(study, task, options.semantics)
    if not names:
        report.skip(task, _nothing_to_ground(study, task), study.study_id)
    if task == "abnormality_grounding":
        _count_contradictions(study, report)
    radiograph = _radiograph(study.study_id, study.image_path)
    if options.targets == "one" and len(names) > 1:
        names = (names[_generator(seed, study.source, radiograph, task, "target").randrange(len(names))],)
    wordings = load_templates(options.templates).combinations(task) if repeats > 1 else 1
    for name in names:
        written: set[tuple[str, str]] = set()
        for repeat in range(repeats):
            rng = _generator(seed, study.source, radiograph, task, name, repeat)
            try:
                example = build(study, task, rng, label=name, repeat=repeat, options=options)
                while (example.question, example.answer) in written and len(written) < wordings:
                    example = build(study, task, rng, label=name, repeat=repeat, options=options)
            except BuildError as error:
                report.skip(task, error.reason, study.study_id)
                continue
            written.add((example.question, example.answer))
            report.built[task] += 1
            yield example


def _check_task(study: Study, task: str, options: BuildOptions) -> None:
    if task not in _WRITERS:
        raise BuildError(f"no such task; expected one of {', '.join(_WRITERS)}", study, task)
    if task in _CONVERSATIONS and options.conversations is None:
        raise BuildError(
            "conversation tasks need written conversations, which a study does not have: give their folder", study, task
        )


@functools.lru_cache(maxsize=16)  # asked several times of a study in turn
def _radiograph(study_id: str, image_path: str) -> str:
    """What tells a radiograph from the others of its dataset: the study, and the image if that has another name."""
    name = image_name(image_path)
    rest = study_id.removesuffix(name)
    named = rest != study_id and not rest[-1:].isalnum()  # 50414267_<dicom>, or the image's name alone
    return study_id if named else f"{study_id}:{name}"


def _generator(*parts: object) -> random.Random:
    text = "\x1f".join(map(str, parts))
    return random.Random(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big"))


def _nothing_to_ground(study: Study, task: str) -> str:
    kind = {"anatomical_grounding": "structure", "phrase_grounding": "phrase"}.get(task, "present finding")
    return f"no {kind} with a box"


def _count_contradictions(study: Study, report: BuildReport) -> None:
    for name, boxes in study.abnormalities.items():
        if boxes and study.findings.get(name) == 0:
            report.skip("abnormality_grounding", PROBLEMS["contradiction"], study.study_id)


def _draw(options: BuildOptions, rng: random.Random, task: str, group: str) -> str:
    wordings = load_templates(options.templates).wordings(task, group)
    return wordings[rng.randrange(len(wordings))]


def _left_to_right(boxes: Iterable[Box]) -> tuple[Box, ...]:
    return tuple(sorted(boxes))  # a Box orders by x1, y1, x2, y2


def _lower(name: str) -> str:
    """Lower case, unless the name is an acronym or starts in lower case; without the final full stop."""
    name = " ".join(name.split()).removesuffix(".")
    return name if name.isupper() or not name[:1].isupper() else name.lower()


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _report(study: Study, task: str, label: str, rng: random.Random, options: BuildOptions) -> _Pair:
    text = " ".join(study.report.split())
    if not text:
        raise BuildError(PROBLEMS["empty report"], study, task)
    question = _draw(options, rng, task, "questions")
    answer = _draw(options, rng, task, "answers").format(report=text)
    return _Pair(question, answer, labels=present_findings(study, options.semantics))


def _findings_or_error(study: Study, task: str, options: BuildOptions) -> tuple[str, ...]:
    semantics = options.semantics
    if not study.findings and not study.abnormalities and semantics.unlabelled_as == "skip":
        raise BuildError(PROBLEMS["unlabelled"], study, task)
    if is_undecided(study, semantics):
        raise BuildError("uncertain finding", study, task)
    return present_findings(study, semantics)


def _classification(study: Study, task: str, label: str, rng: random.Random, options: BuildOptions) -> _Pair:
    present = _findings_or_error(study, task, options)
    group = "none" if not present else "one" if len(present) == 1 else "several"
    question = _draw(options, rng, task, "questions")
    answer = _draw(options, rng, task, group)
    if present:
        answer = answer.format(labels=_listed([_lower(name) for name in present]))
    return _Pair(question, answer, labels=present)


def _detection(study: Study, task: str, label: str, rng: random.Random, options: BuildOptions) -> _Pair:
    present = _findings_or_error(study, task, options)
    boxed = [name for name in present if study.abnormalities.get(name)]
    if len(boxed) < len(present) and options.semantics.unboxed_as == "skip":
        raise BuildError(PROBLEMS["unboxed"], study, task)
    question = _draw(options, rng, task, "questions")
    if not boxed:
        return _Pair(question, _draw(options, rng, task, "none"))
    answer, finding = _draw(options, rng, task, "answers"), _draw(options, rng, task, "finding")
    boxes = [_left_to_right(study.abnormalities[name]) for name in boxed]
    written = [
        finding.format(name=_lower(name), boxes=format_boxes(group)) for name, group in zip(boxed, boxes, strict=True)
    ]
    flat = tuple(box for group in boxes for box in group)
    return _Pair(question, answer.format(findings="; ".join(written)), flat, tuple(boxed))


def _grounding(study: Study, task: str, label: str, rng: random.Random, options: BuildOptions) -> _Pair:
    if label not in targets(study, task, options.semantics):
        raise BuildError(f"no box to show for {label!r}", study, task)
    named = {"anatomical_grounding": study.structures, "phrase_grounding": study.phrases}
    boxes = _left_to_right(named.get(task, study.abnormalities)[label])
    wordings = "phrase_grounding" if task == "phrase_grounding" else "grounding"
    question = _draw(options, rng, wordings, "questions").format(name=_lower(label))
    answer = _draw(options, rng, wordings, "answers").format(name=_lower(label), boxes=format_boxes(boxes))
    return _Pair(question, answer, boxes, (label,))


def _conversation(study: Study, task: str, label: str, rng: random.Random, options: BuildOptions) -> _Pair:
    assert options.conversations is not None  # _check_task
    try:
        (question, answer), *others = options.conversations.rounds(study)
    except ConversationError as error:
        raise BuildError(str(error), study, task) from error
    boxes = tuple(parse_boxes(answer)) if task == "grounded_conversation" else ()
    return _Pair(question, answer, boxes, follow_up=tuple(others))


_WRITERS: Mapping[str, Callable[[Study, str, str, random.Random, BuildOptions], _Pair]] = {
    "report_generation": _report,
    "abnormality_classification": _classification,
    "abnormality_detection": _detection,
    **dict.fromkeys(_GROUNDING, _grounding),
    **dict.fromkeys(_CONVERSATIONS, _conversation),
}
