"""The launchers' files, read by accelerate itself: its loader, its command line's checks, its plugins."""

import importlib.util
import itertools
import json
import shlex
from pathlib import Path

import pytest
import yaml
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils import DeepSpeedPlugin, FullyShardedDataParallelPlugin, patch_environment
from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env

from radvlm_course.cli import _overrides, build_parser
from radvlm_course.profiles import load_profile
from radvlm_course.readiness import check_profile

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "radvlm_course" / "configs"
FILES = sorted(path.name for path in (FOLDER / "accelerate").glob("*.yaml"))
SECTIONS = ("fsdp_config", "deepspeed_config")


def load(path):
    """The file as ``accelerate launch`` reads it, with the check of a section's keys that accelerate leaves out.

    accelerate refuses keys that it does not know at the top, and takes any in a section: there a misspelt one would be
    a setting that nobody reads.
    """
    config = load_config_from_file(str(path))
    known = {action.dest for action in launch_command_parser()._actions}
    for section in SECTIONS:
        unknown = [key for key in getattr(config, section) or {} if key not in known]
        if unknown:
            raise ValueError(f"{path.name}: accelerate launch has no {unknown[0]}")
    return config


def launched(name, monkeypatch, *more):
    """The arguments of ``accelerate launch --config_file NAME``, as its own code completes them."""
    monkeypatch.chdir(ROOT)
    arguments = ["--config_file", f"radvlm_course/configs/accelerate/{name}", *more, "-m", "radvlm_course", "run"]
    args, defaults, from_config = _validate_launch_command(launch_command_parser().parse_args(arguments))
    args.deepspeed_fields_from_accelerate_config = ",".join(
        [*defaults.deepspeed_config, *(["mixed_precision"] if from_config else [])]
    )
    return args


def header(path):
    """The comment at the top, without its marks."""
    lines = itertools.takewhile(lambda line: line.startswith("#"), path.read_text(encoding="utf-8").splitlines())
    return [line[1:].removeprefix(" ") for line in lines]


def command_of(path):
    """The first command of a header, as a list of words."""
    indented = [line.strip() for line in header(path) if line.startswith("    ")]
    end = next(number for number, line in enumerate(indented) if not line.endswith("\\"))
    return shlex.split(" ".join(line.rstrip("\\") for line in indented[: end + 1]))


def test_there_is_a_file_for_each_way():
    assert FILES == ["cpu.yaml", "ddp.yaml", "fsdp2.yaml", "zero2.yaml", "zero3.yaml"]


@pytest.mark.parametrize("name", FILES)
def test_accelerates_own_loader_takes_every_key(name):
    config = load(FOLDER / "accelerate" / name)
    assert config.num_processes >= 2 and config.num_machines == 1
    assert config.mixed_precision is None  # the profile says it, once


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("ddp.yaml", "num_processes", "num_process"),
        ("fsdp2.yaml", "fsdp_state_dict_type", "fsdp_state_dict_typ"),
        ("zero3.yaml", "deepspeed_config_file", "deepspeed_file"),
    ],
)
def test_a_misspelt_key_is_refused(name, old, new, tmp_path):
    text = (FOLDER / "accelerate" / name).read_text()
    assert f"{old}:" in text
    (tmp_path / name).write_text(text.replace(f"{old}:", f"{new}:"))
    with pytest.raises(ValueError, match=new):
        load(tmp_path / name)


@pytest.mark.parametrize("name", FILES)
def test_the_header_says_what_it_is_for_and_its_command_runs_under_its_profile(name, monkeypatch):
    path = FOLDER / "accelerate" / name
    words = command_of(path)
    assert len(header(path)[0]) > 40 and words[:3] == ["accelerate", "launch", "--config_file"]
    assert ROOT / words[3] == path
    module = words.index("-m")
    given = dict(zip(words[4:module:2], words[5:module:2], strict=True))
    processes = given.get("--num_processes", str(load(path).num_processes))
    options = build_parser().parse_args(words[module + 2 :])
    monkeypatch.setenv("WORLD_SIZE", processes)
    profile = load_profile(options.profile, _overrides(options))
    check_profile(profile)
    assert profile.requires.gpus in (0, int(processes))


@pytest.mark.parametrize("name", ["ddp.yaml", "cpu.yaml"])
def test_ddp_starts_its_processes_by_torchs_launcher(name, monkeypatch):
    args = launched(name, monkeypatch)
    assert args.multi_gpu and not args.use_fsdp and not args.use_deepspeed and not args.cpu
    environment = prepare_multi_gpu_env(args)
    assert environment["ACCELERATE_MIXED_PRECISION"] == "no"
    assert int(args.nproc_per_node) == 2


def test_fsdp2_becomes_the_plugin_that_it_says(monkeypatch):
    from torch.distributed.fsdp import OffloadPolicy, StateDictType

    args = launched("fsdp2.yaml", monkeypatch)
    with patch_environment(**prepare_multi_gpu_env(args)):
        plugin = FullyShardedDataParallelPlugin()
    assert plugin.fsdp_version == 2 and plugin.reshard_after_forward is True
    assert plugin.state_dict_type == StateDictType.SHARDED_STATE_DICT
    assert plugin.transformer_cls_names_to_wrap == ["Qwen3VLTextDecoderLayer", "Qwen3VLVisionBlock"]
    assert plugin.cpu_ram_efficient_loading is False and plugin.activation_checkpointing is False
    assert type(plugin.cpu_offload) is OffloadPolicy


def test_the_classes_to_wrap_are_those_of_the_installed_qwen3_vl(loaded):
    from accelerate.utils.dataclasses import get_module_class_from_name

    config = load(FOLDER / "accelerate" / "fsdp2.yaml").fsdp_config
    named = config["fsdp_transformer_layer_cls_to_wrap"].split(",")
    assert set(named) == set(loaded.model._no_split_modules)
    for name in named:
        wrapped = get_module_class_from_name(loaded.model, name)
        assert wrapped is not None, name
        assert sum(type(module) is wrapped for module in loaded.model.modules()) > 1


@pytest.mark.parametrize("profile", ["multi-gpu", "paper"])
def test_the_trainer_checkpoints_activations_and_the_launcher_does_not(profile):
    loaded = load_profile(profile)
    for stage in ("sft", "grpo_grounding", "grpo_reports"):
        assert getattr(loaded, stage).trainer["gradient_checkpointing"] is True
        assert getattr(loaded, stage).trainer["bf16"] is True
    assert loaded.model.precision == "float32"


@pytest.mark.parametrize("stage", [2, 3])
def test_deepspeed_becomes_the_plugin_that_it_says(stage, monkeypatch):
    args = launched(f"zero{stage}.yaml", monkeypatch)
    _, environment = prepare_deepspeed_cmd_env(args)
    assert args.use_deepspeed and args.deepspeed_multinode_launcher == "standard"
    assert environment["ACCELERATE_DEEPSPEED_CONFIG_FILE"] == f"radvlm_course/configs/deepspeed/zero{stage}.json"
    with patch_environment(**environment):
        plugin = DeepSpeedPlugin()
    assert plugin.zero_stage == stage
    assert plugin.zero3_save_16bit_model is (stage == 3)
    assert plugin.zero3_init_flag is False
    plugin.set_mixed_precision("bf16")  # as the trainer does for bf16: true
    assert plugin.deepspeed_config["bf16"]["enabled"] is True


@pytest.mark.parametrize("stage", [2, 3])
def test_every_key_of_deepspeeds_files_is_one_that_deepspeed_reads(stage):
    """By DeepSpeed's own classes where it is installed, else by the names that were read from its source."""
    values = json.loads((FOLDER / "deepspeed" / f"zero{stage}.json").read_text())
    known = json.loads(Path(__file__).with_name("deepspeed_fields.json").read_text())
    assert set(values) <= set(known["top"])
    for section, names in known["sections"].items():
        assert set(values.get(section, {})) <= set(names), section
    if importlib.util.find_spec("deepspeed") is not None:
        from deepspeed.runtime.zero.config import DeepSpeedZeroConfig

        DeepSpeedZeroConfig(**values["zero_optimization"])  # refuses names that it does not know


def test_the_installed_package_brings_these_files():
    import tomllib

    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    packed = {path for pattern in patterns["radvlm_course"] for path in (ROOT / "radvlm_course").glob(pattern)}
    assert {*(FOLDER / "accelerate").iterdir(), *(FOLDER / "deepspeed").iterdir()} <= packed


@pytest.mark.parametrize("name", FILES)
def test_no_key_stands_twice(name):
    class Strict(yaml.SafeLoader):
        pass

    def once(loader, node):
        keys = [loader.construct_object(key) for key, _ in node.value]
        assert len(keys) == len(set(keys)), keys
        return loader.construct_mapping(node, deep=True)

    Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, once)
    assert yaml.load((FOLDER / "accelerate" / name).read_text(), Strict)
