"""What a thought must not be, one reason at a time, and how near an honest one may come."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.boxes import Box
from radvlm_course.records import Example
from radvlm_course.thinking import thought_filters
from radvlm_course.thinking.thought_filters import loop_of
from radvlm_course.thinking.trace import FilterSettings, Trace

BOX = Box(0.38, 0.47, 0.76, 0.62)
GROUNDED = Example(
    "g",
    "abnormality_grounding",
    "f.png",
    "Where is the pleural effusion?",
    "[0.38, 0.47, 0.76, 0.62]",
    (BOX,),
    ("effusion",),
)
REPORT = Example(
    "r",
    "report_generation",
    "f.png",
    "Write a report.",
    "Moderate right pleural effusion. The heart size is normal. There is no consolidation. There is no pneumothorax.",
    (),
    ("pleural effusion",),
)
CLASSIFIED = Example(
    "c",
    "abnormality_classification",
    "f.png",
    "Which findings?",
    "The radiograph shows edema and nodule.",
    (),
    ("edema", "nodule"),
)
NORMAL = Example("n", "report_generation", "f.png", "Write a report.", "The lungs are clear.", (), ())
HONEST = (
    "The heart takes 0.46 of the chest. Right angle: blunted, with a white area that rises along the wall in a "
    "curve. Left angle: sharp. Upper and middle zones are dark on both sides."
)


def found(name: str, thought: str, example: Example = GROUNDED, **settings) -> str:
    trace = Trace(f"<think>{thought}</think> {example.answer}", example, FilterSettings(**settings))
    return getattr(thought_filters, name)(trace)


@pytest.mark.parametrize("name", thought_filters.__all__)
@pytest.mark.parametrize("example", [GROUNDED, REPORT, CLASSIFIED, NORMAL])
def test_an_honest_thought_passes_every_filter(name: str, example: Example) -> None:
    assert found(name, HONEST, example) == ""


def test_a_thought_that_betrays_its_source_is_named_with_its_words() -> None:
    assert "'As the reference'" in found("hidden_source", f"{HONEST} As the reference\n says, it is fluid.")


@pytest.mark.parametrize(
    ("thought", "example", "wrong"),
    [
        ("So the final answer is fluid.", GROUNDED, True),
        ("<answer>fluid</answer>", GROUNDED, True),
        ("\\boxed{fluid}", GROUNDED, True),
        ("In short, the radiograph shows edema and nodule.", CLASSIFIED, True),
        ("There is edema, and a nodule.", CLASSIFIED, False),
    ],
)
def test_the_answer_does_not_stand_in_the_thought(thought: str, example: Example, wrong: bool) -> None:
    assert bool(found("answer_in_thought", f"{HONEST} {thought}", example)) is wrong


def test_a_report_is_not_copied_but_its_findings_are_named() -> None:
    copied = "moderate right pleural effusion, the heart size is normal; there is no"  # twelve words
    assert "copies the report" in found("report_copied", f"{HONEST} {copied}", REPORT)
    assert found("report_copied", f"{HONEST} {copied}", REPORT, copied_words=13) == ""
    assert found("report_copied", f"{HONEST} {copied.rpartition(' ')[0]}", REPORT) == ""  # eleven
    assert "the lungs are clear" in found(
        "report_copied", "Heart fine. The lungs are clear.", NORMAL
    )  # a short one as a whole


@pytest.mark.parametrize(
    ("words", "boxes"),
    [
        ("It lies at [0.38, 0.47, 0.76, 0.62].", 1),
        ("It lies at (0.38,0.47,0.76,0.62) and [1, 2, 3, 4].", 2),
        ("x1=0.38, y1=0.47, x2=0.76, y2=0.62", 1),
        ("x_min: 390; y_min: 481; x_max: 778; y_max: 635", 1),
        ("The widths are 0.46, 0.48 and 0.50 of the chest.", 0),
        ("Ribs 1, 2, 3 are whole.", 0),
        ("Its centre is at (0.40, 0.55).", 0),
    ],
)
def test_boxes_in_a_thought_are_counted_against_the_budget(words: str, boxes: int) -> None:
    for budget in range(3):
        assert bool(found("boxes_in_thought", f"{HONEST} {words}", boxes_in_thought=budget)) is (boxes > budget)


@pytest.mark.parametrize(
    ("thought", "example", "wrong"),
    [
        ("There is a pleural effusion on the right.", REPORT, True),
        ("Effusion.", REPORT, True),
        (
            "In this case it all comes down to one thing, which is called pleural effusion.",
            REPORT,
            True,
        ),  # nothing seen
        ("Right angle blunted, meniscus: pleural effusion.", REPORT, True),  # four words
        ("Right angle blunted by a meniscus: pleural effusion.", REPORT, False),
        ("Is there any pleural effusion? The right angle is blunted, so yes: effusion.", REPORT, False),
        ("Edema is seen. Around the hila is haze.", CLASSIFIED, True),
        ("Haze lies around both hila: edema. A nodule too.", CLASSIFIED, False),
        ("The film is normal. The heart is small.", NORMAL, True),
        ("There is no abnormality.", NORMAL, True),
        ("The heart takes 0.42 of the chest and both lungs are clear, so the film is normal.", NORMAL, False),
        ("The pleural effusion lies at the base.", GROUNDED, False),  # the question names it
    ],
)
def test_a_finding_that_the_question_hides_is_not_named_before_something_is_seen(thought, example, wrong) -> None:
    assert bool(found("conclusion_first", thought, example)) is wrong


def test_what_is_a_sign_itself_may_come_first() -> None:
    devices = dataclasses.replace(CLASSIFIED, answer="Support devices.", labels=("Support Devices",))
    assert found("conclusion_first", "Support devices: a tube on the left.", devices) == ""


def test_question_suffix_and_instructions_are_not_copied() -> None:
    assert "repeats the question" in found("prompt_copied", f"where is the pleural effusion? {HONEST}")
    assert found("prompt_copied", f"The question is where the pleural effusion is. {HONEST}") == ""
    assert "tag of the question" in found("prompt_copied", f"{HONEST} /think")
    guide = "Fluid fills the angle first and rises along the chest wall in a curve, the meniscus."
    assert "copies the instructions" in found("prompt_copied", f"{HONEST} {guide}")
    assert found("prompt_copied", f"{HONEST} Fluid fills the angle first.") == ""


def test_the_bounds_of_length_are_words() -> None:
    words = len(Trace(f"<think>{HONEST}</think>", GROUNDED).words)
    assert words == 34
    assert found("too_short", HONEST, fewest_words=34) == "" and "34 words" in found(
        "too_short", HONEST, fewest_words=35
    )
    assert found("too_long", HONEST, most_words=34) == "" and "34 words" in found("too_long", HONEST, most_words=33)


@pytest.mark.parametrize(
    "thought",
    [
        "Das Herz ist verbreitert. Die Lunge ist frei. Der rechte Sinus ist stumpf.",
        "Le coeur est large. Les poumons sont clairs. Le cul-de-sac droit est comblé.",
        "El corazón está aumentado. Los pulmones están limpios. El seno derecho está borrado.",
        HONEST + " 右侧胸腔积液。",
        HONEST + " Справа выпот.",
        HONEST
        + " Auf der rechten Seite findet sich eine nach oben steigende Verschattung mit konkavem Rand, welche den "
        "Sinus und das Zwerchfell verdeckt und somit einem Erguss entspricht.",
        "asdf qwer zxcv uiop hjkl vbnm",
    ],
)
def test_a_thought_is_english_throughout(thought: str) -> None:
    assert found("language", thought)


@pytest.mark.parametrize(
    "thought",
    [
        "Heart 0.46, normal. Right lung clear. Left lung clear. Right angle sharp. Left angle blunted, meniscus.",
        "Kerley B lines, of about 5 µm; Röntgen would have seen them at the left base.",
        "Cardiothoracic ratio 0.61 (β = 5°): wide heart. Mediastinum central. Hila normal on both sides.",
    ],
)
def test_terse_radiology_is_english(thought: str) -> None:
    assert found("language", thought) == ""


def test_another_examination_is_named_with_its_sentence() -> None:
    assert "'unchanged' in 'The effusion is unchanged.'" in found("prior_study", f"{HONEST} The effusion is unchanged.")
    assert found("prior_study", "No new line is seen.", ignore_prior_rules=("no_new",)) == ""
    assert (
        found("prior_study", "The right dome is higher than the left; the right side is darker compared with the left.")
        == ""
    )


@pytest.mark.parametrize(
    ("thought", "wrong"),
    [
        (f"{HONEST} The heart is wide. The heart is wide. The heart is wide.", True),
        ("very " * 20 + "wide", True),
        (f"{HONEST} " * 3, True),
        ("The left angle is sharp now and then. Heart fine. " * 2, False),
        ("The right lung is clear. Heart fine. The right lung is clear. Angles sharp. The right lung is clear.", True),
        ("Right upper zone: clear. Right middle zone: clear. Right lower zone: clear. Left upper zone: clear.", False),
        ("No opacity. Fine. No opacity. Dark. No opacity. Sharp. No opacity. Even.", False),  # short ones may return
        ("The heart is very, very, very wide.", False),
    ],
)
def test_loops_are_found_and_lists_are_not(thought: str, wrong: bool) -> None:
    assert bool(found("repetition", thought)) is wrong


@given(
    st.lists(st.sampled_from("abcdefghijklm"), max_size=12),
    st.lists(st.sampled_from("nopqrstuvwxyz"), min_size=4, max_size=20),
    st.integers(3, 6),
)
def test_any_block_that_stands_three_times_is_a_loop(before: list[str], block: list[str], rounds: int) -> None:
    assert loop_of([*before, *(block * rounds)], 3)
    assert not loop_of([*before, *dict.fromkeys(block), *dict.fromkeys(before)], 5)


def test_a_hostile_text_takes_no_longer_than_it_should() -> None:
    import time

    started = time.process_time()
    for thought in ("[" * 50_000, "1, " * 20_000, "the given " * 8_000, "i am " * 8_000, "a" * 100_000):
        for name in (
            "hidden_source",
            "boxes_in_thought",
            "repetition",
            "language",
            "prompt_copied",
            "answer_in_thought",
        ):
            found(name, thought)
    assert time.process_time() - started < 30
