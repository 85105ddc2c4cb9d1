"""Sections of reports in the layouts that departments use; every report here is invented."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.sources.report_sections import ISSUES, describe_film, split_sections

PLAIN = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  ___ year old with cough.  // pneumonia?

 TECHNIQUE:  Upright PA and lateral views of the chest.

 COMPARISON:  Chest radiograph ___ at 10:45.

 FINDINGS:

 There is a small left pleural effusion.  The lungs are otherwise
 clear.

 IMPRESSION:

 Small left effusion.
"""

# name -> (report, text, kind, issues)
LAYOUTS: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "plain": (
        PLAIN,
        "There is a small left pleural effusion. The lungs are otherwise clear.",
        "findings",
        (),
    ),
    "impression only": (
        " FINAL REPORT\n HISTORY:  Fall.\n\n IMPRESSION:  No rib fracture.\n",
        "No rib fracture.",
        "impression",
        (),
    ),
    "empty findings": (
        "FINDINGS:\n\nIMPRESSION:  No change.\n",
        "No change.",
        "impression",
        ("empty findings",),
    ),
    "findings that hold a removed date only": (
        "FINDINGS: ___\n\nCONCLUSION: Clear lungs.\n",
        "Clear lungs.",
        "impression",
        ("empty findings",),
    ),
    "two findings, the last counts": (
        "FINDINGS: First film: clear.\n\nFINDINGS: Second film: effusion.\n",
        "Second film: effusion.",
        "findings",
        ("several findings",),
    ),
    "two findings, the last empty": (
        "FINDINGS: The heart is large.\n\nFINDINGS:\n",
        "The heart is large.",
        "findings",
        (),
    ),
    "two impressions": (
        "IMPRESSION: Clear.\n\nIMPRESSION: Right nodule.\n",
        "Right nodule.",
        "impression",
        ("several impression",),
    ),
    "no heading at all": (
        "AP chest compared with the day before.\n\nThe tube ends in the\nright atrium.\n",
        "The tube ends in the right atrium.",
        "last paragraph",
        ("last paragraph",),
    ),
    "a paragraph behind a heading of another kind": (
        "INDICATION: Line placement.\n\nThe line ends in the svc.\n",
        "The line ends in the svc.",
        "last paragraph",
        ("last paragraph",),
    ),
    "only what is no description": (
        "EXAMINATION: Chest.\n\nINDICATION: Cough and fever.\n",
        "",
        "",
        ("no text",),
    ),
    "headings in small letters": (
        "Indication: Cough.\n\nFindings: Clear lungs.\n\nImpression: Normal.\n",
        "Clear lungs.",
        "findings",
        (),
    ),
    "headings without a colon": (
        "INDICATION: Cough.\n\nFINDINGS\nClear lungs.\n\nIMPRESSION\n1. Normal.\n",
        "Clear lungs.",
        "findings",
        (),
    ),
    "a heading alone on its line in small letters": (
        "History: Cough.\n\nImpression\nNormal.\n",
        "Normal.",
        "impression",
        (),
    ),
    "a heading with another mark": (
        "IMPRESSION- Normal.  Note: no follow-up.\n",
        "Normal. Note: no follow-up.",
        "impression",
        (),
    ),
    "a heading followed by a number": (
        "IMPRESSION 1. Normal.\n",
        "1. Normal.",
        "impression",
        (),
    ),
    "a heading in the middle of a line": (
        "COMPARISON: None. FINDINGS: Large heart. IMPRESSION: Cardiomegaly.\n",
        "Large heart.",
        "findings",
        ("mid-line",),
    ),
    "findings and impression in one": (
        "COMPARISON: None.\nFINDINGS AND IMPRESSION: Large heart.\n",
        "Large heart.",
        "impression",
        (),
    ),
    "a text under REPORT and no usual heading": (
        "INDICATION: Cough.\n\nREPORT: The lungs\nare clear.\n\nNo effusion.\n",
        "The lungs are clear. No effusion.",
        "loose",
        ("loose heading",),
    ),
    "organs under REPORT": (
        "REPORT:\nLUNGS: Clear.\nHEART: Large.\n",
        "LUNGS: Clear. HEART: Large.",
        "loose",
        ("loose heading",),
    ),
    "an opinion only, its second word": (
        "OPINION: ___\n\nSUMMARY: Normal.\n\nOPINION: Clear lungs.\n",
        "Clear lungs.",
        "loose",
        ("loose heading",),
    ),
    "REPORT as the title of findings": (
        "REPORT:\n\nINDICATION: Cough.\n\nFINDINGS: Clear lungs.\n",
        "Clear lungs.",
        "findings",
        (),
    ),
    "REPORT beside an impression": (
        "REPORT: The heart is large.\n\nIMPRESSION: Cardiomegaly.\n",
        "Cardiomegaly.",
        "impression",
        (),
    ),
    "REPORT behind findings": (
        "FINDINGS: Large heart.\n\nREPORT: Dictated and read.\n",
        "Large heart.",
        "findings",
        (),
    ),
    "a summary behind an impression": (
        "IMPRESSION: Cardiomegaly.\n\nSUMMARY: One finding.\n",
        "Cardiomegaly.",
        "impression",
        (),
    ),
    "a longer heading": (
        "CHEST RADIOGRAPH FINDINGS: Large heart.\n\nPRELIMINARY IMPRESSION: Cardiomegaly.\n",
        "Large heart.",
        "findings",
        (),
    ),
    "the view as heading": (
        " PA AND LATERAL VIEWS OF THE CHEST, ___ AT 5:30 P.M.:  No effusion.\n",
        "No effusion.",
        "findings",
        ("view",),
    ),
    "the view as title before a heading of findings": (
        "PORTABLE CHEST: ___\n\nINDICATION: Tube.\n\nFINDINGS: Tube in place.\n",
        "Tube in place.",
        "findings",
        (),
    ),
    "the view within findings": (
        "FINDINGS:\nCHEST, TWO VIEWS: Clear.\nABDOMEN: No free air.\n",
        "CHEST, TWO VIEWS: Clear. ABDOMEN: No free air.",
        "findings",
        (),
    ),
    "organs within findings": (
        "FINDINGS:\nLUNGS: Clear.\nHEART: Large.\nIMPRESSION: Cardiomegaly.\n",
        "LUNGS: Clear. HEART: Large.",
        "findings",
        (),
    ),
    "organs without findings": (
        "COMPARISON: None.\n\nLUNGS: Clear.\nHEART: Large.\n",
        "LUNGS: Clear. HEART: Large.",
        "findings",
        ("organ",),
    ),
    "an unknown heading within findings": (
        "FINDINGS: Clear.\nQUALITY: Rotated.\n",
        "Clear. QUALITY: Rotated.",
        "findings",
        ("unknown heading",),
    ),
    "an unknown heading elsewhere": (
        "FINDINGS: Clear.\n\nNOTIFICATION: Called.\n\nACCESS NUMBER: ___\n",
        "Clear.",
        "findings",
        (),
    ),
    "a preliminary reading": (
        " WET READ: ___ ___ 3:14 PM\n  IMPRESSION: Pneumothorax.\n ______________\n"
        "                  FINAL REPORT\n FINDINGS: No pneumothorax.\n",
        "No pneumothorax.",
        "findings",
        ("preliminary",),
    ),
    "a title at the end": (
        "FINDINGS: Clear.\n FINAL REPORT\n",
        "Clear.",
        "findings",
        (),
    ),
    "a page break": (
        "FINAL REPORT\nFINDINGS: The left lung\n                       (Over)\n\n"
        "                    FINAL REPORT (Cont)\n________________\nis clear.\n",
        "The left lung is clear.",
        "findings",
        (),
    ),
    "line ends of another system": (
        "FINDINGS:\r\nClear\r\nlungs.\r\n\r\nIMPRESSION:\rNormal.\r",
        "Clear lungs.",
        "findings",
        (),
    ),
    "prose that looks like a heading": (
        "FINDINGS: Compared to the prior\nstudy: unchanged. Dr. ___ agreed: stable.\n",
        "Compared to the prior study: unchanged. Dr. ___ agreed: stable.",
        "findings",
        (),
    ),
    "nothing": ("", "", "", ("no text",)),
    "blank lines": ("\n \n\t\n", "", "", ("no text",)),
    "marks only": (" ___\n ... \n", "", "", ("no text",)),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_text_that_describes_the_film_is_found(name: str) -> None:
    report, text, kind, issues = LAYOUTS[name]
    found = describe_film(report)
    assert (found.text, found.kind, found.issues) == (text, kind, issues)


def test_every_section_of_a_plain_report_has_its_kind_and_text() -> None:
    found = [(section.kind, section.heading, " ".join(section.text.split())) for section in split_sections(PLAIN)]
    assert found == [
        ("technique", "EXAMINATION", "CHEST (PA AND LAT)"),
        ("indication", "INDICATION", "___ year old with cough. // pneumonia?"),
        ("technique", "TECHNIQUE", "Upright PA and lateral views of the chest."),
        ("comparison", "COMPARISON", "Chest radiograph ___ at 10:45."),
        ("findings", "FINDINGS", "There is a small left pleural effusion. The lungs are otherwise clear."),
        ("impression", "IMPRESSION", "Small left effusion."),
    ]


def test_every_issue_has_a_sentence_and_a_report_that_shows_it() -> None:
    shown = {issue for _, _, _, issues in LAYOUTS.values() for issue in issues}
    assert shown | {"empty impression"} == set(ISSUES)
    assert "empty impression" in describe_film("IMPRESSION:\n").issues


HEADINGS = ("FINDINGS", "IMPRESSION", "Findings", "LUNGS", "FINAL REPORT", "REPORT", "PORTABLE CHEST", "QUALITY")
MARKS = (":", ": ", "\n", "\n\n", " ", "___", "______", "5:30", ".", "clear", "1.", "\r\n", "\t", "é", "\x00", "(Cont)")
pieces = st.sampled_from(HEADINGS + MARKS)
reports = st.one_of(st.lists(pieces, max_size=40).map("".join), st.text(max_size=300))


@given(reports)
def test_any_text_gives_words_of_the_report_in_their_order_or_says_that_there_are_none(report: str) -> None:
    found = describe_film(report)
    assert set(found.issues) <= set(ISSUES)
    assert (found.text == "") == (found.kind == "") == ("no text" in found.issues)
    assert found.text == " ".join(found.text.split())
    remaining = iter(report)
    assert all(character in remaining for character in found.text if not character.isspace())  # a subsequence


words = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=8)
sentences = st.lists(words, min_size=1, max_size=30)
others = st.sampled_from(
    ["INDICATION", "TECHNIQUE", "COMPARISON", "RECOMMENDATION(S)", "EXAMINATION", "CLINICAL HISTORY"]
)


@given(
    st.lists(st.tuples(others, sentences), max_size=4),
    sentences,
    st.lists(st.tuples(others, sentences), max_size=3),
    st.sampled_from(["FINDINGS", "IMPRESSION"]),
    st.integers(20, 90),
    st.sampled_from([" ", "\n", "\n\n", "  "]),
)
def test_a_section_is_found_whatever_stands_around_it(
    before: list[tuple[str, list[str]]],
    text: list[str],
    after: list[tuple[str, list[str]]],
    heading: str,
    width: int,
    gap: str,
) -> None:
    import textwrap

    parts = [
        f" {name}:{gap}" + textwrap.fill(" ".join(content), width, initial_indent=" ", subsequent_indent=" ")
        for name, content in [*before, (heading, text), *after]
    ]
    found = describe_film("FINAL REPORT\n" + "\n\n".join(parts))
    assert (found.text, found.kind, found.issues) == (" ".join(text), heading.lower(), ())


@pytest.mark.parametrize(
    "hostile",
    ["FINDINGS:" * 30_000, "A" * 200_000, "FINAL REPORT\n" * 20_000, " \n" * 100_000, "A:\n" * 60_000, "_" * 99_999],
)
def test_a_hostile_text_takes_linear_time(hostile: str) -> None:
    started = time.process_time()
    describe_film(hostile)
    assert time.process_time() - started < 3
