"""What the general-domain base learns from: pictures on disk, studies with boxes, examples in the course's form.

Studies and examples are the course's own records, so that its vision pre-training and its fine-tuning are reused as
they are. Everything is drawn from one seed.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from radvlm_course.general_base.shapes import Scene, draw_scene, sample_scene
from radvlm_course.general_base.wording import DESCRIBE, caption, thought
from radvlm_course.instructions.builder import BuildOptions, build_examples
from radvlm_course.instructions.templates import load_templates
from radvlm_course.phantoms.film import describe_film, plan_film
from radvlm_course.records import Example, Study

__all__ = ["Amounts", "Pictures", "about_shapes", "course_texts", "examples", "radiology_studies", "write_pictures"]

SOURCE = "general"
_TEMPLATES = "compact"  # as in the laptop's mixture
# Seeds of parts that must not share a picture: shapes to train on, shapes to test on, noise.
_PARTS = {"train": 0, "test": 1, "noise": 2}
_SEEDS_EACH = 1_000_000
# Corpora draw their seeds from 64 bits; these films are of no corpus.
_FIRST_FILM = 700_000_000


@dataclass(frozen=True)
class Amounts:
    """How much of what.

    Attributes:
        train_pictures, test_pictures: with shapes.
        noise_pictures: without any.
        grounding, captions, prose: examples to fine-tune on; prose is a phantom's report about a noise picture.
        thinking_share: of the examples of each kind that are answered with a thought first, 0 to 1.
        films: phantoms whose reports are the prose, and whose texts the tokenizer reads.
    """

    train_pictures: int = 3000
    test_pictures: int = 100
    noise_pictures: int = 300
    grounding: int = 6000
    captions: int = 1200
    prose: int = 1500
    thinking_share: float = 0.35
    films: int = 750

    def __post_init__(self) -> None:
        counts = {name: value for name, value in vars(self).items() if name != "thinking_share"}
        if min(counts.values()) < 1 or not 0 <= self.thinking_share <= 1:
            raise ValueError(f"expected counts of at least 1 and a share of 0 to 1, found {self}")


@dataclass(frozen=True)
class Pictures:
    """Scenes by study id, and the studies; ``noise`` are those without a shape."""

    scenes: dict[str, Scene]
    train: tuple[Study, ...]
    test: tuple[Study, ...]
    noise: tuple[Study, ...]


def write_pictures(folder: Path, amounts: Amounts, size: int, seed: int) -> Pictures:
    """Draw all pictures into ``folder`` as 8-bit grey PNG files; those that are there stay.

    Args:
        size: pixels along each side.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scenes: dict[str, Scene] = {}
    studies: dict[str, list[Study]] = {}
    counts = (amounts.train_pictures, amounts.test_pictures, amounts.noise_pictures)
    for part, count in zip(_PARTS, counts, strict=True):
        first = (len(_PARTS) * seed + _PARTS[part]) * _SEEDS_EACH
        studies[part] = []
        for number in range(count):
            scene = sample_scene(first + number, most=0 if part == "noise" else 3)
            study_id = f"{part}-{number:05d}"
            path = folder / f"{study_id}.png"
            if not path.exists():
                partial = path.with_name(f"{path.name}.partial")
                Image.fromarray(draw_scene(scene, size)).save(partial, format="PNG")
                partial.replace(path)
            scenes[study_id] = scene
            studies[part].append(_study(scene, study_id, path, size, "test" if part == "test" else "train"))
    return Pictures(scenes, *(tuple(studies[part]) for part in _PARTS))


def examples(pictures: Pictures, reports: Sequence[str], amounts: Amounts, seed: int) -> list[Example]:
    """What the base is fine-tuned on, in a random order: as much of each kind as ``amounts`` says, or all there is.

    Args:
        reports: the prose; each is used about as often as every other.
    """
    rng = random.Random(seed)
    built = list(about_shapes(pictures.train, seed))
    grounding = [example for example in built if example.task == "abnormality_grounding"]
    captions = [example for example in built if example.task == "report_generation"]
    chosen = [
        *_sample(rng, grounding, amounts.grounding),
        *_sample(rng, captions, amounts.captions),
        *_prose(pictures.noise, reports, amounts.prose, rng),
    ]
    with_thoughts = [
        _with_thought(example, pictures.scenes[example.study_id], seed)
        if rng.random() < amounts.thinking_share
        else example
        for example in chosen
    ]
    rng.shuffle(with_thoughts)
    return with_thoughts


def radiology_studies(count: int) -> list[Study]:
    """Phantoms of no corpus, without a picture: what the base reads of radiology are their texts alone."""
    studies = []
    for number in range(count):
        phantom = describe_film(plan_film(_FIRST_FILM + number), _FIRST_FILM + number, None)
        name = f"unseen-{number:05d}"
        studies.append(
            Study(
                f"{name}.png",
                (1, 1),
                name,
                name,
                "phantom",
                "train",
                report=phantom.report,
                findings=phantom.findings,
                structures=phantom.structures,
                abnormalities=phantom.abnormalities,
            )
        )
    return studies


def course_texts(studies: Sequence[Study], seed: int) -> Iterator[str]:
    """All that the course says of films: questions, answers and the thoughts of its cold start."""
    from radvlm_course.thinking.phantom_teacher import add_thoughts

    tasks = ("report_generation", "abnormality_grounding", "anatomical_grounding")
    built = list(build_examples(studies, tasks, seed, options=BuildOptions(templates=_TEMPLATES)))
    for example in built:
        yield from (example.question, example.answer)
    for example in add_thoughts(studies, built, seed):
        yield example.thought


def _study(scene: Scene, study_id: str, path: Path, size: int, split: str) -> Study:
    boxes = scene.boxes()
    return Study(
        str(path),
        (size, size),
        study_id,
        study_id,
        SOURCE,
        split,
        report=caption(scene) if scene.shapes else "",
        findings=dict.fromkeys(boxes, 1),
        abnormalities=boxes,
    )


def about_shapes(studies: Sequence[Study], seed: int) -> Iterator[Example]:
    """For each picture where each of its kinds of shape is, and a caption; all direct."""
    tasks = ("abnormality_grounding", "report_generation")
    for example in build_examples(studies, tasks, seed, options=BuildOptions(templates=_TEMPLATES)):
        is_caption = example.task == "report_generation"
        yield dataclasses.replace(example, question=DESCRIBE) if is_caption else example


def _prose(noise: Sequence[Study], reports: Sequence[str], count: int, rng: random.Random) -> Iterator[Example]:
    """Reports that are about no picture: the n-th is of some phantom, asked about some noise."""
    (question,) = load_templates(_TEMPLATES).wordings("report_generation", "questions")
    order = rng.sample(range(len(reports)), len(reports))
    for number in range(count):
        study = noise[rng.randrange(len(noise))]
        yield Example(
            f"{SOURCE}/{study.study_id}/prose/{number}",
            "report_generation",
            study.image_path,
            question,
            reports[order[number % len(order)]],
            source=SOURCE,
            patient_id=study.patient_id,
            study_id=study.study_id,
        )


def _with_thought(example: Example, scene: Scene, seed: int) -> Example:
    kind = example.labels[0] if example.task == "abnormality_grounding" else ""
    return dataclasses.replace(example, thought=thought(scene, kind, seed))


def _sample(rng: random.Random, found: Sequence[Example], count: int) -> list[Example]:
    return rng.sample(list(found), min(count, len(found)))
