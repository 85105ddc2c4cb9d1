"""Qwen3-VL Instruct and Thinking: the general-domain models that the paper's own models start from.

Citation: Bai et al., "Qwen3-VL Technical Report", arXiv 2511.21631 (2025).

From the public technical report and cookbook on grounding: boxes are asked for with "Report bbox coordinates in
JSON format." and come as ``[{"bbox_2d": [x1, y1, x2, y2], "label": "..."}]``, often in a code fence, corners in
thousandths of width and height. Plain lists of four numbers, and the two corners ``(x1,y1),(x2,y2)`` of the older
box tokens, are read as well. A list without entries says that there is nothing. Thinking models open their thought
in the prompt, so that a completion has only its end, ``</think>``.

From the paper's code: reports asked for as one plain paragraph of findings (the wording here is ours), greedy and
1,024 tokens for Instruct, temperature 1.0 and 4,096 tokens for Thinking, films of at most 451,584 pixels. **The
paper's grounding prompt for these models is not in its code**: its values in the grounding table cannot be rebuilt
from what is public, and ours need not be equal. Its makers recommend sampling (temperature 0.7 for Instruct, 0.6 to
1.0 for Thinking, top-p 0.8 and 0.95, top-k 20) because greedy decoding of such models can loop; give ``generation=`` to
:func:`predicting.complete` to follow them. Loops show as completions cut off at the limit.

Qwen3-VL after RL (the paper's Qwen3-VL+RL) answers in this course's format: that is :mod:`radvlm`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from radvlm_course.boxes import scan_boxes
from radvlm_course.chat import split_thought
from radvlm_course.evaluation.baselines.answers import after_heading, bracketed, grounding_response, names_response
from radvlm_course.evaluation.baselines.base import Baseline, Card, Difference, Generation, Loaded, Prompt, user_turn
from radvlm_course.evaluation.baselines.loading import LoadOptions, loading, local_folder, require_model_type
from radvlm_course.records import BOX_TASKS, Example

__all__ = ["INSTRUCT", "MAX_PIXELS", "THINKING", "Qwen3VL", "Qwen3VLThinking", "load_qwen3_vl"]

MAX_PIXELS = 451_584
_GROUNDING = ("anatomical_grounding", "abnormality_grounding", "phrase_grounding")
_SHARED: dict[str, Any] = {
    "billions": 8,
    "licence": "Apache-2.0",
    "access": "open",
    "citation": "Bai et al. 2025, arXiv 2511.21631",
    "paper_tasks": ("report_generation", *_GROUNDING),
}
INSTRUCT = Card("qwen3_vl", "Qwen3-VL-8B-Instruct", "Qwen/Qwen3-VL-8B-Instruct", **_SHARED)
THINKING = Card("qwen3_vl_thinking", "Qwen3-VL-8B-Thinking", "Qwen/Qwen3-VL-8B-Thinking", **_SHARED)

REPORT = (
    "Write the findings of this chest X-ray as a radiologist would in a report: one plain paragraph in standard "
    "radiological terms, without headings, lists or advice."
)
CLASSIFICATION = (
    "Which of these findings does this chest X-ray show: {options}? Answer with the names that apply, separated by "
    'commas, or with "none".'
)
LOCATE = 'Locate every region of this chest X-ray that matches the description "{target}".'
DETECT = "Locate every abnormality of this chest X-ray and name it. If there is none, answer with an empty list."
BOX_FORMAT = ' Report bbox coordinates in JSON format: [{"bbox_2d": [x1, y1, x2, y2], "label": "name"}].'

_FALLBACK = Difference("thought without an end", "all of it is the answer", "no answer", "it never came to an answer")


class Qwen3VL(Baseline):
    """The Instruct model."""

    card = INSTRUCT
    tasks = ("report_generation", "abnormality_classification", *BOX_TASKS, "conversation")
    differences: ClassVar[tuple[Difference, ...]] = (
        Difference("heading", "kept", "taken off", "the references have none"),
        Difference("precision", "two decimals", "exact to four decimals", "thousandths are what it writes"),
    )

    def load(self, path_or_identifier: str | None = None, max_pixels: int = MAX_PIXELS, **options: Any) -> Loaded:
        """See :meth:`Baseline.load`.

        Args:
            max_pixels: upper limit of a film's area in pixels.
        """
        return load_qwen3_vl(self.card, path_or_identifier, LoadOptions(**options), max_pixels)

    def prompt(self, example: Example) -> Prompt:
        self.check(example)
        if example.task == "report_generation":
            return user_turn(REPORT)
        if example.task == "abnormality_classification":
            return user_turn(CLASSIFICATION.format(options=", ".join(self.classes)))
        if example.task == "abnormality_detection":
            return user_turn(DETECT + BOX_FORMAT)
        if example.task in _GROUNDING:
            return user_turn(LOCATE.format(target=self.target(example)) + BOX_FORMAT)
        return user_turn(example.question)

    def generation(self, task: str) -> Generation:
        return Generation(max_new_tokens=1024)

    def parse(self, completion: str, example: Example) -> str | None:
        return self._response(completion.strip(), example)

    def _response(self, text: str, example: Example) -> str:
        if example.task in BOX_TASKS:
            boxes, malformed = scan_boxes(bracketed(text), "thousandths")
            return grounding_response(text, boxes, malformed, exact=self.variant == "corrected")
        if self.variant == "paper":
            return text
        if example.task == "abnormality_classification":
            return names_response(text, self.classes)
        return after_heading(text) if example.task == "report_generation" else text


class Qwen3VLThinking(Qwen3VL):
    """The Thinking model: the same questions, a thought before the answer."""

    card = THINKING
    thinking = True
    differences = (
        *Qwen3VL.differences,
        Difference("temperature", "1.0", "0", "compared models are decoded alike, and repeatably"),
        _FALLBACK,
    )

    def generation(self, task: str) -> Generation:
        return Generation(max_new_tokens=4096, temperature=1.0 if self.variant == "paper" else 0.0)

    def parse(self, completion: str, example: Example) -> str | None:
        response = split_thought(completion, thinking=True).response
        if response is None:
            return self._response(completion.strip(), example) if self.variant == "paper" else None
        return self._response(response, example)


def load_qwen3_vl(card: Card, path_or_identifier: str | None, options: LoadOptions, max_pixels: int) -> Loaded:
    """A Qwen3-VL through :func:`radvlm_course.models.loading.load_model`.

    Raises:
        BaselineError: as :meth:`Baseline.load`.
    """
    from radvlm_course.evaluation.baselines.loading import on_gpu, torch_dtype
    from radvlm_course.models.loading import load_model

    folder = local_folder(card, path_or_identifier, options)
    require_model_type(card, folder, "qwen3_vl")
    dtype = torch_dtype(options, "bfloat16")
    device = options.device if options.device != "auto" else "cuda" if on_gpu(options) else "cpu"

    def load() -> Loaded:
        model, processor = load_model(folder, max_pixels=max_pixels, dtype=dtype)
        return Loaded(model.to(device).eval(), processor)

    return loading(card, folder, load)
