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

    A frozen tower also keeps its latest features: GRPO shows it the same films in generation and in the loss.
    """

    def forward(self, hidden_states: torch.Tensor, grid_thw: torch.Tensor, **kwargs: Any) -> Any:
        images = grid_thw.shape[0]
        if not images or not bool((grid_thw == grid_thw[0]).all()):
            return super().forward(hidden_states, grid_thw=grid_thw, **kwargs)
        pixels = hidden_states.reshape(images, -1)
        first, copy_of = _distinct_rows(pixels)
        rows = pixels[first].reshape(-1, hidden_states.shape[-1])
        encoded = self._encode(rows, grid_thw[first])

        def repeat(features: torch.Tensor) -> torch.Tensor:
            return features.reshape(len(first), -1, features.shape[-1])[copy_of].flatten(0, 1)

        return BaseModelOutputWithDeepstackFeatures(
            last_hidden_state=repeat(encoded.last_hidden_state),
            pooler_output=repeat(encoded.pooler_output),
            deepstack_features=[repeat(features) for features in encoded.deepstack_features],
        )

    def _encode(self, rows: torch.Tensor, grid_thw: torch.Tensor) -> Any:
        """Features of distinct images. Positions that the caller derived for all copies are derived again here."""
        weights = list(self.parameters())
        if any(parameter.requires_grad for parameter in weights):
            self.__dict__.pop("_latest", None)
            return super().forward(rows, grid_thw=grid_thw, return_dict=True)
        state = [(parameter.data_ptr(), parameter._version) for parameter in weights]  # changed by any assignment
        latest = self.__dict__.get("_latest")
        if latest is None or latest[0] != state or not _equal(latest[1], (rows, grid_thw)):
            with torch.no_grad():
                encoded = super().forward(rows, grid_thw=grid_thw, return_dict=True)
            latest = self.__dict__["_latest"] = (state, (rows, grid_thw), encoded)
        return latest[2]


def _equal(first: tuple[torch.Tensor, ...], second: tuple[torch.Tensor, ...]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


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
