"""One job: an answer is accepted, corrected after the reason was given, or rejected with every reason kept."""

import asyncio

from radvlm_course.language.jobs import AnswerRejected, Job, Record, Verdict, ask_until_accepted


def check(text: str) -> Verdict:
    if text.startswith("bad"):
        raise AnswerRejected("bad", f"it says {text!r}")
    return Verdict("nothing_left") if text == "None" else Verdict("accepted", text.upper())


JOB = Job("a", "phantom", lambda: [{"role": "user", "content": "study-1"}], check)


def run(client, job=JOB, attempts=3) -> Record:
    async def ask() -> Record:
        try:
            return await ask_until_accepted(client, job, attempts)
        finally:
            await client.close()

    return asyncio.run(ask())


def test_a_good_answer_is_accepted_at_once(start_model, connect, reply) -> None:
    record = run(connect(start_model(lambda study, number: reply("fine"))))
    assert (record.outcome, record.output, record.code) == ("accepted", "FINE", "")
    assert [(attempt.text, attempt.input_tokens, attempt.code) for attempt in record.attempts] == [("fine", 100, "")]


def test_a_rejected_answer_is_shown_again_with_the_reason(start_model, connect, reply) -> None:
    model = start_model(lambda study, number: reply("bad one" if number == 1 else "fine"))
    record = run(connect(model))
    assert record.outcome == "accepted" and [attempt.code for attempt in record.attempts] == ["bad", ""]
    first, second = (request["messages"] for request in model.requests)
    assert second[0] == first[0] and second[1] == {"role": "assistant", "content": "bad one"}
    assert second[2]["role"] == "user" and "it says 'bad one'" in second[2]["content"]


def test_only_the_latest_rejected_answer_is_shown_and_without_its_thought(start_model, connect, reply) -> None:
    model = start_model(lambda study, number: reply(f"<think>a thought</think>bad {number}"))
    job = Job(JOB.key, JOB.source, JOB.messages, lambda text: check(text.partition("</think>")[2]))
    assert run(connect(model), job).outcome == "rejected"
    assert [len(request["messages"]) for request in model.requests] == [1, 3, 3]
    assert model.requests[2]["messages"][1]["content"] == "bad 2"


def test_after_the_last_attempt_it_is_rejected_with_every_answer_and_reason(start_model, connect, reply) -> None:
    record = run(connect(start_model(lambda study, number: reply(f"bad {number}"))), attempts=2)
    assert (record.outcome, record.output, record.code) == ("rejected", "", "bad")
    assert [attempt.explanation for attempt in record.attempts] == ["it says 'bad 1'", "it says 'bad 2'"]
    assert Record.from_dict(record.to_dict()) == record


def test_answers_that_are_none_have_codes_of_their_own(start_model, connect, reply) -> None:
    replies = {
        "refusal": reply(refusal="I will not", text=""),
        "cut_off": reply("half an ans", finish_reason="length"),
        "empty": reply(" \n"),
    }
    for code, what in replies.items():
        record = run(connect(start_model(lambda study, number, what=what: what)))
        assert record.outcome == "rejected" and [attempt.code for attempt in record.attempts] == [code] * 3
    filtered = reply("fine", finish_reason="content_filter")
    assert run(connect(start_model(lambda study, number: filtered))).code == "refusal"


def test_a_request_that_the_endpoint_refuses_is_rejected_without_further_attempts(start_model, connect, reply) -> None:
    model = start_model(lambda study, number: reply(status=400, body=b'{"error": {"message": "too long"}}'))
    record = run(connect(model))
    assert record.code == "refused_by_endpoint" and "too long" in record.attempts[0].explanation
    assert model.calls == {"study-1": 1}


def test_a_result_of_nothing_is_a_result(start_model, connect, reply) -> None:
    assert run(connect(start_model(lambda study, number: reply("None")))).outcome == "nothing_left"


def test_a_reason_that_gives_the_answer_away_is_not_told(start_model, connect, reply) -> None:
    def secret(text: str) -> Verdict:
        if text != "fine":
            raise AnswerRejected("wrong", "it should have been fine", told=False)
        return Verdict("accepted", text)

    model = start_model(lambda study, number: reply("wrong" if number == 1 else "fine"))
    record = run(connect(model), Job(JOB.key, JOB.source, JOB.messages, secret))
    assert record.outcome == "accepted" and record.attempts[0].explanation == "it should have been fine"
    assert model.requests[1]["messages"] == model.requests[0]["messages"]


def test_a_job_with_nothing_to_ask_is_rejected_without_a_call(start_model, connect) -> None:
    def missing() -> list:
        raise AnswerRejected("unreadable_film", "there is no film-0.png")

    model = start_model()
    record = run(connect(model), Job(JOB.key, JOB.source, missing, JOB.check))
    assert (record.outcome, record.code) == ("rejected", "unreadable_film") and not model.requests
    assert "film-0.png" in record.attempts[0].explanation
