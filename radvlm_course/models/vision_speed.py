"""Three exact short cuts through the vision tower, for groups of equally sized films.

1. Without flash attention, transformers attends image by image in a Python loop. Films of one
   size can share one batched call: the same numbers, fewer calls.
2. GRPO sends every film once per rollout: eight copies of each image in generation, in the
   reference and in the policy. Encoding the distinct films once and repeating their features
   is exact, and the gradients of the copies add up on their own.
3. Patches are embedded by a convolution whose stride is its kernel, which is a matrix product; on a CPU the
   convolution takes several times as long.

They change one model instance, never the library: :func:`speed_up_vision` replaces the class of
the instance's modules by a subclass that falls back to the original wherever it does not apply.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Any

import torch
from transformers import Qwen3VLForConditionalGeneration
from transformers.models.qwen3_vl.modeling_qwen3_vl import (
    BaseModelOutputWithDeepstackFeatures,
    Qwen3VLVisionAttention,
    Qwen3VLVisionModel,
    Qwen3VLVisionPatchEmbed,
    apply_rotary_pos_emb_vision,
)

from radvlm_course.models.activations import FEATURES_KEPT

__all__ = ["speed_up_vision"]


class BatchedVisionAttention(Qwen3VLVisionAttention):
    """One attention call for all images of a batch, if they have the same number of patches."""

    def forward(
        self,
        hidden_states: torch.Tensor,
        cu_seqlens: torch.Tensor,
        position_embeddings: tuple[torch.Tensor, torch.Tensor] | None = None,
        max_seqlen: int | None = None,
        **kwargs: Any,
    ) -> torch.Tensor:
        lengths = cu_seqlens[1:] - cu_seqlens[:-1]
        images, patches = len(lengths), hidden_states.shape[0]
        if images < 2 or position_embeddings is None or not bool((lengths == lengths[0]).all()):
            return super().forward(
                hidden_states,
                cu_seqlens=cu_seqlens,
                position_embeddings=position_embeddings,
                max_seqlen=max_seqlen,
                **kwargs,
            )
        query, key, value = self.qkv(hidden_states).reshape(patches, 3, self.num_heads, -1).unbind(1)
        query, key = apply_rotary_pos_emb_vision(query, key, *position_embeddings)

        def per_image(states: torch.Tensor) -> torch.Tensor:  # (images, heads, patches of one image, head size)
            return states.reshape(images, patches // images, self.num_heads, -1).transpose(1, 2)

        attended = torch.nn.functional.scaled_dot_product_attention(
            per_image(query), per_image(key), per_image(value), scale=self.scaling
        )
        return self.proj(attended.transpose(1, 2).reshape(patches, -1))


class LinearPatchEmbed(Qwen3VLVisionPatchEmbed):
    """The patches times the kernel, as one matrix product."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        weight = self.proj.weight.flatten(1)  # (hidden size, values of a patch)
        return torch.nn.functional.linear(hidden_states.to(weight.dtype), weight, self.proj.bias)


class EncodeOnceVisionModel(Qwen3VLVisionModel):
    """Encodes each distinct image of a batch once and repeats its features.

    A frozen tower also keeps the features of the images that it saw last, up to ``FEATURES_KEPT`` bytes: training shows
    the same films again and again, GRPO the same in generation and in the loss.
    """

    def forward(self, hidden_states: torch.Tensor, grid_thw: torch.Tensor, **kwargs: Any) -> Any:
        images = grid_thw.shape[0]
        if not images or not bool((grid_thw == grid_thw[0]).all()):
            return super().forward(hidden_states, grid_thw=grid_thw, **kwargs)
        pixels = hidden_states.reshape(images, -1, hidden_states.shape[-1])
        first, copy_of = _distinct_rows(pixels.flatten(1))
        # Positions that the caller derived for all copies (in kwargs) are derived again for the distinct images.
        if any(parameter.requires_grad for parameter in self.parameters()):
            self.__dict__.pop("_kept", None)
            features = _of_each_image(
                super().forward(pixels[first].flatten(0, 1), grid_thw=grid_thw[first], return_dict=True), len(first)
            )
        else:
            features = self._remembered(pixels[first], grid_thw[first])
        last_hidden_state, pooler_output, *deepstack = [level[copy_of].flatten(0, 1) for level in features]
        return BaseModelOutputWithDeepstackFeatures(
            last_hidden_state=last_hidden_state, pooler_output=pooler_output, deepstack_features=deepstack
        )

    def _remembered(self, pixels: torch.Tensor, grid_thw: torch.Tensor) -> list[torch.Tensor]:
        """Features of distinct images, (images, tokens, width) for each level, from memory where they are there."""
        weights = [(parameter.data_ptr(), parameter._version) for parameter in self.parameters()]
        kept = self.__dict__.get("_kept")
        if kept is None or kept[0] != weights:  # the first time, or weights were assigned since
            kept = self.__dict__["_kept"] = (weights, OrderedDict())
        memory: OrderedDict[tuple[bytes, ...], list[torch.Tensor]] = kept[1]
        keys = [(_digest(image), _digest(grid)) for image, grid in zip(pixels, grid_thw, strict=True)]
        new = [index for index, key in enumerate(keys) if key not in memory]
        if new:
            with torch.no_grad():
                encoded = super().forward(pixels[new].flatten(0, 1), grid_thw=grid_thw[new], return_dict=True)
            for index, levels in zip(new, zip(*_of_each_image(encoded, len(new)), strict=True), strict=True):
                memory[keys[index]] = [level.clone() for level in levels]
        for key in keys:
            memory.move_to_end(key)
        features = [torch.stack(level) for level in zip(*(memory[key] for key in keys), strict=True)]
        if new:
            _forget(memory, FEATURES_KEPT)
        return features


def _forget(memory: OrderedDict[tuple[bytes, ...], list[torch.Tensor]], limit: int) -> None:
    """Drop what was used longest ago until the rest takes no more than ``limit`` bytes."""
    size = sum(level.nbytes for levels in memory.values() for level in levels)
    while size > limit:
        _, levels = memory.popitem(last=False)
        size -= sum(level.nbytes for level in levels)


def _of_each_image(encoded: Any, images: int) -> list[torch.Tensor]:
    """Last hidden state, merged tokens and each DeepStack level, as (images, tokens, width)."""
    levels = [encoded.last_hidden_state, encoded.pooler_output, *encoded.deepstack_features]
    return [level.reshape(images, -1, level.shape[-1]) for level in levels]


def _digest(tensor: torch.Tensor) -> bytes:
    values = tensor.detach().contiguous().cpu().view(torch.uint8).numpy().tobytes()
    return hashlib.blake2b(values, digest_size=16).digest()


def _distinct_rows(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices of the first of each distinct row, and for every row its place among them.

    Rows are told apart by some of their values and then compared in full, so the answer is exact: if
    two different rows ever agreed in those, all rows count as distinct.
    """
    some = rows[:, :: max(rows.shape[1] // 512, 1)]
    _, copy_of = torch.unique(some, dim=0, return_inverse=True)
    order = torch.arange(len(rows), device=rows.device)
    first = torch.full((int(copy_of.max()) + 1,), len(rows), device=rows.device).scatter_reduce(
        0, copy_of, order, "amin"
    )
    if not torch.equal(rows[first][copy_of], rows):
        return order, order
    return first, copy_of


def speed_up_vision(model: Qwen3VLForConditionalGeneration, encode_once: bool = True) -> None:
    """Apply the short cuts to one model, in place.

    Args:
        encode_once: also share the features of equal images (for GRPO).

    Raises:
        TypeError: the vision tower is not the class that was examined; names it.
    """
    visual = model.model.visual
    if type(visual) not in (Qwen3VLVisionModel, EncodeOnceVisionModel):
        raise TypeError(f"expected a Qwen3VLVisionModel as vision tower, found {type(visual).__name__}")
    for block in visual.blocks:
        block.attn.__class__ = BatchedVisionAttention
    visual.patch_embed.__class__ = LinearPatchEmbed
    visual.__class__ = EncodeOnceVisionModel if encode_once else Qwen3VLVisionModel
