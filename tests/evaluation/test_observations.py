"""Rule-based observations: hard sentences, explanations, hostile texts, and the CheXpert labeler's own examples."""

import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.evaluation.observation_agreement import agreement, agreement_table, read_labelled_reports
from radvlm_course.evaluation.observations import (
    OBSERVATIONS,
    explain,
    label_report,
    present_observations,
    split_sentences,
)

HARD = yaml.safe_load((Path(__file__).parent / "data" / "hard_sentences.yaml").read_text(encoding="utf-8"))
SENTENCES = [(text, labels) for group in HARD.values() for text, labels in group]
LABELLED = Path(__file__).parents[3] / "shared" / "data" / "chexpert_labeler" / "labeled_reports.csv"


@pytest.mark.parametrize(("text", "labels"), SENTENCES, ids=range(len(SENTENCES)))
def test_a_hard_sentence_is_read_as_a_radiologist_reads_it(text: str, labels: dict[str, int]) -> None:
    found = {name: value for name, value in label_report(text).items() if name != "No Finding"}
    assert found == labels, explain(text)


def test_there_are_many_hard_sentences_and_none_twice() -> None:
    texts = [text for text, _ in SENTENCES]
    assert len(texts) >= 150
    assert len(set(texts)) == len(texts)
    assert {name for _, labels in SENTENCES for name in labels} == set(OBSERVATIONS) - {"No Finding"}


@pytest.mark.skipif(not LABELLED.exists(), reason="the CheXpert labeler's examples are not on this machine")
def test_the_chexpert_labelers_examples_are_labelled_alike() -> None:
    reports, labels = read_labelled_reports(LABELLED)
    ours = [label_report(report) for report in reports]
    print(agreement_table(agreement(ours, labels)))
    assert ours == labels


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Heart size normal. No effusion.", 1),
        ("Endotracheal tube in place. No pneumothorax.", 1),  # devices are no finding
        ("Possible pneumonia.", None),
        ("Small effusion.", None),
        ("Normal chest.", 1),
        ("", None),
        ("  \n", None),
    ],
)
def test_no_finding_is_what_remains(text: str, value: int | None) -> None:
    assert label_report(text).get("No Finding") == value


def test_every_label_has_its_sentence_words_cue_and_rule() -> None:
    found = explain("The heart is not enlarged. Opacity, possibly pneumonia. History of effusion.")
    heart, opacity, pneumonia, effusion = found
    assert (heart.mention, heart.cue, heart.rule, heart.value) == ("heart is not enlarged", "not", "not", 0)
    assert (opacity.sentence, opacity.cue, opacity.rule) == ("opacity, possibly pneumonia", "", "named without a cue")
    assert (pneumonia.value, pneumonia.cue, pneumonia.rule) == (-1, "possibly", "possible")
    assert (effusion.value, effusion.rule) == (None, "history")


def test_what_is_affirmed_anywhere_stays_and_doubt_outweighs_denial() -> None:
    assert label_report("Effusion. No effusion. Possible effusion.")["Pleural Effusion"] == 1
    assert label_report("No effusion. Possible effusion.")["Pleural Effusion"] == -1


def test_uncertain_observations_count_as_the_caller_says() -> None:
    text = "Possible edema. Small effusion."
    assert present_observations(text) == {"Edema", "Pleural Effusion"}
    assert present_observations(text, uncertain_as_present=False) == {"Pleural Effusion"}


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Opacity at rib 5. No effusion.", ["opacity at rib 5", "no effusion"]),
        ("Tip 4.5 cm above.  No effusion", ["tip 4.5 cm above", "no effusion"]),
        ("1. Clear lungs.\n2. No mass.", ["clear lungs", "no mass"]),
        ("There is no\neffusion.", ["there is no effusion"]),
        ("No effusion\n\nIMPRESSION: Mass", ["no effusion", "impression: mass"]),
        ("Atelectasis vs. pneumonia", ["atelectasis vs. pneumonia"]),
        ("Clear; no mass!", ["clear", "no mass"]),
        ("Effusion? No mass.", ["effusion?", "no mass"]),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    assert [sentence for sentence in split_sentences(text) if sentence] == sentences


@given(st.text(max_size=300))
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert set(label_report(text)) <= set(OBSERVATIONS)


SHORT = """no not without effusion pneumothorax heart is normal enlarged , . and or may be possible but small ? : /
resolved seen cannot exclude change in tube removed"""
words = st.sampled_from(SHORT.split())


@given(st.lists(words, max_size=25))
def test_the_case_and_spacing_of_a_report_do_not_matter(chosen: list[str]) -> None:
    text = " ".join(chosen)
    assert label_report(text.upper()) == label_report(text) == label_report(text.replace(" ", "  "))


@pytest.mark.parametrize(
    "text",
    ["no " * 7000, "effusion and " * 2000, "?" * 20_000, "a" * 20_000, "heart " * 4000, "no change in " * 2000],
    ids=["no", "effusion and", "question marks", "one word", "heart", "no change in"],
)
def test_a_text_that_never_ends_takes_no_time(text: str) -> None:
    start = time.perf_counter()
    label_report(text)
    assert time.perf_counter() - start < 10
