"""The general-domain base from beginning to end, with a model of a few parameters."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from radvlm_course.general_base.corpus import Amounts
from radvlm_course.general_base.making import GeneralBaseSettings, make_general_base
from radvlm_course.general_base.shipped import check_made
from radvlm_course.models.loading import load_model
from radvlm_course.profiles import Profile, load_profile

AMOUNTS = Amounts(8, 2, 2, grounding=8, captions=4, prose=6, thinking_share=0.5, films=3)
SETTINGS = GeneralBaseSettings(seed=3, vision_steps=2, sft_steps=2, amounts=AMOUNTS)


@pytest.fixture(scope="module")
def profile(small_course: dict[str, Any]) -> Profile:
    own = {key: value for key, value in small_course.items() if not key.startswith("curate.")}
    return load_profile("laptop", own)


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory, profile: Profile) -> Path:
    folder = tmp_path_factory.mktemp("general")
    make_general_base(folder, profile, SETTINGS, "a command", progress=False)
    return folder


def test_the_record_says_how_it_was_made_and_what_it_can_do(output: Path) -> None:
    made = check_made(output / "model")
    assert (made["command"], made["seed"]) == ("a command", 3)
    assert made["settings"]["amounts"]["prose"] == 6
    assert made["sft"]["examples"] == 18
    assert 0 < made["sft"]["with_a_thought"] < 18
    assert set(made["processor_seconds"]) == {"data", "vision", "sft", "held_out"}
    assert {"torch", "transformers", "trl", "python"} <= set(made["versions"])
    assert 0 <= made["held_out"]["direct"]["soft_f1"]["value"] <= 1
    assert 0 <= made["held_out"]["thinking"]["kept_to_the_mode"] <= 1
    assert made["held_out"]["prior_mean_box"]["soft_f1"]["value"] > 0


def test_the_weights_are_stored_in_half_precision_and_load_in_single(output: Path, profile: Profile) -> None:
    from safetensors import safe_open

    with safe_open(output / "model" / "model.safetensors", "pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118
    model = load_model(output / "model").model
    assert model.dtype == torch.float32
    assert model.config.text_config.num_hidden_layers == profile.model.tiny["text_layers"]


def test_the_frozen_tower_is_that_of_vision_pretraining(output: Path) -> None:
    before, after = (load_model(output / name).model.model for name in ("vision/model", "model"))
    for first, second in zip(before.visual.parameters(), after.visual.parameters(), strict=True):
        assert torch.equal(first.half(), second.half())
    changed = zip(before.language_model.parameters(), after.language_model.parameters(), strict=True)
    assert any(not torch.equal(first.half(), second.half()) for first, second in changed)


def test_the_same_seed_gives_the_same_bytes(output: Path, profile: Profile, tmp_path: Path) -> None:
    again = make_general_base(tmp_path / "again", profile, SETTINGS, "a command", progress=False)
    assert check_made(again)["sha256"] == check_made(output / "model")["sha256"]


def test_what_is_finished_is_not_made_again(output: Path, profile: Profile) -> None:
    path = output / "vision" / "model" / "model.safetensors"
    before = (path.stat().st_mtime_ns, json.loads((output / "model" / "made.json").read_text()))
    make_general_base(output, profile, SETTINGS, "a command", progress=False)
    after = (path.stat().st_mtime_ns, json.loads((output / "model" / "made.json").read_text()))
    for made in (before[1], after[1]):
        made["processor_seconds"].pop("data")
    assert after == before


def test_a_folder_of_other_settings_is_refused(output: Path, profile: Profile) -> None:
    other = dataclasses.replace(SETTINGS, seed=4)
    with pytest.raises(ValueError, match="holds a base of other settings"):
        make_general_base(output, profile, other, "a command", progress=False)


@pytest.mark.parametrize("values", [{"seed": -1}, {"vision_steps": 0}, {"sft_steps": 0}])
def test_impossible_settings_are_refused(values: dict) -> None:
    with pytest.raises(ValueError, match="at least one step of each"):
        GeneralBaseSettings(**values)


def test_a_profile_without_a_cold_start_is_refused(profile: Profile, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected the sections vision_pretraining and cold_start"):
        make_general_base(tmp_path, dataclasses.replace(profile, cold_start=None), SETTINGS, "", progress=False)
