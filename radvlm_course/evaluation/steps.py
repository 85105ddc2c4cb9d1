"""One answer under every metric, each with the sum that gives its number: what a results table averages.

The values are those of the functions that score whole runs; the sums are written beside them for a reader to check.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from radvlm_course.boxes import Box, iou_matrix, parse_boxes, scan_boxes
from radvlm_course.evaluation import grounding, reports
from radvlm_course.evaluation.box_matching import IOU_THRESHOLD, matched_pairs
from radvlm_course.evaluation.coco import coco_table
from radvlm_course.evaluation.corpus_bleu import ORDERS
from radvlm_course.evaluation.paper_boxes import paper_boxes, paper_ious
from radvlm_course.evaluation.statistics import CountStatistic
from radvlm_course.evaluation.tables import METRIC_TITLES
from radvlm_course.records import Example
from radvlm_course.rewards.soft_f1 import matched_ious

__all__ = [
    "COCO",
    "CORRECTED",
    "ONE_READING",
    "PAPER",
    "GroupReading",
    "Step",
    "common_subsequence",
    "grounding_steps",
    "read_groups",
    "report_steps",
    "rouge_tokens",
]

ONE_READING, PAPER, CORRECTED, COCO = "", "paper", "corrected", "COCO"
_GROUP = re.compile(r"\[[^\[\]]+\]")


@dataclass(frozen=True)
class Step:
    """One metric of one answer.

    Attributes:
        metric: its title. reading: :data:`PAPER`, :data:`CORRECTED`, :data:`COCO`, or empty if there is only one.
        sum: how the value comes about, in numbers. value: 0 to 1, higher is better.
    """

    metric: str
    reading: str
    sum: str
    value: float


@dataclass(frozen=True)
class GroupReading:
    """A bracketed group of an answer and what two readers make of it.

    Attributes:
        text: as written.
        ours: the box, or None; malformed: it has a number but is no box.
        paper: the four numbers that the paper's reader takes, empty if it sees no box, None if it stops here.
    """

    text: str
    ours: Box | None
    malformed: bool
    paper: tuple[float, ...] | None


def read_groups(response: str) -> list[GroupReading]:
    """Every bracketed group of an answer as this course and as the paper's evaluation read it."""
    readings = []
    for text in _GROUP.findall(response):
        boxes, malformed = scan_boxes(text)
        corners = paper_boxes(text)
        paper = None if corners is None else tuple(float(value) for value in corners.ravel())
        readings.append(GroupReading(text, boxes[0] if boxes else None, bool(malformed), paper))
    return readings


def grounding_steps(response: str, example: Example) -> list[Step]:
    """The metrics of one grounding answer; the paper's mean AP and mean IoU of this film alone.

    Raises:
        ValueError: no box on one side: there is nothing to match.
    """
    predicted, true = parse_boxes(response), list(example.boxes)
    if not predicted or not true:
        raise ValueError(f"expected boxes on both sides, found {len(predicted)} written and {len(true)} true")
    metrics = grounding.statistics([grounding.score_response(response, example)])
    sums = _box_sums(iou_matrix(predicted, true)) | _paper_sums(response, true)
    table = coco_table([predicted], [true], [grounding.label_of(example)])
    steps = [
        _step(metrics, name, reading, sums[name])
        for name, reading in (
            ("soft_f1", ONE_READING),
            ("recall50", ONE_READING),
            ("precision50", ONE_READING),
            ("iou_paper", PAPER),
            ("iou", CORRECTED),
            ("map50_paper", PAPER),
            ("map50", CORRECTED),
        )
    ]
    for ranking, words in (
        ("as_written", "ranked as written"),
        ("worst", "wrong boxes first"),
        ("best", "right boxes first"),
    ):
        steps.append(Step("AP@0.5", COCO, f"{words}; precision read at 101 recalls", table[ranking]["map50"]))
    steps.append(Step("AP@0.5:0.95", COCO, "mean of ten thresholds, ranked as written", table["as_written"]["map"]))
    recall = table["as_written"]["average_recall"]
    return [*steps, Step("AR", COCO, "recall, mean of the ten thresholds", recall)]


def _step(metrics: dict[str, CountStatistic], name: str, reading: str, text: str) -> Step:
    return Step(METRIC_TITLES[name].replace(" (paper-compatible)", ""), reading, text, metrics[name].value)


def _box_sums(ious: np.ndarray) -> dict[str, str]:
    n_predicted, n_true = ious.shape
    hits = len(matched_pairs(ious)[0])
    partners = sorted((float(value) for value in matched_ious(ious)), reverse=True)
    summed = " + ".join(f"{value:.2f}" for value in partners)
    return {
        "soft_f1": f"2 · ({summed}) / ({n_predicted} written + {n_true} true)",
        "recall50": f"{hits} of {n_true} true boxes found at IoU {IOU_THRESHOLD}",
        "precision50": f"{hits} of {n_predicted} written boxes are right",
        "iou": f"each true box with its partner: ({summed}) / {n_true}",
        "map50": f"precision · recall = {hits}/{n_predicted} · {hits}/{n_true}",
    }


def _paper_sums(response: str, true: Sequence[Box]) -> dict[str, str]:
    """The sums of what the paper's own reader takes from the answer."""
    corners = paper_boxes(response)
    ious = None if corners is None else paper_ious(corners, true)
    if ious is None or not ious.size:
        why = "its reader stops" if ious is None else "its reader sees no box"
        return {"iou_paper": why, "map50_paper": why}
    return {
        "iou_paper": f"mean of all {ious.size} pairs: {ious.sum():.2f} / {ious.size}",
        "map50_paper": _written_order(ious),
    }


def _written_order(ious: np.ndarray) -> str:
    """The paper's curve in numbers: at each hit, the best precision from there on."""
    found: set[int] = set()
    hits = []
    for row in ious:
        best = int(row.argmax())
        hits.append(bool(row[best] >= IOU_THRESHOLD) and best not in found)
        found |= {best} if hits[-1] else set()
    order = ", ".join("right" if hit else "wrong" for hit in hits)
    right = np.cumsum(hits)
    beyond = [max(range(place, len(hits)), key=lambda p: right[p] / (p + 1)) for place in np.flatnonzero(hits)]
    terms = " + ".join(f"{right[place]}/{place + 1}" for place in beyond)
    return f"in the order {order}: ({terms or '0'}) / {ious.shape[1]}"


def report_steps(response: str, example: Example, labeller: reports.Labeller) -> list[Step]:
    """The metrics of one report, BLEU as of a corpus of this report alone.

    Args:
        labeller: reads the (finding, side) pairs, such as ``reports.phantom_labeller()``.

    Raises:
        ValueError: the response is blank.
    """
    if not response.strip():
        raise ValueError("expected a report to score, found a blank one")
    row = reports.ReportScorer(labeller).score_response(response, example)
    metrics = reports.statistics([row])
    found, true = (row[f"findings_{side}"] for side in ("predicted", "true"))
    sums = {
        "gleu": _gleu_sum(row["bleu_counts"]),
        "rouge_l": _rouge_sum(response, example.answer),
        "bleu_paper": f"words split at spaces: {_bleu_sum(row['bleu_counts_paper'])}",
        "bleu": f"punctuation apart: {_bleu_sum(row['bleu_counts'])}",
        "finding_f1_micro": _f1_sum({name for name, _ in found}, {name for name, _ in true}, "finding"),
        "finding_side_f1_micro": _f1_sum(set(map(tuple, found)), set(map(tuple, true)), "(finding, side) pair"),
    }
    readings = {"bleu_paper": PAPER, "bleu": CORRECTED}
    steps = [_step(metrics, name, readings.get(name, ONE_READING), text) for name, text in sums.items()]
    return [Step(step.metric.replace(" (micro)", ""), step.reading, step.sum, step.value) for step in steps]


def _gleu_sum(counts: Sequence[int]) -> str:
    shared, written = sum(counts[:ORDERS]), sum(counts[ORDERS : 2 * ORDERS])
    reference = sum(max(0, counts[-1] - order + 1) for order in range(1, ORDERS + 1))
    return f"{shared} shared runs; the smaller of {shared}/{written} and {shared}/{reference}"


def _rouge_sum(response: str, reference: str) -> str:
    words, others = (rouge_tokens(text) for text in (response, reference))
    common = len(common_subsequence(words, others))
    return f"{common} words in common order: 2 · {common} / ({len(words)} + {len(others)})"


def _bleu_sum(counts: Sequence[int]) -> str:
    matched, written = counts[:ORDERS], counts[ORDERS : 2 * ORDERS]
    ratios = " · ".join(f"{m}/{w}" for m, w in zip(matched, written, strict=True))
    short = f", times e^(1 - {counts[-1]}/{counts[-2]}) (short)" if 0 < counts[-2] < counts[-1] else ""
    return f"4th root of {ratios}{short}"


def _f1_sum(found: set[Any], true: set[Any], what: str) -> str:
    both = len(found & true)
    return f"2 · {both} matched / ({len(found)} + {len(true)}) of {what}s"


def rouge_tokens(text: str) -> list[str]:
    """The stems that ROUGE compares: lower case, letters and digits only."""
    from rouge_score.tokenizers import DefaultTokenizer

    return list(DefaultTokenizer(use_stemmer=True).tokenize(text))


def common_subsequence(words: Sequence[str], others: Sequence[str]) -> list[tuple[int, int]]:
    """The places, in both, of one longest common subsequence: what ROUGE-L counts."""
    lengths = [[0] * (len(others) + 1) for _ in range(len(words) + 1)]  # of the rests from here on
    for i in reversed(range(len(words))):
        for j in reversed(range(len(others))):
            longer = max(lengths[i + 1][j], lengths[i][j + 1])
            lengths[i][j] = lengths[i + 1][j + 1] + 1 if words[i] == others[j] else longer
    pairs, j = [], 0
    for i, word in enumerate(words):
        while j < len(others) and lengths[i][j] == lengths[i][j + 1]:
            j += 1  # the rest does without this one
        if j < len(others) and word == others[j]:
            pairs.append((i, j))
            j += 1
    return pairs
