"""What labels mean: each named option on labels made by hand."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.instructions.labels import PAPER, LabelSemantics, is_undecided, present_findings
from radvlm_course.records import Study

MakeStudy = Callable[..., Study]
CONTRADICTION = {"no finding": 1, "pneumonia": -1, "edema": 1, "support devices": 1, "fracture": 0}


@pytest.mark.parametrize(
    ("source", "option", "present"),
    [
        ("chexpert", "paper", ("support devices",)),
        ("mimic_cxr", "paper", ("edema", "pneumonia", "support devices")),
        ("chexpert_plus", "paper", ("edema", "pneumonia", "support devices")),
        ("chexpert", "ignore", ("edema", "pneumonia", "support devices")),
        ("mimic_cxr", "others_absent", ("support devices",)),
    ],
)
def test_no_finding_overrules_the_other_labels_as_asked_and_by_default_as_the_paper_does(
    make_study: MakeStudy, source: str, option: str, present: tuple[str, ...]
) -> None:
    study = make_study(source=source, findings=CONTRADICTION, abnormalities={})
    semantics = LabelSemantics(no_finding_as=option)  # type: ignore[arg-type]
    assert present_findings(study, semantics) == present
    assert PAPER.no_finding_as == "paper"


@pytest.mark.parametrize("value", [0, -1])
def test_only_a_certain_no_finding_overrules(make_study: MakeStudy, value: int) -> None:
    study = make_study(source="chexpert", findings=CONTRADICTION | {"no finding": value}, abnormalities={})
    assert present_findings(study) == ("edema", "pneumonia", "support devices")


def test_an_absent_device_stays_absent(make_study: MakeStudy) -> None:
    study = make_study(source="chexpert", findings={"no finding": 1, "support devices": 0}, abnormalities={})
    assert present_findings(study) == ()


@pytest.mark.parametrize(
    ("source", "option", "findings", "undecided"),
    [
        ("mimic_cxr", "paper", {"no finding": 1, "edema": -1}, True),
        ("chexpert", "paper", {"no finding": 1, "edema": -1}, False),
        ("chexpert", "ignore", {"no finding": 1, "edema": -1}, True),
        ("mimic_cxr", "others_absent", {"no finding": 1, "edema": -1}, False),
        ("mimic_cxr", "others_absent", {"no finding": 1, "support devices": -1}, True),
        ("mimic_cxr", "others_absent", {"no finding": -1, "edema": -1}, True),
        ("mimic_cxr", "others_absent", {"no finding": -1, "edema": 0}, False),
    ],
)
def test_a_label_that_no_finding_makes_absent_is_no_longer_uncertain(
    make_study: MakeStudy, source: str, option: str, findings: dict[str, int], undecided: bool
) -> None:
    study = make_study(source=source, findings=findings, abnormalities={})
    semantics = LabelSemantics(uncertain_as="ignore", no_finding_as=option)  # type: ignore[arg-type]
    assert is_undecided(study, semantics) is undecided
    assert not is_undecided(study, LabelSemantics(no_finding_as=option))  # type: ignore[arg-type]
    assert not is_undecided(study, LabelSemantics("negative", no_finding_as=option))  # type: ignore[arg-type]


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(ValueError, match="no_finding_as: expected one of paper, ignore, others_absent; found 'absent'"):
        LabelSemantics(no_finding_as="absent")  # type: ignore[arg-type]


names = st.sampled_from(["no finding", "edema", "pneumonia", "fracture", "support devices"])
options = st.builds(
    LabelSemantics,
    uncertain_as=st.sampled_from(["positive", "negative", "ignore"]),
    no_finding_as=st.sampled_from(["paper", "ignore", "others_absent"]),
)


@given(st.dictionaries(names, st.sampled_from([1, 0, -1])), st.sampled_from(["chexpert", "mimic_cxr"]), options)
def test_what_is_present_was_never_labelled_absent_and_overruling_only_removes(
    make_study: MakeStudy, findings: dict[str, int], source: str, semantics: LabelSemantics
) -> None:
    study = make_study(source=source, findings=findings, abnormalities={})
    present = present_findings(study, semantics)
    assert list(present) == sorted(set(present)) and "no finding" not in present
    assert all(
        findings[name] == 1 or (findings[name] == -1 and semantics.uncertain_as == "positive") for name in present
    )
    ignoring = present_findings(study, LabelSemantics(semantics.uncertain_as, no_finding_as="ignore"))
    assert set(present) <= set(ignoring)
    if findings.get("no finding") != 1:
        assert present == ignoring
