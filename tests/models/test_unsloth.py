"""Unsloth's part without Unsloth and without a GPU: when it is taken, and what it is given.

``unsloth_signatures.json`` was read with ``inspect.signature`` out of unsloth 2026.10.7 (with unsloth_zoo 2026.10.7,
imported with UNSLOTH_ALLOW_CPU=1), the version in ``constraints/gpu.txt``. The stand-in below has those signatures.
"""

import importlib.util
import inspect
import json
import sys
import types
import warnings
from pathlib import Path

import pytest
import torch
from transformers import Qwen3VLForConditionalGeneration

import radvlm_course.models.unsloth as module
from radvlm_course.model_settings import AdapterSettings, ModelSettings, QuantisationSettings
from radvlm_course.models.adapters import AdapterError, save_trained
from radvlm_course.models.loading import load_for_training
from radvlm_course.models.unsloth import UnslothError, is_in_use, prepare_engine, why_unfit
from radvlm_course.profiles import available_profiles, load_profile

SIGNATURES = json.loads((Path(__file__).parent / "unsloth_signatures.json").read_text(encoding="utf-8"))


def with_signature(name, function):
    """The function under the parameters of Unsloth's; it gets them all in one mapping."""
    kinds = SIGNATURES[name]
    parameters = [inspect.Parameter(parameter, getattr(inspect.Parameter, kind)) for parameter, kind in kinds.items()]

    def call(*args, **kwargs):
        return function(*args, **kwargs)

    call.__signature__ = inspect.Signature(parameters)
    call.__qualname__ = name
    return staticmethod(call)


@pytest.fixture
def stand_in(monkeypatch):
    """A package ``unsloth`` with the real signatures, which loads with transformers and records what it is given."""
    import peft

    given = {}

    def from_pretrained(**arguments):
        given["loading"] = arguments
        model = Qwen3VLForConditionalGeneration.from_pretrained(arguments["model_name"], dtype=arguments["dtype"])
        return model, None

    def get_peft_model(model, **arguments):
        given["adapter"] = arguments
        config = peft.LoraConfig(r=arguments["r"], target_modules=arguments["target_modules"], task_type="CAUSAL_LM")
        return peft.get_peft_model(model, config)

    package, vision = types.ModuleType("unsloth"), types.ModuleType("unsloth.models.vision")
    package.__version__ = SIGNATURES["version"]
    package.FastVisionModel = type(
        "FastVisionModel",
        (),
        {
            "from_pretrained": with_signature("FastVisionModel.from_pretrained", from_pretrained),
            "get_peft_model": with_signature("FastVisionModel.get_peft_model", get_peft_model),
        },
    )
    vision.FastBaseModel = type(
        "FastBaseModel", (), {"get_peft_model": with_signature("FastBaseModel.get_peft_model", get_peft_model)}
    )
    monkeypatch.setitem(sys.modules, "unsloth", package)
    monkeypatch.setitem(sys.modules, "unsloth.models.vision", vision)
    return given


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch):
    monkeypatch.setattr(module, "_told", [])


def settings(path="", **changes):
    adapter = AdapterSettings(rank=4, alpha=8, target_modules=["q_proj", "v_proj", "down_proj"])
    values = {"kind": "pretrained", "max_pixels": 4096, "name_or_path": str(path), "adapter": adapter}
    return ModelSettings(**{**values, "engine": "unsloth", **changes})


def installed(monkeypatch, gpu=True, early=()):
    """Pretend that Unsloth is installed, and that a GPU and some packages are or are not there."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True if name == "unsloth" else find_spec(name))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(module, "PATCHED", early)


def test_where_it_is_absent_the_reason_is_given_once_and_bitsandbytes_is_taken(monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "unsloth" else find_spec(name))
    with pytest.warns(UserWarning, match=r"it is not installed .*trained with bitsandbytes and peft instead"):
        prepare_engine(settings())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prepare_engine(settings())
    assert not is_in_use(settings())


def test_without_a_gpu_it_is_not_imported(monkeypatch):
    installed(monkeypatch, gpu=False)
    with pytest.warns(UserWarning, match="no GPU that torch can use"):
        prepare_engine(settings())


def test_after_what_it_patches_was_imported_it_is_too_late(monkeypatch):
    installed(monkeypatch, early=("transformers", "never_heard_of"))
    assert why_unfit() == "transformers was imported before it: start a fresh process, or restart the notebook's kernel"


def test_in_several_processes_it_is_not_taken(monkeypatch):
    installed(monkeypatch)
    assert why_unfit() == ""
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "several processes" in why_unfit()


def test_an_import_that_fails_is_told(monkeypatch):
    installed(monkeypatch)

    def refuse(name):
        raise NotImplementedError("Unsloth cannot find any torch accelerator? You need a GPU.")

    monkeypatch.setattr(module.importlib, "import_module", refuse)
    with pytest.warns(UserWarning, match="cannot be imported: Unsloth cannot find any torch accelerator"):
        prepare_engine(settings())


def test_a_profile_with_the_other_engine_never_asks_for_it(monkeypatch):
    monkeypatch.setattr(module, "why_unfit", lambda: pytest.fail("asked"))
    prepare_engine(settings(engine="transformers"))


@pytest.mark.parametrize("name", [name for name in available_profiles() if name.startswith("gpu-")])
@pytest.mark.parametrize("part", ["loading", "adapter"])
def test_every_profile_gives_only_what_the_installed_functions_name(name, part):
    model = load_profile(name).model
    options = module.loading_options("x", model, 0) if part == "loading" else module.adapter_options(model, 0)
    known = SIGNATURES[{"loading": "FastVisionModel.from_pretrained", "adapter": "FastBaseModel.get_peft_model"}[part]]
    assert options.keys() <= known.keys()


def test_a_model_is_loaded_by_it_with_the_profiles_settings(stand_in, tiny_folder):
    model = settings(tiny_folder, quantisation=QuantisationSettings(), precision="bfloat16")
    loaded = load_for_training(tiny_folder, model, seed=7)
    loading, adapter = stand_in["loading"], stand_in["adapter"]
    assert loading["model_name"] == str(tiny_folder) and loading["dtype"] is torch.bfloat16
    assert loading["load_in_4bit"] and not loading["load_in_16bit"] and loading["use_exact_model_name"]
    assert adapter["r"] == 4 and adapter["lora_alpha"] == 8 and not adapter["finetune_vision_layers"]
    assert loading["random_state"] == adapter["random_state"] == 7
    assert loaded.processor.tokenizer.padding_side == "left"
    assert any(weight.requires_grad for weight in loaded.model.parameters())


def test_training_goes_on_with_an_adapter_on_its_own_model(stand_in, tiny_folder, tiny64_folder, tmp_path):
    save_trained(load_for_training(tiny_folder, settings(tiny_folder, engine="transformers")).model, tmp_path)
    loaded = load_for_training(tmp_path, settings(tiny_folder))
    assert stand_in["loading"]["model_name"] == str(tiny_folder) and "adapter" not in stand_in
    assert any(weight.requires_grad for weight in loaded.model.parameters())
    with pytest.raises(AdapterError, match="other weights"):
        module.load_with_unsloth(str(tmp_path), str(tiny64_folder), settings(), 0)


def test_a_version_that_no_longer_names_an_argument_is_refused(stand_in, tiny_folder, monkeypatch):
    monkeypatch.delitem(SIGNATURES["FastVisionModel.from_pretrained"], "use_exact_model_name")
    without = with_signature("FastVisionModel.from_pretrained", lambda **arguments: pytest.fail("called"))
    monkeypatch.setattr(sys.modules["unsloth"].FastVisionModel, "from_pretrained", without)
    with pytest.raises(UnslothError, match=r"has no use_exact_model_name .*model\.engine=transformers"):
        load_for_training(tiny_folder, settings(tiny_folder))
