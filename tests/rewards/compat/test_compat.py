"""Patches: applied once, only where needed, reversible to look at; a missing package is named."""

import sys
import types
import warnings

import pytest

from radvlm_course.rewards import compat
from radvlm_course.rewards.base import RewardError


@pytest.fixture
def package(monkeypatch):
    """A module with a function to patch."""
    module = types.ModuleType("some_metric_package")
    module.answer = lambda: 1
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def patch(needed: bool) -> compat.Patch:
    return compat.Patch("some_metric_package:answer", "it is wrong", lambda: needed, lambda old: lambda: old() + 1)


def test_a_needed_patch_is_applied_once(package) -> None:
    assert compat.apply([patch(True)]) == ["some_metric_package:answer"]
    assert compat.apply([patch(True)]) == ["some_metric_package:answer"]
    assert package.answer() == 2
    assert compat.original(patch(True))() == 1


def test_a_patch_that_is_not_needed_leaves_the_package_alone(package) -> None:
    before = package.answer
    assert compat.apply([patch(False)]) == []
    assert package.answer is before


def test_a_missing_package_names_the_extra_that_brings_it() -> None:
    with pytest.raises(RewardError, match=r"'no_such_metric'.*\[metrics\]"):
        compat.import_package("no_such_metric.part")


def test_a_package_cannot_silence_the_warnings_of_others(tmp_path, monkeypatch) -> None:
    (tmp_path / "silencing_metric.py").write_text("import warnings\nwarnings.filterwarnings('ignore')\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = list(warnings.filters)
    compat.import_package("silencing_metric")
    assert warnings.filters == before
