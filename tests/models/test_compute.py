"""Operations against torch's own counter on small models of the real classes; times by hand."""

import dataclasses

import pytest
import torch

from radvlm_course.models.architectures import Architecture, TextSizes, VisionSizes, known_architectures
from radvlm_course.models.compute import (
    Assumptions,
    Card,
    forward_operations,
    known_cards,
    stage_time,
    training_operations,
)
from radvlm_course.profiles import load_profile

SMALL = Architecture(
    TextSizes(128, 192, 2, 4, 2, 32, 640), VisionSizes(2, 64, 128, 2, 128, [0], num_position_embeddings=16)
)
CARD = Card(24, 100, 1000)
ROUND = Assumptions(utilisation=0.5, bandwidth_used=0.5, layer_seconds=0.01, answer_tokens=100, longest=1.0)


def counted(run) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    from transformers import Qwen3VLForConditionalGeneration

    from radvlm_course.models.random_checkpoint import write_random_checkpoint

    folder = write_random_checkpoint(SMALL, tmp_path_factory.mktemp("small"), ["Where is the nodule? [0.2, 0.4]"])
    return Qwen3VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")


def inputs_of(model, tokens: int, patches: tuple[int, int]):
    """One sequence of ``tokens`` with a film of ``patches`` (rows, columns)."""
    rows, columns = patches
    visual = rows * columns // 4
    ids = torch.full((1, tokens), 5)
    ids[0, 1 : 1 + visual] = model.config.image_token_id
    kinds = (ids == model.config.image_token_id).int()
    pixels = torch.randn(rows * columns, 3 * 2 * 16 * 16)
    return {
        "input_ids": ids,
        "pixel_values": pixels,
        "image_grid_thw": torch.tensor([[1, rows, columns]]),
        "mm_token_type_ids": kinds,
    }


def test_a_forward_pass_has_the_operations_that_torch_counts(model) -> None:
    inputs = inputs_of(model, 40, (8, 8))
    with torch.no_grad():
        found = counted(lambda: model(**inputs, logits_to_keep=10))
    expected = forward_operations(SMALL, 40, 10, 64)
    # eager attention multiplies the masked half too, which we do not count
    masked = 2 * 2 * 40**2 * 4 * 32
    assert sum(expected.values()) + masked == pytest.approx(found, rel=0.01)


@pytest.mark.parametrize(("part", "names"), [("vision", "model.visual."), ("text", "model.language_model.")])
def test_a_backward_pass_costs_one_forward_for_what_flows_and_one_for_what_learns(model, part: str, names: str) -> None:
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(names))
    inputs = inputs_of(model, 40, (8, 8))
    found = counted(lambda: model(**inputs, logits_to_keep=10).logits.sum().backward())
    forward = forward_operations(SMALL, 40, 10, 64)
    forward["attention"] *= 2  # eager attention multiplies the masked half too
    backward = forward["text"] + 2 * forward["attention"] + forward["head"]  # flows through, from the end to the film
    backward += forward[part]  # the weights' own gradients
    if part == "vision":
        patch_embedding = 2 * 64 * 3 * 2 * 16 * 16 * 64
        backward += forward["vision"] - patch_embedding  # flows on, but not into the pixels
    assert sum(forward.values()) + backward == pytest.approx(found, rel=0.03)
    model.requires_grad_(True)


def test_training_passes_by_hand() -> None:
    forward = {"text": 100, "attention": 1000, "head": 10, "vision": 1}
    everything = training_operations(forward, checkpointing=True, all_weights=True, vision_trained=True)
    assert everything == {"text": 400, "attention": 4000, "head": 30, "vision": 4}
    adapter = training_operations(forward, checkpointing=False, all_weights=False, vision_trained=False)
    assert adapter == {"text": 200, "attention": 3000, "head": 20, "vision": 1}


def profile_of(**changes):
    return load_profile("gpu-24gb", {name.replace("__", "."): value for name, value in changes.items()})


def test_an_update_takes_its_operations_over_the_pace() -> None:
    profile = profile_of()
    found = stage_time(profile, "sft", CARD, pairs=6400, assumptions=ROUND)
    sizes = known_architectures()["Qwen/Qwen3-VL-8B-Instruct"]
    forward = forward_operations(sizes, 238 + 64 + 100, 101, 4 * 238)  # a large film is 238 tokens at 512 x 512
    operations = training_operations(forward, True, False, False)
    assert found.phases["training"] == pytest.approx(64 * sum(operations.values()) / (100e12 * 0.5))
    assert (found.examples, found.updates, found.gpus) == (64, 100, 1)
    assert found.hours == pytest.approx(found.seconds * 100 / 3600)


def test_writing_is_bound_by_the_layers_on_transformers_and_by_the_weights_in_vllm() -> None:
    slow = stage_time(profile_of(), "grpo_reports", CARD, assumptions=ROUND)
    assert slow.phases["writing"] == pytest.approx(100 * 36 * 0.01)
    fast = stage_time(
        load_profile("multi-gpu"), "grpo_reports", CARD, assumptions=dataclasses.replace(ROUND, bandwidth_used=1.0)
    )
    sizes = known_architectures()["Qwen/Qwen3-VL-8B-Instruct"]
    cache = 128 * (19 * 23 + 64 + 100) * 36 * 2 * 8 * 128 * 2
    assert fast.phases["writing"] == pytest.approx(100 * (2 * sizes.parameter_count("text") + cache) / 1e12)


def test_the_old_policy_looks_only_where_a_generation_has_several_updates_or_vllm_is_corrected() -> None:
    assert "old policy" not in stage_time(profile_of(), "grpo_reports", CARD).phases
    twice = profile_of(grpo_reports__trainer__gradient_accumulation_steps=4)
    assert "old policy" in stage_time(twice, "grpo_reports", CARD).phases
    assert "old policy" in stage_time(load_profile("multi-gpu"), "grpo_reports", CARD).phases
    assert "reference" not in stage_time(profile_of(grpo_reports__trainer__beta=0.0), "grpo_reports", CARD).phases


def test_an_old_policy_looks_where_trl_makes_it_look(tmp_path) -> None:
    """The condition of the installed trainer, word for word."""
    import inspect

    from trl import GRPOTrainer

    source = inspect.getsource(GRPOTrainer._generate_and_score_completions)
    assert "generate_every = self.args.steps_per_generation * self.num_iterations" in source
    assert "self.args.gradient_accumulation_steps % generate_every != 0 or (" in source


@pytest.mark.parametrize("name", ["gpu-12gb", "gpu-16gb", "gpu-24gb", "gpu-80gb", "multi-gpu"])
def test_a_faster_card_and_shorter_answers_are_never_slower(name: str) -> None:
    profile = load_profile(name)
    base = stage_time(profile, "grpo_reports", CARD)
    assert stage_time(profile, "grpo_reports", Card(24, 200, 2000)).seconds <= base.seconds
    assert stage_time(profile, "grpo_reports", CARD, assumptions=Assumptions(answer_tokens=32)).seconds < base.seconds


def test_more_gpus_share_the_work_of_the_same_update() -> None:
    paper = load_profile("paper")
    found = stage_time(paper, "grpo_reports", known_cards()["GH200 96 GB"], pairs=1)
    assert (found.examples, found.updates, found.gpus) == (1024, 1200, 32)
    assert found.gpu_hours == pytest.approx(32 * found.hours)
    assert found.examples * found.updates == 300 * 512 * 8  # the paper's 1.23 million rollouts


def test_epochs_need_the_number_of_pairs() -> None:
    with pytest.raises(ValueError, match=r"gpu-24gb\.sft counts in epochs: expected pairs"):
        stage_time(profile_of(), "sft", CARD)


@pytest.mark.parametrize(
    "values",
    [{"utilisation": 0}, {"bandwidth_used": 1.5}, {"layer_seconds": -1}, {"answer_tokens": 0}, {"longest": 0.5}],
)
def test_impossible_assumptions_are_refused(values: dict) -> None:
    with pytest.raises(ValueError, match="expected"):
        Assumptions(**values)


def test_every_card_has_the_memory_of_a_tier() -> None:
    assert {card.memory_gb for card in known_cards().values()} >= {12, 16, 24, 80, 96}
