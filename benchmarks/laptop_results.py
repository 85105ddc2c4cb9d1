"""Collect the results of finished runs into docs/results.md and the README.

    python benchmarks/laptop_results.py runs/course runs/seed1 runs/seed2 [--write]

Each run is one training seed on the same films. For each the script prints the held-out scores of the SFT
model and of both priors, what GRPO changed (paired 95% bootstrap intervals by patient), what it changed on
the task that it was not trained on, the scores of each finding, and the seconds of each stage. With
``--write`` the tables replace what stands between the ``results`` markers of README.md and docs/results.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path

from radvlm_course.evaluation.score import Scores, compare, load_scores
from radvlm_course.evaluation.statistics import Interval

GROUNDING, REPORTS = "abnormality_grounding", "report_generation"
PRIORS = ("prior_mean_box", "prior_commonest_side")
MARKERS = re.compile(r"(<!-- results: begin -->\n).*?(<!-- results: end -->)", re.DOTALL)


def scores_of(run: Path) -> dict[str, Scores]:
    """Model name -> scores of one run."""
    return {path.parent.name: load_scores(path.parent) for path in sorted(run.glob("evaluate/scores/*/scores.json"))}


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in [header, ["---"] + ["---:"] * (len(header) - 1), *rows]]
    return "\n".join(lines) + "\n"


def cell(interval: Interval, signed: bool = False) -> str:
    form = "{:+.3f}" if signed else "{:.3f}"
    return f"{form.format(interval.value)} [{form.format(interval.low)}, {form.format(interval.high)}]"


def paired(before: Scores, after: Scores, keep: Callable[[dict], bool]) -> dict[str, Interval]:
    """Paired differences in grounding over the rows that ``keep`` chooses."""
    chosen = [
        dataclasses.replace(scores, rows=tuple(row for row in scores.rows if row["task"] == GROUNDING and keep(row)))
        for scores in (before, after)
    ]
    return compare(*chosen)[GROUNDING]


def stronger(values: dict[str, float]) -> str:
    """The prior with the higher value."""
    return max(values, key=lambda name: values[name])


def headline(runs: dict[str, dict[str, Scores]]) -> str:
    """SFT against the priors."""
    rows = []
    for name, scores in runs.items():
        best = stronger({prior: scores[prior].tasks[GROUNDING]["map50"].value for prior in PRIORS})
        sft = scores["sft"].tasks
        cells = [
            scores[best].tasks[GROUNDING]["map50"],
            sft[GROUNDING]["map50"],
            scores["prior_commonest_findings"].tasks[REPORTS]["finding_f1_micro"],
            sft[REPORTS]["finding_f1_micro"],
            sft[REPORTS]["gleu"],
        ]
        gain = paired(scores[best], scores["sft"], lambda row: True)["map50"]
        rows.append([name, *map(cell, cells[:2]), cell(gain, signed=True), *map(cell, cells[2:])])
    titles = ["mAP@0.5, stronger prior", "mAP@0.5, SFT", "difference", "finding F1, prior", "finding F1, SFT"]
    return table(["run", *titles, "GLEU, SFT"], rows)


def changes(runs: dict[str, dict[str, Scores]]) -> str:
    """What GRPO, the cold start in both modes, and going on with SFT changed against the model they started from."""
    shown = [(GROUNDING, "soft_f1"), (GROUNDING, "map50"), (REPORTS, "gleu"), (REPORTS, "finding_f1_micro")]
    rows = []
    for name, scores in runs.items():
        start = "sft_early" if "sft_early" in scores else "sft"
        for model in ("grpo_grounding", "grpo_reports", "cold_start", "cold_start_thinking", "sft"):
            if model in scores and model != start:
                differences = compare(scores[start], scores[model])
                values = [cell(differences[task][metric], signed=True) for task, metric in shown]
                rows.append([f"{name}: {model} - {start}", *values])
    return table(["difference", "soft-F1", "mAP@0.5", "GLEU", "finding F1"], rows)


def findings(scores: dict[str, Scores]) -> str:
    """soft-F1 of each finding's boxes: stronger prior, SFT, their paired difference, GRPO; finding F1 in reports."""
    rows = []
    for label, metrics in scores["sft"].labels[GROUNDING].items():
        values = {prior: scores[prior].labels[GROUNDING][label]["soft_f1"].value for prior in PRIORS}
        best = stronger(values)
        gain = paired(scores[best], scores["sft"], lambda row, label=label: row["label"] == label)["soft_f1"]
        tuned = (
            scores["grpo_grounding"].labels[GROUNDING][label]["soft_f1"].value if "grpo_grounding" in scores else None
        )
        named = scores["sft"].labels[REPORTS].get(label)
        cells = [f"{values[best]:.3f}", f"{metrics['soft_f1'].value:.3f}", cell(gain, signed=True)]
        cells += ["n/a" if tuned is None else f"{tuned:.3f}", f"{named['finding_f1'].value:.3f}" if named else "n/a"]
        rows.append([label, str(metrics["soft_f1"].n), *cells])
    titles = ["soft-F1, stronger prior", "soft-F1, SFT", "SFT - prior", "soft-F1, GRPO grounding", "finding F1, SFT"]
    return table(["finding", "n", *titles], rows)


def seconds(runs: list[Path]) -> str:
    stages = ("curate", "base", "sft", "cold_start", "grpo_grounding", "grpo_reports", "evaluate")
    rows = []
    for run in runs:
        done = [run / stage / "done.json" for stage in stages]
        times = [json.loads(path.read_text())["seconds"] if path.exists() else None for path in done]
        rows.append([run.name, *("n/a" if value is None else f"{value:.0f}" for value in times)])
    return table(["run", *(f"{stage}, s" for stage in stages)], rows)


def collect(runs: list[Path]) -> str:
    scores = {run.name: scores_of(run) for run in runs}
    first = next(iter(scores.values()))
    counts = first["sft"].counts
    films = f"{counts[REPORTS]['examples']} held-out films of {counts[REPORTS]['patients']} patients, "
    films += f"{counts[GROUNDING]['examples']} grounding questions"
    parts = [
        f"{films}; 95% intervals by patient. Command: `python benchmarks/laptop_results.py "
        f"{' '.join('runs/' + run.name for run in runs)} --write`\n",
        "**SFT against the priors**, which never look at the film:\n",
        headline(scores),
        "**What GRPO changed**, on the task it was trained on and on the other one:\n",
        changes(scores),
        f"**Each finding** (run {runs[0].name}):\n",
        findings(first),
        "**Seconds of each stage**:\n",
        seconds(runs),
    ]
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--write", action="store_true", help="replace the tables in README.md and docs/results.md")
    options = parser.parse_args()
    text = collect(options.runs)
    print(text)
    if options.write:
        root = Path(__file__).resolve().parent.parent
        for name in ("README.md", "docs/results.md"):
            path = root / name
            before = path.read_text(encoding="utf-8")
            after, count = MARKERS.subn(lambda match: match.group(1) + text + match.group(2), before)
            if count != 1:
                raise SystemExit(f"{name}: expected one pair of results markers, found {count}")
            path.write_text(after, encoding="utf-8")


if __name__ == "__main__":
    main()
