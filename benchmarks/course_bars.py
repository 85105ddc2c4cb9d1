"""Did a run of the course come out as it should? One line a claim, read from what the run left; fails if one is missed.

    python benchmarks/course_bars.py runs/course

A learner's pictures are only worth looking at if the model behind them learned something. The limits are stated here
and nowhere else. The two claims about GRPO are shown and never fail: a run with other arithmetic may miss an interval.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from radvlm_course.evaluation.predictions import read_predictions
from radvlm_course.evaluation.score import Scores, compare, load_scores
from radvlm_course.thinking.modes import mode_rate

GROUNDING, REPORTS = "abnormality_grounding", "report_generation"
PRIORS = ("prior_mean_box", "prior_commonest_side")
LEARNED = ((GROUNDING, "soft_f1"), (REPORTS, "gleu"), (REPORTS, "finding_f1_micro"))


@dataclass(frozen=True)
class Bar:
    """One claim: what was measured, the least that it should be, and whether missing it is a failure."""

    claim: str
    measured: float
    least: float
    required: bool = True

    @property
    def met(self) -> bool:
        return self.measured >= self.least


def bars(run: Path) -> Iterator[Bar]:
    """Every claim about a finished run of the laptop profile."""
    scores = {path.parent.name: load_scores(path.parent) for path in run.glob("evaluate/scores/*/scores.json")}
    start = "sft_early" if "sft_early" in scores else "sft"
    prior = max(scores[name].tasks[GROUNDING]["map50"].value for name in PRIORS)
    sft = scores["sft"].tasks
    yield Bar("SFT: mAP@0.5 above the stronger prior", sft[GROUNDING]["map50"].value - prior, 0.20)
    yield Bar("SFT: finding F1 of reports", sft[REPORTS]["finding_f1_micro"].value, 0.90)
    yield from cold_start_bars(run, scores, start)
    for model, task, metric in (("grpo_grounding", GROUNDING, "soft_f1"), ("grpo_reports", REPORTS, "gleu")):
        gain = compare(scores[start], scores[model])[task][metric]
        yield Bar(f"{model}: lower end of the gain in {metric}", gain.low, 0.0, required=False)


def cold_start_bars(run: Path, scores: dict[str, Scores], start: str) -> Iterator[Bar]:
    """Both modes are kept, and direct answers are not worse than before by more than 0.02."""
    for name, thinking, least in (("cold_start_thinking", True, 0.95), ("cold_start", False, 0.99)):
        kept = mode_rate(read_predictions(run / "evaluate" / "predictions" / f"{name}.jsonl"), thinking)
        yield Bar(f"{name}: answers that keep to the mode (n = {kept.n})", kept.rate, least)
    before, after = scores[start].tasks, scores["cold_start"].tasks
    for task, metric in LEARNED:
        change = after[task][metric].value - before[task][metric].value
        yield Bar(f"cold_start, asked directly: change of {metric}", change, -0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    missed = []
    for bar in bars(parser.parse_args().run):
        print(f"{'met   ' if bar.met else 'MISSED'} {bar.measured:+.3f} (at least {bar.least:+.3f})  {bar.claim}")
        if bar.required and not bar.met:
            missed.append(bar.claim)
    if missed:
        raise SystemExit(f"{len(missed)} of the required claims are not met: {'; '.join(missed)}")


if __name__ == "__main__":
    main()
