"""Three exact short cuts through the vision tower.

1. Without flash attention, transformers attends image by image in a Python loop. Films of one
   size can share one batched call: the same numbers, fewer calls.
2. GRPO sends every film once per rollout: eight copies of each image in generation, in the
   reference and in the policy. Encoding the distinct films once and repeating their features
   is exact, and the gradients of the copies add up on their own. Films may differ in size.
3. Patches are embedded by a convolution whose stride is its kernel, which is a matrix product; on a CPU the
   convolution takes several times as long.

They change one model instance, never the library: :func:`speed_up_vision` replaces the class of
the instance's modules by a subclass that falls back to the original wherever it does not apply.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
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
from radvlm_course.processes import sharding

__all__ = ["EncodeOnceVisionModel", "speed_up_vision"]

_FEATURES = {"last_hidden_state", "pooler_output", "deepstack_features"}
# What a caller may have derived for all copies; it is derived again for the distinct images.
_OF_EACH_IMAGE = {"position_ids", "interp_indices", "interp_weights", "cu_seqlens", "max_seqlen", "return_dict"}
_CHANGED = "transformers has changed: encode_once: false in the profile goes on without this short cut"


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
        if type(self.proj) is not torch.nn.Conv3d:  # an adapter is on it
            return super().forward(hidden_states)
        weight = self.proj.weight.flatten(1)  # (hidden size, values of a patch)
        return torch.nn.functional.linear(hidden_states.to(weight.dtype), weight, self.proj.bias)


class EncodeOnceVisionModel(Qwen3VLVisionModel):
    """Encodes each distinct image of a batch once and repeats its features.

    A frozen tower without adapters also keeps the features of the images that it saw last, up to ``FEATURES_KEPT``
    bytes: training shows the same films again and again, GRPO the same in generation and in the loss.

    Attributes:
        images_seen, images_encoded: how many images arrived, and how many went through the tower.
    """

    images_seen = images_encoded = 0

    def forward(self, hidden_states: torch.Tensor, grid_thw: torch.Tensor, **kwargs: Any) -> Any:
        self.images_seen += len(grid_thw)
        if not len(grid_thw) or kwargs.get("output_hidden_states") or kwargs.get("output_attentions"):
            return self._plain(hidden_states, grid_thw, **kwargs)
        options = _options_for_distinct_images(kwargs)
        images = hidden_states.split(grid_thw.prod(dim=1).tolist())
        first, copy_of = _distinct_images(images, grid_thw)
        distinct = [images[index] for index in first]
        if self._is_fixed():
            features = self._remembered(distinct, grid_thw[first], options)
        else:
            self.__dict__.pop("_kept", None)
            features = self._encode(distinct, grid_thw[first], options)
        # one tensor stands for all copies of an image, so the gradients of the copies add up in it
        levels = [torch.cat([level[index] for index in copy_of]) for level in zip(*features, strict=True)]
        last_hidden_state, pooler_output, *deepstack = levels
        return BaseModelOutputWithDeepstackFeatures(
            last_hidden_state=last_hidden_state, pooler_output=pooler_output, deepstack_features=deepstack
        )

    def _plain(self, hidden_states: torch.Tensor, grid_thw: torch.Tensor, **kwargs: Any) -> Any:
        """Every image on its own, with what each layer says, which transformers records by the name of the class."""
        self.images_encoded += len(grid_thw)
        own_class = self.__class__
        self.__class__ = Qwen3VLVisionModel
        try:
            return self.forward(hidden_states, grid_thw=grid_thw, **kwargs)
        finally:
            self.__class__ = own_class

    def _is_fixed(self) -> bool:
        """Whether an image has the same features each time: nothing is trained, and no adapter can be switched."""
        return not any(parameter.requires_grad for parameter in self.parameters()) and not any(
            hasattr(module, "base_layer") for module in self.modules()
        )

    def _encode(
        self, images: Sequence[torch.Tensor], grid_thw: torch.Tensor, options: dict[str, Any]
    ) -> list[list[torch.Tensor]]:
        """For each image its last hidden state, its merged tokens and its DeepStack levels, each (tokens, width).

        Raises:
            RuntimeError: the library's tower gives something else than those three.
        """
        self.images_encoded += len(images)
        encoded = super().forward(torch.cat(list(images)), grid_thw=grid_thw, return_dict=True, **options)
        given = {name for name, value in encoded.items() if value is not None}
        if given != _FEATURES:
            raise RuntimeError(f"expected {sorted(_FEATURES)} from the vision tower, found {sorted(given)}. {_CHANGED}")
        patches = [len(image) for image in images]
        merged = [count // self.spatial_merge_unit for count in patches]
        levels = [encoded.last_hidden_state.split(patches)]
        levels += [level.split(merged) for level in (encoded.pooler_output, *encoded.deepstack_features)]
        return [list(of_one) for of_one in zip(*levels, strict=True)]

    def _remembered(
        self, images: Sequence[torch.Tensor], grid_thw: torch.Tensor, options: dict[str, Any]
    ) -> list[list[torch.Tensor]]:
        """Features of distinct images as in :meth:`_encode`, from memory where they are there."""
        weights = [(parameter.data_ptr(), parameter._version) for parameter in self.parameters()]
        kept = self.__dict__.get("_kept")
        if kept is None or kept[0] != weights:  # the first time, or weights were assigned since
            kept = self.__dict__["_kept"] = (weights, OrderedDict())
        memory: OrderedDict[tuple[bytes, ...], list[torch.Tensor]] = kept[1]
        keys = [(_digest(image), _digest(grid)) for image, grid in zip(images, grid_thw, strict=True)]
        new = [index for index, key in enumerate(keys) if key not in memory]
        if new:
            with torch.no_grad():
                encoded = self._encode([images[index] for index in new], grid_thw[new], options)
            for index, levels in zip(new, encoded, strict=True):
                memory[keys[index]] = [level.clone() for level in levels]
        for key in keys:
            memory.move_to_end(key)
        features = [memory[key] for key in keys]
        if new:
            _forget(memory, FEATURES_KEPT)
        return features


def _options_for_distinct_images(kwargs: dict[str, Any]) -> dict[str, Any]:
    """What a caller gave to the tower beside the images, for another number of images.

    Raises:
        RuntimeError: a tensor that nobody here knows: it may hold a row for each image.
    """
    options = {name: value for name, value in kwargs.items() if name not in _OF_EACH_IMAGE}
    unknown = [name for name, value in options.items() if isinstance(value, torch.Tensor)]
    if unknown:
        raise RuntimeError(f"the vision tower was given {', '.join(unknown)}, which is not known here. {_CHANGED}")
    return options


def _forget(memory: OrderedDict[tuple[bytes, ...], list[torch.Tensor]], limit: int) -> None:
    """Drop what was used longest ago until the rest takes no more than ``limit`` bytes."""
    size = sum(level.nbytes for levels in memory.values() for level in levels)
    while size > limit:
        _, levels = memory.popitem(last=False)
        size -= sum(level.nbytes for level in levels)


def _digest(tensor: torch.Tensor) -> bytes:
    values = tensor.detach().contiguous().cpu().view(torch.uint8).numpy().tobytes()
    return hashlib.blake2b(values, digest_size=16).digest()


def _distinct_images(images: Sequence[torch.Tensor], grid_thw: torch.Tensor) -> tuple[list[int], list[int]]:
    """Indices of the first of each distinct image, and for every image its place among them.

    Args:
        images: patches of each image, (patches, values of a patch). grid_thw: (images, 3), each one's size in patches.
    """
    of_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, grid in enumerate(grid_thw.tolist()):
        of_size[tuple(grid)].append(index)
    first: list[int] = []
    copy_of = [0] * len(images)
    for indices in of_size.values():
        firsts, copies = _distinct_rows(torch.stack([images[index].flatten() for index in indices]))
        for index, copy in zip(indices, copies.tolist(), strict=True):
            copy_of[index] = len(first) + copy
        first += [indices[row] for row in firsts.tolist()]
    return first, copy_of


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
    if sharding() != "zero3":  # it puts a layer's weights together when the layer is called, which the product is not
        visual.patch_embed.__class__ = LinearPatchEmbed
    visual.__class__ = EncodeOnceVisionModel if encode_once else Qwen3VLVisionModel
