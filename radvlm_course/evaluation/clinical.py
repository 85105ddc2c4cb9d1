"""Report metrics that need a model's weights: BERTScore, CheXbert, RadGraph, RadCliQ.

The models and their comparisons are those of the rewards (:mod:`radvlm_course.rewards.scorers`), on whole test sets and
with the settings of the paper's tables. Where these have a quirk, both values are given:

=========== ========================================= ===========================================================
metric      paper-compatible (``_paper``)             corrected
=========== ========================================= ===========================================================
BERTScore   a blank report: raw 0, rescaled (to -2)    a blank report: 0
CheXbert    macro: labels that nobody has count 0     macro: they are left out (micro is the same)
RadGraph    words as written: "Effusion" and          lower case, as in the reward
            "effusion" are two things
RadCliQ     3 if either report has 5 characters or    its own value; 2.4501 for a blank report
            less
=========== ========================================= ===========================================================

A blank response states nothing: CheXbert is not asked about it, all its observations are "not mentioned".
Weights come from a hub; see :mod:`radvlm_course.rewards.weights`. Nothing is downloaded here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from radvlm_course.evaluation.label_counts import MEASURES, macro, micro
from radvlm_course.evaluation.statistics import CountStatistic, mean_statistic
from radvlm_course.records import Example
from radvlm_course.rewards.weights import missing

__all__ = ["CLINICAL_METRICS", "ClinicalScorer", "available_metrics", "statistics"]

CLINICAL_METRICS = ("bertscore", "chexbert", "radgraph", "radcliq")
_RADGRAPH_LEVELS = ("simple", "partial", "complete")
TOO_SHORT, TOO_SHORT_RADCLIQ = 5, 3.0  # characters, and what the paper then gives
_MEANS = ("bertscore", "radcliq", *(f"radgraph_{level}" for level in _RADGRAPH_LEVELS))


def available_metrics() -> tuple[str, ...]:
    """The metrics whose weights are on this machine."""
    return tuple(name for name in CLINICAL_METRICS if not missing(name))


class ClinicalScorer:
    """Loads the models that the metrics need, once.

    Args:
        metrics: some of :data:`CLINICAL_METRICS`.
        device: a torch device; None takes the first GPU, else the CPU.
        dtype: precision of the encoders.
        cache_path: a SQLite file for what was computed of the references.

    Raises:
        ValueError: there is no such metric.
        RewardError: a package or its weights are missing; says how to get them.
    """

    def __init__(
        self,
        metrics: Sequence[str],
        device: str | None = None,
        dtype: str = "float32",
        cache_path: str | os.PathLike[str] | None = None,
    ) -> None:
        from radvlm_course.rewards import get_reward

        if unknown := sorted(set(metrics) - set(CLINICAL_METRICS)):
            raise ValueError(f"expected metrics of {', '.join(CLINICAL_METRICS)}; found {', '.join(unknown)}")
        self.metrics = tuple(name for name in CLINICAL_METRICS if name in metrics)
        options = {"device": device, "dtype": dtype, "cache_path": cache_path}
        self._rewards: dict[str, Any] = {name: get_reward(name, **options) for name in self.metrics}

    def columns(self, responses: Sequence[str], examples: Sequence[Example]) -> dict[str, list[Any]]:
        """Values of reports against the answers of their examples, one list a name.

        Args:
            responses: reports without thoughts; blank for none.
        """
        columns: dict[str, list[Any]] = {}
        for name in self.metrics:
            columns |= getattr(self, f"_{name}")(responses, examples)
        return columns

    def _bertscore(self, responses: Sequence[str], examples: Sequence[Example]) -> dict[str, list[Any]]:
        scorer = self._rewards["bertscore"].scorer
        answered = [index for index, text in enumerate(responses) if text.strip()]
        values = [0.0] * len(responses)
        pairs = [(responses[index], examples[index].answer) for index in answered]
        for index, value in zip(answered, scorer.f1(pairs) if pairs else [], strict=True):
            values[index] = value
        baseline = (scorer.lowest + 1) / (scorer.lowest - 1)  # of rescaling: lowest = (-1 - b) / (1 - b)
        raw_zero = -baseline / (1 - baseline)
        paper = [value if text.strip() else raw_zero for value, text in zip(values, responses, strict=True)]
        return {"bertscore": values, "bertscore_paper": paper}

    def _chexbert(self, responses: Sequence[str], examples: Sequence[Example]) -> dict[str, list[Any]]:
        references = [example.answer for example in examples]
        texts = [text for text in responses if text.strip()]
        found = self._rewards["chexbert"].scorer.features([*texts, *references], references=set(references))
        blank = [0] * len(next(iter(found.values())).classes) if found else []
        return {
            "chexbert_predicted": [found[text].classes.tolist() if text.strip() else blank for text in responses],
            "chexbert_true": [found[reference].classes.tolist() for reference in references],
        }

    def _radgraph(self, responses: Sequence[str], examples: Sequence[Example]) -> dict[str, list[Any]]:
        columns: dict[str, list[Any]] = {}
        for ending, change in (("_paper", str.strip), ("", _lowered)):
            pairs = [(change(text), change(e.answer)) for text, e in zip(responses, examples, strict=True)]
            texts = [text for pair in pairs for text in pair if text]
            graphs = self._rewards["radgraph"].scorer.features(texts, references={reference for _, reference in pairs})
            for level in _RADGRAPH_LEVELS:
                columns[f"radgraph_{level}{ending}"] = [
                    graphs[text].f1(graphs[reference], level) if text else 0.0 for text, reference in pairs
                ]
        return columns

    def _radcliq(self, responses: Sequence[str], examples: Sequence[Example]) -> dict[str, list[Any]]:
        values = [-value for value in self._rewards["radcliq"](responses, examples)]
        paper = [
            TOO_SHORT_RADCLIQ if min(len(text.strip()), len(example.answer.strip())) <= TOO_SHORT else value
            for value, text, example in zip(values, responses, examples, strict=True)
        ]
        return {"radcliq": values, "radcliq_paper": paper}


def _lowered(text: str) -> str:
    return text.strip().lower()


def statistics(rows: Sequence[Mapping[str, Any]]) -> dict[str, CountStatistic]:
    """The metrics that the rows have values of.

    ``bertscore`` (at most 1), ``radgraph_simple``, ``radgraph_partial``, ``radgraph_complete`` (0 to 1), means, higher
    is better; ``radcliq``, mean, LOWER is better; each also with ``_paper``. ``chexbert_all_micro``,
    ``chexbert_all_macro`` (14 observations), ``chexbert_5_micro``, ``chexbert_5_macro``: F1, 0 to 1, higher is better,
    uncertain counted as present; the macro ones also with ``_paper``.
    """
    result = {
        name + ending: mean_statistic([float(row[name + ending]) for row in rows])
        for name in _MEANS
        for ending in ("", "_paper")
        if rows and name + ending in rows[0]
    }
    return result | (_chexbert_statistics(rows) if rows and "chexbert_true" in rows[0] else {})


def _chexbert_statistics(rows: Sequence[Mapping[str, Any]]) -> dict[str, CountStatistic]:
    from radvlm_course.rewards.scorers.chexbert import FIVE, OBSERVATIONS, mapped

    f1, result = MEASURES["f1"], {}
    for name, observations in (("all", OBSERVATIONS), ("5", FIVE)):
        predicted, true = (
            mapped(np.array([row[f"chexbert_{side}"] for row in rows], dtype=np.int64), observations=observations)
            for side in ("predicted", "true")
        )
        counts = np.stack([predicted * true, predicted, true], axis=-1).astype(np.float64).reshape(len(rows), -1)
        result[f"chexbert_{name}_micro"] = CountStatistic(counts, micro(f1))
        result[f"chexbert_{name}_macro"] = CountStatistic(counts, macro(f1))
        result[f"chexbert_{name}_macro_paper"] = CountStatistic(counts, macro(f1, empty_as_zero=True))
    return result
