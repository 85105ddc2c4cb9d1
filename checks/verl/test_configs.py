"""Every variant, composed with verl's own configuration and checked by verl, has the paper's values."""

import subprocess
import sys
from pathlib import Path

import pytest
import verl.trainer.config
from omegaconf import OmegaConf, open_dict
from omegaconf.errors import InterpolationToMissingValueError
from verl.trainer.ppo.reward import get_custom_reward_fn, resolve_reward_manager_cls
from verl.trainer.ppo.utils import need_critic, need_reference_policy
from verl.utils.config import omega_conf_to_dataclass, validate_config

import radvlm_course
from radvlm_course.instructions.verl_rows import VERL_TASKS

CONFIGS = Path(radvlm_course.__file__).parent / "configs" / "verl"

RADVLM, THINKING = "models/radvlm", "models/radvlm_thinking"
QWEN, QWEN_THINKING = "Qwen/Qwen3-VL-8B-Instruct", "Qwen/Qwen3-VL-8B-Thinking"

# The table of the paper's jobs, row by row: model to start from, folder of rows, longest response, reward, and whether
# a reward service scores (the paper: the manager naive_pool) or verl's own processes (naive).
REPORTS = {
    "radvlm_instruct_radcliq": (RADVLM, "verl", 1024, "radcliq", True),
    "radvlm_instruct_bertscore": (RADVLM, "verl", 1024, "bertscore", True),
    "radvlm_instruct_radgraph": (RADVLM, "verl", 1024, "radgraph", True),
    "radvlm_instruct_google_bleu": (RADVLM, "verl", 1024, "gleu", False),
    "radvlm_thinking_radcliq": (THINKING, "verl_thinking", 4096, "radcliq", True),
    "qwen3vl_instruct_radcliq": (QWEN, "verl", 1024, "radcliq", True),
    "qwen3vl_thinking_radcliq": (QWEN_THINKING, "verl_thinking_no_suffix", 4096, "radcliq", True),
}
# The grounding job left model and data to its user; table 2 has four of them.
GROUNDING = {
    "grounding": ("GIVEN", "verl"),
    "grounding_radvlm_instruct": (RADVLM, "verl"),
    "grounding_radvlm_thinking": (THINKING, "verl_thinking"),
    "grounding_qwen3vl_instruct": (QWEN, "verl"),
    "grounding_qwen3vl_thinking": (QWEN_THINKING, "verl_thinking_no_suffix"),
}
VARIANTS = [*REPORTS, *GROUNDING]

# What all jobs have in common.
COMMON = {
    "algorithm.adv_estimator": "grpo",
    "data.train_batch_size": 512,
    "actor_rollout_ref.rollout.n": 8,  # 4,096 rollouts a step
    "data.truncation": "error",
    "data.filter_overlong_prompts": False,
    "actor_rollout_ref.actor.optim.lr": 1e-6,
    "actor_rollout_ref.actor.ppo_mini_batch_size": 128,  # 4 updates a step
    "actor_rollout_ref.actor.use_kl_loss": True,
    "actor_rollout_ref.actor.kl_loss_coef": 0.01,
    "actor_rollout_ref.actor.kl_loss_type": "low_var_kl",
    "algorithm.use_kl_in_reward": False,
    "actor_rollout_ref.actor.entropy_coeff": 0,
    "actor_rollout_ref.actor.clip_ratio_low": 0.2,
    "actor_rollout_ref.actor.clip_ratio_high": 0.28,
    "actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu": 16,
    "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu": 16,
    "actor_rollout_ref.rollout.name": "vllm",
    "actor_rollout_ref.rollout.tensor_model_parallel_size": 1,
    "actor_rollout_ref.rollout.gpu_memory_utilization": 0.6,
    "actor_rollout_ref.rollout.enable_chunked_prefill": False,
    "actor_rollout_ref.rollout.engine_kwargs.vllm.mm_processor_cache_gb": 0,
    "actor_rollout_ref.model.enable_gradient_checkpointing": True,
    "actor_rollout_ref.model.use_remove_padding": True,
    "actor_rollout_ref.model.use_fused_kernels": True,
    "actor_rollout_ref.ref.fsdp_config.param_offload": True,
    "actor_rollout_ref.actor.fsdp_config.param_offload": False,
    "trainer.nnodes": 8,
    "trainer.n_gpus_per_node": 4,  # 32 GPUs
    "trainer.save_freq": 20,
    "trainer.test_freq": 20,
    # verl 0.5.0.dev's defaults, which were in force
    "actor_rollout_ref.rollout.temperature": 1.0,
    "actor_rollout_ref.rollout.top_p": 1.0,
    "actor_rollout_ref.rollout.top_k": -1,
    "algorithm.norm_adv_by_std_in_grpo": True,
    "actor_rollout_ref.actor.loss_agg_mode": "token-mean",
    "actor_rollout_ref.actor.ppo_epochs": 1,
    "actor_rollout_ref.actor.clip_ratio_c": 3.0,
    "actor_rollout_ref.actor.optim.optimizer": "AdamW",
    "actor_rollout_ref.actor.optim.betas": [0.9, 0.999],
    "actor_rollout_ref.actor.optim.weight_decay": 0.01,
    "actor_rollout_ref.actor.optim.lr_scheduler_type": "constant",
    "actor_rollout_ref.actor.optim.lr_warmup_steps": -1,
    "actor_rollout_ref.actor.optim.lr_warmup_steps_ratio": 0.0,
    "actor_rollout_ref.actor.optim.clip_grad": 1.0,
    "actor_rollout_ref.actor.grad_clip": 1.0,
    "actor_rollout_ref.actor.strategy": "fsdp",
    "actor_rollout_ref.actor.fsdp_config.model_dtype": "fp32",
    "actor_rollout_ref.actor.freeze_vision_tower": False,
    "actor_rollout_ref.rollout.val_kwargs.temperature": 0,
    "actor_rollout_ref.rollout.val_kwargs.do_sample": False,
    "actor_rollout_ref.rollout.val_kwargs.n": 1,
    "trainer.val_before_train": True,
    "trainer.resume_mode": "auto",
    "data.image_patch_size": 14,  # films in multiples of 28
    "data.val_max_samples": 128,
}
# What the two families do not share.
REPORTS_ONLY = {
    "data.max_prompt_length": 3072,
    "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu": 4,
    "actor_rollout_ref.rollout.free_cache_engine": False,
    "trainer.total_epochs": 1,
    "trainer.total_training_steps": 300,
}
GROUNDING_ONLY = {
    "data.max_prompt_length": 4096,
    "data.max_response_length": 4096,
    "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu": 8,
    "actor_rollout_ref.rollout.free_cache_engine": True,
    "trainer.total_epochs": 10,
    "trainer.total_training_steps": None,
}
# Keys whose default is another one in 0.9.1 than it was in 0.5: ours (0.5's) and 0.9.1's.
CHANGED = {
    "data.seed": (1, None),
    "actor_rollout_ref.rollout.max_num_seqs": (1024, 256),
    "actor_rollout_ref.rollout.calculate_log_probs": (False, True),
    "trainer.use_v1": (False, True),
}
OURS = ("course.", "reward.custom_reward_function.reward_kwargs.")
FIELDS_WITHOUT_DEFAULT = {  # of a dataclass or of vLLM, and not in verl's files
    "actor_rollout_ref.rollout.enable_sleep_mode",
    "actor_rollout_ref.rollout.engine_kwargs.vllm.mm_processor_cache_gb",
}


def variant(composed, name):
    given = ["course.model=GIVEN"] if name == "grounding" else []
    return composed(name, "course.models=models", "course.data=DATA", *given)


def flat(config, prefix=""):
    for key in config:
        path = f"{prefix}{key}"
        if OmegaConf.is_dict(config._get_node(key)) and len(config._get_node(key)):
            yield from flat(config._get_node(key), f"{path}.")
        else:
            yield path


def select(config, key):
    value = OmegaConf.select(config, key, throw_on_missing=True)
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value


def test_every_file_is_a_variant_of_the_table_or_a_base_of_some():
    names = {path.name for path in CONFIGS.glob("*.yaml")}
    assert names == {f"{name}.yaml" for name in [*VARIANTS, "grpo", "reports", "thinking_reports"]}
    assert not names & {path.name for path in Path(verl.trainer.config.__file__).parent.glob("*.yaml")}


@pytest.mark.parametrize("name", VARIANTS)
def test_the_papers_values(composed, name):
    config = variant(composed, name)
    wanted = COMMON | (REPORTS_ONLY if name in REPORTS else GROUNDING_ONLY)
    assert {key: select(config, key) for key in wanted} == wanted
    assert config.data.train_batch_size * config.actor_rollout_ref.rollout.n == 4096
    longest = config.data.max_prompt_length + config.data.max_response_length  # vLLM's limit in 0.5
    assert config.actor_rollout_ref.rollout.max_model_len == longest
    assert config.actor_rollout_ref.rollout.max_num_batched_tokens >= longest  # needed without chunked prefill
    assert config.actor_rollout_ref.rollout.enable_sleep_mode is config.actor_rollout_ref.rollout.free_cache_engine


@pytest.mark.parametrize("name", REPORTS)
def test_the_row_of_a_report_variant(composed, name):
    config = variant(composed, name)
    model, rows, longest, reward, served = REPORTS[name]
    assert config.actor_rollout_ref.model.path == model
    assert list(config.data.train_files) == [f"DATA/{rows}/train.report_generation.parquet"]
    assert list(config.data.val_files) == [f"DATA/{rows}/validation.report_generation.parquet"]
    assert config.data.max_response_length == longest
    assert config.trainer.experiment_name == name
    kwargs = OmegaConf.to_container(config.reward.custom_reward_function.reward_kwargs, resolve=True)
    assert kwargs == {"rewards": reward} | ({"service": {"url": "http://127.0.0.1:9400"}} if served else {})


@pytest.mark.parametrize("name", GROUNDING)
def test_the_row_of_a_grounding_variant(composed, name):
    config = variant(composed, name)
    model, rows = GROUNDING[name]
    assert config.actor_rollout_ref.model.path == model
    tasks = [path.removeprefix(f"DATA/{rows}/train.").removesuffix(".parquet") for path in config.data.train_files]
    assert tasks == ["anatomical_grounding", "abnormality_grounding", "phrase_grounding"] and set(tasks) < set(
        VERL_TASKS
    )
    assert [path.replace("train.", "validation.") for path in config.data.train_files] == list(config.data.val_files)
    assert config.trainer.experiment_name == name
    assert OmegaConf.to_container(config.reward.custom_reward_function.reward_kwargs) == {"rewards": "soft_f1"}


def test_the_grounding_job_asks_for_its_model(composed):
    with pytest.raises(InterpolationToMissingValueError, match=r"course\.model"):
        composed("grounding").actor_rollout_ref.model.path  # noqa: B018


@pytest.mark.parametrize("name", VARIANTS)
def test_verl_accepts_it(composed, name, capsys):
    config = variant(composed, name)
    validate_config(config, need_reference_policy(config), need_critic(config))
    assert "All configuration checks passed" in capsys.readouterr().out
    assert need_reference_policy(config) and not need_critic(config)
    actor = omega_conf_to_dataclass(config.actor_rollout_ref.actor)
    assert (actor.kl_loss_coef, actor.clip_ratio_high, actor.rollout_n, actor.use_fused_kernels) == (
        0.01,
        0.28,
        8,
        True,
    )
    with open_dict(config):
        rollout = omega_conf_to_dataclass(config.actor_rollout_ref.rollout)
    assert (
        rollout.enable_sleep_mode == rollout.free_cache_engine
        and rollout.prompt_length == config.data.max_prompt_length
    )
    reference = omega_conf_to_dataclass(config.actor_rollout_ref.ref.fsdp_config)
    assert reference.param_offload and reference.forward_only
    assert omega_conf_to_dataclass(config.algorithm).adv_estimator == "grpo"
    assert resolve_reward_manager_cls(config).__name__ == "NaiveRewardManager"
    assert callable(get_custom_reward_fn(config))


def test_verl_loads_the_model_that_it_names(composed, tiny_folder):
    config = composed("grounding", f"course.model={tiny_folder}")
    model = omega_conf_to_dataclass(config.actor_rollout_ref.model)
    assert model.architectures == ["Qwen3VLForConditionalGeneration"] and model.use_fused_kernels
    assert model.tokenizer.eos_token == "<|im_end|>"


@pytest.mark.parametrize("name", VARIANTS)
def test_no_key_is_one_that_verl_does_not_have(composed, name):
    known = set(flat(composed("ppo_trainer")))
    mine = {key for key in flat(variant(composed, name)) if not key.startswith(OURS)}
    assert mine - known == FIELDS_WITHOUT_DEFAULT


@pytest.mark.parametrize("key", CHANGED)
def test_defaults_that_verl_has_changed_are_the_old_ones(composed, key):
    old, new = CHANGED[key]
    assert select(variant(composed, "radvlm_instruct_radcliq"), key) == old
    assert OmegaConf.select(composed("ppo_trainer"), key) == new


def test_the_trainers_own_command_line_composes_it():
    command = [sys.executable, "-m", "verl.trainer.main_ppo", "--config-dir", str(CONFIGS)]
    command += ["--config-name", "grounding_qwen3vl_thinking", "--cfg", "job", "course.data=/elsewhere"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    config = OmegaConf.create(told)
    assert config.trainer.experiment_name == "grounding_qwen3vl_thinking"
    assert config.data.train_files[0] == "/elsewhere/verl_thinking_no_suffix/train.anatomical_grounding.parquet"
    assert config.actor_rollout_ref.rollout.max_model_len == 8192


@pytest.mark.parametrize("name", VARIANTS)
def test_the_header_names_a_launch_command_of_this_file(name):
    header = [line for line in (CONFIGS / f"{name}.yaml").read_text().splitlines() if line.startswith("#")]
    text = " ".join(line.lstrip("# ") for line in header)
    assert f"python -m verl.trainer.main_ppo --config-dir radvlm_course/configs/verl --config-name {name} " in text
    assert f"VARIANT={name} sbatch" in text
