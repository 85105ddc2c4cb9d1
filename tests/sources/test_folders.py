"""Datasets found in one folder by the names of its sub-folders."""

from pathlib import Path

import pytest

from radvlm_course.phantoms.layouts_mimic import write_chest_imagenome_layout, write_mimic_cxr_layout
from radvlm_course.records import Study
from radvlm_course.sources import SourceError
from radvlm_course.sources.folders import find_sources


def test_every_sub_folder_with_the_name_of_a_reader_is_a_source(tmp_path: Path) -> None:
    for name in ("tbx11k", "nih_chestxray14", "notes"):
        (tmp_path / name).mkdir()
    found = find_sources(tmp_path)
    assert list(found) == ["nih_chestxray14", "tbx11k"]
    assert found["tbx11k"].root == tmp_path / "tbx11k"


@pytest.mark.filterwarnings("ignore::radvlm_course.sources.SourceWarning")
def test_annotations_of_mimic_films_find_the_images_in_the_folder_beside_them(
    tmp_path: Path, films: list[Study]
) -> None:
    write_mimic_cxr_layout(films, tmp_path / "mimic_cxr")
    names = write_chest_imagenome_layout(films, tmp_path / "chest_imagenome")
    sources = find_sources(tmp_path)
    studies = [study for split in ("train", "validation", "test") for study in sources["chest_imagenome"](split)]
    assert {study.study_id for study in studies} == set(names.values())
    assert all(Path(study.image_path).is_relative_to(tmp_path / "mimic_cxr") for study in studies)


def test_without_mimic_beside_them_they_look_in_their_own_folder(tmp_path: Path) -> None:
    (tmp_path / "ms_cxr").mkdir()
    assert find_sources(tmp_path)["ms_cxr"].options == {}


def test_a_folder_without_datasets_is_an_error_that_says_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="found none"):
        find_sources(tmp_path / "nowhere")
    with pytest.raises(SourceError, match="found no sub-folder"):
        find_sources(tmp_path)
    (tmp_path / "nih").mkdir()
    with pytest.raises(SourceError, match=r"nih_chestxray14.*found nih$"):
        find_sources(tmp_path)
