"""When does an answer show an effect? One rule for all claims, in words (:func:`rule_in_words`) and in code.

An effect counts if the 95% interval over all seeds excludes zero, every seed has its sign, and it is at least
:data:`LEAST` (of a length: at least :data:`LEAST_LENGTH` of the length before). What a check expects is then *shown*,
the *opposite* is, it is *excluded* (the interval leaves no room for an effect of that size), or it stays *open*.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from radvlm_course.evaluation.tables import WITHOUT_DIRECTION
from radvlm_course.experiments.results import Answer

__all__ = [
    "LEAST",
    "LEAST_LENGTH",
    "LEAST_SEEDS",
    "Check",
    "Finding",
    "Outcome",
    "check_answers",
    "describe",
    "effect",
    "least_effect",
    "rule_in_words",
]

LEAST = 0.02  # of a metric between 0 and 1
LEAST_LENGTH = 0.05  # of the length before
LEAST_SEEDS = 3

Expectation = Literal["higher", "lower", "no gain", "unchanged", "larger gain"]
Outcome = Literal["shown", "opposite", "excluded", "open"]


@dataclass(frozen=True)
class Check:
    """What one question must show for a claim.

    Attributes:
        expects: ``higher`` or ``lower``; ``no gain``: not higher; ``unchanged``: neither; ``larger gain``: a larger
            difference than the question ``than`` has.
        question, than: titles of questions of the experiment.
    """

    expects: Expectation
    question: str
    than: str = ""


@dataclass(frozen=True)
class Finding:
    """What a check found, and why, in words with the numbers."""

    check: Check
    outcome: Outcome
    words: str


def rule_in_words() -> str:
    """The rule, as the page and the notebook print it."""
    return (
        f"An effect counts if the 95% interval over all seeds excludes zero, all seeds (at least {LEAST_SEEDS}) agree "
        f"in sign, and its size is at least {LEAST:g} in the metric's unit (of a length: {LEAST_LENGTH:.0%} of the "
        'length before). "Reproduced": all that the claim expects is shown. "Not reproduced": the opposite is shown, '
        'or the interval leaves no room for an effect of that size. "Not testable at this size": neither, or '
        "something that the claim rests on is lacking (RL that gained nothing, a start that earns next to nothing); "
        "the reason is given. One gain is larger than another if it is by that size in the mean, larger in every seed, "
        "and the two intervals do not overlap. No gain is shown if the interval ends below that size, unchanged if it "
        "also begins above its negative."
    )


def least_effect(answer: Answer) -> float:
    """The smallest difference that counts, in the metric's unit."""
    return LEAST_LENGTH * answer.before if answer.question.metric in WITHOUT_DIRECTION else LEAST


def effect(answer: Answer) -> int:
    """1 or -1 if the answer shows an effect in that direction, else 0.

    >>> from radvlm_course.evaluation.statistics import Interval
    >>> from radvlm_course.experiments.catalogue import Question
    >>> question = Question("gain", "before", "after", "report_generation", "gleu")
    >>> seeds = {seed: Interval(0.05, 0.01, 0.09, 10, 5) for seed in range(3)}
    >>> effect(Answer(question, seeds, Interval(0.05, 0.02, 0.08, 30, 5), 0.40, 0.45, 10, 5))
    1
    """
    return 0 if _missing(answer) else _sign(answer.all_seeds.value)


def check_answers(check: Check, answers: Mapping[str, Answer]) -> Finding:
    """Hold a check against the answers, by title of their question.

    Raises:
        KeyError: the experiment has no such question.
    """
    answer = _answer(check.question, answers)
    if check.expects == "larger gain":
        outcome, said = _compare_gains(answer, _answer(check.than, answers))
    else:
        outcome, said = _outcome(check.expects, answer)
    return Finding(check, outcome, said)


def _answer(title: str, answers: Mapping[str, Answer]) -> Answer:
    if title not in answers:
        raise KeyError(f"expected the question {title!r}, found {', '.join(answers) or 'none'}")
    return answers[title]


def _outcome(expects: Expectation, answer: Answer) -> tuple[Outcome, str]:
    found, least, interval = effect(answer), least_effect(answer), answer.all_seeds
    said = describe(answer)
    if expects in ("higher", "lower"):
        wanted = 1 if expects == "higher" else -1
        reach = interval.high if wanted > 0 else -interval.low
        if found:
            return ("shown", said) if found == wanted else ("opposite", f"{said}: the opposite direction")
        if reach < least and _earns_nothing(answer) and wanted > 0:
            return "open", f"{said}: the start earns {answer.before:.3f}, next to nothing that RL could reinforce"
        if reach < least:
            return "excluded", f"{said}: {_size(answer)} or more is excluded"
        return "open", f"{said}: {_missing(answer)}"
    if found == 1 or (expects == "unchanged" and found):
        return "opposite", f"{said}: a change is shown"
    held = interval.high < least and (expects == "no gain" or interval.low > -least)
    return ("shown", said) if held else ("open", f"{said}: {_size(answer)} or more is not excluded")


def _compare_gains(one: Answer, other: Answer) -> tuple[Outcome, str]:
    said = f"{describe(one)}, against {describe(other)}"
    if _clearly_larger(one, other):
        return "shown", said
    if _clearly_larger(other, one):
        return "opposite", f"{said}: the other way round"
    return "open", f"{said}: the two are not told apart"


def _clearly_larger(one: Answer, other: Answer) -> bool:
    apart = one.all_seeds.value - other.all_seeds.value >= max(least_effect(one), least_effect(other))
    every_seed = all(one.seeds[seed].value > other.seeds[seed].value for seed in one.seeds)
    return apart and every_seed and one.all_seeds.low > other.all_seeds.high


def _earns_nothing(answer: Answer) -> bool:
    """Whether this is the gain of a start whose answers are worth nothing, so that no group has a better one."""
    return answer.question.before.startswith("start: ") and answer.before < least_effect(answer)


def _missing(answer: Answer) -> str:
    """Which part of the rule an answer lacks; empty if it shows an effect."""
    interval = answer.all_seeds
    if math.isnan(interval.low) or interval.low <= 0 <= interval.high:
        return "the interval holds zero"
    if {_sign(item.value) for item in answer.seeds.values()} != {_sign(interval.value)}:
        return "the seeds disagree in sign"
    return "" if abs(interval.value) >= least_effect(answer) else f"smaller than {_size(answer)}"


def describe(answer: Answer) -> str:
    """The question with its difference, its interval and each seed's, in words."""
    digits = 1 if answer.question.metric in WITHOUT_DIRECTION else 3
    one = answer.all_seeds
    seeds = _listed([f"{item.value:+.{digits}f}" for item in answer.seeds.values()])
    interval = f"[{one.low:+.{digits}f}, {one.high:+.{digits}f}]"
    return f"{answer.question.title} {one.value:+.{digits}f} {interval} (seeds {seeds})"


def _size(answer: Answer) -> str:
    if answer.question.metric in WITHOUT_DIRECTION:
        return f"{least_effect(answer):.1f} {answer.question.metric}"
    return f"{LEAST:g}"


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(texts if len(set(texts)) > 1 else texts[:1])  # before training there is one start for all seeds


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)
