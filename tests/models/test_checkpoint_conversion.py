"""Shards that real processes saved with torch's FSDP2 become a plain model folder with the same weights and answers."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from radvlm_course.cli import main
from radvlm_course.models.checkpoint_conversion import CheckpointError, convert_checkpoint, find_checkpoint
from radvlm_course.models.loading import load_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def saved(tiny_folder, tmp_path_factory):
    """``saved(kind)``: what the processes saved, once for each kind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent)
        from sharding import save_sharded
    done = {}

    def saved(kind):
        if kind not in done:
            done[kind] = save_sharded(kind, tiny_folder, tmp_path_factory.mktemp(kind) / "out")
        return done[kind]

    return saved


@pytest.fixture
def verl(saved, tiny_folder, tmp_path):
    """A copy of verl's folder to spoil, with the processor that verl leaves in ``huggingface``."""
    copy = shutil.copytree(saved("verl") / "actor", tmp_path / "global_step_300" / "actor")
    add_processor(tiny_folder, copy / "huggingface")
    return copy


def add_processor(tiny_folder, folder):
    for path in tiny_folder.iterdir():
        if path.name not in ("config.json", "generation_config.json") and path.suffix != ".safetensors":
            shutil.copy(path, folder)


def logits(folder):
    with torch.no_grad():
        return load_model(folder).model(input_ids=torch.arange(20)[None]).logits


def assert_same_model(folder, expected):
    mine, theirs = load_file(folder / "model.safetensors"), load_file(expected / "model.safetensors")
    assert mine.keys() == theirs.keys() and len(mine) > 50
    for name, tensor in theirs.items():
        assert torch.equal(mine[name], tensor), name
    whole = load_model(folder).model.state_dict()
    for name, tensor in load_model_without_processor(expected).state_dict().items():
        assert torch.equal(whole[name], tensor), name


def load_model_without_processor(folder):
    from transformers import Qwen3VLForConditionalGeneration

    return Qwen3VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()


@pytest.mark.parametrize("kind", ["verl", "verl_fsdp1", "verl_replicated", "fsdp"])
def test_every_weight_and_the_logits_are_those_that_were_saved(kind, saved, tiny_folder, tmp_path):
    checkpoint = saved(kind)
    found = convert_checkpoint(checkpoint, tmp_path / "plain", like=str(tiny_folder), precision="float32")
    assert found == tmp_path / "plain"
    assert_same_model(found, checkpoint / "expected")
    with torch.no_grad():
        expected = load_model_without_processor(checkpoint / "expected")(input_ids=torch.arange(20)[None]).logits
    assert torch.equal(logits(found), expected)
    assert not torch.allclose(expected, logits(tiny_folder), atol=1e-2)  # they were trained on, so to speak


def test_the_pieces_are_smaller_than_the_whole(saved):
    first = torch.load(saved("verl") / "actor" / "model_world_size_2_rank_0.pt", weights_only=True)
    name = "model.language_model.embed_tokens.weight"
    assert first[name]._local_tensor.shape[0] * 2 == first[name].shape[0]


def test_accelerates_own_merge_gives_the_same_weights(saved, tiny_folder, tmp_path):
    from accelerate.utils import merge_fsdp_weights

    folder = saved("fsdp") / "pytorch_model_fsdp_0"
    merge_fsdp_weights(str(folder), str(tmp_path / "theirs"))
    convert_checkpoint(folder, tmp_path / "ours", like=str(tiny_folder), precision="float32")
    theirs, ours = load_file(tmp_path / "theirs" / "model.safetensors"), load_file(tmp_path / "ours/model.safetensors")
    assert all(torch.equal(theirs[name], tensor) for name, tensor in ours.items())
    assert {name for name in theirs if name not in ours} <= {"lm_head.weight"}  # tied to the embeddings


def test_the_command_finds_verls_configuration_beside_the_shards_and_writes_16_bits(verl, tmp_path, capsys):
    assert main(["convert-checkpoint", str(verl.parent), str(tmp_path / "plain")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "plain")
    weights = load_file(tmp_path / "plain" / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}
    assert json.loads((tmp_path / "plain" / "config.json").read_text())["dtype"] == "bfloat16"
    assert logits(tmp_path / "plain").isfinite().all()


def test_a_missing_rank_is_named(verl, tmp_path, capsys):
    (verl / "model_world_size_2_rank_1.pt").unlink()
    assert main(["convert-checkpoint", str(verl), str(tmp_path / "plain")]) == 1
    assert "model_world_size_2_rank_1.pt missing, of 2 files" in capsys.readouterr().err
    assert not (tmp_path / "plain").exists()


@pytest.mark.parametrize("kept", [0.5, 0.0])
def test_a_shard_that_was_cut_short_is_named(verl, tmp_path, kept):
    shard = verl / "model_world_size_2_rank_1.pt"
    shard.write_bytes(shard.read_bytes()[: int(shard.stat().st_size * kept)])
    with pytest.raises(CheckpointError, match=r"size_2_rank_1\.pt cannot be read, as when it was cut short"):
        convert_checkpoint(verl, tmp_path / "plain")


def test_shards_of_runs_with_other_numbers_of_processes_are_not_mixed(verl, tmp_path):
    shutil.copy(verl / "model_world_size_2_rank_0.pt", verl / "model_world_size_4_rank_0.pt")
    with pytest.raises(CheckpointError, match="runs with 2 and 4 processes"):
        convert_checkpoint(verl, tmp_path / "plain")


def test_a_shard_that_stands_for_another_rank_is_refused(verl, tmp_path):
    shutil.copy(verl / "model_world_size_2_rank_0.pt", verl / "model_world_size_2_rank_1.pt")
    with pytest.raises(CheckpointError, match="shard of rank 1 was saved by rank 0"):
        convert_checkpoint(verl, tmp_path / "plain")


def test_weights_of_another_model_are_refused(verl, tiny64_folder, tmp_path):
    with pytest.raises(CheckpointError, match=r"not those of the model that .* describes: .* of another shape"):
        convert_checkpoint(verl, tmp_path / "plain", like=str(tiny64_folder))
    assert not (tmp_path / "plain").exists()


def test_without_a_configuration_it_asks_for_the_model_that_training_started_from(saved, tmp_path):
    with pytest.raises(CheckpointError, match=r"FSDP's and no config.json lies with it: .*--like"):
        convert_checkpoint(saved("fsdp"), tmp_path / "plain")


def test_half_a_save_of_fsdp_is_refused(saved, tiny_folder, tmp_path):
    copy = shutil.copytree(saved("fsdp") / "pytorch_model_fsdp_0", tmp_path / "pytorch_model_fsdp_0")
    piece = copy / "__1_0.distcp"
    whole = piece.read_bytes()
    piece.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"a \.distcp file is missing or was cut short"):
        convert_checkpoint(copy, tmp_path / "plain", like=str(tiny_folder))
    piece.unlink()
    with pytest.raises(CheckpointError, match=r"a \.distcp file is missing or was cut short"):
        convert_checkpoint(copy, tmp_path / "plain", like=str(tiny_folder))
    piece.write_bytes(whole)
    (copy / ".metadata").unlink()
    with pytest.raises(CheckpointError, match="the save did not finish"):
        convert_checkpoint(tmp_path, tmp_path / "plain", like=str(tiny_folder))


def test_deepspeeds_folder_names_the_package_that_reads_it(tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "deepspeed", None)  # not installed
    (tmp_path / "checkpoint-200" / "global_step200").mkdir(parents=True)
    (tmp_path / "checkpoint-200" / "latest").write_text("global_step200")
    assert find_checkpoint(tmp_path / "checkpoint-200").kind == "DeepSpeed"
    with pytest.raises(CheckpointError, match=r"deepspeed is not installed: pip install .*==.* zero_to_fp32\.py"):
        convert_checkpoint(tmp_path / "checkpoint-200", tmp_path / "plain", like=str(tiny_folder))


def test_folders_that_hold_no_checkpoint_say_what_was_looked_for(tiny_folder, tmp_path):
    with pytest.raises(CheckpointError, match="plain model folder already"):
        find_checkpoint(tiny_folder)
    with pytest.raises(CheckpointError, match=r"expected model_world_size_N_rank_R\.pt .* found nothing"):
        find_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="expected the folder of a checkpoint"):
        find_checkpoint(tmp_path / "nowhere")


def test_nothing_is_overwritten(verl, tmp_path):
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match="is not empty"):
        convert_checkpoint(verl, tmp_path / "plain")
    assert (tmp_path / "plain" / "notes.txt").read_text() == "mine"
