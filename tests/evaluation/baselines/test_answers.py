import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.boxes import Box, parse_boxes, scan_boxes
from radvlm_course.evaluation.baselines.answers import (
    NOTHING,
    after_heading,
    boxed,
    bracketed,
    converted,
    corner_pairs,
    grounding_response,
    malformed_box,
    names_response,
)

CLASSES = ("Edema", "Lung Opacity", "Pleural Effusion")


@st.composite
def boxes(draw):
    x1, x2 = sorted(draw(st.lists(st.integers(0, 10_000), min_size=2, max_size=2, unique=True)))
    y1, y2 = sorted(draw(st.lists(st.integers(0, 10_000), min_size=2, max_size=2, unique=True)))
    return Box(x1 / 10_000, y1 / 10_000, x2 / 10_000, y2 / 10_000)


@given(st.lists(boxes(), max_size=5), st.lists(st.lists(st.integers(0, 9999), max_size=6), max_size=3))
def test_an_exact_response_reads_back_as_the_same_boxes_and_as_many_malformed_ones(found, broken):
    response = grounding_response("words", found, [malformed_box(numbers) for numbers in broken])
    read, malformed = scan_boxes(response)
    assert read == found
    assert len(malformed) == len(broken)


def test_a_box_thinner_than_four_decimals_is_widened_rather_than_lost():
    assert grounding_response("", [Box(0.1, 0.1, 0.100001, 0.9)], ()) == "[0.10, 0.10, 0.11, 0.90]"


def test_a_rounded_response_has_two_decimals_rounded_as_the_paper_does():
    found = [Box(0.1234, 0.2, 0.525, 0.4), Box(0.5, 0.5, 0.6, 0.6)]  # 0.525 is a little more than that in binary
    assert grounding_response("", found, (), exact=False) == "[0.12, 0.20, 0.53, 0.40], [0.50, 0.50, 0.60, 0.60]"


@pytest.mark.parametrize("text", ["[]", "```json\n[]\n```", "[ ]"])
def test_an_empty_list_says_that_there_is_nothing(text):
    assert grounding_response(text, [], []) == NOTHING


def test_words_without_boxes_stay_words_and_silence_stays_silence():
    assert grounding_response("There is no nodule. []", [], []) == "There is no nodule."
    assert grounding_response(" \n", [], []) == ""


def test_corners_outside_the_image_swapped_or_too_few_are_malformed():
    found, broken = converted(
        [(10, 20, 30, 40), (30, 20, 10, 40), (10, 20, 130, 40), (1, 2, 3)],
        lambda x1, y1, x2, y2: Box.from_pixels(x1, y1, x2, y2, (100, 100)),
    )
    assert found == [Box(0.1, 0.2, 0.3, 0.4)]
    assert broken == ["[no box, 30, 20, 10, 40]", "[no box, 10, 20, 130, 40]", "[no box, 1, 2, 3]"]
    assert scan_boxes(" ".join(broken)) == ([], broken)


def test_a_malformed_box_without_any_number_is_counted_too():
    assert scan_boxes(malformed_box([])) == ([], ["[no box, nan]"])


def test_pairs_of_corners_are_found_with_and_without_spaces_and_commas():
    assert corner_pairs("(1,2),(3,4) ( 5 , 6 ) (7,8); (9,9)") == [(1, 2, 3, 4), (5, 6, 7, 8)]
    assert parse_boxes(bracketed("at (10,20),(30,40)."), "thousandths") == [Box(0.01, 0.02, 0.03, 0.04)]


@pytest.mark.parametrize(
    "text",
    [
        "Edema, Pleural Effusion",
        "pleural effusion and edema.",
        "- Edema\n- Pleural Effusion",
        "1. Edema\n2. Pleural Effusion",
        "(a) Edema, (c) Pleural Effusion",
        'Edema | "Pleural Effusion"',
        '```json\n["Pleural Effusion", "Edema"]\n```',
        "Edema; Edema; Pleural Effusion",
    ],
)
def test_a_list_of_names_becomes_our_wording_in_the_order_of_the_options(text):
    assert names_response(text, CLASSES) == "Edema and pleural effusion."


@pytest.mark.parametrize("text", ["None", "none.", "No findings.", "[]none"])
def test_an_answer_of_none_names_no_finding(text):
    assert names_response(text, CLASSES) == "No finding."


@pytest.mark.parametrize(
    "text", ["There is no edema.", "Edema, but mild", "Kein Erguss", "no edema, no pleural effusion", ""]
)
def test_any_other_answer_is_left_to_a_labeller_that_understands_negation(text):
    assert names_response(text, CLASSES) == text


def test_three_names_are_listed_with_commas():
    assert (
        names_response("Lung opacity, edema, pleural effusion", CLASSES) == "Edema, lung opacity and pleural effusion."
    )


@pytest.mark.parametrize(
    ("text", "balanced", "first_brace"),
    [
        (r"\boxed{Clear lungs.}", "Clear lungs.", "Clear lungs."),
        (r"draft \boxed{a}, final \boxed{b}", "b", "b"),
        (r"\boxed{\text{No effusion.} Normal heart.}", "No effusion. Normal heart.", r"\text{No effusion."),
        (r"\boxed{cut off in", "cut off in", "cut off in"),
        ("no answer", None, None),
        (r"\boxed{}", "", ""),
    ],
)
def test_the_last_boxed_text_is_read_to_its_own_brace_or_to_the_first(text, balanced, first_brace):
    assert boxed(text) == balanced
    assert boxed(text, balanced=False) == first_brace


@pytest.mark.parametrize("text", ["**Findings:** Clear.", "FINDINGS: Clear.", "## Findings:\nClear.", "Clear."])
def test_a_heading_is_taken_off_a_report(text):
    assert after_heading(text) == "Clear."


def test_the_word_findings_within_a_sentence_is_no_heading():
    assert after_heading("Findings are normal: clear lungs.") == "Findings are normal: clear lungs."
