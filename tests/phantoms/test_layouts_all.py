"""The same phantoms in every layout: each reader reads its own back."""

import warnings
from pathlib import Path

import pytest
from PIL import Image

from radvlm_course.boxes import Box
from radvlm_course.phantoms.layouts_all import LAYOUTS, write_all_layouts
from radvlm_course.records import Study
from radvlm_course.sources import READERS
from radvlm_course.sources.folders import find_sources

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> list[Study]:
    """One film of a patient in each split; all have an effusion, said in a sentence."""
    folder = tmp_path_factory.mktemp("pictures")
    box = (Box(0.125, 0.5, 0.375, 0.875),)
    made = []
    for number, split in enumerate(SPLITS):
        path = folder / f"{split}.png"
        Image.effect_noise((64, 64), 40 + number).convert("L").save(path)
        about: tuple[str, ...] = (f"p{number}", f"f{number}", "phantom", split, "PA", "Small effusion. Clear above.")
        effusion = {"pleural effusion": box}
        structures = {"right lung": box}
        made.append(
            Study(str(path), (64, 64), *about, {"pleural effusion": 1}, structures, effusion, {"small effusion": box})
        )
    return made


def test_there_is_a_layout_for_every_reader_but_the_phantoms_own() -> None:
    assert set(LAYOUTS) == set(READERS) - {"phantom"}


def test_every_study_that_was_written_is_read_back_under_the_name_it_was_given(
    tmp_path: Path, studies: list[Study]
) -> None:
    names = write_all_layouts(iter(studies), tmp_path)
    sources = find_sources(tmp_path)
    assert set(sources) == set(names) == set(LAYOUTS)
    for name, source in sources.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read = {study.study_id for split in SPLITS for study in source(split)}
        assert read == set(names[name].values()), name
        assert not any(report.skipped for report in source.reports.values()), name
    assert "f2" not in names["chexpert_plus"]  # that dataset has no test split
