"""Adapters: added to a model, saved with the name of the model they belong to, loaded, checked.

A low-rank adapter (LoRA, https://arxiv.org/abs/2106.09685) is a pair of small matrices beside each matrix that it
reaches. Its folder has peft's ``adapter_config.json`` and ``adapter_model.safetensors``, the processor, and
``base_model.json``: which model it was trained on, by name and by a fingerprint of the weights, and how that was held.
An adapter on another model gives nonsense without an error; here it is refused.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias, cast

import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from peft.utils import load_peft_weights
from transformers import Qwen3VLForConditionalGeneration

from radvlm_course.model_settings import AdapterSettings, QuantisationSettings
from radvlm_course.models.quantised import quantisation_of
from radvlm_course.models.weight_files import ADAPTER_CONFIG, ADAPTER_WEIGHTS, fingerprint, local_folder, weight_shapes

__all__ = [
    "AdapterError",
    "BaseModel",
    "TrainedModel",
    "add_adapter",
    "attach_adapter",
    "base_of",
    "check_adapter_shapes",
    "freeze_vision_tower",
    "load_adapter_weights",
    "qwen",
    "save_adapter",
    "save_trained",
    "weights_kept_in_float32",
]

BASE_FILE = "base_model.json"

TrainedModel: TypeAlias = Qwen3VLForConditionalGeneration | PeftModel
"""What is trained: the model itself, or an adapter on it."""


class AdapterError(ValueError):
    """An adapter that is missing, or that does not belong to the model; the message says what to do."""


@dataclasses.dataclass(frozen=True)
class BaseModel:
    """The model that an adapter was trained on.

    Attributes:
        name_or_path: as it was loaded, a folder or a name on the hub.
        relative_path: of a folder, seen from the adapter's: a run folder may be moved.
        fingerprint: of the weights (:mod:`radvlm_course.models.weight_files`); "" if it is not known.
        precision: of the weights outside of the quantisation. quantisation: None without one.
    """

    name_or_path: str
    relative_path: str | None = None
    fingerprint: str = ""
    precision: str = "float32"
    quantisation: QuantisationSettings | None = None

    def found_from(self, folder: Path) -> str:
        """The name or path to load, for an adapter that lies in ``folder``."""
        if self.relative_path is not None and (folder / self.relative_path).is_dir():
            return str((folder / self.relative_path).resolve())
        return self.name_or_path


def qwen(model: TrainedModel) -> Qwen3VLForConditionalGeneration:
    """The Qwen3-VL itself, whether or not an adapter is on it."""
    return cast(Qwen3VLForConditionalGeneration, model.get_base_model() if isinstance(model, PeftModel) else model)


def add_adapter(model: Qwen3VLForConditionalGeneration, settings: AdapterSettings, seed: int) -> PeftModel:
    """A new adapter, which changes nothing yet: one of its two matrices is zero, the other random.

    Raises:
        AdapterError: the model has none of the modules.
    """
    torch.manual_seed(seed)
    return _with_adapter(model, LoraConfig(**settings.options()), "the profile's model.adapter.target_modules")


def attach_adapter(
    model: Qwen3VLForConditionalGeneration,
    folder: str | os.PathLike[str],
    trainable: bool = False,
    settings: AdapterSettings | None = None,
) -> PeftModel:
    """Put a saved adapter on the model that it was trained on.

    Args:
        trainable: go on training it.
        settings: what the profile says of the adapter, held against the saved one.

    Raises:
        AdapterError: files are missing, or the adapter belongs to another model or to other settings.
    """
    folder = Path(folder)
    base = base_of(folder)
    _check_base(base, model, folder)
    config = PeftConfig.from_pretrained(str(folder))
    if settings is not None:
        _check_settings(settings, config, folder)
    config.inference_mode = not trainable
    adapted = _with_adapter(model, config, str(folder))
    load_adapter_weights(adapted, folder)
    return adapted


def load_adapter_weights(model: PeftModel, folder: str | os.PathLike[str]) -> None:
    """Fill the model's adapter from a folder or a trainer's checkpoint.

    Raises:
        AdapterError: the weights are missing, or have other names or shapes.
    """
    folder = Path(folder)
    _require(folder)
    check_adapter_shapes(model, folder)
    set_peft_model_state_dict(model, load_peft_weights(str(folder), device="cpu"))


def check_adapter_shapes(model: PeftModel, folder: Path) -> None:
    """Raises AdapterError if an adapter's file has other names or shapes than the model's adapter."""
    saved = weight_shapes(folder, ADAPTER_WEIGHTS)
    expected = {name: tuple(value.shape) for name, value in get_peft_model_state_dict(model).items()}
    if saved == expected:
        return
    name = min(name for name in saved.keys() | expected.keys() if saved.get(name) != expected.get(name))
    raise AdapterError(
        f"the adapter in {folder} does not fit {qwen(model).name_or_path}: {name} is expected as "
        f"{expected.get(name, 'absent')}, found {saved.get(name, 'absent')}. It belongs to another base model, or was "
        "trained with another rank or other target_modules"
    )


def save_trained(
    model: TrainedModel, folder: str | os.PathLike[str], weights: dict[str, torch.Tensor] | None = None
) -> None:
    """Write what was trained: the whole model, or the adapter alone with the name of the model that it belongs to.

    Args:
        weights: the model's, by name, where it holds only a part of each
            (:func:`radvlm_course.training.sharding.whole_weights`).
    """
    if isinstance(model, PeftModel):
        save_adapter(model, folder, weights)
    elif weights is None:
        model.save_pretrained(folder)
    else:
        model.save_pretrained(folder, state_dict=weights)


def save_adapter(
    model: PeftModel, folder: str | os.PathLike[str], weights: dict[str, torch.Tensor] | None = None
) -> None:
    """Write the adapter and what it belongs to; not the copy of it that GRPO keeps as its reference.

    Args:
        weights: as in :func:`save_trained`.
    """
    folder = Path(folder)
    whole = {} if weights is None else {"state_dict": weights}
    model.save_pretrained(str(folder), selected_adapters=["default"], **whole)
    base = qwen(model)
    found = local_folder(base.name_or_path)
    record = BaseModel(
        name_or_path=base.name_or_path,
        relative_path=os.path.relpath(found, folder)
        if found is not None and found == Path(base.name_or_path)
        else None,
        fingerprint=fingerprint(found) if found is not None else "",
        precision=str(base.get_input_embeddings().weight.dtype).removeprefix("torch."),
        quantisation=quantisation_of(base),
    )
    text = json.dumps(dataclasses.asdict(record), indent=2)
    (folder / BASE_FILE).write_text(text + "\n", encoding="utf-8")


def base_of(folder: str | os.PathLike[str]) -> BaseModel:
    """The model that the adapter in a folder was trained on.

    An adapter from elsewhere, or in a trainer's checkpoint, has no ``base_model.json``: its name is in peft's file.

    Raises:
        AdapterError: there is no adapter, or it says of no model.
    """
    folder = Path(folder)
    _require(folder)
    if (folder / BASE_FILE).is_file():
        values: dict[str, Any] = json.loads((folder / BASE_FILE).read_text(encoding="utf-8"))
        if values["quantisation"] is not None:
            values["quantisation"] = QuantisationSettings(**values["quantisation"])
        return BaseModel(**values)
    name = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8")).get("base_model_name_or_path")
    if not name:
        raise AdapterError(f"the adapter in {folder} does not say which model it belongs to: name one with base=")
    return BaseModel(name)


def freeze_vision_tower(model: TrainedModel, freeze: bool) -> None:
    """Say whether the vision tower is trained; of a model with an adapter, whether the adapter's part in it is."""
    visual = qwen(model).model.visual
    if not isinstance(model, PeftModel):
        visual.requires_grad_(not freeze)
    elif freeze:
        visual.requires_grad_(False)


@contextlib.contextmanager
def weights_kept_in_float32(model: torch.nn.Module) -> Iterator[None]:
    """Undo what a trainer's constructor does to the trained weights of a quantised model: it rounds them to bfloat16.

    A weight of 0.01 in bfloat16 is next to 0.01006: steps of GRPO's size, 0.00001, would all be lost. And the
    reference, a copy made before, would not be rounded, so that the policy would begin away from it.
    """
    before = {name: weight.data for name, weight in model.named_parameters() if weight.requires_grad}
    yield
    for name, weight in model.named_parameters():
        if name in before and weight.dtype != before[name].dtype:
            weight.data = before[name].to(weight.device)


def _with_adapter(model: Qwen3VLForConditionalGeneration, config: PeftConfig, where: str) -> PeftModel:
    try:
        return cast(PeftModel, get_peft_model(model, config))
    except ValueError as error:
        raise AdapterError(f"{where}: no adapter can be put on {model.name_or_path or 'the model'}: {error}") from error


def _require(folder: Path) -> None:
    missing = [name for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise AdapterError(
            f"expected an adapter in {folder}, and {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not "
            "there: run the stage that makes it first, or copy the whole folder"
        )


def _check_base(base: BaseModel, model: Qwen3VLForConditionalGeneration, folder: Path) -> None:
    found = local_folder(model.name_or_path)
    if not base.fingerprint or found is None or not (here := fingerprint(found)):
        return
    if here != base.fingerprint:
        raise AdapterError(
            f"the adapter in {folder} was trained on {base.name_or_path} with other weights (fingerprint "
            f"{base.fingerprint}) than {model.name_or_path} ({here}): name the right model with --base, or train the "
            "adapter again"
        )


def _check_settings(settings: AdapterSettings, config: PeftConfig, folder: Path) -> None:
    asked = settings.options()
    for name in ("r", "lora_alpha", "target_modules"):
        saved = getattr(config, name)
        if (set(saved) if not isinstance(saved, str | int) else saved) != (
            set(asked[name]) if isinstance(asked[name], list) else asked[name]
        ):
            raise AdapterError(
                f"the adapter in {folder} has {name} {saved!r}, and the profile asks for {asked[name]!r}: they must "
                "agree, or merge it first (python -m radvlm_course merge) and start a new adapter on the merged model"
            )
