"""Profiles: strict reading, overrides, and agreement with the trainers and the settings they are passed to."""

import dataclasses
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.profiles import (
    GrpoSettings,
    Profile,
    ProfileError,
    SftSettings,
    VisionPretrainingSettings,
    available_profiles,
    check_reward,
    check_trainer_options,
    load_profile,
    parse_override,
)
from radvlm_course.runs import Run
from radvlm_course.settings import load_yaml
from radvlm_course.stages import open_course


@pytest.fixture
def laptop() -> Profile:
    return load_profile("laptop")


def test_the_laptop_profile_needs_no_gpu_and_fits_six_gigabytes(laptop: Profile) -> None:
    assert laptop.name == "laptop"
    assert laptop.requires.gpus == 0
    assert laptop.requires.memory_gb <= 6
    assert laptop.model.kind == "tiny"


@pytest.mark.parametrize("name", available_profiles())
def test_every_profile_is_named_like_its_file_and_holds_its_launch_command(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    path = Path("radvlm_course/configs/profiles") / f"{name}.yaml"
    text = (Path(__file__).parents[1] / path).read_text(encoding="utf-8")
    header = text.split("\nname:")[0]
    assert f"-m radvlm_course run --profile {name} --run " in header
    assert ("accelerate launch" in header) == (profile.requires.gpus > 1)
    assert len(max(header.splitlines(), key=len)) <= 132


def test_to_dict_is_plain_and_reads_back_equal(laptop: Profile, tmp_path: Path) -> None:
    path = tmp_path / "written.yaml"
    path.write_text(yaml.safe_dump(laptop.to_dict()), encoding="utf-8")
    assert load_profile(path) == laptop
    assert yaml.safe_load(path.read_text(encoding="utf-8")) == laptop.to_dict()


def test_to_dict_is_a_copy(laptop: Profile) -> None:
    laptop.to_dict()["sft"]["trainer"]["max_steps"] = -1
    assert laptop.sft.trainer["max_steps"] != -1


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "model.knid=tiny",
            r"laptop\.yaml.*unknown key model\.knid \(did you mean kind\?\).*Known keys of model: kind",
        ),
        ("colour=red", r"unknown key colour.*Known keys: name, description"),
        ("model.kind=huge", r"model\.kind must be one of tiny, pretrained; found 'huge'"),
        ("model.kind=pretrained", r"model\.name_or_path must name a model"),
        ("model.image_size=null", r"model\.image_size must be given for model\.kind 'tiny'"),
        ("curate.image_size=null", r"curate\.image_size must be given for curate\.source 'phantom'"),
        ("evaluate.batch_size=0", r"evaluate\.batch_size must be a number not below 1, found 0"),
        ("evaluate.batch_size=2.5", r"evaluate\.batch_size must be of type int, found 2\.5"),
        ("seed=true", r"seed must be of type int, found True"),
        ("sft.freeze_vision=1", r"sft\.freeze_vision must be of type bool, found 1"),
        ("vision_pretraining.learning_rate=.nan", r"learning_rate must be a number not below 0, found nan"),
        ("vision_pretraining=3", r"vision_pretraining must be a section with keys, found 3"),
        ("curate.patients.tset=3", r"unknown key curate\.patients\.tset.*train, validation, test"),
        ("curate.patients.train=0", r"curate\.patients\.train must be a number not below 1"),
        ("curate.leave_out=tbx11k", r"curate\.leave_out must be a list, found 'tbx11k'"),
        ("curate.leave_out=[tbx11k]", r"curate\.roots and curate\.leave_out are for a mixture of several datasets"),
        ("curate.roots={phantom: x}", r"curate\.roots and curate\.leave_out are for a mixture of several datasets"),
        ("curate.options={phantom: 3}", r"curate\.options\.phantom must be a section with keys, found 3"),
        ("sft.trainr.max_steps=3", r"no section 'sft\.trainr' \(did you mean trainer\?\)"),
    ],
)
def test_a_wrong_key_or_value_is_named(override: str, message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        load_profile("laptop", dict([parse_override(override)]))


def test_a_missing_key_is_named(laptop: Profile, tmp_path: Path) -> None:
    values = laptop.to_dict()
    del values["grpo_reports"]["reward"]
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(ProfileError, match=r"mine\.yaml: the key grpo_reports\.reward is missing"):
        load_profile(path)


def test_overrides_reach_nested_and_new_trainer_keys(laptop: Profile) -> None:
    changed = load_profile("laptop", {"sft.trainer.max_steps": 10, "sft.trainer.seed_of_mine": 1, "seed": 7})
    assert changed.sft.trainer == {**laptop.sft.trainer, "max_steps": 10, "seed_of_mine": 1}
    assert changed.seed == 7
    assert load_profile("laptop") == laptop


def test_a_stage_takes_one_reward_or_several_with_weights(laptop: Profile) -> None:
    assert laptop.grpo_reports.reward == "gleu"
    several = load_profile("laptop", dict([parse_override("grpo_reports.reward={radcliq: 1, thinking_format: 0.1}")]))
    assert several.grpo_reports.reward == {"radcliq": 1.0, "thinking_format": 0.1}
    for wrong, message in (
        ("{gleu: high}", r"laptop\.yaml.*grpo_reports\.reward: gleu .* must be a finite number, found 'high'"),
        ("{gleu: .nan}", "must be a finite number, found nan"),
        ("{gleu: {weight: yes}}", r"gleu\.weight must be a finite number, found True"),
        ("{}", r"grpo_reports\.reward: expected at least one reward"),
        ("null", "reward must be of type str"),
    ):
        with pytest.raises(ProfileError, match=message):
            load_profile("laptop", dict([parse_override(f"grpo_reports.reward={wrong}")]))


def test_a_reward_takes_options_from_the_profile_and_from_the_command_line(laptop: Profile, tmp_path: Path) -> None:
    values = laptop.to_dict()
    values["grpo_reports"]["reward"] = {"radgraph": {"weight": 0.5, "level": "partial"}, "gleu": 1}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    profile = load_profile(path, dict([parse_override("grpo_reports.reward.radgraph.model=radgraph")]))
    assert profile.grpo_reports.reward["radgraph"] == {"weight": 0.5, "level": "partial", "model": "radgraph"}
    check_reward(profile.grpo_reports, "grpo_reports")


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        ("glue", r"grpo_reports\.reward: glue: unknown reward 'glue' \(did you mean gleu\?\).*bertscore, bleu"),
        ("{radgraph: {levl: simple}}", r"'radgraph' has no option 'levl' \(did you mean level\?\).*weight, level"),
        ("{remote: {url: somewhere}}", "'remote' needs the option 'reward'"),
    ],
)
def test_an_unknown_reward_or_option_is_found_before_training(reward: str, message: str) -> None:
    profile = load_profile("laptop", dict([parse_override(f"grpo_reports.reward={reward}")]))
    with pytest.raises(ProfileError, match=message):
        check_reward(profile.grpo_reports, "grpo_reports")


def test_a_profile_may_name_no_dataset_but_a_mixture_of_several_and_where_they_lie(tmp_path: Path) -> None:
    changes = {"curate.source": None, "curate.root": "data", "curate.mixture": "open_data_small"}
    changes |= {"curate.roots": {"open_i": "disk/open_i"}, "curate.leave_out": ["tbx11k"]}
    changes |= {"curate.options": {"open_i": {"sections": "both", "fractions": {"train": 1.0}}}}
    profile = load_profile("laptop", changes)
    path = tmp_path / "written.yaml"
    path.write_text(yaml.safe_dump(profile.to_dict()), encoding="utf-8")
    assert load_profile(path).curate == profile.curate
    assert profile.curate.options == {"open_i": {"sections": "both", "fractions": {"train": 1.0}}}


def test_a_run_that_was_made_before_there_were_several_datasets_opens_as_before(
    laptop: Profile, tmp_path: Path
) -> None:
    values = laptop.to_dict()
    for key in ("roots", "options", "leave_out"):
        assert values["curate"].pop(key) is None
    Run("old", values, tmp_path)
    assert open_course(laptop, "old", root=tmp_path).run.folder == tmp_path / "old"


def test_a_stage_can_be_left_out() -> None:
    assert load_profile("laptop", {"vision_pretraining": None}).vision_pretraining is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b=3", ("a.b", 3)),
        ("a=1e-4", ("a", 1e-4)),
        ("a=-2.5E3", ("a", -2500.0)),
        ("a=null", ("a", None)),
        ("a=true", ("a", True)),
        ("a=[1, x]", ("a", [1, "x"])),
        ("a=b=c", ("a", "b=c")),
        ("a=", ("a", None)),
    ],
)
def test_override_values_are_yaml(text: str, expected: tuple[str, object]) -> None:
    assert parse_override(text) == expected


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_that_python_prints_is_read_as_that_number(number: float) -> None:
    assert parse_override(f"a={number!r}") == ("a", number)


@pytest.mark.parametrize("text", ["a.b", "=3", "a..b=3", ".a=3", "a b=3", "a=[1"])
def test_what_is_not_an_override_is_refused(text: str) -> None:
    with pytest.raises(ProfileError, match="override"):
        parse_override(text)


def test_unknown_profiles_and_paths_are_refused_with_the_known_names(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"no profile named 'lapptop'; there are: .*laptop"):
        load_profile("lapptop")
    with pytest.raises(ProfileError, match="no profile at"):
        load_profile(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", "line 2: the key 'a' is given twice"),
        ("- a\n", "expected keys with values, found list"),
        ("", "expected keys with values, found NoneType"),
        ("a: [1\n", "cannot read"),
    ],
)
def test_broken_yaml_names_the_file_and_the_fault(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ProfileError, match=message) as caught:
        load_yaml(path)
    assert "broken.yaml" in str(caught.value)


WORLD = {"multi-gpu": 8, "paper": 32}


@pytest.mark.parametrize("name", available_profiles())
def test_the_installed_trainers_take_every_setting_of_every_profile(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the names alone: the configurations are made, as on a machine with the profile's number of processes."""
    from transformers import TrainingArguments
    from trl import GRPOConfig, SFTConfig

    profile = load_profile(name)
    monkeypatch.setattr(TrainingArguments, "world_size", property(lambda self: WORLD.get(name, 1)))
    made = {}
    for stage, cls in {"sft": SFTConfig, "grpo_grounding": GRPOConfig, "grpo_reports": GRPOConfig}.items():
        section = getattr(profile, stage)
        check_trainer_options(section, cls, stage)
        made[stage] = cls(output_dir="unused", report_to=[], **{**section.trainer, "use_cpu": True})
        for key, value in section.trainer.items():
            if key not in ("use_cpu", "accelerator_config"):
                assert getattr(made[stage], key) == value, key
    for stage in ("grpo_grounding", "grpo_reports"):
        if profile.requires.gpus:
            section = getattr(profile, stage)
            assert made[stage].generation_batch_size == section.prompts_per_step * section.trainer["num_generations"]


def test_what_the_paper_leaves_to_trls_defaults_are_its_values() -> None:
    from trl import GRPOConfig, SFTConfig

    config = GRPOConfig(output_dir="unused", use_cpu=True, bf16=False)
    assert (config.adam_beta1, config.max_grad_norm, config.num_iterations) == (0.9, 1.0, 1)
    assert (config.top_p, config.top_k, config.min_p) == (1.0, 0, None)
    assert SFTConfig(output_dir="unused", use_cpu=True, bf16=False).max_grad_norm == 1.0


def test_the_paper_profile_has_the_papers_numbers() -> None:
    paper = load_profile("paper")
    assert paper.model.name_or_path == "Qwen/Qwen3-VL-8B-Instruct"
    assert (paper.model.quantisation, paper.model.adapter, paper.sft.freeze_vision) == (None, None, False)
    assert (paper.sft.max_pixels, paper.model.max_pixels) == (512 * 512, 672 * 672)
    assert (paper.sft.trainer["learning_rate"], paper.sft.trainer["num_train_epochs"]) == (1e-5, 2)
    shared = {
        "num_generations": 8,
        "learning_rate": 1e-6,
        "lr_scheduler_type": "constant",
        "warmup_steps": 0,
        "weight_decay": 0.01,
        "beta": 0.01,
        "epsilon": 0.2,
        "epsilon_high": 0.28,
        "delta": 3.0,
        "temperature": 1.0,
        "loss_type": "bnpo",
        "scale_rewards": "group",
        "vllm_gpu_memory_utilization": 0.6,
        "vllm_tensor_parallel_size": 1,
    }
    for section in (paper.grpo_grounding, paper.grpo_reports):
        assert section.prompts_per_step == 512
        assert {key: section.trainer[key] for key in shared} == shared
    reports, grounding = paper.grpo_reports.trainer, paper.grpo_grounding.trainer
    assert (reports["per_device_train_batch_size"], reports["max_completion_length"]) == (4, 1024)
    assert reports["max_steps"] == 300 * 4  # verl's steps are generations of four updates
    assert (grounding["per_device_train_batch_size"], grounding["max_completion_length"]) == (8, 4096)
    assert grounding["num_train_epochs"] == 10
    assert (paper.grpo_reports.reward, paper.grpo_grounding.reward) == ("radcliq", "soft_f1")


def test_an_adapter_is_trained_at_ten_times_the_rate_of_all_weights() -> None:
    paper = load_profile("paper")
    for name in ("gpu-12gb", "gpu-16gb", "gpu-24gb", "gpu-80gb"):
        profile = load_profile(name)
        assert profile.model.adapter is not None
        for stage in ("sft", "grpo_grounding", "grpo_reports"):
            rate = getattr(profile, stage).trainer["learning_rate"]
            assert rate == pytest.approx(10 * getattr(paper, stage).trainer["learning_rate"])


@pytest.mark.parametrize("name", ["gpu-12gb", "gpu-16gb", "gpu-24gb", "gpu-80gb"])
def test_the_header_says_how_large_the_download_is(name: str) -> None:
    from radvlm_course.models.architectures import known_architectures

    profile = load_profile(name)
    size = known_architectures()[str(profile.model.name_or_path)].parameter_count() * 2 / 1e9
    text = (Path(__file__).parents[1] / f"radvlm_course/configs/profiles/{name}.yaml").read_text(encoding="utf-8")
    assert f"({size:.1f} GB from the hub" in text


def test_the_laptop_profile_is_written_as_before_the_other_tiers_came(laptop: Profile) -> None:
    """A run folder of an earlier version is opened again."""
    values = laptop.to_dict()
    assert list(values["model"]) == ["kind", "max_pixels", "image_size", "name_or_path", "tiny"]
    assert "max_pixels" not in values["sft"]
    assert "differs" not in values


def test_trainer_options_are_held_against_the_installed_classes(laptop: Profile) -> None:
    check_trainer_options(laptop.sft, "trl.SFTConfig", "sft")
    check_trainer_options(laptop.grpo_grounding, "trl.GRPOConfig", "grpo_grounding")
    check_trainer_options(laptop.grpo_reports, "trl.GRPOConfig", "grpo_reports")


@dataclasses.dataclass
class SomeConfig:
    max_steps: int = 1
    learning_rate: float = 1.0
    internal: int = dataclasses.field(default=0, init=False)


def test_an_unknown_trainer_option_names_close_matches() -> None:
    check_trainer_options(SftSettings(trainer={"max_steps": 3}), SomeConfig)
    with pytest.raises(
        ProfileError, match=r"sft\.trainer\.max_stps: SomeConfig has no such setting.*did you mean max_steps"
    ):
        check_trainer_options(SftSettings(trainer={"max_stps": 3}), SomeConfig, "sft")
    with pytest.raises(ProfileError, match="internal"):
        check_trainer_options(SftSettings(trainer={"internal": 3}), SomeConfig)


def test_an_option_that_the_stage_sets_is_refused() -> None:
    section = GrpoSettings(reward="gleu", prompts_per_step=1, trainer={"output_dir": "x"})
    with pytest.raises(ProfileError, match=r"grpo\.trainer\.output_dir is set by the stage itself"):
        check_trainer_options(section, SomeConfig, "grpo")


def test_settings_of_torch_modules_have_the_same_fields_here(laptop: Profile) -> None:
    pytest.importorskip("torch")
    from radvlm_course.models.tiny import TinySettings
    from radvlm_course.training import vision_pretraining

    def names(cls: type) -> list[str]:
        return [entry.name for entry in dataclasses.fields(cls)]

    assert names(VisionPretrainingSettings) == names(vision_pretraining.VisionPretrainingSettings)
    assert set(laptop.model.tiny) <= set(names(TinySettings))


def test_an_early_step_without_a_checkpoint_is_refused():
    with pytest.raises(ProfileError, match=r"sft\.early_step is 300.* multiple of sft\.trainer\.save_steps \(500\)"):
        load_profile("laptop", {"sft.early_step": 300})


@pytest.mark.parametrize(
    ("changes", "early"),
    [({}, True), ({"sft.trainer.max_steps": 50}, False), ({"sft.early_step": None}, False)],
)
def test_a_training_that_ends_before_the_early_step_has_no_early_model(changes, early):
    assert load_profile("laptop", changes).sft.has_early_model() is early
