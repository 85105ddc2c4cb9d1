"""No patient and no image in two splits: within a dataset, between datasets, and what is said of it."""

import dataclasses
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from radvlm_course.boxes import Box
from radvlm_course.instructions import BuildWarning, LeakError, MixtureCard, MixtureError, build_mixture
from radvlm_course.instructions._selection import _mixed
from radvlm_course.records import Example, Study, read_jsonl

MIMIC = ("mimic_cxr", "chest_imagenome", "ms_cxr")


def build(world: Any, settings: dict[str, Any], folder: Path, **changes: Any) -> MixtureCard:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BuildWarning)
        return build_mixture(settings | changes, world.sources(), folder, 0, progress=False)


def pairs(folder: Path, split: str) -> list[Example]:
    return list(read_jsonl(folder / f"{split}.jsonl", Example))


def patients(folder: Path, split: str) -> set[str]:
    return {pair.patient_id for pair in pairs(folder, split) if pair.source in MIMIC}


def images(folder: Path, split: str) -> set[str]:
    return {pair.image_path for pair in pairs(folder, split)}


def left_out(card: MixtureCard) -> dict[str, dict[str, int]]:
    return {f"{told['source']}/{told['task']}": told["left_out"] for told in card.entries["train"] if told["left_out"]}


def test_test_films_of_chest_imagenome_are_left_out_of_report_training_by_default(
    world: Any, world_settings: dict[str, Any], tmp_path: Path
) -> None:
    card = build(world, world_settings, tmp_path)
    tested = {study.image_path for study in world.films["chest_imagenome"]["test"]}
    assert tested <= {study.image_path for study in world.films["mimic_cxr"]["train"]}
    assert not tested & images(tmp_path, "train")
    assert not patients(tmp_path, "train") & patients(tmp_path, "test")
    assert left_out(card) == {
        "mimic_cxr/report_generation": {"patient in test": 9},
        "mimic_cxr/abnormality_classification": {"patient in test": 9},
    }
    assert card.overlaps == {}
    text = (tmp_path / "README.md").read_text()
    assert "no patient and no image of a kept pair stands in two splits" in text
    assert "- train, report_generation of mimic_cxr: 9 pairs left out, patient in test" in text


def test_the_leak_can_be_allowed_for_comparison_and_the_card_counts_it(
    world: Any, world_settings: dict[str, Any], tmp_path: Path
) -> None:
    card = build(world, world_settings, tmp_path, cross_source_leaks="allow")
    common = images(tmp_path, "train") & images(tmp_path, "test")
    assert len(common) == 3 and left_out(card) == {}  # of the test films, three were asked about
    shared = patients(tmp_path, "train") & patients(tmp_path, "test")
    assert card.overlaps == {"test/train": {"patient": len(shared), "image": 3, "image content": 0}}
    assert "**Allowed by the setting `cross_source_leaks`**" in (tmp_path / "README.md").read_text()


def test_only_patients_of_kept_pairs_are_held_out_if_so_asked(
    world: Any, world_settings: dict[str, Any], tmp_path: Path
) -> None:
    card = build(world, world_settings, tmp_path, held_out="pairs")
    asked = {pair.patient_id for pair in pairs(tmp_path, "test") if pair.source == "chest_imagenome"}
    assert left_out(card)["mimic_cxr/report_generation"] == {"patient in test": 3 * len(asked)}
    assert not patients(tmp_path, "train") & patients(tmp_path, "test")


def test_the_same_identifier_in_unrelated_datasets_is_no_leak(
    world: Any, world_settings: dict[str, Any], tmp_path: Path
) -> None:
    ours = {study.patient_id for study in world.films["vindr_cxr"]["test"]}
    assert ours & {study.patient_id for study in world.films["mimic_cxr"]["train"]}
    assert "vindr_cxr/abnormality_grounding" not in left_out(build(world, world_settings, tmp_path))


def test_an_image_of_another_patient_name_is_found_by_its_file_name(
    world: Any, world_settings: dict[str, Any], tmp_path: Path
) -> None:
    renamed = [dataclasses.replace(s, patient_id=f"x{n}") for n, s in enumerate(world.films["chest_imagenome"]["test"])]
    world.films["chest_imagenome"]["test"] = renamed
    card = build(world, world_settings, tmp_path)
    assert left_out(card)["mimic_cxr/report_generation"] == {"image in test": 9}


def test_validation_gives_way_to_test_and_training_to_both(
    world: Any, world_settings: dict[str, Any], tmp_path: Path
) -> None:
    world.films["chest_imagenome"]["validation"] = world.studies("chest_imagenome", "validation", range(0, 6))
    world.films["mimic_cxr"]["validation"] += world.studies("mimic_cxr", "validation", range(60, 63))
    world.films["mimic_cxr"]["train"] = world.studies("mimic_cxr", "train", range(0, 60))
    entry = {"task": "report_generation", "source": "mimic_cxr"}
    regions = {"task": "anatomical_grounding", "source": "chest_imagenome"}
    splits = {"train": [entry], "validation": [entry, regions], "test": [regions]}
    card = build(world, world_settings | {"splits": splits}, tmp_path)
    assert card.entries["validation"][0]["left_out"] == {"patient in test": 3}
    assert left_out(card) == {"mimic_cxr/report_generation": {"patient in validation": 6}}


def test_a_dataset_whose_own_splits_share_a_patient_stops_the_build_even_where_leaks_are_allowed(
    world: Any, world_settings: dict[str, Any], tmp_path: Path
) -> None:
    world.films["ms_cxr"]["test"].append(world.studies("ms_cxr", "test", range(4, 5))[0])
    for leaks in ("leave_out", "allow"):
        with pytest.raises(LeakError, match=r"patient in two splits: s0004_.* in test and s0003_.* in train"):
            build(world, world_settings, tmp_path / "out", cross_source_leaks=leaks)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_dataset_that_repeats_a_film_stops_the_build(
    world: Any, world_settings: dict[str, Any], tmp_path: Path
) -> None:
    world.films["vindr_cxr"]["train"].append(world.films["vindr_cxr"]["train"][0])
    with pytest.raises(MixtureError, match="expected every pair once, found vindr_cxr/vindr_cxr-0000/abnorm"):
        build(world, world_settings, tmp_path)


def test_datasets_of_one_collection_that_share_no_patient_are_reported_as_unchecked(
    world: Any, world_settings: dict[str, Any], tmp_path: Path
) -> None:
    world.films = {
        "nih_chestxray14": {"train": [a_film("nih_chestxray14", "train", "00000001_000", "00000001")]},
        "chestx_det": {"test": [a_film("chestx_det", "test", "36199", "36199")]},
    }
    task = "abnormality_grounding"
    splits = {
        "train": [{"task": task, "source": "nih_chestxray14"}],
        "test": [{"task": task, "source": "chestx_det"}],
    }
    with pytest.warns(BuildWarning, match="chestx_det and nih_chestxray14 took their films from the same collection"):
        card = build_mixture(world_settings | {"splits": splits}, world.sources(), tmp_path, 0, progress=False)
    assert len(card.unchecked) == 1 and "- Not checked: chestx_det and" in (tmp_path / "README.md").read_text()


def a_film(name: str, split: str, stem: str, patient: str, folder: Path = Path("/data")) -> Study:
    boxes = {"mass": (Box(0.1, 0.2, 0.3, 0.4),)}
    return Study(str(folder / f"{stem}.png"), (9, 9), patient, stem, name, split, abnormalities=boxes)


def test_a_film_saved_anew_under_another_name_is_found_by_its_pixels(
    world: Any, world_settings: dict[str, Any], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    first, other = (Image.fromarray(rng.integers(0, 255, (9, 9), dtype=np.uint8)) for _ in range(2))
    first.save(tmp_path / "00000001_000.png", compress_level=0)
    other.save(tmp_path / "00000002_000.png")
    first.convert("RGB").save(tmp_path / "36199.png", compress_level=9)
    (tmp_path / "00000003_000.png").write_bytes(b"no image")
    train = [a_film("nih_chestxray14", "train", f"0000000{n}_000", f"0000000{n}", tmp_path) for n in (1, 2, 3)]
    world.films = {
        "nih_chestxray14": {"train": train},
        "chestx_det": {"test": [a_film("chestx_det", "test", "36199", "36199", tmp_path)]},
    }
    task = "abnormality_grounding"
    splits = {
        "train": [{"task": task, "source": "nih_chestxray14"}],
        "test": [{"task": task, "source": "chestx_det"}],
    }
    card = build(world, world_settings | {"splits": splits}, tmp_path / "out", image_check="pixels")
    assert left_out(card) == {"nih_chestxray14/abnormality_grounding": {"image content in test": 1}}
    assert [pair.study_id for pair in pairs(tmp_path / "out", "train")] == ["00000002_000"]
    (unread,) = card.skipped["train"]
    assert unread["count"] == 1 and unread["reason"].startswith("image that cannot be read")
    card = build(world, world_settings | {"splits": splits}, tmp_path / "out", image_check="content")
    assert left_out(card) == {} and card.total("train") == 3  # the bytes of the files differ


SPLITS = ("train", "validation", "test")
films = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), min_size=1, max_size=12, unique_by=lambda film: film)


@given(films, films, films, st.sampled_from(["splits", "pairs"]), st.integers(1, 4))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_splits_of_the_datasets_no_patient_and_no_image_stands_in_two(
    world_settings: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
    first: list[tuple[int, int]],
    second: list[tuple[int, int]],
    third: list[tuple[int, int]],
    held_out: str,
    samples: int,
) -> None:
    given_films = dict(zip(MIMIC, (first, second, third), strict=True))
    tasks = dict(zip(MIMIC, ("report_generation", "anatomical_grounding", "phrase_grounding"), strict=True))

    def source(name: str) -> Callable[[str], Iterator[Study]]:
        def read(split: str) -> Iterator[Study]:
            for patient, number in given_films[name]:
                if SPLITS[(patient * 7 + len(name)) % 3] != split:  # each dataset splits its patients in its own way
                    continue
                box, stem = (Box(0.1, 0.1, 0.5, 0.5),), f"d{patient}-{number}"
                maps = {"structures": {"heart": box}, "phrases": {"a sign": box}}
                yield Study(f"/m/{stem}.jpg", (9, 9), str(patient), f"s_{stem}", name, split, report="Text.", **maps)

        return read

    entries = [{"task": task, "source": name, "samples": samples} for name, task in tasks.items()]
    mixture = world_settings | {"splits": dict.fromkeys(SPLITS, entries), "held_out": held_out}
    folder = tmp_path_factory.mktemp("out")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BuildWarning)
            card = build_mixture(mixture, {name: source(name) for name in MIMIC}, folder, 0, progress=False)
    except MixtureError as error:
        assert "no pair to train on" in str(error)
        return
    found = {split: [json.loads(line) for line in (folder / f"{split}.jsonl").open()] for split in SPLITS}
    for number, split in enumerate(SPLITS):
        for other in SPLITS[number + 1 :]:
            for key in ("patient_id", "image_path"):
                assert not {pair[key] for pair in found[split]} & {pair[key] for pair in found[other]}
    for split in SPLITS:
        for told in card.entries[split]:
            assert told["built"] == sum(told["left_out"].values()) + told["thinned"] + told["kept"]
            assert told["kept"] == len([pair for pair in found[split] if pair["source"] == told["source"]]) <= samples


def test_the_order_of_a_shuffled_file_is_one_to_one() -> None:
    ranks = np.arange(1000, dtype=np.uint64)
    assert len(np.unique(_mixed(ranks))) == 1000
    assert _mixed(np.array([0, 1], np.uint64)).tolist() == [0xE220A8397B1DCDAF, 0x910A2DEC89025CC1]  # SplitMix64
