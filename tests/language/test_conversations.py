"""What a conversation may be, one reason at a time; the files that the command line writes."""

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radvlm_course.boxes import Box, format_box
from radvlm_course.language.conversations import check_conversation, conversation_jobs, facts_of
from radvlm_course.language.jobs import AnswerRejected

BOXES = {"nodule": (Box(0.38, 0.47, 0.76, 0.62),), "effusion": (Box(0.1, 0.6, 0.35, 0.9), Box(0.625, 0.61, 0.9, 0.88))}
GOOD = [
    ("What kind of image is this?", "A frontal chest X-ray."),
    ("Is there a nodule?", "Yes, there is one on the right."),
    ("Where is it?", "It is at [0.38, 0.47, 0.76, 0.62]."),
    ("Is the heart enlarged?", "No, its size is normal."),
    ("Is there a pneumothorax?", "I see no pneumothorax. The lung edges reach the chest wall on both sides."),
]


def turns(rounds=GOOD, **change):
    """JSON of a conversation; ``change`` maps h0, g0, h1, ... to another text of that turn."""
    made = []
    for number, (question, answer) in enumerate(rounds):
        made.append({"from": "human", "value": change.get(f"h{number}", question)})
        made.append({"from": "gpt", "value": change.get(f"g{number}", answer)})
    return made


def check(answer, boxes=BOXES):
    return check_conversation(answer if isinstance(answer, str) else json.dumps(answer), boxes)


def test_a_good_conversation_comes_back_as_it_is() -> None:
    assert json.loads(check(turns()).output) == turns()


def test_a_code_fence_a_thought_and_spaces_around_a_turn_do_no_harm() -> None:
    padded = [{"from": turn["from"], "value": f" {turn['value']}\n"} for turn in turns()]
    answer = f"<think>Let me see [1, 2].</think>\n```json\n{json.dumps(padded, indent=1)}\n```\n"
    assert json.loads(check(answer).output) == turns()


def test_several_boxes_of_one_observation_and_ten_rounds_are_fine() -> None:
    rounds = [*GOOD, *[("Where are the effusions?", "At [0.10, 0.60, 0.35, 0.90] and [0.62, 0.61, 0.90, 0.88].")] * 5]
    assert len(json.loads(check(turns(rounds)).output)) == 20


NOT_TURNS = [
    "",
    "Here is the conversation:",
    "Sure! " + json.dumps(turns()),
    json.dumps(turns())[:-1],
    json.dumps({"conversation": turns()}),
    json.dumps([{"from": "user", "value": "a"}]),
    json.dumps([{"role": "human", "value": "a"}]),
    json.dumps([*turns()[:-1], {"from": "gpt", "value": 5}]),
    json.dumps([*turns()[:-1], {"from": "gpt", "value": " "}]),
    json.dumps([*turns()[:-1], {"from": "gpt", "value": "a", "box": []}]),
    json.dumps(turns()) + json.dumps(turns()),
    str(turns()),
    "null",
]


@pytest.mark.parametrize("answer", NOT_TURNS)
def test_anything_but_a_json_list_of_turns_is_rejected(answer: str) -> None:
    with pytest.raises(AnswerRejected) as rejected:
        check(answer)
    assert rejected.value.code == "not_turns"


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("rounds", []),
        ("rounds", turns(GOOD[:4])),
        ("rounds", turns([*GOOD, *GOOD, ("Once?", "More.")])),
        ("order", turns()[1:]),
        ("order", turns()[:-1]),
        ("order", [*turns()[:2], turns()[0], *turns()[2:], turns()[1]]),
        ("prior_study", turns(g3="The heart is unchanged.")),
        ("prior_study", turns(h3="Has the heart grown since the previous exam?")),
        ("hidden_source", turns(g1="According to the report there is a nodule.")),
        ("hidden_source", turns(g1="I was given a nodule.")),
        ("image_tag", turns(h0="<image>\nWhat is this?")),
        ("changed_box", turns(g2="It is at [0.38, 0.47, 0.76, 0.63].")),
        ("changed_box", turns(g2="It is at [0.38,0.47,0.76,0.62].")),
        ("changed_box", turns(g2="It is at [0.380, 0.470, 0.760, 0.620].")),
        ("changed_box", turns(g2="It is at [38, 47, 76, 62].")),
        ("changed_box", turns(g2="It is at [0.47, 0.38, 0.62, 0.76].")),
        ("changed_box", turns(g2="It is at [0.38, 0.47].")),
        ("changed_box", turns(g3="The heart is at [0.3, 0.4, 0.7, 0.8].", g2="It is at [0.38, 0.47, 0.76, 0.62].")),
        ("coordinates", turns(g2="It is at (0.38, 0.47, 0.76, 0.62), that is [0.38, 0.47, 0.76, 0.62].")),
        ("coordinates", turns(g3="The heart is at x1=0.3, y1=0.4.")),
        ("user_knows_a_box", turns(h3="What is at [0.38, 0.47, 0.76, 0.62]?")),
        ("no_box", turns(g2="On the right.")),
    ],
)
def test_a_conversation_with_a_fault_is_rejected_with_its_reason(code: str, answer) -> None:
    with pytest.raises(AnswerRejected) as rejected:
        check(answer)
    assert rejected.value.code == code


def test_without_boxes_given_none_may_be_written_and_none_is_needed() -> None:
    assert check(turns(g2="On the right."), {}).outcome == "accepted"
    with pytest.raises(AnswerRejected, match="is not one of the boxes given"):
        check(turns(), {})


unit = st.integers(0, 100).map(lambda value: value / 100)


@settings(deadline=None)
@given(st.lists(unit, min_size=4, max_size=4), st.integers(0, 3), st.sampled_from([-0.01, 0.01]))
def test_a_box_moved_by_a_hundredth_anywhere_is_found(corners, index, step) -> None:
    moved = list(Box(0.38, 0.47, 0.76, 0.62).to_list())
    moved[index] = round(moved[index] + step, 2)
    with pytest.raises(AnswerRejected, match="is not one of the boxes given"):
        check(turns(g2=f"At {format_box(Box(*moved))}."))
    text = "[" + ", ".join(f"{corner:.2f}" for corner in corners) + "]"
    if text != "[0.38, 0.47, 0.76, 0.62]":
        with pytest.raises(AnswerRejected, match="is not one of the boxes given"):
            check(turns(g2=f"At {text}."))


def test_the_facts_are_those_of_the_study(studies) -> None:
    study = dataclasses.replace(studies[0], report="Clear\nlungs.")
    assert facts_of(study, study.abnormalities).splitlines() == [
        "View: PA",
        "Findings that are present: nodule",
        "Findings that are uncertain: edema",
        "What a radiologist wrote: Clear lungs.",
        "Box of nodule: [0.10, 0.20, 0.30, 0.40]",
    ]
    bare = dataclasses.replace(study, report="", view="", findings={})
    assert facts_of(bare, {}) == "View: not known\nFindings that are present: none is listed"


def test_grounded_jobs_need_boxes_and_others_never_show_them(studies) -> None:
    grounded, skipped = conversation_jobs(studies, grounded=True)
    assert [job.key for job in grounded] == [f"train/grounding/s{number}" for number in (0, 2, 4, 6, 8)]
    assert skipped == {"film without boxes": 5}
    system, user = grounded[0].messages()
    assert "character by character" in system["content"] and "Box of nodule: [0.10, 0.20" in user["content"]
    standard, skipped = conversation_jobs(studies, grounded=False)
    assert len(standard) == 10 and not skipped and "Box of" not in standard[0].messages()[1]["content"]
    phrased = dataclasses.replace(studies[1], phrases={"small nodule at the apex": (Box(0.1, 0.1, 0.2, 0.2),)})
    (job,), _ = conversation_jobs([phrased], grounded=True)
    assert "Box of small nodule at the apex: [0.10, 0.10, 0.20, 0.20]" in job.messages()[1]["content"]
    nothing = dataclasses.replace(studies[1], report="", findings={})
    assert conversation_jobs([nothing], grounded=False) == ([], {"film of which nothing is said": 1})


@pytest.mark.parametrize("grounded", [False, True])
def test_the_command_writes_one_file_a_film(tmp_path, studies, start_model, script, reply, grounded) -> None:
    where = "It is at [0.10, 0.20, 0.30, 0.40]." if grounded else "On the right."
    good, bad = json.dumps(turns(g2=where)), json.dumps(turns(g2="At [0.11, 0.20, 0.30, 0.40]."))
    model = start_model(lambda study, number: reply(bad if number == 1 else good))
    options = ["--source", "phantom", "--root", str(tmp_path / "data"), "--output", str(tmp_path / "out")]
    options += ["--url", model.url, "--model", "m", "--yes", "--quiet", *(["--grounded"] if grounded else [])]
    assert script("write_conversations").main(options) == 0
    folder = tmp_path / "out" / "conversations" / "train" / ("grounding" if grounded else "standard")
    files = sorted(path.name for path in folder.iterdir())
    assert files == [f"s{number}.json" for number in range(0, 10, 2 if grounded else 1)]
    assert json.loads((folder / "s4.json").read_text()) == turns(g2=where)
    assert set(model.calls.values()) == {2}  # each was corrected once
    assert script("write_conversations").main(options) == 0 and set(model.calls.values()) == {2}


def test_both_kinds_share_a_folder(tmp_path, studies, start_model, script, reply) -> None:
    model = start_model(lambda study, number: reply(json.dumps(turns(g2="At [0.10, 0.20, 0.30, 0.40]."))))
    options = ["--source", "phantom", "--root", str(tmp_path / "data"), "--output", str(tmp_path / "out")]
    options += ["--url", model.url, "--model", "m", "--yes", "--quiet"]
    assert script("write_conversations").main([*options, "--grounded"]) == 0
    model.behave = lambda study, number: reply(json.dumps(turns(g2="On the right.")))
    assert script("write_conversations").main(options) == 0
    assert len(list((tmp_path / "out" / "conversations").rglob("*.json"))) == 15
