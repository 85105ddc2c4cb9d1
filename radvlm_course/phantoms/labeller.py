"""Rule labeller for the reports of the phantoms' grammar, and for what a small model writes in its manner.

Works sentence by sentence: find the findings named, decide for each whether it is denied, doubted or affirmed, and to
which sides it belongs. **Uncertain counts as affirmed** (``possible small left pleural effusion`` affirms a left
effusion), as in the paper's reading of its labels. Any text is accepted; none raises.

Left out on purpose: everything beyond the grammar's findings. For real reports use CheXbert or RadGraph.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from radvlm_course.phantoms.findings import FINDINGS

__all__ = ["Mention", "find_mentions", "label_report", "report_findings", "split_sentences"]

_TERMS = {
    "cardiomegaly": r"cardiomegaly|enlarged\s+(?:heart|cardiac\s+silhouette)|enlargement\s+of\s+the\s+(?:heart|cardiac"
    r"\s+silhouette)|(?:heart|cardiac\s+silhouette)(?:\s+size)?\s+(?:is|appears|remains)(?:\s+\w+){0,2}?\s+enlarged",
    "pleural effusion": r"(?:pleural\s+)?effusions?",
    "pneumothorax": r"pneumothora(?:x|ces)",
    "consolidation": r"consolidations?",
    "nodule": r"nodules?|mass(?:es)?",
    "atelectasis": r"atelectas[ie]s",
    "edema": r"(?:pulmonary\s+)?o?edema",
    "support devices": r"pacemakers?|chest\s+tubes?|support\s+devices?",
}
_MENTION = re.compile("|".join(f"(?P<f{index}>\\b(?:{_TERMS[name]})\\b)" for index, name in enumerate(FINDINGS)))
_SENTENCE = re.compile(r"[.;:!?\n]+")
_DOUBT = re.compile(
    r"\b(?:possibl[ey]|probabl[ey]|questionable|suspected|likely|suggest\w*|may|might|equivocal|"
    r"(?:cannot|not|can't)\s+(?:be\s+)?(?:excluded|ruled\s+out)|cannot\s+(?:exclude|rule\s+out))\b"
)
_NEGATION = re.compile(r"\b(?:no|not|without|free\s+of|clear\s+of|negative\s+for|absence\s+of|denies|neither|nor)\b")
_NEGATION_AFTER = re.compile(
    r"\b(?:not\s+(?:seen|present|identified|visible|evident)|absent|resolved|excluded|unlikely)\b"
)
# Where the scope of a negation ends: a contrast, or a new affirmed noun phrase.
_SCOPE_END = re.compile(
    r"\b(?:but|however|although|though|except|yet|there\s+(?:is|are))\b|"
    r"(?:,|\band\b|\bwith\b)\s*(?:an?|the|small|moderate|large|mild|severe|possible|probable|left|right|bilateral)\b"
)
_CONNECTOR = re.compile(r",|\band\b|\bwith\b|\bbut\b")
_LIST = re.compile(r"(?:\s|,|and|or|left|right)*")
_LONGEST_SENTENCE = 600
_SIDE = re.compile(r"\b(left|right|bilateral|bilaterally|both|bibasilar)\b")
_NOT_A_SIDE = re.compile(r"\b(?:left|right)(?=[\s-]+(?:ventric\w*|atri\w*|heart))")
_CLEAR = re.compile(r"\blungs?\s+(?:are|is|remain\w*)\s+clear\b")
_HEART_NORMAL = re.compile(
    r"\bheart(?:\s+size)?\s+is\s+(?:\w+\s+)?normal|\bnormal\s+(?:heart|cardiac)|silhouette\s+is\s+(?:\w+\s+)?normal"
)


@dataclass(frozen=True)
class Mention:
    """A finding named in a text.

    Attributes:
        finding: one of ``FINDINGS``.
        sides: the patient's sides named with it; empty if none.
        value: 1 affirmed, 0 denied, -1 affirmed with doubt.
    """

    finding: str
    sides: tuple[str, ...]
    value: int


def report_findings(text: str) -> frozenset[tuple[str, str]]:
    """The findings that a report affirms, each with its side.

    Returns:
        Pairs (finding, side): side is ``left`` or ``right``; both sides give two pairs. It is empty for cardiomegaly
        and where no side is named, except for edema, which then means both lungs. Doubted findings are included.

    >>> sorted(report_findings("Small left pleural effusion. No pneumothorax."))
    [('pleural effusion', 'left')]
    """
    pairs: set[tuple[str, str]] = set()
    for mention in find_mentions(text):
        if mention.value:
            pairs |= {(mention.finding, side) for side in mention.sides or ("",)}
    return frozenset(pairs)


def label_report(text: str) -> dict[str, int]:
    """Finding -> 1 affirmed, -1 doubted, 0 denied; a finding that is not mentioned is missing.

    What is affirmed once stays affirmed, whatever is said elsewhere. Clear lungs deny the findings of the lung.
    """
    labels: dict[str, int] = {}
    if _CLEAR.search(text.lower()):
        labels |= dict.fromkeys(("consolidation", "nodule", "atelectasis", "edema"), 0)
    if _HEART_NORMAL.search(text.lower()):
        labels["cardiomegaly"] = 0
    for mention in find_mentions(text):
        if labels.get(mention.finding, 0) != 1:
            labels[mention.finding] = mention.value or labels.get(mention.finding, 0)
    return {finding: labels[finding] for finding in FINDINGS if finding in labels}


def find_mentions(text: str) -> list[Mention]:
    """Every finding named, in the order of the text."""
    mentions: list[Mention] = []
    for sentence in split_sentences(text):
        matches = list(_MENTION.finditer(sentence))
        starts = [_chunk_start(sentence, matches, index) for index in range(len(matches))]
        ends = [*starts[1:], len(sentence)]
        listed: tuple[str, ...] = ()
        for index, match in enumerate(matches):
            after = sentence[match.end() : _reach(sentence, matches, ends, index)]
            value = _value(sentence, match, after, _DOUBT.search(sentence, starts[index], ends[index]) is not None)
            listed = _sides(sentence[starts[index] : ends[index]]) or (listed if value else ())
            finding = FINDINGS[int((match.lastgroup or "f0")[1:])]
            mentions.append(Mention(finding, _usual_sides(finding, listed), value))
    return mentions


def split_sentences(text: str) -> Iterator[str]:
    """Sentences in lower case; a text that never stops is cut, so that no text takes long."""
    for sentence in _SENTENCE.split(text.lower()):
        for start in range(0, len(sentence), _LONGEST_SENTENCE):
            yield sentence[start : start + _LONGEST_SENTENCE]


def _reach(sentence: str, matches: list[re.Match[str]], ends: list[int], index: int) -> int:
    """How far a later "is not seen" may stand: through a bare list of findings, else within the mention's own words."""
    while index + 1 < len(matches) and _LIST.fullmatch(sentence, matches[index].end(), matches[index + 1].start()):
        index += 1
    return ends[index]


def _chunk_start(sentence: str, matches: list[re.Match[str]], index: int) -> int:
    """Where the words that belong to a mention begin: after the last connector since the mention before it."""
    if index == 0:
        return 0
    previous = matches[index - 1].end()
    connectors = list(_CONNECTOR.finditer(sentence, previous, matches[index].start()))
    return connectors[-1].start() if connectors else previous


def _value(sentence: str, match: re.Match[str], after: str, doubted: bool) -> int:
    if _NEGATION_AFTER.search(_DOUBT.sub("", after)):
        return 0
    before = _DOUBT.sub(lambda found: " " * len(found.group()), sentence[: match.end()])
    for negation in _NEGATION.finditer(before):
        if negation.start() >= match.start() or not _SCOPE_END.search(before, negation.end(), match.start()):
            return 0
    return -1 if doubted else 1


def _sides(chunk: str) -> tuple[str, ...]:
    words = set(_SIDE.findall(_NOT_A_SIDE.sub("", chunk)))
    if words - {"left", "right"}:
        return ("left", "right")
    return tuple(sorted(words))


def _usual_sides(finding: str, sides: tuple[str, ...]) -> tuple[str, ...]:
    if finding == "cardiomegaly":
        return ()
    return ("left", "right") if finding == "edema" and not sides else sides
