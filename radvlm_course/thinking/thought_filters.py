"""Is the thought one to learn from? One small function a reason.

Each takes a :class:`~radvlm_course.thinking.trace.Trace` and returns what is wrong in words that a teacher can act
on, or an empty text. They judge words, not truth: no rule here knows whether the film shows what the thought
describes.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib import resources

from radvlm_course.language.priors import find_prior_references
from radvlm_course.thinking.answer_filters import LABEL_TASKS, affirmed
from radvlm_course.thinking.filter_rules import filter_rules
from radvlm_course.thinking.trace import Trace, words_of

__all__ = [
    "answer_in_thought",
    "boxes_in_thought",
    "conclusion_first",
    "hidden_source",
    "language",
    "prior_study",
    "prompt_copied",
    "repetition",
    "report_copied",
    "too_long",
    "too_short",
]

_NUMBER = r"(?:[xy]_?(?:1|2|min|max)?\s*[=:]\s*)?-?(?:\d+(?:\.\d+)?|\.\d+)"
_QUOTED_BOX = re.compile(rf"(?<![\w.]){_NUMBER}(?:\s*[,;]\s*{_NUMBER}){{3}}", re.IGNORECASE)
_ASKED_OR_DENIED = re.compile(
    r"\b(?:no|not|without|nor|any|for|exclude|whether|if|or|suggest|versus)(?: \w+){0,3} ?$", re.I
)
_SENTENCE_END = re.compile(r"(?<=[.!?;:])\s+|\n+")
_WORDS_OF_A_SENTENCE = 5  # shorter ones may be said of every zone
_LONGEST_LOOP = 60  # words
_WORDS_OF_A_LOOP = 10  # that all its rounds have together at least
_SEARCHED_FOR_LOOPS = 5000  # words, so that no text takes long
_WINDOW = 20  # words, in which English must show
_ENGLISH_SHARE = 0.15
_FOREIGN_LETTERS = 2  # a unit or a name may have some


def hidden_source(trace: Trace) -> str:
    """Words that betray that the answer was known, or speak of labels, reports, prompts."""
    found = filter_rules().hidden_source.search(trace.plain_thought)
    return (
        f"it betrays that something was given ({found.group()!r}); write as one who sees the film only" if found else ""
    )


def answer_in_thought(trace: Trace) -> str:
    """The answer announced, tagged or copied within the thought; for reports see :func:`report_copied`."""
    if found := filter_rules().answer_marker.search(trace.plain_thought):
        return f"the thought gives the answer ({found.group()!r}); the answer stands after </think> only"
    if found := re.search(r"</?answer>|\\boxed", trace.thought, re.I):
        return f"the thought has {found.group()!r}; the answer stands after </think> only"
    answer = words_of(trace.example.answer)
    if trace.example.task != "report_generation" and len(answer) >= 6 and _contains(trace.words, answer):
        return "the thought copies the answer; the answer stands after </think> only"
    return ""


def report_copied(trace: Trace) -> str:
    """A long run of the report's words, or a short report as a whole."""
    report = words_of(trace.example.answer)
    if trace.example.task != "report_generation" or len(report) < 4:
        return ""
    copied = shared_run(trace.words, report, min(trace.settings.copied_words, len(report)))
    return f"the thought copies the report ({copied!r}); describe what is seen in other words" if copied else ""


def boxes_in_thought(trace: Trace) -> str:
    """More boxes, or rows of four numbers, than the budget."""
    found, most = _QUOTED_BOX.findall(trace.thought), trace.settings.boxes_in_thought
    if len(found) <= most:
        return ""
    return f"the thought quotes {len(found)} boxes ({found[0]!r}), at most {most} may stand there; say places in words"


def conclusion_first(trace: Trace) -> str:
    """A finding that the question does not name, named before anything is observed."""
    patterns = _conclusions(trace)
    for pattern in patterns:
        for found in pattern.finditer(trace.plain_thought):
            before = trace.plain_thought[: found.start()]
            if _ASKED_OR_DENIED.search(before[-80:]):
                continue
            seen = words_of(before)
            if len(seen) < trace.settings.words_before_label or not filter_rules().observation & set(seen):
                return f"it names {found.group()!r} before anything is described; begin with what is seen"
            break  # later ones come after more words
    return ""


def _conclusions(trace: Trace) -> list[re.Pattern[str]]:
    """What the thought has to find out, one expression a conclusion; nothing where the question names it."""
    example, rules = trace.example, filter_rules()
    if example.task != "report_generation" and example.task not in LABEL_TASKS:
        return []
    findings = {label.lower() for label in example.labels}
    if example.task == "report_generation":
        findings |= affirmed(trace, example.answer)
    if not findings:
        return [rules.normal_film]
    return [
        re.compile(rf"\b(?:{'|'.join(map(re.escape, rules.names_of(finding)))})(?:s|es)?\b", re.I)
        for finding in sorted(findings - rules.own_sign)
    ]


def prompt_copied(trace: Trace) -> str:
    """The question, its suffix, or a long run of the prompts' words."""
    if "/think" in trace.thought:
        return "the thought has a tag of the question"
    question = words_of(trace.example.question)
    if len(question) >= 3 and _contains(trace.words, question):
        return f"the thought repeats the question ({trace.example.question!r})"
    size = trace.settings.copied_words
    copied = next((run for run in _runs(trace.words, size) if run in _prompt_runs(size)), None)
    return f"the thought copies the instructions ({' '.join(copied)!r})" if copied else ""


@functools.lru_cache(maxsize=8)
def _prompt_runs(size: int) -> frozenset[tuple[str, ...]]:
    """All runs of so many words of the guide and the prompts."""
    folder = resources.files("radvlm_course.thinking")
    files = [folder / "reading_guide.md", *(folder / "prompts").iterdir()]
    texts = [file.read_text("utf-8") for file in files if file.name.endswith((".txt", ".md"))]
    return frozenset(run for text in texts for run in _runs(words_of(text), size))


def too_short(trace: Trace) -> str:
    """Fewer words than the least."""
    count, least = len(trace.words), trace.settings.fewest_words
    return (
        f"the thought has {count} words, expected at least {least}; describe more of what is seen"
        if count < least
        else ""
    )


def too_long(trace: Trace) -> str:
    """More words than the most."""
    count, most = len(trace.words), trace.settings.most_words
    return f"the thought has {count} words, expected at most {most}" if count > most else ""


def language(trace: Trace) -> str:
    """Letters of another script, or too few of the words that every English text has, in the whole or in a part."""
    foreign = [letter for letter in trace.thought if letter.isalpha() and not _is_latin(letter)]
    if len(foreign) > _FOREIGN_LETTERS:
        return f"the thought has letters of another script ({''.join(foreign[:10])!r}); write English"
    english = filter_rules().english
    words = [word for word in re.findall(r"[^\W\d_]+", trace.thought.lower())]
    hits = [word in english for word in words]
    if sum(hits) < _ENGLISH_SHARE * len(hits):
        return "the thought is not English"
    for start in range(0, len(hits) - _WINDOW + 1):
        if not any(hits[start : start + _WINDOW]):
            return f"the thought is not English throughout ({' '.join(words[start : start + 8])!r})"
    return ""


def _is_latin(letter: str) -> bool:
    return letter.isascii() or unicodedata.name(letter, "").startswith(("LATIN", "MICRO", "GREEK", "MODIFIER"))


def prior_study(trace: Trace) -> str:
    """Another examination, or change over time."""
    references = find_prior_references(trace.thought, trace.settings.ignore_prior_rules)
    if not references:
        return ""
    named = "; ".join(f"{reference.words!r} in {reference.sentence[:120]!r}" for reference in references[:3])
    return f"it refers to another examination or to change over time ({named})"


def repetition(trace: Trace) -> str:
    """The same words again and again, one after the other, or the same sentence several times."""
    rounds = trace.settings.loop_repeats
    if looped := loop_of(trace.words[:_SEARCHED_FOR_LOOPS], rounds):
        return f"the thought repeats itself ({looped!r})"
    sentences = Counter(tuple(words_of(sentence)) for sentence in _SENTENCE_END.split(trace.thought))
    for sentence, count in sentences.items():
        if len(sentence) >= _WORDS_OF_A_SENTENCE and count >= rounds:
            return f"the thought says {count} times {' '.join(sentence)[:100]!r}"
    return ""


def loop_of(words: Sequence[str], rounds: int) -> str:
    """Words that stand ``rounds`` times one after the other, :data:`_WORDS_OF_A_LOOP` words in all at least; or "".

    >>> loop_of("so the heart is wide the heart is wide the heart is wide".split(), 3)
    'the heart is wide'
    """
    for period in range(1, min(_LONGEST_LOOP, len(words) // rounds) + 1):
        needed = max((rounds - 1) * period, _WORDS_OF_A_LOOP - period)
        run = 0
        for place in range(period, len(words)):
            run = run + 1 if words[place] == words[place - period] else 0
            if run >= needed:
                start = place - run - period + 1
                return " ".join(words[start : start + period])[:100]
    return ""


def shared_run(words: Sequence[str], others: Sequence[str], size: int) -> str:
    """The first run of ``size`` words that stands in both; "" if there is none."""
    known = set(_runs(others, size))
    return next((" ".join(run) for run in _runs(words, size) if run in known), "")


def _runs(words: Sequence[str], size: int) -> Iterable[tuple[str, ...]]:
    return (tuple(words[start : start + size]) for start in range(len(words) - size + 1))


def _contains(words: Sequence[str], part: Sequence[str]) -> bool:
    return bool(shared_run(words, part, len(part)))
