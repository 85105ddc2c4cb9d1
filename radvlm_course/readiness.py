"""Everything about a profile that can be known to be wrong before hours are spent, and before a run folder is made.

Is every setting one that the installed trainers have? Do the batches, and what the launcher shares out, fit the
processes that run? Does the adapter reach what it should? Is there a GPU, are there weights, are there data? The first
three are faults of a profile (:func:`check_profile`), the rest is what a machine lacks (:func:`obstacles`). Servers
that a stage talks to are asked by :mod:`radvlm_course.services`.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from radvlm_course.choice import TOLERANCE
from radvlm_course.machine import Machine, quick_look
from radvlm_course.processes import process_count, sharding
from radvlm_course.profile_checks import GRPO_STAGES, check_batches, check_sharing
from radvlm_course.profiles import Profile, check_reward, check_trainer_options
from radvlm_course.runs import RunError

__all__ = ["check_profile", "check_ready", "obstacles"]


def check_profile(profile: Profile) -> None:
    """Hold a profile against the installed trainers, our rewards, its model's modules and the processes that run it.

    Raises:
        ProfileError: a setting that the installed version does not have, a reward or option that we have not, a name
            that reaches no module or the wrong one, batches that do not fit.
    """
    check_trainer_options(profile.sft, "trl.SFTConfig", "sft")
    if profile.cold_start is not None:
        check_trainer_options(profile.cold_start, "trl.SFTConfig", "cold_start")
    for name in GRPO_STAGES:
        check_trainer_options(getattr(profile, name), "trl.GRPOConfig", name)
        check_reward(getattr(profile, name), name)
    check_batches(profile, process_count(), f"profile {profile.name}")
    one_process_loads = os.environ.get("FSDP_CPU_RAM_EFFICIENT_LOADING", "false").lower() == "true"
    check_sharing(profile, sharding(), one_process_loads, f"profile {profile.name}")
    model = profile.model
    if model.name_or_path is not None and (model.adapter is not None or model.quantisation is not None):
        from radvlm_course.models.architectures import check_module_names, known_architectures, read_architecture

        if model.name_or_path in known_architectures() or Path(model.name_or_path).is_dir():
            check_module_names(model, read_architecture(model.name_or_path))


def check_ready(profile: Profile, machine: Machine | None = None) -> None:
    """Raises RunError if this machine lacks something that the profile needs; names all of it and what to do."""
    if lacking := obstacles(profile, machine):
        raise RunError(
            f"profile {profile.name!r} cannot start here:\n"
            + "\n".join(f"- {line}" for line in lacking)
            + "\n`python -m radvlm_course doctor` says which profile fits this machine; `laptop` runs anywhere"
        )


def obstacles(profile: Profile, machine: Machine | None = None) -> list[str]:
    """What is lacking here, in words, each with what to do; empty if all is there.

    Args:
        machine: looked at if None, and only if the profile needs a GPU.
    """
    found = []
    if profile.requires.gpus:
        found += _missing_gpus(profile, machine or quick_look())
    if wanted := _named_models(profile):
        from radvlm_course.models.availability import missing_weights

        found += [missing_weights(name) for name in wanted]
    if profile.model.quantisation is not None and importlib.util.find_spec("bitsandbytes") is None:
        found.append(
            "weights in four bits need bitsandbytes, which is not installed: pip install -c constraints/gpu.txt -e "
            "'.[gpu]'"
        )
    found.append(_missing_data(profile))
    return [line for line in found if line]


def _named_models(profile: Profile) -> list[str]:
    """Models from outside of the run: the profile's own, and those that a GRPO stage starts from."""
    starts = [getattr(profile, stage).start or "" for stage in GRPO_STAGES]
    named = [profile.model.name_or_path, *(start for start in starts if "/" in start)]
    return [name for name in dict.fromkeys(named) if name is not None]


def _missing_gpus(profile: Profile, machine: Machine) -> list[str]:
    needs = profile.requires
    processes = process_count()
    if needs.gpus > 1 and processes == 1:
        return [
            f"it is sized for {needs.gpus} processes, one a GPU, and this is one alone: start it with the command at "
            f"the top of radvlm_course/configs/profiles/{profile.name}.yaml"
        ]
    here = int(os.environ.get("LOCAL_WORLD_SIZE", processes))
    fitting = [gpu for gpu in machine.gpus if gpu.usable and gpu.memory_gb >= needs.gpu_memory_gb * TOLERANCE]
    if len(fitting) >= here:
        return []
    cards = "; ".join(
        f"{gpu.name}, {gpu.memory_gb:.0f} GB{'' if gpu.usable else ', which torch cannot use'}" for gpu in machine.gpus
    )
    return [
        f"it needs {here} GPU{'s' if here > 1 else ''} of {needs.gpu_memory_gb:g} GB, and this machine has "
        f"{cards or 'none'} (for a smaller one after lowering other settings: --set requires.gpu_memory_gb=N)"
    ]


def _missing_data(profile: Profile) -> str:
    curate = profile.curate
    if curate.source is not None:
        if curate.source == "phantom" or os.path.isdir(curate.root):
            return ""
        return f"the dataset {curate.source!r} is not at {curate.root}: name its folder with --root FOLDER"
    from radvlm_course.instructions.mixture_settings import load_mixture

    places = {name: os.path.join(curate.root, name) for name in load_mixture(curate.mixture).sources()}
    places |= curate.roots or {}
    missing = {name: place for name, place in places.items() if not os.path.isdir(place)}
    lacking = [name for name in missing if name not in (curate.leave_out or ())]
    if not lacking:
        return ""
    return (
        f"the mixture {curate.mixture!r} needs a folder with each of its datasets; not there: "
        f"{', '.join(missing[name] for name in lacking)}. Open ones: python data_scripts/download.py; the "
        f'folder of all is named with --root FOLDER, and to do without: --set "curate.leave_out=[{", ".join(lacking)}]"'
    )
