"""Studies made by hand."""

from collections.abc import Callable
from typing import Any

import pytest

from radvlm_course.boxes import Box
from radvlm_course.records import Study

LEFT_BOX, RIGHT_BOX = Box(0.6, 0.5, 0.9, 0.9), Box(0.1, 0.55, 0.4, 0.95)


@pytest.fixture(scope="session")
def make_study() -> Callable[..., Study]:
    def make(**changes: Any) -> Study:
        values: dict[str, Any] = {
            "image_path": "images/s1.png",
            "image_size": (128, 128),
            "patient_id": "p1",
            "study_id": "s1",
            "source": "phantom",
            "split": "train",
            "report": "Left effusion.\nHeart is  normal. ",
            "findings": {"pleural effusion": 1, "nodule": 0, "edema": -1},
            "structures": {"heart": (Box(0.3, 0.4, 0.7, 0.8),), "right lung": (Box(0.1, 0.1, 0.45, 0.9),)},
            "abnormalities": {"pleural effusion": (LEFT_BOX, RIGHT_BOX), "edema": (Box(0.2, 0.2, 0.8, 0.7),)},
            "phrases": {"Small left effusion.": (LEFT_BOX,)},
        }
        return Study(**(values | changes))

    return make
