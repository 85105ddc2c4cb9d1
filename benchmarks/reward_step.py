"""What does the reward of one GRPO step cost on a laptop?

    python benchmarks/reward_step.py                    # some seconds on one core
    python benchmarks/reward_step.py --run runs/course  # and its share of that run's steps

A step of a profile (``laptop`` by default) has so many prompts with a group of rollouts each. Here the prompts are
phantoms and the rollouts what an imperfect reader writes of them (the reward lab's). They are scored as the trainer
scores them, through TRL's adapter, messages and all. Each step has other phantoms; the first one, which pays for
imports, is not counted. The table gives the median over the steps, and the share of the median step of a run, as its
``metrics.jsonl`` has it.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from radvlm_course.phantoms.film import plan_film
from radvlm_course.phantoms.reports import join_clauses
from radvlm_course.profiles import load_profile
from radvlm_course.records import Example
from radvlm_course.rewards import get_reward
from radvlm_course.rewards.lab.boxes import box_strategies, phantom_box_examples
from radvlm_course.rewards.lab.strategies import Reader
from radvlm_course.rewards.lab.survey import HONEST, phantom_example, read_films
from radvlm_course.rewards.trl_adapter import as_trl_reward
from radvlm_course.runs import read_metrics

STAGES = {
    "grpo_reports": ("gleu", "bleu", "rouge_l", "fact_f1"),
    "grpo_grounding": ("soft_f1", "soft_f1_published"),
}
FILMS_APART = 1000  # seeds from one step's films to the next one's


def step_of(stage: str, number: int, prompts: int, group: int) -> tuple[list[str], list[Example]]:
    """Completions and the examples that they answer, group by group, for one of the stages."""
    first = FILMS_APART * number
    if stage == "grpo_reports":
        seeds = range(first, first + prompts)
        films = [plan_film(seed) for seed in seeds]
        examples = [phantom_example(film, seed) for film, seed in zip(films, seeds, strict=True)]
        drafts = [read_films(films, Reader.erring(0.25), seed=draft) for draft in range(group)]
        rollouts = [[join_clauses(clauses) for clauses in draft] for draft in drafts]
    else:
        questions = itertools.chain.from_iterable(phantom_box_examples([seed]) for seed in itertools.count(first))
        examples = list(itertools.islice(questions, prompts))
        rollouts = [box_strategies(examples, other_films(), seed=draft)[HONEST] for draft in range(group)]
    return (
        [draft[index] for index in range(len(examples)) for draft in rollouts],
        [example for example in examples for _ in range(group)],
    )


@functools.cache
def other_films() -> list[Example]:
    """For the lab's strategies that guess; not scored here."""
    return phantom_box_examples(range(100))


def milliseconds(name: str, steps: Sequence[tuple[list[str], list[Example]]]) -> float:
    """The median time of the reward of a step; the first of the steps is not counted."""
    times = []
    for completions, examples in steps:
        score = as_trl_reward(get_reward(name), {example.id: example for example in examples})
        messages = [[{"role": "assistant", "content": text}] for text in completions]
        ids = [example.id for example in examples]
        start = time.perf_counter()
        score(completions=messages, example_id=ids)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[1:])


def seconds_of_a_step(run: Path, stage: str) -> float:
    """The median step of a stage of a run, as the trainer measured it: sampling, reward and update."""
    times = [float(row["step_time"]) for row in read_metrics(run / stage) if "step_time" in row]
    if not times:
        raise SystemExit(f"expected rows with step_time in {run / stage / 'metrics.jsonl'}, found none: run that stage")
    return statistics.median(times)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="laptop")
    parser.add_argument("--steps", type=int, default=9)
    parser.add_argument("--run", type=Path, default=None, help="folder of a finished run of this profile")
    chosen = parser.parse_args(arguments)
    profile = load_profile(chosen.profile)
    print("| stage | reward | rollouts | ms | a rollout, ms | share of a step |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for stage, names in STAGES.items():
        section = getattr(profile, stage)
        size = section.prompts_per_step, int(section.trainer["num_generations"])
        steps = [step_of(stage, number, *size) for number in range(1, chosen.steps + 2)]
        whole = None if chosen.run is None else 1000 * seconds_of_a_step(chosen.run, stage)
        for name in names:
            spent, rollouts = milliseconds(name, steps), len(steps[0][0])
            share = "" if whole is None else f"{spent / whole:.2%}"
            print(f"| {stage} | {name} | {rollouts} | {spent:.1f} | {spent / rollouts:.3f} | {share} |")


if __name__ == "__main__":
    main()
