"""A whole phantom corpus through the layouts and readers around MIMIC-CXR, and on to instruction pairs."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from radvlm_course.instructions import LeakError, build_mixture
from radvlm_course.phantoms.corpus import write_corpus
from radvlm_course.phantoms.layouts_mimic import (
    write_chest_imagenome_layout,
    write_mimic_cxr_layout,
    write_ms_cxr_layout,
)
from radvlm_course.records import Study
from radvlm_course.sources import Source, SourceWarning

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> list[Study]:
    root = tmp_path_factory.mktemp("corpus")
    write_corpus(root, {"train": 6, "validation": 2, "test": 3}, size=64, seed=0, workers=1, progress=False)
    return [study for split in SPLITS for study in Source("phantom", root)(split)]


@pytest.fixture(scope="module")
def data(phantoms: list[Study], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three datasets, each in its folder."""
    root = tmp_path_factory.mktemp("data")
    write_mimic_cxr_layout(phantoms, root / "mimic")
    write_chest_imagenome_layout(phantoms, root / "genome")
    write_ms_cxr_layout(phantoms, root / "ms")
    return root


def quietly(source: Source, split: str) -> Iterator[Study]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SourceWarning)  # remarks on reports and on missing regions
        yield from source(split)
    assert not source.reports[split].skipped  # nothing may be left out


def read(name: str, root: Path, **options: Any) -> dict[str, Study]:
    source = Source(name, root, **options)
    return {study.study_id: study for split in SPLITS for study in quietly(source, split)}


def test_every_report_label_and_view_of_a_phantom_corpus_survives_as_mimic_cxr(
    phantoms: list[Study], tmp_path: Path
) -> None:
    names = write_mimic_cxr_layout(phantoms, tmp_path)
    found = read("mimic_cxr", tmp_path)
    assert set(found) == set(names.values()) and len(found) == len(phantoms)
    patients = {study.patient_id: set[str]() for study in phantoms}
    for study in phantoms:
        back = found[names[study.study_id]]
        patients[study.patient_id].add(back.patient_id)
        assert (back.report, back.split, back.view) == (study.report, study.split, study.view)
        renamed = {"lung lesion" if name == "nodule" else name: value for name, value in study.findings.items()}
        healthy = not any(value for name, value in study.findings.items() if name != "support devices")
        assert back.findings == renamed | ({"no finding": 1} if healthy else {})
    assert all(len(named) == 1 for named in patients.values()) and len(set.union(*patients.values())) == len(patients)


def test_every_structure_that_is_a_region_survives_as_chest_imagenome(phantoms: list[Study], data: Path) -> None:
    names = write_chest_imagenome_layout(phantoms, data / "genome")
    found = read("chest_imagenome", data / "genome", mimic_root=data / "mimic")
    boxes = 0
    for study in phantoms:
        back = found[names[study.study_id]]
        expected = {"cardiac silhouette" if name == "heart" else name: box for name, box in study.structures.items()}
        assert set(back.structures) == set(expected)
        for name, (box,) in expected.items():
            assert back.structures[name][0].to_list() == pytest.approx(box.to_list(), abs=0.5 / 64)  # whole pixels
            boxes += 1
    assert boxes > 300


@pytest.mark.parametrize("form", ["csv", "json"])
def test_every_phrase_about_a_category_survives_as_ms_cxr(
    phantoms: list[Study], data: Path, tmp_path: Path, form: Any
) -> None:
    names = write_ms_cxr_layout(phantoms, tmp_path, form)
    found = read("ms_cxr", tmp_path, mimic_root=data / "mimic")
    assert set(found) == set(names.values())
    phrases = 0
    for study in phantoms:
        devices = {phrase for phrase in study.phrases if "tube" in phrase or "pacemaker" in phrase}
        expected = {phrase: boxes for phrase, boxes in study.phrases.items() if phrase not in devices}
        back = found[names[study.study_id]].phrases if study.study_id in names else {}
        assert set(back) == set(expected)
        for phrase, boxes in expected.items():
            for ours, theirs in zip(boxes, back[phrase], strict=True):
                assert ours.to_list() == pytest.approx(theirs.to_list(), abs=1e-12)
                phrases += 1
    assert phrases > 20


def test_the_same_film_has_the_same_names_in_all_three(data: Path) -> None:
    mimic = read("mimic_cxr", data / "mimic")
    for name, folder in (("chest_imagenome", "genome"), ("ms_cxr", "ms")):
        found = read(name, data / folder, mimic_root=data / "mimic")
        assert found and set(found) <= set(mimic)
        for study_id, study in found.items():
            other = mimic[study_id]
            assert (study.patient_id, study.image_path, study.split) == (
                other.patient_id,
                other.image_path,
                other.split,
            )


def test_the_leak_of_another_split_is_found_by_the_names_and_closed_by_the_option(
    phantoms: list[Study], data: Path, tmp_path: Path
) -> None:
    moved = {"train": "test", "validation": "validation", "test": "train"}
    write_chest_imagenome_layout(phantoms, tmp_path, lambda study: moved[study.split])

    def together(split: str, mimic_split: str) -> Iterator[Study]:
        yield from Source("mimic_cxr", data / "mimic")(split)
        genome = Source("chest_imagenome", tmp_path, mimic_root=data / "mimic", mimic_split=mimic_split)
        yield from genome(split)

    tasks = {"report_generation": {}, "anatomical_grounding": {}}
    mixture = {"name": "both", "splits": dict.fromkeys(("train", "test"), tasks), "parquet": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(LeakError, match="image in two splits"):
            build_mixture(mixture, lambda split: together(split, "any"), tmp_path / "leak", 0, progress=False)
        card = build_mixture(mixture, lambda split: together(split, "same"), tmp_path / "safe", 0, progress=False)
    assert card.examples["train"]["report_generation"] == sum(study.split == "train" for study in phantoms)


def test_a_mixture_of_all_three_builds_without_a_leak(data: Path, tmp_path: Path) -> None:
    options = {"mimic_root": data / "mimic"}
    sources = [
        Source("mimic_cxr", data / "mimic"),
        Source("chest_imagenome", data / "genome", **options),
        Source("ms_cxr", data / "ms", **options),
    ]
    tasks = {"report_generation": {}, "anatomical_grounding": {}, "phrase_grounding": {}}
    mixture = {"name": "all", "splits": dict.fromkeys(SPLITS, tasks), "parquet": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        card = build_mixture(
            mixture, lambda split: (study for source in sources for study in source(split)), tmp_path, 0, progress=False
        )
    assert card.examples["train"]["anatomical_grounding"] > 100 and card.examples["test"]["phrase_grounding"] > 1
