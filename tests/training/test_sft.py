import json

import pytest
import torch
from transformers import TrainerCallback

from radvlm_course.model_settings import QuantisationSettings
from radvlm_course.models.loading import load_for_training, load_model
from radvlm_course.runs import read_metrics
from radvlm_course.training.data import sft_dataset
from radvlm_course.training.sft import run_sft

OPTIONS = {
    "per_device_train_batch_size": 4,
    "max_steps": 6,
    "learning_rate": 3e-3,
    "logging_steps": 1,
    "save_steps": 2,
    "save_total_limit": 2,
    "use_cpu": True,
    "bf16": False,
    "gradient_checkpointing": False,
    "disable_tqdm": True,
}


class StopAt(TrainerCallback):
    """Ends training as Ctrl-C does, after a given step."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise KeyboardInterrupt


def text_weights(model):
    return torch.cat([p.detach().flatten() for n, p in model.named_parameters() if "visual" not in n])


def test_training_lowers_the_loss_writes_metrics_and_leaves_the_frozen_vision_tower_alone(
    loaded, grounding_examples, tmp_path
):
    before = loaded.model.model.visual.patch_embed.proj.weight.clone()
    run_sft(*loaded, grounding_examples, tmp_path, {**OPTIONS, "max_steps": 20}, seed=0)
    metrics = read_metrics(tmp_path)
    assert [row["step"] for row in metrics] == list(range(1, 21))
    assert metrics[-1]["loss"] < metrics[0]["loss"]
    assert torch.equal(before, loaded.model.model.visual.patch_embed.proj.weight)


def test_an_unfrozen_vision_tower_learns(loaded, grounding_examples, tmp_path):
    before = loaded.model.model.visual.patch_embed.proj.weight.clone()
    run_sft(*loaded, grounding_examples, tmp_path, {**OPTIONS, "max_steps": 2}, seed=0, freeze_vision=False)
    assert not torch.equal(before, loaded.model.model.visual.patch_embed.proj.weight)


@pytest.mark.parametrize("muon_learning_rate", [None, 0.02])
def test_ctrl_c_loses_nothing_but_the_steps_since_the_last_checkpoint(
    loaded, tiny_folder, grounding_examples, tmp_path, monkeypatch, muon_learning_rate
):
    import radvlm_course.training.sft as module

    run_sft(*loaded, grounding_examples, tmp_path / "straight", OPTIONS, seed=0, muon_learning_rate=muon_learning_rate)
    metrics_file = module.MetricsFile
    interrupted = load_model(tiny_folder)
    (tmp_path / "cut").mkdir()

    class MetricsThenStop(metrics_file):
        on_step_end = StopAt(5).on_step_end
        step = 5

    monkeypatch.setattr(module, "MetricsFile", MetricsThenStop)
    with pytest.raises(KeyboardInterrupt):
        run_sft(
            *interrupted, grounding_examples, tmp_path / "cut", OPTIONS, seed=0, muon_learning_rate=muon_learning_rate
        )
    monkeypatch.setattr(module, "MetricsFile", metrics_file)
    resumed = load_model(tiny_folder)
    run_sft(*resumed, grounding_examples, tmp_path / "cut", OPTIONS, seed=0, muon_learning_rate=muon_learning_rate)
    torch.testing.assert_close(text_weights(resumed.model), text_weights(loaded.model), atol=1e-6, rtol=1e-5)
    assert [row["step"] for row in read_metrics(tmp_path / "cut")] == [1, 2, 3, 4, 5, 6]


def test_only_the_assistants_words_are_learned(loaded, grounding_examples, tmp_path):
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    collator = DataCollatorForVisionLanguageModeling(loaded.processor, completion_only_loss=True)
    batch = collator([sft_dataset(grounding_examples)[0]])
    learned = batch["labels"][0][batch["labels"][0] != -100]
    assert loaded.processor.tokenizer.decode(learned) == grounding_examples[0].answer + "<|im_end|>\n"


def test_no_example_is_refused(loaded, tmp_path):
    with pytest.raises(ValueError, match="expected at least one example"):
        run_sft(*loaded, [], tmp_path, OPTIONS, seed=0)


def test_checkpoint_state_is_readable_json(loaded, grounding_examples, tmp_path):
    run_sft(*loaded, grounding_examples, tmp_path, OPTIONS, seed=0)
    states = sorted(tmp_path.glob("checkpoint-*/trainer_state.json"))
    assert [json.loads(path.read_text())["global_step"] for path in states] == [4, 6]


@pytest.mark.parametrize("bits", [32, 4])
def test_of_a_model_with_an_adapter_only_that_is_trained_and_it_resumes_to_the_same_weights(
    tiny64_folder, grounding_examples, adapter_settings, tmp_path, bits
):
    if bits == 4:
        pytest.importorskip("bitsandbytes")
    four = QuantisationSettings(compute="float32") if bits == 4 else None
    settings = adapter_settings(tiny64_folder, quantisation=four)
    options = {**OPTIONS, "max_steps": 4, "lr_scheduler_type": "constant", "gradient_checkpointing": bits == 4}
    whole = load_for_training(tiny64_folder, settings)
    frozen = {name: weight.clone() for name, weight in whole.model.named_parameters() if not weight.requires_grad}
    run_sft(*whole, grounding_examples, tmp_path, options, seed=0)
    losses = [row["loss"] for row in read_metrics(tmp_path)]
    assert losses[-1] < losses[0]
    trained = {name: weight for name, weight in whole.model.named_parameters() if weight.requires_grad}
    assert trained and all(weight.dtype == torch.float32 for weight in trained.values())
    assert all(torch.equal(whole.model.get_parameter(name), weight) for name, weight in frozen.items())
    (tmp_path / "checkpoint-4").rename(tmp_path / "kept")
    again = load_for_training(tiny64_folder, settings)
    run_sft(*again, grounding_examples, tmp_path, options, seed=0)
    for name, weight in trained.items():
        torch.testing.assert_close(again.model.get_parameter(name), weight, atol=1e-6, rtol=1e-5)


def test_a_checkpoint_of_another_model_stops_training_before_its_first_step(
    loaded, tiny64_folder, grounding_examples, tmp_path
):
    run_sft(*loaded, grounding_examples, tmp_path, {**OPTIONS, "max_steps": 2}, seed=0)
    with pytest.raises(ValueError, match="another model's"):
        run_sft(*load_model(tiny64_folder), grounding_examples, tmp_path, OPTIONS, seed=0)
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2]
