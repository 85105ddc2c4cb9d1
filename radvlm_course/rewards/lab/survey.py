"""Every candidate and every strategy under every reward: for one film as a table, for many films as margins.

The margin of a kind of report is what it earns more than the honest, imperfect report of the same film, on average.
A strategy with a clearly positive margin is what a policy that is paid by this reward drifts to
(:meth:`Survey.gamed_by`). A wrong candidate that earns no less than the paraphrase is an error that the reward does
not see (:meth:`Survey.blind_to`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from radvlm_course.phantoms.film import Film, plan_film
from radvlm_course.phantoms.reports import Clause, join_clauses
from radvlm_course.records import Example
from radvlm_course.rewards import get_reward
from radvlm_course.rewards.base import Reward
from radvlm_course.rewards.lab.candidates import KINDS, KindOfReport, make_candidates, normal_report
from radvlm_course.rewards.lab.strategies import Reader, everything_at_once, sentence_chances, surest_first

__all__ = [
    "HONEST",
    "PARAPHRASE",
    "STRATEGIES",
    "Margin",
    "Survey",
    "built",
    "looking_pays",
    "phantom_example",
    "read_films",
    "score_candidates",
    "survey_rewards",
]

HONEST, PARAPHRASE = "honest", "paraphrase"
STRATEGIES = {
    HONEST: KindOfReport("an imperfect reader, in its own words"),
    "surest sentence": KindOfReport("its one sentence that is most often right"),
    "normal for all": KINDS["normal for all"],
    "everything at once": KindOfReport("every finding affirmed, and denied"),
    "empty": KINDS["empty"],
}
_CANDIDATES, _READING = range(2)  # random streams


@dataclass(frozen=True)
class Margin:
    """How much more one kind of report earns than another on the same films.

    Attributes:
        mean: of the differences, in units of the reward; above 0 it earns more.
        error: standard error of the mean; nan for fewer than two films.
        films: how many films have both kinds.
    """

    mean: float
    error: float
    films: int

    @property
    def is_clear(self) -> bool:
        """Whether the mean is above 0 by more than two standard errors."""
        return self.mean > 2 * self.error

    @property
    def is_no_loss(self) -> bool:
        """Whether the mean is 0 or above."""
        return self.mean >= -1e-9


@dataclass(frozen=True)
class Survey:
    """Rewards of all kinds of reports over many films.

    Attributes:
        values: kind -> reward -> float array (films,); nan where a film lacks the kind.
    """

    values: Mapping[str, Mapping[str, np.ndarray]]

    @property
    def rewards(self) -> tuple[str, ...]:
        return tuple(self.values[HONEST])

    @property
    def films(self) -> int:
        return len(next(iter(self.values[HONEST].values())))

    def mean(self, kind: str, reward: str) -> float:
        """Mean reward over the films that have the kind."""
        return float(np.nanmean(self.values[kind][reward]))

    def margin(self, kind: str, reward: str, against: str = HONEST) -> Margin:
        """What a kind earns more than another one, on the films that have both."""
        differences = self.values[kind][reward] - self.values[against][reward]
        differences = differences[~np.isnan(differences)]
        count = len(differences)
        error = float(differences.std(ddof=1)) / math.sqrt(count) if count > 1 else math.nan
        return Margin(float(differences.mean()), error, count)

    def mistakes(self) -> list[str]:
        """The candidates of these films that are wrong in one thing and otherwise the reference."""
        made = [kind for kind in KINDS if kind in self.values]
        return [kind for kind in made if not KINDS[kind].right and kind not in STRATEGIES]

    def gamed_by(self, reward: str) -> dict[str, Margin]:
        """The strategies that clearly earn more than honest reports, the best paid first."""
        margins = {kind: self.margin(kind, reward) for kind in STRATEGIES if kind != HONEST}
        paid = sorted(margins.items(), key=lambda item: -item[1].mean)
        return {kind: margin for kind, margin in paid if margin.is_clear}

    def blind_to(self, reward: str) -> dict[str, Margin]:
        """The wrong candidates that earn no less than the paraphrase, the best paid first."""
        margins = {kind: self.margin(kind, reward, PARAPHRASE) for kind in self.mistakes()}
        paid = sorted(margins.items(), key=lambda item: -item[1].mean)
        return {kind: margin for kind, margin in paid if margin.is_no_loss}


def phantom_example(film: Film, number: int = 0) -> Example:
    """The example whose answer is the film's report; it has no picture."""
    return Example(f"phantom-{number}", "report_generation", "", "Write a report.", film.report, source="phantom")


def score_candidates(
    candidates: Mapping[str, str], example: Example, rewards: Sequence[str | Reward]
) -> dict[str, dict[str, float]]:
    """Every candidate under every reward.

    Args:
        candidates: kind -> report.
        example: its answer is the reference.
        rewards: registered names, or rewards.

    Returns:
        Kind -> name of the reward -> value, higher is better.
    """
    texts = list(candidates.values())
    columns = {judge.name: judge(texts, [example] * len(texts)) for judge in built(rewards)}
    return {kind: {name: found[row] for name, found in columns.items()} for row, kind in enumerate(candidates)}


def survey_rewards(
    seeds: Sequence[int], rewards: Sequence[str | Reward], reader: Reader | None = None, seed: int = 0
) -> Survey:
    """Make the candidates and strategies of many phantoms and score them.

    Args:
        seeds: of the phantoms (:func:`~radvlm_course.phantoms.film.plan_film`), at least one.
        rewards: registered names, or rewards. Each gets all reports in one call.
        reader: who writes the honest reports; one with an error rate of 0.25 by default.
        seed: draws wordings and reading errors.

    Raises:
        ValueError: no phantom.
    """
    if not len(seeds):
        raise ValueError("expected the seed of at least one phantom, found none")
    films = [plan_film(each) for each in seeds]
    texts = _texts(films, reader or Reader.erring(0.25), seed)
    examples = [phantom_example(film, number) for number, film in zip(seeds, films, strict=True)]
    rows = [(kind, index) for index, written in enumerate(texts) for kind in written]
    kinds = list(dict.fromkeys(kind for kind in (*KINDS, *STRATEGIES) if any(kind in written for written in texts)))
    values: dict[str, dict[str, np.ndarray]] = {kind: {} for kind in kinds}
    for judge in built(rewards):
        found = judge([texts[index][kind] for kind, index in rows], [examples[index] for _, index in rows])
        for kind in kinds:
            values[kind][judge.name] = np.full(len(films), np.nan)
        for (kind, index), value in zip(rows, found, strict=True):
            values[kind][judge.name][index] = value
    return Survey(values)


def looking_pays(
    seeds: Sequence[int], rewards: Sequence[str | Reward], error_rates: Sequence[float], seed: int = 0
) -> dict[str, tuple[list[float], float]]:
    """What honest readers of different error rates earn, and what the normal report for all earns.

    Where the two cross, looking at the film stops paying, and the policy stops looking.

    Args:
        error_rates: see :meth:`~radvlm_course.rewards.lab.strategies.Reader.erring`.

    Returns:
        Reward -> (its mean at each error rate, its mean for the normal report).
    """
    films = [plan_film(each) for each in seeds]
    examples = [phantom_example(film, number) for number, film in zip(seeds, films, strict=True)]
    written = [
        [join_clauses(clauses) for clauses in read_films(films, Reader.erring(rate), seed)] for rate in error_rates
    ]
    return {
        judge.name: (
            [float(np.mean(judge(texts, examples))) for texts in written],
            float(np.mean(judge([normal_report()] * len(films), examples))),
        )
        for judge in built(rewards)
    }


def built(rewards: Sequence[str | Reward]) -> list[Reward]:
    """Rewards by name built, others as they are."""
    return [get_reward(reward) if isinstance(reward, str) else reward for reward in rewards]


def read_films(films: Sequence[Film], reader: Reader, seed: int) -> list[tuple[Clause, ...]]:
    """What a reader reports of each film, as clauses; the n-th film's errors depend on ``seed`` and n alone."""
    return [reader.report(film, np.random.default_rng([seed, _READING, n])) for n, film in enumerate(films)]


def _texts(films: Sequence[Film], reader: Reader, seed: int) -> list[dict[str, str]]:
    """For each film its reports by kind."""
    readings = read_films(films, reader, seed)
    chances = sentence_chances((clauses, film.report) for clauses, film in zip(readings, films, strict=True))
    texts = []
    for number, (film, clauses) in enumerate(zip(films, readings, strict=True)):
        written = make_candidates(film, np.random.default_rng([seed, _CANDIDATES, number]))
        written[HONEST] = join_clauses(clauses)
        written["surest sentence"] = join_clauses(surest_first(clauses, chances)[:1])
        written["everything at once"] = everything_at_once()
        texts.append(written)
    return texts
