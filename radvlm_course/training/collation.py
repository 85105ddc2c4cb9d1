"""Which tokens of a conversation are learned: what the assistant says, never what the user asks.

TRL learns everything after the prompt. Of a conversation, that has user turns in it; here they are masked. An example
with one answer is collated as TRL does.
"""

from __future__ import annotations

from typing import Any

from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

__all__ = ["AssistantTurns"]

_START, _IGNORED = "<|im_start|>", -100  # of every turn in Qwen's chat format; what the loss passes over


class AssistantTurns(DataCollatorForVisionLanguageModeling):
    """TRL's collator of prompts and completions, with the labels of user turns and of turns' headers set to -100."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Tensors of a batch: ``input_ids`` and ``labels`` (B, T), -100 where nothing is learned, and the films."""
        batch: dict[str, Any] = super().torch_call(examples)
        tokenizer = self.processor.tokenizer
        start = tokenizer.convert_tokens_to_ids(_START)
        header = tokenizer.encode(f"{_START}assistant\n", add_special_tokens=False)
        for ids, labels in zip(batch["input_ids"].tolist(), batch["labels"], strict=True):
            starts = [place for place, token in enumerate(ids) if token == start]
            for place, following in zip(starts, [*starts[1:], len(ids)], strict=True):
                is_assistant = ids[place : place + len(header)] == header
                labels[place : place + len(header) if is_assistant else following] = _IGNORED
        return batch
