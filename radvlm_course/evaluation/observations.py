"""Which of CheXpert's fourteen observations a report states, by rules that a reader can audit.

A report is split into sentences; in each, names of observations are found, cues (negation, doubt, "not about this
film") and how far the cues reach. All rules are data (``observation_rules.yaml``); :func:`explain` shows for every
label the sentence, the words, the cue and the rule that made it. Labels are as CheXpert's: present, uncertain or
absent, and "No Finding" if nothing but support devices is present or uncertain.

What rules cannot do: follow a sentence's grammar, resolve what "it" refers to, know that "blunted angles" mean fluid.
CheXbert (:mod:`radvlm_course.rewards.scorers.chexbert`) was trained for that and needs 1.3 GB of weights;
:mod:`radvlm_course.evaluation.observation_agreement` compares the two wherever the weights are.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from radvlm_course.evaluation.observation_rules import NO_FINDING, Cue, Rules, Subject, load_rules
from radvlm_course.records import ABSENT, PRESENT, UNCERTAIN
from radvlm_course.rewards.scorers.chexbert import OBSERVATIONS

__all__ = ["OBSERVATIONS", "Evidence", "explain", "label_report", "present_observations", "split_sentences"]

DEVICES = "Support Devices"
ELSEWHERE = "elsewhere"
_LONGEST_SENTENCE = 1000
_LIST_MARK = re.compile(r"\s*(?:[-*•]|\(?\d{1,2}[.)](?!\d))\s*")
# A line break ends a sentence only before an empty line, a list mark or a heading; reports wrap their lines.
_LINE_END = re.compile(r"\n(?=\s*(?:\n|[-*•]|\(?\d{1,2}[.)]\s|[A-Z][A-Za-z /]{2,30}:))")
_SENTENCE_END = re.compile(
    r"(?<!\bvs)(?<!\bdr)(?<!\be\.g)(?<!\bi\.e)(?<!\d(?=\.\d))\.(?!\d)|[;!]|(?<=\w)\?(?=\s)", re.I
)
_VERB = re.compile(r"\b(?:is|are|was|were|has|have|remains?|shows?)\b")
_ASIDE = re.compile(r"\b(?:which|that) (?:was|were|had been|has been)\b|\bpreviously \w+\b")
_JOINED = re.compile(r"(?:,| and|, and)(?: the)? ")
_VALUES = {"negation": ABSENT, "uncertainty": UNCERTAIN}


@dataclass(frozen=True)
class Evidence:
    """One place of a report that speaks of an observation, and how it was read.

    Attributes:
        observation: one of :data:`OBSERVATIONS`.
        value: 1 present, 0 absent, -1 uncertain; None if the mention is not about this film.
        sentence: in lower case; empty for "No Finding", which follows from the others.
        mention: the words that name the observation.
        cue: the words that decided; empty if none did.
        rule: name of the rule that decided.
    """

    observation: str
    value: int | None
    sentence: str
    mention: str
    cue: str
    rule: str


@dataclass(frozen=True)
class _Mention:
    """Words in a sentence; ``affirmed`` is what they say with no cue; of a structure ``subject_end`` is set."""

    start: int
    end: int
    observation: str
    affirmed: int = PRESENT
    rule: str = "named without a cue"
    subject_end: int | None = None
    text: str = ""


@dataclass(frozen=True)
class _Found:
    """A cue in a sentence."""

    start: int
    end: int
    cue: Cue


def label_report(text: str, rules: Rules | None = None) -> dict[str, int]:
    """Observation -> 1 present, -1 uncertain, 0 absent; what is not mentioned is missing.

    >>> label_report("Small left effusion, possible pneumonia. No pneumothorax.")
    {'Pneumonia': -1, 'Pneumothorax': 0, 'Pleural Effusion': 1}
    """
    found: dict[str, int] = {}
    for evidence in explain(text, rules):
        value = evidence.value
        if value is not None and _strength(value) > _strength(found.get(evidence.observation)):
            found[evidence.observation] = value
    return {name: found[name] for name in OBSERVATIONS if name in found}


def present_observations(text: str, uncertain_as_present: bool = True, rules: Rules | None = None) -> frozenset[str]:
    """The observations that a report affirms; as in the paper's tables the uncertain ones count, unless told not to."""
    wanted = (PRESENT, UNCERTAIN) if uncertain_as_present else (PRESENT,)
    return frozenset(name for name, value in label_report(text, rules).items() if value in wanted)


def explain(text: str, rules: Rules | None = None) -> list[Evidence]:
    """Every mention of an observation in the order of the text, and last "No Finding" where it holds."""
    rules = rules or load_rules()
    evidence = [item for sentence in split_sentences(text) for item in _read(sentence, rules)]
    others = {item.observation for item in evidence if item.value in (PRESENT, UNCERTAIN)} - {DEVICES}
    if text.strip() and not others:
        evidence.append(Evidence(NO_FINDING, PRESENT, "", "", "", "nothing but support devices present or uncertain"))
    return evidence


def split_sentences(text: str) -> Iterator[str]:
    """Sentences in lower case with single spaces; one that never ends is cut, so that no text takes long."""
    for line in _LINE_END.split(text):
        start = 0
        for match in [*_SENTENCE_END.finditer(line), None]:
            end = len(line) if match is None else match.end() if match.group() == "?" else match.start()
            sentence = " ".join(_LIST_MARK.sub(" ", line[start:end], count=1).split()).lower() if end > start else ""
            start = end if match is None else match.end()
            for cut in range(0, 0 if sentence.isdigit() else len(sentence), _LONGEST_SENTENCE):
                yield sentence[cut : cut + _LONGEST_SENTENCE]


def _strength(value: int | None) -> int:
    """Present outweighs uncertain, which outweighs absent, which outweighs silence."""
    return {None: 0, ABSENT: 1, UNCERTAIN: 2, PRESENT: 3}[value]


def _read(sentence: str, rules: Rules) -> list[Evidence]:
    mentions = sorted([*_named(sentence, rules), *_structures(sentence, rules)], key=lambda m: (m.start, m.end))
    if not mentions:
        return []
    cues = _cues(sentence, rules)
    ends = _scope_ends(sentence, rules)
    effects: list[list[_Found]] = [[] for _ in mentions]
    for found in cues:
        if found.cue.kind != "affirmation":
            for index in _scope(sentence, found, cues, mentions, ends, rules):
                effects[index].append(found)
    return [_evidence(sentence, mention, deciding) for mention, deciding in zip(mentions, effects, strict=True)]


def _named(sentence: str, rules: Rules) -> Iterator[_Mention]:
    for observation, (names, exceptions) in rules.mentions.items():
        masked = [match.span() for match in exceptions.finditer(sentence)] if exceptions else []
        for match in names.finditer(sentence):
            if not any(start < match.end() and match.start() < end for start, end in masked):
                yield _Mention(*match.span(), observation, text=match.group())


def _structures(sentence: str, rules: Rules) -> Iterator[_Mention]:
    """What is said of the heart and the mediastinum: "heart size is normal", "widened mediastinum"."""
    matches = [(match, subject) for subject in rules.subjects for match in subject.pattern.finditer(sentence)]
    for match, subject in matches:
        inside = any(o is not match and o.start() <= match.start() and match.end() <= o.end() for o, _ in matches)
        if not inside and (said := _said(sentence, match, rules)):
            yield from _statements(sentence, match, subject, *said)


def _said(sentence: str, subject: re.Match[str], rules: Rules) -> tuple[str, str, int, int, bool] | None:
    """(what is said, rule, start, end, whether it stands behind the subject) of a structure; None if nothing is."""
    before = sentence[: subject.start()]
    for other in rules.subjects:  # "normal heart size and mediastinal contours": both are normal
        before = re.sub(rf"(?:{other.pattern.pattern})(?:,| and|, and) $", "", before)
    for predicate in rules.predicates:
        for match in predicate.pattern.finditer(before):
            if re.fullmatch(r" (?:(?:size|contours?|appearance) )?(?:of (?:the )?)?", before[match.end() :]):
                return predicate.says, predicate.name, match.start(), match.end(), False
    window = sentence[subject.end() : subject.end() + rules.longest_gap]
    for stop in rules.interruptions.finditer(window):
        if not _JOINED.fullmatch(window, 0, stop.start()):  # "heart and lungs are normal" speaks of the heart too
            window = window[: stop.start()]
            break
    hits = [
        (found.start(), found.end(), predicate)
        for predicate in rules.predicates
        if (found := predicate.pattern.search(window))
    ]
    if not hits:
        return None
    start, end, predicate = min(hits, key=lambda hit: hit[0])
    return predicate.says, predicate.name, subject.end() + start, subject.end() + end, True


def _statements(
    sentence: str, subject: re.Match[str], kind: Subject, says: str, rule: str, start: int, end: int, behind: bool
) -> Iterator[_Mention]:
    meaning = {
        "normal": (kind.normal, ABSENT),
        "borderline": (kind.abnormal, UNCERTAIN),
        "abnormal": (kind.abnormal, PRESENT),
        "nothing": ((), PRESENT),
    }
    observations, value = meaning[says]
    text = sentence[min(subject.start(), start) : max(subject.end(), end)]
    limit = subject.end() if behind else start
    for observation in observations:
        yield _Mention(start, end, observation, value, f"{kind.name} {rule}", limit, text)


def _cues(sentence: str, rules: Rules) -> list[_Found]:
    """All cues; a rule further up in the file claims its words."""
    found: list[_Found] = []
    for cue in rules.cues:
        for match in cue.pattern.finditer(sentence):
            if match.end() > match.start() and not any(f.start < match.end() and match.start() < f.end for f in found):
                found.append(_Found(*match.span(), cue))
    return found


def _scope_ends(sentence: str, rules: Rules) -> list[int]:
    """Where scopes to the right end, sorted."""
    ends = [match.start() for pattern in rules.scope_ends.values() for match in pattern.finditer(sentence)]
    ends += [match.start() for match in rules.new_clause.finditer(sentence)]
    for match in rules.affirmed_item.finditer(sentence):
        rest = sentence[match.end() :]
        list_ends = min((end - match.end() for end in ends if end > match.end()), default=len(rest))
        if re.search(r" (?:an?|the|this)$", match.group()) or not re.search(r"\b(?:or|nor)\b", rest[:list_ends]):
            ends.append(match.start())
    return sorted(ends)


def _scope(
    sentence: str, found: _Found, cues: list[_Found], mentions: list[_Mention], ends: list[int], rules: Rules
) -> set[int]:
    """Which mentions a cue is about."""
    if found.cue.where == "before":
        return _after(sentence, found, mentions, ends)
    before = _listed_before(sentence, found, mentions, rules)
    if found.cue.where == "after":
        return before
    after = _after(sentence, found, mentions, ends)
    last = max((mentions[i].end for i in before), default=0)
    if any(last <= other.start < found.start for other in cues) or _far(sentence, last, found):
        before = set()  # "opacity, possibly a goitre versus a mass": the alternatives stand behind "possibly"
    if not found.cue.only_between_mentions:
        return before | after
    if any(other.cue.kind == "affirmation" and other.start < found.start for other in cues):
        return set()  # "no change in effusion or pneumothorax"
    left = [i for i in before if rules.list_gap.fullmatch(sentence, mentions[i].end, found.start)]
    right = [i for i in after if rules.list_gap.fullmatch(sentence, found.end, mentions[i].start)]
    chosen = {*left, *right}
    alternatives = len({mentions[i].observation for i in chosen}) > 1
    return chosen if left and right and alternatives else set()


def _far(sentence: str, end: int, found: _Found) -> bool:
    return found.cue.reach is not None and len(sentence[end : found.start].split()) > found.cue.reach


def _after(sentence: str, found: _Found, mentions: list[_Mention], ends: list[int]) -> set[int]:
    place = bisect.bisect_left(ends, found.end)
    limit = ends[place] if place < len(ends) else len(sentence)
    chosen = set()
    for index, mention in enumerate(mentions):
        if mention.subject_end is not None and found.cue.kind == "negation":
            if _denies_structure(sentence, found, mention):
                chosen.add(index)
        elif found.end <= mention.start < limit or (found.start < mention.start < found.end):
            words = len(sentence[found.end : mention.start].split())
            if found.cue.reach is None or words <= found.cue.reach:
                chosen.add(index)
    return chosen


def _denies_structure(sentence: str, found: _Found, mention: _Mention) -> bool:
    """Of a structure only "not" between it and what is said of it counts, or "no" right before: "no enlarged heart"."""
    if found.end > mention.start:
        return False
    between = (mention.subject_end or 0) <= found.start
    near = len(sentence[found.end : mention.start].split()) <= 2
    return near and (between or mention.subject_end == mention.start)


def _listed_before(sentence: str, found: _Found, mentions: list[_Mention], rules: Rules) -> set[int]:
    """The last mention before a cue, and those listed with it: "pneumothorax and effusion are not seen"."""
    earlier = [
        i for i, mention in enumerate(mentions) if mention.end <= found.start + 1 and mention.subject_end is None
    ]
    if not earlier:
        return set()
    gap = _ASIDE.sub("", sentence[mentions[earlier[-1]].end : found.start])
    contrast = any(
        pattern.search(gap) for name, pattern in rules.scope_ends.items() if name in ("contrast", "new statement")
    )
    if contrast or _VERB.search(gap):
        return set()
    last = max(mentions[i].end for i in earlier)
    chosen = {i for i in earlier if mentions[i].end == last}
    if found.cue.where == "both":
        return chosen
    start = min(mentions[i].start for i in chosen)
    for index in reversed(earlier):
        mention = mentions[index]
        if index in chosen or mention.end > start:
            chosen |= {index} if mention.end > start else set()
        elif rules.list_gap.fullmatch(sentence, mention.end, start):
            chosen.add(index)
            start = mention.start
        else:
            break
    return chosen


def _evidence(sentence: str, mention: _Mention, cues: Iterable[_Found]) -> Evidence:
    """The strongest cue decides: elsewhere, then negation, then doubt."""
    order = (ELSEWHERE, "negation", "uncertainty")
    deciding = min(cues, key=lambda found: order.index(found.cue.kind), default=None)
    name, text = mention.observation, mention.text
    if deciding is None:
        return Evidence(name, mention.affirmed, sentence, text, "", mention.rule)
    words, rule = sentence[deciding.start : deciding.end], deciding.cue.name
    if deciding.cue.kind == ELSEWHERE:
        return Evidence(name, None, sentence, text, words, rule)
    value = _VALUES[deciding.cue.kind]
    if mention.affirmed == ABSENT:  # "not normal" affirms, "probably normal" doubts
        value = PRESENT if value == ABSENT else UNCERTAIN
    return Evidence(name, value, sentence, text, words, rule)
