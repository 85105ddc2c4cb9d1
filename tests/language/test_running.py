"""Whole runs against a server that misbehaves: every study ends once, bounded calls at a time, nothing lost."""

import asyncio
import json
from functools import partial
from pathlib import Path

import pytest

from radvlm_course.language.client import LanguageClient
from radvlm_course.language.endpoint import Endpoint, EndpointError, EndpointRefused
from radvlm_course.language.jobs import Job
from radvlm_course.language.report_rewriting import check_rewritten
from radvlm_course.language.running import run_jobs
from radvlm_course.language.store import AnswerStore

REPORT = "The lungs are clear compared to the prior study. The heart is of normal size, unchanged."


def make_jobs(count: int, source: str = "phantom") -> list[Job]:
    def messages(number: int) -> list[dict]:
        return [{"role": "user", "content": f"study-{number}"}]

    check = partial(check_rewritten, report=REPORT)
    return [Job(f"s{number}", source, partial(messages, number), check) for number in range(count)]


def run(folder: Path, client: LanguageClient, jobs: list[Job], **options):
    async def go():
        try:
            with AnswerStore(folder, "filtered_reports", ".txt", {"model": "m"}) as store:
                return await run_jobs(jobs, client, store, **{"progress": False, **options})
        finally:
            await client.close()

    return asyncio.run(go())


def outcomes(folder: Path) -> dict[str, str]:
    records = [json.loads(path.read_text()) for path in (folder / "filtered_reports.run" / "records").iterdir()]
    return {record["key"]: record["outcome"] for record in records}


# What the server does with every 11th study: fault -> its replies, the last of which it repeats, and the outcome.
FAULTS = {
    0: ([{}], "accepted"),
    1: ([{"status": 429, "headers": {"retry-after": "0.05"}, "body": b"{}"}] * 3 + [{}], "accepted"),
    2: ([{"status": 500, "body": b"oops"}, {}], "accepted"),
    3: ([{"hang": 6.0}, {}], "accepted"),
    4: ([{"cut": True}, {"cut": True}, {}], "accepted"),
    5: ([{"body": b'{"choices": ['}, {}], "accepted"),
    6: ([{"text": "I'm sorry, but I can't help with that."}], "rejected"),
    7: ([{"text": "The lungs are clear. The heart is unchanged."}, {}], "accepted"),
    8: ([{"text": "The lungs are clear, as on the prior study."}], "rejected"),
    9: ([{"text": "None"}], "nothing_left"),
    10: ([{"refusal": "no", "text": ""}, {"text": "", "finish_reason": "length"}, {}], "accepted"),
}


def behave(reply, study: str, number: int):
    replies, _ = FAULTS[int(study.removeprefix("study-")) % 11]
    return reply(**replies[min(number, len(replies)) - 1])


def test_under_every_fault_each_study_ends_once_as_it_should(tmp_path: Path, start_model, connect, reply) -> None:
    model = start_model(partial(behave, reply))
    client = connect(model, tries=5, timeout_seconds=4)
    summary = run(tmp_path, client, make_jobs(55), concurrency=8)
    expected = {f"s{number}": FAULTS[number % 11][1] for number in range(55)}
    assert outcomes(tmp_path) == expected
    written = {path.stem: path.read_text() for path in (tmp_path / "filtered_reports").iterdir()}
    assert set(written) == {key for key, outcome in expected.items() if outcome == "accepted"}
    assert set(written.values()) == {"The lungs are clear. The heart is of normal size.\n"}
    assert summary.outcomes == {"accepted": 40, "rejected": 10, "nothing_left": 5} and not summary.failed
    assert summary.rejected == {"refusal": 5, "prior_study": 5}
    assert summary.corrected == {"prior_study": 5, "refusal": 5, "cut_off": 5}
    assert summary.failed_tries["too many requests (429)"] == 15 and summary.failed_tries["timeout"] >= 5
    assert model.most_at_a_time <= 8 + 5  # those that hang are still with the server after their time is up
    before = sum(model.calls.values())
    assert run(tmp_path, connect(model), make_jobs(55)).done_before == 55 and sum(model.calls.values()) == before


def test_calls_under_way_are_bounded(tmp_path: Path, start_model, connect, reply) -> None:
    model = start_model(lambda study, number: reply(hang=0.1))
    run(tmp_path, connect(model), make_jobs(15), concurrency=3)
    assert model.most_at_a_time == 3


@pytest.mark.parametrize("wrong", [{"concurrency": 0}, {"attempts": 0}])
def test_a_run_that_could_not_do_anything_is_refused(tmp_path: Path, start_model, connect, wrong) -> None:
    with pytest.raises(ValueError, match="expected at least one call at a time"):
        run(tmp_path, connect(start_model()), make_jobs(1), **wrong)


def test_a_study_without_an_answer_is_not_recorded_and_asked_next_time(
    tmp_path: Path, start_model, connect, reply
) -> None:
    down = True
    model = start_model(lambda study, number: reply(status=500 if down and study == "study-2" else 200))
    first = run(tmp_path, connect(model), make_jobs(5))
    assert first.failed == {"server error (500)": 1} and set(outcomes(tmp_path)) == {"s0", "s1", "s3", "s4"}
    assert "no answer for now, run again: 1 x server error (500)" in first.text()
    down = False
    second = run(tmp_path, connect(model), make_jobs(5))
    assert second.done_before == 4 and second.outcomes == {"accepted": 1} and len(outcomes(tmp_path)) == 5


def test_an_endpoint_that_is_down_stops_the_run_and_keeps_what_is_done(
    tmp_path: Path, start_model, connect, reply
) -> None:
    model = start_model(lambda study, number: reply(status=503 if int(study[6:]) >= 10 else 200))
    with pytest.raises(EndpointError, match=r"4 studies in a row got no answer.*server error"):
        run(tmp_path, connect(model), make_jobs(200), concurrency=2, failures_in_a_row=4)
    assert set(outcomes(tmp_path)) == {f"s{number}" for number in range(10)} and len(model.calls) < 20


def test_an_endpoint_that_refuses_every_request_stops_the_run(tmp_path: Path, start_model, connect, reply) -> None:
    model = start_model(lambda study, number: reply(status=400, body=b"no such parameter"))
    with pytest.raises(EndpointError, match=r"4 studies in a row .*no such parameter.*--again"):
        run(tmp_path, connect(model), make_jobs(200), concurrency=2, failures_in_a_row=4)
    assert sum(model.calls.values()) < 10
    model.behave = lambda study, number: reply()
    assert run(tmp_path, connect(model), make_jobs(10), again=True).outcomes == {"accepted": 10}


def test_a_wrong_key_stops_the_run_at_once(tmp_path: Path, start_model, connect, reply) -> None:
    model = start_model(lambda study, number: reply(status=401, body=b"{}"))
    with pytest.raises(EndpointError, match="401"):
        run(tmp_path, connect(model), make_jobs(200), concurrency=4)
    assert sum(model.calls.values()) <= 4 and not outcomes(tmp_path)


def test_one_credentialed_study_among_open_ones_stops_the_run_before_the_first_call(tmp_path: Path) -> None:
    client = LanguageClient(Endpoint("http://192.0.2.1:9/v1", "m"))
    with pytest.raises(EndpointRefused, match="'mimic_cxr'"):
        run(tmp_path, client, [*make_jobs(3), *make_jobs(1, "mimic_cxr")])
    assert not client.failed_tries


def test_rejected_studies_are_asked_again_only_if_wanted(tmp_path: Path, start_model, connect, reply) -> None:
    good = False
    model = start_model(lambda study, number: reply() if good else reply("Unchanged."))
    assert run(tmp_path, connect(model), make_jobs(3)).outcomes == {"rejected": 3}
    good = True
    assert run(tmp_path, connect(model), make_jobs(3)).done_before == 3
    assert run(tmp_path, connect(model), make_jobs(3), again=True).outcomes == {"accepted": 3}


def test_a_full_disk_stops_the_run_with_the_reason(tmp_path: Path, start_model, connect, monkeypatch) -> None:
    written = []

    def write(store: AnswerStore, record) -> None:
        written.append(record.key)
        if len(written) == 4:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(AnswerStore, "write", write)
    with pytest.raises(OSError, match="No space left"):
        run(tmp_path, connect(start_model()), make_jobs(50), concurrency=2)
    assert len(written) == 4
