"""Box answers under every measure of grounding: for one film as a table, for strategies over many films.

The rewards (soft-F1 and its published variant) and the measures of evaluation (mAP@0.5, paper-compatible and
corrected) look at the same answers. A strategy that gains under a measure without seeing more of the film is how
that measure would be gamed, were it the reward.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from radvlm_course.evaluation.grounding import score_response, statistics
from radvlm_course.records import Example
from radvlm_course.rewards import get_reward

__all__ = ["CORRECTED", "PAPER", "score_box_candidates", "survey_box_strategies"]

PAPER, CORRECTED = "mAP@0.5 (paper)", "mAP@0.5"
_REWARDS = ("soft_f1", "soft_f1_published")


def score_box_candidates(candidates: Mapping[str, str], example: Example) -> dict[str, dict[str, float]]:
    """Every answer to one question under both rewards and both readings of mAP@0.5.

    Args:
        candidates: kind -> answer.
        example: its true boxes, at least one.

    Returns:
        Kind -> measure -> value, each 0 to 1, higher is better. The corrected mAP@0.5 of one question is
        precision x recall.
    """
    texts = list(candidates.values())
    columns = {name: get_reward(name)(texts, [example] * len(texts)) for name in _REWARDS}
    rows = [score_response(text, example) for text in texts]
    columns[PAPER] = [float(row["average_precision_of_sample"]) for row in rows]
    columns[CORRECTED] = [row["true_positives"] ** 2 / (max(row["n_predicted"], 1) * row["n_true"]) for row in rows]
    return {kind: {name: column[index] for name, column in columns.items()} for index, kind in enumerate(candidates)}


def survey_box_strategies(
    answers: Mapping[str, Sequence[str]], examples: Sequence[Example]
) -> dict[str, dict[str, float]]:
    """What each strategy earns on average, and its mAP@0.5 over all examples.

    Args:
        answers: strategy -> one answer an example (``rewards.lab.boxes.box_strategies``).
        examples: what was asked, each with true boxes.

    Returns:
        Strategy -> measure -> value, each 0 to 1, higher is better.

    Raises:
        ValueError: a strategy has not one answer for each example.
    """
    table: dict[str, dict[str, float]] = {}
    for strategy, texts in answers.items():
        if len(texts) != len(examples):
            raise ValueError(f"{strategy}: expected {len(examples)} answers, one an example, found {len(texts)}")
        found = statistics([score_response(text, example) for text, example in zip(texts, examples, strict=True)])
        values = {name: float(np.mean(get_reward(name)(texts, examples))) for name in _REWARDS}
        for name, key in ((PAPER, "map50_paper"), (CORRECTED, "map50")):
            values[name] = found[key].value
        table[strategy] = values
    return table
