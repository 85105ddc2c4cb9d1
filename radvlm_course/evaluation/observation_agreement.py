"""How well the rules of :mod:`~radvlm_course.evaluation.observations` agree with other labels of the same reports.

    python -m radvlm_course.evaluation.observation_agreement --labelled labeled_reports.csv
    python -m radvlm_course.evaluation.observation_agreement --examples test.jsonl --chexbert

The first compares with a table in the CheXpert labeler's format (column ``Reports``, then one column an observation: 1
present, 0 absent, -1 uncertain, empty not mentioned). The second asks CheXbert about the reference reports, where its
weights are on this machine. Of each observation: in how many reports the two say the same (of four: present, absent,
uncertain, not mentioned), Cohen's kappa, which takes agreement by chance off, and the F1 of "present or uncertain",
which is what the tables of reports are made of. ``--show`` prints the reports on which they differ, with the rules'
explanation.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from radvlm_course.evaluation.files import read_examples
from radvlm_course.evaluation.observations import explain, label_report
from radvlm_course.records import PRESENT, UNCERTAIN
from radvlm_course.rewards.scorers.chexbert import CLASSES, OBSERVATIONS

__all__ = ["Agreement", "agreement", "agreement_table", "chexbert_labels", "main", "read_labelled_reports"]

Labels = Mapping[str, int]
_OF_CLASS = {"positive": 1, "negative": 0, "uncertain": -1}


@dataclass(frozen=True)
class Agreement:
    """Two labellings of one observation (or of all of them pooled) over the same reports.

    Attributes:
        n: reports (pooled: reports times observations). mentioned: in how many either says something.
        same: share of equal labels, 0 to 1. kappa: 1 is perfect, 0 what chance gives; nan if both are constant.
        f1: of "present or uncertain"; nan if neither has it.
    """

    observation: str
    n: int
    mentioned: int
    same: float
    kappa: float
    f1: float


def agreement(ours: Sequence[Labels], theirs: Sequence[Labels]) -> list[Agreement]:
    """The agreement on each observation, and last on all of them pooled.

    Raises:
        ValueError: the two label different numbers of reports, or none.
    """
    if len(ours) != len(theirs) or not ours:
        raise ValueError(f"expected two labellings of the same reports, found {len(ours)} and {len(theirs)}")
    columns = {
        name: [(first.get(name), second.get(name)) for first, second in zip(ours, theirs, strict=True)]
        for name in OBSERVATIONS
    }
    columns["all observations"] = [pair for pairs in list(columns.values()) for pair in pairs]
    return [_of_pairs(name, pairs) for name, pairs in columns.items()]


def _of_pairs(name: str, pairs: Sequence[tuple[int | None, int | None]]) -> Agreement:
    n, same = len(pairs), sum(first == second for first, second in pairs) / len(pairs)
    first, second = (Counter(pair[side] for pair in pairs) for side in (0, 1))
    by_chance = sum(first[value] * second[value] for value in first) / n**2
    affirmed = [tuple(value in (PRESENT, UNCERTAIN) for value in pair) for pair in pairs]
    marked = sum(map(sum, affirmed))
    return Agreement(
        observation=name,
        n=n,
        mentioned=sum(pair != (None, None) for pair in pairs),
        same=same,
        kappa=(same - by_chance) / (1 - by_chance) if by_chance < 1 else math.nan,
        f1=2 * sum(map(all, affirmed)) / marked if marked else math.nan,
    )


def agreement_table(found: Sequence[Agreement]) -> str:
    """The agreements as a Markdown table."""
    lines = ["| observation | n | mentioned | same | kappa | F1 |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
    for item in found:
        numbers = (f"{value:.3f}" if value == value else "n/a" for value in (item.same, item.kappa, item.f1))
        lines.append(f"| {item.observation} | {item.n} | {item.mentioned} | " + " | ".join(numbers) + " |")
    return "\n".join(lines) + "\n"


def read_labelled_reports(path: Path) -> tuple[list[str], list[dict[str, int]]]:
    """Reports and their labels from a table in the CheXpert labeler's format.

    Raises:
        ValueError: a column is missing, or a label is none of 1, 0, -1 and empty; names the line.
    """
    with open(path, encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if lacking := [name for name in ("Reports", *OBSERVATIONS) if name not in (rows.fieldnames or ())]:
            raise ValueError(
                f"{path}: expected the columns Reports and the fourteen observations; {lacking[0]!r} is not there"
            )
        reports, labels = [], []
        for row in rows:
            reports.append(row["Reports"])
            try:
                found = {name: float(row[name]) for name in OBSERVATIONS if row[name]}
            except ValueError as error:
                raise ValueError(f"{path}, line {rows.line_num}: expected 1, 0, -1 or nothing ({error})") from error
            if wrong := [name for name, value in found.items() if value not in (1, 0, -1)]:
                raise ValueError(f"{path}, line {rows.line_num}: {wrong[0]} is {found[wrong[0]]}, expected 1, 0 or -1")
            labels.append({name: int(value) for name, value in found.items()})
    return reports, labels


def chexbert_labels(reports: Sequence[str], device: str | None = None) -> list[dict[str, int]]:
    """CheXbert's labels: 1 present, 0 absent, -1 uncertain; what it calls blank is missing.

    Raises:
        RewardError: its weights are not on this machine; says how to get them.
    """
    from radvlm_course.rewards.model_reward import shared_scorer
    from radvlm_course.rewards.scorers.chexbert import CheXbertScorer

    features = shared_scorer(CheXbertScorer, device=device).features(reports)
    named = [[CLASSES[index] for index in features[report].classes] for report in reports]
    return [
        {name: _OF_CLASS[kind] for name, kind in zip(OBSERVATIONS, row, strict=True) if kind in _OF_CLASS}
        for row in named
    ]


def _show(reports: Sequence[str], ours: Sequence[Labels], theirs: Sequence[Labels], limit: int) -> None:
    different = [index for index in range(len(reports)) if ours[index] != theirs[index]]
    print(f"{len(different)} of {len(reports)} reports differ somewhere")
    for index in different[:limit]:
        print(f"\n{reports[index]}")
        for name in OBSERVATIONS:
            if ours[index].get(name) != theirs[index].get(name):
                print(f"  {name}: rules {ours[index].get(name)}, other {theirs[index].get(name)}")
                for item in explain(reports[index]):
                    if item.observation == name:
                        print(f"    {item.value}: {item.mention!r}, cue {item.cue!r}, rule {item.rule!r}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point. Returns the exit status: 0 done, 1 refused with a reason."""
    parser = argparse.ArgumentParser(
        prog="python -m radvlm_course.evaluation.observation_agreement",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--labelled", type=Path, help="table in the CheXpert labeler's format")
    parser.add_argument("--examples", nargs="+", type=Path, help="JSONL or Parquet files with reports as answers")
    parser.add_argument("--chexbert", action="store_true", help="compare with CheXbert instead of the table's labels")
    parser.add_argument("--device", help="of CheXbert")
    parser.add_argument("--show", type=int, default=0, help="print so many reports on which the two differ")
    options = parser.parse_args(arguments)
    if (options.labelled is None) == (options.examples is None) or (options.examples and not options.chexbert):
        parser.error("expected --labelled TABLE, or --examples FILES with --chexbert")
    try:
        reports, theirs = _other(options)
        ours = [label_report(report) for report in reports]
        print(agreement_table(agreement(ours, theirs)))
        if options.show:
            _show(reports, ours, theirs, options.show)
    except (ValueError, RuntimeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _other(options: argparse.Namespace) -> tuple[list[str], list[dict[str, int]]]:
    if options.labelled is not None:
        reports, labels = read_labelled_reports(options.labelled)
    else:
        chosen = [e.answer for e in read_examples(options.examples) if e.task == "report_generation"]
        reports, labels = list(dict.fromkeys(chosen)), []
    return reports, chexbert_labels(reports, options.device) if options.chexbert else labels


if __name__ == "__main__":
    raise SystemExit(main())
