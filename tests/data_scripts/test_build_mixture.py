"""The command that builds a mixture, from one dataset and from several."""

import importlib.util
import json
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from radvlm_course.boxes import Box
from radvlm_course.phantoms.layouts import write_chestx_det_layout, write_nih_chestxray14_layout
from radvlm_course.records import Study

SCRIPT = Path(__file__).parents[2] / "data_scripts" / "build_mixture.py"


def run(*arguments: object) -> None:
    spec = importlib.util.spec_from_file_location("build_mixture_script", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module.main([*map(str, arguments), "--quiet"])


@pytest.fixture
def studies(tmp_path: Path) -> list[Study]:
    made = []
    for number in range(8):
        path = tmp_path / f"{number}.png"
        Image.new("L", (32, 32), number * 9).save(path)
        split = "test" if number > 5 else "train"
        boxes = {"mass": (Box(0.1, 0.2, 0.5, 0.6),)}
        made.append(Study(str(path), (32, 32), f"p{number}", f"s{number}", "phantom", split, abnormalities=boxes))
    return made


def card_of(folder: Path) -> Any:
    return json.loads((folder / "card.json").read_text())


def test_one_dataset_on_disk(studies: list[Study], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_nih_chestxray14_layout(studies, tmp_path / "nih")
    run("--source", "nih_chestxray14", "--root", tmp_path / "nih", "--output", tmp_path / "out")
    assert re.search(r"test +abnormality_grounding +2 ", capsys.readouterr().out)
    card = card_of(tmp_path / "out")
    assert card["read"]["test"]["read"] == 2
    assert (
        card["examples"]["train"]["abnormality_grounding"]
        + card["examples"]["validation"].get("abnormality_grounding", 0)
        == 6
    )
    assert card["datasets"]["nih_chestxray14"]["licence"].startswith("NIH Clinical Center")


def test_several_datasets_of_open_data_and_what_is_missing(
    studies: list[Study], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_nih_chestxray14_layout(studies, tmp_path / "nih")
    write_chestx_det_layout(studies, tmp_path / "det")
    roots = ["--root", f"nih_chestxray14={tmp_path / 'nih'}", "--root", f"chestx_det={tmp_path / 'det'}"]
    common = ["--mixture", "open_data", *roots, "--output", tmp_path / "out", "--set", "verl=false"]
    with pytest.raises(SystemExit):
        run(*common)
    assert "expected also the datasets open_i, rsna_pneumonia, tbx11k" in capsys.readouterr().err
    run(*common, "--allow-missing", "--option", "chestx_det.check_images=true")
    out = capsys.readouterr().out
    assert re.search(r"train +abnormality_detection +chestx_det +\d+ ", out) and "not given: open_i" in out
    card = card_of(tmp_path / "out")
    assert card["missing"] == ["open_i", "rsna_pneumonia", "tbx11k"] and not card["settings"]["verl"]
    # The same films in the same order: both layouts give a film the same patient, so nothing stands in two splits.
    assert not card["overlaps"] and not card["unchecked"]
    assert set(card["read"]) >= {"nih_chestxray14 train", "chestx_det train", "chestx_det test"}


def test_datasets_in_one_folder_are_found_and_a_change_or_a_move_is_built_anew(
    studies: list[Study], tmp_path: Path
) -> None:
    write_nih_chestxray14_layout(studies, tmp_path / "data" / "nih_chestxray14")
    write_chestx_det_layout(studies, tmp_path / "data" / "chestx_det")
    common = ["--mixture", "open_data", "--output", tmp_path / "out", "--allow-missing", "--set", "verl=false"]

    def fingerprint(folder: Path) -> str:
        run(*common, "--root", folder)
        return str(card_of(tmp_path / "out")["settings"]["fingerprint"])

    first = fingerprint(tmp_path / "data")
    assert set(card_of(tmp_path / "out")["datasets"]) == {"nih_chestxray14", "chestx_det"}
    table = tmp_path / "data" / "chestx_det" / "ChestX_Det_train.json"
    table.write_text(table.read_text().replace("0", "1", 1))
    second = fingerprint(tmp_path / "data")
    (tmp_path / "data").rename(tmp_path / "moved")
    third = fingerprint(tmp_path / "moved")
    assert len({first, second, third}) == 3
    assert f"{tmp_path}/moved/" in (tmp_path / "out" / "train.jsonl").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected the folder of at least one dataset (open_i"),
        (["--root", "no_such_set=x"], "expected some of phantom"),
        (["--root", "nih_chestxray14"], "expected a folder with a sub-folder for each dataset at nih_chestxray14"),
        (["--root", "here", "--root", "there"], "expected one --root FOLDER, found 2"),
        (["--set", "order"], "--set order: expected NAME=VALUE"),
        (["--set", "order=random"], "order: expected one of reading, shuffled"),
        (["--set", "order=["], "expected a value, found '['"),
        (["--root", "open_i=x", "--option", "phantom.seed=1"], "that are read (open_i) only, found phantom"),
        (["--root", "open_i=x", "--option", "open_i.colour=red"], "open_i: unknown option colour; its reader has"),
        (["--source", "phantom"], "expected one --root FOLDER for phantom, found 0"),
        (["--mixture", "nothing"], "expected a YAML file or one of laptop"),
        (["--mixture", "laptop", "--root", "x"], "laptop: a mixture of one dataset; name it with --source"),
    ],
)
def test_wrong_arguments_are_explained(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as error:
        run("--mixture", "open_data", "--output", tmp_path / "out", *arguments)
    assert error.value.code == 2 and message in capsys.readouterr().err
