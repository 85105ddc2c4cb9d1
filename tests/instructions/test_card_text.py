"""The card for people: counts, licences, seeds, digests, reasons; and no text of a report."""

import warnings
from pathlib import Path
from typing import Any

import pytest

from radvlm_course.instructions import BuildWarning, build_mixture
from radvlm_course.sources import ReadReport


@pytest.fixture
def card_and_text(world: Any, world_settings: dict[str, Any], tmp_path: Path) -> tuple[Any, str]:
    world.films["mimic_cxr"]["train"][0] = world.films["mimic_cxr"]["train"][1]
    del world.films["mimic_cxr"]["train"][1]
    report = ReadReport(read=4, places={"image file not found": ["a.jpg"]})
    report.skipped["image file not found"] = 1
    sources = world.sources()
    read = sources["ms_cxr"]

    class WithReports:
        def __init__(self) -> None:
            self.reports = {"train": report}
            self.options = {"text_from": "files", "mimic_root": tmp_path}

        def __call__(self, split: str) -> Any:
            return read(split)

    entry = {"task": "abnormality_detection", "source": "vindr_cxr"}
    settings = world_settings | {
        "splits": world_settings["splits"] | {"train": [*world_settings["splits"]["train"], entry]}
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BuildWarning)
        card = build_mixture(settings, sources | {"ms_cxr": WithReports()}, tmp_path, 5, progress=False)
    return card, (tmp_path / "README.md").read_text(encoding="utf-8")


def test_it_has_counts_licences_seed_and_digests(card_and_text: tuple[Any, str]) -> None:
    card, text = card_and_text
    assert f"**train**: {card.total('train'):,} pairs; {card.studies['train']:,} films of" in text
    assert "| abnormality grounding | vindr_cxr | 3 | 72 | 0 | 0 | 72 |" in text
    assert "| mimic_cxr | MIMIC-CXR-JPG | PhysioNet Credentialed Health Data License 1.5.0 | yes | mimic |" in text
    assert "- seed 5; the same seed" in text and "fingerprint of the data: none given" in text
    for name, value in card.sha256.items():
        assert f"| `{name}` | `{value}` |" in text
    assert "- told at build time: ms_cxr.text_from = files" in text
    assert "- told at build time: ms_cxr.mimic_root = (a folder)" in text
    assert "No patients are named by vindr_cxr: there each film counts as one." in text
    assert "Nothing here may be used for diagnosis" in text


def test_it_says_what_was_left_out_and_why(card_and_text: tuple[Any, str]) -> None:
    _, text = card_and_text
    assert "- ms_cxr train: 1 x image file not found\n" in text
    assert "| train | vindr_cxr | abnormality detection | present finding without boxes" in text
    assert "pairs left out, patient in test" in text


def test_it_shows_no_sentence_of_a_report_no_film_and_no_path(card_and_text: tuple[Any, str], tmp_path: Path) -> None:
    card, text = card_and_text
    for private in ("Small effusion", "sign 1", "dicom-0", "a.jpg", str(tmp_path)):
        assert private not in text
    assert card.labels["train"]["phrase_grounding"] == {"(phrase)": 24}
