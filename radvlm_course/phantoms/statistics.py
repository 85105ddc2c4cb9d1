"""What a population of phantoms contains, and what can be scored on it without looking.

A model that always answers with one fixed box must not do well, or grounding scores would say nothing about seeing.
:func:`prior_accuracy` measures two such answers: the mean box of a finding, and the mean box on its commonest side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from radvlm_course.boxes import Box, iou_matrix
from radvlm_course.phantoms.film import Phantom, describe_film, plan_film
from radvlm_course.phantoms.findings import FINDINGS

__all__ = ["FindingStatistics", "Population", "measure_population", "prior_accuracy", "survey"]


@dataclass(frozen=True)
class FindingStatistics:
    """What holds for one finding in a population.

    Attributes:
        share: films that have it, 0 to 1.
        boxes: boxes a film that has it.
        width, height: 10th, 50th and 90th percentile of the boxes' sides, unit coordinates.
        mean_box, side_box: accuracy of the two fixed answers, over all boxes, 0 to 1.
        within_side: accuracy of the commonest side's mean box over that side's boxes only, as if the side were known.
    """

    finding: str
    share: float
    boxes: float
    width: tuple[float, float, float]
    height: tuple[float, float, float]
    mean_box: float
    side_box: float
    within_side: float


@dataclass(frozen=True)
class Population:
    """Statistics of a population of phantoms; shares are 0 to 1."""

    phantoms: int
    normal: float
    uncertain: float
    words: tuple[int, float, int]
    vocabulary: int
    findings: tuple[FindingStatistics, ...]


def survey(seeds: Iterable[int]) -> list[Phantom]:
    """Phantoms without their pictures, which the statistics do not need."""
    return [describe_film(plan_film(seed), seed, None) for seed in seeds]


def prior_accuracy(answer: Sequence[Box], boxes: Sequence[Box], threshold: float = 0.5) -> float:
    """Share of ``boxes`` that the mean of the boxes ``answer`` overlaps with an IoU of at least ``threshold``."""
    mean = Box(*np.mean([box.to_list() for box in answer], axis=0).tolist())
    return float((iou_matrix([mean], boxes) >= threshold).mean())


def measure_population(phantoms: Sequence[Phantom]) -> Population:
    """Frequencies, box sizes, report lengths and prior accuracies.

    Raises:
        ValueError: there is no phantom.
    """
    if not phantoms:
        raise ValueError("expected at least one phantom to measure, found none")
    words = [phantom.report.split() for phantom in phantoms]
    counts = [len(each) for each in words]
    values = [value for phantom in phantoms for value in phantom.findings.values() if value]
    return Population(
        phantoms=len(phantoms),
        normal=float(np.mean([not phantom.abnormalities for phantom in phantoms])),
        uncertain=values.count(-1) / max(len(values), 1),
        words=(min(counts), float(np.mean(counts)), max(counts)),
        vocabulary=len({word.strip(".,").lower() for each in words for word in each}),
        findings=tuple(_measure(finding, phantoms) for finding in FINDINGS if _boxes(finding, phantoms)),
    )


def _boxes(finding: str, phantoms: Sequence[Phantom]) -> list[tuple[str, Box]]:
    return [
        (attribute.side, box)
        for phantom in phantoms
        if finding in phantom.abnormalities
        for attribute, box in zip(phantom.attributes[finding], phantom.abnormalities[finding], strict=True)
    ]


def _measure(finding: str, phantoms: Sequence[Phantom]) -> FindingStatistics:
    sided = _boxes(finding, phantoms)
    boxes = [box for _, box in sided]
    commonest = Counter(side for side, _ in sided).most_common(1)[0][0]
    on_side = [box for side, box in sided if side == commonest]
    films = sum(finding in phantom.abnormalities for phantom in phantoms)
    return FindingStatistics(
        finding=finding,
        share=films / len(phantoms),
        boxes=len(boxes) / films,
        width=_percentiles([box.width for box in boxes]),
        height=_percentiles([box.height for box in boxes]),
        mean_box=prior_accuracy(boxes, boxes),
        side_box=prior_accuracy(on_side, boxes),
        within_side=prior_accuracy(on_side, on_side),
    )


def _percentiles(values: Sequence[float]) -> tuple[float, float, float]:
    low, middle, high = np.percentile(values, [10, 50, 90])
    return float(low), float(middle), float(high)
