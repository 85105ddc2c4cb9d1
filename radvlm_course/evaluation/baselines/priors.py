"""Priors: answers that never look at the image, learnt from the training answers alone.

A finding that is always at the same place, or a report that is always the same, earns a good score for
free. These baselines earn exactly that, so that a table shows how much of a model's score is sight:

- ``mean_box``: for each label the mean of all its training boxes.
- ``commonest_side_box``: for each label the mean of its boxes on the side of the image that has most of them;
  the stronger one for paired organs, whose overall mean lies in between.
- ``constant_report``: the training report with the best mean GLEU against the training reports.
- ``commonest_findings``: the report that always affirms the k commonest findings, with the k of the best
  micro F1 on the training reports; worded with sentences of the training reports.

They write ordinary :class:`~radvlm_course.evaluation.predictions.Prediction` rows, so the same metrics score
them.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from radvlm_course.boxes import Box, format_box
from radvlm_course.evaluation.grounding import label_of
from radvlm_course.evaluation.predictions import Prediction
from radvlm_course.evaluation.reports import Labeller
from radvlm_course.records import Example
from radvlm_course.rewards.base import BOX_TASKS
from radvlm_course.rewards.gleu import Gleu

__all__ = ["best_constant_report", "commonest_findings", "commonest_side_box", "constant_report", "mean_box"]

Key = tuple[str, str]  # task, label

REPORT_TASK = "report_generation"
_SENTENCE_END = re.compile(r"(?<=[.;!?])\s+")


def mean_box(train: Iterable[Example], examples: Iterable[Example]) -> Iterator[Prediction]:
    """Answer each grounding example with the mean of all training boxes of its label.

    Args:
        train: training examples; those of grounding tasks are used.
        examples: what to answer; examples of other tasks are passed over.

    Raises:
        ValueError: there is no training box.
    """
    return _box_answers(train, examples, _mean, "prior: mean box")


def commonest_side_box(train: Iterable[Example], examples: Iterable[Example]) -> Iterator[Prediction]:
    """Like :func:`mean_box`, with the mean over the half of the image that holds most boxes of the label."""
    return _box_answers(train, examples, _commonest_side_mean, "prior: mean box of the commonest side")


def _box_answers(
    train: Iterable[Example], examples: Iterable[Example], choose: Callable[[np.ndarray], Box], model: str
) -> Iterator[Prediction]:
    boxes: dict[Key, list[list[float]]] = {}
    for example in train:
        if example.task in BOX_TASKS:
            boxes.setdefault((example.task, label_of(example)), []).extend(box.to_list() for box in example.boxes)
    tables = {key: np.array(rows) for key, rows in boxes.items() if rows}
    if not tables:
        raise ValueError(f"{model}: expected training examples with boxes, found none")
    answers = {key: choose(table) for key, table in tables.items()}
    anywhere = choose(np.concatenate([tables[key] for key in sorted(tables)]))
    return _written(examples, answers, anywhere, model)


def _written(
    examples: Iterable[Example], answers: Mapping[Key, Box], anywhere: Box, model: str
) -> Iterator[Prediction]:
    unknown: Counter[str] = Counter()
    for example in examples:
        if example.task not in BOX_TASKS:
            continue
        key = (example.task, label_of(example))
        unknown.update([] if key in answers else [label_of(example)])
        text = format_box(answers.get(key, anywhere))
        yield Prediction(example.id, text, text, model, {}, "stop")
    if unknown:
        warnings.warn(f"{model}: no training box for {dict(unknown)}; the mean of all boxes was used", stacklevel=2)


def _mean(boxes: np.ndarray) -> Box:
    return Box.clipped(*(float(value) for value in boxes.mean(axis=0)))


def _commonest_side_mean(boxes: np.ndarray) -> Box:
    """Mean of the boxes whose centre lies in the more crowded half of the image (the right half on a tie)."""
    right = boxes[:, [0, 2]].mean(axis=1) > 0.5
    return _mean(boxes[right] if 2 * right.sum() >= len(boxes) else boxes[~right])


def constant_report(
    train: Iterable[Example], examples: Iterable[Example], candidates: int = 100, references: int = 200
) -> Iterator[Prediction]:
    """Answer every report example with the training report of :func:`best_constant_report`."""
    report = best_constant_report(_reports(train), candidates, references)
    return _same_report(examples, report, "prior: best constant report")


def best_constant_report(reports: Sequence[str], candidates: int = 100, references: int = 200) -> str:
    """The report with the best mean GLEU against all, the most central one.

    Args:
        reports: training reports.
        candidates: how many of the commonest distinct reports are tried.
        references: how many reports they are compared with, evenly spaced over all.

    Raises:
        ValueError: there is no report.
    """
    if not reports:
        raise ValueError("expected training reports, found none")
    gleu = Gleu()
    commonest = [text for text, _ in sorted(Counter(reports).items(), key=lambda item: (-item[1], item[0]))]
    spaced = np.linspace(0, len(reports) - 1, min(references, len(reports))).round().astype(int)
    compared = Counter(reports[index] for index in spaced)
    targets = [
        (Example(id="training report", task=REPORT_TASK, image_path="", question="", answer=text), count)
        for text, count in sorted(compared.items())
    ]

    def total(candidate: str) -> float:
        return sum(count * gleu.score(candidate, target) for target, count in targets)

    return max(commonest[:candidates], key=total)


def commonest_findings(
    train: Iterable[Example], examples: Iterable[Example], labeller: Labeller
) -> Iterator[Prediction]:
    """Answer every report example with a report that affirms the k commonest training findings.

    Args:
        labeller: reads (finding, side) pairs, as ``reports.phantom_labeller()`` does.

    Raises:
        ValueError: there is no training report, or none affirms a finding.
    """
    reports = _reports(train)
    found = [labeller(text) for text in reports]
    names = [{name for name, _ in pairs} for pairs in found]
    frequency = Counter(name for one in names for name in one)
    if not frequency:
        raise ValueError(f"expected training reports that affirm findings, found none in {len(reports)} reports")
    ranked = sorted(frequency, key=lambda name: (-frequency[name], name))
    total = sum(frequency.values())

    def micro_f1(k: int) -> float:
        return 2 * sum(frequency[name] for name in ranked[:k]) / (k * len(reports) + total)

    best = max(range(1, len(ranked) + 1), key=micro_f1)
    sentences = _sentence_for_each(reports, labeller)
    chosen = [sentences[name] for name in ranked[:best] if name in sentences]
    if len(chosen) < best:
        lost = [name for name in ranked[:best] if name not in sentences]
        warnings.warn(f"no training sentence affirms only {', '.join(lost)}: left out of the report", stacklevel=2)
    return _same_report(examples, " ".join(chosen), "prior: commonest findings")


def _sentence_for_each(reports: Iterable[str], labeller: Labeller) -> dict[str, str]:
    """For each finding its commonest training sentence that affirms it (at its commonest side) and no other."""
    sentences = Counter(sentence for text in reports for sentence in _SENTENCE_END.split(text.strip()) if sentence)
    sides: dict[str, Counter[frozenset[tuple[str, str]]]] = {}
    wording: dict[frozenset[tuple[str, str]], str] = {}
    for sentence, count in sorted(sentences.items(), key=lambda item: (-item[1], item[0])):
        pairs = labeller(sentence)
        if len({name for name, _ in pairs}) == 1:
            (name,) = {name for name, _ in pairs}
            sides.setdefault(name, Counter())[pairs] += count
            wording.setdefault(pairs, sentence)
    return {name: wording[max(table, key=lambda p: (table[p], sorted(p)))] for name, table in sides.items()}


def _reports(train: Iterable[Example]) -> list[str]:
    reports = [example.answer for example in train if example.task == REPORT_TASK]
    if not reports:
        raise ValueError("expected training examples of report_generation, found none")
    return reports


def _same_report(examples: Iterable[Example], report: str, model: str) -> Iterator[Prediction]:
    for example in examples:
        if example.task == REPORT_TASK:
            yield Prediction(example.id, report, report, model, {}, "stop")
