"""From records to examples with thoughts, with where they come from; and the mixture with direct answers."""

import dataclasses
import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.chat import join_thought
from radvlm_course.language.jobs import AnswerRejected, Attempt, Record
from radvlm_course.language.store import AnswerStore
from radvlm_course.records import Example, read_jsonl
from radvlm_course.thinking.filters import FilterSettings, check_trace
from radvlm_course.thinking.trace_dataset import (
    collect_traces,
    mix_traces,
    rejected,
    write_trace_dataset,
)
from radvlm_course.thinking.traces import TraceSettings, trace_key

RUN = {"model": "teacher", "prompts": {"with_truth": "0" * 64, "reading_guide": "1" * 64}, "stage": "with_truth"}


def attempt(text: str, example: Example, finish_reason: str = "stop") -> Attempt:
    try:
        check_trace(text, example)
    except AnswerRejected as error:
        return Attempt(text, finish_reason, 1, 1, error.code, error.explanation)
    return Attempt(text, finish_reason, 1, 1)


def keep(folder: Path, example: Example, *texts: str) -> None:
    """Write the record of an example as a run does."""
    attempts = tuple(attempt(text, example) for text in texts)
    accepted = not attempts[-1].code
    with AnswerStore(folder, "traces", ".txt", RUN) as store:
        output = check_trace(texts[-1], example) if accepted else ""
        record = Record(trace_key(example), example.source, "accepted" if accepted else "rejected", output, attempts)
        store.write(record)


@pytest.fixture
def asked(clean) -> list[Example]:
    """The examples as they were asked about, without a thought."""
    return [dataclasses.replace(example, thought="") for example in clean]


@pytest.fixture
def folder(tmp_path: Path, clean, asked) -> Path:
    """A run that accepted example 0, 5 (at the second reply) and 9, rejected 1 and 2, and has not done the others."""
    for index in (0, 9):
        keep(tmp_path, asked[index], join_thought(clean[index].thought, clean[index].answer))
    good = join_thought(clean[5].thought, clean[5].answer)
    keep(tmp_path, asked[5], f"<think>{clean[5].thought} As the label says.</think> {clean[5].answer}", good)
    keep(tmp_path, asked[1], "<think>Wide.", f"<think>Wide heart.</think> {clean[1].answer}")
    keep(tmp_path, asked[2], "I'm sorry, but I can't help.")
    return tmp_path


def test_accepted_traces_become_examples_with_thoughts_and_the_rest_is_counted(folder, asked, clean) -> None:
    found = collect_traces(folder, asked)
    assert found.examples == [dataclasses.replace(clean[index], id=f"{clean[index].id}/thought") for index in (0, 5, 9)]
    assert found.rejected == {"too_short": 1, "refusal": 1} and found.corrected == {"hidden_source": 1}
    assert found.without_record == 10
    assert "3 traces accepted, 10 examples" in found.text() and "rejected: 1 x too_short" in found.text()


def test_the_rejected_can_be_read_with_their_reasons(folder, asked) -> None:
    everything = list(rejected(folder, asked))
    assert [(item.code, item.final) for item in everything] == [
        ("not_closed", False),
        ("too_short", True),
        ("refusal", True),
        ("hidden_source", False),
    ]
    (betrayed,) = rejected(folder, asked, "hidden_source")
    assert betrayed.example == asked[5] and "As the label says" in betrayed.text and "betrays" in betrayed.explanation


def test_other_budgets_can_be_tried_on_the_replies_that_are_there(folder, asked) -> None:
    wider = TraceSettings(filters=FilterSettings(fewest_words=1))
    assert collect_traces(folder, asked, wider).rejected == {"refusal": 1}
    stricter = TraceSettings(filters=FilterSettings(most_words=60))
    found = collect_traces(folder, asked, stricter)
    assert found.rejected["too_long"] + found.corrected["too_long"] == 3 and len(found.examples) == 0


def test_a_reply_that_was_cut_off_is_not_judged_anew(tmp_path: Path, asked, clean) -> None:
    example, text = asked[0], join_thought(clean[0].thought, clean[0].answer)
    record = Record(
        trace_key(example), "phantom", "rejected", "", (Attempt(text, "length", 1, 1, "cut_off", "too long"),)
    )
    with AnswerStore(tmp_path, "traces", ".txt", RUN) as store:
        store.write(record)
    assert collect_traces(tmp_path, asked).rejected == {"cut_off": 1}


def test_a_thought_put_there_by_hand_passes_the_filters_too(tmp_path: Path, asked, clean) -> None:
    for index, text in ((0, clean[0].thought), (1, "Wide.")):
        path = tmp_path / "traces" / f"{trace_key(asked[index])}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    found = collect_traces(tmp_path, asked)
    assert [example.thought for example in found.examples] == [clean[0].thought] and found.rejected == {"too_short": 1}


def test_the_dataset_says_where_it_comes_from(folder, asked) -> None:
    found = write_trace_dataset(folder, asked)
    assert list(read_jsonl(folder / "traces.jsonl", Example)) == found.examples
    provenance = json.loads((folder / "provenance.json").read_text())
    assert provenance["sha256"] == hashlib.sha256((folder / "traces.jsonl").read_bytes()).hexdigest()
    assert provenance["teachers"] == {"traces": RUN}
    assert provenance["filters"]["filters"]["fewest_words"] == 10
    assert provenance["counts"] == {
        "accepted": 3,
        "accepted_by_task": {"abnormality_classification": 1, "abnormality_grounding": 1, "report_generation": 1},
        "rejected": {"refusal": 1, "too_short": 1},
        "corrected_after_the_reason_was_given": {"hidden_source": 1},
        "without_record": 10,
    }
    before = (folder / "traces.jsonl").read_bytes()
    write_trace_dataset(folder, asked)
    assert (folder / "traces.jsonl").read_bytes() == before


def test_without_a_trace_nothing_is_written(tmp_path: Path, asked) -> None:
    assert write_trace_dataset(tmp_path, asked).without_record == 15
    assert not list(tmp_path.iterdir())


def made(count: int, kind: str) -> list[Example]:
    thought = "The heart is wide." if kind == "thought" else ""
    return [
        Example(
            f"{kind}-{n}", "report_generation", "f.png", "Q?", "A.", source="s", patient_id=f"p{n}", thought=thought
        )
        for n in range(count)
    ]


def ids(examples: list[Example]) -> list[str]:
    return [example.id for example in examples]


@pytest.mark.parametrize(("share", "direct"), [(0.0, 0), (0.25, 10), (0.5, 30), (0.6, 45)])
def test_the_share_of_direct_answers_is_that_of_the_mixture(share: float, direct: int) -> None:
    mixed = mix_traces(made(30, "thought"), made(50, "direct"), share, seed=0)
    assert Counter(bool(example.thought) for example in mixed) == Counter({True: 30, False: direct})


@given(st.randoms(use_true_random=False), st.integers(0, 5))
def test_the_mixture_depends_on_seed_and_identity_only(rng, seed: int) -> None:
    traces, direct = made(8, "thought"), made(20, "direct")
    mixed = mix_traces(traces, direct, 0.5, seed)
    rng.shuffle(traces)
    rng.shuffle(direct)
    assert mix_traces(traces, direct, 0.5, seed) == mixed


def test_another_seed_gives_another_mixture_in_which_both_kinds_are_spread() -> None:
    first, second = (mix_traces(made(100, "thought"), made(300, "direct"), 0.5, seed) for seed in (0, 1))
    assert set(ids(first)) != set(ids(second))
    half = Counter(bool(example.thought) for example in first[:100])
    assert 30 <= half[True] <= 70


@pytest.mark.parametrize(
    ("traces", "direct", "share", "said"),
    [
        (made(4, "thought"), made(3, "direct"), 0.5, "takes 4 direct answers, found 3"),
        (made(4, "thought"), made(3, "direct"), 1.0, "direct_share: expected"),
        (made(4, "direct"), made(3, "thought"), 0.1, "direct-0: expected a thought"),
        (
            made(4, "thought"),
            [*made(3, "direct"), *made(1, "direct")],
            0.1,
            "direct-0: expected each id once, found it 2",
        ),
        (
            made(4, "thought"),
            [dataclasses.replace(example, split="test") for example in made(3, "direct")],
            0.1,
            "patient p0 of 's' stands in train and test",
        ),
    ],
)
def test_what_cannot_be_mixed_is_refused(traces, direct, share: float, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        mix_traces(traces, direct, share, 0)
