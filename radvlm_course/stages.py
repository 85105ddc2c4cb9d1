"""The stages of the method: what the command line and the notebooks call. Their work is in
:mod:`radvlm_course.stage_work`, one function each.

::

    curate ──▶ base ──▶ sft ──┬─▶ cold_start ──────┐
                              ├─▶ grpo_grounding ──┤
                              └─▶ grpo_reports ────┴─▶ evaluate

A stage reads the folder of the stage before it and writes its own (see :mod:`radvlm_course.runs`).
A finished stage is not repeated; a killed one resumes. ``base`` exists only for the tiny model: it
makes the tokenizer and the vision tower that a real Qwen3-VL brings along. ``cold_start`` teaches the
thinking mode; a GRPO stage starts from it if its settings say ``thinking``, and from elsewhere if they
name a ``start``.

Started by ``accelerate launch``, the stages that train with TRL (``sft``, ``cold_start``, GRPO) run in all processes;
the others run in the main process alone, which also opens the run, writes its files and decides what is finished
(:mod:`radvlm_course.processes`).
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from radvlm_course.models.unsloth import prepare_engine
from radvlm_course.processes import from_main, main_process, wait_for_all
from radvlm_course.profile_checks import GRPO_STAGES
from radvlm_course.profiles import ColdStartSettings, Profile, load_profile
from radvlm_course.readiness import check_profile, check_ready
from radvlm_course.records import Example, Study, read_jsonl
from radvlm_course.runs import Run
from radvlm_course.services import check_services
from radvlm_course.stage_work import EARLY, STAGE_WORK

__all__ = ["STAGE_ORDER", "Course", "open_course"]

STAGE_ORDER = ("curate", "base", "sft", "cold_start", "grpo_grounding", "grpo_reports", "evaluate")
IN_ALL_PROCESSES = ("sft", "cold_start", *GRPO_STAGES)  # of a launcher; the other stages in one of them
_NEEDS = {
    "curate": (),
    "base": ("curate",),
    "sft": ("base",),
    "cold_start": ("sft",),
    "grpo_grounding": ("sft",),
    "grpo_reports": ("sft",),
    "evaluate": ("sft", "cold_start", "grpo_grounding", "grpo_reports"),
}


@dataclasses.dataclass(frozen=True)
class Course:
    """One run of the course under one profile."""

    profile: Profile
    run: Run
    progress: bool = True

    def ensure(self, stage: str) -> Path:
        """Run a stage, and whatever it needs first, unless finished. Returns its folder.

        Under a launcher every process makes the call.

        Raises:
            ValueError: there is no such stage, or the profile has no settings for it.
            RunError: the run folder holds other settings, or this machine lacks what the profile needs.
            OtherProcessFailed: another process of the launcher failed.
        """
        if stage not in _NEEDS:
            raise ValueError(f"expected a stage among {', '.join(STAGE_ORDER)}; found {stage!r}")
        if stage == "cold_start":
            self.cold_start_settings()
        if not self.unfinished([stage]):
            return self.run.folder / stage
        check_ready(self.profile)
        for needed in self._needed(stage):
            if needed in self.stages():
                self.ensure(needed)
        if stage in GRPO_STAGES:
            check_services(self.profile, [stage])
        if stage not in IN_ALL_PROCESSES:
            from_main(f"stage {stage}", lambda: self._run(stage))
        else:
            self._run(stage)
        return self.run.folder / stage

    def unfinished(self, stages: Sequence[str]) -> list[str]:
        """Those of the stages that have not finished; what the main process sees counts for all."""
        return from_main("what has finished", lambda: [stage for stage in stages if not self.run.is_finished(stage)])

    def _run(self, stage: str) -> None:
        started = time.perf_counter()
        summary = STAGE_WORK[stage](self)
        summary["seconds"] = round(time.perf_counter() - started, 1)
        wait_for_all(f"the end of stage {stage}")
        from_main(f"the end of stage {stage}", lambda: self.run.finish(stage, summary))

    def check(self) -> None:
        """Find what is wrong with the profile before hours are spent (:mod:`radvlm_course.readiness`).

        Raises:
            ProfileError: a setting that the installed version does not have, or a reward or option that we have not.
        """
        check_profile(self.profile)

    def stages(self) -> tuple[str, ...]:
        """The stages that this run has: without reports in the source there is no GRPO on reports, and a cold start
        only where the profile has settings for it."""
        absent = set() if self.profile.cold_start is not None else {"cold_start"}
        if from_main("whether there are reports", self._has_no_reports):
            absent.add("grpo_reports")
        return tuple(stage for stage in STAGE_ORDER if stage not in absent)

    def _has_no_reports(self) -> bool:
        return self.run.is_finished("curate") and not self.examples("train", "report_generation")

    def grpo_start(self) -> str:
        """The model that cold start and GRPO start from: ``sft``, or ``sft_early`` where the profile keeps one."""
        return EARLY if self.profile.sft.has_early_model() else "sft"

    def start_of(self, stage: str) -> str:
        """What a GRPO stage starts from: a stage of this run, a folder, or a name on the hub."""
        settings = getattr(self.profile, stage)
        if settings.start == "base" and self.profile.model.name_or_path is not None:
            return self.profile.model.name_or_path
        return settings.start or ("cold_start" if settings.thinking else self.grpo_start())

    def cold_start_settings(self) -> ColdStartSettings:
        """The profile's section. Raises ValueError if it has none."""
        if self.profile.cold_start is None:
            raise ValueError(f"profile {self.profile.name!r} has no section cold_start: add it, or leave the stage out")
        return self.profile.cold_start

    def _needed(self, stage: str) -> tuple[str, ...]:
        start = getattr(getattr(self.profile, stage, None), "start", None)
        if start is not None:
            return ("curate",) if "/" in start else ("sft" if start == EARLY else start,)
        return (*_NEEDS[stage], *(("cold_start",) if self.thinks(stage) else ()))

    def thinks(self, stage: str) -> bool:
        """Whether a GRPO stage asks for thoughts, and so starts from the cold start's model if no other is named."""
        return getattr(getattr(self.profile, stage, None), "thinking", False)

    def examples(self, split: str, task: str | None = None) -> list[Example]:
        """The curated examples of a split, of one task or of all."""
        path = self.ensure("curate") / f"{split}.jsonl"
        return [example for example in read_jsonl(path, Example) if task in (None, example.task)]

    def studies(self, split: str) -> Iterator[Study]:
        """The studies of a split, of all the profile's datasets, whatever their mixture takes of them."""
        from radvlm_course.curation import studies_of

        return studies_of(self.profile.curate, split)


def open_course(
    profile: str | os.PathLike[str] | Profile = "laptop",
    name: str = "course",
    overrides: dict[str, Any] | None = None,
    root: str | os.PathLike[str] = "runs",
    progress: bool = True,
) -> Course:
    """Open a run, new or old, under a profile.

    Under a launcher every process makes the call; the main process makes the folder, and shows progress.

    Raises:
        ProfileError: the profile does not exist or holds an unknown key.
        RunError: the run was made with other settings.
    """
    loaded = profile if isinstance(profile, Profile) else load_profile(profile, overrides)
    prepare_engine(loaded.model)
    settings = loaded.to_dict()
    from_main("opening the run", lambda: str(Run(name, settings, root).folder))
    return Course(loaded, Run(name, settings, root), progress and main_process())
