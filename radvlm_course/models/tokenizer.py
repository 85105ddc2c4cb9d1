"""The tiny model's tokenizer: byte-level BPE with Qwen's special tokens, trained on the course's text.

A 2-million-parameter model cannot carry Qwen's 151,936 rows of embeddings; some 700 tokens
cover the phantoms' language. As in Qwen's tokenizer every digit is a token of its own, so that
a coordinate is read digit by digit. One liberty: ``0.`` is one token, which makes a box 17 tokens
instead of 26 and every rollout of grounding a third cheaper.
"""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

__all__ = ["SPECIAL_TOKENS", "train_tokenizer"]

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
# One token each, but ordinary text to a reader of completions: decoding must keep them.
THOUGHT_TOKENS = ("<think>", "</think>")
# Words with their space | the start of a coordinate | one digit | punctuation | white space
_PIECES = Regex(r" ?\p{L}+| ?0\.(?=\p{N})|\p{N}| ?[^\s\p{L}\p{N}]+|\s+")


def train_tokenizer(texts: Iterable[str], vocabulary_size: int = 700) -> PreTrainedTokenizerFast:
    """Train on texts; the same texts in the same order give the same tokenizer.

    Any other text can still be written: the alphabet holds all 256 bytes.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(_PIECES, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size - len(THOUGHT_TOKENS),
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(token, special=False) for token in THOUGHT_TOKENS])
    named = ("<|im_end|>", "<|endoftext|>")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=[token for token in SPECIAL_TOKENS if token not in named],
        model_max_length=4096,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
