"""Mixtures on disk: amounts, digests, resuming, and no patient or image in two splits."""

import dataclasses
import importlib.util
import json
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.instructions import (
    BuildWarning,
    LeakError,
    Mixture,
    MixtureCard,
    MixtureError,
    TaskAmount,
    build_mixture,
    load_mixture,
)
from radvlm_course.instructions.mixture_settings import wanted_counts
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


@pytest.mark.parametrize(
    ("shares", "available", "expected"),
    [
        ((0.35, 0.5, 0.15), (100, 300, 900), (100, 143, 43)),
        ((0.35, 0.5, 0.15), (300, 100, 900), (70, 100, 30)),
        ((None, None, 0.2), (50, 30, 900), (50, 30, 20)),
        ((None, None, 0.2), (50, 30, 5), (50, 30, 5)),
        ((None, None, None), (50, 30, 5), (50, 30, 5)),
        ((0.35, 0.5, 0.15), (0, 100, 0), (0, 100, 0)),
        ((None, 0.5, 0.2), (0, 100, 10), (0, 25, 10)),
        ((None, 0.5, 0.2), (0, 0, 0), (0, 0, 0)),
    ],
)
def test_shares_are_kept_by_thinning(
    shares: tuple[float | None, ...], available: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    amounts = {str(index): TaskAmount(share=share) for index, share in enumerate(shares)}
    counts = wanted_counts({str(index): count for index, count in enumerate(available)}, amounts)
    assert tuple(counts.values()) == expected


@given(
    st.lists(
        st.tuples(st.integers(0, 500), st.one_of(st.none(), st.floats(0.01, 0.2))),
        min_size=1,
        max_size=4,
    )
)
def test_never_more_is_wanted_than_there_is(tasks: list[tuple[int, float | None]]) -> None:
    amounts = {str(index): TaskAmount(share=share) for index, (_, share) in enumerate(tasks)}
    available = {str(index): count for index, (count, _) in enumerate(tasks)}
    counts = wanted_counts(available, amounts)
    assert all(0 <= counts[task] <= available[task] for task in available)
    assert all(counts[task] == available[task] for task, amount in amounts.items() if amount.share is None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"name": "m"}, "expected name, splits"),
        ({"name": "m", "splits": {}}, "found none"),
        ({"name": "m", "splits": {"dev": {}}}, "expected some of train, validation, test; found dev"),
        ({"name": "m", "splits": {"train": {"captions": {}}}}, "found captions"),
        ({"name": "m", "splits": {"train": {"conversation": {"amount": 3}}}}, "amount"),
        ({"name": "m", "splits": {"train": {"conversation": {"share": 2}}}}, "between 0 and 1"),
        ({"name": "m", "splits": {"train": {"conversation": {"share": 0.5}}}}, "to sum to 1, found 0.5"),
        ({"name": "m", "splits": {"train": {}}, "colour": 1}, "colour"),
        ({"name": "m", "splits": {"train": {}}, "image_check": "eyes"}, "image_check"),
        ({"name": "m", "splits": {"train": {}}, "semantics": {"uncertain_as": "maybe"}}, "maybe"),
    ],
)
def test_senseless_settings_are_refused(content: dict[str, Any], message: str) -> None:
    with pytest.raises(MixtureError, match=message):
        load_mixture(content)


def test_an_unknown_mixture_lists_the_packaged_ones() -> None:
    with pytest.raises(MixtureError, match="laptop"):
        load_mixture("desktop")
    assert isinstance(load_mixture("laptop"), Mixture)


def test_the_command_builds_a_mixture_from_a_dataset_on_disk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    from radvlm_course.boxes import Box
    from radvlm_course.phantoms.layouts import write_nih_chestxray14_layout

    studies = []
    for number in range(8):
        path = tmp_path / f"{number}.png"
        Image.new("L", (32, 32), number * 9).save(path)
        split = "test" if number > 5 else "train"
        boxes = {"mass": (Box(0.1, 0.2, 0.5, 0.6),)}
        studies.append(Study(str(path), (32, 32), f"p{number}", f"s{number}", "phantom", split, abnormalities=boxes))
    write_nih_chestxray14_layout(studies, tmp_path / "nih")
    script = Path(__file__).parents[2] / "data_scripts" / "build_mixture.py"
    spec = importlib.util.spec_from_file_location("build_mixture_script", script)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    arguments = ["--source", "nih_chestxray14", "--root", str(tmp_path / "nih"), "--output", str(tmp_path / "out")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module.main([*arguments, "--quiet"])
    assert re.search(r"test +abnormality_grounding +2 ", capsys.readouterr().out)
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["read"]["test"]["read"] == 2
    assert (
        card["examples"]["train"]["abnormality_grounding"]
        + card["examples"]["validation"].get("abnormality_grounding", 0)
        == 6
    )
