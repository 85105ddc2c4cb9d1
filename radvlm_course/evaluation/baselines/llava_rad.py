r"""LLaVA-Rad: Microsoft's small model for findings sections, a Vicuna 7B with a chest X-ray encoder.

Citation: Zambrano Chaves et al., "A clinically accessible small multimodal radiology model and evaluation metric for
chest X-ray findings", Nature Communications 16, 3108 (2025).

From public code that runs it: the query ``<image>\nDescribe the findings of the chest x-ray.\n`` in LLaVA's
conversation template ``v1``, the name ``llavarad`` that makes its loader put the LoRA weights on
``lmsys/vicuna-7b-v1.5``, 16-bit weights. From the paper's code: greedy, 1,024 tokens. The reason for the exam,
which it could be given, is left out as in the paper. It writes text only, so it answers reports and nothing else,
and the variants do not differ.

Its classes are in no released version of transformers: they come with the package ``llava`` of
github.com/microsoft/LLaVA-Rad, which is installed from there (it names Python 3.10 and torch 2.4) and cannot be
asked for here. Its weights are pickles, which can run code when they are read; both are why loading asks for
consent. Uncertain: the encoder's own checkpoint, which that package may fetch from the hub under a name of its own.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from typing import Any, NamedTuple

from radvlm_course.evaluation.baselines.base import Baseline, BaselineError, Card, Completion, Generation, Loaded
from radvlm_course.evaluation.baselines.loading import (
    DOCUMENTATION,
    LoadOptions,
    loading,
    local_folder,
    on_gpu,
    require_consent,
)
from radvlm_course.images import load_image
from radvlm_course.records import Example

__all__ = ["CARD", "VICUNA", "LlavaProcessors", "LlavaRad"]

CARD = Card(
    name="llava_rad",
    title="LLaVA-Rad",
    identifier="microsoft/llava-rad",
    billions=7,
    licence="research only, with the terms of LLaMA, Vicuna and GPT-4",
    access="open; also needs lmsys/vicuna-7b-v1.5 (Llama 2 Community License)",
    citation="Zambrano Chaves et al. 2025, Nature Communications 16, 3108",
    paper_tasks=("report_generation",),
    environment="the package llava of github.com/microsoft/LLaVA-Rad",
)
VICUNA = Card(
    name="vicuna_7b",
    title="Vicuna-7B v1.5 (the base of LLaVA-Rad)",
    identifier="lmsys/vicuna-7b-v1.5",
    billions=7,
    licence="Llama 2 Community License",
    access="open",
    citation="",
)

QUERY = "<image>\nDescribe the findings of the chest x-ray.\n"
TEMPLATE = "v1"


class LlavaProcessors(NamedTuple):
    """What takes the place of a processor."""

    tokenizer: Any
    image_processor: Any


class LlavaRad(Baseline):
    card = CARD
    tasks = ("report_generation",)

    def load(self, path_or_identifier: str | None = None, base: str | None = None, **options: Any) -> Loaded:
        """See :meth:`Baseline.load`.

        Args:
            base: folder or repository of the language model that the weights are laid upon.
        """
        chosen = LoadOptions(**options)
        require_consent(CARD, chosen, "its package and its weights (pickles) run code when they are loaded")
        if importlib.util.find_spec("llava") is None:
            raise BaselineError(
                f"{CARD.title} needs {CARD.environment}, which is not installed: give it an environment of its own "
                f"(see {DOCUMENTATION})"
            )
        folder = local_folder(CARD, path_or_identifier, chosen)
        base_folder = local_folder(VICUNA, base, chosen)
        device = chosen.device if chosen.device != "auto" else "cuda" if on_gpu(chosen) else "cpu"

        def load() -> Loaded:
            builder = importlib.import_module("llava.model.builder")
            tokenizer, model, image_processor, _ = builder.load_pretrained_model(
                str(folder), str(base_folder), "llavarad", device_map={"": device}, device=device
            )
            return Loaded(model.eval(), LlavaProcessors(tokenizer, image_processor))

        return loading(CARD, folder, load)

    def prompt(self, example: Example) -> str:
        """The query; the conversation template is put around it when it is asked."""
        self.check(example)
        return QUERY

    def generation(self, task: str) -> Generation:
        return Generation(max_new_tokens=1024)

    def parse(self, completion: str, example: Example) -> str:
        return completion.strip()

    def answer(self, loaded: Loaded, examples: Sequence[Example], generation: Generation) -> list[Completion]:
        """One film after the other: LLaVA's own generation pads no prompts."""
        return [self._answer(loaded, example, generation) for example in examples]

    def _answer(self, loaded: Loaded, example: Example, generation: Generation) -> Completion:
        import torch

        from radvlm_course.evaluation.baselines.generating import cut_at_end, end_token_ids, generation_arguments

        model, (tokenizer, image_processor) = loaded
        image_token = importlib.import_module("llava.constants").IMAGE_TOKEN_INDEX
        tokenized = importlib.import_module("llava.mm_utils").tokenizer_image_token
        conversation = importlib.import_module("llava.conversation").conv_templates[TEMPLATE].copy()
        conversation.append_message(conversation.roles[0], self.prompt(example))
        conversation.append_message(conversation.roles[1], None)
        text = conversation.get_prompt()
        input_ids = tokenized(text, tokenizer, image_token, return_tensors="pt")[None].to(model.device)
        film = image_processor.preprocess(load_image(example.image_path), return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            output_ids = model.generate(
                input_ids, images=film.to(model.device, dtype=model.dtype), **generation_arguments(generation)
            )
        given, written = input_ids[0].tolist(), output_ids[0].tolist()
        if written[: len(given)] == given:  # some versions return the prompt as well
            written = written[len(given) :]
        kept, reason = cut_at_end(written, end_token_ids(model, tokenizer))
        return Completion(tokenizer.decode(kept, skip_special_tokens=True).strip(), reason)
