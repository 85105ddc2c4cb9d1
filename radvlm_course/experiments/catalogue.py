"""The experiments: their arms, and the comparisons that they are there for.

An experiment is data. What the paper found stands beside each, in one sentence, to be held against what comes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from radvlm_course.experiments.arms import GENERAL_BASE, GROUNDING, REPORTS, Arm

__all__ = ["EXPERIMENTS", "Experiment", "Question"]

METRICS = {GROUNDING: "soft_f1", REPORTS: "gleu"}
BASES = {GENERAL_BASE: "the general base", "cold_start": "the domain model"}
MODES = {"direct": False, "thinking": True}
LONGEST_THINKING = {GROUNDING: 104, REPORTS: 168}  # tokens; the teacher's longest thought and answer have 92 and 161


@dataclass(frozen=True)
class Question:
    """One comparison, paired over the same films: how much better is ``after`` than ``before``?

    Attributes:
        title: in words.
        before, after: names of arms, or ``start: <model>`` / ``start: <model>, thinking`` for a model before training.
        task, metric: what is compared; higher is better.
    """

    title: str
    before: str
    after: str
    task: str
    metric: str


@dataclass(frozen=True)
class Experiment:
    """Arms and questions.

    Attributes:
        paper: what the paper found, at its size.
        steps: of each training, unless the command says otherwise.
    """

    name: str
    title: str
    paper: str
    arms: tuple[Arm, ...]
    questions: tuple[Question, ...]
    steps: int = 40


def matched_rl() -> Experiment:
    """The same GRPO from two bases, with and without thoughts: a model of other pictures, and one of radiographs."""
    arms = [arm for start in BASES for arm in _modes_of(start)]
    questions = []
    for task in METRICS:
        name = _short(task)
        for mode, think in MODES.items():
            ends = {start: (_before(start, think), _arm_name(start, task, think)) for start in BASES}
            for start, (before, after) in ends.items():
                questions.append(_question(f"GRPO on {name} from {BASES[start]}, {mode}: gain", before, after, task))
            for when, place in (("before", 0), ("after", 1)):
                general, domain = (ends[start][place] for start in BASES)
                questions.append(_question(f"{name}, {mode}, {when} GRPO: domain - general", general, domain, task))
    return Experiment(
        "matched_rl",
        "Does RL make up for domain fine-tuning?",
        "RL lifts the general model most, in reports above the fine-tuned one before RL; domain SFT and RL together "
        "stay ahead in both tasks and modes (tables 1 and 2).",
        tuple(arms),
        tuple(questions),
        steps=25,
    )


def thinking() -> Experiment:
    """GRPO with a thought before each answer, beside GRPO without: same start, same steps, same prompts."""
    start = "cold_start"
    questions = []
    for task in METRICS:
        name = _short(task)
        ends = {think: (_before(start, think), _arm_name(start, task, think)) for think in (False, True)}
        for mode, think in MODES.items():
            questions.append(_question(f"GRPO on {name}, {mode}: gain", *ends[think], task))
        for when, place in (("before", 0), ("after", 1)):
            direct, thinks = (ends[think][place] for think in (False, True))
            questions.append(_question(f"{name}, {when} GRPO: thinking - direct", direct, thinks, task))
    return Experiment(
        "thinking",
        "Does explicit thinking help?",
        "Thinking gives no gain: RadVLM-Thinking+RL equals RadVLM+RL in reports and in grounding (tables 1 and 2).",
        tuple(_modes_of(start)),
        tuple(questions),
        steps=25,
    )


def _modes_of(start: str) -> list[Arm]:
    """Both tasks, each directly and with thoughts, from one model; the length of a thought earns nothing."""
    rewards = {GROUNDING: "soft_f1", REPORTS: "gleu"}
    return [
        Arm(
            _arm_name(start, task, think),
            start,
            (task,),
            {reward: 1.0, "thinking_format": 0.0} if think else reward,
            think,
            {"max_completion_length": LONGEST_THINKING[task]} if think else {},
        )
        for task, reward in rewards.items()
        for think in MODES.values()
    ]


def _arm_name(start: str, task: str, think: bool) -> str:
    mode = "thinking" if think else "direct"
    return f"{_short(task)}, {mode}" if start == "cold_start" else f"{_short(task)}, {mode}, {BASES[start]}"


def _before(start: str, think: bool) -> str:
    return f"start: {start}{', thinking' if think else ''}"


def reward_choice() -> Experiment:
    """Reports trained on four rewards that need no weights; one of them pays for being short."""
    rewards = ("gleu", "rouge_l", "fact_f1", "fact_precision")
    arms = tuple(Arm(f"reward {name}", "sft_early", (REPORTS,), name) for name in rewards)
    shown = ("gleu", "rouge_l", "bleu", "finding_f1_micro", "finding_f1_macro", "finding_side_f1_micro", "words")
    questions = tuple(
        Question(f"{name}: change of {metric}", "start: sft_early", f"reward {name}", REPORTS, metric)
        for name in rewards
        for metric in shown
    )
    return Experiment(
        "reward_choice",
        "Which reward for reports?",
        "RadCliQ, BERTScore and GLEU improve all metrics; RadGraph alone is won by shortening the report (table 3).",
        arms,
        questions,
    )


def sft_matters() -> Experiment:
    """The gain of GRPO on grounding against the strength of the model that it starts from."""
    starts = ("sft_early", "sft")
    arms = tuple(Arm(f"grounding from {start}", start, (GROUNDING,), "soft_f1") for start in starts)
    gains = tuple(
        _question(f"gain from {start}", f"start: {start}", f"grounding from {start}", GROUNDING) for start in starts
    )
    last = _question(
        "after GRPO: sft - sft_early", f"grounding from {starts[0]}", f"grounding from {starts[1]}", GROUNDING
    )
    return Experiment(
        "sft_matters",
        "How much does the SFT start matter?",
        "RL helps from any start, but domain SFT decides the level reached, in grounding above all (table 2).",
        arms,
        (*gains, last),
    )


def cross_task() -> Experiment:
    """Trained on one task, measured on both; and trained on both at once."""
    arms = (
        Arm("on grounding", "sft_early", (GROUNDING,), "soft_f1"),
        Arm("on reports", "sft_early", (REPORTS,), "gleu"),
        Arm("on both", "sft_early", (GROUNDING, REPORTS), {"soft_f1": 1.0, "gleu": 1.0}),
    )
    questions = tuple(
        _question(f"{arm.name}: change in {_short(task)}", "start: sft_early", arm.name, task)
        for arm in arms
        for task in METRICS
    )
    return Experiment(
        "cross_task",
        "What does RL on one task do to the other?",
        "The paper trains each task alone and reports that task; it does not measure the other.",
        arms,
        questions,
    )


def _short(task: str) -> str:
    return {GROUNDING: "grounding", REPORTS: "reports"}[task]


def _question(title: str, before: str, after: str, task: str) -> Question:
    return Question(title, before, after, task, METRICS[task])


def _by_name(experiments: Sequence[Experiment]) -> dict[str, Experiment]:
    return {experiment.name: experiment for experiment in experiments}


EXPERIMENTS = _by_name([matched_rl(), thinking(), reward_choice(), sft_matters(), cross_task()])
