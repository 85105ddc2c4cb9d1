r"""A whole GRPO step with each film encoded once for its group, and without: times, ratios, and that both learn alike.

    python benchmarks/grpo_step.py                              # the laptop's model and its grounding stage
    python benchmarks/grpo_step.py --tower Qwen/Qwen3-VL-2B-Instruct --side 224 --prompts 2 --generations 4 --steps 2 \
        --frozen-tower

Each way starts from the same random weights with the same seeds and the same films, by the course's own stage. A step
is writing the completions, the reference, the policy, its gradients, the update, the films' preparation and the
rewards. The first step of each way is left out of the times. With one update a generation GRPO's loss is 0 but for
rounding, so what is compared is the norm of the gradient, the KL and the reward of every step.

Times are those of the processor (``time.process_time``), so use one thread (OMP_NUM_THREADS=1); another program on the
machine then disturbs less. With ``--tower`` the vision tower has a published model's sizes and the language model its
width, but four layers and a small vocabulary, so that a processor can do it: the tower's share of a step is larger than
in the whole model. What it is there is computed below the table.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import Qwen3VLForConditionalGeneration, TrainerCallback
from transformers.utils import logging

from radvlm_course.boxes import Box, format_boxes
from radvlm_course.models.architectures import Architecture, known_architectures
from radvlm_course.models.loading import LoadedModel, load_model, load_processor
from radvlm_course.models.processor import build_processor
from radvlm_course.models.random_checkpoint import write_random_checkpoint
from radvlm_course.models.tiny import TinySettings, build_tiny_model
from radvlm_course.models.token_budget import film_tokens
from radvlm_course.models.tokenizer import train_tokenizer
from radvlm_course.profiles import load_profile
from radvlm_course.records import Example
from radvlm_course.rewards import Reward, register_reward
from radvlm_course.runs import read_metrics
from radvlm_course.training.groups import quietly
from radvlm_course.training.grpo import run_grpo

TEXT_LAYERS, VOCABULARY = 4, 512  # of the language model beside a tower of real size
LEARNED = ("reward", "kl", "grad_norm")  # what must agree
WAYS = {  # name -> (our short cuts at all, the films encoded once)
    "plain transformers and TRL": (False, False),
    "encode_once: false": (True, False),
    "encode_once: true": (True, True),
}


class ShareOfDigits(Reward):
    """Differs from completion to completion even of random weights, so that there are losses to compare."""

    name, tasks, range, empty_value = "share_of_digits", ("abnormality_grounding",), (0.0, 1.0), 0.0

    def score(self, response: str, example: Example) -> float:
        return sum(map(str.isdigit, response)) / len(response)


class StepTimes(TrainerCallback):
    """Processor seconds of each step."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._began = 0.0

    def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
        self._began = time.process_time()

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.seconds.append(time.process_time() - self._began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tower", choices=sorted(known_architectures()), help="a vision tower of real size")
    parser.add_argument("--side", type=int, help="of the square films, in pixels (default: the laptop's)")
    parser.add_argument("--prompts", type=int, help="of a step (default: the laptop's)")
    parser.add_argument("--generations", type=int, help="completions of a prompt (default: the laptop's)")
    parser.add_argument("--steps", type=int, default=4, help="of each way, the first not counted (%(default)s)")
    parser.add_argument("--trained-tower", action="store_true", help="only with the vision tower trained")
    parser.add_argument("--frozen-tower", action="store_true", help="only with the vision tower frozen")
    arguments = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    register_reward("share_of_digits", f"{__name__}:ShareOfDigits")
    with tempfile.TemporaryDirectory() as temporary:
        compare(arguments, Path(temporary))
    if arguments.tower:
        print("\n" + shares(known_architectures()))


def compare(arguments: argparse.Namespace, folder: Path) -> None:
    """Print the table."""
    profile = load_profile("laptop")
    side = arguments.side or profile.model.image_size or 0
    examples = write_films(
        folder / "films", side, count=2 * (arguments.prompts or profile.grpo_grounding.prompts_per_step)
    )
    tower = known_architectures()[arguments.tower] if arguments.tower else None
    write_model(folder / "model", side, examples, tower)
    options = dict(profile.grpo_grounding.trainer)
    options["num_generations"] = arguments.generations or options["num_generations"]
    prompts = arguments.prompts or profile.grpo_grounding.prompts_per_step
    options |= {"per_device_train_batch_size": prompts * options["num_generations"], "max_steps": arguments.steps}
    options |= {"save_strategy": "no", "disable_tqdm": True}
    print(
        f"{arguments.tower or 'the model of the laptop'}, random weights; films of {side} x {side} pixels; {prompts} "
        f"prompts x {options['num_generations']} completions of up to {options['max_completion_length']} tokens; "
        f"{arguments.steps - 1} steps counted; threads: {torch.get_num_threads()}\n"
    )
    print("| vision tower | way | films encoded | s a step | plain / this | without / this | apart by |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |", flush=True)
    for frozen in (True, False):
        if (arguments.trained_tower and frozen) or (arguments.frozen_tower and not frozen):
            continue
        seconds: dict[str, float] = {}
        first: list[float] = []
        for name, (short_cuts, once) in WAYS.items():
            run = folder / f"{name} {frozen}".replace(" ", "_").replace(":", "")
            seconds[name], found, encoded = one_way(folder / "model", run, examples, options, frozen, short_cuts, once)
            first = first or found
            apart = max(abs(a - b) / max(abs(a), 1e-6) for a, b in zip(first, found, strict=True))
            print(
                f"| {'frozen' if frozen else 'trained'} | {name} | {encoded} | {seconds[name]:.2f} | "
                f"{seconds['plain transformers and TRL'] / seconds[name]:.2f} | "
                f"{seconds.get('encode_once: false', float('nan')) / seconds[name]:.2f} | {apart:.1e} of the value |",
                flush=True,
            )


def one_way(
    model: Path, run: Path, examples: list[Example], options: dict[str, Any], frozen: bool, short_cuts: bool, once: bool
) -> tuple[float, list[float], int]:
    """Seconds a step, every step's :data:`LEARNED`, and how many images went through the policy's tower."""
    if short_cuts:
        loaded = load_model(model, encode_once=once)
    else:
        plain = Qwen3VLForConditionalGeneration.from_pretrained(model, dtype=torch.float32)
        loaded = LoadedModel(plain, load_processor(model))
    encoded: list[int] = []
    patches = loaded.model.model.visual.patch_embed
    patches.register_forward_pre_hook(lambda module, inputs: encoded.append(len(inputs[0])))
    times = StepTimes()
    with quietly():
        run_grpo(*loaded, examples, "share_of_digits", run, options, seed=0, freeze_vision=frozen, callbacks=[times])
    of_one_film = len(loaded.processor.image_processor([Image.open(examples[0].image_path)])["pixel_values"])
    learned = [row[name] for row in read_metrics(run) for name in LEARNED]
    return statistics.median(times.seconds[1:]), learned, sum(encoded) // of_one_film


def write_films(folder: Path, side: int, count: int) -> list[Example]:
    """Films of noise, each asked for a box."""
    folder.mkdir(parents=True)
    box = Box(0.2, 0.3, 0.6, 0.7)
    examples = []
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 256, (side, side), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.png")
        person = {"image_path": str(folder / f"{number}.png"), "patient_id": f"p{number}"}
        asked = {"task": "abnormality_grounding", "question": "Where is the nodule?", "labels": ("nodule",)}
        examples.append(Example(id=f"e{number}", answer=format_boxes((box,)), boxes=(box,), **asked, **person))
    return examples


def write_model(folder: Path, side: int, examples: list[Example], tower: Architecture | None) -> None:
    """The laptop's model, or a tower of real size under a few layers of a language model of the same width."""
    texts = [text for example in examples for text in (example.question, example.answer)]
    if tower is not None:
        text = dataclasses.replace(tower.text_config, num_hidden_layers=TEXT_LAYERS, vocab_size=VOCABULARY)
        write_random_checkpoint(
            dataclasses.replace(tower, text_config=text, tie_word_embeddings=True), folder, texts, dtype=torch.float32
        )
        processor = load_processor(folder, side * side)
        processor.save_pretrained(folder)
        return
    sizes = TinySettings(image_size=side, **load_profile("laptop").model.tiny)
    tokenizer = train_tokenizer(texts)
    build_tiny_model(tokenizer, sizes, seed=0).save_pretrained(folder)
    build_processor(tokenizer, side, sizes.patch_size).save_pretrained(folder)


def shares(models: dict[str, Architecture], pixels: int = 262_144, words: int = 320) -> str:
    """How much of a forward pass over one rollout the vision tower is in the whole models, by multiplications."""
    film = film_tokens((2544, 3056), pixels)
    lines = [
        "Computed: the tower's share of the multiplications of one forward pass over a rollout, with a film of at most "
        f"{pixels:,} pixels ({film.tokens} visual tokens of 4 patches) and {words} other tokens; attention between "
        "tokens left out"
    ]
    for name, sizes in models.items():
        vision = sizes.parameter_count("vision") * 4 * film.tokens
        looked_up = 0 if sizes.tie_word_embeddings else sizes.text_config.vocab_size * sizes.text_config.hidden_size
        text = (sizes.parameter_count("text") - looked_up) * (film.tokens + words)
        lines.append(f"- {name}: {vision / (vision + text):.0%}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
