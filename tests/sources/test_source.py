"""A dataset in a folder: options given once and at each call, and what its reader does not have."""

import pickle
from pathlib import Path

import pytest

from radvlm_course.phantoms.layouts import write_nih_chestxray14_layout
from radvlm_course.records import Study
from radvlm_course.sources import Source, SourceError


@pytest.fixture
def root(studies: list[Study], tmp_path: Path) -> Path:
    write_nih_chestxray14_layout(studies, tmp_path / "nih")
    return tmp_path / "nih"


def test_options_of_a_call_reach_the_reader_but_those_given_before_win(root: Path) -> None:
    def mentioned(source: Source, **options: object) -> int:
        return len(next(iter(source("test", **options))).findings)

    assert mentioned(Source("nih_chestxray14", root), unlisted_as="not mentioned") == 1
    assert mentioned(Source("nih_chestxray14", root)) > 1
    fixed = Source("nih_chestxray14", root, unlisted_as="absent")
    assert mentioned(fixed, unlisted_as="not mentioned") > 1


def test_an_option_that_the_reader_lacks_is_refused_with_those_it_has(root: Path) -> None:
    with pytest.raises(
        SourceError, match=r"nih_chestxray14: unknown option colour; its reader has seed, .*check_images"
    ):
        Source("nih_chestxray14", root, colour="red")
    with pytest.raises(SourceError, match="unknown option report"):
        Source("nih_chestxray14", root)("test", report=None)
    assert Source("phantom", root).has_option("check_images") and not Source("phantom", root).has_option("root")


def test_a_source_can_be_sent_to_another_process(root: Path) -> None:
    source = pickle.loads(pickle.dumps(Source("nih_chestxray14", root, check_images=False)))
    assert [study.split for study in source("test")] == ["test"] and source.reports["test"].read == 1
