"""The work of stages that a run of its own shows: with several datasets, and with adapters on four bits."""

import json

import pytest

from radvlm_course.stages import open_course


def test_the_base_of_a_tiny_model_sees_no_film_that_another_dataset_tests_on(tmp_path, monkeypatch, small_course):
    from dataclasses import replace

    from PIL import Image

    from radvlm_course.boxes import Box
    from radvlm_course.phantoms.layouts import write_chestx_det_layout, write_nih_chestxray14_layout
    from radvlm_course.records import Study
    from radvlm_course.training import vision_pretraining

    films = []
    for number in range(12):
        Image.new("L", (40, 40), 20 * number).save(tmp_path / f"{number}.png")
        path, said = str(tmp_path / f"{number}.png"), {"abnormalities": {"mass": (Box(0.1, 0.2, 0.5, 0.6),)}}
        films.append(
            Study(path, (40, 40), f"p{number}", f"s{number}", "phantom", "train", findings={"mass": 1}, **said)
        )
    names = write_nih_chestxray14_layout(films, tmp_path / "data" / "nih_chestxray14")
    write_chestx_det_layout(
        [replace(film, split="train" if number else "test") for number, film in enumerate(films)],
        tmp_path / "data" / "chestx_det",
    )
    entry = "{task: abnormality_grounding, source: %s}"
    lists = {"train": entry % "nih_chestxray14", "test": entry % "chestx_det"}
    text = "".join(f"  {split}: [{entries}]\n" for split, entries in lists.items())
    (tmp_path / "two.yaml").write_text(f"name: two\ntemplates: compact\nimage_check: path\nsplits:\n{text}")
    changes = {
        "curate.source": None,
        "curate.root": str(tmp_path / "data"),
        "curate.mixture": str(tmp_path / "two.yaml"),
        "cold_start": None,  # its teacher reads phantoms only
    }
    course = open_course("laptop", "two", small_course | changes, root=tmp_path / "runs", progress=False)
    seen = []
    monkeypatch.setattr(
        vision_pretraining, "pretrain_vision", lambda model, processor, studies, *rest: seen.extend(studies) or {}
    )
    course.ensure("base")
    tested = {example.study_id for example in course.examples("test")}
    assert tested == {names["s0"]}
    assert {study.study_id for study in seen} == {example.study_id for example in course.examples("train")}
    assert {study.study_id for study in course.studies("train")} > {study.study_id for study in seen}
    assert len(seen) >= 5


ADAPTER = {"rank": 4, "alpha": 8, "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"]}


@pytest.mark.slow
def test_every_stage_runs_with_an_adapter_on_four_bits_and_reads_the_one_before(tmp_path, small_course):
    """As on a GPU of 12 to 24 GB, on a processor: layers of a multiple of 64 inputs, 32 bits outside."""
    pytest.importorskip("bitsandbytes")
    changes = {
        **small_course,
        "curate.root": str(tmp_path / "data"),
        "model.tiny.vision_hidden_size": 64,
        "model.tiny.text_hidden_size": 64,
        "model.tiny.text_layers": 2,
        "model.quantisation": {"kind": "nf4", "compute": "float32"},
        "model.adapter": ADAPTER,
        "sft.muon_learning_rate": None,
        "grpo_grounding.muon_learning_rate": None,
        "grpo_reports.muon_learning_rate": None,
        "side_by_side": False,
    }
    course = open_course("laptop", "four_bits", changes, root=tmp_path / "runs", progress=False)
    course.check()
    course.ensure("evaluate")
    for stage in ("sft", "sft_early", "grpo_grounding", "grpo_reports"):
        folder = course.run.model_folder(stage)
        assert {"adapter_model.safetensors", "base_model.json", "tokenizer.json"} <= {f.name for f in folder.iterdir()}
        assert not (folder / "model.safetensors").exists()
        record = json.loads((folder / "base_model.json").read_text())
        assert record["relative_path"] == "../../base/model" and record["quantisation"]["kind"] == "nf4"
    assert course.run.summary("grpo_grounding")["start"].endswith("sft_early/model")
    assert (course.run.folder / "evaluate" / "predictions" / "grpo_grounding.jsonl").stat().st_size > 0
