"""One training example as SFT sees it, token by token: what is read, what is learnt, what is still hard.

The tokens and the mask come from TRL's own collator, the one that training uses, so that the picture cannot say
something else than the training does. Left out: batches (padding is never counted either).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from transformers import PreTrainedTokenizerBase, Qwen3VLForConditionalGeneration
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from radvlm_course.models.processor import ImageOnlyQwen3VLProcessor
from radvlm_course.records import Example
from radvlm_course.training.data import sft_dataset

__all__ = ["TokenView", "qwen_pieces", "sft_batch", "sft_tokens", "text_tokens"]

IGNORED = -100
# How Qwen's tokenizer cuts a text before it merges anything: every digit stands alone.
_QWEN_PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
Kind = Literal["image", "special", "text"]


@dataclass(frozen=True)
class TokenView:
    """One token of a training example.

    Attributes:
        text: what it decodes to; special tokens by their name.
        kind: a place for a visual token, a special token, or text.
        counted: the loss asks the model for it.
        loss: its share of the loss, minus log-probability in nats (lower is better; 0 is certainty), for counted
            tokens when a model was given.
    """

    text: str
    kind: Kind
    counted: bool
    loss: float | None = None


def text_tokens(tokenizer: PreTrainedTokenizerBase, text: str) -> list[TokenView]:
    """The tokens of a bare text."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    return [TokenView(tokenizer.decode([token]), "text", False) for token in ids]


def qwen_pieces(text: str) -> list[TokenView]:
    """The pieces that Qwen's tokenizer cuts a text into before it merges within them.

    For a box of numbers that is already its tokens; words may be cut further.
    """
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import Split

    pieces = Split(Regex(_QWEN_PIECES), "isolated").pre_tokenize_str(text)
    return [TokenView(piece, "text", False) for piece, _ in pieces]


def sft_batch(
    processor: ImageOnlyQwen3VLProcessor, example: Example, max_length: int | None = None
) -> dict[str, torch.Tensor]:
    """The batch of one example, as ``SFTTrainer`` collates it.

    Args:
        max_length: cut the sequence there; training never does, a lesson may.

    Returns:
        ``input_ids``, ``labels`` (-100 where nothing is asked), ``pixel_values`` and what else the model reads.
    """
    collate = DataCollatorForVisionLanguageModeling(processor, max_length=max_length, completion_only_loss=True)
    rows: list[dict[str, Any]] = [sft_dataset([example])[0]]
    return dict(collate(rows))


def sft_tokens(
    processor: ImageOnlyQwen3VLProcessor, example: Example, model: Qwen3VLForConditionalGeneration | None = None
) -> list[TokenView]:
    """The tokens of one training example, with each token's loss if a model is given."""
    batch = sft_batch(processor, example)
    ids, labels = batch["input_ids"][0], batch["labels"][0]
    losses = _losses(model, batch) if model is not None else None
    special = set(processor.tokenizer.all_special_ids)
    views = []
    for place, (token, label) in enumerate(zip(ids.tolist(), labels.tolist(), strict=True)):
        kind: Kind = "image" if token == processor.image_token_id else "special" if token in special else "text"
        counted = label != IGNORED
        loss = float(losses[place]) if losses is not None and counted else None
        views.append(TokenView(processor.tokenizer.decode([token]), kind, counted, loss))
    return views


@torch.inference_mode()
def _losses(model: Qwen3VLForConditionalGeneration, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Minus log-probability of every token given those before it, shape (tokens,); 0 for the first."""
    was_training = model.training
    model.eval()
    logits = model(**{name: value for name, value in batch.items() if name != "labels"}).logits[
        0
    ]  # (tokens, vocabulary)
    model.train(was_training)
    ids = batch["input_ids"][0]
    log_probabilities = logits[:-1].float().log_softmax(-1).gather(1, ids[1:, None])[:, 0]
    return torch.cat([log_probabilities.new_zeros(1), -log_probabilities])
