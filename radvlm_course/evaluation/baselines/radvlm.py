"""RadVLM, before and after GRPO, and every model that this course trains: they need no translation.

Citation: Deperrois et al., "RadVLM: A Multitask Conversational Vision-Language Model for Radiology", arXiv 2502.03333
(2025); RadVLM-GRPO, arXiv 2512.10691 (2025).

The weights of RadVLM-GRPO's models are not public. What PhysioNet has under ``radvlm-model`` is the model of the
first paper, a LLaVA-OneVision 7B, not the Qwen3-VL of the second one's tables; it is refused here. So this baseline
wants a folder: that of a run of this course, or of any Qwen3-VL trained on the same instructions (the paper's
Qwen3-VL+RL too). Questions are those of the example and answers are in our format already.

From the paper's code: greedy for all; 4,096 tokens, 1,024 after RL; films of at most 451,584 pixels; thinking
models get `` /think`` after the question.
"""

from __future__ import annotations

from typing import Any

from radvlm_course.chat import split_thought, to_messages
from radvlm_course.evaluation.baselines.base import Baseline, Card, Difference, Generation, Loaded, Prompt
from radvlm_course.evaluation.baselines.loading import LoadOptions
from radvlm_course.evaluation.baselines.qwen3_vl import MAX_PIXELS, load_qwen3_vl
from radvlm_course.records import TASKS, Example

__all__ = ["DIRECT", "THINKING", "RadVLM", "RadVLMThinking"]

_SHARED: dict[str, Any] = {
    "identifier": "",
    "billions": 8,
    "licence": "that of your training data and base model",
    "access": "not published: train it, or give the folder of a run",
    "citation": "Deperrois et al. 2025, arXiv 2502.03333; arXiv 2512.10691",
    "paper_tasks": ("report_generation", "anatomical_grounding", "abnormality_grounding", "phrase_grounding"),
}
DIRECT = Card("radvlm", "RadVLM", **_SHARED)
THINKING = Card("radvlm_thinking", "RadVLM-Thinking", **_SHARED)


class RadVLM(Baseline):
    """A model that answers directly."""

    card = DIRECT
    tasks = TASKS

    def load(self, path_or_identifier: str | None = None, max_pixels: int = MAX_PIXELS, **options: Any) -> Loaded:
        """See :meth:`Baseline.load`.

        Args:
            max_pixels: upper limit of a film's area in pixels.
        """
        return load_qwen3_vl(self.card, path_or_identifier, LoadOptions(**options), max_pixels)

    def prompt(self, example: Example) -> Prompt:
        self.check(example)
        return to_messages(example, self.thinking)

    def generation(self, task: str) -> Generation:
        return Generation(max_new_tokens=4096 if self.thinking else 1024)

    def parse(self, completion: str, example: Example) -> str | None:
        response = split_thought(completion, self.thinking).response
        return completion.strip() if response is None and self.variant == "paper" else response


class RadVLMThinking(RadVLM):
    """A model that is asked to think first."""

    card = THINKING
    thinking = True
    differences = (
        Difference(
            "thought without an end",
            "all of it is the answer",
            "no answer",
            "it never came to an answer",
        ),
    )
