"""Report metrics: a generated report against the reference report.

Words: GLEU and ROUGE-L (the same code as the rewards of these names), BLEU-4 of the whole set
(:mod:`~radvlm_course.evaluation.corpus_bleu`). Length in characters and words, because a metric that rises while
reports shrink is being hacked. Facts, without a model: which findings the two reports affirm, as a rule-based labeller
reads them, compared as sets. On phantoms the labeller knows the grammar of the reports, so this is close to the truth;
on real reports the fourteen observations are read by rules (:mod:`~radvlm_course.evaluation.observations`). Facts, with
models: :mod:`~radvlm_course.evaluation.clinical`.

Findings are compared twice: by name, and by name and side ("left effusion" for a right one is then two
errors). *Micro* F1 pools the counts of all findings; *macro* F1 is the mean of each finding's F1 over the
findings that occur in references or predictions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from radvlm_course.evaluation import clinical
from radvlm_course.evaluation.corpus_bleu import corpus_bleu, corpus_bleu_paper, ngram_counts
from radvlm_course.evaluation.label_counts import MEASURES, label_counts, macro, micro, of_label
from radvlm_course.evaluation.observations import OBSERVATIONS, present_observations
from radvlm_course.evaluation.statistics import CountStatistic, mean_statistic
from radvlm_course.records import Example
from radvlm_course.rewards.gleu import Gleu
from radvlm_course.rewards.rouge import Rouge
from radvlm_course.rewards.scorers.chexbert import FIVE

__all__ = ["Labeller", "ReportScorer", "finding_statistics", "phantom_labeller", "statistics"]

Labeller = Callable[[str], frozenset[tuple[str, str]]]
"""Report text -> the (finding, side) pairs that it affirms; side is ``left``, ``right`` or empty."""
_SIDES = ("predicted", "true")


def phantom_labeller() -> Labeller:
    """The labeller of phantom reports."""
    from radvlm_course.phantoms.labeller import report_findings

    return report_findings


class ReportScorer:
    """Scores reports.

    Args:
        labeller: reads findings; None leaves the finding metrics out.
        observations: read the fourteen observations by rules; for real reports.
        clinical_scorer: metrics that need models; None leaves them out.
    """

    def __init__(
        self,
        labeller: Labeller | None = None,
        observations: bool = False,
        clinical_scorer: clinical.ClinicalScorer | None = None,
    ) -> None:
        self._labeller, self._clinical = labeller, clinical_scorer
        self._rewards = (Gleu(), Rouge("l"))
        self._observed = lru_cache(maxsize=10_000)(_observed) if observations else None

    def score_response(self, response: str | None, example: Example) -> dict[str, Any]:
        """The row of one report example; see :meth:`score_responses`."""
        return self.score_responses([response], [example])[0]

    def score_responses(self, responses: Sequence[str | None], examples: Sequence[Example]) -> list[dict[str, Any]]:
        """The rows of report examples.

        Args:
            responses: the reports without their thoughts; None or blank counts as an empty report.

        Returns:
            For each: ``gleu`` and ``rouge_l`` (0 to 1, higher is better), ``bleu_counts`` and ``bleu_counts_paper``
            (see ``corpus_bleu.ngram_counts``), ``characters`` and ``words`` of the response; with a labeller
            ``findings_predicted`` and ``findings_true``: sorted [finding, side] pairs; with observations
            ``observations_predicted`` and ``observations_true``: sorted names; and the columns of the clinical scorer.

        Raises:
            RewardError: a reference report is empty; names the example.
        """
        texts = [(response or "").strip() for response in responses]
        values = {reward.name: reward(texts, examples) for reward in self._rewards}
        columns = {} if self._clinical is None else self._clinical.columns(texts, examples)
        rows = []
        for index, (text, example) in enumerate(zip(texts, examples, strict=True)):
            row: dict[str, Any] = {name: column[index] for name, column in values.items()}
            row |= self._counted(text, example.answer)
            rows.append(row | {name: column[index] for name, column in columns.items()})
        return rows

    def _counted(self, text: str, reference: str) -> dict[str, Any]:
        tokens = self._rewards[0].tokens
        row: dict[str, Any] = {
            "bleu_counts": ngram_counts(tokens(text), tokens(reference)),
            "bleu_counts_paper": ngram_counts(text.split(), reference.split()),
            "characters": len(text),
            "words": len(text.split()),
        }
        if self._labeller is not None:
            row["findings_predicted"] = _pairs(self._labeller(text))
            row["findings_true"] = _pairs(self._labeller(reference))
        if self._observed is not None:
            row["observations_predicted"] = list(self._observed(text))
            row["observations_true"] = list(self._observed(reference))
        return row


def _observed(text: str) -> tuple[str, ...]:
    return tuple(sorted(present_observations(text)))


def _pairs(findings: frozenset[tuple[str, str]]) -> list[list[str]]:
    return [list(pair) for pair in sorted(findings)]


def statistics(rows: Sequence[Mapping[str, Any]]) -> dict[str, CountStatistic]:
    """The metrics of a set of report rows.

    ``gleu``, ``rouge_l``: means; ``bleu``, ``bleu_paper``: of the whole set; higher is better. ``characters``,
    ``words``: mean lengths, neither direction is better. With findings in the rows also ``finding_f1_micro``,
    ``finding_f1_macro`` (by name), ``finding_side_f1_micro``, ``finding_side_f1_macro`` (by name and side) and
    ``findings_exact``, the share of reports whose findings and sides are all right; with observations
    ``observation_f1_micro``, ``observation_f1_macro`` (14) and the same of CheXbert's five, ``observation_f1_5_micro``
    and ``observation_f1_5_macro``; higher is better. And those of ``clinical.statistics``.
    """
    names = ("gleu", "rouge_l", "characters", "words")
    result = {name: mean_statistic([float(row[name]) for row in rows]) for name in names}
    for name, function in (("bleu", corpus_bleu), ("bleu_paper", corpus_bleu_paper)):
        table = np.array([row[name.replace("bleu", "bleu_counts")] for row in rows], dtype=np.float64)
        result[name] = CountStatistic(table.reshape(len(rows), -1), function)
    if rows and "findings_true" in rows[0]:
        for kind, with_side in (("finding", False), ("finding_side", True)):
            result |= _f1_statistics(f"{kind}_f1", _finding_counts(rows, with_side)[0])
        exact = [float(row["findings_predicted"] == row["findings_true"]) for row in rows]
        result["findings_exact"] = mean_statistic(exact)
    if rows and "observations_true" in rows[0]:
        for kind, vocabulary in (("observation_f1", OBSERVATIONS), ("observation_f1_5", FIVE)):
            sides = [[[n for n in row[f"observations_{side}"] if n in vocabulary] for row in rows] for side in _SIDES]
            result |= _f1_statistics(kind, label_counts(sides[0], sides[1], vocabulary))
    return result | clinical.statistics(rows)


def finding_statistics(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, CountStatistic]]:
    """Each finding's F1, recall and precision by name; n is the reports that affirm it in truth.

    The findings are the labeller's, or the observations where there is no labeller; empty where there is neither.
    """
    if rows and "findings_true" in rows[0]:
        counts, vocabulary = _finding_counts(rows, False)
        labels = [label for (label,) in vocabulary]
    elif rows and "observations_true" in rows[0]:
        labels = list(OBSERVATIONS)
        sides = [[row[f"observations_{side}"] for row in rows] for side in _SIDES]
        counts = label_counts(sides[0], sides[1], labels)
    else:
        return {}
    true = counts.reshape(len(rows), -1, 3)[..., 2].sum(axis=0)
    return {
        label: {
            title: CountStatistic(counts, of_label(MEASURES[name], place), int(true[place]))
            for title, name in (("finding_f1", "f1"), ("recall", "recall"), ("precision", "precision"))
        }
        for place, label in enumerate(labels)
    }


def _f1_statistics(kind: str, counts: np.ndarray) -> dict[str, CountStatistic]:
    f1 = MEASURES["f1"]
    return {f"{kind}_micro": CountStatistic(counts, micro(f1)), f"{kind}_macro": CountStatistic(counts, macro(f1))}


def _finding_counts(rows: Sequence[Mapping[str, Any]], with_side: bool) -> tuple[np.ndarray, list[tuple[str, ...]]]:
    """The counts of the findings that occur, and those findings in the order of their columns."""
    sides = [
        [{tuple(pair) if with_side else (pair[0],) for pair in row[f"findings_{side}"]} for row in rows]
        for side in _SIDES
    ]
    vocabulary: list[tuple[str, ...]] = sorted({pair for side in sides for found in side for pair in found})
    return label_counts(sides[0], sides[1], vocabulary), vocabulary
