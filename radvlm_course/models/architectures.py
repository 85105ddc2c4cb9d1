"""Sizes of a Qwen3-VL, and the names and shapes of its matrices, before any weight is loaded.

What a name in ``skip_modules`` or ``target_modules`` reaches can be counted here in a moment, where a mistake would
otherwise show after the weights were loaded: as a vision tower in four bits, or as an adapter on nothing. No torch.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from radvlm_course.model_settings import AdapterSettings, ModelSettings, QuantisationSettings
from radvlm_course.settings import ProfileError, build_settings, close_matches, limits, load_yaml

__all__ = ["Architecture", "TextSizes", "VisionSizes", "check_module_names", "known_architectures", "read_architecture"]

PATCH_EMBEDDING = "model.visual.patch_embed.proj"


@dataclass(frozen=True)
class TextSizes:
    """Of the language model; the names are those of ``text_config``."""

    hidden_size: int = field(metadata=limits(1))
    intermediate_size: int = field(metadata=limits(1))
    num_hidden_layers: int = field(metadata=limits(1))
    num_attention_heads: int = field(metadata=limits(1))
    num_key_value_heads: int = field(metadata=limits(1))
    head_dim: int = field(metadata=limits(1))
    vocab_size: int = field(metadata=limits(1))


@dataclass(frozen=True)
class VisionSizes:
    """Of the vision tower; the names are those of ``vision_config``."""

    depth: int = field(metadata=limits(1))
    hidden_size: int = field(metadata=limits(1))
    intermediate_size: int = field(metadata=limits(1))
    num_heads: int = field(metadata=limits(1))
    out_hidden_size: int = field(metadata=limits(1))
    deepstack_visual_indexes: list[int]
    patch_size: int = field(default=16, metadata=limits(1))
    temporal_patch_size: int = field(default=2, metadata=limits(1))
    spatial_merge_size: int = field(default=2, metadata=limits(1))
    in_channels: int = field(default=3, metadata=limits(1))
    num_position_embeddings: int = field(default=2304, metadata=limits(1))


@dataclass(frozen=True)
class Architecture:
    """One model's sizes.

    Attributes:
        tie_word_embeddings: the head is the embedding; it counts once.
        parameters: what was published of their number, if anything.
    """

    text_config: TextSizes
    vision_config: VisionSizes
    tie_word_embeddings: bool = False
    parameters: int | None = None

    def matrices(self) -> dict[str, tuple[int, int]]:
        """Full name of every linear layer, and of the patch embedding -> (inputs, outputs)."""
        text, vision = self.text_config, self.vision_config
        heads, key_value = text.num_attention_heads * text.head_dim, text.num_key_value_heads * text.head_dim
        hidden, wide = text.hidden_size, text.intermediate_size
        layer = {
            "self_attn.q_proj": (hidden, heads),
            "self_attn.k_proj": (hidden, key_value),
            "self_attn.v_proj": (hidden, key_value),
            "self_attn.o_proj": (heads, hidden),
            "mlp.gate_proj": (hidden, wide),
            "mlp.up_proj": (hidden, wide),
            "mlp.down_proj": (wide, hidden),
        }
        side = vision.hidden_size
        block = {
            "attn.qkv": (side, 3 * side),
            "attn.proj": (side, side),
            "mlp.linear_fc1": (side, vision.intermediate_size),
            "mlp.linear_fc2": (vision.intermediate_size, side),
        }
        merged = side * vision.spatial_merge_size**2
        merger = {"linear_fc1": (merged, merged), "linear_fc2": (merged, vision.out_hidden_size)}
        found = {
            PATCH_EMBEDDING: (vision.in_channels * vision.temporal_patch_size * vision.patch_size**2, side),
            **{f"model.visual.blocks.{n}.{name}": size for n in range(vision.depth) for name, size in block.items()},
            **{f"model.visual.merger.{name}": size for name, size in merger.items()},
        }
        for n in range(len(vision.deepstack_visual_indexes)):
            found |= {f"model.visual.deepstack_merger_list.{n}.{name}": size for name, size in merger.items()}
        for n in range(text.num_hidden_layers):
            found |= {f"model.language_model.layers.{n}.{name}": size for name, size in layer.items()}
        return found | {"lm_head": (hidden, text.vocab_size)}

    def parameter_count(self, where: str = "") -> int:
        """Parameters, each counted once; of the ``vision`` tower or the ``text`` model with its head alone."""
        counts = {"vision": self._vision_parameters(), "text": self._text_parameters()}
        return counts[where] if where else sum(counts.values())

    def _text_parameters(self) -> int:
        text = self.text_config
        inner = sum(a * b for name, (a, b) in self.matrices().items() if name.startswith("model.language_model."))
        norms = text.num_hidden_layers * (2 * text.hidden_size + 2 * text.head_dim) + text.hidden_size
        return inner + norms + text.vocab_size * text.hidden_size * (1 if self.tie_word_embeddings else 2)

    def _vision_parameters(self) -> int:
        vision = self.vision_config
        inside = {name: size for name, size in self.matrices().items() if name.startswith("model.visual.")}
        matrices = sum(inputs * outputs + outputs for inputs, outputs in inside.values())  # each has a bias
        merged = vision.hidden_size * vision.spatial_merge_size**2
        norms = vision.depth * 4 * vision.hidden_size + 2 * vision.hidden_size
        norms += len(vision.deepstack_visual_indexes) * 2 * merged  # these are normed after merging
        return matrices + norms + vision.num_position_embeddings * vision.hidden_size

    def reached_by(self, adapter: AdapterSettings) -> dict[str, tuple[int, int]]:
        """The matrices that get an adapter, matched as peft matches them."""
        named = adapter.target_modules
        if isinstance(named, str):
            return {name: size for name, size in self.matrices().items() if re.fullmatch(named, name)}
        return {
            name: size
            for name, size in self.matrices().items()
            if any(name == target or name.endswith(f".{target}") for target in named)
        }

    def quantised_by(self, quantisation: QuantisationSettings) -> dict[str, tuple[int, int]]:
        """The linear layers that are held in four bits, matched as transformers matches them: a name is skipped if it
        starts with a pattern, read as a regular expression, or ends in it."""

        def is_skipped(name: str) -> bool:
            return any(re.match(pattern, name) or name.endswith(pattern) for pattern in quantisation.skip_modules)

        linear = {name: size for name, size in self.matrices().items() if name != PATCH_EMBEDDING}
        return {name: size for name, size in linear.items() if not is_skipped(name)}

    def to_config(self) -> dict[str, Any]:
        """Arguments of ``transformers.Qwen3VLConfig``, with the published positions and special tokens."""
        import dataclasses

        half = self.text_config.head_dim // 2  # 64 rotary frequencies: 24 for time, 20 for height, 20 for width
        side = half * 20 // 64
        rotary = {"rope_type": "default", "rope_theta": 5e6, "mrope_interleaved": True}
        return {
            "text_config": {
                **dataclasses.asdict(self.text_config),
                "rope_parameters": {**rotary, "mrope_section": [half - 2 * side, side, side]},
                "max_position_embeddings": 262144,
                "tie_word_embeddings": self.tie_word_embeddings,
            },
            "vision_config": dataclasses.asdict(self.vision_config),
            "tie_word_embeddings": self.tie_word_embeddings,
        }


@cache
def known_architectures() -> Mapping[str, Architecture]:
    """Hub name -> sizes, from ``configs/architectures.yaml``."""
    path = Path(str(resources.files("radvlm_course") / "configs" / "architectures.yaml"))
    return {name: build_settings(Architecture, values, path.name, name) for name, values in load_yaml(path).items()}


def read_architecture(name_or_path: str | os.PathLike[str]) -> Architecture:
    """The sizes of a published model, or of the model in a folder.

    Raises:
        ProfileError: neither a known name nor a folder with the ``config.json`` of a Qwen3-VL.
    """
    name = os.fspath(name_or_path)
    if name in known_architectures():
        return known_architectures()[name]
    path = Path(name) / "config.json"
    if not path.is_file():
        raise ProfileError(
            f"expected the name of a published model or a folder with a config.json, found {name!r}"
            f"{close_matches(name, known_architectures())}; known: {', '.join(known_architectures())}"
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ProfileError(f"cannot read {path}: {error}") from error
    if not isinstance(values, dict) or values.get("model_type") != "qwen3_vl":
        found = values.get("model_type") if isinstance(values, dict) else type(values).__name__
        raise ProfileError(f"{path}: expected the model_type 'qwen3_vl', found {found!r}")
    sections: dict[str, Any] = {"text_config": TextSizes, "vision_config": VisionSizes}
    known = {
        section: {key: value for key, value in values[section].items() if key in cls.__dataclass_fields__}
        for section, cls in sections.items()
    }
    return build_settings(
        Architecture, {**known, "tie_word_embeddings": bool(values.get("tie_word_embeddings"))}, str(path)
    )


def check_module_names(model: ModelSettings, architecture: Architecture, source: str = "model") -> None:
    """Check that every name in ``skip_modules`` and ``target_modules`` reaches something, and what it should.

    Raises:
        ProfileError: a name reaches nothing, an adapter is on the vision tower and should not be, or not there and
            should be, or on the patch embedding, which is applied as one matrix product and would pass it over.
    """
    names = list(architecture.matrices())
    for pattern in model.quantisation.skip_modules if model.quantisation is not None else ():
        if not any(re.match(pattern, name) or name.endswith(pattern) for name in names):
            raise ProfileError(
                f"{source}.quantisation.skip_modules: {pattern!r} reaches no module; names are full names from the "
                f"model down, for example {names[0].rpartition('.patch_embed')[0]!r} or 'lm_head'"
            )
    if model.adapter is None:
        return
    reached = architecture.reached_by(model.adapter)
    named = model.adapter.target_modules
    for target in named if isinstance(named, list) else []:
        if not any(name == target or name.endswith(f".{target}") for name in reached):
            raise ProfileError(f"{source}.adapter.target_modules: {target!r} reaches no module")
    in_vision = [name for name in reached if name.startswith("model.visual.")]
    where = f"{source}.adapter.target_modules"
    if not reached:
        raise ProfileError(f"{where}: {named!r} reaches no module")
    if PATCH_EMBEDDING in reached:
        raise ProfileError(f"{where}: {named!r} reaches {PATCH_EMBEDDING}, where an adapter has no effect")
    if in_vision and model.adapter.vision == "frozen":
        raise ProfileError(f"{where}: {named!r} reaches {in_vision[0]}, and adapter.vision is 'frozen'")
    if not in_vision and model.adapter.vision == "lora":
        raise ProfileError(f"{where}: {named!r} reaches nothing in model.visual, and adapter.vision is 'lora'")
