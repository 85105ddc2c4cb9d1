"""A teacher for phantoms: it reads a film in a fixed search pattern and says what it measures on the way.

On real films the thoughts of the cold start come from a large vision-language model that is shown the ground truth.
Here the ground truth is geometry, so a thought can be honest to the last digit: the heart's width over the chest's, the
costophrenic angles, the pleural line, the lungs zone by zone, and only then the finding. Nothing in a thought is made
up, and nothing in it quotes the answer: a box is not written, a finding is named after what was seen of it.

Source of the stage: RadVLM-GRPO (arXiv 2512.10691), the cold start with ground truth; the search pattern is that of
``reading_guide.md``. Wordings vary with a seed and stay close to the words of the reports.
"""

from __future__ import annotations

import dataclasses
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from radvlm_course.boxes import Box
from radvlm_course.records import Example, Study

__all__ = [
    "TASKS",
    "TeacherError",
    "Thorax",
    "add_thoughts",
    "cardiothoracic_ratio",
    "stated_ratios",
    "write_thought",
]

FULL_READING = ("report_generation", "abnormality_classification", "abnormality_detection")
TASKS = (*FULL_READING, "abnormality_grounding")
LARGE_HEART = 0.5  # cardiothoracic ratio; the usual limit on a PA film
SIDES, ZONES = ("right", "left"), ("upper", "mid", "lower")
_OPACITIES = ("consolidation", "nodule", "atelectasis", "edema")
_STATED = re.compile(r"\bwide, (?:chest 0\.\d+, ratio )?(0\.\d+): (?:large|normal)")  # as _Reader.heart words it
_ORDERS = (("heart", "lungs", "pleura", "devices"), ("devices", "lungs", "pleura", "heart"))


class TeacherError(ValueError):
    """A film or a question that this teacher cannot read; says what is missing."""


@dataclass(frozen=True)
class Thorax:
    """What the teacher measures against. All boxes in unit coordinates.

    Attributes:
        chest: from the outer edge of one lung to that of the other, and from apex to base.
        midline: x of the spine.
        zones: (side, zone) -> its box.
    """

    heart: Box
    chest: Box
    midline: float
    zones: Mapping[tuple[str, str], Box]

    @classmethod
    def of(cls, study: Study) -> Thorax:
        """The thorax of a study.

        Raises:
            TeacherError: the study does not say where heart, spine and lung zones are.
        """
        names = ("heart", "spine", *(f"{side} {zone} lung zone" for side in SIDES for zone in ZONES))
        if missing := [name for name in names if not study.structures.get(name)]:
            raise TeacherError(f"{study.study_id}: expected boxes of {', '.join(names)}; {', '.join(missing)} missing")
        boxes = {name: study.structures[name][0] for name in names}
        zones = {(side, zone): boxes[f"{side} {zone} lung zone"] for side in SIDES for zone in ZONES}
        edges = list(zip(*(box.to_list() for box in zones.values()), strict=True))
        chest = Box(min(edges[0]), min(edges[1]), max(edges[2]), max(edges[3]))
        return cls(boxes["heart"], chest, (boxes["spine"].x1 + boxes["spine"].x2) / 2, zones)

    def side(self, box: Box) -> str:
        """The patient's side on which a box lies: the left of the image is the patient's right."""
        return "right" if (box.x1 + box.x2) / 2 < self.midline else "left"

    def zone(self, box: Box) -> str:
        """The lung zone at the height of a box's centre."""
        side, middle = self.side(box), (box.y1 + box.y2) / 2
        return next((zone for zone in ZONES if middle < self.zones[side, zone].y2), ZONES[-1])


def cardiothoracic_ratio(thorax: Thorax) -> float:
    """Width of the heart over the width of the chest; above :data:`LARGE_HEART` the heart is large."""
    return thorax.heart.width / thorax.chest.width


def write_thought(study: Study, example: Example, seed: int = 0) -> str:
    """The thought before an answer, without tags.

    Args:
        study: the film's record, with the boxes of its structures and abnormalities.
        example: a question about it; a report, a classification and a detection need a reading of the whole film, the
            grounding of a finding a look where that finding shows.
        seed: draws the wording, together with the example's id.

    Raises:
        TeacherError: another task, a finding that the film does not have, or a film without structures.
    """
    if example.task not in TASKS:
        raise TeacherError(f"{example.id}: expected a task among {', '.join(TASKS)}, found {example.task!r}")
    reader = _Reader(study, Thorax.of(study), random.Random(f"{seed} {example.id}"))
    if example.task in FULL_READING:
        return reader.whole_film()
    finding = example.labels[0] if len(example.labels) == 1 else ""
    if finding not in study.abnormalities:
        found = ", ".join(study.abnormalities) or "none"
        raise TeacherError(f"{example.id}: expected one label among the film's findings ({found}), found {finding!r}")
    return reader.one_finding(finding)


def add_thoughts(studies: Iterable[Study], examples: Iterable[Example], seed: int = 0) -> Iterator[Example]:
    """The examples of :data:`TASKS`, each with its thought; examples of other tasks are left out.

    Raises:
        TeacherError: a film is not among the studies, or cannot be read.
    """
    by_id = {study.study_id: study for study in studies}
    for example in examples:
        if example.task in TASKS:
            if example.study_id not in by_id:
                raise TeacherError(f"{example.id}: no study {example.study_id!r} among the {len(by_id)} given")
            yield dataclasses.replace(example, thought=write_thought(by_id[example.study_id], example, seed))


def stated_ratios(
    thoughts: Mapping[str, str], examples: Mapping[str, Example], studies: Mapping[str, Study]
) -> list[tuple[float, float]]:
    """The heart's ratio as thoughts state it, beside the true one; thoughts that state none are passed over.

    Args:
        thoughts: example id -> text with the thought. examples: by id. studies: by study id.

    Returns:
        (stated, true) for each thought that states one.
    """
    pairs = []
    for identifier, thought in thoughts.items():
        if found := _STATED.search(thought):
            thorax = Thorax.of(studies[examples[identifier].study_id])
            pairs.append((float(found.group(1)), cardiothoracic_ratio(thorax)))
    return pairs


class _Reader:
    """One reading of one film."""

    def __init__(self, study: Study, thorax: Thorax, rng: random.Random) -> None:
        self.study, self.thorax, self.rng = study, thorax, rng
        self.boxes = {name: tuple(sorted(boxes, key=lambda box: box.x1)) for name, boxes in study.abnormalities.items()}

    def say(self, *wordings: str) -> str:
        return self.rng.choice(wordings)

    def whole_film(self) -> str:
        """All regions in one of two orders, then what they amount to."""
        read = {"heart": self.heart, "lungs": self.lungs, "pleura": self.pleura, "devices": self.devices}
        seen = [read[region]() for region in self.rng.choice(_ORDERS)]
        found = [self.named(name) for name in self.boxes]
        shown = self.say("So the film shows", "This shows")
        summary = f"{shown} {_listed(found)}." if found else self.say("So the film is normal.", "This is normal.")
        return " ".join([*filter(None, seen), summary])

    def one_finding(self, finding: str) -> str:
        """The regions where a finding shows, and where its middle lies, to a tenth of the film."""
        if finding == "cardiomegaly":
            seen = self.heart()
        elif finding in ("pleural effusion", "pneumothorax"):
            seen = self.pleura(finding)
        elif finding == "support devices":
            seen = self.devices()
        else:
            seen = self.lungs(finding)
        middles = [f"{(box.x1 + box.x2) / 2:.1f}, {(box.y1 + box.y2) / 2:.1f}" for box in self.boxes[finding]]
        return f"{seen} {self.say('So', 'This shows')} {self.named(finding)}, centered near {' and '.join(middles)}."

    def named(self, finding: str) -> str:
        """A finding with its sides, where it has any."""
        sides = [side for side in SIDES if side in map(self.thorax.side, self.boxes[finding])]
        if finding == "cardiomegaly":
            return finding
        return f"{finding} on the {' and '.join(sides)}"

    def heart(self) -> str:
        ratio = cardiothoracic_ratio(self.thorax)
        width, chest = self.thorax.heart.width, self.thorax.chest.width
        size = "large" if ratio > LARGE_HEART else "normal"
        return self.say(
            f"The heart is {width:.2f} of {chest:.2f} wide, {ratio:.2f}: {size}.",
            f"Heart {width:.2f} wide, chest {chest:.2f}, ratio {ratio:.2f}: {size}.",
        )

    def lungs(self, only: str = "") -> str:
        """Side by side, the opacities of the lungs; ``only``: those of one finding."""
        seen = [self.lung(side, only) for side in SIDES]
        if seen == ["clear", "clear"]:
            return self.say("Both lungs are clear.", "Lungs: clear.")
        return " ".join(f"{side.capitalize()} lung: {what}." for side, what in zip(SIDES, seen, strict=True))

    def lung(self, side: str, only: str) -> str:
        seen = [
            self.opacity(name, box)
            for name in ([only] if only else _OPACITIES)
            for box in self.boxes.get(name, ())
            if self.thorax.side(box) == side
        ]
        return _listed(seen) if seen else ("nothing" if only else "clear")

    def opacity(self, finding: str, box: Box) -> str:
        zone, lung = self.thorax.zone(box), self.thorax.chest.height
        if finding == "nodule":
            return f"a round opacity in the {zone} zone, {box.width:.2f} wide"
        if finding == "edema":
            return f"haze around the hilum, {box.height / lung:.1f} of its height"
        if finding == "consolidation":
            return self.say(f"a patchy opacity in the {zone} zone", f"dense opacity in the {zone} zone")
        return f"{self.streak()} in the {zone} zone"

    def streak(self) -> str:
        """The form of an atelectasis, as far as the report tells it."""
        report = self.study.report.casefold()
        if "linear" in report:
            return "a thin band"
        return "a wedge" if "segmental" in report else "a streak"

    def pleura(self, only: str = "") -> str:
        """The angles for fluid and the pleural line for air; ``only``: one of the two findings."""
        angles = [f"the {side} angle is {self.angle(side)}" for side in SIDES]
        lines = [f"{self.line(side)} on the {side}" for side in SIDES]
        if all("sharp" in angle for angle in angles):
            angles = ["both angles are sharp"]
        if all(line.startswith("no ") for line in lines):
            lines = ["no pleural line"]
        said = {"pleural effusion": angles, "pneumothorax": lines}.get(only, [*angles, *lines])
        return f"Pleura: {_listed(said)}."

    def angle(self, side: str) -> str:
        boxes = [box for box in self.boxes.get("pleural effusion", ()) if self.thorax.side(box) == side]
        return f"blunted with fluid up to {boxes[0].y1:.2f}" if boxes else "sharp"

    def line(self, side: str) -> str:
        boxes = [box for box in self.boxes.get("pneumothorax", ()) if self.thorax.side(box) == side]
        if not boxes:
            return "no pleural line"
        return f"a pleural line with air down to {boxes[0].y2:.2f}"

    def devices(self) -> str:
        boxes = self.boxes.get("support devices", ())
        if not boxes:
            return self.say("", "No device.")
        kind = "a pacemaker" if "pacemaker" in self.study.report.casefold() else "a tube"
        return f"There is {kind} on the {self.thorax.side(boxes[0])}."


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
