"""Clean traces as a good teacher writes them, and the misbehaving server of the language tests."""

import importlib.util
from pathlib import Path

import pytest

from radvlm_course.boxes import Box, format_boxes
from radvlm_course.records import Example

_spec = importlib.util.spec_from_file_location(
    "language_conftest", Path(__file__).parents[1] / "language" / "conftest.py"
)
assert _spec is not None and _spec.loader is not None
language = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(language)
start_model, reply, connect, script = language.start_model, language.reply, language.connect, language.script

EFFUSION = (
    "Heart: its width is about 0.46 of the chest, of normal size. Right lung: upper and middle zones are dark, with "
    "vessels up to the edge; at the base there is a white area that rises along the chest wall in a curve, and the "
    "right costophrenic angle is blunted by this meniscus. Left lung: all zones are dark, the left angle is sharp. "
    "No line parallel to the chest wall is seen. So there is fluid in the right pleural space: a right pleural "
    "effusion."
)
CARDIOMEGALY = (
    "The widest part of the heart is about 0.61 of the inner width of the chest, clearly more than half, and its "
    "left border comes near the ribs. The mediastinum is in the middle. Upper, middle and lower zones of both lungs "
    "are equally dark. Both costophrenic angles are sharp. The large heart is the only thing out of the ordinary."
)
PNEUMOTHORAX = (
    "Devices: a tube enters on the left and ends near the apex. Heart width 0.44 of the chest, fine. Left apex: a "
    "thin line runs parallel to the chest wall; outside it everything is black and no vessels cross. The right side "
    "has vessels up to the ribs. Angles sharp on both sides. That line is the edge of the lung, so air lies "
    "outside it: left pneumothorax, about a third of the width."
)
NODULE = (
    "Start with the heart, which is below half of the chest. Right upper zone: black, vessels thin out evenly. "
    "Right middle zone: a round white spot with a sharp edge, about as wide as a rib space, which has no match on "
    "the left. Right lower zone: clear. Left zones: clear. Angles: sharp. A round shadow with an edge is a nodule; "
    "it is in the right middle zone."
)
EDEMA = (
    "Heart: 0.55 of the chest, a little wide. Around both hila there is a haze, denser on the right than on the "
    "left, and the vessels in it are wide and have lost their edges. The outer thirds of the lungs are darker. The "
    "angles are not sharp, but no meniscus is seen. Haze around both hila with blurred vessels means fluid in the "
    "lungs, that is pulmonary edema, here of moderate degree. Is there a pneumothorax? No line is seen at either "
    "apex."
)
NORMAL = (
    "The heart takes 0.42 of the chest. Its borders are sharp and the trachea is in the middle. Going down the "
    "zones, the right and the left lung look alike, with fine vessels to the edge in the upper, the middle and the "
    "lower third. Both angles are sharp and both domes smooth. No tube or wire is on the film. None of the places "
    "that are missed easily shows anything, so this is a normal film."
)
TERSE = (
    "Tubes: none. Heart: 0.63 of chest, wide, apex rounded. Mediastinum central. Right lung: upper zone clear, mid "
    "zone clear, lower zone clear. Left lung: upper zone clear, mid zone clear, lower zone hidden by the heart. "
    "Right angle sharp, left angle sharp. Bones intact. Conclusion: cardiomegaly."
)


def _grounding(number: int, finding: str, thought: str, boxes: tuple[Box, ...], **more) -> Example:
    values = {"task": "abnormality_grounding", "question": f"Where is the {finding} of study-{number}?"}
    answer = format_boxes(boxes)
    return Example(
        f"phantom/study-{number}/{finding}/0",
        image_path=f"film-{number}.png",
        **(values | {"answer": answer} | more),
        boxes=boxes,
        labels=(finding,),
        source="phantom",
        patient_id=f"p{number}",
        study_id=f"study-{number}",
        thought=thought,
    )


def _told(number: int, task: str, answer: str, labels: tuple[str, ...], thought: str, boxes=()) -> Example:
    questions = {
        "report_generation": "Write a report of study-{}.",
        "abnormality_classification": "Which findings are present in study-{}?",
        "abnormality_detection": "Which findings are where in study-{}?",
    }
    return Example(
        f"phantom/study-{number}/{task}//0",
        task,
        f"film-{number}.png",
        questions[task].format(number),
        answer,
        boxes,
        labels,
        "phantom",
        f"p{number}",
        f"study-{number}",
        thought=thought,
    )


LOW_RIGHT, LOW_LEFT = Box(0.1, 0.55, 0.38, 0.9), Box(0.62, 0.6, 0.93, 0.91)
HEART = Box(0.32, 0.45, 0.83, 0.88)


def _examples() -> list[Example]:
    report, classes, detection = "report_generation", "abnormality_classification", "abnormality_detection"
    effusion_report = (
        "Moderate right pleural effusion. The heart size is normal. There is no consolidation. "
        "There is no pneumothorax."
    )
    both = f"I find cardiomegaly at {format_boxes([HEART])}; pleural effusion at {format_boxes([LOW_RIGHT, LOW_LEFT])}."
    return [
        _grounding(0, "pleural effusion", EFFUSION, (LOW_RIGHT,)),
        _grounding(1, "pleural effusion", EFFUSION, (LOW_RIGHT, LOW_LEFT)),
        _grounding(
            2,
            "nodule",
            NODULE,
            (Box(0.2, 0.4, 0.32, 0.52),),
            answer="The nodule can be found at [0.20, 0.40, 0.32, 0.52].",
        ),
        _grounding(3, "heart", CARDIOMEGALY, (HEART,), task="anatomical_grounding"),
        _grounding(
            4, "small nodule", NODULE, (LOW_LEFT,), task="phrase_grounding", question='Where is "small nodule"?'
        ),
        _told(5, report, effusion_report, ("pleural effusion",), EFFUSION),
        _told(6, report, "Normal chest radiograph. The heart size is normal. The lungs are clear.", (), NORMAL),
        _told(
            7,
            report,
            "Moderate pulmonary edema. The heart is mildly enlarged. No pneumothorax.",
            ("cardiomegaly", "edema"),
            EDEMA,
        ),
        _told(
            8,
            report,
            "The heart is severely enlarged. The lungs are clear. No pleural effusion is seen.",
            ("cardiomegaly",),
            TERSE,
        ),
        _told(
            9,
            classes,
            "The radiograph shows cardiomegaly and pneumothorax.",
            ("cardiomegaly", "pneumothorax"),
            PNEUMOTHORAX,
        ),
        _told(10, classes, "No finding.", (), NORMAL),
        _told(11, classes, "Edema.", ("edema",), EDEMA),
        _told(12, detection, both, ("cardiomegaly", "pleural effusion"), EFFUSION, (HEART, LOW_RIGHT, LOW_LEFT)),
        _told(13, detection, "No finding.", (), NORMAL),
        _told(
            14,
            report,
            "Left chest tube in place. Small left pneumothorax. The heart size is normal.",
            ("pneumothorax", "support devices"),
            PNEUMOTHORAX,
        ),
    ]


@pytest.fixture(scope="session")
def clean() -> list[Example]:
    """Examples of every task with a clean thought each."""
    return _examples()
