"""The contract that every baseline keeps.

A baseline is somebody else's model, asked in the words it was trained on and read in the format it answers in. What
leaves it is the same as for our own models: a :class:`~radvlm_course.evaluation.predictions.Prediction` whose response
is a report, box strings in unit coordinates, or names of findings. Nothing downstream knows which model wrote it.

Each baseline comes in two variants:

- ``paper``: as RadVLM-GRPO (arXiv 2512.10691) ran it, as far as its public code tells, quirks and all, to compare with
  the published tables;
- ``corrected``: what those settings should have been: a limit that cuts nobody off, the same decoding for all,
  every box that was written. Where both are the same, nothing differs but the name.

:attr:`Baseline.differences` lists what differs and why. Wordings of prompts are the model's own where its public card
gives them, and ours otherwise; each module says which.

No torch here, and none in any module that only describes a baseline: a table of all of them costs no import of a model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, NamedTuple

from radvlm_course.evaluation.predictions import Prediction
from radvlm_course.records import Example

__all__ = [
    "CLASSES",
    "VARIANTS",
    "Baseline",
    "BaselineError",
    "Card",
    "Completion",
    "Difference",
    "Generation",
    "Loaded",
    "Prompt",
    "user_turn",
]

Variant = Literal["paper", "corrected"]
VARIANTS: tuple[Variant, ...] = ("paper", "corrected")
Prompt = str | list[dict[str, Any]]

CLASSES = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Enlarged Cardiomediastinum",
    "Fracture",
    "Lung Lesion",
    "Lung Opacity",
    "Pleural Effusion",
    "Pleural Other",
    "Pneumonia",
    "Pneumothorax",
    "Support Devices",
)
"""The findings that classification asks about by default: CheXpert's, without "No Finding"."""


class BaselineError(ValueError):
    """A baseline that cannot be loaded or asked; names the baseline and what to do."""


@dataclass(frozen=True)
class Generation:
    """How completions are generated.

    Attributes:
        max_new_tokens: upper limit of a completion, in tokens of the model.
        temperature: 0 decodes greedily; above 0 samples.
        top_p: the smallest set of tokens with at least this probability is sampled from; 1 takes all.
        top_k: only the k likeliest tokens are sampled from; 0 takes all.
    """

    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1 or self.temperature < 0 or not 0 < self.top_p <= 1 or self.top_k < 0:
            raise BaselineError(
                f"expected max_new_tokens >= 1, temperature >= 0, 0 < top_p <= 1 and top_k >= 0, found {asdict(self)}"
            )


class Completion(NamedTuple):
    """What the model wrote, and why it stopped: ``stop`` (by itself) or ``length`` (cut off at the limit)."""

    text: str
    finish_reason: str


class Loaded(NamedTuple):
    """A model ready to generate, and what turns images and text into its inputs."""

    model: Any
    processor: Any


@dataclass(frozen=True)
class Card:
    """What must be known of a baseline before it is used.

    Attributes:
        name: how this course calls it. title: how people write it.
        identifier: the repository on the Hugging Face hub; empty if there is none.
        billions: parameters, in billions.
        licence: of the weights, as their repository states it.
        access: what has to be done to get them.
        citation: the publication.
        paper_tasks: the tasks for which the paper's tables give it a value.
        environment: packages that its own code wants, where they differ from this course's.
    """

    name: str
    title: str
    identifier: str
    billions: float
    licence: str
    access: str
    citation: str
    paper_tasks: tuple[str, ...] = ()
    environment: str = ""


class Difference(NamedTuple):
    """One thing that the variants do differently."""

    what: str
    paper: str
    corrected: str
    why: str


class Baseline(ABC):
    """Base class of all baselines.

    Attributes:
        card: who made it, its terms, where it is.
        tasks: the tasks for which there is a prompt and a way to read the answer.
        thinking: whether completions begin with a thought.
        differences: what the two variants do differently.
    """

    card: ClassVar[Card]
    tasks: ClassVar[tuple[str, ...]]
    thinking: ClassVar[bool] = False
    differences: ClassVar[tuple[Difference, ...]] = ()

    def __init__(self, variant: Variant = "corrected", classes: Sequence[str] = CLASSES) -> None:
        """
        Args:
            variant: ``paper`` or ``corrected``.
            classes: the findings that classification asks about.

        Raises:
            BaselineError: there is no such variant.
        """
        if variant not in VARIANTS:
            raise BaselineError(f"{self.card.title}: expected variant {' or '.join(VARIANTS)}, found {variant!r}")
        self.variant: Variant = variant
        self.classes = tuple(classes)

    @abstractmethod
    def load(self, path_or_identifier: str | None = None, **options: Any) -> Loaded:
        """Load the model.

        Args:
            path_or_identifier: a folder with the weights, or a repository on the hub; the card's by default.
            options: see :class:`radvlm_course.evaluation.baselines.loading.LoadOptions`.

        Raises:
            BaselineError: the weights are not there, are of another kind of model, or run code that was not
                consented to; says what to do.
        """

    @abstractmethod
    def prompt(self, example: Example) -> Prompt:
        """What the model is asked: chat messages, or plain text for a model without a chat template.

        Raises:
            BaselineError: the example's task is not one of :attr:`tasks`, or it lacks what the question needs.
        """

    @abstractmethod
    def generation(self, task: str) -> Generation:
        """The settings for a task."""

    @abstractmethod
    def parse(self, completion: str, example: Example) -> str | None:
        """The response in our format; never raises for what a model wrote.

        Returns:
            A report as text, boxes as ``[x1, y1, x2, y2]`` in unit coordinates of the original image, findings as
            names; an answer that has none of these in its own words. Blank if the model wrote nothing, None if
            it thought and never came to an answer.
        """

    def answer(self, loaded: Loaded, examples: Sequence[Example], generation: Generation) -> list[Completion]:
        """Completions of one batch, in order; chat models of transformers share this one.

        Raises:
            ImageReadError: a film cannot be read.
        """
        from radvlm_course.evaluation.baselines.generating import answer_together

        prompts = [self.prompt(example) for example in examples]
        return answer_together(loaded, prompts, [example.image_path for example in examples], generation)

    def check(self, example: Example) -> None:
        """Refuse an example of a task that this baseline does not do.

        Raises:
            BaselineError: names the example and the tasks that it does.
        """
        if example.task not in self.tasks:
            raise BaselineError(
                f"{self.card.title} answers {', '.join(self.tasks)}; example {example.id!r} is {example.task}: "
                "leave it out or ask another model"
            )

    def target(self, example: Example) -> str:
        """What a grounding example asks to locate: its only label.

        Raises:
            BaselineError: it has none, or several.
        """
        if len(example.labels) != 1 or not example.labels[0].strip():
            raise BaselineError(
                f"{self.card.title}: expected example {example.id!r} ({example.task}) to have one label that says what "
                f"to locate, found {list(example.labels)}"
            )
        return " ".join(example.labels[0].split())

    def prediction(self, example: Example, completion: Completion, generation: Generation | None = None) -> Prediction:
        """The line of a predictions file.

        Args:
            generation: the settings it was generated with; those of the example's task by default.
        """
        settings = asdict(generation or self.generation(example.task))
        settings |= {"variant": self.variant, "thinking": self.thinking}
        response = self.parse(completion.text, example)
        name = f"{self.card.name} ({self.variant})"
        return Prediction(example.id, completion.text, response, name, settings, completion.finish_reason)


def user_turn(question: str, system: str = "") -> list[dict[str, Any]]:
    """Chat messages: the image and a question, after a system message if there is one."""
    turn = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}
    return [{"role": "system", "content": [{"type": "text", "text": system}]}, turn] if system else [turn]
