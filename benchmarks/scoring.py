"""How fast are grounding answers scored, against straightforward loops over the samples?

    python benchmarks/scoring.py                       # 100,000 answers, some two minutes on one core
    python benchmarks/scoring.py --answers 20000       # a quick look

Answers as models write them: one to four true boxes of 14 labels, boxes moved, missing, stray, malformed, and films
with nothing to find; two films a patient. Two stages, each timed both ways in the same process on the same answers:

- rows: from the texts to every sample's metrics (boxes read, matched by IoU, both readings of average precision).
- intervals: from the rows to the metrics of the whole set and of every label, with their bootstrap intervals by
  patient, from ``--resamples`` resamples.

The loops are the definitions, one sample and one resample after the other, as one would write them down: no shortcut
for common cases, nothing shared between samples. Their results must be the same to 1e-9, or this ends with an error.
Below the table: the time of the whole ``score`` with 2,000 resamples, and with ``--coco`` COCO's tool, and the most
memory that the two stages of ours took beyond the answers themselves. Times are of computing (CPU), one thread is
enough.
"""

from __future__ import annotations

import argparse
import random
import time
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from radvlm_course.boxes import Box, format_boxes, iou_matrix, scan_boxes
from radvlm_course.evaluation.box_matching import IOU_THRESHOLD, SIZES, average_precision_of_sample, size_of
from radvlm_course.evaluation.grounding import label_of, label_statistics, score_responses, statistics
from radvlm_course.evaluation.paper_boxes import paper_boxes, paper_ious
from radvlm_course.evaluation.predictions import Prediction
from radvlm_course.evaluation.score import score
from radvlm_course.evaluation.statistics import bootstrap
from radvlm_course.records import Example
from radvlm_course.rewards.soft_f1 import claims_nothing

LABELS = tuple(f"finding {letter}" for letter in "abcdefghijklmn")
TOLERANCE = 1e-9
Row = dict[str, Any]


def make_answers(count: int, seed: int = 0) -> tuple[list[Example], list[str]]:
    """Examples and responses to them."""
    rng = random.Random(seed)
    examples, responses = [], []
    for index in range(count):
        true = tuple(_box(rng) for _ in range(rng.choices((0, 1, 2, 3, 4), (10, 60, 20, 7, 3))[0]))
        written = [_moved(box, rng) for box in true if rng.random() < 0.85]
        written += [_box(rng) for _ in range(rng.choices((0, 1, 2), (80, 15, 5))[0])]
        text = f"It is at {format_boxes(written)}." if written else rng.choice(("Nothing is seen.", ""))
        if rng.random() < 0.01:
            text += rng.choice(
                (" [0.5, 0.5, 0.4, 0.4]", " [12, 40, 300, 410]", " [0.1, 0.2, 0.3]", " [0.1, 1.2.3, 0.4, 0.5]")
            )
        label = LABELS[rng.randrange(len(LABELS))]
        patient = f"p{index // 2}"
        examples.append(
            Example(f"e{index}", "abnormality_grounding", "a.png", "q", "a", true, (label,), patient_id=patient)
        )
        responses.append(text)
    return examples, responses


def _box(rng: random.Random) -> Box:
    x, y = rng.uniform(0, 0.6), rng.uniform(0, 0.6)
    return Box(x, y, x + rng.uniform(0.04, 0.38), y + rng.uniform(0.04, 0.38))


def _moved(box: Box, rng: random.Random) -> Box:
    x, y = rng.uniform(-0.06, 0.06), rng.uniform(-0.06, 0.06)
    return Box.clipped(box.x1 + x, box.y1 + y, max(box.x2 + x, 0.01), max(box.y2 + y, 0.01))


def loop_rows(examples: Sequence[Example], responses: Sequence[str]) -> list[Row]:
    """The row of each sample by the definitions, one sample after the other."""
    return [loop_row(text, example) for text, example in zip(responses, examples, strict=True)]


def loop_row(text: str, example: Example) -> Row:
    """One sample by the definitions."""
    predicted, malformed = scan_boxes(text)
    n_predicted, n_true = len(predicted), len(example.boxes)
    ious = iou_matrix(predicted, example.boxes)
    matched = float(ious[linear_sum_assignment(ious, maximize=True)].sum())
    reach = np.where(ious >= IOU_THRESHOLD, min(n_predicted, n_true) + 1.0 + ious, 0.0)
    first, second = linear_sum_assignment(reach, maximize=True)
    hits = int((ious[first, second] >= IOU_THRESHOLD).sum())
    if not n_predicted and not n_true:
        soft_f1 = 1.0 if claims_nothing(text) else 0.0
    else:
        soft_f1 = min(1.0, 2 * matched / (n_predicted + n_true))
    found = set(second[ious[first, second] >= IOU_THRESHOLD].tolist())
    sizes = {f"{kind}_{size}": 0 for kind in ("true", "found") for size in SIZES}
    for place, box in enumerate(example.boxes):
        sizes[f"true_{size_of(box)}"] += 1
        sizes[f"found_{size_of(box)}"] += place in found
    paper = paper_boxes(text)
    paper_matrix = None if paper is None else paper_ious(paper, example.boxes)
    stops = paper_matrix is None
    return {
        "label": label_of(example),
        "n_predicted": n_predicted,
        "n_true": n_true,
        "n_malformed": len(malformed),
        "true_positives": hits,
        "soft_f1": soft_f1,
        "matched_iou": matched,
        "correct": hits == n_predicted == n_true if n_true else soft_f1 == 1.0,
        **sizes,
        "average_precision_of_sample": 0.0 if stops else average_precision_of_sample(paper_matrix),
        "iou_sum_paper": 0.0 if stops else float(paper_matrix.sum()),
        "iou_pairs_paper": 0 if stops else paper_matrix.size,
    }


def loop_intervals(
    rows: Sequence[Row], patients: Sequence[str], resamples: int
) -> dict[str, tuple[float, float, float]]:
    """Value and interval of each metric: draw patients, gather their rows, compute every metric, again and again."""
    by_patient: dict[str, list[Row]] = {}
    for row, patient in zip(rows, patients, strict=True):
        by_patient.setdefault(patient, []).append(row)
    names = sorted(by_patient)
    values = loop_metrics(rows)
    drawn: dict[str, list[float]] = {name: [] for name in values}
    draws = np.random.default_rng(0).integers(0, len(names), size=(resamples, len(names)))
    for draw in draws:
        for name, value in loop_metrics([row for index in draw for row in by_patient[names[index]]]).items():
            drawn[name].append(value)
    bounds = {name: np.nanquantile(column, [0.025, 0.975]) for name, column in drawn.items()}
    return {name: (value, float(bounds[name][0]), float(bounds[name][1])) for name, value in values.items()}


def loop_metrics(rows: Sequence[Row]) -> dict[str, float]:
    """The metrics of the set and of each label."""
    by_label: dict[str, list[Row]] = {label: [] for label in LABELS}
    for row in rows:
        by_label[row["label"]].append(row)
    values = {f"{label}/{name}": value for label, mine in by_label.items() for name, value in _metrics(mine).items()}
    whole = _metrics(rows)
    precisions = [values[f"{label}/map50"] for label in LABELS]
    whole["map50"] = float(np.nanmean(precisions))
    return whole | values


def _metrics(rows: Sequence[Row]) -> dict[str, float]:
    hits, predicted, true = (sum(row[name] for row in rows) for name in ("true_positives", "n_predicted", "n_true"))
    return {
        "soft_f1": sum(row["soft_f1"] for row in rows) / len(rows),
        "map50_paper": sum(row["average_precision_of_sample"] for row in rows) / len(rows),
        "map50": hits / max(predicted, 1) * hits / true,
        "recall50": hits / true,
        "precision50": hits / predicted,
        "accuracy50": sum(row["correct"] for row in rows) / len(rows),
        "iou": sum(row["matched_iou"] for row in rows) / true,
    }


def our_intervals(
    rows: Sequence[Row], patients: Sequence[str], resamples: int
) -> dict[str, tuple[float, float, float]]:
    """The same numbers by ``evaluation.statistics``."""
    named = dict(statistics(rows))
    del named["iou_paper"]
    for label, metrics in label_statistics(rows).items():
        named |= {f"{label}/{name.replace('average_precision50', 'map50')}": item for name, item in metrics.items()}
    found = bootstrap(named, patients, resamples)
    return {name: (item.value, item.low, item.high) for name, item in found.items()}


def timed(run: Callable[[], Any]) -> tuple[Any, float]:
    """The result and the seconds of computing, which do not grow when other programs want the processor too."""
    start = time.process_time()
    result = run()
    return result, time.process_time() - start


def faster(run: Callable[[], Any]) -> tuple[Any, float]:
    """As :func:`timed`, the faster of two runs."""
    first, seconds = timed(run)
    return first, min(seconds, timed(run)[1])


def peak_megabytes(run: Callable[[], Any]) -> float:
    """The most memory that Python and NumPy allocated during a run, measured in a run of its own."""
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def check_rows(ours: Sequence[Row], loops: Sequence[Row]) -> None:
    for number, (mine, theirs) in enumerate(zip(ours, loops, strict=True)):
        for name, value in theirs.items():
            same = mine[name] == value if isinstance(value, str | bool) else abs(mine[name] - value) <= TOLERANCE
            if not same:
                raise SystemExit(f"answer {number}: {name} is {mine[name]!r} in the batch and {value!r} in the loop")


def check_intervals(ours: dict[str, tuple[float, ...]], loops: dict[str, tuple[float, ...]]) -> None:
    if set(ours) != set(loops):
        raise SystemExit(f"different metrics: {sorted(set(ours) ^ set(loops))[:5]}")
    for name, values in loops.items():
        if not np.allclose(ours[name], values, rtol=0, atol=TOLERANCE * 10):
            raise SystemExit(f"{name}: {ours[name]} by sums and {values} in the loop")


def measure(options: argparse.Namespace) -> None:
    examples, responses = make_answers(options.answers)
    patients = [example.patient_id for example in examples]
    score_responses(responses[:100], examples[:100])  # imports
    loops, loop_seconds = timed(lambda: loop_rows(examples, responses))
    rows, seconds = faster(lambda: score_responses(responses, examples))
    check_rows(rows, loops)
    slow, slow_seconds = timed(lambda: loop_intervals(loops, patients, options.resamples))
    fast, fast_seconds = faster(lambda: our_intervals(rows, patients, options.resamples))
    check_intervals(fast, slow)
    print(
        f"{options.answers:,} answers, {len(set(patients)):,} patients, {options.resamples} resamples, equal results\n"
    )
    print("seconds of computing, the faster of two runs of ours\n")
    print("| stage | loops, s | ours, s | ratio |\n| --- | ---: | ---: | ---: |")
    stages = (
        ("rows", loop_seconds, seconds),
        ("intervals", slow_seconds, fast_seconds),
        ("both", loop_seconds + slow_seconds, seconds + fast_seconds),
    )
    for name, theirs, mine in stages:
        print(f"| {name} | {theirs:.2f} | {mine:.2f} | {theirs / mine:.0f} |")
    report_score(options, examples, responses, rows, patients)


def report_score(
    options: argparse.Namespace,
    examples: list[Example],
    responses: list[str],
    rows: list[Row],
    patients: list[str],
) -> None:
    """The whole door, and memory."""
    predictions = [Prediction(e.id, text, text, "m", {}, "stop") for e, text in zip(examples, responses, strict=True)]
    _, plain = timed(lambda: score(examples, predictions))
    print(f"\nscore with 2,000 resamples: {plain:.1f} s", flush=True)
    if options.coco:
        _, with_coco = timed(lambda: score(examples, predictions, coco=True))
        print(f"the same with COCO's tool, three rankings: {with_coco:.1f} s", flush=True)
    print(f"peak memory, rows: {peak_megabytes(lambda: score_responses(responses, examples)):.0f} MB, ", end="")
    print(f"intervals: {peak_megabytes(lambda: our_intervals(rows, patients, options.resamples)):.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=100_000)
    parser.add_argument("--resamples", type=int, default=50, help="of both ways; score takes 2,000 (%(default)s)")
    parser.add_argument("--coco", action="store_true", help="also time COCO's tool, which takes a minute or more")
    measure(parser.parse_args())


if __name__ == "__main__":
    main()
