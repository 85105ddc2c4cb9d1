"""Why a reward of facts shortens reports, exactly and on phantoms.

A report states the m facts that its writer is surest of; fact i is right with probability p_i, sorted from the surest;
the reference has k facts. Precision, recall and F1 divide the same count of right facts by numbers that do not depend
on chance, so their expectations are exact (:func:`expected_scores`):

    precision = (p_1 + ... + p_m) / m,    recall = (p_1 + ... + p_m) / k,    F1 = 2 (p_1 + ... + p_m) / (m + k)

- Precision is the mean of the surest m: it never rises with m, so **one fact is best**, whatever the p_i.
- Recall never falls with m: **everything is best**, right or wrong.
- F1 rises with fact m + 1 exactly if **p_(m+1) > F1(m) / 2**. A good reader writes nearly all; but the stricter the
  match (RadGraph ``complete`` wants entity, label and relation right at once, so that p_i becomes about p_i ** 3),
  the fewer facts pass. This is how an F1, too, can shorten the reports of a weak reader.

:func:`measure_lengths` finds the same on phantoms with the course's rewards: honest reports cut to their surest n
sentences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from radvlm_course.phantoms.film import plan_film
from radvlm_course.phantoms.reports import join_clauses
from radvlm_course.rewards.base import Reward
from radvlm_course.rewards.facts import KINDS, Kind
from radvlm_course.rewards.lab.strategies import Reader, sentence_chances, surest_first
from radvlm_course.rewards.lab.survey import built, phantom_example, read_films

__all__ = ["Lengths", "best_length", "expected_scores", "measure_lengths"]


def expected_scores(chances: Sequence[float], true: int) -> dict[Kind, np.ndarray]:
    """Expected precision, recall and F1 of stating the surest 0, 1, 2, ... facts.

    Args:
        chances: of each fact that could be stated to be right, 0 to 1, from the surest down.
        true: facts in the reference, at least 1.

    Returns:
        For each measure a float array of shape (len(chances) + 1,); stating nothing earns 0.

    Raises:
        ValueError: a chance out of range or above the one before it, or no fact in the reference.

    >>> expected_scores([0.9, 0.5], true=2)["f1"].round(3).tolist()
    [0.0, 0.6, 0.7]
    """
    values = np.asarray(chances, dtype=np.float64)
    if values.size and not (values.min() >= 0 and values.max() <= 1 and (np.diff(values) <= 0).all()):
        raise ValueError(f"expected chances within 0 and 1 from the surest down, found {list(chances)}")
    if true < 1:
        raise ValueError(f"expected at least one fact in the reference, found {true}")
    right = np.concatenate([[0.0], values.cumsum()])
    stated = np.arange(len(right))
    return {"precision": right / np.maximum(stated, 1), "recall": right / true, "f1": 2 * right / (stated + true)}


def best_length(scores: np.ndarray) -> int:
    """How many facts earn most, the fewest if several numbers do.

    Args:
        scores: of stating 0, 1, 2, ... facts.
    """
    return int(np.argmax(np.round(scores, 12)))


@dataclass(frozen=True)
class Lengths:
    """Mean rewards of reports by how many sentences they keep.

    Attributes:
        rewards: name -> mean reward of keeping the surest 1, 2, ... sentences.
        characters: mean length of the same reports.
    """

    rewards: Mapping[str, Sequence[float]]
    characters: Sequence[float]

    def best(self, reward: str) -> int:
        """The number of sentences, from 1, that this reward pays most for."""
        return best_length(np.array(self.rewards[reward])) + 1


def measure_lengths(
    seeds: Sequence[int], rewards: Sequence[str | Reward] = (), reader: Reader | None = None, seed: int = 0
) -> Lengths:
    """Cut the honest reports of many phantoms to their surest sentences and score what is left.

    How sure a sentence is was measured on the same reports: the share of its kind that was right, whatever the film.
    A report with fewer sentences than asked for stays whole.

    Args:
        seeds: of the phantoms, at least one.
        rewards: registered names, or rewards; precision, recall and F1 of facts by default.
        reader: who reads; one with an error rate of 0.25 by default.

    Raises:
        ValueError: no phantom.
    """
    if not len(seeds):
        raise ValueError("expected the seed of at least one phantom, found none")
    films = [plan_film(each) for each in seeds]
    readings = read_films(films, reader or Reader.erring(0.25), seed)
    chances = sentence_chances((clauses, film.report) for clauses, film in zip(readings, films, strict=True))
    ranked = [surest_first(clauses, chances) for clauses in readings]
    longest = max(map(len, ranked))
    written = [[join_clauses(clauses[:kept]) for clauses in ranked] for kept in range(1, longest + 1)]
    examples = [phantom_example(film, number) for number, film in zip(seeds, films, strict=True)]
    judges = built(rewards or [f"fact_{kind}" for kind in KINDS])
    return Lengths(
        {judge.name: [float(np.mean(judge(texts, examples))) for texts in written] for judge in judges},
        [float(np.mean([len(text) for text in texts])) for texts in written],
    )
