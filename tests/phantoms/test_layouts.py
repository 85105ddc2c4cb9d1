"""A whole phantom corpus through the layouts and readers of the real datasets, and on to instruction pairs."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from radvlm_course.instructions import build_mixture
from radvlm_course.phantoms.corpus import write_corpus
from radvlm_course.phantoms.layouts import write_chestx_det_layout, write_nih_chestxray14_layout
from radvlm_course.records import Study
from radvlm_course.sources import Source

SPLITS = ("train", "validation", "test")
WRITERS = {"nih_chestxray14": write_nih_chestxray14_layout, "chestx_det": write_chestx_det_layout}
TASKS = {"abnormality_classification": {}, "abnormality_grounding": {}, "abnormality_detection": {}}


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> list[Study]:
    root = tmp_path_factory.mktemp("corpus")
    write_corpus(root, {"train": 6, "validation": 1, "test": 3}, size=64, seed=0, workers=1, progress=False)
    return [study for split in SPLITS for study in Source("phantom", root)(split)]


def quietly(source: Source, split: str) -> Iterator[Study]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing may be left out
        yield from source(split)


@pytest.mark.parametrize("name", WRITERS)
def test_every_film_and_box_of_a_phantom_corpus_survives_the_layout(
    phantoms: list[Study], tmp_path: Path, name: str
) -> None:
    names = WRITERS[name](phantoms, tmp_path)
    source = Source(name, tmp_path)
    found = {study.study_id: study for split in SPLITS for study in quietly(source, split)}
    assert set(found) == set(names.values()) and len(found) == len(phantoms)
    known = next(iter(found.values())).findings
    boxes = 0
    for study in phantoms:
        back = found[names[study.study_id]]
        assert Path(back.image_path).read_bytes() == Path(study.image_path).read_bytes()
        expected = {label: group for label, group in study.abnormalities.items() if label in known}
        assert set(back.abnormalities) == set(expected)
        for label, group in expected.items():
            for ours, theirs in zip(group, back.abnormalities[label], strict=True):
                assert ours.to_list() == pytest.approx(theirs.to_list(), abs=1 / 2048)
                boxes += 1
    assert boxes > 10


@pytest.mark.parametrize("name", WRITERS)
def test_a_mixture_builds_from_the_layout_without_a_leak(phantoms: list[Study], tmp_path: Path, name: str) -> None:
    WRITERS[name](phantoms, tmp_path / "data")
    source = Source(name, tmp_path / "data")
    mixture = {"name": "open", "templates": "full", "splits": dict.fromkeys(("train", "test"), TASKS)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # findings that the layout cannot name leave detection incomplete
        card = build_mixture(mixture, source, tmp_path / "out", 0, progress=False, read_reports=source.reports)
    assert card.read["test"]["read"] == card.studies["test"] == card.examples["test"]["abnormality_classification"]
    assert card.examples["train"]["abnormality_grounding"] > 5
