"""A whole phantom corpus through the layouts and readers of five real datasets, and on to instruction pairs."""

import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radvlm_course.boxes import iou_matrix
from radvlm_course.images import load_image
from radvlm_course.instructions import build_mixture
from radvlm_course.phantoms.corpus import write_corpus
from radvlm_course.phantoms.layouts_open import (
    write_open_i_layout,
    write_padchest_gr_layout,
    write_rsna_layout,
    write_tbx11k_layout,
    write_vindr_cxr_layout,
)
from radvlm_course.records import Study
from radvlm_course.sources import Source, SourceWarning

SPLITS = ("train", "validation", "test")
WRITERS = {
    "vindr_cxr": write_vindr_cxr_layout,
    "padchest_gr": write_padchest_gr_layout,
    "rsna_pneumonia": write_rsna_layout,
    "open_i": write_open_i_layout,
    "tbx11k": write_tbx11k_layout,
}
TASKS: dict[str, dict[str, dict[str, Any]]] = {
    "vindr_cxr": {"abnormality_grounding": {}, "abnormality_detection": {}, "abnormality_classification": {}},
    "padchest_gr": {"phrase_grounding": {}, "report_generation": {}},
    "rsna_pneumonia": {"abnormality_grounding": {}, "abnormality_classification": {}},
    "open_i": {"report_generation": {}, "abnormality_classification": {}},
    "tbx11k": {"abnormality_grounding": {}, "abnormality_classification": {}},
}
Layout = tuple[Path, dict[str, str], dict[str, Study]]


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> list[Study]:
    root = tmp_path_factory.mktemp("corpus")
    write_corpus(root, {"train": 7, "validation": 2, "test": 4}, size=64, seed=0, workers=1, progress=False)
    return [study for split in SPLITS for study in Source("phantom", root)(split)]


@pytest.fixture(scope="module")
def layouts(phantoms: list[Study], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Layout]:
    """Reader -> (root, phantom study id -> study id there, study id there -> what the reader finds)."""
    made = {}
    for name, write in WRITERS.items():
        root = tmp_path_factory.mktemp(name)
        names = write(phantoms, root)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # nothing may be left out
            made[name] = (
                root,
                names,
                {study.study_id: study for split in SPLITS for study in Source(name, root)(split)},
            )
    return made


@pytest.mark.parametrize("name", WRITERS)
def test_every_film_comes_back_and_no_patient_is_in_two_splits(
    phantoms: list[Study], layouts: dict[str, Layout], name: str
) -> None:
    _, names, found = layouts[name]
    assert set(found) == set(names.values()) and len(found) == len(phantoms)
    splits: dict[str, set[str]] = {}
    for study in found.values():
        splits.setdefault(study.patient_id, set()).add(study.split)
        assert study.source == name
    assert all(len(split) == 1 for split in splits.values())


@pytest.mark.parametrize("name", ["vindr_cxr", "rsna_pneumonia", "padchest_gr", "tbx11k"])
def test_the_films_look_as_the_phantoms_do(phantoms: list[Study], layouts: dict[str, Layout], name: str) -> None:
    _, names, found = layouts[name]
    for study in phantoms[:6]:
        ours = np.asarray(load_image(study.image_path).convert("L"), dtype=float)
        picture = load_image(found[names[study.study_id]].image_path).convert("L").resize(ours.shape[::-1])
        theirs = np.asarray(picture, dtype=float)
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.98
        assert abs(ours.mean() - theirs.mean()) < 25  # 16 bits are stretched from darkest to brightest


def test_vindr_test_boxes_come_back_exactly_and_readers_boxes_fuse_to_the_true_ones(
    phantoms: list[Study], layouts: dict[str, Layout]
) -> None:
    _, names, found = layouts["vindr_cxr"]
    fused = 0
    for study in phantoms:
        back = found[names[study.study_id]]
        renamed = {"nodule/mass" if key == "nodule" else key: group for key, group in study.abnormalities.items()}
        expected = {key: tuple(sorted(group)) for key, group in renamed.items() if key != "support devices"}
        assert set(back.abnormalities) == set(expected) == {key for key, value in back.findings.items() if value}
        for key, group in expected.items():
            if study.split == "test":
                assert back.split == "test"
                flat = [pytest.approx(box.to_list(), abs=1e-9) for box in group]
                assert [box.to_list() for box in back.abnormalities[key]] == flat
            else:
                assert back.split in ("train", "validation")
                overlap = iou_matrix(group, back.abnormalities[key])
                assert overlap.shape[0] == overlap.shape[1] and (overlap.max(axis=1) > 0.85).all()
                fused += overlap.shape[0]
    assert fused > 10


def test_padchest_gr_gives_back_reports_phrases_boxes_splits_and_patients(
    phantoms: list[Study], layouts: dict[str, Layout]
) -> None:
    _, names, found = layouts["padchest_gr"]
    patients = {found[names[study.study_id]].patient_id: study.patient_id for study in phantoms}
    for study in phantoms:
        back = found[names[study.study_id]]
        assert (back.report, back.split, back.view) == (study.report, study.split, study.view)
        assert back.abnormalities == study.abnormalities
        assert len(back.phrases) == len(study.phrases)
        for phrase, boxes in study.phrases.items():
            (sentence,) = (sentence for sentence in back.phrases if phrase in sentence.lower())
            assert back.phrases[sentence] == boxes and sentence in study.report
        assert ("no finding" in back.findings) == (not study.abnormalities)
        assert patients[back.patient_id] == study.patient_id
    assert len(patients) == len({study.patient_id for study in phantoms})


def test_rsna_gives_back_opacities_views_and_real_patients(phantoms: list[Study], layouts: dict[str, Layout]) -> None:
    _, names, found = layouts["rsna_pneumonia"]
    kinds: Counter[tuple[int, int | None]] = Counter()
    patients = {found[names[study.study_id]].patient_id: study.patient_id for study in phantoms}
    for study in phantoms:
        back = found[names[study.study_id]]
        assert back.view == study.view and back.image_size == (1024, 1024)
        expected = study.abnormalities.get("consolidation", ())
        assert [box.to_list() for box in back.abnormalities.get("lung opacity", ())] == [
            pytest.approx(box.to_list()) for box in expected
        ]
        kinds[back.findings["lung opacity"], back.findings.get("other abnormality")] += 1
        assert back.findings["lung opacity"] == bool(expected)
        assert back.findings.get("other abnormality") == (None if expected else int(bool(study.abnormalities)))
        assert patients[back.patient_id] == study.patient_id
    assert set(kinds) == {(1, None), (0, 0), (0, 1)}


@pytest.mark.parametrize("kaggle", [False, True])
def test_both_forms_of_open_i_give_back_reports_and_findings(
    phantoms: list[Study], tmp_path: Path, kaggle: bool
) -> None:
    names = write_open_i_layout(phantoms, tmp_path, kaggle=kaggle)
    found = {study.study_id: study for split in SPLITS for study in Source("open_i", tmp_path)(split)}
    assert set(found) == set(names.values())
    for study in phantoms:
        back = found[names[study.study_id]]
        assert (back.report, back.view) == (study.report, study.view)
        assert {key for key, value in back.findings.items() if value} == {
            key for key, value in study.findings.items() if value
        }
        assert Path(back.image_path).read_bytes() == Path(study.image_path).read_bytes()


def test_tbx11k_gives_back_boxes_and_tells_sick_from_healthy(phantoms: list[Study], layouts: dict[str, Layout]) -> None:
    _, names, found = layouts["tbx11k"]
    kinds = Counter()
    for study in phantoms:
        back = found[names[study.study_id]]
        assert (back.split == "test") == (study.split == "test")
        for ours, theirs in (("consolidation", "active tuberculosis"), ("nodule", "latent tuberculosis")):
            expected = [pytest.approx(box.to_list()) for box in study.abnormalities.get(ours, ())]
            assert [box.to_list() for box in back.abnormalities.get(theirs, ())] == expected
            assert back.findings[theirs] == bool(expected)
        kind = Path(back.image_path).parent.name
        kinds[kind] += 1
        assert back.findings.get("other abnormality") == {"tb": None, "sick": 1, "health": 0}[kind]
        assert (kind == "health") == (not study.abnormalities)
    assert set(kinds) == {"tb", "sick", "health"}


@pytest.mark.parametrize("name", WRITERS)
def test_a_mixture_builds_from_the_layout_without_a_leak(layouts: dict[str, Layout], tmp_path: Path, name: str) -> None:
    source = Source(name, layouts[name][0])
    splits = dict.fromkeys(SPLITS, TASKS[name])
    mixture = {"name": "open", "templates": "full", "splits": splits}
    with warnings.catch_warnings():
        warnings.simplefilter("error", SourceWarning)
        warnings.simplefilter("ignore", UserWarning)  # findings without boxes leave detection incomplete
        card = build_mixture(mixture, source, tmp_path / "out", 0, progress=False, read_reports=source.reports)
    for task in TASKS[name]:
        assert sum(counts.get(task, 0) for counts in card.examples.values()) > 3
