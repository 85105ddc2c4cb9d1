"""What is done around shared-out weights; the weights themselves are shared out in ``test_many_processes.py``."""

from types import SimpleNamespace

import pytest
import torch
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from transformers.integrations import is_deepspeed_zero3_enabled
from transformers.integrations.deepspeed import set_hf_deepspeed_config, unset_hf_deepspeed_config

from radvlm_course.training.sharding import forget_deepspeed, sum_gradients_in_float32, whole_weights


def trainer_with(plugin):
    return SimpleNamespace(accelerator=SimpleNamespace(state=SimpleNamespace(fsdp_plugin=plugin)))


def test_fsdp2_sums_gradients_in_32_bits_and_multiplies_in_16():
    plugin = FullyShardedDataParallelPlugin(fsdp_version=2)
    plugin.set_mixed_precision("bf16")
    assert plugin.mixed_precision_policy.reduce_dtype == torch.bfloat16  # what accelerate makes of bf16: true
    sum_gradients_in_float32(trainer_with(plugin))
    policy = plugin.mixed_precision_policy
    assert (policy.param_dtype, policy.reduce_dtype) == (torch.bfloat16, torch.float32)


def test_without_mixed_precision_or_without_fsdp_nothing_is_changed():
    plugin = FullyShardedDataParallelPlugin(fsdp_version=2)
    sum_gradients_in_float32(trainer_with(plugin))
    assert plugin.mixed_precision_policy is None
    sum_gradients_in_float32(SimpleNamespace(accelerator=SimpleNamespace(state=SimpleNamespace())))


@pytest.mark.parametrize(
    ("kind", "stage", "asked"),
    [
        (DistributedType.NO, None, None),
        (DistributedType.MULTI_GPU, None, None),
        (DistributedType.DEEPSPEED, 2, None),
        (DistributedType.DEEPSPEED, 3, "wrapped"),
        (DistributedType.FSDP, None, "model"),
    ],
)
def test_weights_are_put_together_where_they_are_shared_out_only(kind, stage, asked):
    calls = []

    def get_state_dict(model):
        calls.append(model)
        return {"weight": torch.zeros(1)}

    state = SimpleNamespace(deepspeed_plugin=SimpleNamespace(zero_stage=stage))
    accelerator = SimpleNamespace(distributed_type=kind, state=state, get_state_dict=get_state_dict)
    found = whole_weights(SimpleNamespace(accelerator=accelerator, model="model", model_wrapped="wrapped"))
    assert calls == ([] if asked is None else [asked])
    assert (found is None) == (asked is None)


def test_a_weight_that_two_layers_share_is_saved_once():
    weights = {"embed.weight": torch.ones(2), "head.weight": torch.ones(2), "norm.weight": torch.ones(1)}
    accelerator = SimpleNamespace(distributed_type=DistributedType.FSDP, get_state_dict=lambda model: weights)
    model = SimpleNamespace(all_tied_weights_keys={"head.weight": "embed.weight"})
    assert set(whole_weights(SimpleNamespace(accelerator=accelerator, model=model))) == {"embed.weight", "norm.weight"}
    del weights["embed.weight"]
    assert set(whole_weights(SimpleNamespace(accelerator=accelerator, model=model))) == {"head.weight", "norm.weight"}


def test_transformers_forgets_zero_3_between_stages():
    class Settings:
        def is_zero3(self):
            return True

    kept = Settings()
    set_hf_deepspeed_config(kept)
    try:
        assert is_deepspeed_zero3_enabled()
        forget_deepspeed()
        assert not is_deepspeed_zero3_enabled()
    finally:
        unset_hf_deepspeed_config()
