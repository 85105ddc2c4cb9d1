"""Each expression of the rules finds its sentence, and the sentences of honest reading are left alone."""

import re
from importlib import resources

import pytest
import yaml

from radvlm_course.thinking.filter_rules import filter_rules

FOUND = {
    "hidden_source": [
        "This agrees with the ground truth.",
        "Ground-truth boxes confirm it.",
        "The gold standard says so.",
        "The answer key has two boxes.",
        "The given label is effusion.",
        "My provided information names the right side.",
        "The correct diagnosis is on the right.",
        "Expected answer: right side.",
        "The report states that the heart is wide.",
        "As the reference says, the angle is blunted.",
        "This radiology report mentions fluid.",
        "The label clearly points to the right.",
        "According to the report, fluid is present.",
        "According to what the user wants, the pleura matters.",
        "as described in the report",
        "It is labelled in the annotations? It was annotated in the reference.",
        "This matches the reference report.",
        "which is consistent with the label",
        "in keeping with what the provided report says",
        "I was told that there is fluid.",
        "I have been given a label.",
        "We know from the report that there is fluid.",
        "I already know what comes out.",
        "The finding was provided in advance.",
        "The coordinates given to me lie low.",
        "a box provided by the user",
        "mentioned in the question",
        "The user says it is on the right.",
        "The prompt requires a box.",
        "without revealing that I knew",
        "I must not mention it; don't disclose that the answer is known.",
        "The bounding box annotations are low.",
        "The boxes provided lie low.",
        "the annotated region",
    ],
    "answer_marker": [
        "The final answer is right pleural effusion.",
        "The answer is no.",
        "Answer: no.",
        "My answer : no.",
        "Final report follows.",
    ],
    "refusal": [
        "I'm sorry, I can't.",
        "I\u2019m very sorry".replace("\u2019", "'"),
        "Sorry, but I have to decline.",
        "I cannot help with that.",
        "I'm unable to interpret this.",
        "I am not able to see the image.",
        "I can't provide medical advice.",
        "As an AI, I do not look at films.",
        "I am not a doctor.",
        "No image was provided.",
        "Please consult a qualified radiologist.",
    ],
    "other_format": [
        "Answer: no",
        "**Final answer:** no",
        "Findings: clear",
        "Here is the report: clear",
        "Sure, no.",
        "Therefore, no.",
        "<answer>no</answer>",
        "no <br/> yes",
        "\\boxed{no}",
        '{"answer": "no"}',
        '[{"bbox_2d": [1, 2, 3, 4]}]',
        "```\nno\n```",
        "It is **no**",
        "# Report",
    ],
    "normal_film": [
        "The film is normal.",
        "This radiograph appears entirely unremarkable.",
        "A normal chest radiograph.",
        "There is no acute abnormality.",
        "There is nothing abnormal.",
    ],
}
INNOCENT = {
    "hidden_source": [
        "Given the blunted angle, fluid is likely.",
        "Findings that fit: a meniscus and a hidden dome.",
        "This suggests fluid in the right pleural space.",
        "The spine serves as a reference for the midline.",
        "The side marker shows that the patient's right is on the left of the film.",
        "A guide wire ends in the atrium.",
        "The angle is known to hold 200 ml of fluid before it looks blunted.",
        "The box of the pacemaker lies over the left chest.",
        "It is not seen whether the hidden dome is high; the expected outline of the heart is lost.",
        "The marking on the film reads L.",
        "I see no line. I am looking at the apices now for air.",
        "The indication of volume loss is the raised dome.",
    ],
    "answer_marker": ["This answers whether the heart is wide.", "The question remains whether the angle is sharp."],
    "refusal": [
        "I cannot see a pleural line.",
        "I can't find a nodule in the left lung.",
        "The left dome cannot be seen behind the heart.",
        "No image of the lateral view helps here.",
        "I see an aid on the right.",
    ],
    "other_format": [
        "The nodule can be found at [0.20, 0.40, 0.32, 0.52].",
        "[0.20, 0.40, 0.32, 0.52]",
        "Position of the nodule: [0.20, 0.40, 0.32, 0.52].",
        "Abnormal findings: nodule at [0.20, 0.40, 0.32, 0.52].",
        "No finding.",
        "Small left pneumothorax. The heart size is normal.",
    ],
    "normal_film": ["The heart is normal in size.", "The right lung is clear.", "No line is seen at the apex."],
}


def compiled(expression: str, name: str) -> re.Pattern[str]:
    content = yaml.safe_load(resources.files("radvlm_course.thinking").joinpath("filter_rules.yaml").read_text("utf-8"))
    for word, value in content["words"].items():
        expression = expression.replace(f"{{{word}}}", value)
    return re.compile(expression if name == "other_format" else rf"(?<!\w)(?:{expression})(?!\w)", re.IGNORECASE)


def expressions() -> list[tuple[str, str]]:
    content = yaml.safe_load(resources.files("radvlm_course.thinking").joinpath("filter_rules.yaml").read_text("utf-8"))
    return [(name, expression) for name in FOUND for expression in content[name]]


@pytest.mark.parametrize(("name", "expression"), expressions(), ids=lambda value: str(value)[:40])
def test_every_expression_has_a_sentence_that_it_finds(name: str, expression: str) -> None:
    assert any(compiled(expression, name).search(sentence) for sentence in FOUND[name]), expression


@pytest.mark.parametrize(("name", "sentence"), [(name, text) for name, texts in FOUND.items() for text in texts])
def test_what_betrays_is_found(name: str, sentence: str) -> None:
    assert getattr(filter_rules(), name).search(sentence)


@pytest.mark.parametrize(("name", "sentence"), [(name, text) for name, texts in INNOCENT.items() for text in texts])
def test_honest_words_are_left_alone(name: str, sentence: str) -> None:
    assert not getattr(filter_rules(), name).search(sentence)


def test_a_finding_has_its_other_names_in_any_case() -> None:
    assert filter_rules().names_of("Pleural Effusion") == ("pleural effusion", "effusion")
    assert filter_rules().names_of("nodule") == ("nodule",)


def test_the_english_words_belong_to_no_other_language() -> None:
    german = "der die das und ist war in an so mit zone film linie herz lunge rechts links normal"
    french = "le la les et est dans une on a zone angle large air ligne coeur poumon droit gauche normal"
    spanish = "el la los y es en un una no a se zona angulo corazon pulmon derecho izquierdo normal"
    assert not filter_rules().english & {*german.split(), *french.split(), *spanish.split()}
