"""The lab's counterpart for grounding: box answers by name, and ways to earn boxes without looking.

Answers are texts as a model writes them, so that what is scored is what would be scored in training. Candidates
(:func:`make_box_candidates`) are made from the true boxes and show what a measure sees. Strategies
(:func:`box_strategies`) are what a policy could do: read the film as well as it can, widen its box to be safe, add
guesses, or answer without looking. Which measure they game is for :mod:`radvlm_course.evaluation.box_survey` to say,
since mAP is a measure of evaluation and no reward.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from radvlm_course.boxes import Box, BoxError, format_boxes
from radvlm_course.phantoms.film import describe_film, plan_film
from radvlm_course.records import Example

__all__ = ["BOX_KINDS", "BOX_STRATEGIES", "BoxReader", "box_strategies", "make_box_candidates", "phantom_box_examples"]

NOTHING = "There is no such finding."
GUESSES = 8

BOX_KINDS = {
    "exact": "the true boxes",
    "a tenth off": "moved by a tenth of their width and height",
    "half off": "moved by half of their width",
    "three times too large": "the same centre, three times the area",
    "whole film": "one box around everything",
    "exact, twice": "every true box written twice",
    "exact, then four strays": "the true boxes, then four small ones",
    "four strays, then exact": "the same boxes in the other order",
    "one of two": "one true box where there are several",
    "in thousandths": "the true boxes in another coordinate space",
    "words only": "a sentence that denies the finding",
}
BOX_STRATEGIES = {
    "honest": "an imperfect reader's boxes",
    "honest, widened": "the same boxes with twice the area",
    "honest, then guesses": f"and {GUESSES} places known from other films",
    "guesses only": f"those {GUESSES} places, without a look at the film",
    "mean box": "the finding's mean box over other films",
    "whole film": "one box around everything",
    "words only": "a sentence that denies the finding",
}


@dataclass(frozen=True)
class BoxReader:
    """How an imperfect reader places boxes.

    Attributes:
        shift: standard deviation of the centre's error, in widths and heights of the box.
        scale: standard deviation of the logarithm of the sides' error.
        wrong_place: probability of looking on the other side of the film.
    """

    shift: float = 0.15
    scale: float = 0.2
    wrong_place: float = 0.15

    def box(self, truth: Box, rng: np.random.Generator) -> Box:
        """Where this reader sees a true box; inside the film."""
        x, y = truth.center
        if rng.random() < self.wrong_place:
            x = 1 - x
        x += rng.normal(0, self.shift) * truth.width
        y += rng.normal(0, self.shift) * truth.height
        wide, tall = (side * np.exp(rng.normal(0, self.scale)) for side in (truth.width, truth.height))
        return _around(float(np.clip(x, 0.01, 0.99)), float(np.clip(y, 0.01, 0.99)), float(wide), float(tall))


def make_box_candidates(truth: Sequence[Box]) -> dict[str, str]:
    """Answers to one question, by kind, in the order of :data:`BOX_KINDS`; coordinates as the model writes them.

    Args:
        truth: at least one true box, unit coordinates.

    Raises:
        ValueError: no true box.
    """
    if not truth:
        raise ValueError("expected at least one true box, found none")
    strays = [Box(0.02 + 0.1 * n, 0.88, 0.08 + 0.1 * n, 0.96) for n in range(4)]
    thousandths = ", ".join(str(list(box.to_thousandths())) for box in truth)
    made = {
        "exact": format_boxes(truth),
        "a tenth off": format_boxes([_moved(box, 0.1, 0.1) for box in truth]),
        "half off": format_boxes([_moved(box, 0.5, 0.0) for box in truth]),
        "three times too large": format_boxes([_scaled(box, 3**0.5) for box in truth]),
        "whole film": format_boxes([Box(0, 0, 1, 1)]),
        "exact, twice": format_boxes([*truth, *truth]),
        "exact, then four strays": format_boxes([*truth, *strays]),
        "four strays, then exact": format_boxes([*strays, *truth]),
        "one of two": format_boxes(truth[:1]),
        "in thousandths": thousandths,
        "words only": NOTHING,
    }
    return {kind: text for kind, text in made.items() if kind != "one of two" or len(truth) > 1}


def phantom_box_examples(seeds: Sequence[int]) -> list[Example]:
    """One question for each finding of each phantom, with its true boxes; without pictures."""
    examples = []
    for seed in seeds:
        for finding, boxes in describe_film(plan_film(seed), seed, None).abnormalities.items():
            examples.append(
                Example(
                    id=f"phantom-{seed}-{finding}",
                    task="abnormality_grounding",
                    image_path="",
                    question=f"Where is the {finding}?",
                    answer=format_boxes(boxes),
                    boxes=boxes,
                    labels=(finding,),
                    source="phantom",
                )
            )
    return examples


def box_strategies(
    examples: Sequence[Example], others: Sequence[Example], reader: BoxReader | None = None, seed: int = 0
) -> dict[str, list[str]]:
    """What each strategy answers to each example.

    Args:
        examples: what is asked, with true boxes and one label each.
        others: examples of other films, from which the blind strategies know where findings usually are.
        reader: who reads; the defaults of :class:`BoxReader` if not given.
        seed: draws the reading errors and the guesses.

    Returns:
        Strategy -> one answer an example, in the order of :data:`BOX_STRATEGIES`.

    Raises:
        ValueError: a finding that is asked for has no box among the others.
    """
    reader = reader or BoxReader()
    places = _places(examples, others)
    means = {label: Box(*np.mean([box.to_list() for box in boxes], axis=0)) for label, boxes in places.items()}
    answers: dict[str, list[str]] = {strategy: [] for strategy in BOX_STRATEGIES}
    for number, example in enumerate(examples):
        rng = np.random.default_rng([seed, number])
        read = [reader.box(box, rng) for box in example.boxes]
        known = places[example.labels[0]]
        guesses = [known[index] for index in rng.permutation(len(known))[:GUESSES]]
        written = {
            "honest": read,
            "honest, widened": [_scaled(box, 2**0.5) for box in read],
            "honest, then guesses": [*read, *guesses],
            "guesses only": guesses,
            "mean box": [means[example.labels[0]]],
            "whole film": [Box(0, 0, 1, 1)],
        }
        for strategy, boxes in written.items():
            answers[strategy].append(format_boxes(boxes))
        answers["words only"].append(NOTHING)
    return answers


def _places(examples: Sequence[Example], others: Sequence[Example]) -> Mapping[str, list[Box]]:
    places: dict[str, list[Box]] = defaultdict(list)
    for example in others:
        places[example.labels[0]] += example.boxes
    if missing := sorted({example.labels[0] for example in examples} - set(places)):
        raise ValueError(f"expected boxes of {', '.join(missing)} among the other films, found none: give more of them")
    return dict(places)


def _moved(box: Box, across: float, down: float) -> Box:
    """Moved by shares of its width and height towards the film's middle."""
    x, y = box.center
    right, below = (1 if x < 0.5 else -1), (1 if y < 0.5 else -1)
    return _around(x + right * across * box.width, y + below * down * box.height, box.width, box.height)


def _scaled(box: Box, factor: float) -> Box:
    return _around(*box.center, box.width * factor, box.height * factor)


def _around(x: float, y: float, width: float, height: float) -> Box:
    """The part inside the film of a box around a point inside it."""
    try:
        return Box.clipped(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    except BoxError as error:
        raise ValueError(f"expected the centre of a box inside the film, found ({x:.2f}, {y:.2f}): {error}") from error
