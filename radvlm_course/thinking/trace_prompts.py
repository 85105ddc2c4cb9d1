"""What a teacher is asked: the film, the question, how to read, and, in the default variant, the true answer.

Three variants, after the method's own (RadVLM-GRPO, arXiv 2512.10691):

- ``with_truth``: the teacher sees film, question and true answer, and writes the way from one to the other. The
  paper's best.
- ``one_stage``: it sees no answer; what agrees with the truth is kept.
- ``two_stage``: a vision model thinks and answers without the truth (the draft); a model that reads text only
  rewrites the drafts that agree.

The texts are files in ``prompts/``, the way to read is ``reading_guide.md``. A film is opened when its question is
asked, made smaller, and sent within the request as JPEG: no address of a file leaves, nor anything that the file
holds beside the picture.
"""

from __future__ import annotations

import base64
import functools
import io
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from PIL import Image

from radvlm_course.images import ImageReadError, load_image
from radvlm_course.language.client import Message
from radvlm_course.language.jobs import AnswerRejected
from radvlm_course.language.prompts import Prompt
from radvlm_course.language.prompts import load_prompt as load_language_prompt
from radvlm_course.records import Example
from radvlm_course.thinking.prompts import load_prompt
from radvlm_course.thinking.trace import FilterSettings

__all__ = [
    "TRACE_TASKS",
    "FilmSettings",
    "Stage",
    "data_url",
    "film_messages",
    "guide_text",
    "prompts_of",
    "reading_guide",
    "rewrite_messages",
]

Stage = Literal["with_truth", "one_stage", "draft", "rewrite"]
STAGES: tuple[Stage, ...] = ("with_truth", "one_stage", "draft", "rewrite")

_FORMS = {
    "report_generation": "form_report",
    "abnormality_classification": "form_labels",
    "anatomical_grounding": "form_boxes",
    "abnormality_grounding": "form_boxes",
    "phrase_grounding": "form_boxes",
    "abnormality_detection": "form_detection",
}
TRACE_TASKS = tuple(_FORMS)
"""Tasks that can have a thought; conversations cannot."""

_USER_TEXTS = {
    "with_truth": "with_truth_question",
    "one_stage": "question",
    "draft": "question",
    "rewrite": "rewrite_draft",
}
_LAYOUTS = {"required": "layout_tags", "optional": "layout_native"}  # a model that thinks by itself writes its own tags
_PIXELS_PER_TOKEN = 32  # side of the square that becomes one token in Qwen3-VL


@dataclass(frozen=True)
class FilmSettings:
    """How a film is sent.

    Attributes:
        root: put before an example's ``image_path``.
        longest_side: in pixels; a larger film is made smaller, a smaller one stays as it is.
        jpeg_quality: 1 to 95.

    Raises:
        ValueError: a value is out of bounds.
    """

    root: str = ""
    longest_side: int = 1024
    jpeg_quality: int = 90

    def __post_init__(self) -> None:
        if self.longest_side < _PIXELS_PER_TOKEN or not 1 <= self.jpeg_quality <= 95:
            raise ValueError(
                f"expected a longest side of {_PIXELS_PER_TOKEN} pixels or more and a JPEG quality of 1 to 95, found "
                f"{self.longest_side} and {self.jpeg_quality}"
            )

    @property
    def tokens(self) -> int:
        """Tokens of a square film of this side in Qwen3-VL; others have fewer."""
        return (self.longest_side // _PIXELS_PER_TOKEN) ** 2


def data_url(path: Path, settings: FilmSettings) -> str:
    """A film as a ``data:`` address with a JPEG: pixels alone, no file name, no metadata.

    Raises:
        ImageReadError: it cannot be read; names the path.
    """
    film = load_image(path)
    film.thumbnail((settings.longest_side, settings.longest_side), Image.Resampling.LANCZOS)
    film.info.clear()  # Pillow would write comments and the like into the new file
    buffer = io.BytesIO()
    film.save(buffer, "JPEG", quality=settings.jpeg_quality)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


@functools.cache
def reading_guide() -> Prompt:
    """How to read a film; ``text`` is the whole file, with its references."""
    return Prompt(
        "reading_guide", resources.files("radvlm_course.thinking").joinpath("reading_guide.md").read_text("utf-8")
    )


def guide_text() -> str:
    """The steps alone: without title and references."""
    body = reading_guide().text.partition("\n## References")[0]
    return body.partition("\n")[2].strip()


def prompts_of(stage: Stage) -> dict[str, str]:
    """Prompt -> digest, of all that a teacher is asked with at a stage."""
    names = [stage, _USER_TEXTS[stage], *_LAYOUTS.values()]
    if stage in ("one_stage", "draft"):
        names += sorted(set(_FORMS.values()))
    texts = [*map(load_prompt, names), reading_guide(), load_language_prompt("answer_rejected")]
    return {prompt.name: prompt.sha256 for prompt in texts}


def film_messages(
    example: Example, stage: Stage, filters: FilterSettings, film: FilmSettings, with_film: bool = True
) -> list[Message]:
    """What a vision model is asked.

    Args:
        stage: ``with_truth``, ``one_stage`` or ``draft``.
        with_film: False leaves the address of the picture empty and opens no file, for the estimate of costs.

    Raises:
        AnswerRejected: the film cannot be read (code ``unreadable_film``): there is nothing to ask.
    """
    truth = {"answer": example.answer} if stage == "with_truth" else {}
    text = load_prompt(_USER_TEXTS[stage]).fill(question=example.question, **truth)
    try:
        url = data_url(Path(film.root) / example.image_path, film) if with_film else ""
    except ImageReadError as error:
        raise AnswerRejected("unreadable_film", str(error)) from error
    parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": text}]
    return [{"role": "system", "content": _system(stage, example, filters)}, {"role": "user", "content": parts}]


def rewrite_messages(example: Example, thought: str, answer: str, filters: FilterSettings) -> list[Message]:
    """What a text model is asked about a draft."""
    text = load_prompt(_USER_TEXTS["rewrite"]).fill(question=example.question, thought=thought, answer=answer)
    return [{"role": "system", "content": _system("rewrite", example, filters)}, {"role": "user", "content": text}]


def _system(stage: Stage, example: Example, filters: FilterSettings) -> str:
    values = {"guide": guide_text(), "layout": load_prompt(_LAYOUTS[filters.opening_tag]).text}
    if stage in ("one_stage", "draft"):
        values["form"] = load_prompt(_FORMS[example.task]).text
    if stage != "draft":
        most = filters.boxes_in_thought
        boxes = f"has at most {most} boxes" if most else "has no box and no row of coordinates; it says places in words"
        values |= {"fewest": str(filters.fewest_words), "most": str(filters.most_words), "boxes": f"{boxes}."}
    return load_prompt(stage).fill(**values)
