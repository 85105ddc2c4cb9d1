"""The real files that may lie beside the repository, and small studies to write in the datasets' layouts."""

import csv
import re
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from PIL import Image

from radvlm_course.boxes import Box
from radvlm_course.records import Study
from radvlm_course.sources import ReadReport, SourceError, SourceWarning, get_reader

SPLITS = ("train", "validation", "test")
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
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Study]:
    """Seven films of five patients, wider than high: two views, doubt, devices, a film without labels."""
    folder = tmp_path_factory.mktemp("films")
    effusions = (Box(0.125, 0.5, 0.375, 0.875), Box(0.625, 0.5, 0.875, 0.875))
    nodule, edema = (Box(0.5, 0.25, 0.75, 0.375),), (Box(0.25, 0.25, 0.75, 0.75),)
    heart, lung = (Box(0.375, 0.5, 0.75, 0.875),), (Box(0.125, 0.125, 0.5, 0.875),)
    described: list[tuple[str, str, str, str, str, dict[str, int], dict[str, tuple[Box, ...]], dict[str, Any]]] = [
        ("p1", "f1", "train", "PA", "Both sides: small effusions.", {"pleural effusion": 1, "nodule": 0},
         {"pleural effusion": effusions}, {"small effusions": effusions}),
        ("p1", "f2", "train", "lateral", "Effusions behind the heart.", {"pleural effusion": 1}, {}, {}),
        ("p2", "f3", "train", "AP", "Clear lungs. The tube is in place.", {"edema": 0, "support devices": 1}, {}, {}),
        ("p3", "f4", "validation", "PA", "Perhaps mild edema.", {"edema": -1}, {"edema": edema}, {"mild edema": edema}),
        ("p4", "f5", "test", "AP", "A nodule on the left.", {"nodule": 1, "pneumothorax": 0},
         {"nodule": nodule}, {"nodule on the left": nodule}),
        ("p4", "f6", "test", "PA", "No change.", {}, {}, {}),
        ("p5", "f7", "train", "", "Large heart.", {"cardiomegaly": 1}, {"cardiomegaly": heart}, {"large": heart}),
    ]  # fmt: skip
    made = []
    for number, (patient, name, split, view, report, findings, abnormalities, phrases) in enumerate(described):
        path = folder / f"{name}.png"
        Image.effect_noise((96, 64), 40 + number).convert("L").save(path)
        structures = {"heart": heart, "right lung": lung}
        texts = (patient, name, "phantom", split, view, report)
        made.append(Study(str(path), (96, 64), *texts, findings, structures, abnormalities, phrases))
    return made


@dataclass
class Reading:
    """All that a reader gave of the three splits.

    Attributes:
        found: study id -> study, in the order of reading.
        reports: split -> its report.
        skipped, noted: reason -> count, over the splits.
    """

    found: dict[str, Study] = field(default_factory=dict)
    reports: dict[str, ReadReport] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)
    noted: Counter[str] = field(default_factory=Counter)

    @property
    def studies(self) -> list[Study]:
        return list(self.found.values())

    @property
    def counted(self) -> Counter[str]:
        """Everything that was skipped or noted."""
        return self.skipped + self.noted


@pytest.fixture(scope="session")
def read_all() -> Callable[..., Reading]:
    """Read the splits of a dataset: no study may come twice, and no patient in two splits.

    ``bad_inputs`` says how many bad inputs the test has put there; the end of the run shows their sum for each reader.
    """

    def read(name: str, root: Path, *, splits: Sequence[str] = SPLITS, bad_inputs: int = 0, **options: Any) -> Reading:
        _TRIED[name] += bad_inputs
        reading = Reading()
        split_of: dict[str, str] = {}
        for split in splits:
            report = reading.reports[split] = ReadReport()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SourceWarning)
                studies = list(get_reader(name).read(root, split, report=report, **options))
            assert report.read == len(studies)
            reading.skipped.update(report.skipped)
            reading.noted.update(report.noted)
            for study in studies:
                assert (study.source, study.split) == (name, split) and study.study_id not in reading.found
                assert split_of.setdefault(study.patient_id, split) == split
                reading.found[study.study_id] = study
        return reading

    return read


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of all real files, for the datasets of which there are a few."""
    if not (SHARED / "rsna" / "boxes.csv").is_file():
        pytest.skip(f"needs the real files in {SHARED}")
    return SHARED


# -- bad inputs ------------------------------------------------------------------------------------------------------

BAD_INPUTS = "bad inputs tried on the reader of "  # how the property of a test's result begins
_TRIED: Counter[str] = Counter()
_JUNK = ("", " ", "nan", "inf", "1e400", "-5", "0", "7", "99999", "null", "[]", "{}", '"', "\x00", "é", "No finding")
_TOKEN = re.compile(r'([,\n"\[\]{}:<>/]+)')


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Send what a test has tried along with its result: ``tests/conftest.py`` adds it up where all results arrive."""
    before = _TRIED.copy()
    try:
        return (yield)
    finally:
        item.user_properties += [(f"{BAD_INPUTS}{name}", count) for name, count in (_TRIED - before).items()]


@pytest.fixture(scope="session")
def tried() -> Counter[str]:
    """Reader -> how many bad inputs it was given, for tests that do not use ``read_all``."""
    return _TRIED


class Table:
    """A CSV file to damage: rows of cells, the first one the header."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open(encoding="utf-8", newline="") as file:
            self.rows = list(csv.reader(file))

    def save(self, rows: list[list[str]] | None = None) -> None:
        with self.path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(self.rows if rows is None else rows)

    def change(self, row: int, column: str, cell: str) -> None:
        """Change one cell; rows count from 1, after the header."""
        self.rows[row][self.rows[0].index(column)] = cell
        self.save()

    def add(self, like: int, **cells: str) -> None:
        """Add a copy of a row with other cells."""
        row = list(self.rows[like])
        for column, cell in cells.items():
            row[self.rows[0].index(column)] = cell
        self.rows.append(row)
        self.save()

    def damage(self, data: st.DataObject) -> None:
        """Change a few cells and cut a few rows short, as hypothesis likes."""
        for _ in range(data.draw(st.integers(1, 4))):
            row = data.draw(st.integers(1, len(self.rows) - 1))
            column = data.draw(st.integers(0, len(self.rows[0]) - 1))
            rest = [] if data.draw(st.integers(0, 4)) == 0 else self.rows[row][column + 1 :]
            self.rows[row] = [*self.rows[row][:column], data.draw(CELLS), *rest]
        self.save()

    def filled(self) -> int:
        """How many rows have anything in them."""
        return sum(any(cell.strip() for cell in row) for row in self.rows[1:])


CELLS = st.one_of(
    st.sampled_from(
        ["", " ", "train", "test", "valid", "1.0", "-1", "nan", "inf", "1e999", "AP", "Edema", "0", "-0.5"]
    ),
    st.sampled_from(["10000001", "50000001", "19999999", "train/patient00001/study1/view1_frontal.jpg"]),
    st.text(max_size=12).filter(lambda text: "\x00" not in text),
)


@pytest.fixture(scope="session")
def open_table() -> type[Table]:
    return Table


@pytest.fixture(scope="session")
def damaged_bytes() -> Callable[[bytes, st.DataObject], bytes]:
    """A file with a stretch cut out and a few bytes put in."""

    def damage(content: bytes, data: st.DataObject) -> bytes:
        start = data.draw(st.integers(0, len(content)))
        stop = data.draw(st.integers(start, len(content)))
        return content[:start] + data.draw(st.binary(max_size=20)) + content[stop:]

    return damage


@pytest.fixture(scope="session")
def survives_damage(read_all: Callable[..., Reading]) -> Callable[[str, Path, list[Path], st.DataObject], None]:
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
            whole[root] = len(read_all(name, root, check_images=False).found)
        try:
            path.write_text(damaged(original.decode(), data), encoding="utf-8")
            try:
                reading = read_all(name, root, bad_inputs=1, check_images=False)
            except SourceError as error:
                assert str(root) in str(error)
                return
            assert len(reading.found) >= whole[root] or reading.skipped
        finally:
            path.write_bytes(original)

    return check
