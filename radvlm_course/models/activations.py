"""What comes and goes on a GPU in a training step, in bytes, counted from the operations of transformers and TRL.

The numbers per token are what autograd keeps of each operation in Qwen3-VL's layers under bfloat16 autocast: an RMSNorm
its input in 32 bits, a matrix with an adapter its input, the attention its query, key, value and output, a SwiGLU its
four wide tensors. With checkpointing a layer's input alone is kept, and one layer at a time is computed again and
taken apart. Tests hold the counts against what torch keeps and allocates. No torch here.
"""

from __future__ import annotations

from dataclasses import dataclass

from radvlm_course.models.architectures import Architecture

__all__ = ["FEATURES_KEPT", "Batch", "Compute", "chunked_logits", "full_logits", "pixel_bytes", "training", "writing"]

# What a frozen vision tower keeps of the films that it saw last: 5,000 of the tiny model's, some 50 of an 8B's.
FEATURES_KEPT = 640 * 2**20
CHUNK = 256  # tokens of TRL's chunked loss


@dataclass(frozen=True)
class Batch:
    """One micro-batch on one GPU.

    Attributes:
        films: sequences, each with its film.
        visual_tokens, patches: of one film.
        prompt: tokens of one prompt, the visual ones among them. completion: tokens of one answer.
    """

    films: int
    visual_tokens: int
    patches: int
    prompt: int
    completion: int

    @property
    def tokens(self) -> int:
        return self.films * (self.prompt + self.completion)


@dataclass(frozen=True)
class Compute:
    """How a layer is trained. ``adapter``: an adapter is, in 32 bits, and not its weights."""

    checkpointing: bool
    adapter: bool
    vision_trained: bool
    quantised: bool


def layer_bytes(architecture: Architecture, adapter: bool) -> int:
    """What autograd keeps of one layer of the language model for each token.

    Of the hidden size H, the width of all heads Q, that of the keys K, the width of the feed-forward network I: two
    norms of H and those of Q and K in 32 bits; the query, key and value after the keys were repeated for all heads, and
    the attention's output; gate, its activation, the other half and their product; and the inputs of the matrices that
    have something to learn. An adapter in 32 bits lets each matrix cast its input for itself.
    """
    text = architecture.text_config
    hidden, wide = text.hidden_size, text.intermediate_size
    heads, keys = text.num_attention_heads * text.head_dim, text.num_key_value_heads * text.head_dim
    norms = 2 * 4 * hidden + 4 * heads + 4 * keys
    attention = 2 * 4 * heads + 4 * text.num_attention_heads
    swiglu = 2 * 4 * wide
    inputs = 2 * 5 * hidden + 2 * heads if adapter else 2 * 2 * hidden
    scaled = 0 if adapter else 2 * 2 * hidden + 2 * heads + 2 * keys  # for what the norms' own weights learn
    return norms + attention + swiglu + inputs + scaled


def training(architecture: Architecture, batch: Batch, compute: Compute) -> dict[str, int]:
    """Forward and backward of one micro-batch, without the logits."""
    text, vision = architecture.text_config, architecture.vision_config
    kept = layer_bytes(architecture, compute.adapter)
    # gradients in the feed-forward network, where a layer's backward begins; an adapter has one of its input in 32 bits
    taken_apart = 2 * (3 * text.intermediate_size + text.hidden_size)
    taken_apart += 4 * text.intermediate_size if compute.adapter else 0
    layers = text.num_hidden_layers
    if compute.checkpointing:
        parts = {"layers' inputs": layers * batch.tokens * 2 * text.hidden_size}
        parts["one layer"] = batch.tokens * (kept + taken_apart)
    else:
        parts = {"activations": batch.tokens * (layers * kept + taken_apart)}
    levels = 1 + len(vision.deepstack_visual_indexes)
    merged = batch.films * batch.visual_tokens
    parts["visual features"] = 2 * merged * levels * vision.out_hidden_size
    if compute.vision_trained:
        parts["vision tower"] = _trained_vision(architecture, batch, compute)
    if compute.quantised:
        parts["one matrix in 16 bits"] = 2 * max(
            a * b for n, (a, b) in architecture.matrices().items() if "layers" in n
        )
    return parts


def _trained_vision(architecture: Architecture, batch: Batch, compute: Compute) -> int:
    vision = architecture.vision_config
    patches = batch.films * batch.patches
    blocks = vision.depth * (1 if compute.checkpointing else 8)
    side = vision.hidden_size
    one_block = 2 * (13 * side + 3 * vision.intermediate_size)
    mergers = (1 + len(vision.deepstack_visual_indexes)) * 2 * 4 * side
    return patches * (blocks * 2 * side + one_block + mergers)


def full_logits(architecture: Architecture, batch: Batch) -> int:
    """TRL's GRPO: a logit for every token of every completion of a micro-batch, in 32 bits, and its gradient."""
    return batch.films * (batch.completion + 1) * architecture.text_config.vocab_size * (4 + 4)


def chunked_logits(architecture: Architecture) -> int:
    """TRL's SFT: the logits of 256 tokens at a time, in 32 bits, their log-probabilities, and a gradient of each."""
    return CHUNK * architecture.text_config.vocab_size * 4 * 4


def pixel_bytes(architecture: Architecture, batch: Batch) -> int:
    """One film as it goes to the GPU, in 32 bits; TRL keeps one for every completion."""
    vision = architecture.vision_config
    return batch.patches * vision.in_channels * vision.temporal_patch_size * vision.patch_size**2 * 4


def cache_bytes(architecture: Architecture) -> int:
    """Keys and values of one token in all layers, in 16 bits."""
    text = architecture.text_config
    return text.num_hidden_layers * 2 * text.num_key_value_heads * text.head_dim * 2


def writing(architecture: Architecture, batch: Batch, rollouts: int, groups: int) -> dict[str, int]:
    """``generate`` of transformers for a whole generation at once.

    Args:
        rollouts: completions on this GPU. groups: distinct films among them; each is encoded once.
    """
    text, vision = architecture.text_config, architecture.vision_config
    angles = 2 * 4 * text.head_dim  # the rotary positions', in 32 bits
    reading = rollouts * batch.prompt * (2 * (3 * text.hidden_size + 3 * text.intermediate_size) + angles)
    seeing = groups * batch.patches * 2 * (14 * vision.hidden_size + vision.intermediate_size)
    seeing += groups * pixel_bytes(architecture, batch) // 2  # in 16 bits
    return {
        "cache": rollouts * (batch.prompt + batch.completion) * cache_bytes(architecture),
        "reading the prompts": max(reading, seeing),
        "pixels": rollouts * pixel_bytes(architecture, batch),
        "next token": rollouts * text.vocab_size * 3 * 4,
    }
