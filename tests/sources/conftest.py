"""The real files that may lie beside the repository, and small studies to write in the datasets' layouts."""

import re
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from PIL import Image

from radvlm_course.boxes import Box
from radvlm_course.records import Study
from radvlm_course.sources import ReadReport, SourceError, SourceWarning, get_reader

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


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of all real files, for the datasets of which there are a few."""
    if not (SHARED / "rsna" / "boxes.csv").is_file():
        pytest.skip(f"needs the real files in {SHARED}")
    return SHARED


# -- bad inputs ------------------------------------------------------------------------------------------------------

_TRIED: Counter[str] = Counter()
_JUNK = ("", " ", "nan", "inf", "1e400", "-5", "0", "7", "99999", "null", "[]", "{}", '"', "\x00", "é", "No finding")
_TOKEN = re.compile(r'([,\n"\[\]{}:<>/]+)')


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name, count in sorted(_TRIED.items()):
        terminalreporter.write_line(f"bad inputs tried on the reader of {name}: {count}")


@pytest.fixture(scope="session")
def tried() -> Counter[str]:
    """Reader -> how many bad inputs it was given; the tests count, and the end of the run shows it."""
    return _TRIED


@pytest.fixture(scope="session")
def read_all() -> Callable[..., tuple[list[Study], ReadReport]]:
    """Reads all splits; checks that no study comes twice and no patient is in two splits."""

    def read(name: str, root: Path, **options: Any) -> tuple[list[Study], ReadReport]:
        studies, report = [], ReadReport()
        for split in ("train", "validation", "test"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SourceWarning)
                studies += get_reader(name).read(root, split, report=report, **options)
        assert len({study.study_id for study in studies}) == len(studies) == report.read
        assert len(dict.fromkeys((study.patient_id, study.split) for study in studies)) == len(
            {study.patient_id for study in studies}
        )
        return studies, report

    return read


@pytest.fixture(scope="session")
def survives_damage(
    tried: Counter[str], read_all: Callable[..., tuple[list[Study], ReadReport]]
) -> Callable[[str, Path, list[Path], st.DataObject], None]:
    """Damages a table as hypothesis draws it and reads: nothing but a SourceError, and no study lost uncounted."""
    whole: dict[Path, int] = {}

    def damaged(text: str, data: st.DataObject) -> str:
        for _ in range(data.draw(st.integers(1, 3))):
            lines, tokens = text.split("\n"), _TOKEN.split(text)
            kind = data.draw(st.sampled_from(("replace", "replace", "cut", "drop", "repeat")))
            if kind == "cut":
                text = text[: data.draw(st.integers(0, len(text)))]
            elif kind == "replace":
                tokens[data.draw(st.integers(0, len(tokens) - 1))] = data.draw(st.sampled_from(_JUNK))
                text = "".join(tokens)
            else:
                at = data.draw(st.integers(0, len(lines) - 1))
                text = "\n".join(lines[:at] + (lines[at : at + 1] * 2 if kind == "repeat" else []) + lines[at + 1 :])
        return text

    def check(name: str, root: Path, tables: list[Path], data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(tables))
        original = path.read_bytes()
        if root not in whole:
            whole[root] = len(read_all(name, root, check_images=False)[0])
        try:
            path.write_text(damaged(original.decode(), data), encoding="utf-8")
            tried[name] += 1
            try:
                studies, report = read_all(name, root, check_images=False)
            except SourceError as error:
                assert str(root) in str(error)
                return
            assert len(studies) >= whole[root] or report.skipped
        finally:
            path.write_bytes(original)

    return check
