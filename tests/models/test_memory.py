"""The memory of a stage: its parts against real tensors, its sum against the cards, its table against the docs."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from radvlm_course.model_settings import AdapterSettings, ModelSettings, QuantisationSettings
from radvlm_course.models.architectures import Architecture, TextSizes, VisionSizes, known_architectures
from radvlm_course.models.memory import GIB, RESERVED, adapter_parameters, nf4_bytes, stage_memory, weight_bytes
from radvlm_course.profile_checks import STAGES
from radvlm_course.profiles import available_profiles, load_profile

SMALL = Architecture(
    TextSizes(128, 192, 2, 4, 2, 32, 640), VisionSizes(2, 64, 128, 2, 128, [0], num_position_embeddings=16)
)
TEXT = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ONE_GPU = [name for name in available_profiles() if load_profile(name).requires.gpus == 1]
ON_GPUS = [*ONE_GPU, "multi-gpu", "paper"]


def script():
    path = Path(__file__).parents[2] / "benchmarks" / "memory_table.py"
    spec = importlib.util.spec_from_file_location("memory_table", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    from radvlm_course.models.random_checkpoint import write_random_checkpoint

    return write_random_checkpoint(SMALL, tmp_path_factory.mktemp("small"), ["Where is the nodule? [0.2, 0.4]"])


def bytes_of_parameter(parameter):
    """A parameter with what bitsandbytes keeps beside it."""
    total = parameter.nbytes
    state = getattr(parameter, "quant_state", None)
    if state is not None:
        total += state.absmax.nbytes + state.code.nbytes
        if state.nested:
            total += state.offset.nbytes + state.state2.absmax.nbytes + state.state2.code.nbytes
    return total


@pytest.mark.parametrize("double", [True, False])
@pytest.mark.parametrize("shape", [(64, 64), (320, 128), (64, 64 * 300)])
def test_a_matrix_in_four_bits_takes_what_bitsandbytes_keeps(shape, double):
    import bitsandbytes

    parameter = bitsandbytes.nn.Params4bit(
        torch.randn(shape), requires_grad=False, quant_type="nf4", compress_statistics=double, blocksize=64
    ).to("cpu")
    assert parameter.quant_state is not None
    assert bytes_of_parameter(parameter) == nf4_bytes(shape[0] * shape[1], double)


@pytest.mark.parametrize("quantisation", [None, QuantisationSettings(), QuantisationSettings(double=False)])
def test_the_weights_take_what_a_loaded_model_takes(checkpoint, quantisation):
    from transformers import BitsAndBytesConfig, Qwen3VLForConditionalGeneration

    options = {} if quantisation is None else {"quantization_config": BitsAndBytesConfig(**quantisation.options())}
    model = Qwen3VLForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.bfloat16, **options)
    settings = ModelSettings("pretrained", 262144, name_or_path="x", precision="bfloat16", quantisation=quantisation)
    assert sum(bytes_of_parameter(p) for p in model.parameters()) == weight_bytes(SMALL, settings)


def test_the_adapter_its_gradients_and_its_optimiser_take_what_is_counted(checkpoint):
    from peft import LoraConfig, get_peft_model
    from transformers import Qwen3VLForConditionalGeneration

    adapter = AdapterSettings(8, 16, TEXT)
    settings = ModelSettings("pretrained", 262144, name_or_path="x", precision="bfloat16", adapter=adapter)
    model = Qwen3VLForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.bfloat16)
    model = get_peft_model(model, LoraConfig(**adapter.options()))
    trained = [p for p in model.parameters() if p.requires_grad]
    assert sum(p.numel() for p in trained) == adapter_parameters(SMALL, settings)
    for parameter in trained:
        parameter.grad = torch.zeros_like(parameter)
    optimiser = torch.optim.AdamW(trained)
    optimiser.step()
    moments = sum(state[key].nbytes for state in optimiser.state.values() for key in ("exp_avg", "exp_avg_sq"))
    for four_bits in (None, {"kind": "nf4"}):  # an adapter is in 32 bits, whatever the weights are in
        profile = load_profile("gpu-24gb", {"model.quantisation": four_bits, "model.adapter.rank": 8})
        parts = stage_memory(profile, "sft", SMALL).permanent
        assert parts["adapter"] == parts["gradients"] == sum(p.nbytes for p in trained)
        assert parts["optimiser"] == moments
        assert "reference" not in parts
        assert stage_memory(profile, "grpo_reports", SMALL).permanent["reference"] == parts["adapter"]


@pytest.mark.parametrize("name", ON_GPUS)
@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_of_every_profile_leaves_a_tenth_of_its_card_free(name, stage):
    profile = load_profile(name)
    memory = stage_memory(profile, stage)
    assert RESERVED < memory.peak <= 0.9 * profile.requires.gpu_memory_gb * GIB


def test_the_published_8b_in_four_bits_takes_less_than_half_of_its_16_bits():
    architecture = known_architectures()["Qwen/Qwen3-VL-8B-Instruct"]
    model = load_profile("gpu-24gb").model
    assert weight_bytes(architecture, load_profile("gpu-80gb").model) == 2 * architecture.parameters
    # 6,945,767,424 weights of the layers in 4 bits, 0.127 bits of scales, and the rest in 16 bits
    layers = sum(a * b for a, b in architecture.quantised_by(model.quantisation).values())
    assert layers == 36 * (2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 12288)
    rest = architecture.parameters - layers
    expected = layers * (4 + 8 / 64 + 32 / 64 / 256) / 8 + 2 * rest
    assert weight_bytes(architecture, model) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("stage", "overrides", "phase"),
    [
        ("sft", {"sft.trainer.per_device_train_batch_size": 4}, "training"),
        ("sft", {"model.max_pixels": 131072}, "training"),
        ("sft", {"model.adapter.rank": 8}, "training"),
        ("grpo_reports", {"grpo_reports.trainer.max_completion_length": 128}, "training"),
        ("grpo_reports", {"grpo_reports.trainer.max_completion_length": 128}, "writing"),
        (
            "grpo_reports",
            {
                "grpo_reports.prompts_per_step": 4,
                "grpo_reports.trainer.steps_per_generation": 4,
                "grpo_reports.trainer.gradient_accumulation_steps": 4,
            },
            "writing",
        ),
    ],
)
def test_lowering_a_setting_lowers_the_phase_that_it_should(stage, overrides, phase):
    before, after = (stage_memory(load_profile("gpu-24gb", changes), stage).peaks for changes in ({}, overrides))
    assert after[phase] < before[phase]


def test_checkpointing_saves_most_of_the_activations():
    plain = load_profile("gpu-24gb", {"sft.trainer.gradient_checkpointing": False})
    assert stage_memory(plain, "sft").peak > 2 * stage_memory(load_profile("gpu-24gb"), "sft").peak


def test_vllm_in_the_same_memory_is_there_while_training_unless_it_sleeps():
    awake, asleep = (
        stage_memory(load_profile("multi-gpu", {"grpo_reports.trainer.vllm_enable_sleep_mode": sleeps}), "grpo_reports")
        for sleeps in (False, True)
    )
    assert awake.peaks["training"] - asleep.peaks["training"] == int(0.4 * 80 * GIB)
    elsewhere = load_profile("multi-gpu", {"grpo_reports.trainer.vllm_mode": "server"})
    assert stage_memory(elsewhere, "grpo_reports").phases["writing"] == {"vLLM": 0}


def test_full_fine_tuning_takes_sixteen_bytes_a_weight_shared_out_and_the_reference_four():
    weights = known_architectures()["Qwen/Qwen3-VL-8B-Instruct"].parameters
    parts = stage_memory(load_profile("multi-gpu"), "grpo_reports").permanent
    shared = parts["weights"] + parts["gradients"] + parts["optimiser"]
    assert shared == pytest.approx(16 * weights / 8, rel=1e-6)
    assert parts["reference"] == 4 * weights // 8
    assert "reference" not in stage_memory(load_profile("multi-gpu"), "sft").permanent


def test_the_table_in_the_docs_is_what_the_script_prints():
    table = script()
    profiles = [load_profile(name) for name in ("gpu-12gb", "gpu-16gb", "gpu-24gb", "gpu-80gb", "multi-gpu", "paper")]
    text = table.table(profiles, {})
    assert "Computed, not measured" in text
    assert text in (Path(__file__).parents[2] / "docs" / "tiers.md").read_text(encoding="utf-8")


def test_a_measured_row_says_so():
    row = script().table([load_profile("gpu-24gb")], {("gpu-24gb", "sft"): {"peak": 2 * GIB, "seconds": 1.25}})
    assert "| 2.0, 1.2 s a step |" in row
    assert "measured where the last column says so" in row


def test_measuring_without_a_gpu_says_that_there_is_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="expected a GPU"):
        script().measure([load_profile("gpu-24gb")], None)


@pytest.mark.parametrize("stage", ["sft", "grpo_grounding"])
def test_the_measurement_runs_a_stage_by_the_courses_own_code(stage, tmp_path, monkeypatch):
    """On the processor, with a small model in the place of the 2B and small films."""
    module = script()
    monkeypatch.setattr(module, "FILM_SIDE", 128)
    monkeypatch.setattr(module, "read_architecture", lambda name: SMALL)
    overrides = {"requires.gpus": 0, "model.quantisation": None, "model.adapter": None, "model.max_pixels": 128 * 128}
    overrides |= {"curate.patients": {"train": 6, "validation": 2, "test": 2}, "curate.workers": 1}
    overrides |= {
        f"{each}.trainer.{key}": value for each in STAGES for key, value in {"bf16": False, "use_cpu": True}.items()
    }
    overrides |= {"sft.trainer.dataloader_num_workers": 0, "sft.trainer.per_device_train_batch_size": 2}
    overrides |= {"sft.trainer.gradient_accumulation_steps": 1, "grpo_grounding.trainer.max_completion_length": 8}
    overrides |= {"grpo_grounding.prompts_per_step": 1, "grpo_grounding.trainer.gradient_accumulation_steps": 1}
    overrides |= {"grpo_grounding.trainer.steps_per_generation": 1}
    result = module.run_steps(load_profile("gpu-12gb"), stage, 1, tmp_path, overrides)
    assert result["seconds"] > 0
    folder = tmp_path / "runs" / f"{stage}-1" / stage
    assert json.loads((folder / "done.json").read_text())["seconds"] > 0
    assert (folder / "metrics.jsonl").exists()
