"""The ``model`` section of a profile: which weights, in which precision, with which adapter.

Read by :mod:`radvlm_course.models.loading`. What goes to bitsandbytes and peft is named here in words and handed over
under their names by :meth:`QuantisationSettings.options` and :meth:`AdapterSettings.options`, so that a test can hold
them against the installed signatures. No torch here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from radvlm_course.settings import ProfileError, limits

__all__ = ["AdapterSettings", "ModelSettings", "QuantisationSettings", "check_model_settings"]

MODEL_KINDS = ("tiny", "pretrained")
PRECISIONS = ("float32", "bfloat16", "float16")
ENGINES = ("transformers", "unsloth")
VISION_TOWER = "model.visual"


@dataclass(frozen=True)
class QuantisationSettings:
    """Weights in four bits (QLoRA, https://arxiv.org/abs/2305.14314), by bitsandbytes.

    Attributes:
        kind: ``nf4``, sixteen levels at the quantiles of a normal distribution, one scale for every 64 weights.
        double: the scales are quantised as well: 0.127 instead of 0.5 bits a weight.
        compute: precision in which a layer's weights are restored and multiplied.
        skip_modules: full names, from the model down, of modules that keep ``model.precision``. bitsandbytes matches
            them from the left: ``visual`` skips nothing, ``model.visual`` skips the vision tower.
    """

    kind: str = field(default="nf4", metadata=limits(choices=("nf4",)))
    double: bool = True
    compute: str = field(default="bfloat16", metadata=limits(choices=PRECISIONS))
    skip_modules: list[str] = field(default_factory=lambda: [VISION_TOWER, "lm_head"])

    def options(self) -> dict[str, Any]:
        """Arguments of ``transformers.BitsAndBytesConfig``; precisions by name, as it reads them."""
        return {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": self.kind,
            "bnb_4bit_use_double_quant": self.double,
            "bnb_4bit_compute_dtype": self.compute,
            "llm_int8_skip_modules": list(self.skip_modules),
        }


@dataclass(frozen=True)
class AdapterSettings:
    """Low-rank matrices that are trained in the weights' place (LoRA, https://arxiv.org/abs/2106.09685), by peft.

    Attributes:
        kind: ``lora``.
        rank: of the matrices. alpha: their product is multiplied by ``alpha / rank``.
        dropout: of the adapters' input while training. In GRPO the completions are written without it, so 0.
        target_modules: a list of names that a module's full name ends in, or one regular expression that a full name
            must match whole. Qwen3-VL's language model has ``q_proj``, ``k_proj``, ``v_proj``, ``o_proj``,
            ``gate_proj``, ``up_proj``, ``down_proj``; its vision tower ``qkv``, ``proj``, ``linear_fc1`` and
            ``linear_fc2``. ``all-linear`` is refused: it reaches the vision tower as well.
        vision: ``frozen``: the vision tower stays as it is; ``lora``: ``target_modules`` reach it too.
    """

    rank: int = field(metadata=limits(1, maximum=1024))
    alpha: int = field(metadata=limits(1, maximum=4096))
    target_modules: list[str] | str
    kind: str = field(default="lora", metadata=limits(choices=("lora",)))
    dropout: float = field(default=0.0, metadata=limits(0, maximum=0.9))
    vision: str = field(default="frozen", metadata=limits(choices=("frozen", "lora")))

    def options(self) -> dict[str, Any]:
        """Arguments of ``peft.LoraConfig``."""
        named = self.target_modules
        return {
            "r": self.rank,
            "lora_alpha": self.alpha,
            "lora_dropout": self.dropout,
            "target_modules": named if isinstance(named, str) else list(named),
            "bias": "none",
            "task_type": "CAUSAL_LM",
        }


@dataclass(frozen=True)
class ModelSettings:
    """Which model, and how it is trained.

    Attributes:
        kind: ``tiny`` is built from scratch; ``pretrained`` loads ``name_or_path``.
        max_pixels: upper limit of a film's area in pixels, for every kind.
        image_size: side of the square film in pixels; only of ``tiny``, which needs it.
        tiny: sizes of the tiny model, fields of ``radvlm_course.models.tiny.TinySettings``.
        precision: in which the weights are held. ``float32`` with the trainer's ``bf16``: 32-bit weights, multiplied
            in 16 bits, as full fine-tuning needs; ``bfloat16`` for weights that an adapter leaves alone.
        quantisation: null, or how the weights are held instead, outside of its ``skip_modules``.
        adapter: null: the weights themselves are trained.
        engine: ``transformers`` (with bitsandbytes and peft), or ``unsloth``, which falls back to it with a message
            where it is absent or unfit.
    """

    kind: str = field(metadata=limits(choices=MODEL_KINDS))
    max_pixels: int = field(metadata=limits(256))
    image_size: int | None = field(default=None, metadata=limits(16, silent_default=True))
    name_or_path: str | None = None
    tiny: dict[str, Any] = field(default_factory=dict)
    precision: str = field(default="float32", metadata=limits(choices=PRECISIONS, silent_default=True))
    quantisation: QuantisationSettings | None = field(default=None, metadata=limits(silent_default=True))
    adapter: AdapterSettings | None = field(default=None, metadata=limits(silent_default=True))
    engine: str = field(default="transformers", metadata=limits(choices=ENGINES, silent_default=True))

    def vision_precision(self) -> str:
        """How the vision tower's weights are held: ``bfloat16``, or ``nf4`` if nothing skips it."""
        if self.quantisation is None or VISION_TOWER in self.quantisation.skip_modules:
            return self.precision
        return self.quantisation.kind


def check_model_settings(model: ModelSettings, source: str) -> None:
    """What no single key shows.

    Raises:
        ProfileError: no model is named; four bits without an adapter; an adapter without modules, or on all of them;
            Unsloth without an adapter.
    """
    adapter = model.adapter
    if model.kind != "tiny" and not model.name_or_path:
        raise ProfileError(f"{source}: model.name_or_path must name a model for model.kind {model.kind!r}")
    if model.kind == "tiny" and model.image_size is None:
        raise ProfileError(f"{source}: model.image_size must be given for model.kind 'tiny'")
    if model.quantisation is not None and adapter is None:
        raise ProfileError(
            f"{source}: model.quantisation is {model.quantisation.kind!r} and model.adapter is null: weights in four "
            "bits cannot be trained themselves; expected an adapter"
        )
    if model.engine == "unsloth" and adapter is None:
        raise ProfileError(f"{source}: model.engine 'unsloth' trains adapters here, and model.adapter is null")
    if adapter is not None and (not adapter.target_modules or adapter.target_modules == "all-linear"):
        raise ProfileError(
            f"{source}: model.adapter.target_modules must be a list of names or a regular expression, found "
            f"{adapter.target_modules!r} ('all-linear' would reach the vision tower as well)"
        )
