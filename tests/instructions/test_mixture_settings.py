"""Settings of mixtures: the paper's table, amounts, several datasets, and messages that say what is wrong."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.instructions import Mixture, MixtureError, TaskAmount, load_mixture
from radvlm_course.instructions.mixture_settings import MIXTURES, wanted_counts
from radvlm_course.sources.catalogue import CATALOGUE

# (task, dataset) -> pairs, multiplier: the table of RadVLM's instruction set.
PAPER = {
    ("report_generation", "mimic_cxr"): (230_980, 1),
    ("report_generation", "chexpert_plus"): (186_463, 1),
    ("abnormality_classification", "mimic_cxr"): (237_912, 1),
    ("abnormality_classification", "chexpert"): (191_027, 1),
    ("anatomical_grounding", "chest_imagenome"): (80_000, 1),
    ("abnormality_grounding", "vindr_cxr"): (16_089, 3),
    ("abnormality_detection", "vindr_cxr"): (15_000, 2),
    ("phrase_grounding", "ms_cxr"): (971, 3),
    ("phrase_grounding", "padchest_gr"): (4_478, 2),
    ("conversation", "mimic_cxr"): (86_155, 1),
    ("grounded_conversation", "ms_cxr"): (862, 4),
    ("grounded_conversation", "padchest_gr"): (2_225, 4),
}
PAPER_TEST = {
    ("report_generation", "mimic_cxr"): 3_314,
    ("abnormality_classification", "chexpert"): 518,
    ("anatomical_grounding", "chest_imagenome"): 2_000,
    ("abnormality_grounding", "vindr_cxr"): 2_108,
    ("phrase_grounding", "ms_cxr"): 189,
    ("conversation", "mimic_cxr"): 500,
    ("grounded_conversation", "ms_cxr"): 155,
}


def test_radvlm_has_the_entries_and_the_total_of_the_papers_table() -> None:
    mixture = load_mixture("radvlm")
    entries = {(entry.task, entry.source): (entry.paper_pairs, entry.repeat) for entry in mixture.entries("train")}
    assert entries == PAPER
    assert sum(pairs * repeat for pairs, repeat in PAPER.values()) == 1_115_021
    tested = {(entry.task, entry.source): entry.paper_pairs for entry in mixture.entries("test")}
    assert {key: count for key, count in tested.items() if count} == PAPER_TEST
    assert mixture.cross_source_leaks == "leave_out" and mixture.order == "shuffled"


@pytest.mark.parametrize("name", sorted(path.stem for path in MIXTURES.glob("*.yaml")))
def test_every_packaged_mixture_loads_and_names_known_datasets(name: str) -> None:
    mixture = load_mixture(name)
    assert mixture.name == name
    assert set(mixture.sources()) | set(mixture.reader_options) <= set(CATALOGUE)


def test_the_small_mixtures_are_their_bases_but_for_scale() -> None:
    small, large = load_mixture("radvlm_small"), load_mixture("radvlm")
    assert small.splits == large.splits and small.scale == {"train": 0.05, "test": 0.1}
    assert load_mixture("open_data_small").entries("train") == load_mixture("open_data").entries("train")


def test_a_base_beside_the_file_is_found_and_changed(tmp_path: Path) -> None:
    (tmp_path / "first.yaml").write_text("name: first\nsplits: {train: {report_generation: {}}}\nverl: true\n")
    (tmp_path / "second.yaml").write_text("base: first.yaml\nname: second\nverl: false\n")
    second = load_mixture(tmp_path / "second.yaml")
    assert (second.name, second.verl, second.splits) == ("second", False, load_mixture(tmp_path / "first.yaml").splits)
    (tmp_path / "first.yaml").write_text("base: second.yaml\n")
    with pytest.raises(MixtureError, match="expected a base that does not lead back here"):
        load_mixture(tmp_path / "second.yaml")


def test_both_forms_give_entries_and_only_one_names_datasets() -> None:
    one = load_mixture({"name": "m", "splits": {"train": {"conversation": {"repeat": 2}}}})
    (entry,) = one.entries("train")
    assert (entry.task, entry.repeat, entry.key, one.sources()) == ("conversation", 2, "conversation", ())
    entries = [{"task": "conversation", "source": "ms_cxr"}, {"task": "phrase_grounding", "source": "vindr_cxr"}]
    several = load_mixture({"name": "m", "splits": {"train": entries}})
    assert several.sources() == ("ms_cxr", "vindr_cxr")
    assert [entry.key for entry in several.without(["ms_cxr"]).entries("train")] == ["vindr_cxr/phrase_grounding"]
    assert several.without(["vindr_cxr/phrase_grounding"]).sources() == ("ms_cxr",)


A = {"task": "conversation", "source": "a"}


def train(*entries: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {"name": "m", "splits": {"train": [A | entry for entry in entries]}} | others


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
        (
            {"name": "m", "splits": {"train": 3}},
            "splits.train: expected tasks with amounts or a list of entries, found 3",
        ),
        (
            {"name": "m", "splits": {"train": {"conversation": {"repeat": "3"}}}},
            "conversation.repeat must be of type int",
        ),
        ({"name": "m", "splits": {"train": {}}, "verl": "yes"}, "verl: expected true or false, found 'yes'"),
        ({"name": "m", "splits": {"train": {}}, "ordre": "x"}, r"unknown key ordre \(did you mean order\?\)"),
        ({"name": "m", "splits": {"train": {}}, "order": "random"}, "order: expected one of reading, shuffled"),
        ({"name": "m", "splits": {"train": {}}, "scale": {"test": 0.5}}, "scale: expected split"),
        ({"name": "m", "splits": {"train": {}}, "scale": {"train": 0}}, "a fraction above 0 up to 1, found train: 0"),
        (train({"task": "captions"}), r"splits.train\[0\].task must be one of .*'captions'"),
        (train({"veiws": ["PA"]}), r"unknown key splits.train\[0\].veiws \(did you mean views\?\)"),
        (train({"views": ["oblique"]}), "must be one of PA, AP, lateral; found 'oblique'"),
        (train({"reads": ["dev"]}), "must be one of train, validation, test; found 'dev'"),
        (train({"samples": 0}), "repeat and samples: expected at least 1"),
        (train({"semantics": {"uncertain_as": "maybe"}}), "train: a/conversation: semantics: uncertain_as: expected"),
        (train({"semantics": {"doubt": "yes"}}), "a/conversation: semantics: .*doubt"),
        (train({}, {}), "expected each task of a dataset once, found a/conversation several times"),
        (train({}, {"task": "phrase_grounding", "source": ""}), "a source in every entry or in none, found both"),
        (
            {"name": "m", "splits": {"train": [{**A, "reads": ["train", "test"]}], "test": [A]}},
            "the dataset's split 'test' in one split of the mixture, found it in train and test",
        ),
    ],
)
def test_senseless_settings_are_refused(content: dict[str, Any], message: str) -> None:
    with pytest.raises(MixtureError, match=message):
        load_mixture(content)


def test_an_unknown_mixture_lists_the_packaged_ones() -> None:
    with pytest.raises(MixtureError, match="laptop"):
        load_mixture("desktop")
    assert isinstance(load_mixture("laptop"), Mixture)


def test_broken_yaml_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("name: m\nsplits: {train: [\n")
    with pytest.raises(MixtureError, match=r"broken\.yaml: expected a readable YAML file, found"):
        load_mixture(path)
    path.write_text("name: m\nname: n\nsplits: {}\n")
    with pytest.raises(MixtureError, match=r"line 2: the key 'name' is given twice"):
        load_mixture(path)
    path.write_text("- a list\n")
    with pytest.raises(MixtureError, match=r"broken\.yaml: expected keys with values, found list"):
        load_mixture(path)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["train", "test", "task", "source", "conversation", "repeat", "x"]), inner, max_size=3
            )
        ),
        max_leaves=8,
    )
)
def test_any_splits_are_accepted_or_refused_with_a_mixture_error(splits: Any) -> None:
    with contextlib.suppress(MixtureError):
        assert load_mixture({"name": "m", "splits": splits}).splits


def test_scale_takes_a_fraction_of_each_before_the_shares() -> None:
    amounts = {"a": TaskAmount(), "b": TaskAmount(samples=100), "c": TaskAmount(share=0.5)}
    assert wanted_counts({"a": 200, "b": 1000, "c": 900}, amounts, 0.1) == {"a": 20, "b": 10, "c": 30}
    assert wanted_counts({"a": 3, "b": 0, "c": 0}, amounts, 0.01) == {"a": 1, "b": 0, "c": 0}
