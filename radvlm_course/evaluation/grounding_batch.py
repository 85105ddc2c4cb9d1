"""The grounding metrics of many answers at once, as columns: equal to the definitions, some fifty times faster.

Most of the time of a loop over samples goes into small arrays and small objects. Here the boxes of all answers lie
below each other in one array; samples with equal numbers of boxes are matched together, by trying all assignments
where these are few (up to 120), else one by one with the Hungarian algorithm. Memory is bounded by blocks.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from radvlm_course.boxes import Box, scan_boxes
from radvlm_course.evaluation.box_matching import IOU_THRESHOLD, LARGE_FROM, SMALL_BELOW, matched_pairs
from radvlm_course.evaluation.paper_boxes import paper_boxes
from radvlm_course.rewards.soft_f1 import candidates, claims_nothing

__all__ = ["Answers", "Boxes", "Columns", "columns_of", "read_answers"]

_FORM = np.frombuffer(b"[0.00, 0.00, 0.00, 0.00]", np.uint8)
_DIGITS = np.equal(_FORM, ord("0"))
_MOST_ASSIGNMENTS = 120
_CELLS = 1_000_000  # numbers in one block


@dataclass(frozen=True)
class Boxes:
    """The boxes of many samples, one below the other.

    Attributes:
        corners: float64, shape (n_boxes, 4).
        counts: boxes of each sample, shape (n_samples,).
    """

    corners: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, groups: Sequence[Sequence[Box]]) -> Boxes:
        """The boxes of samples, in order."""
        flat = [number for boxes in groups for box in boxes for number in (box.x1, box.y1, box.x2, box.y2)]
        counts = np.fromiter(map(len, groups), np.int64, len(groups))
        return cls(np.array(flat, dtype=np.float64).reshape(-1, 4), counts)

    @property
    def starts(self) -> np.ndarray:
        """Where each sample's boxes begin, shape (n_samples,)."""
        return np.cumsum(self.counts) - self.counts


@dataclass(frozen=True)
class Answers:
    """What was read in the answers.

    Attributes:
        boxes: the course's reading, unit coordinates.
        paper: the paper's reading; empty where its reader would stop, which ``stops`` says.
        malformed: malformed boxes of each answer. silent: whether an answer says in words that there is nothing.
    """

    boxes: Boxes
    paper: Boxes
    stops: np.ndarray
    malformed: np.ndarray
    silent: np.ndarray


@dataclass(frozen=True)
class Columns:
    """One value a sample; see ``grounding.score_response`` for their meaning."""

    n_predicted: np.ndarray
    n_true: np.ndarray
    n_malformed: np.ndarray
    true_positives: np.ndarray
    soft_f1: np.ndarray
    matched_iou: np.ndarray
    correct: np.ndarray
    true_by_size: np.ndarray
    found_by_size: np.ndarray
    average_precision_of_sample: np.ndarray
    iou_sum_paper: np.ndarray
    iou_pairs_paper: np.ndarray
    paper_reader_stops: np.ndarray


def columns_of(responses: Sequence[str], truths: Sequence[Sequence[Box]]) -> Columns:
    """Score answers against the true boxes.

    Args:
        responses: the answers without thoughts; blank for none.
        truths: the true boxes of each, unit coordinates.
    """
    answers, true = read_answers(responses), Boxes.of(truths)
    matched, found = _matched(answers.boxes, true)
    precision, iou_sum, stops = _paper(answers.paper, true)
    stops |= answers.stops
    n_predicted, n_true = answers.boxes.counts, true.counts
    owner = np.repeat(np.arange(len(n_true)), n_true)
    area = np.round(_area(true.corners), 12)
    cell = owner * 3 + (area >= SMALL_BELOW) + (area >= LARGE_FROM)
    by_size, found_by_size = (
        np.bincount(cell, weights, minlength=3 * len(n_true)).astype(np.int64).reshape(-1, 3)
        for weights in (np.ones(len(cell)), found)
    )
    hits = found_by_size.sum(axis=1)
    nothing = (n_predicted == 0) & (n_true == 0)
    boxes = np.maximum(n_predicted + n_true, 1)
    soft_f1 = np.where(nothing, answers.silent.astype(np.float64), np.minimum(1.0, 2 * matched / boxes))
    right = (hits == n_predicted) & (hits == n_true)
    return Columns(
        n_predicted=n_predicted,
        n_true=n_true,
        n_malformed=answers.malformed,
        true_positives=hits,
        soft_f1=soft_f1,
        matched_iou=matched,
        correct=np.where(n_true > 0, right, nothing & answers.silent),
        true_by_size=by_size,
        found_by_size=found_by_size,
        average_precision_of_sample=np.where(stops, 0.0, precision),
        iou_sum_paper=np.where(stops, 0.0, iou_sum),
        iou_pairs_paper=np.where(stops, 0, answers.paper.counts * n_true),
        paper_reader_stops=stops,
    )


def read_answers(responses: Sequence[str]) -> Answers:
    """Read the boxes of all answers.

    Boxes as models are taught to write them (``[0.38, 0.47, 0.76, 0.62]``) are read from the bytes of all answers at
    once; an answer with any other bracket goes through the two careful readers.
    """
    joined = "\n".join(responses)
    data = np.frombuffer(joined.encode("utf-8", "replace") + b"\n" * len(_FORM), np.uint8)
    in_bytes = map(len, responses) if joined.isascii() else (len(text.encode("utf-8", "replace")) for text in responses)
    lengths = np.fromiter(in_bytes, np.int64, len(responses))
    opened = np.flatnonzero(data == ord("["))
    owner = np.searchsorted(np.cumsum(lengths + 1), opened, side="right")
    written = np.stack([data[opened + place] for place in range(len(_FORM))], axis=1)  # (n_brackets, 24)
    digits = written[:, _DIGITS].astype(np.int64) - ord("0")  # (n_brackets, 12)
    formed = (written[:, ~_DIGITS] == _FORM[~_DIGITS]).all(axis=1) & ((digits >= 0) & (digits <= 9)).all(axis=1)
    corners = (digits.reshape(-1, 4, 3) @ (100, 10, 1)) / 100  # the float that "0.38" stands for, to the last bit
    inside = (corners <= 1).all(axis=1) & (corners[:, :2] < corners[:, 2:]).all(axis=1)
    careful = np.unique(owner[~(formed & inside)])
    kept = ~np.isin(owner, careful)
    without = np.flatnonzero(np.bincount(owner, minlength=len(responses)) == 0).tolist()
    silent = np.zeros(len(responses), dtype=bool)
    silent[without] = [claims_nothing(responses[index]) for index in without]
    return _with_careful(responses, corners[kept], owner[kept], silent, careful.tolist())


def _with_careful(
    responses: Sequence[str], corners: np.ndarray, owner: np.ndarray, silent: np.ndarray, careful: list[int]
) -> Answers:
    total = len(responses)
    malformed, stops = np.zeros(total, dtype=np.int64), np.zeros(total, dtype=bool)
    boxes, papers = [corners], [corners]
    owners, paper_owners = [owner], [owner]
    for index in careful:
        read, broken = scan_boxes(responses[index])
        paper = paper_boxes(responses[index])
        malformed[index], stops[index] = len(broken), paper is None
        paper = np.zeros((0, 4)) if paper is None else paper
        boxes.append(np.array([box.to_list() for box in read], dtype=np.float64).reshape(-1, 4))
        papers.append(paper)
        owners.append(np.full(len(read), index))
        paper_owners.append(np.full(len(paper), index))
    return Answers(_sorted(boxes, owners, total), _sorted(papers, paper_owners, total), stops, malformed, silent)


def _sorted(corners: list[np.ndarray], owners: list[np.ndarray], total: int) -> Boxes:
    """Boxes in the order of their samples; within a sample as written."""
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    return Boxes(np.concatenate(corners)[order], np.bincount(owner, minlength=total))


def _area(corners: np.ndarray) -> np.ndarray:
    return (corners[..., 2] - corners[..., 0]) * (corners[..., 3] - corners[..., 1])


def _blocks(predicted: Boxes, true: Boxes, per_sample: int = 1) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Samples with equal numbers of boxes, at least one on each side.

    Yields:
        samples, shape (g,); predicted corners, shape (g, p, 4); true boxes' places, shape (g, t).
    """
    both = (predicted.counts > 0) & (true.counts > 0)
    code = predicted.counts * (int(true.counts.max(initial=0)) + 1) + true.counts
    starts, true_starts = predicted.starts, true.starts
    order = np.argsort(code, kind="stable")
    order = order[both[order]]
    edges = np.flatnonzero(np.diff(code[order], prepend=-1))
    for samples in np.split(order, edges[1:]):
        if not len(samples):
            continue
        p, t = int(predicted.counts[samples[0]]), int(true.counts[samples[0]])
        size = max(1, _CELLS // (p * t))
        for start in range(0, len(samples), size):
            some = samples[start : start + size]
            places = starts[some][:, None] + np.arange(p)
            yield some, predicted.corners[places], true_starts[some][:, None] + np.arange(t)


def _ious(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """IoU of every pair within each sample, shape (g, p, t), the same floats as :meth:`Box.iou` gives."""
    a, b = a[:, :, None], b[:, None]
    width = np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0])
    height = np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 1], b[..., 1])
    overlap = np.clip(width, 0, None) * np.clip(height, 0, None)
    with np.errstate(divide="ignore", invalid="ignore"):  # only the paper's reading has unions of zero; seen to there
        return overlap / (_area(a) + _area(b) - overlap)


def _matched(predicted: Boxes, true: Boxes) -> tuple[np.ndarray, np.ndarray]:
    """Sum of matched IoUs of each sample, and whether each true box is found."""
    total, found = np.zeros(len(true.counts)), np.zeros(len(true.corners), dtype=bool)
    for samples, corners, places in _blocks(predicted, true):
        ious = _ious(corners, true.corners[places])
        g, p, t = ious.shape
        if math.perm(max(p, t), min(p, t)) <= _MOST_ASSIGNMENTS:
            for start in range(0, g, step := max(1, _CELLS // (_MOST_ASSIGNMENTS * min(p, t)))):
                part = slice(start, start + step)
                total[samples[part]], found[places[part]] = _tried(ious[part])
        else:
            for index in range(g):
                total[samples[index]], found[places[index]] = _hungarian(ious[index])
    return total, found


def _tried(ious: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of matched IoUs (g,) and found true boxes (g, t), by trying all assignments."""
    g, p, t = ious.shape
    rows, columns = _assignments(p, t)  # (assignments, min(p, t))
    values = ious[:, rows, columns]  # (g, assignments, min(p, t))
    totals = np.sort(values, axis=-1).sum(axis=-1).max(axis=1)
    hits = values >= IOU_THRESHOLD
    best = np.where(hits, min(p, t) + 1.0 + values, 0.0).sum(axis=-1).argmax(axis=1)
    found = np.zeros((g, t), dtype=bool)
    chosen = np.arange(g)
    found[chosen[:, None], columns[best]] = hits[chosen, best]
    return totals, found


@lru_cache(maxsize=64)
def _assignments(p: int, t: int) -> tuple[np.ndarray, np.ndarray]:
    """All one-to-one assignments: (predictions, true boxes), each of shape (assignments, min(p, t))."""
    many = np.array(list(itertools.permutations(range(max(p, t)), min(p, t))))
    few = np.broadcast_to(np.arange(min(p, t)), many.shape)
    return (few, many) if p <= t else (many, few)


def _hungarian(ious: np.ndarray) -> tuple[float, np.ndarray]:
    from scipy.optimize import linear_sum_assignment

    rows = ious[candidates(ious)]
    matched = rows[linear_sum_assignment(rows, maximize=True)]
    found = np.zeros(ious.shape[1], dtype=bool)
    found[matched_pairs(ious)[1]] = True
    return float(np.sort(matched).sum()), found


def _paper(predicted: Boxes, true: Boxes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Average precision, sum of IoUs over all pairs, and whether the paper's code would divide by zero, a sample."""
    total = len(true.counts)
    precision, iou_sum, stops = np.zeros(total), np.zeros(total), np.zeros(total, dtype=bool)
    for samples, corners, places in _blocks(predicted, true):
        ious = _ious(corners, true.corners[places])
        broken = ~np.isfinite(ious).all(axis=(1, 2))
        ious = np.where(broken[:, None, None], 0.0, ious)
        stops[samples], iou_sum[samples] = broken, ious.sum(axis=(1, 2))
        precision[samples] = _average_precision(ious)
    return precision, iou_sum, stops


def _average_precision(ious: np.ndarray) -> np.ndarray:
    """``box_matching.average_precision_of_sample`` of each sample, shape (g,)."""
    g, p, t = ious.shape
    best = ious.argmax(axis=2)  # (g, p)
    reach = np.take_along_axis(ious, best[..., None], axis=2)[..., 0] >= IOU_THRESHOLD
    found, hits, samples = np.zeros((g, t), dtype=bool), np.zeros((g, p), dtype=bool), np.arange(g)
    for rank in range(p):
        hits[:, rank] = reach[:, rank] & ~found[samples, best[:, rank]]
        found[samples, best[:, rank]] |= hits[:, rank]
    precision = np.cumsum(hits, axis=1) / np.arange(1, p + 1)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    return (envelope * hits).sum(axis=1) / t
