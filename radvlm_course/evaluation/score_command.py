"""``evaluate score``: predictions of one or more models on the same examples, scored, compared and written down.

    python -m radvlm_course evaluate score --examples test.jsonl --predictions out/sft out/grpo
        --output scores --reference sft --report-metrics present

Reads predictions only; loads no model but those of the report metrics that are asked for. Writes
``OUTPUT/<model>/scores.json``, ``per_example.jsonl`` and ``about.json`` (of what they are), ``OUTPUT/leaderboard.md``,
and with a reference ``OUTPUT/comparisons.json``; prints the tables. Metrics that end in ``_paper`` are computed bug for
bug as the paper's tables.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from radvlm_course.evaluation.clinical import CLINICAL_METRICS, ClinicalScorer, available_metrics
from radvlm_course.evaluation.coco import RANKINGS
from radvlm_course.evaluation.comparison import Comparison, compare_models, write_comparisons
from radvlm_course.evaluation.files import read_examples
from radvlm_course.evaluation.judgements import read_judgements
from radvlm_course.evaluation.leaderboard import leaderboards
from radvlm_course.evaluation.predict_command import at_most
from radvlm_course.evaluation.predictions import Prediction, PredictionError, read_predictions
from radvlm_course.evaluation.provenance import write_about
from radvlm_course.evaluation.score import Scores, score
from radvlm_course.evaluation.shards import read_folder
from radvlm_course.evaluation.tables import difference_table, results_table
from radvlm_course.records import Example

__all__ = ["add_arguments", "main", "run"]

PRESENT = "present"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--examples", required=True, nargs="+", type=Path, help="JSONL or Parquet files of examples")
    parser.add_argument("--tasks", nargs="+", help="score these tasks only (default: all in the files)")
    parser.add_argument("--sources", nargs="+", help="score the examples of these datasets only (default: all)")
    parser.add_argument("--limit", type=int, help="at most so many examples of each task, as given to evaluate predict")
    text = "one folder of evaluate predict, or one file, a model"
    parser.add_argument("--predictions", required=True, nargs="+", type=Path, help=text)
    parser.add_argument("--output", required=True, type=Path, help="folder for the scores")
    parser.add_argument("--reference", help="model that the others are compared with, by paired tests")
    parser.add_argument("--test-metrics", nargs="+", help="metrics of the paired tests (default: all)")
    parser.add_argument(
        "--report-metrics",
        nargs="+",
        default=[],
        choices=[*CLINICAL_METRICS, PRESENT],
        help=f"metrics of reports that need weights; '{PRESENT}': those whose weights are on this machine",
    )
    parser.add_argument("--device", help="of those metrics: cuda, cpu, ... (default: the first GPU, else the CPU)")
    parser.add_argument(
        "--judgements",
        nargs="+",
        default=[],
        metavar="NAME=FILE",
        help="what a language model judged (commands green and judge); with several models NAME=MODEL=FILE",
    )
    parser.add_argument("--no-coco", action="store_true", help="do not ask COCO's tool")
    parser.add_argument("--resamples", type=int, default=2000, help="of the bootstrap (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap and the tests (%(default)s)")


def run(options: argparse.Namespace) -> int:
    """Score, write, print.

    Raises:
        PredictionError, ValueError, RewardError, OSError: say what was expected and found.
    """
    asked = read_examples(options.examples)
    examples = _chosen(at_most(asked, options.tasks, options.limit), options.sources)
    clinical = _clinical(options.report_metrics, options.device)
    scores: dict[str, Scores] = {}
    for path in options.predictions:
        item = score(
            examples,
            _answers(path, asked, examples),
            clinical=clinical,
            judgements=_judgements(options.judgements, path, len(options.predictions)),
            coco=not options.no_coco,
            resamples=options.resamples,
            seed=options.seed,
        )
        if item.model in scores:
            raise PredictionError(f"{path}: its model {item.model!r} was scored before: give each model its own name")
        scores[item.model] = item
        folder = options.output / item.model.replace("/", "_")
        item.write(folder)
        write_about(folder, path, options.examples, examples)
    board = leaderboards(scores)
    (options.output / "leaderboard.md").write_text(board, encoding="utf-8")
    print(results_table(scores).to_markdown(_metrics(scores)))
    print(board)
    for item in scores.values():
        _print_counts(item)
    if options.reference:
        if options.reference not in scores:
            raise ValueError(f"expected the reference among {', '.join(scores)}; found {options.reference!r}")
        comparisons = compare_models(
            scores, options.reference, options.test_metrics, resamples=options.resamples, seed=options.seed
        )
        write_comparisons(comparisons, options.output / "comparisons.json")
        _print_comparisons(comparisons, options.reference)
    print(f"written to {options.output}")
    return 0


def _chosen(examples: Sequence[Example], sources: Sequence[str] | None) -> list[Example]:
    chosen = [example for example in examples if sources is None or example.source in sources]
    if not chosen:
        found = ", ".join(sorted({example.source or "no dataset" for example in examples}))
        raise ValueError(f"--sources {' '.join(sources or ())}: no example is of them; there are examples of {found}")
    return chosen


def _answers(path: Path, asked: Sequence[Example], examples: Sequence[Example]) -> list[Prediction]:
    """The predictions of the examples to score; those of other examples of the file are left out."""
    read = read_folder if path.is_dir() else read_predictions
    wanted = {example.id for example in examples}
    return [item for item in read(path, {example.id for example in asked}) if item.example_id in wanted]


def _clinical(asked: Sequence[str], device: str | None) -> ClinicalScorer | None:
    wanted = list(asked)
    if PRESENT in wanted:
        wanted = [*available_metrics(), *(name for name in wanted if name != PRESENT)]
        left_out = [name for name in CLINICAL_METRICS if name not in wanted]
        if left_out:
            print(f"left out, their weights are not on this machine: {', '.join(left_out)}")
    return ClinicalScorer(wanted, device) if wanted else None


def _judgements(given: Sequence[str], predictions: Path, files: int) -> dict[str, dict[str, float | None]]:
    """The judgements of one file of predictions: NAME=FILE, or NAME=MODEL=FILE with the stem of its predictions."""
    found = {}
    for item in given:
        name, *rest = item.split("=")
        if not rest or len(rest) > 2 or (files > 1 and len(rest) == 1):
            form = "NAME=MODEL=FILE" if files > 1 else "NAME=FILE"
            raise ValueError(f"--judgements {item}: expected {form}")
        if len(rest) == 1 or rest[0] == predictions.stem:
            found[name] = read_judgements(rest[-1])
    return found


def _metrics(scores: dict[str, Scores]) -> list[str]:
    return list(dict.fromkeys(name for item in scores.values() for task in item.tasks.values() for name in task))


def _print_counts(item: Scores) -> None:
    for task, counts in item.counts.items():
        told = ", ".join(f"{name.replace('_', ' ')} {number}" for name, number in counts.items() if number)
        print(f"{item.model}, {task}: {told}")
    for task, table in item.coco.items():
        values = {ranking: table[ranking]["map50"] for ranking in RANKINGS}
        told = ", ".join(f"{name} {value:.3f}" for name, value in values.items() if value is not None)
        print(f"{item.model}, {task}: COCO mAP@0.5 by made-up ranking: {told or 'undefined'} (n {table['n']})")


def _print_comparisons(comparisons: Sequence[Comparison], reference: str) -> None:
    by_model: dict[str, dict[str, dict[str, object]]] = {}
    for item in comparisons:
        by_model.setdefault(f"{item.model} - {reference}", {}).setdefault(item.task, {})[item.metric] = item.difference
    metrics = list(dict.fromkeys(item.metric for item in comparisons))
    print(difference_table(by_model).to_markdown(metrics))  # type: ignore[arg-type]
    shown = [item for item in comparisons if item.p_corrected < 0.05]
    print(f"{len(shown)} of {comparisons[0].family if comparisons else 0} differences hold after Holm's correction:")
    for item in shown:
        numbers = f"{item.difference.value:+.3f}, p {item.p_value:.4f}, corrected {item.p_corrected:.4f}"
        print(f"  {item.model}, {item.task}, {item.metric}: {numbers} (n {item.difference.n})")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point. Returns the exit status: 0 done, 1 refused with a reason."""
    parser = argparse.ArgumentParser(
        prog="python -m radvlm_course.evaluation.score_command", description=(__doc__ or "").split("\n\n")[0]
    )
    add_arguments(parser)
    try:
        return run(parser.parse_args(arguments))
    except (ValueError, RuntimeError, OSError, KeyError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
