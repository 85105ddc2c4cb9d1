"""MAIRA-2: Microsoft's radiology model that grounds each finding in the film.

Citation: Bannur et al., "MAIRA-2: Grounded Radiology Report Generation", arXiv 2406.04449 (2024).

From the processor's code in the model's repository (read, not copied; the code stays there and runs only with
consent):

- A study is asked through its processor, which words the prompt itself: a report, a report with boxes, or one
  phrase to be located. Indication, technique, comparison, lateral and prior film are left out, as in the paper.
- A grounded answer is ``<obj>phrase <box><x10><y20><x55><y80></box></obj>``, several boxes to a phrase, phrases
  without a box for what cannot be located. A coordinate is one of 100 bins; its centre counts, (bin + 0.5) / 100.
- The model sees the square in the middle of the film, as wide as the shorter side. Boxes are relative to that
  square and have to be mapped back: :func:`film_box`.

From the paper's code: 16-bit weights, 500 tokens for every task, grounding through the phrase interface, and of the
answer the boxes of the first phrase only. Uncertain: whether the weights load under this course's transformers; their
card asks for 4.48 to 4.51 and was last tested with 4.51.3.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from radvlm_course.boxes import Box, BoxError
from radvlm_course.dicom import DICOM_SUFFIXES, read_header
from radvlm_course.evaluation.baselines.answers import converted, grounding_response, malformed_box
from radvlm_course.evaluation.baselines.base import Baseline, Card, Completion, Difference, Generation, Loaded
from radvlm_course.evaluation.baselines.loading import (
    LoadOptions,
    load_with_transformers,
    local_folder,
    require_consent,
    require_model_type,
)
from radvlm_course.images import ImageReadError, load_image
from radvlm_course.records import Example

__all__ = ["CARD", "Maira2", "film_box", "film_size"]

CARD = Card(
    name="maira_2",
    title="MAIRA-2",
    identifier="microsoft/maira-2",
    billions=7,
    licence="Microsoft Research License Agreement (MSRLA): research only",
    access="accept the terms on the hub and log in with 'hf auth login'",
    citation="Bannur et al. 2024, arXiv 2406.04449",
    paper_tasks=("report_generation", "anatomical_grounding", "abnormality_grounding", "phrase_grounding"),
    environment="transformers 4.48 to 4.51",
)

BINS = 100
_PHRASE_TASKS = ("anatomical_grounding", "abnormality_grounding", "phrase_grounding")
_ITEM = re.compile(r"<obj>(.*?)(?:</obj>|\Z)", re.DOTALL)
_WHOLE_BOX = re.compile(r"\s*<x(\d{1,4})><y(\d{1,4})><x(\d{1,4})><y(\d{1,4})>\s*")
_NUMBER = re.compile(r"<[xy](\d{1,4})")
_TAG = re.compile(r"</?(?:obj|box)>|<[xy]\d{1,4}>?")

Size = tuple[int, int]


class Maira2(Baseline):
    card = CARD
    tasks = ("report_generation", *_PHRASE_TASKS, "abnormality_detection")
    differences = (
        Difference("boxes", "those of the first phrase", "all", "an answer of several phrases loses its other boxes"),
        Difference(
            "a broken box", "empties the whole answer", "costs that box", "one bad box says nothing about the others"
        ),
        Difference(
            "precision",
            "whole pixels, two decimals",
            "exact to four decimals",
            "rounding lowers the IoU of small boxes",
        ),
        Difference(
            "phrase",
            "the label as it is",
            "as a sentence (Pleural effusion.)",
            "it was trained on sentences of reports",
        ),
    )

    def load(self, path_or_identifier: str | None = None, **options: Any) -> Loaded:
        chosen = LoadOptions(**options)
        require_consent(CARD, chosen, "its model and processor are Python code in its repository")
        folder = local_folder(CARD, path_or_identifier, chosen)
        require_model_type(CARD, folder, "maira2")
        return load_with_transformers(CARD, folder, chosen, "float16", "AutoModelForCausalLM", "AutoProcessor")

    def prompt(self, example: Example) -> str:
        """The phrase to be located; empty for reports, which the processor words alone."""
        self.check(example)
        if example.task not in _PHRASE_TASKS:
            return ""
        phrase = self.target(example)
        if self.variant == "paper":
            return phrase
        return phrase[:1].upper() + phrase[1:].removesuffix(".") + "."

    def generation(self, task: str) -> Generation:
        return Generation(max_new_tokens=500)

    def parse(self, completion: str, example: Example) -> str:
        if example.task == "report_generation":
            return _words(completion)
        size = film_size(example.image_path)
        if self.variant == "paper" and example.task in _PHRASE_TASKS:
            return _first_phrase(completion, size)
        return grounding_response(_words(completion), *_boxes(completion, size))

    def answer(self, loaded: Loaded, examples: Sequence[Example], generation: Generation) -> list[Completion]:
        """One film after the other: the processor takes one study at a time."""
        return [self._answer(loaded, example, generation) for example in examples]

    def _answer(self, loaded: Loaded, example: Example, generation: Generation) -> Completion:
        import torch

        from radvlm_course.evaluation.baselines.generating import cut_at_end, end_token_ids, generation_arguments

        model, processor = loaded
        film = load_image(example.image_path)
        if phrase := self.prompt(example):
            inputs = processor.format_and_preprocess_phrase_grounding_input(
                frontal_image=film, phrase=phrase, return_tensors="pt"
            )
        else:
            inputs = processor.format_and_preprocess_reporting_input(
                current_frontal=film,
                current_lateral=None,
                prior_frontal=None,
                indication=None,
                technique=None,
                comparison=None,
                prior_report=None,
                return_tensors="pt",
                get_grounding=example.task == "abnormality_detection",
            )
        with torch.inference_mode():
            output_ids = model.generate(
                **inputs.to(model.device, dtype=model.dtype), **generation_arguments(generation)
            )
        new = output_ids[0, inputs["input_ids"].shape[1] :].tolist()
        kept, reason = cut_at_end(new, end_token_ids(model, processor.tokenizer))
        return Completion(processor.tokenizer.decode(kept, skip_special_tokens=True).strip(), reason)


def film_size(path: str) -> Size:
    """(width, height) of a film in pixels, from its header alone.

    Raises:
        ImageReadError: the file is missing or no image.
    """
    from PIL import Image

    try:
        if path.lower().endswith(DICOM_SUFFIXES):
            return read_header(path)[0]
        with Image.open(path) as image:
            return image.size
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageReadError(f"expected a readable image at {path}, found: {error}") from error


def film_box(bins: Sequence[int], size: Size, whole_pixels: bool = False) -> Box:
    """Four bins of the central square as a box of the film.

    Args:
        bins: 0 to 99, left, top, right, bottom.
        size: (width, height) of the film in pixels.
        whole_pixels: cut corners off to whole pixels, as the model's own code does.

    Raises:
        BoxError: a bin is too high, or the corners are no box.

    >>> film_box((0, 0, 99, 99), (200, 100))
    Box(x1=0.2525, y1=0.005, x2=0.7475, y2=0.995)
    """
    if max(bins) >= BINS:
        raise BoxError(f"expected bins of 0 to {BINS - 1}, found {tuple(bins)}")
    side = min(size)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    corners = [
        (number + 0.5) / BINS * side + offset for number, offset in zip(bins, (left, top, left, top), strict=True)
    ]
    if whole_pixels:
        corners = [int(corner) for corner in corners]
    x1, y1, x2, y2 = corners
    return Box.from_pixels(x1, y1, x2, y2, size)


def _boxes(text: str, size: Size, whole_pixels: bool = False) -> tuple[list[Box], list[str]]:
    """(boxes, malformed boxes as the numbers that they hold); one that was begun and not finished is malformed."""
    begun = [part.partition("</box>")[0] for part in text.split("<box>")[1:]]
    whole = [found for found in map(_WHOLE_BOX.match, begun) if found]
    bins = [[int(number) for number in found.groups()] for found in whole]
    boxes, malformed = converted(bins, lambda *four: film_box(four, size, whole_pixels))
    broken = [malformed_box(_NUMBER.findall(part)) for part in begun if not _WHOLE_BOX.match(part)]
    return boxes, malformed + broken


def _first_phrase(text: str, size: Size) -> str:
    """The paper's reading: boxes of the first phrase, nothing at all if anything is wrong."""
    first = _ITEM.search(text)
    whole = text.count("<obj>") == text.count("</obj>") and text.count("<box>") == text.count("</box>")
    if first is None or not whole:
        return ""
    boxes, malformed = _boxes(first[1], size, whole_pixels=True)
    return "" if malformed else grounding_response("", boxes, (), exact=False)


def _words(text: str) -> str:
    """The phrases without tags and coordinates."""
    return " ".join(_TAG.sub(" ", text).split())
