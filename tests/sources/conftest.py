"""The real files that may lie beside the repository, and small studies to write in the datasets' layouts."""

from pathlib import Path

import pytest
from PIL import Image

from radvlm_course.boxes import Box
from radvlm_course.records import Study

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def real_nih() -> Path:
    folder = SHARED / "nih_chestxray14"
    if not (folder / "BBox_List_2017.csv.gz").is_file():
        pytest.skip(f"needs the real files in {folder}")
    return folder


@pytest.fixture(scope="session")
def real_chestx_det() -> Path:
    folder = SHARED / "chestx_det"
    if not (folder / "ChestX_Det_test.json").is_file():
        pytest.skip(f"needs the real files in {folder}")
    return folder


@pytest.fixture
def studies(tmp_path: Path) -> list[Study]:
    """Three films of two patients, one normal."""
    described = [
        ("p-a", "a1", "train", {"pleural effusion": (Box(0.1, 0.6, 0.35, 0.9), Box(0.62, 0.61, 0.9, 0.88))}),
        ("p-a", "a2", "train", {}),
        ("p-b", "b1", "test", {"nodule": (Box(1 / 3, 0.2, 0.5, 0.3),), "support devices": (Box(0.7, 0.1, 0.9, 0.2),)}),
    ]
    made = []
    for number, (patient, name, split, abnormalities) in enumerate(described):
        path = tmp_path / "source" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.effect_noise((96, 96), 40 + number).convert("L").save(path)
        findings = {"pleural effusion": 0, "nodule": 0} | dict.fromkeys(abnormalities, 1)
        study = Study(str(path), (96, 96), patient, name, "phantom", split, "PA", "Text.", findings, {}, abnormalities)
        made.append(study)
    return made
