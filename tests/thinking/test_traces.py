"""From examples to jobs: names that stay, the two stages in a chain, and what a teacher is told of its faults."""

import asyncio
import dataclasses
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from radvlm_course.chat import join_thought
from radvlm_course.language.client import LanguageClient
from radvlm_course.language.endpoint import Endpoint, EndpointRefused
from radvlm_course.language.jobs import AnswerRejected
from radvlm_course.language.running import RunSummary, run_jobs
from radvlm_course.language.store import AnswerStore
from radvlm_course.records import Example
from radvlm_course.thinking.filters import FilterSettings
from radvlm_course.thinking.trace_prompts import FilmSettings
from radvlm_course.thinking.traces import TraceSettings, folder_of, trace_jobs, trace_key

AGREE = FilterSettings.for_variant("two_stage")


@pytest.fixture
def examples(clean, tmp_path: Path) -> list[Example]:
    """Twelve grounding questions about twelve films that lie in ``tmp_path``."""
    made = []
    for number in range(12):
        Image.new("L", (40, 30), number * 10).save(tmp_path / f"film-{number}.png")
        made.append(
            dataclasses.replace(
                clean[0],
                id=f"phantom/study-{number}/pleural effusion/0",
                question=f"Where is the pleural effusion of study-{number}?",
                image_path=f"film-{number}.png",
                thought="",
            )
        )
    return made


def settings(stage: str, folder: Path, filters: FilterSettings | None = None) -> TraceSettings:
    return TraceSettings(stage, filters or FilterSettings(), FilmSettings(str(folder)))  # type: ignore[arg-type]


def run(client: LanguageClient, examples: list[Example], asked: TraceSettings, folder: Path, **more: Any) -> RunSummary:
    async def go() -> RunSummary:
        try:
            with AnswerStore(folder, folder_of(asked.stage), ".txt", asked.to_dict()) as store:
                return await run_jobs(trace_jobs(examples, asked, folder)[0], client, store, progress=False, **more)
        finally:
            await client.close()

    return asyncio.run(go())


def good(clean: list[Example]) -> str:
    return join_thought(clean[0].thought, clean[0].answer)


def test_a_key_names_the_example_and_changes_with_its_wording(examples) -> None:
    first = examples[0]
    key = trace_key(first)
    assert key.startswith("train/abnormality_grounding/phantom_study-0_pleural_effusion_0-")
    assert len({trace_key(example) for example in examples}) == 12
    for change in ({"id": "other"}, {"question": "Where?"}, {"answer": "[0.1, 0.2, 0.3, 0.4]"}):
        assert trace_key(dataclasses.replace(first, **change)) != key
    assert trace_key(dataclasses.replace(first, image_path="elsewhere.png")) == key
    odd = trace_key(dataclasses.replace(first, id="-ä/ö " * 60))
    AnswerStore("x", "y", ".txt", {})._record_path(odd)  # a name that the store takes


def test_examples_that_can_have_no_thought_are_counted(examples, tmp_path: Path) -> None:
    talk = dataclasses.replace(examples[0], task="conversation")
    done = dataclasses.replace(examples[1], thought="Wide.")
    jobs, skipped = trace_jobs([talk, done, examples[2]], settings("with_truth", tmp_path))
    assert [job.key for job in jobs] == [trace_key(examples[2])]
    assert skipped == {"conversation, which has no single answer": 1, "example that has a thought already": 1}
    assert trace_jobs(examples, settings("rewrite", tmp_path), tmp_path)[1] == {"example without an accepted draft": 12}


def test_a_film_is_opened_when_it_is_asked_about_and_not_before(examples, tmp_path: Path) -> None:
    (job, *_), _ = trace_jobs(examples, settings("with_truth", tmp_path))
    (tmp_path / "film-0.png").unlink()
    assert job.outline is not None and job.outline()[1]["content"][0]["image_url"]["url"] == ""
    with pytest.raises(AnswerRejected, match="unreadable_film"):
        job.messages()


def test_an_unreadable_film_is_recorded_and_stops_nothing(
    examples, clean, tmp_path, start_model, connect, reply
) -> None:
    (tmp_path / "film-3.png").write_bytes(b"no picture")
    summary = run(
        connect(start_model(lambda *_: reply(good(clean)))), examples, settings("with_truth", tmp_path), tmp_path
    )
    assert summary.outcomes == {"accepted": 11, "rejected": 1} and summary.rejected == {"unreadable_film": 1}


# What the server does about every 13th study: its replies, the last of which it repeats, and how the example ends.
def faults(reply: Callable[..., Any], clean: list[Example]) -> list[tuple[list[Any], str]]:
    thought, answer = clean[0].thought, clean[0].answer
    fine = reply(good(clean))
    return [
        ([fine], ""),
        ([reply("")], "empty"),
        ([reply("I'm sorry, but I can't assist with that.")], "refusal"),
        ([reply(text="", refusal="I will not."), fine], ""),
        ([reply(f"<think>{thought} {answer}")], "not_closed"),
        ([reply(f"<think>{thought}</think> {answer} </think> {answer}")], "closed_twice"),
        ([reply(f"<think>{thought}</think> <answer>{answer}</answer>"), fine], ""),
        ([reply(hang=2.5), fine], ""),
        ([reply(status=429, headers={"retry-after": "0.05"}, body=b"{}")] * 3 + [fine], ""),
        ([reply(status=500, body=b"oops"), fine], ""),
        ([reply(f"<think>{thought}</think> [0.10, 0.55, 0.38, 1.90]")], "box_outside_image"),
        ([reply(f"<think>{thought}", finish_reason="length"), fine], ""),
        ([reply(body=b'{"choices": ['), reply(cut=True), fine], ""),
    ]


def test_under_every_fault_each_example_ends_once_as_it_should(
    examples, clean, tmp_path, start_model, connect, reply
) -> None:
    Image.new("L", (40, 30)).save(tmp_path / "film-12.png")
    last = dataclasses.replace(
        examples[0], id="last", question="Where is the pleural effusion of study-12?", image_path="film-12.png"
    )
    examples, table = [*examples, last], faults(reply, clean)

    def behave(study: str, number: int) -> Any:
        replies = table[int(study.removeprefix("study-"))][0]
        return replies[min(number, len(replies)) - 1]

    model, asked = start_model(behave), settings("with_truth", tmp_path)
    summary = run(connect(model, timeout_seconds=1.5, tries=4), examples, asked, tmp_path, concurrency=4)
    with AnswerStore(tmp_path, "traces", ".txt", asked.to_dict()) as store:
        records = [store.read(trace_key(example)) for example in examples]
    assert [record.code for record in records] == [code for _, code in table]
    assert summary.outcomes == {"accepted": 8, "rejected": 5} and not summary.failed
    assert summary.corrected == {"refusal": 1, "other_format": 1, "cut_off": 1}
    assert summary.failed_tries["too many requests (429)"] == 3 and summary.failed_tries["timeout"] >= 1
    assert summary.failed_tries["server error (500)"] == 1 and summary.failed_tries["unreadable answer"] == 1
    for example, (_, code) in zip(examples, table, strict=True):
        output = tmp_path / "traces" / f"{trace_key(example)}.txt"
        assert output.is_file() is (code == "")
        assert code or output.read_text() == clean[0].thought + "\n"
    before = sum(model.calls.values())
    assert run(connect(model), examples, asked, tmp_path).done_before == 13 and sum(model.calls.values()) == before


def test_a_teacher_that_saw_the_truth_is_told_what_is_wrong(
    examples, clean, tmp_path, start_model, connect, reply
) -> None:
    wrong = reply(f"<think>{clean[0].thought}</think> [0.60, 0.55, 0.90, 0.90]")
    model = start_model(lambda _, number: wrong if number == 1 else reply(good(clean)))
    assert run(connect(model), examples[:1], settings("with_truth", tmp_path), tmp_path).corrected == {"changed_box": 1}
    assert "is not a box of the answer" in model.requests[1]["messages"][-1]["content"]


@pytest.mark.parametrize("stage", ["one_stage", "draft"])
def test_a_teacher_that_must_find_the_answer_is_not_told_why_it_is_wrong(
    examples, clean, tmp_path, start_model, connect, reply, stage
) -> None:
    wrong = reply(f"<think>{clean[0].thought}</think> [0.60, 0.55, 0.90, 0.90]")
    unclosed = reply(f"<think>{clean[0].thought}")
    model = start_model(lambda _, number: [wrong, unclosed, reply(good(clean))][number - 1])
    summary = run(connect(model), examples[:1], settings(stage, tmp_path, AGREE), tmp_path)
    assert summary.corrected == {"changed_box": 1, "not_closed": 1}
    first, second, third = (request["messages"] for request in model.requests)
    assert second == first and "</think> is missing" in third[-1]["content"]
    assert not any(examples[0].answer in json.dumps(request) for request in model.requests)


def test_the_second_stage_rewrites_the_drafts_of_the_first(
    examples, clean, tmp_path, start_model, connect, reply
) -> None:
    raw = "<think>Hm. Effusion? Unchanged or not, the angle is white.</think> [0.11, 0.55, 0.38, 0.90]"
    elsewhere = "<think>Hm. Left?</think> [0.60, 0.55, 0.90, 0.90]"
    vision = start_model(lambda study, _: reply(elsewhere if study in ("study-1", "study-2") else raw))
    drafted = run(connect(vision), examples, settings("draft", tmp_path, AGREE), tmp_path)
    assert drafted.outcomes == {"accepted": 10, "rejected": 2} and drafted.rejected == {"changed_box": 2}
    jobs, skipped = trace_jobs(examples, settings("rewrite", tmp_path, AGREE), tmp_path)
    assert len(jobs) == 10 and skipped == {"example without an accepted draft": 2}
    editor = start_model(lambda *_: reply(f"<think>{clean[0].thought}</think> [0.11, 0.55, 0.38, 0.90]"))
    rewritten = run(connect(editor), examples, settings("rewrite", tmp_path, AGREE), tmp_path)
    assert rewritten.outcomes == {"accepted": 10}
    for request in editor.requests:
        assert "the angle is white." in request["messages"][1]["content"] and "image_url" not in json.dumps(request)
    assert len(list((tmp_path / "traces").rglob("*.txt"))) == 10


def test_films_of_credentialed_data_go_to_no_other_machine(examples, tmp_path: Path) -> None:
    examples = [*examples, dataclasses.replace(examples[0], id="other", source="vindr_cxr")]
    for stage in ("with_truth", "draft"):
        client = LanguageClient(Endpoint("http://192.0.2.1:9/v1", "m"))
        with pytest.raises(EndpointRefused, match="'vindr_cxr'"):
            run(client, examples, settings(stage, tmp_path), tmp_path / stage)
        assert not client.failed_tries


def test_calls_under_way_are_bounded(examples, clean, tmp_path, start_model, connect, reply) -> None:
    model = start_model(lambda *_: reply(good(clean), hang=0.05))
    run(connect(model), examples, settings("with_truth", tmp_path), tmp_path, concurrency=3)
    assert model.most_at_a_time == 3


def test_answers_of_other_budgets_are_not_mixed(tmp_path: Path) -> None:
    first, second = settings("with_truth", tmp_path), settings("with_truth", tmp_path, FilterSettings(fewest_words=30))
    assert first.to_dict() != second.to_dict()
    assert first.to_dict()["labeller"] == "radvlm_course.phantoms.labeller:label_report"
    assert "film" in first.to_dict() and "film" not in settings("rewrite", tmp_path).to_dict()
    assert str(tmp_path) not in json.dumps(first.to_dict())
    assert dataclasses.replace(first, labeller=partial(int, base=10)).to_dict()["labeller"].startswith("functools:")
