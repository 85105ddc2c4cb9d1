"""Profiles: one YAML file holds every number by which one tier differs from another.

The code is the same on a laptop and on a cluster; a profile says which model, how much data, how
many steps. It is read into frozen dataclasses, so that a misspelled key or an impossible value is
an error before anything runs, not a surprise after an hour. What goes to a trainer stays a plain
mapping under ``trainer``, named as TRL names it; :func:`check_trainer_options` holds it against the
installed config class. No torch here.
"""

from __future__ import annotations

import copy
import dataclasses
import importlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from radvlm_course.model_settings import AdapterSettings, ModelSettings, QuantisationSettings, check_model_settings
from radvlm_course.profile_checks import check_batches, check_starts, check_vision
from radvlm_course.rewards.choices import check_choices, read_choices
from radvlm_course.settings import (
    ProfileError,
    build_settings,
    close_matches,
    limits,
    load_yaml,
    parse_yaml,
    plain_values,
)

__all__ = [
    "AdapterSettings",
    "ColdStartSettings",
    "CurateSettings",
    "EvaluateSettings",
    "GrpoSettings",
    "ModelSettings",
    "Profile",
    "ProfileError",
    "QuantisationSettings",
    "Requirements",
    "SftSettings",
    "VisionPretrainingSettings",
    "available_profiles",
    "check_reward",
    "check_trainer_options",
    "load_profile",
    "parse_override",
]

SPLITS = ("train", "validation", "test")
# Set by the stages themselves, never by a profile.
SET_BY_THE_STAGE = ("output_dir", "seed", "data_seed", "report_to", "remove_unused_columns")


@dataclass(frozen=True)
class Requirements:
    """What the machine must have. Sizes in GB of 2**30 bytes; ``gpu_memory_gb`` is that of each GPU."""

    memory_gb: float = field(metadata=limits(0))
    gpus: int = field(default=0, metadata=limits(0))
    gpu_memory_gb: float = field(default=0.0, metadata=limits(0))
    disk_gb: float = field(default=0.0, metadata=limits(0))


@dataclass(frozen=True, kw_only=True)
class CurateSettings:
    """Which films: of one dataset, or of the several that a mixture names.

    Attributes:
        source: the dataset; null: those of the mixture's entries.
        root: its folder; of several datasets the folder that holds them, a sub-folder each, named as the readers are.
        image_size: of the phantoms, in pixels; only they need it.
        mixture: which tasks in which amounts, a file in ``configs/mixtures`` or of one's own.
        patients: split -> number of patients to make, for the phantoms.
        workers: processes.
        seed: of the films and of the wordings, apart from the training's so that several training seeds see the same
            data.
        roots: of several datasets, those that lie elsewhere: dataset -> folder.
        options: dataset -> options of its reader, which go before those of the mixture.
        leave_out: of several datasets, those to do without (``tbx11k``), or single entries (``ms_cxr/conversation``).
    """

    source: str | None = None
    root: str
    image_size: int | None = field(default=None, metadata=limits(16, silent_default=True))
    mixture: str
    patients: dict[str, int] = field(default_factory=dict, metadata=limits(1, keys=SPLITS))
    workers: int = field(default=1, metadata=limits(1))
    seed: int = field(default=0, metadata=limits(0))
    roots: dict[str, str] | None = None
    options: dict[str, dict[str, Any]] | None = None
    leave_out: list[str] | None = None


@dataclass(frozen=True)
class VisionPretrainingSettings:
    """As in :mod:`radvlm_course.training.vision_pretraining`; only the tiny model has this stage."""

    steps: int = field(metadata=limits(1))
    batch_size: int = field(metadata=limits(1))
    learning_rate: float = field(metadata=limits(0))
    muon_learning_rate: float | None = field(default=0.02, metadata=limits(0))
    warmup_steps: int = field(default=20, metadata=limits(0))
    box_weight: float = field(default=2.0, metadata=limits(0))
    structure_weight: float = field(default=0.1, metadata=limits(0))
    log_every: int = field(default=20, metadata=limits(1))


@dataclass(frozen=True)
class SftSettings:
    """Supervised fine-tuning.

    Attributes:
        trainer: fields of ``trl.SFTConfig``.
        muon_learning_rate: if given, hidden matrices are trained by Muon at this rate and the rest by AdamW at
            ``trainer.learning_rate`` (:mod:`radvlm_course.training.optimizers`); null leaves the choice to TRL.
        early_step: the stage also leaves its checkpoint of this step as model ``sft_early``, and GRPO starts there: a
            tiny model that has learned all it can leaves GRPO nothing to improve. Null, or a step beyond the end: GRPO
            starts from the stage's last model.
        max_pixels: upper limit of a film's area in pixels in this stage; null: ``model.max_pixels``.
    """

    trainer: dict[str, Any]
    freeze_vision: bool = True
    muon_learning_rate: float | None = field(default=None, metadata=limits(0))
    early_step: int | None = field(default=None, metadata=limits(1))
    max_pixels: int | None = field(default=None, metadata=limits(256, silent_default=True))

    def has_early_model(self) -> bool:
        """Whether training gets as far as ``early_step``."""
        return self.early_step is not None and self.early_step <= self.trainer.get("max_steps", self.early_step)


@dataclass(frozen=True)
class ColdStartSettings:
    """The cold start: a second fine-tuning, on answers with a thought mixed with direct ones.

    Attributes:
        traces: ``phantom`` for the teacher that reads phantoms, or the path of a ``traces.jsonl`` that
            ``data_scripts/write_thinking_traces.py`` wrote.
        direct_share: of direct answers among all, at least 0 and below 1.
        max_thinking_tokens: limit of a completion with a thought, in evaluation.
        trainer, freeze_vision, muon_learning_rate: as in :class:`SftSettings`.
    """

    traces: str
    trainer: dict[str, Any]
    direct_share: float = field(default=0.5, metadata=limits(0))
    max_thinking_tokens: int = field(default=4096, metadata=limits(1))
    freeze_vision: bool = True
    muon_learning_rate: float | None = field(default=None, metadata=limits(0))


@dataclass(frozen=True)
class GrpoSettings:
    """One GRPO stage.

    Attributes:
        reward: a name in :mod:`radvlm_course.rewards`, or several with their weights in the sum, or with weight and
            options: ``{radgraph: {weight: 1, level: partial}, thinking_format: 0.1}``
            (:mod:`radvlm_course.rewards.choices` has all forms).
        prompts_per_step: prompts of one generation; each gets ``trainer.num_generations`` completions.
        trainer: fields of ``trl.GRPOConfig``. ``use_vllm`` and ``vllm_mode`` say what writes the completions.
        muon_learning_rate: as in :class:`SftSettings`.
        thinking: ask for a thought first, and start from the cold start's model; rewards judge the response alone.
        encode_once: the vision tower sees each distinct film of a batch once, not once for every completion; exact
            (:mod:`radvlm_course.models.vision_speed`).
        start: the model to start from: a stage of the run (``base``, ``sft``, ``sft_early``, ``cold_start``), a folder,
            or a name on the hub; null: the SFT's model, or the cold start's if ``thinking``.
        tasks: whose prompts to train on; null: the stage's own task. With several, ``reward`` needs one for each.
    """

    reward: str | dict[str, Any]
    prompts_per_step: int = field(metadata=limits(1))
    trainer: dict[str, Any]
    freeze_vision: bool = True
    muon_learning_rate: float | None = field(default=None, metadata=limits(0))
    thinking: bool = False
    encode_once: bool = field(default=True, metadata=limits(silent_default=True))
    start: str | None = field(default=None, metadata=limits(silent_default=True))
    tasks: list[str] | None = field(default=None, metadata=limits(silent_default=True))


@dataclass(frozen=True)
class EvaluateSettings:
    """Greedy predictions. ``max_examples`` of each task, all of them if null; ``max_new_tokens`` in tokens."""

    batch_size: int = field(metadata=limits(1))
    max_new_tokens: int = field(metadata=limits(1))
    max_examples: int | None = field(default=None, metadata=limits(1))


@dataclass(frozen=True)
class Profile:
    """All settings of a tier. Treat it as frozen through and through: the mappings inside are its own.

    Attributes:
        side_by_side: ``run`` trains both GRPO stages at once, each on half of the cores; for small models on CPUs.
        differs: dotted key -> why its value is not that of the profile ``paper``
            (:mod:`radvlm_course.profile_differences`). Says something of the settings and is none: not written with
            them, not compared.
    """

    name: str
    description: str
    requires: Requirements
    seed: int = field(metadata=limits(0))
    model: ModelSettings
    curate: CurateSettings
    sft: SftSettings
    grpo_grounding: GrpoSettings
    grpo_reports: GrpoSettings
    evaluate: EvaluateSettings
    vision_pretraining: VisionPretrainingSettings | None = None
    cold_start: ColdStartSettings | None = None
    side_by_side: bool = False
    differs: dict[str, str] = field(default_factory=dict, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain values (mappings, lists, numbers, strings), ready for YAML; a copy, without ``differs``."""
        values = plain_values(self)
        del values["differs"]
        return values


def available_profiles() -> list[str]:
    """Names of the profiles that come with the package."""
    folder = resources.files("radvlm_course") / "configs" / "profiles"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_profile(name_or_path: str | os.PathLike[str], overrides: Mapping[str, Any] | None = None) -> Profile:
    """Read a profile.

    Args:
        name_or_path: ``laptop`` (a profile of the package), or the path of a YAML file.
        overrides: dotted key -> value, put in before anything is checked, e.g. ``{"sft.trainer.max_steps": 10}``.

    Raises:
        ProfileError: no such profile, an unknown or missing key, a wrong type, a value out of range.
    """
    path = _profile_path(name_or_path)
    values = load_yaml(path)
    source = os.fspath(name_or_path) if os.fspath(name_or_path).endswith((".yaml", ".yml")) else path.name
    for key, value in (overrides or {}).items():
        _override(values, key, value)
    if overrides:
        source += f" (with {', '.join(f'{key}={value}' for key, value in overrides.items())})"
    profile = build_settings(Profile, values, source)
    _check_together(profile, source)
    return profile


def parse_override(text: str) -> tuple[str, Any]:
    """Read ``key.key=value`` from a command line; the value is read as YAML (``3``, ``1e-4``, ``null``, ``[a, b]``).

    Raises:
        ProfileError: not of that form.
    """
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", key):
        raise ProfileError(f"expected an override like sft.trainer.max_steps=10, found {text!r}")
    try:
        return key, parse_yaml(value)
    except yaml.YAMLError as error:
        raise ProfileError(f"the value of the override {text!r} is not valid YAML: {error}") from error


def check_trainer_options(
    section: SftSettings | ColdStartSettings | GrpoSettings, config_class: type[Any] | str, name: str = ""
) -> None:
    """Check that every key of ``section.trainer`` is a setting of the installed trainer.

    Args:
        section: the stage's settings.
        config_class: the config class, or where it is (``"trl.SFTConfig"``: imported only now).
        name: the section's name in the profile, for the message.

    Raises:
        ProfileError: a key that the class does not have (with close matches), or one that the stage itself sets.
    """
    if isinstance(config_class, str):
        module, _, attribute = config_class.rpartition(".")
        config_class = getattr(importlib.import_module(module), attribute)
    assert isinstance(config_class, type)
    known = {entry.name for entry in dataclasses.fields(config_class) if entry.init}
    where = f"{name}.trainer" if name else "trainer"
    for key in section.trainer:
        if key in SET_BY_THE_STAGE:
            raise ProfileError(f"{where}.{key} is set by the stage itself: remove it from the profile")
        if key not in known:
            version = getattr(importlib.import_module(config_class.__module__.split(".")[0]), "__version__", "")
            raise ProfileError(
                f"{where}.{key}: {config_class.__name__} has no such setting in the installed version {version}"
                + close_matches(key, known)
            )


def check_reward(section: GrpoSettings, name: str) -> None:
    """Check that the rewards of a section exist and have the options they are given; builds and loads none.

    Args:
        name: the section's name in the profile, for the message.

    Raises:
        ProfileError: an unknown reward, an option that it does not have, or one that it needs and is not given.
    """
    try:
        check_choices(read_choices(section.reward))
    except ValueError as error:
        raise ProfileError(f"{name}.reward: {error}") from error


def _profile_path(name_or_path: str | os.PathLike[str]) -> Path:
    text = os.fspath(name_or_path)
    if text.endswith((".yaml", ".yml")) or "/" in text or "\\" in text:
        if not Path(text).is_file():
            raise ProfileError(f"there is no profile at {text}; profiles by name: {', '.join(available_profiles())}")
        return Path(text)
    if text not in available_profiles():
        raise ProfileError(
            f"there is no profile named {text!r}; there are: {', '.join(available_profiles())}. "
            "A file of your own is given by its path, ending in .yaml"
        )
    return Path(str(resources.files("radvlm_course") / "configs" / "profiles" / f"{text}.yaml"))


def _override(values: dict[str, Any], dotted: str, value: Any) -> None:
    *sections, key = dotted.split(".")
    inner = values
    for depth, section in enumerate(sections, start=1):
        if not isinstance(inner.get(section), dict):
            raise ProfileError(
                f"override {dotted}: the profile has no section {'.'.join(sections[:depth])!r}"
                + close_matches(section, [name for name in inner if isinstance(inner[name], dict)])
            )
        inner = inner[section]
    inner[key] = copy.deepcopy(value)


def _check_together(profile: Profile, source: str) -> None:
    early, save_steps = profile.sft.early_step, profile.sft.trainer.get("save_steps", 500)
    if early is not None and profile.sft.has_early_model() and early % save_steps:
        raise ProfileError(
            f"{source}: sft.early_step is {early}, where no checkpoint is written: expected a multiple of "
            f"sft.trainer.save_steps ({save_steps})"
        )
    check_model_settings(profile.model, source)
    if profile.curate.source is not None and (profile.curate.roots or profile.curate.leave_out):
        raise ProfileError(
            f"{source}: curate.roots and curate.leave_out are for a mixture of several datasets; remove them, or set "
            "curate.source to null"
        )
    if profile.curate.source == "phantom" and (missing := set(SPLITS) - set(profile.curate.patients)):
        raise ProfileError(f"{source}: curate.patients must give a number for {', '.join(sorted(missing))}")
    if profile.curate.source == "phantom" and profile.curate.image_size is None:
        raise ProfileError(f"{source}: curate.image_size must be given for curate.source 'phantom'")
    check_vision(profile, source)
    check_batches(profile, max(profile.requires.gpus, 1), source)
    check_starts(profile, source)
    for name in ("grpo_grounding", "grpo_reports"):
        try:
            read_choices(getattr(profile, name).reward)
        except ValueError as error:
            raise ProfileError(f"{source}: {name}.reward: {error}") from error
