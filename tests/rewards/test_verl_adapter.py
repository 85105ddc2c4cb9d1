"""verl's custom reward function, called with the arguments and types that verl's managers pass."""

import importlib.util
import math
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from radvlm_course import rewards
from radvlm_course.boxes import Box
from radvlm_course.records import Example
from radvlm_course.rewards import RewardError, get_reward, verl_adapter
from radvlm_course.rewards.base import TEXT_TASKS, Reward
from radvlm_course.rewards.verl_adapter import compute_score, compute_score_batch, verl_row

REFERENCE = "No effusion. The heart is normal."
RIGHT = "[0.35, 0.51, 0.75, 0.64]"  # IoU with TRUE is 0.596
TRUE = "[0.38, 0.47, 0.76, 0.62]"
INFO = {"id": "MIMIC_17", "split": "train", "index": 17}


def gleu(response, reference=REFERENCE):
    return get_reward("gleu")([response], [Example("e", "report_generation", "", "", reference)])[0]


def test_a_report_row_is_scored_against_its_ground_truth() -> None:
    # As the naive manager calls it: by keyword, extra_info as the row has it plus what the manager adds.
    score = compute_score(
        data_source="mimic_grpo",
        solution_str="No effusion. The heart is large.",
        ground_truth=REFERENCE,
        extra_info={**INFO, "num_turns": None, "rollout_reward_scores": {}},
        rewards="gleu",
    )
    assert score == {
        "score": gleu("No effusion. The heart is large."),
        "gleu": gleu("No effusion. The heart is large."),
    }
    assert 0 < score["score"] < 1


def test_arguments_may_come_by_position_and_without_extra_info() -> None:
    assert compute_score("mimic_grpo", REFERENCE, REFERENCE, rewards="gleu")["score"] == 1.0
    assert compute_score("mimic_grpo", REFERENCE, REFERENCE, None, rewards="gleu")["score"] == 1.0


def test_a_reasoning_source_scores_what_follows_the_last_thought() -> None:
    thought = f"<think>a </think> b</think>\n{REFERENCE}"
    assert compute_score("mimic_grpo_reasoning", thought, REFERENCE, INFO, rewards="gleu")["score"] == 1.0
    unfinished = f"<think>{REFERENCE}"
    assert compute_score("mimic_grpo_reasoning", unfinished, REFERENCE, INFO, rewards="gleu")["score"] == 0.0
    assert compute_score("mimic_grpo", unfinished, REFERENCE, INFO, rewards="gleu")["score"] > 0.5


def test_a_reward_of_the_completion_gets_the_thought_as_well() -> None:
    thought = f"<think>well</think> {REFERENCE}"
    score = compute_score("mimic_grpo_reasoning", thought, REFERENCE, INFO, rewards={"thinking_format": 0.5, "gleu": 2})
    assert score == {"score": 2.5, "thinking_format": 1.0, "gleu": 1.0}


@pytest.mark.parametrize(
    "ground_truth",
    [
        f"The nodule is at {TRUE}.",
        [[0.38, 0.47, 0.76, 0.62]],
        np.array([[0.38, 0.47, 0.76, 0.62]]),
        np.array([np.array([0.38, 0.47, 0.76, 0.62])], dtype=object),
    ],
)
def test_the_ground_truth_of_boxes_is_text_or_numbers(ground_truth) -> None:
    score = compute_score("vindr/abnormality_grounding", f"It is at {RIGHT}.", ground_truth, INFO)
    assert round(score["score"], 3) == 0.596
    assert list(score) == ["score"]


def test_unrounded_boxes_of_extra_info_go_before_the_rounded_text() -> None:
    info = {**INFO, "boxes": [[0.381, 0.472, 0.763, 0.624]]}
    rounded = compute_score("vindr/abnormality_grounding", TRUE, TRUE, INFO)["score"]
    exact = compute_score("vindr/abnormality_grounding", TRUE, TRUE, info)["score"]
    assert rounded == 1.0
    assert exact == Box(0.38, 0.47, 0.76, 0.62).iou(Box(0.381, 0.472, 0.763, 0.624)) < 1


def test_nothing_to_find_and_nothing_found_earns_1() -> None:
    for truth in ("No abnormality.", [], np.empty((0, 4))):
        score = compute_score("vindr/abnormality_detection", "There is none.", truth, INFO)["score"]
        assert score == 1.0


def test_extra_info_names_task_and_thinking_where_the_source_does_not() -> None:
    info = {**INFO, "task": "phrase_grounding", "thinking": True}
    assert compute_score("radvlm_grounding", f"<think>x</think>{TRUE}", TRUE, info)["score"] == 1.0
    assert compute_score("radvlm_grounding", f"<think>{TRUE}", TRUE, info)["score"] == 0.0
    off = {**info, "thinking": np.bool_(False)}
    assert compute_score("radvlm_grounding_reasoning", f"<think>{TRUE}", TRUE, off)["score"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gsm8k", "a", "b", INFO), r"'MIMIC_17': the data_source 'gsm8k' names no task: expected mimic_grpo"),
        (("gsm8k", "a", "b", {"index": 3}), "'gsm8k row 3'"),
        (("mimic_grpo", "a", None, INFO), r"'MIMIC_17': expected the ground_truth as the answer as text, found None"),
        (("mimic_grpo", "a", [[0, 0, 1, 1]], INFO), "expected the ground_truth as the answer as text, found"),
        (("mimic_grpo", "a", " ", INFO), r"'MIMIC_17' is empty"),
        (("mimic_grpo", None, "a", INFO), r"'MIMIC_17': expected the response as text, found None"),
        (("mimic_grpo", "a", "b", {**INFO, "thinking": "no"}), r"expected extra_info thinking true or false"),
        (("v/phrase_grounding", "a", [[0, 0, 2]], INFO), "boxes as lists of four unit coordinates"),
        (("v/phrase_grounding", "a", [[0, 0, 300, 400]], INFO), r"'MIMIC_17'.*four unit coordinates"),
        (("v/phrase_grounding", "a", "b", INFO), "phrase_grounding, which none of gleu judges"),
    ],
)
def test_a_row_of_another_form_is_an_error_that_names_the_example(arguments, message) -> None:
    with pytest.raises(RewardError, match=message):
        compute_score(*arguments, rewards="gleu")


def test_a_batch_scores_like_its_rows() -> None:
    # As the batch manager calls it: numpy arrays of objects for the columns, lists for what it decodes itself.
    sources = np.array(["mimic_grpo", "mimic_grpo_reasoning", "v/phrase_grounding"], dtype=object)
    solutions = ["No effusion.", f"<think>a</think>{REFERENCE}", f"at {RIGHT}"]
    truths = [REFERENCE, REFERENCE, TRUE]
    infos = np.array([dict(INFO, index=index) for index in range(3)], dtype=object)
    options = {"rewards": {"gleu": 1.0, "rouge_l": 0.5, "soft_f1": 2.0}}
    scores = compute_score_batch(
        data_sources=sources, solution_strs=solutions, ground_truths=truths, extra_infos=infos, **options
    )
    single = [compute_score(*row, **options) for row in zip(sources, solutions, truths, infos, strict=True)]
    for got, wanted in zip(scores, single, strict=True):
        np.testing.assert_equal(got, wanted)
    assert [list(score) for score in scores] == [["score", "gleu", "rouge_l", "soft_f1"]] * 3
    assert math.isnan(scores[0]["soft_f1"])
    assert math.isnan(scores[2]["gleu"])
    assert scores[1]["score"] == 1.5
    assert scores[0]["score"] == scores[0]["gleu"] + 0.5 * scores[0]["rouge_l"]
    assert scores[2]["score"] == 2 * scores[2]["soft_f1"]


def test_infos_may_be_none_and_lengths_must_agree() -> None:
    assert compute_score_batch(["mimic_grpo"], ["a"], [REFERENCE], [None], rewards="gleu")[0]["score"] == 0.0
    assert compute_score_batch(["mimic_grpo"], ["a"], [REFERENCE], rewards="gleu")[0]["score"] == 0.0
    assert compute_score_batch([], [], [], [], rewards="gleu") == []
    with pytest.raises(ValueError, match=r"of one length, found \[1, 2, 1, 1\]"):
        compute_score_batch(["mimic_grpo"], ["a", "b"], ["c"], [None], rewards="gleu")


def test_reward_options_weights_and_unknown_arguments_are_checked() -> None:
    options = {"rewards": "soft_f1", "reward_options": {"soft_f1": {"variant": "published"}}}
    assert round(compute_score("v/phrase_grounding", RIGHT, TRUE, INFO, **options)["score"], 3) == 0.747
    router = {"reward_router_address": "10.0.0.1:80", "reward_model_tokenizer": object()}
    assert compute_score("mimic_grpo", REFERENCE, REFERENCE, INFO, rewards="gleu", **router)["score"] == 1.0
    with pytest.raises(ValueError, match="unknown argument reward in reward_kwargs"):
        compute_score("mimic_grpo", REFERENCE, REFERENCE, INFO, reward="gleu")
    with pytest.raises(ValueError, match="expected rewards with weights"):
        compute_score("mimic_grpo", REFERENCE, REFERENCE, INFO, rewards={})


class Counting(Reward):
    """Checks that it is built once and never entered by two threads; fails on ``break``."""

    name = "counting"
    range = (0.0, 1.0)
    empty_value = 0.0
    tasks = TEXT_TASKS
    built = 0

    def __init__(self) -> None:
        Counting.built += 1
        self.inside = 0

    def score(self, response: str, example: Example) -> float:
        self.inside += 1
        assert self.inside == 1
        if response == "break":
            raise ZeroDivisionError("the scorer broke")
        sum(range(20000))
        self.inside -= 1
        return len(response) / 100


@pytest.fixture
def counting(monkeypatch):
    Counting.built = 0
    monkeypatch.setattr(rewards, "_REGISTRY", dict(rewards._REGISTRY))
    monkeypatch.setattr(verl_adapter, "_built", {})
    rewards.register_reward("counting", f"{__name__}:Counting")
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or sys.modules[Counting.__module__])
    return "counting"


def test_calls_from_verls_threads_build_a_reward_once_and_take_turns(counting) -> None:
    call = partial(compute_score, "mimic_grpo", ground_truth=REFERENCE, extra_info=INFO, rewards=counting)
    with ThreadPoolExecutor(16) as pool:
        scores = list(pool.map(lambda n: call(solution_str="a" * n)["score"], range(1, 65)))
    assert scores == [n / 100 for n in range(1, 65)]
    assert Counting.built == 1


def test_a_scorer_that_fails_raises_and_names_the_row(counting) -> None:
    with pytest.raises(RewardError, match=r"counting failed .*'MIMIC_17'.*the scorer broke"):
        compute_score("mimic_grpo", "break", REFERENCE, INFO, rewards=counting)


@pytest.mark.parametrize("thinking", [False, True])
@pytest.mark.parametrize("task", ["report_generation", "phrase_grounding"])
def test_a_row_that_this_module_writes_reads_back_as_its_example(task, thinking) -> None:
    boxes = (Box(0.381, 0.472, 0.763, 0.624),) if task == "phrase_grounding" else ()
    answer = TRUE if boxes else REFERENCE
    example = Example("e7", task, "/films/1.png", "Where?", answer, boxes, source="phantom", split="validation")
    row = verl_row(example, 7, thinking)
    assert row["prompt"] == [{"role": "user", "content": "<image>\nWhere?" + (" /think" if thinking else "")}]
    assert row["images"] == [{"image": "file:///films/1.png", "min_pixels": 1024, "max_pixels": 451584}]
    assert row["data_source"] == f"phantom/{task}" + ("_reasoning" if thinking else "")
    assert {key: row["extra_info"][key] for key in ("id", "split", "index")} == {
        "id": "e7",
        "split": "validation",
        "index": 7,
    }
    solution = f"<think>x</think>{answer}" if thinking else answer
    name = "soft_f1" if boxes else "gleu"
    score = compute_score(
        row["data_source"], solution, row["reward_model"]["ground_truth"], row["extra_info"], rewards=name
    )
    assert score["score"] == get_reward(name)([answer], [example])[0]


def test_rows_survive_parquet(tmp_path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    box = Box(0.381, 0.472, 0.763, 0.624)
    examples = [
        Example("g", "phrase_grounding", "/a.png", "Where?", TRUE, (box,), source="phantom"),
        Example("r", "report_generation", "/a.png", "Report?", REFERENCE, source="phantom"),
    ]
    pq.write_table(pa.Table.from_pylist([verl_row(e, i) for i, e in enumerate(examples)]), tmp_path / "rows.parquet")
    frame = pq.read_table(tmp_path / "rows.parquet").to_pandas()
    scores = compute_score_batch(
        frame["data_source"].to_numpy(),
        [TRUE, REFERENCE],
        [model["ground_truth"] for model in frame["reward_model"]],
        frame["extra_info"].to_numpy(),
        rewards={"soft_f1": 1.0, "gleu": 1.0},
    )
    assert scores[0]["score"] == box.iou(Box(0.38, 0.47, 0.76, 0.62))
    assert scores[1]["score"] == 1.0


def test_it_loads_from_its_file_as_verl_loads_it() -> None:
    path = Path(verl_adapter.__file__)
    spec = importlib.util.spec_from_file_location(f"custom_module_{hash(str(path))}", path)
    module = importlib.util.module_from_spec(spec)  # verl does not put it into sys.modules
    spec.loader.exec_module(module)
    function = partial(module.compute_score, rewards="gleu")
    assert function("mimic_grpo", REFERENCE, REFERENCE, INFO)["score"] == 1.0
