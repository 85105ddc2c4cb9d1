"""Report metrics: a generated report against the reference report.

Words: GLEU and ROUGE-L (the same code as the rewards of these names). Length in characters and words,
because a metric that rises while reports shrink is being hacked. Facts: which findings the two reports
affirm, as a rule-based labeller reads them, compared as sets; on phantoms the labeller knows the grammar of
the reports, so this is close to the truth. Clinical metrics of real reports (CheXbert, RadGraph, RadCliQ) need
models and are not here.

Findings are compared twice: by name, and by name and side ("left effusion" for a right one is then two
errors). *Micro* F1 pools the counts of all findings; *macro* F1 is the mean of each finding's F1 over the
findings that occur in references or predictions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from radvlm_course.evaluation.statistics import CountStatistic, f1, mean_statistic, ratio
from radvlm_course.records import Example
from radvlm_course.rewards.gleu import Gleu
from radvlm_course.rewards.rouge import Rouge

__all__ = ["Labeller", "ReportScorer", "phantom_labeller", "statistics"]

Labeller = Callable[[str], frozenset[tuple[str, str]]]
"""Report text -> the (finding, side) pairs that it affirms; side is ``left``, ``right`` or empty."""


def phantom_labeller() -> Labeller:
    """The labeller of phantom reports."""
    from radvlm_course.phantoms.labeller import report_findings

    return report_findings


class ReportScorer:
    """Scores one report at a time.

    Args:
        labeller: reads findings; None leaves the finding metrics out.
    """

    def __init__(self, labeller: Labeller | None = None) -> None:
        self._labeller = labeller
        self._rewards = (Gleu(), Rouge("l"))

    def score_response(self, response: str | None, example: Example) -> dict[str, Any]:
        """The row of one report example.

        Args:
            response: the report without its thought; None or blank counts as an empty report.

        Returns:
            ``gleu`` and ``rouge_l`` (0 to 1, higher is better), ``characters`` and ``words`` of the response,
            and, with a labeller, ``findings_predicted`` and ``findings_true``: sorted [finding, side] pairs.

        Raises:
            RewardError: the reference report is empty; names the example.
        """
        text = (response or "").strip()
        row: dict[str, Any] = {reward.name: reward([text], [example])[0] for reward in self._rewards}
        row |= {"characters": len(text), "words": len(text.split())}
        if self._labeller is not None:
            row["findings_predicted"] = _pairs(self._labeller(text))
            row["findings_true"] = _pairs(self._labeller(example.answer))
        return row


def _pairs(findings: frozenset[tuple[str, str]]) -> list[list[str]]:
    return [list(pair) for pair in sorted(findings)]


def statistics(rows: Sequence[Mapping[str, Any]]) -> dict[str, CountStatistic]:
    """The metrics of a set of report rows.

    ``gleu``, ``rouge_l``: means, higher is better. ``characters``, ``words``: mean lengths, neither direction
    is better. With findings in the rows also ``finding_f1_micro``, ``finding_f1_macro`` (by name),
    ``finding_side_f1_micro``, ``finding_side_f1_macro`` (by name and side) and ``findings_exact``, the share of
    reports whose findings and sides are all right; higher is better.
    """
    names = ("gleu", "rouge_l", "characters", "words")
    result = {name: mean_statistic([float(row[name]) for row in rows]) for name in names}
    if not rows or "findings_true" not in rows[0]:
        return result
    for kind, with_side in (("finding", False), ("finding_side", True)):
        counts = _finding_counts(rows, with_side)
        result[f"{kind}_f1_micro"] = CountStatistic(counts, _micro_f1)
        result[f"{kind}_f1_macro"] = CountStatistic(counts, _macro_f1)
    exact = [float(row["findings_predicted"] == row["findings_true"]) for row in rows]
    return {**result, "findings_exact": mean_statistic(exact)}


def finding_statistics(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, CountStatistic]]:
    """Each finding's F1, recall and precision by name: finding -> metric -> statistic over the same rows."""
    if not rows or "findings_true" not in rows[0]:
        return {}
    vocabulary, counts = _vocabulary(rows, False), _finding_counts(rows, False)
    result = {}
    for index, (finding, *_) in enumerate(vocabulary):
        mine = counts[:, 3 * index : 3 * index + 3]
        n = int(mine[:, 2].sum())
        result[finding] = {
            "finding_f1": CountStatistic(mine, _micro_f1, n),
            "recall": CountStatistic(mine, lambda sums: ratio(sums[..., 0], sums[..., 2]), n),
            "precision": CountStatistic(mine, lambda sums: ratio(sums[..., 0], sums[..., 1]), n),
        }
    return result


def _found(row: Mapping[str, Any], side: str, with_side: bool) -> set[tuple[str, ...]]:
    return {tuple(pair) if with_side else (pair[0],) for pair in row[f"findings_{side}"]}


def _vocabulary(rows: Sequence[Mapping[str, Any]], with_side: bool) -> list[tuple[str, ...]]:
    return sorted({pair for row in rows for side in ("predicted", "true") for pair in _found(row, side, with_side)})


def _finding_counts(rows: Sequence[Mapping[str, Any]], with_side: bool) -> np.ndarray:
    """(true positives, predicted, true) of each finding, shape (n_examples, 3 n_findings)."""
    columns = {pair: index for index, pair in enumerate(_vocabulary(rows, with_side))}
    counts = np.zeros((len(rows), len(columns), 3))
    for index, row in enumerate(rows):
        predicted, true = _found(row, "predicted", with_side), _found(row, "true", with_side)
        for place, pairs in enumerate((predicted & true, predicted, true)):
            for pair in pairs:
                counts[index, columns[pair], place] = 1.0
    return counts.reshape(len(rows), -1)


def _micro_f1(sums: np.ndarray) -> np.ndarray:
    pooled = sums.reshape(*sums.shape[:-1], -1, 3).sum(axis=-2)
    return f1(pooled[..., 0], pooled[..., 1], pooled[..., 2])


def _macro_f1(sums: np.ndarray) -> np.ndarray:
    table = sums.reshape(*sums.shape[:-1], -1, 3)
    values = f1(table[..., 0], table[..., 1], table[..., 2])
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1))
