"""Find the sections of a free-text radiology report, and the text that describes the film.

A report of MIMIC-CXR is a page of plain text: a title, headings in capitals that end in a colon, paragraphs wrapped
at some 80 characters, ``___`` where an identifier was removed. No two departments write it alike: headings stand on
a line of their own or in the middle of one, lose their colon, come twice, are named after the view
(``PORTABLE CHEST:``) or are missing. Here a report is cut at the headings that radiologists use, and every report
that needed more than that says so in ``issues``, so that a reader can count it.

The text that describes the film is, as in the usual extraction for this dataset, the last section of the first kind
that has any words: findings, impression, or else the last paragraph. That extraction (``section_parser.py`` of
https://github.com/MIT-LCP/mimic-cxr) knows no heading REPORT, SUMMARY or OPINION. Here a text under one of them is
taken only where findings and impression have none, before the last paragraph, and counted. As there, "findings and
impression" in one is an impression. Left out: repairing single reports by hand, and removing what speaks of earlier
films (``data_scripts`` rewrites reports for that).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

__all__ = ["ISSUES", "ReportText", "Section", "describe_film", "split_sections"]

FINDINGS, IMPRESSION, LOOSE, PREAMBLE, OTHER = "findings", "impression", "loose", "preamble", "other"

ISSUES: Mapping[str, str] = {
    "no text": "report without a text that describes the film",
    "last paragraph": "report without findings or impression, last paragraph taken",
    "several findings": "report with several findings sections, last taken",
    "several impression": "report with several impression sections, last taken",
    "empty findings": "report with an empty findings section",
    "empty impression": "report with an empty impression section",
    "loose heading": "report without findings or impression, text under REPORT, SUMMARY or OPINION taken",
    "mid-line": "report with a heading in the middle of a line",
    "organ": "report whose findings have no heading but those of organs",
    "view": "report whose findings stand under the name of the view",
    "preliminary": "report with a preliminary text before FINAL REPORT, left out",
    "unknown heading": "report with an unknown heading inside findings or impression, kept in the text",
}

# Headings whose every spelling is known; these are recognised in any case (FINDINGS:, Findings:).
_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("findings", "finding"), FINDINGS),
    **dict.fromkeys(("impression", "impressions", "conclusion", "conclusions"), IMPRESSION),
    **dict.fromkeys(("findings and impression", "findings/impression", "findings/ impression"), IMPRESSION),
    **dict.fromkeys(("report", "summary", "opinion"), LOOSE),
    **dict.fromkeys(("comparison", "comparisons"), "comparison"),
    **dict.fromkeys(("indication", "indications", "history", "clinical history", "clinical information"), "indication"),
    **dict.fromkeys(("reason for exam", "reason for examination", "reason for this examination"), "indication"),
    **dict.fromkeys(("technique", "procedure", "examination", "exam", "type of examination", "study"), "technique"),
    **dict.fromkeys(("notification", "notifications", "recommendation", "recommendations", "addendum"), OTHER),
    **dict.fromkeys(("wet read", "attestation", "dictated by", "signed by"), OTHER),
}
# Words that give the kind of a longer heading in capitals (CHEST RADIOGRAPH FINDINGS:).
_KEYWORDS: Mapping[str, str] = {
    **dict.fromkeys(("findings", "finding"), FINDINGS),
    **dict.fromkeys(("impression", "impressions", "conclusion", "conclusions"), IMPRESSION),
    **dict.fromkeys(("comparison", "comparisons"), "comparison"),
    **dict.fromkeys(("indication", "indications", "history", "reason", "symptoms", "diagnosis"), "indication"),
    **dict.fromkeys(("technique", "procedure", "examination", "exam"), "technique"),
    **dict.fromkeys(("notification", "recommendation", "recommendations", "addendum", "dose", "wet"), OTHER),
}


def _vocabulary(words: str) -> frozenset[str]:
    return frozenset(words.split())


_VIEW_WORDS = _vocabulary(
    "a an and of the at on in with to compared ap pa lateral lat frontal single one two three portable bedside upright "
    "erect supine semiupright semierect semi sitting decubitus chest thorax view views radiograph radiographs x-ray "
    "xray x-rays cxr film films image images am pm a.m p.m hours hrs dated performed obtained"
)
_VIEW_NOUNS = _vocabulary("ap pa lateral chest thorax view views radiograph radiographs x-ray xray cxr film")
_ORGAN_WORDS = _vocabulary(
    "lung lungs heart cardiac cardiomediastinal mediastinum mediastinal hilum hila hilar pleura pleural diaphragm "
    "airway airways trachea bones bone osseous skeletal abdomen tubes lines devices hardware catheters vasculature"
)
_LONGEST_HEADING = 60
_COLON = re.compile(r":(?!\d\d)")  # not the colon of a time of day
_MID_LINE = re.compile(r"(?<=[a-z0-9_.;:?!)\]])[ \t]*(?=(?:FINDING|IMPRESSION|CONCLUSION)S?[ \t]{0,3}:)")
_BARE = re.compile(
    r"(FINDINGS?|IMPRESSIONS?|CONCLUSIONS?)[ \t]{0,8}(?:[;.-]+|(?=\d{1,2}[.)])|$)|(Findings|Impression|Conclusion)$"
)
_PAGE_BREAK = re.compile(r"[_=-]{5,}|\(?over\)?|(?:final report )?\(?cont(?:inued)?\.?\)?", re.IGNORECASE)
_FINAL_REPORT = re.compile(r"^[ \t]*FINAL (?:REPORT|ADDENDUM)\b.*$", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")


@dataclass(frozen=True)
class Section:
    """A stretch of a report.

    Attributes:
        kind: ``findings``, ``impression``, ``loose`` (REPORT, SUMMARY, OPINION), ``comparison``, ``indication``,
            ``technique``, ``other``, or ``preamble`` for what stands before the first heading.
        heading: as written, without the colon; empty for a preamble.
        text: with the line breaks of the report, without the heading.
    """

    kind: str
    heading: str
    text: str

    @property
    def has_words(self) -> bool:
        """Whether anything remains besides removed identifiers, dates and punctuation."""
        return any(map(str.isalpha, self.text))


@dataclass(frozen=True)
class ReportText:
    """What a report says of the film.

    Attributes:
        text: on one line, single spaces; empty if none was found.
        kind: where it stood: ``findings``, ``impression``, ``loose``, ``last paragraph`` or empty.
        issues: keys of :data:`ISSUES` for what was not plain.
    """

    text: str
    kind: str
    issues: tuple[str, ...]


def describe_film(report: str) -> ReportText:
    """The text of a report that describes the film: findings, else impression, a loose heading, the last paragraph.

    Of several sections of a kind the last that has words counts.

    >>> describe_film("INDICATION: Cough.\\n\\nFINDINGS:  The lungs\\nare clear.\\n\\nIMPRESSION: Normal.").text
    'The lungs are clear.'
    """
    sections, issues = _cut(report)
    for kind in (FINDINGS, IMPRESSION):
        named = [section for section in sections if section.kind == kind]
        worded = [section for section in named if section.has_words]
        if len(worded) > 1:
            issues.append(f"several {kind}")
        elif named and not worded:
            issues.append(f"empty {kind}")
        if worded:
            if worded[-1].heading.lower() not in _NAMES and _kind(worded[-1].heading) == "view":
                issues.append("view")
            return _result(worded[-1].text, kind, issues)
    if loose := [section for section in sections if section.kind == LOOSE and section.has_words]:
        return _result(loose[-1].text, LOOSE, [*issues, "loose heading"])
    paragraph = _last_paragraph(sections)
    issues.append("last paragraph" if paragraph else "no text")
    return _result(paragraph, "last paragraph" if paragraph else "", issues)


def split_sections(report: str) -> tuple[Section, ...]:
    """The sections of a report in the order written."""
    return tuple(_cut(report)[0])


def _result(text: str, kind: str, issues: list[str]) -> ReportText:
    return ReportText(" ".join(text.split()), kind, tuple(dict.fromkeys(issues)))


def _cut(report: str) -> tuple[list[Section], list[str]]:
    """Sections, and the issues met on the way."""
    issues: list[str] = []
    text = _final_part(report.replace("\r\n", "\n").replace("\r", "\n"), issues)
    kind, heading, lines = PREAMBLE, "", list[str]()
    sections: list[Section] = []
    for line in _lines(text, issues):
        stripped = line.strip()
        found = _heading(stripped) if stripped else None
        if found is None:
            lines.append("" if _PAGE_BREAK.fullmatch(stripped) else line)
            continue
        name, rest, found_kind = found
        inside = kind in (FINDINGS, IMPRESSION, LOOSE)
        if found_kind in ("view", "organ", "unknown") and inside:
            if found_kind == "unknown":
                issues.append("unknown heading")
            lines.append(line)  # a heading within the section, such as LUNGS:
            continue
        sections.append(Section(kind, heading, "\n".join(lines)))
        if found_kind == "organ":
            issues.append("organ")
        kind = {"organ": FINDINGS, "view": FINDINGS, "unknown": OTHER}.get(found_kind, found_kind)
        heading, lines = name, [line if found_kind == "organ" else rest]
    sections.append(Section(kind, heading, "\n".join(lines)))
    return [section for section in sections if section.heading or section.text.strip()], issues


def _lines(text: str, issues: list[str]) -> Iterator[str]:
    """The lines of a text, cut before a heading in the middle of one."""
    for line in text.split("\n"):
        parts = _MID_LINE.split(line) if ":" in line else [line]
        if len(parts) > 1:
            issues.append("mid-line")
        yield from parts


def _final_part(report: str, issues: list[str]) -> str:
    """The text under the last title FINAL REPORT that has words; what stands before it is a preliminary reading."""
    titles = [match for match in _FINAL_REPORT.finditer(report) if not _PAGE_BREAK.fullmatch(match.group().strip())]
    starts = [0, *(title.end() for title in titles)]
    ends = [*(title.start() for title in titles), len(report)]
    parts = [report[start:end] for start, end in zip(starts, ends, strict=True)]
    worded = [part for part in parts if any(map(str.isalpha, part))]
    if len(worded) > 1:
        issues.append("preliminary")
    return worded[-1] if worded else ""


def _heading(line: str) -> tuple[str, str, str] | None:
    """(heading, rest of the line, kind) if the line, which has no spaces around it, starts with a heading."""
    if ":" in line:
        colon = _COLON.search(line, 0, _LONGEST_HEADING + 1)
        name = line[: colon.start()].strip() if colon else ""
        if colon and (kind := _kind(name)):
            return name, line[colon.end() :], kind
    bare = _BARE.match(line)
    name = bare.group(1) or bare.group(2) if bare else ""
    return (name, line[bare.end() :], _NAMES[name.lower()]) if bare else None


def _kind(name: str) -> str:
    """The kind of a section with this heading: also ``view``, ``organ`` or ``unknown``; empty if it is no heading."""
    known = _NAMES.get(" ".join(name.lower().split()))
    if known and name[0].isupper():
        return known
    words = list(_words(name))
    if not words or name != name.upper():
        return ""
    for word in words:
        if word in _KEYWORDS:
            return _KEYWORDS[word]
    if _VIEW_WORDS.issuperset(words) and not _VIEW_NOUNS.isdisjoint(words):
        return "view"
    return "unknown" if _ORGAN_WORDS.isdisjoint(words) else "organ"


def _words(name: str) -> Iterator[str]:
    """The words of a heading in lower case, without numbers, times and removed identifiers."""
    for word in re.split(r"[\s,/&()]+", name.lower()):
        word = word.strip(".-'_")
        if any(map(str.isalpha, word)) and not word[0].isdigit():
            yield word


def _last_paragraph(sections: list[Section]) -> str:
    """The last paragraph, unless it is what a heading announces (INDICATION: ...)."""
    if not sections:
        return ""
    last = sections[-1]
    paragraphs = [part for part in _BLANK_LINES.split(last.text) if any(map(str.isalpha, part))]
    announced = 1 if last.kind != PREAMBLE else 0
    return paragraphs[-1] if len(paragraphs) > announced else ""
