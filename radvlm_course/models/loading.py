"""Load a model and its processor from a folder or a hub name: a whole model, or an adapter with its model.

The same call loads the tiny model of the laptop tier and any ``Qwen/Qwen3-VL-*``. :func:`load_model` is for using a
model, :func:`load_for_training` for training it as a profile says: all weights, an adapter (LoRA), or an adapter on
weights in four bits (QLoRA), by transformers, bitsandbytes and peft or by Unsloth.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple, cast

import torch
from transformers import Qwen3VLForConditionalGeneration

from radvlm_course.model_settings import ModelSettings, QuantisationSettings
from radvlm_course.models.adapters import TrainedModel, add_adapter, attach_adapter, base_of, qwen
from radvlm_course.models.processor import ImageOnlyQwen3VLProcessor
from radvlm_course.models.quantised import bitsandbytes_config, is_quantised, prepare_quantised
from radvlm_course.models.vision_speed import speed_up_vision
from radvlm_course.models.weight_files import is_adapter, local_folder, model_type
from radvlm_course.processes import process_count

__all__ = [
    "LoadedModel",
    "ModelFilesError",
    "holds_processor",
    "load_for_training",
    "load_model",
    "load_processor",
    "on_gpu",
]


class LoadedModel(NamedTuple):
    model: TrainedModel
    processor: ImageOnlyQwen3VLProcessor


class ModelFilesError(ValueError):
    """A folder or a name that holds something else than a whole Qwen3-VL."""


def load_model(
    name_or_path: str | os.PathLike[str],
    max_pixels: int | None = None,
    dtype: torch.dtype | None = None,
    encode_once: bool = True,
    quantisation: QuantisationSettings | None = None,
    base: str | None = None,
) -> LoadedModel:
    """Load weights and processor, to use them.

    Args:
        name_or_path: a folder written by ``save_pretrained``, of a model or of an adapter, or a hub name.
        max_pixels: upper limit of a film's area in pixels. Qwen3-VL's own limit does not shrink
            a radiograph: 2544x3056 becomes 7,680 visual tokens, so set it for real weights.
        dtype: None: of an adapter's model as it was in training, of a whole model 32 bits.
        encode_once: share the features of equal films within a batch (exact, see ``vision_speed``).
        quantisation: hold the weights in four bits. An adapter's model is held as it was in training if None.
        base: the model to put an adapter on, if not the one that it names.

    Raises:
        FileNotFoundError: a path was given and holds no model.
        ModelFilesError: it holds another kind of model, or not all of its weights.
        AdapterError: an adapter's files are missing, or it belongs to another model.
        QuantisationError: four bits are not possible here.
    """
    path = _checked_path(name_or_path)
    if not is_adapter(path):
        model: TrainedModel = _load_weights(path, dtype or torch.float32, quantisation)
        return _ready(model, path, max_pixels, encode_once)
    record = base_of(path)
    start = _checked_path(base or record.found_from(Path(path)))
    precision = dtype or getattr(torch, record.precision)
    whole = _load_weights(start, precision, quantisation or record.quantisation)
    model = attach_adapter(whole, path)
    model.eval()
    return _ready(model, path, max_pixels, encode_once)


def load_for_training(
    name_or_path: str | os.PathLike[str],
    settings: ModelSettings,
    encode_once: bool = True,
    max_pixels: int | None = None,
    seed: int = 0,
) -> LoadedModel:
    """Load weights and processor, to train them as the profile's model section says.

    A whole model gets a new adapter if the profile has one; from an adapter, training goes on with it.

    Args:
        max_pixels: of a film's area; None: ``settings.max_pixels``.
        seed: of a new adapter.

    Raises:
        as :func:`load_model`; and AdapterError: an adapter is given where all weights are to be trained, or it was made
            with other settings.
    """
    from radvlm_course.models.unsloth import is_in_use, load_with_unsloth

    path = _checked_path(name_or_path)
    limit = max_pixels or settings.max_pixels
    if is_adapter(path) and settings.adapter is None:
        raise ModelFilesError(
            f"{path} is an adapter, and the profile trains all weights (model.adapter is null): merge it first, with "
            f"python -m radvlm_course merge --model {path} --output FOLDER"
        )
    start = _checked_path(base_of(path).found_from(Path(path))) if is_adapter(path) else path
    _take_own_gpu()
    if is_in_use(settings):
        return _ready(load_with_unsloth(path, start, settings, seed), path, limit, encode_once)
    model: TrainedModel = _load_weights(start, getattr(torch, settings.precision), settings.quantisation)
    if is_adapter(path):
        model = attach_adapter(qwen(model), path, trainable=True, settings=settings.adapter)
    elif settings.adapter is not None:
        model = add_adapter(qwen(model), settings.adapter, seed)
    return _ready(model, path, limit, encode_once)


def _take_own_gpu() -> None:
    """Of several processes on a machine each loads onto its own GPU, where weights in four bits go at once."""
    if process_count() > 1 and torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))


def on_gpu(loaded: LoadedModel) -> LoadedModel:
    """The model on the GPU, if there is one that torch can use; weights in four bits are there already."""
    if torch.cuda.is_available() and not is_quantised(qwen(loaded.model)):
        loaded.model.to(torch.device("cuda", torch.cuda.current_device()))
    return loaded


def load_processor(folder: str | os.PathLike[str], max_pixels: int | None = None) -> ImageOnlyQwen3VLProcessor:
    """The processor of a model folder or hub name, which pads on the left and keeps films below ``max_pixels``."""
    processor = ImageOnlyQwen3VLProcessor.from_pretrained(os.fspath(folder))
    processor.tokenizer.padding_side = "left"
    if max_pixels is not None:
        shortest = min(processor.image_processor.size["shortest_edge"], max_pixels)
        processor.image_processor.size = {"shortest_edge": shortest, "longest_edge": max_pixels}
    return processor


def holds_processor(folder: str | os.PathLike[str]) -> bool:
    """Whether a processor lies in a folder; adapters from elsewhere often have none."""
    return Path(folder, "tokenizer_config.json").is_file()


def _ready(model: TrainedModel, path: str, max_pixels: int | None, encode_once: bool) -> LoadedModel:
    """With its processor, which lies beside an adapter or else with its base, and a fast vision tower."""
    beside = holds_processor(path) or not is_adapter(path)
    processor = load_processor(path if beside else qwen(model).name_or_path, max_pixels)
    speed_up_vision(qwen(model), encode_once=encode_once)
    return LoadedModel(model, processor)


def _checked_path(name_or_path: str | os.PathLike[str]) -> str:
    """The path as text. Raises FileNotFoundError or ModelFilesError before anything is loaded."""
    path = os.fspath(name_or_path)
    is_path = os.path.isabs(path) or path.startswith((".", "~")) or path.count("/") != 1
    if not os.path.isdir(path) and (is_path or os.path.exists(os.path.dirname(path))):
        raise FileNotFoundError(f"expected a model folder at {path}: run the stage that makes it first")
    found = local_folder(path)
    if found is not None and not is_adapter(found) and (kind := model_type(found)) != "qwen3_vl":
        raise ModelFilesError(f"expected a Qwen3-VL in {found}, found a model of type {kind or 'unknown'!r}")
    return path


def _load_weights(
    path: str, dtype: torch.dtype, quantisation: QuantisationSettings | None
) -> Qwen3VLForConditionalGeneration:
    """A whole model, with every weight from its files.

    Raises:
        ModelFilesError: weights are missing or have other shapes; transformers would make them up.
    """
    options = {} if quantisation is None else {"quantization_config": bitsandbytes_config(quantisation)}
    model, report = Qwen3VLForConditionalGeneration.from_pretrained(
        path, dtype=dtype, output_loading_info=True, ignore_mismatched_sizes=True, **options
    )
    lacking = sorted(report["missing_keys"])
    other = sorted(str(entry[0] if isinstance(entry, tuple) else entry) for entry in report["mismatched_keys"])
    if lacking or other:
        what = f"{len(lacking)} weights are missing" if lacking else f"{len(other)} weights have other shapes"
        raise ModelFilesError(
            f"{path} is not a whole Qwen3-VL as its config.json says: {what} ({', '.join((lacking or other)[:3])}). "
            "Write or fetch it again"
        )
    if quantisation is not None:
        prepare_quantised(model)
    return cast(Qwen3VLForConditionalGeneration, model)
