"""The command makes what its options say, and stores it if asked."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from radvlm_course.general_base import command, making, shipped


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list:
    """Making is tested elsewhere; here it only notes what it was asked for."""
    calls: list = []

    def make(output: Path, profile, settings, text: str, progress: bool) -> Path:
        calls.append((output, profile.name, settings, text, progress))
        return output / "model"

    made = {"vision": {"parameters": 12}, "processor_seconds": {}, "held_out": {}}
    monkeypatch.setattr(making, "make_general_base", make)
    monkeypatch.setattr(shipped, "check_made", lambda folder: made)
    monkeypatch.setattr(shipped, "store", lambda folder: calls.append(("stored", folder)) or tmp_path)
    return calls


def options(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(words)


def test_the_recorded_command_has_the_seed_and_the_steps_and_no_path(called: list, tmp_path: Path) -> None:
    words = ["--output", str(tmp_path), "--seed", "5", "--vision-steps", "7", "--sft-steps", "9", "--quiet"]
    assert command.run(options(*words)) == 0
    ((output, profile, settings, text, progress),) = called
    assert (output, profile, progress) == (tmp_path, "laptop", False)
    assert (settings.seed, settings.vision_steps, settings.sft_steps) == (5, 7, 9)
    assert text == "python -m radvlm_course general-base --seed 5 --vision-steps 7 --sft-steps 9"


def test_the_defaults_are_those_of_the_settings(called: list) -> None:
    command.run(options())
    assert called[0][2] == making.GeneralBaseSettings()


def test_it_is_stored_only_if_asked(called: list, tmp_path: Path) -> None:
    command.run(options("--output", str(tmp_path)))
    assert len(called) == 1
    command.run(options("--output", str(tmp_path), "--store"))
    assert called[-1] == ("stored", tmp_path / "model")
