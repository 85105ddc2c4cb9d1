"""The files for other tools: LLaVA-style JSON, and verl's Parquet as our rewards read it."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from radvlm_course.boxes import Box
from radvlm_course.instructions.formats import VERL_FORMATS, format_files, write_format
from radvlm_course.instructions.verl_rows import VERL_TASKS, verl_schema
from radvlm_course.records import Example, RecordError, read_parquet, write_jsonl, write_parquet
from radvlm_course.rewards.verl_adapter import DEFAULT_REWARDS, compute_score, compute_score_batch

BOX = Box(0.381, 0.472, 0.763, 0.624)
REPORT = Example("r", "report_generation", "/films/1.png", "Report?", "No effusion.", (), ("edema",), "mimic_cxr")
PHRASE = Example(
    "g", "phrase_grounding", "films/2.png", "Where?", "At [0.38, 0.47, 0.76, 0.62].", (BOX,), ("Größe",), "ms_cxr"
)
HEALTHY = Example("d", "abnormality_detection", "/films/3.png", "What?", "Nothing.", source="vindr_cxr")
TALK = Example(
    "c", "conversation", "/films/1.png", "Large heart?", "No.", source="mimic_cxr", follow_up=(("Lungs?", "Clear."),)
)


@pytest.fixture
def jsonl(tmp_path: Path) -> Path:
    write_jsonl([REPORT, PHRASE, HEALTHY, TALK, REPORT], tmp_path / "train.jsonl")
    return tmp_path / "train.jsonl"


def test_llava_lists_every_round_with_absolute_images(jsonl: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(jsonl.parent)
    (path,) = write_format("llava", jsonl)
    objects = json.loads(path.read_text(encoding="utf-8"))
    assert path.name == "train.llava.json" and len(objects) == 5
    assert objects[1] == {
        "id": "train_1",
        "image": str(jsonl.parent / "films" / "2.png"),
        "conversations": [
            {"from": "human", "value": "<image>\nWhere?"},
            {"from": "gpt", "value": "At [0.38, 0.47, 0.76, 0.62]."},
        ],
        "labels": ["Größe"],
        "example_id": "g",
    }
    assert [turn["value"] for turn in objects[3]["conversations"]] == [
        "<image>\nLarge heart?",
        "No.",
        "Lungs?",
        "Clear.",
    ]
    assert "labels" not in objects[3] and len({found["id"] for found in objects}) == 5


def test_verl_has_one_file_a_task_and_numbers_its_rows(jsonl: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(jsonl.parent)
    paths = write_format("verl", jsonl)
    names = ("report_generation", "phrase_grounding", "abnormality_detection")  # none for conversations
    assert [path.relative_to(jsonl.parent).as_posix() for path in paths] == [f"verl/train.{n}.parquet" for n in names]
    reports, phrases = (pq.read_table(path).to_pylist() for path in paths[:2])
    assert [row["extra_info"]["index"] for row in reports] == [0, 1]
    assert phrases[0] == {
        "data_source": "ms_cxr/phrase_grounding",
        "prompt": [{"role": "user", "content": "<image>\nWhere?"}],
        "images": [{"image": f"file://{jsonl.parent}/films/2.png", "min_pixels": 1024, "max_pixels": 451584}],
        "ability": "radiology",
        "reward_model": {"style": "rule", "ground_truth": "At [0.38, 0.47, 0.76, 0.62]."},
        "extra_info": {"id": "g", "split": "train", "index": 0, "thinking": False, "boxes": [BOX.to_list()]},
    }


def test_only_a_model_that_has_to_be_asked_is_asked_to_think(jsonl: Path) -> None:
    asked = {}
    for kind in VERL_FORMATS:
        row = pq.read_table(write_format(kind, jsonl)[0]).to_pylist()[0]
        asked[kind] = (row["prompt"][0]["content"], row["data_source"], row["extra_info"]["thinking"])
    assert asked == {
        "verl": ("<image>\nReport?", "mimic_cxr/report_generation", False),
        "verl_thinking": ("<image>\nReport? /think", "mimic_cxr/report_generation_reasoning", True),
        "verl_thinking_no_suffix": ("<image>\nReport?", "mimic_cxr/report_generation_reasoning", True),
    }


@pytest.mark.parametrize("kind", VERL_FORMATS)
def test_our_rewards_read_the_rows_of_every_task(jsonl: Path, kind: str) -> None:
    thought = "" if kind == "verl" else "<think>a look</think>"
    for path in write_format(kind, jsonl):
        frame = pq.read_table(path).to_pandas()  # as verl holds it: rows of dictionaries and arrays
        answers = [thought + model["ground_truth"] for model in frame["reward_model"]]
        scores = compute_score_batch(
            frame["data_source"].to_numpy(),
            answers,
            [model["ground_truth"] for model in frame["reward_model"]],
            frame["extra_info"].to_numpy(),
            rewards={"soft_f1": 1.0, "gleu": 1.0},
        )
        expected = BOX.iou(Box(0.38, 0.47, 0.76, 0.62)) if "phrase" in path.name else 1.0
        assert [score["score"] for score in scores] == pytest.approx([expected] * len(scores))
        first = frame.iloc[0]
        if thought:
            assert first["prompt"][0]["content"].endswith(" /think") == (kind == "verl_thinking")
            cut_off = (
                compute_score(first["data_source"], "<think>a lo", answers[0], first["extra_info"], rewards="gleu")
                if "report" in path.name
                else {"score": 0.0}
            )
            assert cut_off["score"] == 0.0


def test_the_tasks_of_verls_files_are_those_that_have_a_reward() -> None:
    assert set(VERL_TASKS) == set(DEFAULT_REWARDS)
    assert verl_schema().names == ["data_source", "prompt", "images", "ability", "reward_model", "extra_info"]


def test_parquet_is_what_the_records_write(jsonl: Path, tmp_path: Path) -> None:
    examples = [REPORT, PHRASE, HEALTHY, TALK, REPORT]
    (path,) = write_format("parquet", jsonl, conversations=True)
    write_parquet(examples, tmp_path / "other.parquet", conversations=True)
    assert path.read_bytes() == (tmp_path / "other.parquet").read_bytes()
    assert list(read_parquet(path, Example)) == examples
    with pytest.raises(RecordError, match="c: a conversation with follow-up rounds"):
        write_format("parquet", jsonl)


def test_only_files_that_a_build_may_have_written_are_listed_as_such(jsonl: Path) -> None:
    for kind in ("llava", "verl"):
        write_format(kind, jsonl)
    (jsonl.parent / "train.notes.json").write_text("mine")
    (jsonl.parent / "verl" / "mine.parquet").write_text("mine")
    listed = {path.relative_to(jsonl.parent).as_posix() for path in format_files(jsonl.parent, "train")}
    assert listed == {
        "train.llava.json",
        "verl/train.report_generation.parquet",
        "verl/train.phrase_grounding.parquet",
        "verl/train.abnormality_detection.parquet",
    }


@pytest.mark.parametrize("kind", ["llava", "verl", "parquet"])
def test_a_format_that_cannot_be_finished_leaves_no_file(jsonl: Path, kind: str) -> None:
    with jsonl.open("a") as file:
        file.write("{broken\n")
    with pytest.raises(ValueError):
        write_format(kind, jsonl, conversations=True)
    assert [path for path in jsonl.parent.rglob("*") if path.is_file()] == [jsonl]
