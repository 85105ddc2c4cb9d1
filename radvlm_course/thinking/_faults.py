"""How each fault is planted into a clean trace, for :mod:`radvlm_course.thinking.dirty`."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from radvlm_course.boxes import Box, format_box
from radvlm_course.chat import THINK_END, THINK_START, join_thought
from radvlm_course.phantoms.labeller import label_report
from radvlm_course.records import Example
from radvlm_course.thinking._dirty_sentences import FOREIGN, GIVEN, MADE_UP_FINDINGS, PRIORS, PROMPTS, REFUSALS
from radvlm_course.thinking.answer_filters import written_boxes
from radvlm_course.thinking.filter_rules import filter_rules
from radvlm_course.thinking.trace import words_of

__all__ = ["FAULTS", "Fault", "conclusion"]

Fault = Callable[[Example, random.Random], str]
"""(example with a clean thought, generator) -> its completion with the fault."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_MANY_WORDS = 1500


# -- form ----------------------------------------------------------------------------------------------------------


def _parts(example: Example) -> tuple[str, str]:
    return example.thought, example.answer


def _clean(example: Example) -> str:
    return join_thought(example.thought, example.answer)


def _thinking(thought: str, answer: str) -> str:
    return f"{THINK_START}{thought}{THINK_END} {answer}"


def _empty(example: Example, rng: random.Random) -> str:
    return rng.choice(["", " ", "\n\n"])


def _refusal(example: Example, rng: random.Random) -> str:
    thought, answer = _parts(example)
    words = rng.choice(REFUSALS)
    return rng.choice(
        [words, f"{words} {_clean(example)}", _thinking(f"{thought} {words}", answer), _thinking(thought, words)]
    )


def _no_tags(example: Example, rng: random.Random) -> str:
    thought, answer = _parts(example)
    return rng.choice([f"{thought}\n\n{answer}", f"Reasoning: {thought}\nAnswer: {answer}", answer])


def _not_opened(example: Example, rng: random.Random) -> str:
    return _clean(example).replace(THINK_START, rng.choice(["", "Thinking: "]))


def _not_closed(example: Example, rng: random.Random) -> str:
    cut = _clean(example).replace(THINK_END, "")
    return rng.choice([cut, cut[: len(cut) * 2 // 3]])


def _closed_twice(example: Example, rng: random.Random) -> str:
    thought, answer = _parts(example)
    first, second = _cut(thought, rng)
    clean, split = _clean(example), _thinking(f"{first} {THINK_END} {second}", answer)
    return rng.choice([f"{clean}\n{clean}", split, f"{clean} {THINK_END}", f"{THINK_START}{clean}"])


def _text_before(example: Example, rng: random.Random) -> str:
    before = ["Let me look at the film step by step.", "Sure.", "```", example.answer]
    return f"{rng.choice(before)}\n{_clean(example)}"


def _empty_thought(example: Example, rng: random.Random) -> str:
    return _thinking(rng.choice(["", " \n", "..."]), _parts(example)[1])


def _no_answer(example: Example, rng: random.Random) -> str:
    thought, answer = _parts(example)
    return rng.choice([_thinking(thought, ""), _thinking(f"{thought} {answer}", "\n")])


# -- answer --------------------------------------------------------------------------------------------------------


def _other_format(example: Example, rng: random.Random) -> str:
    thought, answer = _parts(example)
    forms = [
        f"<answer>{answer}</answer>",
        f"Answer: {answer}",
        f"**{answer}**",
        f"```\n{answer}\n```",
        f"\\boxed{{{answer}}}",
        f'{{"answer": "{answer}"}}',
        f"Here is the answer: {answer}",
        f"# Report\n{answer}",
    ]
    return _thinking(thought, rng.choice(forms))


def _with_box(example: Example, rng: random.Random, change: Callable[[list[float]], str]) -> str:
    """The completion with one box of its answer changed."""
    thought, answer = _parts(example)
    chosen = rng.choice(written_boxes(answer))
    corners = [float(number) for number in chosen.strip("[]").split(",")]
    return _thinking(thought, answer.replace(chosen, change(corners), 1))


def _list(numbers: Iterable[float]) -> str:
    return "[" + ", ".join(f"{number:g}" for number in numbers) + "]"


def _box_outside_image(example: Example, rng: random.Random) -> str:
    def move(corners: list[float]) -> str:
        x1, y1, x2, y2 = corners
        pixels = [round(corner * 1024) for corner in corners]
        return _list(
            rng.choice([pixels, [round(c * 1000) for c in corners], [x1, y1, x2 + 1, y2], [x1 - 1, y1, x2, y2]])
        )

    return _with_box(example, rng, move)


def _malformed_box(example: Example, rng: random.Random) -> str:
    def spoil(corners: list[float]) -> str:
        x1, y1, x2, y2 = corners
        return _list(rng.choice([[x2, y1, x1, y2], [x1, y2, x2, y1], [x1, y1, x2], [*corners, x1], [x1, y1, x1, y2]]))

    return _with_box(example, rng, spoil)


def _changed_box(example: Example, rng: random.Random) -> str:
    true = set(written_boxes(example.answer))

    def nudge(corners: list[float]) -> str:
        steps = (-0.1, -0.02, -0.01, 0.01, 0.02, 0.1)
        nudged = [
            [round(c + step * (k == place), 2) for k, c in enumerate(corners)] for place in range(4) for step in steps
        ]
        inside = [c for c in nudged if 0 <= c[0] < c[2] <= 1 and 0 <= c[1] < c[3] <= 1]
        return rng.choice([box for box in (format_box(Box(*c)) for c in inside) if box not in true])

    def add(corners: list[float]) -> str:
        return f"{format_box(Box(*corners))}, {nudge(corners)}"

    return _with_box(example, rng, rng.choice([nudge, nudge, nudge, add]))


def _missing_box(example: Example, rng: random.Random) -> str:
    thought, answer = _parts(example)
    lost = rng.choice(written_boxes(answer))
    return _thinking(thought, answer.replace(lost, "in the lower zone", 1))


def _label_differs(example: Example, rng: random.Random) -> str:
    thought, answer = _parts(example)
    own = {name for label in example.labels for name in filter_rules().names_of(label)}
    added = rng.choice([name for name in MADE_UP_FINDINGS if name not in own])
    return _thinking(thought, f"{answer.rstrip('. ')}; {added}." if example.labels else f"There is {added}.")


def _report_differs(example: Example, rng: random.Random) -> str:
    thought, answer = _parts(example)
    others = ["Large left pneumothorax.", "There is a mass in the right upper lung.", "Severe cardiomegaly."]
    added = rng.choice([other for other in others if other not in answer])
    sentences = _SENTENCE_END.split(answer)
    shortened = [" ".join(sentences[:-1])] if len(sentences) > 1 else []
    return _thinking(thought, rng.choice([f"{answer} {added}", added, *shortened]))


# -- thought -------------------------------------------------------------------------------------------------------


def _cut(thought: str, rng: random.Random) -> tuple[str, str]:
    """The thought in two, at the end of a sentence if it has several."""
    sentences = _SENTENCE_END.split(thought)
    place = rng.randint(1, len(sentences) - 1) if len(sentences) > 1 else 1
    return " ".join(sentences[:place]), " ".join(sentences[place:])


def _insert(example: Example, sentence: str, rng: random.Random) -> str:
    """The completion with a sentence more in its thought, not at its beginning."""
    thought, answer = _parts(example)
    first, second = _cut(thought, rng)
    return _thinking(" ".join(part for part in (first, sentence, second) if part), answer)


def _inserted(sentences: Sequence[str]) -> Fault:
    return lambda example, rng: _insert(example, rng.choice(sentences), rng)


def _answer_in_thought(example: Example, rng: random.Random) -> str:
    answer = _parts(example)[1]
    announced = [
        f"The final answer is: {answer}",
        f"Answer: {answer}",
        f"<answer>{answer}</answer>",
        f"\\boxed{{{answer}}}",
    ]
    return _insert(example, rng.choice(announced), rng)


def _report_copied(example: Example, rng: random.Random) -> str:
    return _insert(example, f"All in all: {_parts(example)[1]}", rng)


def _boxes_in_thought(example: Example, rng: random.Random) -> str:
    box = example.boxes[0] if example.boxes else Box(0.31, 0.42, 0.53, 0.64)
    x1, y1, x2, y2 = box.to_list()
    written = [
        f"It lies at {format_box(box)}.",
        f"The corners are x1={x1:.2f}, y1={y1:.2f}, x2={x2:.2f}, y2={y2:.2f}.",
        f"The region is ({x1:.3f}, {y1:.3f}, {x2:.3f}, {y2:.3f}).",
        f"In pixels that is {', '.join(str(round(corner * 1024)) for corner in box.to_list())}.",
    ]
    return _insert(example, rng.choice(written), rng)


def conclusion(example: Example) -> str:
    """What a thought of this example must not begin with; empty if it has no conclusion of that kind."""
    findings = [label for label in example.labels if label.lower() not in filter_rules().own_sign]
    if findings:
        return findings[0].lower()
    affirmed = any(label_report(example.answer).values()) if example.task == "report_generation" else False
    return "" if example.labels or affirmed else "no abnormality"


def _conclusion_first(example: Example, rng: random.Random) -> str:
    thought, answer = _parts(example)
    name = conclusion(example)
    begun = [
        f"There is {name}.",
        f"This film shows {name}.",
        f"{name.capitalize()}, and here is why.",
        f"It must be {name}.",
    ]
    return _thinking(f"{rng.choice(begun)} {thought}", answer)


def _prompt_copied(example: Example, rng: random.Random) -> str:
    return _insert(example, rng.choice([example.question, f"{example.question} /think", *PROMPTS]), rng)


def _repetition(example: Example, rng: random.Random) -> str:
    thought, answer = _parts(example)
    long = [sentence for sentence in _SENTENCE_END.split(thought) if len(words_of(sentence)) >= 5]
    looped = " ".join([rng.choice(long or [thought])] * rng.randint(3, 8))
    ends = [looped, " ".join(["the lung is clear and"] * rng.randint(3, 20)), "very " * rng.randint(10, 40) + "wide."]
    return _thinking(f"{thought} {rng.choice(ends)}", answer)


def _too_short(example: Example, rng: random.Random) -> str:
    thought, answer = _parts(example)
    return _thinking(" ".join(thought.split()[: rng.randint(3, 8)]), answer)


def _too_long(example: Example, rng: random.Random) -> str:
    sentences: list[str] = []
    count = 0
    while count < _MANY_WORDS:
        sentence = f"At row {len(sentences) + 1} of the film the edge of the rib is {rng.random():.4f} from the side."
        sentences.append(sentence)
        count += len(words_of(sentence))
    thought, answer = _parts(example)
    return _thinking(f"{thought} {' '.join(sentences)}", answer)


FAULTS: Mapping[str, Fault] = {
    "empty": _empty,
    "refusal": _refusal,
    "no_tags": _no_tags,
    "not_opened": _not_opened,
    "not_closed": _not_closed,
    "closed_twice": _closed_twice,
    "text_before": _text_before,
    "empty_thought": _empty_thought,
    "no_answer": _no_answer,
    "other_format": _other_format,
    "box_outside_image": _box_outside_image,
    "malformed_box": _malformed_box,
    "changed_box": _changed_box,
    "missing_box": _missing_box,
    "label_differs": _label_differs,
    "report_differs": _report_differs,
    "hidden_source": _inserted(GIVEN),
    "answer_in_thought": _answer_in_thought,
    "report_copied": _report_copied,
    "boxes_in_thought": _boxes_in_thought,
    "prompt_copied": _prompt_copied,
    "repetition": _repetition,
    "too_short": _too_short,
    "too_long": _too_long,
    "language": _inserted(FOREIGN),
    "conclusion_first": _conclusion_first,
    "prior_study": _inserted(PRIORS),
}
"""Code of a filter -> plants its fault."""
