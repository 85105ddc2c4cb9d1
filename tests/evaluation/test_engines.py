"""Engines: what they say of themselves, what they refuse, and that transformers answers as `complete` does."""

import json

import pytest
import torch

from radvlm_course.evaluation.engines import (
    EngineError,
    Generation,
    TransformersEngine,
    chosen_dtype,
    open_engine,
    pixel_limits,
)
from radvlm_course.evaluation.predict import complete
from radvlm_course.evaluation.provenance import model_identity
from radvlm_course.evaluation.vllm_engine import VllmEngine
from radvlm_course.model_settings import AdapterSettings
from radvlm_course.models.adapters import add_adapter, save_adapter
from radvlm_course.models.loading import load_model, load_processor

GREEDY = Generation(max_new_tokens=8, batch_size=5)


def test_transformers_answers_what_complete_answers_in_order(tiny_folder, loaded, grounding_examples):
    engine = open_engine("transformers", str(tiny_folder), GREEDY)
    assert list(engine.complete(grounding_examples)) == complete(loaded, grounding_examples, 8)


def test_answers_come_batch_by_batch(tiny_folder, grounding_examples, monkeypatch):
    sizes = []

    def counted(loaded, examples, limit, thinking):
        sizes.append(len(examples))
        return [("", "stop")] * len(examples)

    monkeypatch.setattr("radvlm_course.evaluation.predict.complete", counted)
    answers = TransformersEngine(str(tiny_folder), GREEDY).complete(grounding_examples)
    next(answers)
    assert sizes == [5]
    assert len(list(answers)) == 11
    assert sizes == [5, 5, 2]


def test_settings_hold_what_decides_an_answer_and_load_no_weights(tiny_folder, monkeypatch):
    monkeypatch.setattr("radvlm_course.models.loading.load_model", None)
    generation = Generation(8, 5, thinking=True, max_pixels=2048, dtype="bfloat16", seed=3)
    settings = open_engine("transformers", str(tiny_folder), generation).settings()
    kept = {key: settings[key] for key in settings if key not in ("versions", "hardware")}
    assert kept == {
        **{"engine": "transformers", "decoding": "greedy", "temperature": 0.0, "repetition_penalty": 1.0},
        **{"max_new_tokens": 8, "prompt": "thinking", "seed": 3, "dtype": "bfloat16"},
        **{"min_pixels": 2048, "max_pixels": 2048},
    }
    assert settings["versions"]["torch"].startswith("2.")
    assert json.loads(json.dumps(settings)) == settings


def test_both_engines_know_the_model_by_the_same_settings(tiny_folder):
    first, second = (open_engine(name, str(tiny_folder), GREEDY).settings() for name in ("transformers", "vllm"))
    assert second["options"] == {} and second["versions"]["vllm"] is None
    for key in ("engine", "versions", "options"):
        first.pop(key, None)
        second.pop(key)
    assert first == second


@pytest.mark.parametrize("max_pixels", [None, 1024, 4096, 100_000])
def test_the_processor_alone_has_the_limits_of_the_loaded_model(tiny_folder, max_pixels):
    loaded = load_model(tiny_folder, max_pixels=max_pixels)
    assert pixel_limits(load_processor(str(tiny_folder), max_pixels)) == pixel_limits(loaded.processor)


def test_the_weights_are_held_in_the_dtype_asked_for(tiny_folder, grounding_examples):
    engine = TransformersEngine(str(tiny_folder), Generation(2, 2, dtype="bfloat16"))
    assert len(list(engine.complete(grounding_examples[:2]))) == 2
    assert {parameter.dtype for parameter in engine._loaded.model.parameters()} == {torch.bfloat16}


def test_auto_is_float32_on_a_cpu_and_bfloat16_on_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert chosen_dtype("m", GREEDY) == "float32"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert chosen_dtype("m", GREEDY) == "bfloat16"


@pytest.fixture
def adapter(tiny_folder, tmp_path):
    settings = AdapterSettings(rank=4, alpha=8, target_modules=["q_proj", "v_proj"])
    model = add_adapter(load_model(tiny_folder).model, settings, seed=0)
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn_like(weight) * 0.2)
    save_adapter(model, tmp_path / "adapter")
    return tmp_path / "adapter"


def test_an_adapter_answers_with_its_model_and_is_known_with_it(tiny_folder, adapter, loaded, grounding_examples):
    engine = TransformersEngine(str(adapter), GREEDY)  # the folder has no processor: its model's is taken
    answers = list(engine.complete(grounding_examples[:4]))
    assert (
        answers
        == complete(load_model(adapter), grounding_examples[:4], 8)
        != complete(loaded, grounding_examples[:4], 8)
    )
    assert engine.settings()["dtype"] == "float32"
    assert model_identity(adapter)["base"]["fingerprint"] == model_identity(tiny_folder)["fingerprint"]
    with pytest.raises(EngineError, match=r"is an adapter.*merge it first, with python -m radvlm_course merge"):
        VllmEngine(str(adapter), GREEDY).settings()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1), "max_new_tokens and batch_size"),
        ((1, 0), "max_new_tokens and batch_size"),
        ((1, 1, False, None, "int8"), "dtype"),
    ],
)
def test_impossible_settings_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Generation(*arguments)


def test_an_unknown_engine_and_options_for_one_that_has_none_are_refused():
    with pytest.raises(ValueError, match="expected one of transformers, vllm, found 'tgi'"):
        open_engine("tgi", "m", GREEDY)
    with pytest.raises(ValueError, match="has no options, found tensor_parallel_size"):
        open_engine("transformers", "m", GREEDY, {"tensor_parallel_size": 4})
    assert isinstance(open_engine("vllm", "m", GREEDY, {"tensor_parallel_size": 4}), VllmEngine)
