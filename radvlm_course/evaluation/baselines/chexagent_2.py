"""CheXagent-2-3b: Stanford's instruction-tuned chest X-ray model, which can ground.

Citation: Chen et al., "CheXagent: Towards a Foundation Model for Chest X-Ray Interpretation", arXiv 2401.12208
(2024).

From the demonstration code of the public repository and the tokenizer of the weights (read, not copied): the image
is named by its *path* within the prompt and opened by the model itself; one system message; greedy decoding; the
corrected variant's prompts for listing findings, locating a phrase and locating an abnormality. Boxes are
``<|ref|>finding<|/ref|> <|box|> (17,40), (37,54) <|/box|>``: whole hundredths of width and height, with or without
the finding before. From the paper's code: 16-bit weights, 500 tokens, questions drawn at random from several
wordings for grounding (ten for abnormalities, two for the rest), the 13 findings listed for classification. Those
wordings were not published apart from that code; the paper variant draws from as many of ours.

Its code asserts transformers 4.40.0, so that it does not load in this course's environment.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from radvlm_course.boxes import Box
from radvlm_course.evaluation.baselines.answers import (
    converted,
    corner_pairs,
    grounding_response,
    malformed_box,
    names_response,
)
from radvlm_course.evaluation.baselines.base import Baseline, Card, Completion, Difference, Generation, Loaded
from radvlm_course.evaluation.baselines.loading import (
    LoadOptions,
    load_with_transformers,
    local_folder,
    require_consent,
)
from radvlm_course.images import load_image
from radvlm_course.records import Example

__all__ = ["CARD", "CheXagent2"]

CARD = Card(
    name="chexagent_2",
    title="CheXagent-2-3b",
    identifier="StanfordAIMI/CheXagent-2-3b",
    billions=3,
    licence="CC BY-NC 4.0",
    access="open",
    citation="Chen et al. 2024, arXiv 2401.12208",
    paper_tasks=("report_generation",),
    environment="transformers 4.40.0",
)

SYSTEM = "You are a helpful assistant."
REPORT = "Write the findings section for this chest X-ray."
CLASSIFICATION = "Given the CXR, identify any diseases. Options:\n{options}"
PHRASE = "Please locate the following phrase: {target}"
ABNORMALITY = "Locate areas in the chest X-ray where {target} are present, using bounding box coordinates"
DRAWN_ABNORMALITY = (
    "Where is the {target} in this chest X-ray?",
    "Mark the {target} with a bounding box.",
    "Find the {target} and give its box.",
    "Give the coordinates of the {target}.",
    "Detect {target} in the image.",
    "Show the location of the {target} with a box.",
    "Point out the {target} using bounding box coordinates.",
    "Which region of the radiograph shows {target}?",
    "Return the bounding box of the {target}.",
    "Localise the {target} in the film.",
)
DRAWN_PHRASE = (PHRASE, "Where in the image is this seen: {target}?")

_GROUNDING = ("anatomical_grounding", "abnormality_grounding", "phrase_grounding")
_TAGGED = re.compile(r"<\|box\|>(.*?)(?:<\|/box\|>|(?=<\|box\|>)|\Z)", re.DOTALL)
_TAG = re.compile(r"<\|/?(?:ref|box)\|>")
_NUMBER = re.compile(r"\d{1,4}")


class CheXagent2(Baseline):
    card = CARD
    tasks = ("report_generation", "abnormality_classification", *_GROUNDING)
    differences = (
        Difference(
            "question",
            "drawn from several wordings",
            "its demonstration's",
            "a score must not hang on a draw",
        ),
        Difference("report", "with box tags, if any", "without", "coordinates are no words of a report"),
        Difference("boxes", "between box tags only", "also without tags", "some engines drop special tokens"),
    )

    def load(self, path_or_identifier: str | None = None, **options: Any) -> Loaded:
        chosen = LoadOptions(**options)
        require_consent(CARD, chosen, "its model and tokenizer are Python code in its repository")
        folder = local_folder(CARD, path_or_identifier, chosen)
        return load_with_transformers(CARD, folder, chosen, "bfloat16", "AutoModelForCausalLM", "AutoTokenizer")

    def prompt(self, example: Example) -> str:
        """The question alone; system message and image are put around it when it is asked."""
        self.check(example)
        if example.task == "report_generation":
            return REPORT
        if example.task == "abnormality_classification":
            return CLASSIFICATION.format(options=", ".join(self.classes))
        return self._wording(example).format(target=self.target(example))

    def _wording(self, example: Example) -> str:
        abnormality = example.task == "abnormality_grounding"
        if self.variant == "corrected":
            return ABNORMALITY if abnormality else PHRASE
        wordings = DRAWN_ABNORMALITY if abnormality else DRAWN_PHRASE
        drawn = hashlib.blake2b(example.id.encode(), digest_size=8).digest()
        return wordings[int.from_bytes(drawn, "big") % len(wordings)]

    def generation(self, task: str) -> Generation:
        return Generation(max_new_tokens=500)

    def parse(self, completion: str, example: Example) -> str:
        if example.task in _GROUNDING:
            boxes, malformed = self._boxes(completion)
            return grounding_response(_words(completion), boxes, malformed)
        if self.variant == "paper":
            return completion.strip()
        if example.task == "abnormality_classification":
            return names_response(completion, self.classes)
        return _words(completion)

    def _boxes(self, text: str) -> tuple[list[Box], list[str]]:
        tagged = _TAGGED.findall(text)
        if not tagged and self.variant == "corrected":
            tagged = [text] if corner_pairs(text) else []
        boxes, malformed = converted((pair for part in tagged for pair in corner_pairs(part)), _hundredths)
        broken = [malformed_box(_NUMBER.findall(part)) for part in tagged if not corner_pairs(part)]
        return boxes, malformed + broken

    def answer(self, loaded: Loaded, examples: Sequence[Example], generation: Generation) -> list[Completion]:
        """One film after the other: its vision tower is fed from paths within a single prompt."""
        return [self._answer(loaded, example, generation) for example in examples]

    def _answer(self, loaded: Loaded, example: Example, generation: Generation) -> Completion:
        import torch

        from radvlm_course.evaluation.baselines.generating import cut_at_end, end_token_ids, generation_arguments

        model, tokenizer = loaded
        with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
            film = (
                Path(folder) / "film.png"
            )  # a short path, as it has to fit into the prompt; 8 bits, as all models get
            load_image(example.image_path).save(film)
            query = tokenizer.from_list_format([{"image": str(film)}, {"text": self.prompt(example)}])
            turns = [{"from": "system", "value": SYSTEM}, {"from": "human", "value": query}]
            text = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
            input_ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"].to(model.device)
            output_ids = model.generate(input_ids, **generation_arguments(generation))
        kept, reason = cut_at_end(output_ids[0, input_ids.shape[1] :].tolist(), end_token_ids(model, tokenizer))
        return Completion(tokenizer.decode(kept).strip(), reason)  # the box tags are special tokens: keep them


def _hundredths(x1: int, y1: int, x2: int, y2: int) -> Box:
    return Box.from_pixels(x1, y1, x2, y2, size=(100, 100))


def _words(text: str) -> str:
    """The text without tags and coordinates."""
    return " ".join(_TAG.sub(" ", _TAGGED.sub(" ", text)).split())
