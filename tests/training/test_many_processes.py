"""Two processes over gloo, started by ``accelerate launch`` with the course's files, against one with the same batch.

Equal, because the mathematics is: SFT's loss is a mean over the tokens of the whole batch, whoever holds them, and so
is its gradient. GRPO's rewards, advantages, loss, KL and gradient come from groups that are gathered from all
processes; its completions are given (see the worker), since two processes never sample what one does. What remains is
the order of sums in 32 bits and the padding of another micro-batch: the tolerance is 1e-5, relative to the value where
that is above 1. Plain gradient descent, so that the weights move by the gradients themselves: Adam would divide tiny
differences by tiny numbers.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from radvlm_course.records import write_jsonl
from radvlm_course.runs import read_metrics

pytestmark = pytest.mark.slow
WORKER = Path(__file__).with_name("many_processes_worker.py")
COMMON = {
    "learning_rate": 0.05,
    "optim": "sgd",
    "lr_scheduler_type": "constant",
    "max_grad_norm": 1e6,
    "logging_steps": 1,
    "save_strategy": "no",
    "use_cpu": True,
    "bf16": False,
    "gradient_checkpointing": False,
    "disable_tqdm": True,
}
SFT = {**COMMON, "max_steps": 4}
# Two updates of every generation, so that the policy has left what it was at the first: the ratio is not 1, and the KL
# not 0. The loss is not 0 even at the first, because it is a mean over tokens and the completions differ in length.
GRPO = {**COMMON, "max_steps": 4, "num_generations": 4, "num_iterations": 2, "beta": 0.1, "loss_type": "dapo"}
GRPO |= {"max_completion_length": 32, "temperature": 1.0}
COMPARED = {
    "sft": ("loss", "grad_norm", "mean_token_accuracy"),
    "grpo": ("loss", "grad_norm", "kl", "entropy"),
    "generation": ("reward", "reward_std", "completions/mean_length", "num_tokens"),  # at the first update of each
}


def write_job(folder, stage, model, examples, processes, **more):
    """Eight examples: a batch of the last few would be filled up with others where two processes share it."""
    options = {"sft": SFT, "grpo": GRPO}[stage]
    job = {
        "stage": stage,
        "model": str(model),
        "examples": str(folder / "examples.jsonl"),
        "folder": str(folder / stage),
        "options": {**options, "per_device_train_batch_size": 8 // processes, **more.pop("options", {})},
        **more,
    }
    write_jsonl(examples[:8], job["examples"])
    path = folder / f"{stage}.json"
    path.write_text(json.dumps(job))
    return path, Path(job["folder"])


@pytest.fixture(scope="module")
def alone(several, tiny_folder, grounding_examples, tmp_path_factory):
    """The folders of SFT and GRPO in one process, by the same worker."""
    folder = tmp_path_factory.mktemp("alone")
    found = {}
    environment = several.environment()
    environment.pop("WORLD_SIZE", None)
    for stage in ("sft", "grpo"):
        path, found[stage] = write_job(folder, stage, tiny_folder, grounding_examples, 1)
        done = subprocess.run(
            [sys.executable, str(WORKER), str(path)], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
    return found


def assert_same_training(stage, folder, alone):
    rows, expected = read_metrics(folder), read_metrics(alone[stage])
    assert [row["step"] for row in rows] == [row["step"] for row in expected] == [1, 2, 3, 4]
    for row, wanted in zip(rows, expected, strict=True):
        generated = stage == "grpo" and row["step"] % 2 == 1
        for name in (*COMPARED[stage], *(COMPARED["generation"] if generated else ())):
            assert row[name] == pytest.approx(wanted[name], abs=1e-5, rel=1e-5), (row["step"], name)
    weights, wanted = (load_file(path / "model" / "model.safetensors") for path in (folder, alone[stage]))
    assert weights.keys() == wanted.keys()
    for name, value in weights.items():
        assert (value - wanted[name]).abs().max() < 1e-5, name
    return rows


def assert_that_it_shows_something(stage, rows, before, folder):
    """Losses and gradients that are not 0, and weights that moved."""
    assert all(abs(row["loss"]) > 1e-4 and row["grad_norm"] > 1e-3 for row in rows)
    if stage == "grpo":
        assert rows[0]["kl"] == pytest.approx(0.0, abs=1e-6) and rows[-1]["kl"] > 1e-5
        assert all(row["reward"] > 0 and row["reward_std"] > 0 for row in rows[::2])
    moved = load_file(folder / "model" / "model.safetensors")
    start = load_file(Path(before) / "model.safetensors")
    assert max((moved[name] - start[name]).abs().max() for name in start) > 1e-3


@pytest.mark.parametrize("stage", ["sft", "grpo"])
def test_two_processes_train_as_one_does_with_the_same_batch(
    stage, several, alone, tiny_folder, grounding_examples, tmp_path
):
    path, folder = write_job(tmp_path, stage, tiny_folder, grounding_examples, 2)
    done = several.launch(WORKER, path)
    assert done.status == 0, done.errors[-3000:]
    rows = assert_same_training(stage, folder, alone)
    assert_that_it_shows_something(stage, rows, tiny_folder, folder)
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 4  # one process writes


@pytest.mark.parametrize("stage", ["sft", "grpo"])
def test_weights_that_fsdp2_shares_out_train_as_whole_ones_and_are_saved_whole(
    stage, several, alone, tiny_folder, grounding_examples, tmp_path
):
    from radvlm_course.models.loading import load_model

    path, folder = write_job(tmp_path, stage, tiny_folder, grounding_examples, 2, fsdp2=True)
    done = several.launch("--num_processes", "2", "--main_process_port", "0", WORKER, path, config="fsdp2.yaml")
    assert done.status == 0, done.errors[-3000:]
    assert (folder / "parameters").read_text() == "DTensor"
    assert_same_training(stage, folder, alone)
    assert json.loads((folder / "model" / "config.json").read_text())["architectures"] == [
        "Qwen3VLForConditionalGeneration"
    ]
    load_model_folder(folder, tiny_folder, load_model)


def load_model_folder(folder, tiny_folder, load_model):
    """The folder is complete but for the processor, which the stage adds."""
    for path in tiny_folder.iterdir():
        if not (folder / "model" / path.name).exists():
            (folder / "model" / path.name).symlink_to(path)
    assert load_model(folder / "model").model.num_parameters() > 0


def test_a_killed_training_of_shared_out_weights_goes_on_from_its_checkpoint_in_parts(
    several, alone, tiny_folder, grounding_examples, tmp_path
):
    saves = {"save_strategy": "steps", "save_steps": 2}
    path, folder = write_job(tmp_path, "sft", tiny_folder, grounding_examples, 2, fsdp2=True, options=saves)
    arguments = ("--num_processes", "2", "--main_process_port", "0", WORKER, path)
    for _ in range(2):
        done = several.launch(*arguments, config="fsdp2.yaml")
        assert done.status == 0, done.errors[-3000:]
        assert_same_training("sft", folder, alone)
        checkpoint = folder / "checkpoint-2"
        assert (checkpoint / "pytorch_model_fsdp_0").is_dir() and not list(checkpoint.glob("*.safetensors"))
        shutil.rmtree(folder / "model")
        shutil.rmtree(folder / "checkpoint-4")
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 4 + 2


def test_accelerate_passes_over_fsdp_on_processors_which_is_why_the_worker_steps_in(several, tmp_path):
    """When this fails, accelerate has learned it: then the worker's share_out_on_processors can go."""
    script = tmp_path / "kind.py"
    script.write_text(
        "from accelerate import Accelerator\naccelerator = Accelerator(cpu=True)\n"
        "accelerator.print('kind', accelerator.distributed_type.value)\n"
    )
    done = several.launch("--num_processes", "2", "--main_process_port", "0", script, config="fsdp2.yaml")
    assert "kind MULTI_CPU" in done.output, done.errors[-2000:]
