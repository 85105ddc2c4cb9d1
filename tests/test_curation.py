"""The stage curate: one dataset, or the several of a mixture: where they lie, what is left out, what is missing."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from radvlm_course.boxes import Box
from radvlm_course.curation import curate, sources_of, studies_of
from radvlm_course.instructions import MixtureCard, MixtureError, build_mixture
from radvlm_course.phantoms.corpus import write_corpus
from radvlm_course.phantoms.layouts import write_chestx_det_layout, write_nih_chestxray14_layout
from radvlm_course.phantoms.layouts_all import write_all_layouts
from radvlm_course.profiles import CurateSettings
from radvlm_course.records import Study
from radvlm_course.sources import Source, SourceError
from radvlm_course.sources.folders import find_sources

SPLITS = ("train", "validation", "test")

MIXTURE = """
name: two
templates: compact
image_check: path
parquet: false
reader_options: {nih_chestxray14: {unlisted_as: not mentioned}}
splits:
  train:
    - {task: abnormality_grounding, source: nih_chestxray14}
    - {task: abnormality_grounding, source: chestx_det}
    - {task: conversation, source: chestx_det}
  test:
    - {task: abnormality_grounding, source: nih_chestxray14}
"""
TALK = [{"from": "human", "value": "What is seen?"}, {"from": "gpt", "value": "A mass."}]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Eight films in the layouts of NIH ChestX-ray14 and ChestX-Det, the last two of them for testing."""
    studies = []
    for number in range(8):
        path = tmp_path / f"{number}.png"
        Image.new("L", (32, 32), number * 9).save(path)
        split = "test" if number > 5 else "train"
        boxes = {"mass": (Box(0.1, 0.2, 0.5, 0.6),)}
        said: dict[str, Any] = {"findings": {"mass": 1}, "abnormalities": boxes}
        studies.append(Study(str(path), (32, 32), f"p{number}", f"s{number}", "phantom", split, **said))
    write_nih_chestxray14_layout(studies, tmp_path / "data" / "nih_chestxray14")
    write_chestx_det_layout(studies, tmp_path / "data" / "chestx_det")
    (tmp_path / "two.yaml").write_text(MIXTURE)
    return tmp_path / "data"


def settings_of(data: Path, **changes: Any) -> CurateSettings:
    values = {"root": str(data), "image_size": 32, "mixture": str(data.parent / "two.yaml")}
    return CurateSettings(**values | changes)


def built(settings: CurateSettings, folder: Path) -> MixtureCard:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return curate(settings, folder, progress=False)


def test_without_a_source_the_datasets_of_the_mixture_are_taken_from_the_folder(data: Path, tmp_path: Path) -> None:
    card = built(settings_of(data, leave_out=["chestx_det/conversation"], workers=2), tmp_path / "out")
    assert set(card.datasets) == {"nih_chestxray14", "chestx_det"} and card.examples["test"] == {
        "abnormality_grounding": 2
    }
    sources = {json.loads(line)["source"] for line in (tmp_path / "out" / "train.jsonl").read_text().splitlines()}
    assert sources == {"nih_chestxray14", "chestx_det"} and card.settings["fingerprint"]


def test_conversations_in_the_folder_of_a_dataset_are_taken(data: Path, tmp_path: Path) -> None:
    folder = data / "chestx_det" / "conversations" / "train" / "standard"
    folder.mkdir(parents=True)
    film = next(study for study in Source("chestx_det", data / "chestx_det")("train"))
    (folder / f"{film.study_id}.json").write_text(json.dumps(TALK))
    assert built(settings_of(data), tmp_path / "out").examples["train"]["conversation"] == 1


def test_what_is_missing_is_named_and_left_out_only_if_the_profile_says_so(data: Path, tmp_path: Path) -> None:
    with pytest.raises(MixtureError, match=r"written conversations for chestx_det/conversation.* curate\.leave_out"):
        built(settings_of(data), tmp_path / "out")
    (data / "chestx_det").rename(tmp_path / "elsewhere")
    with pytest.raises(MixtureError, match=r"expected also the datasets chestx_det"):
        built(settings_of(data), tmp_path / "out")
    card = built(settings_of(data, leave_out=["chestx_det"], options={"chestx_det": {"seed": 1}}), tmp_path / "out")
    assert set(card.datasets) == {"nih_chestxray14"}
    settings = settings_of(
        data, leave_out=["chestx_det/conversation"], roots={"chestx_det": str(tmp_path / "elsewhere")}
    )
    assert set(built(settings, tmp_path / "out").datasets) == {"nih_chestxray14", "chestx_det"}


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"leave_out": ["chestxdet"]}, MixtureError, r"expected datasets or entries of two \(chestx_det, chestx_det/"),
        ({"mixture": "laptop"}, MixtureError, r"laptop: expected a mixture whose entries name .* no curate\.source"),
        ({"options": {"open_i": {"seed": 1}}}, SourceError, r"options of the datasets that are read .* found open_i"),
        ({"roots": {"det": "x"}}, SourceError, "expected some of phantom, .*; found det"),
        ({"root": "nowhere"}, SourceError, "expected a folder with a sub-folder for each dataset at nowhere"),
        ({"source": "nih"}, SourceError, "expected some of phantom, .*; found nih"),
    ],
)
def test_settings_that_fit_nothing_are_refused(
    data: Path, tmp_path: Path, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        built(settings_of(data, **changes), tmp_path / "out")


def test_options_of_the_profile_go_before_those_of_the_mixture(data: Path) -> None:
    def mentioned(**changes: Any) -> set[int]:
        found = studies_of(settings_of(data, leave_out=["chestx_det"], **changes), "test")
        return {len(study.findings) for study in found}

    assert mentioned() == {1}  # the mixture's reader_options
    assert mentioned(options={"nih_chestxray14": {"unlisted_as": "absent"}}) == {14}


def test_the_studies_of_all_datasets_are_given(data: Path) -> None:
    sources = [
        study.source for split in ("train", "validation", "test") for study in studies_of(settings_of(data), split)
    ]
    assert sources.count("nih_chestxray14") == sources.count("chestx_det") == 8


def test_one_dataset_is_read_with_its_options_from_its_folder(data: Path) -> None:
    settings = settings_of(
        data / "chestx_det", source="chestx_det", mixture="laptop", options={"chestx_det": {"seed": 3}}
    )
    (source,) = sources_of(settings).values()
    assert (source.name, source.root, source.options) == ("chestx_det", data / "chestx_det", {"seed": 3})


def test_phantoms_are_made_and_mixed_as_by_hand(tmp_path: Path) -> None:
    patients = {"train": 6, "validation": 1, "test": 2}
    settings = CurateSettings(
        source="phantom", root=str(tmp_path / "films"), image_size=32, mixture="laptop", patients=patients, seed=5
    )
    card = built(settings, tmp_path / "out")
    write_corpus(tmp_path / "films", patients, size=32, seed=5, progress=False)
    source = Source("phantom", str(tmp_path / "films"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        by_hand = build_mixture(
            "laptop", source, tmp_path / "by_hand", 5, progress=False, fingerprint=source.fingerprint()
        )
    assert card == by_hand and card.total("train")


@pytest.fixture(scope="module")
def every_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same phantoms in the layout of every dataset, and a written conversation about each film that needs one."""
    root = tmp_path_factory.mktemp("every_dataset")
    corpus = write_corpus(root / "phantom", {"train": 9, "validation": 3, "test": 4}, size=48, seed=16, progress=False)
    films = [film for split in SPLITS for film in Source("phantom", corpus)(split)]
    data = root / "data"
    write_all_layouts(films, data)
    for name, kind in (("mimic_cxr", "standard"), ("ms_cxr", "grounding"), ("padchest_gr", "grounding")):
        source = find_sources(data, [name])[name]
        for split in SPLITS:
            folder = data / name / "conversations" / split / kind
            folder.mkdir(parents=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for film in source(split):
                    (folder / f"{film.study_id}.json").write_text(json.dumps(TALK))
    return data


AS_DELIVERED = {"mimic_cxr": {"text_from": "files"}, "chexpert_plus": {"text_from": "sections"}}


@pytest.mark.parametrize(
    ("mixture", "datasets", "options"), [("open_data", 5, None), ("radvlm", 7, AS_DELIVERED)], ids=["open", "radvlm"]
)
def test_the_real_mixtures_are_built_by_the_readers_from_every_datasets_own_files(
    every_dataset: Path, tmp_path: Path, mixture: str, datasets: int, options: dict[str, Any] | None
) -> None:
    settings = settings_of(every_dataset, mixture=mixture, options=options)
    card = built(settings, tmp_path / "out")
    assert len(card.datasets) == datasets and not card.overlaps and not card.missing
    for entry in card.entries["train"]:
        assert entry["built"], entry
        # Here all open sets hold the same films, dealt out differently: one that some set tests on is left out.
        assert entry["kept"] or mixture == "open_data", entry
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {
        "train.jsonl",
        "train.parquet",
        "train.llava.json",
        "verl",
        "README.md",
    }
    examples = [json.loads(line) for line in (tmp_path / "out" / "train.jsonl").read_text().splitlines()]
    assert {example["task"] for example in examples} == set(card.examples["train"])
    assert all(Path(example["image_path"]).is_file() for example in examples)
