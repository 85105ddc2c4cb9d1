"""evaluate score and evaluate table from the command line, on predictions that are written here: no model, no torch."""

import json

import pytest

from radvlm_course.boxes import Box, format_box
from radvlm_course.cli import main
from radvlm_course.evaluation.predictions import Prediction, PredictionWriter
from radvlm_course.evaluation.shards import Shard
from radvlm_course.records import Example, write_jsonl

BOX, FAR = Box(0.1, 0.1, 0.4, 0.4), Box(0.6, 0.6, 0.9, 0.9)
PHRASES = [
    Example(f"g{n}", "phrase_grounding", "a.png", "q", "a", (BOX,), source=source, patient_id=f"p{n}")
    for n, source in enumerate(["ms_cxr"] * 8 + ["padchest_gr"] * 4)
]
REPORTS = [
    Example(f"r{n}", "report_generation", "a.png", "q", "No effusion.", source="mimic_cxr", patient_id=f"p{n}")
    for n in range(6)
]
EXAMPLES = PHRASES + REPORTS


@pytest.fixture
def examples_file(tmp_path):
    write_jsonl(EXAMPLES, tmp_path / "test.jsonl")
    return tmp_path / "test.jsonl"


def answer(folder, model, right=6, shards=1):
    for index in range(shards):
        shard = Shard(index, shards)
        with PredictionWriter(folder / shard.file_name) as writer:
            for number, example in enumerate(EXAMPLES):
                text = format_box(BOX if number < right else FAR) if example.boxes else "Small effusion."
                if shard.holds(example.id):
                    writer.write(Prediction(example.id, text, text, model, {}, "stop"))
    return folder


def score(examples_file, output, *predictions, more=()):
    arguments = ["evaluate", "score", "--examples", str(examples_file), "--output", str(output), "--no-coco"]
    return main([*arguments, "--resamples", "50", "--predictions", *map(str, predictions), *more])


def test_folders_of_shards_and_files_are_scored_alike(examples_file, tmp_path):
    whole, parts = answer(tmp_path / "whole", "m"), answer(tmp_path / "parts", "m", shards=3)
    for name, place in (("a", whole), ("b", parts), ("c", whole / "predictions.jsonl")):
        assert score(examples_file, tmp_path / name, place) == 0
    for name in ("scores.json", "per_example.jsonl"):
        assert len({(tmp_path / place / "m" / name).read_bytes() for place in "abc"}) == 1


def test_scores_say_what_they_are_of_and_a_leaderboard_is_written(examples_file, tmp_path, capsys):
    one, two = answer(tmp_path / "one", "org/m 1", right=2), answer(tmp_path / "two", "better", right=12)
    (one / "settings.json").write_text('{"model": {"name": "org/m 1"}}')
    assert score(examples_file, tmp_path / "scores", one, two) == 0
    board = (tmp_path / "scores" / "leaderboard.md").read_text()
    assert board in capsys.readouterr().out
    assert "| place | model | mAP@0.5 ↑ | mAP@0.5 (paper-compatible) ↑ | soft-F1 ↑ |" in board
    assert "| 1 | better | 1.000 [1.000, 1.000] |" in board and "| 2 | org/m 1 |" in board
    assert "**report generation**" in board and "| 1-2 | better |" in board
    about = json.loads((tmp_path / "scores" / "org_m 1" / "about.json").read_text())
    assert about["sources"] == {
        "phrase_grounding": {"ms_cxr": 8, "padchest_gr": 4},
        "report_generation": {"mimic_cxr": 6},
    }
    assert about["settings"] == {"model": {"name": "org/m 1"}} and about["examples"]["count"] == 18
    assert json.loads((tmp_path / "scores" / "better" / "about.json").read_text())["settings"] is None


@pytest.mark.parametrize(
    ("more", "left"),
    [
        (["--tasks", "phrase_grounding"], {"phrase_grounding": 12}),
        (["--sources", "padchest_gr", "mimic_cxr"], {"phrase_grounding": 4, "report_generation": 6}),
        (["--limit", "2"], {"phrase_grounding": 2, "report_generation": 2}),
    ],
    ids=["tasks", "sources", "limit"],
)
def test_a_part_of_the_examples_is_scored_from_predictions_of_all(examples_file, tmp_path, more, left):
    assert score(examples_file, tmp_path / "scores", answer(tmp_path / "out", "m"), more=more) == 0
    counts = json.loads((tmp_path / "scores" / "m" / "scores.json").read_text())["counts"]
    assert {task: found["examples"] for task, found in counts.items()} == left


def test_what_cannot_be_scored_is_refused_with_a_reason(examples_file, tmp_path, capsys):
    out = answer(tmp_path / "out", "m")
    assert score(examples_file, tmp_path / "s", out, more=["--sources", "vindr_cxr"]) == 1
    assert "no example is of them; there are examples of mimic_cxr, ms_cxr, padchest_gr" in capsys.readouterr().err
    assert score(examples_file, tmp_path / "s", out, more=["--tasks", "conversation"]) == 1
    assert "expected examples of conversation; there are" in capsys.readouterr().err
    assert score(examples_file, tmp_path / "s", out, out) == 1
    assert "its model 'm' was scored before" in capsys.readouterr().err
    assert score(examples_file, tmp_path / "s", out, more=["--reference", "other"]) == 1
    assert "expected the reference among m; found 'other'" in capsys.readouterr().err
    lines = (out / "predictions.jsonl").read_bytes().splitlines(keepends=True)
    (out / "predictions.jsonl").write_bytes(b"".join(lines[:-1]))
    assert score(examples_file, tmp_path / "s", out) == 1
    assert "1 of 18 examples have no prediction: r5" in capsys.readouterr().err
    (out / "predictions.jsonl").write_bytes(b"".join([lines[0], b"{}\n", *lines[2:]]))
    assert score(examples_file, tmp_path / "s", out) == 1
    assert "predictions.jsonl, line 2: expected the fields" in capsys.readouterr().err


def test_a_table_beside_the_paper_in_three_formats(examples_file, tmp_path, capsys):
    out = answer(tmp_path / "out", "m")
    score(examples_file, tmp_path / "scores", out, more=["--sources", "ms_cxr"])
    capsys.readouterr()
    table = ["evaluate", "table", "--table", "2", "--scores", str(tmp_path / "scores" / "m" / "scores.json")]
    assert main(table) == 0
    assert "| m | ours: ms_cxr | n/a | n/a | 75.0 [" in (markdown := capsys.readouterr().out)
    assert "n = 8" in markdown and "evaluate score --sources padchest_gr" in markdown
    assert main([*table, "--format", "latex", "--output", str(tmp_path / "new" / "t.tex")]) == 0
    assert "m (ours: ms\\_cxr) & n/a & n/a & 75.0" in (tmp_path / "new" / "t.tex").read_text()
    assert main([*table, "--format", "picture", "--output", str(tmp_path / "pictures" / "t.png")]) == 0
    assert (tmp_path / "pictures" / "t.png").read_bytes().startswith(b"\x89PNG")
    assert main([*table, "--format", "picture"]) == 1
    assert "a picture needs --output FILE ending in .png" in capsys.readouterr().err
    assert main(["evaluate", "table", "--table", "1", *table[4:]]) == 1
    assert "m has none of the numbers of table 1" in capsys.readouterr().err


def test_reports_stand_in_the_papers_first_table(examples_file, tmp_path, capsys):
    score(examples_file, tmp_path / "scores", answer(tmp_path / "out", "m"))
    capsys.readouterr()
    assert main(["evaluate", "table", "--table", "1", "--scores", str(tmp_path / "scores" / "m")]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| m |")]
    # "Small effusion." against "No effusion.": one of two words is right, F = 2 * (1/2 * 1/2) / (1/2 + 1/2)
    assert line.startswith("| m | ours: mimic_cxr | n/a | 50.0 [50.0, 50.0], n = 6 | n/a |")


@pytest.mark.parametrize("number", ["1", "2", "3"])
def test_without_scores_the_papers_rows_are_printed(number, capsys):
    assert main(["evaluate", "table", "--table", number]) == 0
    assert f"**Table {number} of the paper:" in capsys.readouterr().out
