"""Datasets found in one folder by the names of its sub-folders."""

from pathlib import Path

import pytest

from radvlm_course.phantoms.layouts_mimic import write_chest_imagenome_layout, write_mimic_cxr_layout
from radvlm_course.records import Study
from radvlm_course.sources import SourceError
from radvlm_course.sources.folders import find_conversations, find_sources, fingerprint


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


def test_only_the_named_datasets_are_taken_and_a_missing_one_is_not_among_them(tmp_path: Path) -> None:
    for name in ("tbx11k", "nih_chestxray14"):
        (tmp_path / name).mkdir()
    assert list(find_sources(tmp_path, ["open_i", "tbx11k"])) == ["tbx11k"]
    with pytest.raises(SourceError, match=r"named like a dataset \(open_i\), found nih_chestxray14, tbx11k"):
        find_sources(tmp_path, ["open_i"])


def test_a_dataset_may_lie_elsewhere_and_needs_no_common_folder(tmp_path: Path) -> None:
    for name in ("data/ms_cxr", "data/mimic_cxr", "disk/mimic"):
        (tmp_path / name).mkdir(parents=True)
    found = find_sources(tmp_path / "data", roots={"mimic_cxr": tmp_path / "disk" / "mimic"})
    assert found["mimic_cxr"].root == found["ms_cxr"].options["mimic_root"] == tmp_path / "disk" / "mimic"
    alone = find_sources(None, ["ms_cxr"], {"ms_cxr": "ms", "mimic_cxr": "mimic"})
    assert list(alone) == ["ms_cxr"] and alone["ms_cxr"].options["mimic_root"] == Path("mimic")
    with pytest.raises(SourceError, match=r"expected the folder of at least one dataset \(open_i\), found none"):
        find_sources(None, ["open_i"])


def test_options_reach_their_reader_and_those_of_nobody_are_refused(tmp_path: Path) -> None:
    (tmp_path / "ms_cxr").mkdir()
    (tmp_path / "mimic_cxr").mkdir()
    found = find_sources(tmp_path, options={"ms_cxr": {"split_from": "file", "mimic_root": "elsewhere"}})
    assert found["ms_cxr"].options == {"split_from": "file", "mimic_root": "elsewhere"}
    with pytest.raises(SourceError, match=r"that are read \(mimic_cxr, ms_cxr\) only, found tbx11k"):
        find_sources(tmp_path, options={"tbx11k": {"seed": 1}})
    with pytest.raises(SourceError, match="ms_cxr: unknown option colour"):
        find_sources(tmp_path, options={"ms_cxr": {"colour": "red"}})
    with pytest.raises(SourceError, match=r"datasets: expected some of phantom, .*; found mimic$"):
        find_sources(tmp_path, roots={"mimic": tmp_path})


def test_conversations_lie_in_the_folder_of_their_dataset(tmp_path: Path) -> None:
    (tmp_path / "ms_cxr").mkdir()
    (tmp_path / "mimic_cxr" / "conversations" / "train" / "standard").mkdir(parents=True)
    assert find_conversations(find_sources(tmp_path)) == {"mimic_cxr": str(tmp_path / "mimic_cxr")}


def test_the_fingerprint_of_several_changes_with_each_with_a_conversation_and_with_the_place(tmp_path: Path) -> None:
    for name in ("tbx11k", "open_i"):
        (tmp_path / "data" / name).mkdir(parents=True)
    talks = {"open_i": tmp_path / "talks"}
    (tmp_path / "talks").mkdir()

    def taken(folder: Path) -> str:
        return fingerprint(find_sources(folder), talks)

    seen = [taken(tmp_path / "data")]
    (tmp_path / "data" / "open_i" / "indiana_reports.csv").write_text("uid\n")
    seen.append(taken(tmp_path / "data"))
    (tmp_path / "talks" / "film.json").write_text("[]")
    seen.append(taken(tmp_path / "data"))
    (tmp_path / "data").rename(tmp_path / "moved")
    seen.append(taken(tmp_path / "moved"))
    assert len(set(seen)) == 4 and taken(tmp_path / "moved") == seen[-1]
