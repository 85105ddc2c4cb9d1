"""What runs the model for ``evaluate predict``: transformers, or vLLM where it is installed.

Both are asked with the same prompts, the same films of the same size and greedy decoding, so that a table may hold rows
of either (:mod:`radvlm_course.evaluation.vllm_engine` checks that token by token).

An engine is cheap until its first answer: :meth:`settings` loads the processor, :meth:`complete` the weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from radvlm_course.evaluation.provenance import versions
from radvlm_course.evaluation.writing import ToPrediction, as_written, batches
from radvlm_course.records import Example

if TYPE_CHECKING:
    from radvlm_course.models.processor import ImageOnlyQwen3VLProcessor

__all__ = [
    "DTYPES",
    "ENGINES",
    "Engine",
    "EngineError",
    "Generation",
    "OwnModel",
    "TransformersEngine",
    "chosen_dtype",
    "common_settings",
    "hardware",
    "open_engine",
    "pixel_limits",
]

DTYPES = ("auto", "float32", "bfloat16", "float16")
ENGINES = ("transformers", "vllm")


class EngineError(RuntimeError):
    """An engine that is not there, cannot run the model, or did not do what it was asked."""


@dataclass(frozen=True)
class Generation:
    """What decides a greedy answer, besides the weights and the libraries.

    Attributes:
        max_new_tokens: limit of a completion, in tokens.
        batch_size: examples that are answered together; with vLLM, that are queued together.
        thinking: ask with the thinking suffix.
        max_pixels: upper limit of a film's area in pixels; None leaves the model's own.
        dtype: one of :data:`DTYPES`; ``auto`` is bfloat16 on a GPU and float32 on a CPU, and of an adapter's model the
            one that it had in training.
        seed: of the random generators, which greedy decoding does not use.
    """

    max_new_tokens: int
    batch_size: int
    thinking: bool = False
    max_pixels: int | None = None
    dtype: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.max_new_tokens, self.batch_size) < 1:
            raise ValueError(
                "expected max_new_tokens and batch_size of at least 1, found "
                f"{self.max_new_tokens} and {self.batch_size}"
            )
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype: expected one of {', '.join(DTYPES)}, found {self.dtype!r}")


class Engine(Protocol):
    """Anything that answers examples and says with what."""

    @property
    def batch_size(self) -> int:
        """Examples that are asked at a time."""

    def settings(self) -> dict[str, Any]:
        """What decides the answers, as JSON values; loads no weights."""

    def complete(self, examples: Sequence[Example]) -> Iterator[tuple[str, str]]:
        """Completion and finish reason of each example, in order, as they come; the first call loads the weights."""

    def to_prediction(self, name: str) -> ToPrediction:
        """What makes the line of an example and its answer; ``name`` is the model's in tables."""


def open_engine(name: str, model: str, generation: Generation, options: dict[str, Any] | None = None) -> Engine:
    """An engine by name.

    Args:
        name: one of :data:`ENGINES`.
        model: a ``from_pretrained`` folder or a hub name.
        options: further arguments of ``vllm.LLM``, such as ``tensor_parallel_size``.

    Raises:
        ValueError: no such engine, or options for one that has none.
    """
    if name not in ENGINES:
        raise ValueError(f"engine: expected one of {', '.join(ENGINES)}, found {name!r}")
    if name == "transformers":
        if options:
            raise ValueError(f"the engine transformers has no options, found {', '.join(options)}")
        return TransformersEngine(model, generation)
    from radvlm_course.evaluation.vllm_engine import VllmEngine

    return VllmEngine(model, generation, dict(options or {}))


def _on_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def hardware() -> str:
    """The first GPU's name, or ``cpu``."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def chosen_dtype(model: str, generation: Generation) -> str:
    """The dtype that ``auto`` stands for: of an adapter that of its model in training, else by the machine."""
    from radvlm_course.models.weight_files import is_adapter

    if generation.dtype != "auto":
        return generation.dtype
    if is_adapter(model):
        from radvlm_course.models.adapters import base_of

        return base_of(model).precision
    return "bfloat16" if _on_gpu() else "float32"


def _with_processor(model: str) -> str:
    """Where the model's processor lies: an adapter from elsewhere often has none, then with its model."""
    from radvlm_course.models.loading import holds_processor
    from radvlm_course.models.weight_files import is_adapter

    if holds_processor(model) or not is_adapter(model):
        return model
    from radvlm_course.models.adapters import base_of

    return base_of(model).found_from(Path(model))


def pixel_limits(processor: ImageOnlyQwen3VLProcessor) -> dict[str, int]:
    """Limits of a film's area in pixels."""
    size = processor.image_processor.size
    return {"min_pixels": size["shortest_edge"], "max_pixels": size["longest_edge"]}


def common_settings(
    model: str, generation: Generation, processor: ImageOnlyQwen3VLProcessor, packages: Sequence[str]
) -> dict[str, Any]:
    """What decides the answers of either engine, besides the weights."""
    return {
        "decoding": "greedy",
        "temperature": 0.0,
        "repetition_penalty": 1.0,
        "max_new_tokens": generation.max_new_tokens,
        "prompt": "thinking" if generation.thinking else "direct",
        "seed": generation.seed,
        "dtype": chosen_dtype(model, generation),
        **pixel_limits(processor),
        "hardware": hardware(),
        "versions": versions(("torch", "transformers", "tokenizers", "pillow", *packages)),
    }


@dataclass
class OwnModel:
    """What both engines share: a model that answers in the course's own format.

    Attributes:
        model: a ``from_pretrained`` folder or a hub name.
    """

    model: str
    generation: Generation

    @property
    def batch_size(self) -> int:
        return self.generation.batch_size

    def settings(self) -> dict[str, Any]:
        raise NotImplementedError

    def to_prediction(self, name: str) -> ToPrediction:
        """As :meth:`Engine.to_prediction`; each line holds the settings that matter most."""
        settings = self.settings()
        keys = ("engine", "temperature", "max_new_tokens", "seed", "dtype", "max_pixels")
        line = {**{key: settings[key] for key in keys}, "thinking": self.generation.thinking}
        return as_written(name, line, self.generation.thinking)


@dataclass
class TransformersEngine(OwnModel):
    """``generate`` of transformers, batch by batch; on the first GPU if there is one."""

    _loaded: Any = field(default=None, repr=False)

    def settings(self) -> dict[str, Any]:
        from radvlm_course.models.loading import load_processor

        processor = load_processor(_with_processor(self.model), self.generation.max_pixels)
        settings = common_settings(self.model, self.generation, processor, ("peft", "bitsandbytes"))
        return {"engine": "transformers", **settings}

    def complete(self, examples: Sequence[Example]) -> Iterator[tuple[str, str]]:
        from radvlm_course.evaluation.predict import complete

        self._loaded = self._loaded or self._load()
        for batch in batches(examples, self.generation.batch_size):
            yield from complete(self._loaded, batch, self.generation.max_new_tokens, thinking=self.generation.thinking)

    def _load(self) -> Any:
        import torch
        from transformers import set_seed

        from radvlm_course.models.loading import load_model, on_gpu

        set_seed(self.generation.seed)
        dtype = getattr(torch, chosen_dtype(self.model, self.generation))
        return on_gpu(load_model(self.model, max_pixels=self.generation.max_pixels, dtype=dtype))
