"""MedGemma-4B-pt: Google's medical Gemma 3, pre-trained only, asked to go on after "findings:".

Citation: Sellergren et al., "MedGemma Technical Report", arXiv 2507.05201 (2025).

From the model's card and the report's table of prompts: the prompt ``<start_of_image> findings:``, 16-bit weights,
greedy decoding, 100 new tokens. Uncertain: how the paper cleaned the text; its code is described as tidying
punctuation and white space, and :func:`tidied` does that in our words. A pre-trained model has no chat format and
answers reports only.
"""

from __future__ import annotations

import re
from typing import Any

from radvlm_course.evaluation.baselines.base import Baseline, Card, Difference, Generation, Loaded
from radvlm_course.evaluation.baselines.loading import (
    LoadOptions,
    load_with_transformers,
    local_folder,
    require_model_type,
)
from radvlm_course.records import Example

__all__ = ["CARD", "LICENCE", "MedGemma4B", "load_gemma", "tidied"]

LICENCE = "Health AI Developer Foundations terms of use"
ACCESS = "accept the terms on the hub and log in with 'hf auth login'"
CARD = Card(
    name="medgemma_4b_pt",
    title="MedGemma-4B-pt",
    identifier="google/medgemma-4b-pt",
    billions=4,
    licence=LICENCE,
    access=ACCESS,
    citation="Sellergren et al. 2025, arXiv 2507.05201",
    paper_tasks=("report_generation",),
)

PROMPT = "<start_of_image> findings:"
_NEXT_SECTION = re.compile(r"\b(?:impression|conclusion|recommendations?)\s*:", re.IGNORECASE)


class MedGemma4B(Baseline):
    card = CARD
    tasks = ("report_generation",)
    differences = (
        Difference("limit", "100 tokens", "512 tokens", "100 tokens cut longer reports off in mid-sentence"),
        Difference(
            "end of the report",
            "where the limit falls",
            "before the next section (impression, conclusion)",
            "a pre-trained model goes on writing; the references are findings",
        ),
        Difference("text", "punctuation tidied, no final full stop", "as written", "the score is of what was written"),
    )

    def load(self, path_or_identifier: str | None = None, **options: Any) -> Loaded:
        return load_gemma(CARD, path_or_identifier, LoadOptions(**options))

    def prompt(self, example: Example) -> str:
        self.check(example)
        return PROMPT

    def generation(self, task: str) -> Generation:
        return Generation(max_new_tokens=100 if self.variant == "paper" else 512)

    def parse(self, completion: str, example: Example) -> str:
        if self.variant == "paper":
            return tidied(completion)
        return _NEXT_SECTION.split(completion, maxsplit=1)[0].strip(" \t\n*#-")


def load_gemma(card: Card, path_or_identifier: str | None, options: LoadOptions) -> Loaded:
    """A Gemma 3 with its vision tower, from a folder or the hub.

    Raises:
        BaselineError: as :meth:`Baseline.load`.
    """
    folder = local_folder(card, path_or_identifier, options)
    require_model_type(card, folder, "gemma3")
    classes = "Gemma3ForConditionalGeneration", "Gemma3Processor"
    return load_with_transformers(card, folder, options, "bfloat16", *classes)


def tidied(text: str) -> str:
    """Single spaces, one punctuation mark where several follow each other, none at either end.

    >>> tidied("heart size normal , , no effusion ..")
    'heart size normal, no effusion'
    """
    text = re.sub(r"\s+([,.;:])", r"\1", " ".join(text.split()))
    text = re.sub(r"([,.;:])(?:\s*[,.;:])+", lambda marks: "." if "." in marks[0] else marks[1], text)
    return text.strip(" ,.;:")
