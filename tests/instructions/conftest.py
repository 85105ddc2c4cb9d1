"""Studies made by hand."""

from collections.abc import Callable, Iterator
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


class World:
    """A few films of the datasets that share MIMIC-CXR's patients, and one that shares nothing.

    Three films a patient. The test films of Chest ImaGenome are train films of MIMIC-CXR (patients 20 to 22), as in the
    real datasets. Attributes: ``films``, dataset -> split -> studies; ``calls``, what was read with which options.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.films = {
            "mimic_cxr": {
                "train": self.studies("mimic_cxr", "train", range(0, 75)),
                "validation": self.studies("mimic_cxr", "validation", range(75, 81)),
                "test": self.studies("mimic_cxr", "test", range(90, 102)),
            },
            "chest_imagenome": {
                "train": self.studies("chest_imagenome", "train", range(0, 45)),
                "test": self.studies("chest_imagenome", "test", range(60, 69)),
            },
            "ms_cxr": {
                "train": self.studies("ms_cxr", "train", range(3, 15, 3)),
                "validation": self.studies("ms_cxr", "validation", range(75, 77)),
                "test": self.studies("ms_cxr", "test", range(90, 96)),
            },
            "vindr_cxr": {
                "train": self.studies("vindr_cxr", "train", range(0, 12)),
                "test": self.studies("vindr_cxr", "test", range(20, 26)),
            },
        }

    @staticmethod
    def studies(name: str, split: str, numbers: range) -> list[Study]:
        return [film(name, split, number) for number in numbers]

    def sources(self) -> dict[str, Callable[..., Iterator[Study]]]:
        """Dataset -> what a build calls."""
        return {name: self._reader(name) for name in self.films}

    def _reader(self, name: str) -> Callable[..., Iterator[Study]]:
        def read(split: str, **options: Any) -> Iterator[Study]:
            self.calls.append((name, split, options))
            return iter(self.films[name].get(split, []))

        return read


def film(name: str, split: str, number: int, **changes: Any) -> Study:
    """Film ``number`` of a dataset; in the datasets of MIMIC-CXR the same number is the same film."""
    shared = name in ("mimic_cxr", "chest_imagenome", "ms_cxr")
    stem = f"dicom-{number:04d}" if shared else f"{name}-{number:04d}"
    boxes = {f"sign {number % 5}": (LEFT_BOX,), "effusion": (LEFT_BOX, RIGHT_BOX)}
    values: dict[str, Any] = {
        "image_path": f"/data/{'mimic' if shared else name}/{stem}.jpg",
        "image_size": (128, 128),
        "patient_id": str(number // 3),
        "study_id": f"s{number:04d}_{stem}" if shared else stem,
        "source": name,
        "split": split,
        "view": "PA" if number % 2 else "lateral",
        "report": f"Film number {number}. Small effusion." if name == "mimic_cxr" else "",
        "findings": {"effusion": 1, "edema": -(number % 2)},
        "structures": {f"region {n}": (LEFT_BOX,) for n in range(4)} if name == "chest_imagenome" else {},
        "abnormalities": boxes if name == "vindr_cxr" else {},
        "phrases": boxes if name == "ms_cxr" else {},
    }
    return Study(**(values | changes))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(scope="session")
def world_settings() -> dict[str, Any]:
    """A mixture of the world's datasets, with the entries that the paper's has for them."""
    return {
        "name": "world",
        "order": "shuffled",
        "image_check": "path",
        "parquet": False,
        "splits": {
            "train": [
                {"task": "report_generation", "source": "mimic_cxr"},
                {"task": "abnormality_classification", "source": "mimic_cxr"},
                {"task": "anatomical_grounding", "source": "chest_imagenome", "targets": "one", "samples": 20},
                {"task": "abnormality_grounding", "source": "vindr_cxr", "repeat": 3},
                {"task": "phrase_grounding", "source": "ms_cxr", "reads": ["train", "validation"], "repeat": 2},
            ],
            "test": [
                {"task": "report_generation", "source": "mimic_cxr"},
                {"task": "anatomical_grounding", "source": "chest_imagenome", "targets": "one", "samples": 3},
                {"task": "abnormality_grounding", "source": "vindr_cxr"},
                {"task": "phrase_grounding", "source": "ms_cxr"},
            ],
        },
    }
