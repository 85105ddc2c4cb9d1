"""What the checks in verl's own environment share: composing a variant, a tiny model, phantoms in verl's rows.

These are no part of the course's tests, because verl wants other releases than the course: ``make verl-check`` makes an
environment for them and runs them there.
"""

import copy
import warnings
from functools import cache
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir, initialize_config_module

import radvlm_course

CONFIGS = Path(radvlm_course.__file__).parent / "configs" / "verl"


@pytest.fixture(scope="session")
def composed():
    """``composed(name, *overrides)``: a variant as ``main_ppo --config-dir ... --config-name name`` composes it.

    The trainer's command line puts our folder behind verl's, and here it is before it; no name stands in both.
    """

    @cache
    def once(name, overrides):
        if name == "ppo_trainer":
            with initialize_config_module(config_module="verl.trainer.config", version_base=None):
                return compose(name, list(overrides))
        with initialize_config_dir(config_dir=str(CONFIGS), version_base=None):
            return compose(name, ["hydra.searchpath=[pkg://verl.trainer.config]", *overrides])

    return lambda name, *overrides: copy.deepcopy(once(name, overrides))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """A mixture of phantoms with verl's files, built by the course's own code."""
    from radvlm_course.instructions import build_mixture
    from radvlm_course.phantoms.corpus import write_corpus
    from radvlm_course.sources import Source

    folder = tmp_path_factory.mktemp("phantoms")
    write_corpus(folder / "films", {"train": 12, "validation": 3, "test": 3}, size=64, progress=False)
    formats = {"verl": True, "verl_thinking": True, "verl_thinking_no_suffix": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a mixture so small misses its shares
        build_mixture(
            {"base": "laptop", **formats}, Source("phantom", folder / "films"), folder / "mixture", 0, progress=False
        )
    return folder / "mixture"


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory, corpus):
    """A tiny Qwen3-VL with a tokenizer and a processor, as the laptop tier has them."""
    from radvlm_course.models.processor import build_processor
    from radvlm_course.models.tiny import TinySettings, build_tiny_model
    from radvlm_course.models.tokenizer import train_tokenizer
    from radvlm_course.records import Example, read_jsonl

    folder = tmp_path_factory.mktemp("tiny")
    examples = list(read_jsonl(corpus / "train.jsonl", Example))
    tokenizer = train_tokenizer([text for example in examples for text in (example.question, example.answer)], 400)
    settings = TinySettings(image_size=64, vision_hidden_size=32, text_hidden_size=32)
    build_tiny_model(tokenizer, settings, seed=0).save_pretrained(folder)
    build_processor(tokenizer, 64, 8).save_pretrained(folder)
    return folder
