"""The command that writes traces: estimate, run, filters, mixture; killed and started again; what it refuses."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from radvlm_course.boxes import Box, format_box
from radvlm_course.chat import join_thought
from radvlm_course.records import Example, read_jsonl, write_jsonl

ROOT = Path(__file__).parents[2]
BOX = Box(0.1, 0.55, 0.38, 0.9)
THOUGHT = (
    "Heart: its width is about 0.46 of the chest, of normal size. Right lung: upper and middle zones are dark, with "
    "vessels up to the edge; at the base there is a white area that rises along the chest wall in a curve, and the "
    "right costophrenic angle is blunted by this meniscus. Left lung: all zones are dark, the left angle is sharp. "
    "No line parallel to the chest wall is seen. So there is fluid in the right pleural space: a right pleural "
    "effusion."
)
GOOD = join_thought(THOUGHT, format_box(BOX))


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A mixture of 12 grounding questions and a conversation, about films in ``tmp_path / "films"``."""
    return write_examples(tmp_path, 12)


def write_examples(folder: Path, count: int) -> Path:
    (folder / "films").mkdir()
    examples = []
    for number in range(count):
        Image.new("L", (40, 30), number).save(folder / "films" / f"{number}.png")
        examples.append(
            Example(
                f"phantom/study-{number}/pleural effusion/0",
                "abnormality_grounding",
                f"{number}.png",
                f"Where is the pleural effusion of study-{number}?",
                format_box(BOX),
                (BOX,),
                ("pleural effusion",),
                "phantom",
                f"p{number}",
                f"study-{number}",
            )
        )
    examples.append(
        Example("talk", "conversation", "0.png", "What is it?", "A film.", source="phantom", patient_id="p0")
    )
    write_jsonl(examples, folder / "train.jsonl")
    return folder / "train.jsonl"


def options(folder: Path, url: str, *more: str) -> list[str]:
    named = ["--examples", str(folder / "train.jsonl"), "--image-root", str(folder / "films")]
    return [*named, "--output", str(folder / "out"), "--url", url, "--model", "m", "--quiet", "--tries", "2", *more]


def test_it_estimates_asks_runs_collects_and_mixes(written, tmp_path, start_model, reply, script, capsys) -> None:
    model, main = start_model(lambda *_: reply(GOOD)), script("write_thinking_traces").main
    prices = tmp_path / "prices.yaml"
    prices.write_text("currency: USD\nmodels:\n  m: {input_per_million: 1000, output_per_million: 0}\n")
    assert main(options(tmp_path, model.url, "--estimate", "--prices", str(prices))) == 0
    small = capsys.readouterr().out
    elsewhere = ["--output", str(tmp_path / "large")]
    assert main(options(tmp_path, model.url, "--estimate", "--longest-side", "2048", *elsewhere)) == 0
    large = capsys.readouterr().out
    assert tokens_in(large) - tokens_in(small) == 12 * (64 * 64 - 32 * 32)  # the pictures
    with pytest.raises(SystemExit, match=r"add --yes if you agree\. Nothing was done"):
        main(options(tmp_path, model.url))
    assert not model.requests and not (tmp_path / "out" / "traces.jsonl").exists()
    assert main(options(tmp_path, model.url, "--yes", "--limit", "4")) == 0
    assert main(options(tmp_path, model.url, "--yes", "--direct-share", "0.5", "--seed", "3")) == 0
    shown = capsys.readouterr().out
    assert "12 traces accepted" in shown and "24 examples in" in shown and len(model.requests) == 12
    traces = list(read_jsonl(tmp_path / "out" / "traces.jsonl", Example))
    assert len(traces) == 12 and {example.thought for example in traces} == {THOUGHT}
    mixed = list(read_jsonl(tmp_path / "out" / "train.jsonl", Example))
    assert sum(bool(example.thought) for example in mixed) == 12 and len(mixed) == 24
    request = model.requests[0]
    assert request["temperature"] == 0.7 and request["messages"][1]["content"][0]["type"] == "image_url"
    teacher = json.loads((tmp_path / "out" / "provenance.json").read_text())["teachers"]["traces"]
    assert (
        teacher["model"] == "m" and "reading_guide" in teacher["prompts"] and teacher["filters"]["fewest_words"] == 60
    )


def tokens_in(shown: str) -> int:
    return int(shown.partition("calls, about ")[2].partition(" tokens in")[0].replace(",", ""))


def test_replies_can_be_filtered_anew_without_asking(written, tmp_path, start_model, reply, script, capsys) -> None:
    short = join_thought("The right angle is blunted by a meniscus.", format_box(BOX))
    model, main = start_model(lambda *_: reply(short)), script("write_thinking_traces").main
    assert main(options(tmp_path, model.url, "--yes", "--attempts", "1")) == 0
    assert "rejected: 12 x too_short" in capsys.readouterr().out and not (tmp_path / "out" / "traces.jsonl").exists()
    assert main(options(tmp_path, model.url, "--yes", "--words", "5", "500")) == 2
    assert "made with other settings" in capsys.readouterr().out
    assert main(options(tmp_path, model.url, "--collect", "--words", "5", "500")) == 0
    assert "12 traces accepted" in capsys.readouterr().out and len(model.requests) == 12


def test_two_stages_take_two_runs(written, tmp_path, start_model, reply, script) -> None:
    main = script("write_thinking_traces").main
    vision = start_model(lambda *_: reply("<think>Hm, white at the base.</think> [0.11, 0.55, 0.38, 0.90]"))
    two = ["--yes", "--variant", "two_stage"]
    assert main(options(tmp_path, vision.url, *two, "--stage", "draft")) == 0
    assert not (tmp_path / "out" / "traces.jsonl").exists()
    editor = start_model(lambda *_: reply(join_thought(THOUGHT, "[0.11, 0.55, 0.38, 0.90]")))
    assert main(options(tmp_path, editor.url, *two, "--stage", "rewrite")) == 0
    traces = list(read_jsonl(tmp_path / "out" / "traces.jsonl", Example))
    assert len(traces) == 12 and {example.answer for example in traces} == {format_box(BOX)}  # the true one
    teachers = json.loads((tmp_path / "out" / "provenance.json").read_text())["teachers"]
    assert teachers["drafts"]["stage"] == "draft" and teachers["traces"]["stage"] == "rewrite"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--variant", "two_stage"], "--stage: expected draft or rewrite"),
        (["--stage", "draft"], "--stage: expected draft or rewrite"),
        (["--words", "9", "3"], "expected 1 <= fewest_words"),
        (["--longest-side", "3"], "expected a longest side"),
        (["--labeller", "nowhere:f"], "--labeller nowhere:f: expected MODULE:FUNCTION"),
        (["--labeller", "json:nothing"], "--labeller json:nothing: expected MODULE:FUNCTION"),
        (["--url", "nonsense"], "endpoint: expected an address"),
    ],
)
def test_options_that_make_no_sense_are_named(written, tmp_path, script, more, said) -> None:
    with pytest.raises(SystemExit, match=said):
        script("write_thinking_traces").main([*options(tmp_path, "http://127.0.0.1:9/v1", "--yes"), *more])


def test_a_file_that_holds_no_examples_is_named(written, tmp_path, script) -> None:
    written.write_text("{}\n")
    with pytest.raises(SystemExit, match=r"train\.jsonl, line 1"):
        script("write_thinking_traces").main(options(tmp_path, "http://127.0.0.1:9/v1", "--yes"))


def test_credentialed_films_are_refused_before_anything_is_sent_unless_covered(
    written, tmp_path, script, monkeypatch, start_model, reply
) -> None:
    from radvlm_course.language import endpoint

    monkeypatch.setattr(endpoint, "OPEN_SOURCES", frozenset())
    with pytest.raises(SystemExit, match="nothing was sent: data of 'phantom'"):
        script("write_thinking_traces").main(options(tmp_path, "http://192.0.2.1:9/v1", "--yes"))
    assert not (tmp_path / "out").exists()
    model = start_model(lambda *_: reply(GOOD))
    covered = options(tmp_path, model.url, "--yes", "--covered-by-agreement", "DUA 12")
    assert script("write_thinking_traces").main(covered) == 0
    provenance = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert provenance["teachers"]["traces"]["covered_by"] == "DUA 12"


def test_the_exit_status_tells_what_is_missing(written, tmp_path, start_model, reply, script, capsys) -> None:
    model = start_model(lambda study, _: reply(GOOD) if study != "study-3" else reply(status=500))
    assert script("write_thinking_traces").main(options(tmp_path, model.url, "--yes")) == 1
    assert "11 traces accepted, 1 examples without a reply" in capsys.readouterr().out
    lacking = options(tmp_path, model.url, "--collect", "--direct-share", "0.9")
    assert script("write_thinking_traces").main(lacking) == 2
    assert "no mixture was written: a share of 0.9 beside 11 traces takes 99 direct answers" in capsys.readouterr().out
    wrong = start_model(lambda *_: reply(status=404, body=b"no such model"))
    assert script("write_thinking_traces").main(options(tmp_path, wrong.url, "--yes")) == 2


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*.*") if path.is_file()}


def test_killed_twice_nothing_is_lost_and_nothing_doubled(tmp_path, start_model, reply) -> None:
    write_examples(tmp_path, 40)
    bad = f"<think>{THOUGHT} As the label says.</think> {format_box(BOX)}"  # of every fourth the first reply
    model = start_model(lambda study, number: reply(bad if study[-1] in "048" and number == 1 else GOOD, hang=0.05))
    named = options(tmp_path, model.url, "--yes", "--concurrency", "4")
    command = [sys.executable, str(ROOT / "data_scripts" / "write_thinking_traces.py"), *named]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    records, outputs = tmp_path / "out" / "traces.run" / "records", tmp_path / "out" / "traces"
    kept: dict[str, tuple[bytes, int]] = {}
    for enough in (8, 22):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        while len(list(records.rglob("*.json"))) < enough:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert all(json.loads(path.read_text())["outcome"] == "accepted" for path in records.rglob("*.json"))
        assert all(path.read_text() == THOUGHT + "\n" for path in outputs.rglob("*.txt"))
        now = snapshot(records) | snapshot(outputs)
        assert kept.items() <= now.items()  # what was done before was not touched
        kept = now
    assert subprocess.run(command, env=environment, stdout=subprocess.DEVNULL).returncode == 0
    now = snapshot(records) | snapshot(outputs)
    assert kept.items() <= now.items()
    assert len(list(records.rglob("*.json"))) == len(list(outputs.rglob("*.txt"))) == 40
    traces = list(read_jsonl(tmp_path / "out" / "traces.jsonl", Example))
    assert len({example.id for example in traces}) == len(traces) == 40
    assert set(model.calls) == {f"study-{number}" for number in range(40)}
    assert sum(model.calls.values()) <= 40 + 12 + 2 * 2 * 4  # only calls that were under way were made again
