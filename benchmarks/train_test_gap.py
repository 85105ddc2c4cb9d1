"""Does GRPO on grounding generalise, and how much of its reward is only lower entropy?

    python benchmarks/train_test_gap.py runs/course

Mean soft-F1 of the SFT models and the GRPO model, greedy and sampled at temperature 1, on 480 training
questions (drawn with seed 0) and on all held-out ones. A gap between train and test would be memory; a gain that
sampling shows and greedy answers do not is a sharper policy, not a better one.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import torch

from radvlm_course.evaluation.predict import complete
from radvlm_course.models.loading import LoadedModel, load_model
from radvlm_course.records import Example, read_jsonl
from radvlm_course.rewards import get_reward


def questions(run: Path, split: str, count: int | None) -> list[Example]:
    found = [e for e in read_jsonl(run / "curate" / f"{split}.jsonl", Example) if e.task == "abnormality_grounding"]
    if count is not None:
        random.Random(0).shuffle(found)
    return found[:count]


def mean_reward(loaded: LoadedModel, examples: list[Example], temperature: float) -> float:
    reward = get_reward("soft_f1")
    torch.manual_seed(0)
    values: list[float] = []
    for start in range(0, len(examples), 64):
        batch = examples[start : start + 64]
        answers = complete(loaded, batch, max_new_tokens=64, temperature=temperature)
        values += reward([text for text, _ in answers], batch)
    return sum(values) / len(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    run = parser.parse_args().run
    splits = {"train": questions(run, "train", 480), "test": questions(run, "test", None)}
    print("| model | split | n | greedy | sampled |\n| --- | --- | ---: | ---: | ---: |")
    names = [name for name in ("sft_early", "sft", "grpo_grounding") if (run / name / "model").is_dir()]
    for name in names:
        loaded = load_model(run / name / "model")
        for split, examples in splits.items():
            greedy, sampled = (mean_reward(loaded, examples, temperature) for temperature in (0.0, 1.0))
            print(f"| {name} | {split} | {len(examples)} | {greedy:.3f} | {sampled:.3f} |", flush=True)


if __name__ == "__main__":
    main()
