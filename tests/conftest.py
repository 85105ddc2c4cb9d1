"""A handful of examples on disk and a tiny model to train for a few steps."""

import importlib.util
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from radvlm_course.boxes import Box, format_boxes
from radvlm_course.records import Example

# An example that first imports a package may take long on a busy machine; no test is about time.
settings.register_profile("course", settings(), deadline=None)
settings.load_profile("course")

SMALL_COURSE = {
    "model.image_size": 40,
    "model.max_pixels": 1600,
    "model.tiny.patch_size": 10,
    "model.tiny.vision_hidden_size": 32,
    "model.tiny.text_hidden_size": 32,
    "model.tiny.vision_heads": 2,
    "curate.patients": {"train": 14, "validation": 2, "test": 4},
    "curate.image_size": 40,
    "curate.workers": 1,
    "vision_pretraining.steps": 4,
    "vision_pretraining.batch_size": 4,
    "sft.trainer.max_steps": 6,
    "sft.trainer.save_steps": 3,
    "sft.early_step": 3,
    "sft.trainer.logging_steps": 1,
    "sft.trainer.per_device_train_batch_size": 4,
    "cold_start.trainer.max_steps": 3,
    "cold_start.trainer.logging_steps": 1,
    "cold_start.trainer.per_device_train_batch_size": 4,
    "cold_start.max_thinking_tokens": 14,
    "evaluate.max_new_tokens": 12,
    "evaluate.max_examples": 6,
} | {
    f"{stage}.{key}": value
    for stage in ("grpo_grounding", "grpo_reports")
    for key, value in {
        "prompts_per_step": 2,
        "trainer.num_generations": 2,
        "trainer.max_steps": 2,
        "trainer.max_completion_length": 12,
    }.items()
}


@pytest.fixture(scope="session")
def several():
    """The module ``several_processes`` beside this file: starts processes that know of each other."""
    path = Path(__file__).with_name("several_processes.py")
    spec = importlib.util.spec_from_file_location("several_processes", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass looks itself up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def small_course():
    """Overrides of the profile ``laptop``: every stage in seconds, on a few phantoms, with a very small model."""
    return dict(SMALL_COURSE)


@pytest.fixture(scope="session")
def made_results():
    """Results of an experiment of the catalogue, made up: title of a question -> (difference, half its interval)."""
    from radvlm_course.evaluation.statistics import Interval
    from radvlm_course.experiments.arms import Budget
    from radvlm_course.experiments.catalogue import EXPERIMENTS
    from radvlm_course.experiments.results import Answer, Results

    def make(name, changes=None, before=0.4, seeds=(-0.004, 0.0, 0.004), usual=(0.05, 0.01), seconds=100.0):
        experiment = EXPERIMENTS[name]

        def answer(question):
            value, half = (changes or {}).get(question.title, usual)
            single = {
                seed: Interval(value + shift, value + shift - 2 * half, value + shift + 2 * half, 20, 10)
                for seed, shift in enumerate(seeds)
            }
            pooled = Interval(value, value - half, value + half, 20 * len(seeds), 10)
            level = 20.0 if question.metric == "words" else before
            return Answer(question, single, pooled, level, level + value, 20, 10)

        budget = Budget(steps=experiment.steps, seeds=tuple(range(len(seeds))))
        answers = tuple(answer(question) for question in experiment.questions)
        times = {arm.name: seconds for arm in experiment.arms}
        command = f"python -m radvlm_course experiments {name}"
        return Results(name, experiment.title, experiment.paper, command, budget, answers, {}, {}, times)

    return make


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many bad inputs the readers were given: results carry the counts, from this process or from workers."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    calls = [report for report in reports if getattr(report, "when", "") == "call"]
    counts = Counter[str]()
    for name, value in (told for report in calls for told in report.user_properties):
        if name.startswith("bad inputs"):
            counts[name] += value
    for name, count in sorted(counts.items()):
        terminalreporter.write_line(f"{name}: {count}")


@pytest.fixture(scope="session")
def grounding_examples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    rng = np.random.default_rng(0)
    examples = []
    for index in range(12):
        pixels = rng.integers(0, 60, (64, 64), dtype=np.uint8)
        x, y = (int(value) for value in rng.integers(0, 40, 2))
        pixels[y : y + 20, x : x + 20] = 230
        path = folder / f"{index}.png"
        Image.fromarray(pixels).save(path)
        boxes = (Box.from_pixels(x, y, x + 20, y + 20, (64, 64)),)
        examples.append(
            Example(
                id=f"e{index}",
                task="abnormality_grounding",
                image_path=str(path),
                question="Where is the nodule?",
                answer=format_boxes(boxes),
                boxes=boxes,
                labels=("nodule",),
                patient_id=f"p{index}",
            )
        )
    return examples


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory, grounding_examples):
    from radvlm_course.models.processor import build_processor
    from radvlm_course.models.tiny import TinySettings, build_tiny_model
    from radvlm_course.models.tokenizer import train_tokenizer

    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = train_tokenizer([text for e in grounding_examples for text in (e.question, e.answer)], 300)
    settings = TinySettings(image_size=64, vision_hidden_size=32, text_hidden_size=32)
    build_tiny_model(tokenizer, settings, seed=0).save_pretrained(folder)
    build_processor(tokenizer, 64, 8).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny64_folder(tmp_path_factory, grounding_examples):
    """A tiny model whose layers all have a multiple of 64 inputs, as four bits on a processor need."""
    from radvlm_course.models.processor import build_processor
    from radvlm_course.models.tiny import TinySettings, build_tiny_model
    from radvlm_course.models.tokenizer import train_tokenizer

    folder = tmp_path_factory.mktemp("tiny64")
    tokenizer = train_tokenizer([text for e in grounding_examples for text in (e.question, e.answer)], 300)
    settings = TinySettings(image_size=64, vision_hidden_size=64, text_hidden_size=64, text_layers=2, vision_depth=2)
    build_tiny_model(tokenizer, settings, seed=0).save_pretrained(folder)
    build_processor(tokenizer, 64, 8).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def adapter_settings():
    """The ``model`` section of a profile with an adapter on the language model: ``(path, **changes)``."""
    from radvlm_course.model_settings import AdapterSettings, ModelSettings

    def settings(path, **changes):
        adapter = AdapterSettings(rank=4, alpha=8, target_modules=["q_proj", "v_proj", "down_proj"])
        values = {"kind": "pretrained", "max_pixels": 64 * 64, "name_or_path": str(path), "adapter": adapter}
        return ModelSettings(**{**values, **changes})

    return settings


@pytest.fixture
def loaded(tiny_folder):
    from radvlm_course.models.loading import load_model

    return load_model(tiny_folder)


@pytest.fixture(scope="session")
def metric_weights_folder(tmp_path_factory):
    """Small random weights of RadGraph, CheXbert and BERTScore in the layouts that the packages load."""
    from radvlm_course.rewards import random_weights

    words = ("effusions", "bases", "catheter", "improved", "svc", "pneumonia", "kyphosis")
    folder = tmp_path_factory.mktemp("metric_weights")
    return random_weights.build(folder, words=words, radgraph_models=("radgraph-xl", "radgraph"))


@pytest.fixture
def metric_weights(metric_weights_folder):
    """The folder of those weights, and this process finds them there and asks no server."""
    from radvlm_course.rewards import random_weights

    with random_weights.used(metric_weights_folder):
        yield metric_weights_folder
