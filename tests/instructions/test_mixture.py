"""Mixtures on disk: amounts, digests, resuming, and no patient or image in two splits."""

import dataclasses
import importlib.util
import json
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radvlm_course.boxes import Box
from radvlm_course.instructions import (
    BuildOptions,
    BuildWarning,
    LeakError,
    MixtureCard,
    MixtureError,
    TaskAmount,
    build_examples,
    build_mixture,
    load_mixture,
)
from radvlm_course.records import Example, Study, read_jsonl, read_parquet

Reader = Callable[[str], Iterable[Study]]
SPLITS = ("train", "validation", "test")


@pytest.fixture
def corpus(make_study: Callable[..., Study], tmp_path: Path) -> dict[str, list[Study]]:
    """Twenty patients for training, five each for validation and test, one film a patient."""
    studies: dict[str, list[Study]] = {}
    number = 0
    for split, count in (("train", 20), ("validation", 5), ("test", 5)):
        for _ in range(count):
            number += 1
            path = tmp_path / "films" / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(f"film {number}".encode())
            name = f"s{number:02d}"
            studies.setdefault(split, []).append(
                make_study(image_path=str(path), study_id=name, patient_id=f"p{number}", split=split)
            )
    return studies


def build(corpus: dict[str, list[Study]], folder: Path, seed: int = 0, **changes: Any) -> MixtureCard:
    mixture = dataclasses.replace(load_mixture("laptop"), **changes)
    return build_mixture(mixture, lambda split: iter(corpus[split]), folder, seed, progress=False)


def examples(folder: Path, split: str) -> list[Example]:
    return list(read_jsonl(folder / f"{split}.jsonl", Example))


def test_the_laptop_mixture_has_its_shares_in_training_and_everything_in_testing(
    corpus: dict[str, list[Study]], tmp_path: Path
) -> None:
    card = build(corpus, tmp_path / "out")
    assert card.examples["train"] == {
        "abnormality_grounding": 29,  # 0.50 of 20 / 0.35
        "anatomical_grounding": 9,
        "report_generation": 20,
    }
    assert card.examples["test"] == {"abnormality_grounding": 10, "anatomical_grounding": 3, "report_generation": 5}
    assert card.thinned["test"] == {"abnormality_grounding": 0, "anatomical_grounding": 7, "report_generation": 0}
    assert card.labels["train"]["report_generation"] == {"edema": 20, "pleural effusion": 20}
    assert (card.studies, card.patients) == ({"train": 20, "validation": 5, "test": 5},) * 2
    for split in SPLITS:
        written = examples(tmp_path / "out", split)
        assert len(written) == card.total(split) and {example.split for example in written} == {split}
        assert list(read_parquet(tmp_path / "out" / f"{split}.parquet", Example)) == written


def test_the_same_seed_gives_the_same_files_in_any_order_of_reading(
    corpus: dict[str, list[Study]], tmp_path: Path
) -> None:
    first, second = build(corpus, tmp_path / "a"), build(corpus, tmp_path / "b")
    assert first.sha256 == second.sha256 and len(first.sha256) == 6
    build({split: studies[::-1] for split, studies in corpus.items()}, tmp_path / "c")
    assert {e.id for e in examples(tmp_path / "c", "train")} == {e.id for e in examples(tmp_path / "a", "train")}
    assert build(corpus, tmp_path / "d", seed=1).sha256 != first.sha256


def test_a_finished_build_is_taken_over_only_with_the_same_settings_and_files(
    corpus: dict[str, list[Study]], tmp_path: Path
) -> None:
    read: list[str] = []

    def studies(split: str) -> Iterator[Study]:
        read.append(split)
        return iter(corpus[split])

    def again(seed: int = 0, fingerprint: str = "") -> MixtureCard:
        read.clear()
        return build_mixture("laptop", studies, tmp_path, seed, progress=False, fingerprint=fingerprint)

    card = again()
    assert read == list(SPLITS)
    assert again() == card and read == []
    assert MixtureCard.load(tmp_path) == card
    again(seed=1)
    assert read == list(SPLITS)
    again(seed=1, fingerprint="other data")
    assert read == list(SPLITS)
    (tmp_path / "test.jsonl").write_text("")
    again(seed=1, fingerprint="other data")
    assert read == list(SPLITS)
    (tmp_path / "card.json").write_text("{}")
    again(seed=1, fingerprint="other data")
    assert read == list(SPLITS)


def test_a_build_that_dies_leaves_no_partial_file_and_no_card(corpus: dict[str, list[Study]], tmp_path: Path) -> None:
    def studies(split: str) -> Iterator[Study]:
        yield from corpus[split][:3]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_mixture("laptop", studies, tmp_path / "out", 0, progress=False)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_full_disk_is_an_error_and_the_former_files_stay_whole(
    corpus: dict[str, list[Study]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(corpus, tmp_path / "out")
    before = (tmp_path / "out" / "train.jsonl").read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("radvlm_course.instructions._parts.json_line", full)
    with pytest.raises(OSError, match="No space left"):
        build(corpus, tmp_path / "out", seed=1)
    assert (tmp_path / "out" / "train.jsonl").read_bytes() == before
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


def test_files_of_an_earlier_build_with_more_splits_do_not_survive(
    corpus: dict[str, list[Study]], tmp_path: Path
) -> None:
    build(corpus, tmp_path / "out")
    splits = load_mixture("laptop").splits
    build(corpus, tmp_path / "out", splits={"train": splits["train"]}, parquet=False)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["README.md", "card.json", "train.jsonl"]


def change_first_test_study(corpus: dict[str, list[Study]], **changes: Any) -> None:
    corpus["test"][0] = dataclasses.replace(corpus["test"][0], **changes)


def test_a_patient_in_two_splits_stops_the_build(corpus: dict[str, list[Study]], tmp_path: Path) -> None:
    change_first_test_study(corpus, patient_id="p3")
    with pytest.raises(LeakError, match=r"patient in two splits: s26 .* in test and s03 in train .*phantom/p3"):
        build(corpus, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_image_in_two_splits_stops_the_build(corpus: dict[str, list[Study]], tmp_path: Path) -> None:
    change_first_test_study(corpus, image_path=corpus["train"][4].image_path)
    with pytest.raises(LeakError, match=r"image in two splits: s26 .* and s05 in train"):
        build(corpus, tmp_path / "out", image_check="path")


def test_a_copy_of_an_image_under_another_name_stops_the_build_if_content_is_compared(
    corpus: dict[str, list[Study]], tmp_path: Path
) -> None:
    Path(corpus["test"][0].image_path).write_bytes(Path(corpus["train"][0].image_path).read_bytes())
    with pytest.raises(LeakError, match="image content in two splits"):
        build(corpus, tmp_path / "out")
    assert build(corpus, tmp_path / "out", image_check="path").total("test") == 18


def test_a_study_of_another_split_stops_the_build(corpus: dict[str, list[Study]], tmp_path: Path) -> None:
    corpus["train"].append(corpus["test"][0])
    with pytest.raises(LeakError, match="expected studies of train, found s26 of test"):
        build(corpus, tmp_path / "out")


def test_a_study_read_twice_is_refused(corpus: dict[str, list[Study]], tmp_path: Path) -> None:
    corpus["train"].append(corpus["train"][0])
    with pytest.raises(MixtureError, match="expected every pair once, found phantom/s01"):
        build(corpus, tmp_path / "out")


def test_tasks_for_which_the_source_has_nothing_are_left_out_with_a_warning(
    corpus: dict[str, list[Study]], tmp_path: Path
) -> None:
    bare = {
        split: [dataclasses.replace(study, report="", structures={}) for study in studies]
        for split, studies in corpus.items()
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        card = build(bare, tmp_path / "out")
    texts = [str(warning.message) for warning in caught if warning.category is BuildWarning]
    assert "laptop: train: the studies give no pair for report_generation" in texts
    assert card.examples["train"] == {"abnormality_grounding": 40}
    assert {entry["reason"]: entry["count"] for entry in card.skipped["train"]} == {
        "empty report": 20,
        "no structure with a box": 20,
    }


def test_nothing_to_train_on_is_an_error(tmp_path: Path) -> None:
    with warnings.catch_warnings(), pytest.raises(MixtureError, match="no pair to train on"):
        warnings.simplefilter("ignore", BuildWarning)
        build({split: [] for split in SPLITS}, tmp_path / "out")


def test_repeats_and_samples_multiply_and_limit(corpus: dict[str, list[Study]], tmp_path: Path) -> None:
    splits = {"train": {"abnormality_grounding": TaskAmount(repeat=3), "report_generation": TaskAmount(samples=7)}}
    card = build(corpus, tmp_path / "out", splits=splits, templates="full")
    assert card.examples["train"] == {"abnormality_grounding": 120, "report_generation": 7}


def test_the_laptop_mixture_writes_the_bytes_that_it_always_wrote(
    make_study: Callable[..., Study], tmp_path: Path
) -> None:
    numbers = {"train": range(1, 21), "validation": range(21, 26), "test": range(26, 31)}
    studies = {
        split: [
            make_study(
                image_path=f"images/s{n:02d}.png",
                study_id=f"s{n:02d}",
                patient_id=f"p{n}",
                split=split,
                view="PA",
                report=f"Left effusion {n}.\nHeart is  normal. ",
            )
            for n in found
        ]
        for split, found in numbers.items()
    }
    card = build(studies, tmp_path / "out", image_check="path", parquet=False)
    assert card.sha256 == {
        "train.jsonl": "ff1bcdf5283ce81fad127abbe51493d8e5b3811d93fe5a64b49c04ca107fbc3f",
        "validation.jsonl": "8249b2095fa3bd97156b4ede01a938b488d71d936e5f0874b76e27c78cfe8df5",
        "test.jsonl": "4602db4ce5030e845df87e5d0c6593afb695d334b0c0d45f83c7f8fa119e2204",
    }


# --- several datasets ----------------------------------------------------------------------------


def build_world(world: Any, settings: dict[str, Any], folder: Path, seed: int = 0, **options: Any) -> MixtureCard:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BuildWarning)
        return build_mixture(settings, world.sources(), folder, seed, progress=False, **options)


def kept(card: MixtureCard, split: str) -> dict[str, int]:
    return {f"{told['source']}/{told['task']}": told["kept"] for told in card.entries[split]}


def test_each_entry_takes_its_dataset_its_amount_and_its_repeats(
    world: Any, world_settings: dict[str, Any], tmp_path: Path
) -> None:
    card = build_world(world, world_settings, tmp_path)
    assert kept(card, "train") == {
        "mimic_cxr/report_generation": 66,  # 75 films, of which 9 are test films of Chest ImaGenome
        "mimic_cxr/abnormality_classification": 66,
        "chest_imagenome/anatomical_grounding": 20,
        "vindr_cxr/abnormality_grounding": 12 * 2 * 3,
        "ms_cxr/phrase_grounding": (4 + 2) * 2 * 2,
    }
    assert kept(card, "test") == {
        "mimic_cxr/report_generation": 12,
        "chest_imagenome/anatomical_grounding": 3,
        "vindr_cxr/abnormality_grounding": 6 * 2,
        "ms_cxr/phrase_grounding": 6 * 2,
    }
    pairs = examples(tmp_path, "train")
    assert len(pairs) == card.total("train") == len({pair.id for pair in pairs})
    assert {pair.split for pair in pairs} == {"train"}  # validation films of MS-CXR too
    regions = [pair for pair in pairs if pair.source == "chest_imagenome"]
    assert len({pair.study_id for pair in regions}) == 20 and len({pair.labels for pair in regions}) == 4
    assert card.datasets["mimic_cxr"]["licence"].startswith("PhysioNet Credentialed")
    assert card.labels["train"]["phrase_grounding"] == {"(phrase)": 24}


def test_a_dataset_is_read_once_for_all_entries_with_the_same_options(
    world: Any, world_settings: dict[str, Any], tmp_path: Path
) -> None:
    first, *others = world_settings["splits"]["train"]
    settings = world_settings | {
        "reader_options": {"mimic_cxr": {"check_images": False, "text_from": "none"}},
        "splits": {"train": [first | {"options": {"text_from": "files"}}, *others]},
    }
    card = build_world(world, settings, tmp_path)
    assert card.studies == {"train": 75 + 2 + 12}  # each film once: Chest ImaGenome and MS-CXR share MIMIC-CXR's
    assert [call for call in world.calls if call[0] == "mimic_cxr"] == [
        ("mimic_cxr", "train", {"check_images": False, "text_from": "files"}),
        ("mimic_cxr", "train", {"check_images": False, "text_from": "none"}),
    ]
    assert [call[1] for call in world.calls if call[0] == "ms_cxr"] == ["train", "validation"]


def test_views_and_label_semantics_are_of_an_entry(world: Any, world_settings: dict[str, Any], tmp_path: Path) -> None:
    entries = [
        {"task": "report_generation", "source": "mimic_cxr", "views": ["PA"]},
        {"task": "abnormality_classification", "source": "mimic_cxr", "semantics": {"uncertain_as": "negative"}},
    ]
    card = build_world(world, world_settings | {"splits": {"train": entries}}, tmp_path)
    assert kept(card, "train") == {"mimic_cxr/report_generation": 37, "mimic_cxr/abnormality_classification": 75}
    assert card.labels["train"]["abnormality_classification"] == {"effusion": 75}
    assert card.labels["train"]["report_generation"] == {"edema": 37, "effusion": 37}  # uncertain on odd films: the PA
    assert {(told["reason"], told["count"]) for told in card.skipped["train"]} == {("view that is not PA", 38)}


@given(st.randoms(use_true_random=False), st.integers(0, 3))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_shuffled_files_do_not_depend_on_the_order_of_reading(
    world: Any, world_settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory, rng: Any, seed: int
) -> None:
    first = build_world(world, world_settings, tmp_path_factory.mktemp("a"), seed)
    for films in world.films.values():
        for found in films.values():
            rng.shuffle(found)
    assert build_world(world, world_settings, tmp_path_factory.mktemp("b"), seed).sha256 == first.sha256
    other = build_world(world, world_settings, tmp_path_factory.mktemp("c"), seed + 1)
    assert not set(other.sha256.values()) & set(first.sha256.values())


def test_shuffled_pairs_of_a_thinned_entry_stand_all_over_the_file(
    world: Any, world_settings: dict[str, Any], tmp_path: Path
) -> None:
    build_world(world, world_settings, tmp_path)
    pairs = examples(tmp_path, "train")
    places = [place for place, pair in enumerate(pairs) if pair.task == "anatomical_grounding"]
    assert min(places) < len(pairs) / 4 and max(places) > len(pairs) * 3 / 4
    assert sum(places) / len(places) == pytest.approx(len(pairs) / 2, rel=0.35)


def test_a_smaller_mixture_of_the_same_seed_is_a_part_of_the_larger(
    world: Any, world_settings: dict[str, Any], tmp_path: Path
) -> None:
    build_world(world, world_settings, tmp_path / "large")
    card = build_world(world, world_settings | {"scale": {"train": 0.25}}, tmp_path / "small")
    assert kept(card, "train")["mimic_cxr/report_generation"] == 16  # a quarter of 66, to even
    small, large = (set(map(repr, examples(tmp_path / name, "train"))) for name in ("small", "large"))
    assert small < large
    assert examples(tmp_path / "small", "test") == examples(tmp_path / "large", "test")


@given(st.integers(0, 1000), st.integers(2, 8))
@settings(max_examples=15, deadline=None)
def test_repeats_of_a_question_have_different_ids_and_wordings(seed: int, repeat: int) -> None:
    study = Study("a.png", (9, 9), "p", "a", "vindr_cxr", "train", abnormalities={"mass": (Box(0.1, 0.2, 0.3, 0.4),)})
    pairs = list(build_examples([study], ["abnormality_grounding"], seed, {"abnormality_grounding": repeat}))
    assert len({pair.id for pair in pairs}) == len({(pair.question, pair.answer) for pair in pairs}) == repeat


def test_more_repeats_than_wordings_are_still_built() -> None:
    study = Study("a.png", (9, 9), "p", "a", "vindr_cxr", "train", abnormalities={"mass": (Box(0.1, 0.2, 0.3, 0.4),)})
    options = BuildOptions(templates="compact")
    pairs = list(build_examples([study], ["abnormality_grounding"], 0, {"abnormality_grounding": 5}, options=options))
    assert len({pair.id for pair in pairs}) == 5 and len({pair.answer for pair in pairs}) == 1


def test_datasets_that_are_not_given_are_named_and_can_be_left_out(
    world: Any, world_settings: dict[str, Any], tmp_path: Path
) -> None:
    talk = {"task": "conversation", "source": "mimic_cxr"}
    splits = {"train": [*world_settings["splits"]["train"], talk]}
    del world.films["vindr_cxr"], world.films["ms_cxr"]
    with pytest.raises(MixtureError, match=r"also the datasets vindr_cxr, ms_cxr and folders .* for mimic_cxr/conver"):
        build_world(world, world_settings | {"splits": splits}, tmp_path)
    card = build_world(world, world_settings | {"splits": splits}, tmp_path, allow_missing=True)
    assert card.missing == ["vindr_cxr", "ms_cxr", "mimic_cxr/conversation"]
    assert set(card.datasets) == {"mimic_cxr", "chest_imagenome"}
    assert "Not given, so without their entries: vindr_cxr, ms_cxr" in (tmp_path / "README.md").read_text()
    with pytest.raises(MixtureError, match="expected studies by dataset"):
        build_mixture(world_settings, lambda split: iter(()), tmp_path, 0, progress=False)
    with pytest.raises(MixtureError, match="expected the studies of one dataset"):
        build_mixture("laptop", world.sources(), tmp_path, 0, progress=False)


def test_written_conversations_become_pairs_with_all_their_rounds(
    world: Any, world_settings: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "talks" / "validation" / "grounding"
    folder.mkdir(parents=True)
    turns = [{"from": who, "value": f"{who} {n} [0.10, 0.20, 0.30, 0.40]"} for n in (1, 2) for who in ("human", "gpt")]
    (folder / "dicom-0075.json").write_text(json.dumps(turns))
    (folder / "dicom-0076.json").write_text("no JSON")
    entry = {"task": "grounded_conversation", "source": "ms_cxr", "reads": ["validation"], "repeat": 4}
    settings = world_settings | {"splits": {"train": [entry]}, "parquet": True}
    card = build_world(world, settings, tmp_path / "out", conversations={"ms_cxr": tmp_path / "talks"})
    pairs = examples(tmp_path / "out", "train")
    assert len({pair.id for pair in pairs}) == 4 == len(pairs)
    for pair in pairs:
        assert (pair.question, pair.answer) == (turns[0]["value"], turns[1]["value"])
        assert pair.follow_up == ((turns[2]["value"], turns[3]["value"]),)
        assert pair.boxes == (Box(0.1, 0.2, 0.3, 0.4),)
    assert list(read_parquet(tmp_path / "out" / "train.parquet", Example)) == pairs
    assert [(told["reason"], told["count"]) for told in card.skipped["train"]] == [("conversation that is not JSON", 4)]
    with pytest.raises(MixtureError, match="conversations of ms_cxr: expected a folder"):
        build_world(world, settings, tmp_path / "out", conversations={"ms_cxr": tmp_path / "nowhere"})


def test_a_killed_build_goes_on_with_the_datasets_it_had_not_read(
    world: Any, world_settings: dict[str, Any], tmp_path: Path
) -> None:
    whole = build_world(world, world_settings, tmp_path / "whole", fingerprint="data 1")
    world.calls.clear()
    sources = world.sources()

    def killed(split: str) -> Iterator[Study]:
        yield world.films["vindr_cxr"][split][0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_mixture(world_settings, sources | {"vindr_cxr": killed}, tmp_path / "out", 0, False, fingerprint="data 1")
    assert [call[:2] for call in world.calls] == [("mimic_cxr", "train"), ("chest_imagenome", "train")]
    world.calls.clear()
    assert build_world(world, world_settings, tmp_path / "out", fingerprint="data 1").sha256 == whole.sha256
    assert ("mimic_cxr", "train") not in [call[:2] for call in world.calls] and len(world.calls) == 7
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "README.md",
        "card.json",
        "test.jsonl",
        "train.jsonl",
    ]


def test_the_full_mixture_has_the_papers_counts_when_its_datasets_do(tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "mixture.py"
    spec = importlib.util.spec_from_file_location("mixture_benchmark", script)
    assert spec is not None and spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    sys.modules["mixture_benchmark"] = benchmark
    spec.loader.exec_module(benchmark)
    scale = 1 / 250
    talks = benchmark.write_conversations(tmp_path / "talks", scale)
    sources = {name: benchmark.Generated(name, scale) for name, _ in benchmark.FILMS}
    settings = {"base": "radvlm", "cross_source_leaks": "allow", "parquet": False, "llava": False, "verl": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BuildWarning)
        card = build_mixture(settings, sources, tmp_path / "out", 0, False, conversations=talks)
    for told in card.entries["train"]:
        if told["task"] != "anatomical_grounding":  # 80,000 of 162,794 films: more than this scale has
            assert told["kept"] == pytest.approx(told["paper"] * scale, abs=told["repeat"] * 2), told
