"""A whole phantom corpus through the layouts and readers of CheXpert and CheXpert Plus."""

import warnings
from pathlib import Path

import pytest

from radvlm_course.phantoms.corpus import write_corpus
from radvlm_course.phantoms.layouts_chexpert import write_chexpert_layout, write_chexpert_plus_layout
from radvlm_course.records import Study
from radvlm_course.sources import Source

SPLITS = ("train", "validation", "test")
WRITERS = {"chexpert": write_chexpert_layout, "chexpert_plus": write_chexpert_plus_layout}


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> list[Study]:
    root = tmp_path_factory.mktemp("corpus")
    write_corpus(root, {"train": 6, "validation": 2, "test": 3}, size=64, seed=0, workers=1, progress=False)
    return [study for split in SPLITS for study in Source("phantom", root)(split)]


@pytest.mark.parametrize("name", WRITERS)
def test_every_label_view_and_report_of_a_phantom_corpus_survives_the_layout(
    phantoms: list[Study], tmp_path: Path, name: str
) -> None:
    names = WRITERS[name](phantoms, tmp_path)
    source = Source(name, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing may be left out or remarked
        found = {study.study_id: study for split in SPLITS for study in source(split)}
    assert set(found) == set(names.values())
    kept = [study for study in phantoms if name == "chexpert" or study.split != "test"]
    assert set(names) == {study.study_id for study in kept}
    for study in kept:
        back = found[names[study.study_id]]
        assert (back.split, back.view, back.image_size) == (study.split, study.view, study.image_size)
        assert back.report == ("" if name == "chexpert" else study.report)
        renamed = {"lung lesion" if name == "nodule" else name: value for name, value in study.findings.items()}
        healthy = not any(value for name, value in study.findings.items() if name != "support devices")
        assert back.findings == renamed | ({"no finding": 1} if healthy else {})


def test_both_name_patients_and_studies_alike(phantoms: list[Study], tmp_path: Path) -> None:
    plus = write_chexpert_plus_layout(phantoms, tmp_path / "plus")
    chexpert = write_chexpert_layout(phantoms, tmp_path / "chexpert")
    assert plus.items() < chexpert.items()
