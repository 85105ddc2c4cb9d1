"""What each quirk of the paper's evaluation does to a score, on examples small enough to check by hand.

The metrics of the published tables have peculiarities; all are rebuilt here (``_paper``) so that numbers can be
compared with the tables, beside values without them. Each row below is computed when it is asked for, by the functions
that score real predictions.

    from radvlm_course.evaluation.quirks import quirk_table
    print(quirk_table())
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from radvlm_course.boxes import Box, format_boxes
from radvlm_course.evaluation import classification, grounding
from radvlm_course.evaluation.corpus_bleu import corpus_bleu, corpus_bleu_paper, ngram_counts
from radvlm_course.evaluation.green_reading import parse_green
from radvlm_course.evaluation.label_counts import MEASURES, label_counts, macro
from radvlm_course.evaluation.statistics import bootstrap, mean_statistic
from radvlm_course.records import Example

__all__ = ["Quirk", "quirk_table", "quirks"]

RIGHT, OTHER, WRONG = Box(0.1, 0.1, 0.4, 0.4), Box(0.6, 0.6, 0.9, 0.9), Box(0.45, 0.05, 0.55, 0.15)


@dataclass(frozen=True)
class Quirk:
    """One peculiarity, at work.

    Attributes:
        metric: where it is.
        example: what is scored.
        paper, corrected: the two values; ``stops`` where the paper's code would end with an error.
        why: what makes the difference.
    """

    metric: str
    example: str
    paper: float | str
    corrected: float | str
    why: str


def quirks() -> list[Quirk]:
    """All of them, computed now."""
    return [*_average_precision(), *_mean_iou(), *_reader(), *_naming(), *_reports(), *_models(), *_intervals()]


def quirk_table() -> str:
    """The quirks as a Markdown table."""
    lines = [["metric", "example", "paper", "corrected", "why"], ["---", "---", "---:", "---:", "---"]]
    lines += [[q.metric, q.example, _written(q.paper), _written(q.corrected), q.why] for q in quirks()]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def _written(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.3f}"


def _example(*true: Box, labels: Sequence[str] = ("nodule",), task: str = "abnormality_grounding") -> Example:
    return Example("e", task, "film.png", "Where?", "There.", tuple(true), tuple(labels))


def _grounding(metric: str, answers: Sequence[str], truths: Sequence[Sequence[Box]]) -> float:
    rows = grounding.score_responses(list(answers), [_example(*boxes) for boxes in truths])
    return grounding.statistics(rows)[metric].value


def _map(example: str, answers: Sequence[str], truths: Sequence[Sequence[Box]], why: str) -> Quirk:
    paper, corrected = (_grounding(metric, answers, truths) for metric in ("map50_paper", "map50"))
    return Quirk("mAP@0.5", example, paper, corrected, why)


def _average_precision() -> list[Quirk]:
    right, wrong = format_boxes([RIGHT]), format_boxes([WRONG])
    inner = Box(0.1, 0.1, 0.4, 0.35)
    return [
        _map("wrong box, then the right one", [f"{wrong} {right}"], [[RIGHT]], "the order written is the ranking"),
        _map("right box, then a wrong one", [f"{right} {wrong}"], [[RIGHT]], "what is written after the hits is free"),
        _map("right box, then ten wrong ones", [right + wrong * 10], [[RIGHT]], "as many as one likes"),
        _map("one of two found", [right], [[RIGHT, OTHER]], "the same: recall 1/2, precision 1"),
        _map(
            "one box each; of two films one hits",
            [right, wrong],
            [[RIGHT], [RIGHT]],
            "accuracy; without confidences AP = precision x recall",
        ),
        _map(
            "a hit, and a healthy film called healthy",
            [right, "Nothing is seen."],
            [[RIGHT], []],
            "no truth gives 0, even to a correct silence",
        ),
        _map(
            "two boxes on overlapping truths, both nearest to the first",
            [format_boxes([inner, RIGHT])],
            [[RIGHT, Box(0.1, 0.1, 0.4, 0.27)]],
            "a prediction tests only its best truth; one-to-one matching finds the second",
        ),
    ]


def _mean_iou() -> list[Quirk]:
    both, right = format_boxes([RIGHT, OTHER]), format_boxes([RIGHT])

    def quirk(example: str, answers: list[str], truths: list[list[Box]], why: str) -> Quirk:
        paper, corrected = (_grounding(metric, answers, truths) for metric in ("iou_paper", "iou"))
        return Quirk("mean IoU", example, paper, corrected, why)

    return [
        quirk("two perfect boxes on two disjoint truths", [both], [[RIGHT, OTHER]], "all pairs are averaged"),
        quirk("a perfect box, and a film without an answer", [right, ""], [[RIGHT], [OTHER]], "failures are left out"),
    ]


def _reader() -> list[Quirk]:
    right = format_boxes([RIGHT])

    def quirk(example: str, answer: str, why: str) -> Quirk:
        row = grounding.score_response(answer, _example(RIGHT))
        paper = "stops" if row["paper_reader_stops"] else _grounding("map50_paper", [answer], [[RIGHT]])
        return Quirk("reading of boxes", example, paper, _grounding("map50", [answer], [[RIGHT]]), why)

    pixels, swapped = "[120, 80, 400, 380]", "[0.4, 0.4, 0.1, 0.1]"
    return [
        quirk("[0.1, 0.1, 0.4, 1.2.3] and the right box", f"[0.1, 0.1, 0.4, 1.2.3] {right}", "1.2.3 is no number"),
        quirk(f"pixels {pixels}, then the right box", f"{pixels} {right}", "a wrong box there, malformed here"),
        quirk(
            f"corners swapped {swapped}, then the right box", f"{swapped} {right}", "a wrong box there, malformed here"
        ),
        quirk(
            "the right box as [0.1, 0.1, 0.4, 4e-1]", "[0.1, 0.1, 0.4, 4e-1]", "signs and exponents are not read there"
        ),
    ]


def _naming() -> list[Quirk]:
    film = _example(labels=("Pleural Effusion",), task="abnormality_classification")

    def quirk(answer: str, why: str) -> Quirk:
        found = classification.statistics([classification.score_response(answer, film)])
        return Quirk("classification F1", answer, found["f1_micro_paper"].value, found["f1_micro"].value, why)

    return [
        quirk("Pleural effusion. No pneumothorax, no edema.", "a name in a denial counts as named"),
        quirk("There is fluid: bilateral effusions.", "another word for it does not count"),
    ]


def _reports() -> list[Quirk]:
    reference = "There is no effusion, the heart is normal."
    response = reference.replace(",", " ,").replace(".", " .")
    tokens = response.split()  # what sacrebleu's tokenizer makes of both
    spaces = _bleu(response.split(), reference.split())
    long = [*reference.split(), "Clear", "lungs."]
    right, swapped = _bleu(long, reference.split()), _bleu(reference.split(), long)
    return [
        Quirk(
            "BLEU-4",
            f"'{response}' for '{reference}'",
            spaces,
            float(corpus_bleu(np.array(ngram_counts(tokens, tokens), dtype=float))),
            "words are split at spaces only",
        ),
        Quirk(
            "order of arguments",
            "BLEU-4 of a report with a sentence too many",
            right,
            right,
            f"swapped in two places, which cancels; in one place alone it would be {swapped:.3f}",
        ),
    ]


def _bleu(response: Sequence[str], reference: Sequence[str]) -> float:
    return float(corpus_bleu_paper(np.array(ngram_counts(response, reference), dtype=float)))


def _models() -> list[Quirk]:
    return [*_chexbert(), *_radgraph(), *_radcliq(), *_green()]


def _chexbert() -> list[Quirk]:
    from radvlm_course.rewards.scorers.chexbert import OBSERVATIONS

    counts = label_counts([["Edema"]], [["Edema"]], OBSERVATIONS).sum(axis=0)
    f1 = MEASURES["f1"]
    paper, corrected = (float(macro(f1, empty_as_zero=zero)(counts)) for zero in (True, False))
    why = "the 13 labels that nobody has count 0"
    return [Quirk("CheXbert F1 macro", "edema found where edema is, nothing else", paper, corrected, why)]


def _radgraph() -> list[Quirk]:
    from radvlm_course.rewards.scorers.dygie_heads import Facts
    from radvlm_course.rewards.scorers.radgraph import Graph

    facts = Facts([(0, 0, "OBS-DP")], [])
    upper, lower = Graph(("Effusion", "."), facts), Graph(("effusion", "."), facts)
    values = upper.f1(lower, "simple"), Graph(("effusion", "."), facts).f1(lower, "simple")
    return [
        Quirk(
            "RadGraph F1", "'Effusion.' for 'effusion.'", *values, why="words are compared as written; lower case here"
        )
    ]


def _radcliq() -> list[Quirk]:
    from radvlm_course.evaluation.clinical import TOO_SHORT_RADCLIQ
    from radvlm_course.rewards.radcliq import RadCliQParts

    perfect = RadCliQParts(1, 1, 1, 1)
    name = "RadCliQ (lower is better)"
    short = "'Ok.' for 'Ok.': a pair of 5 characters or less"
    return [
        Quirk(name, short, TOO_SHORT_RADCLIQ, perfect.radcliq(), "a floor below any real value"),
        Quirk(
            name,
            "a perfect pair in the files of results",
            perfect.reward(),
            perfect.radcliq(),
            "they hold the reward, with the other sign; the tables print RadCliQ",
        ),
    ]


def _green() -> list[Quirk]:
    found = parse_green("[Explanation]: much is wrong.\n\n[Matched Findings]:\n1. The heart.")
    corrected = "no value" if found.value is None else found.value
    example, why = "an answer without its list of significant errors", "what is missing counts as no error"
    return [Quirk("GREEN", example, found.value_paper, corrected, why)]


def _intervals() -> list[Quirk]:
    values = np.tile([0.2, 0.9, 0.4, 0.7, 0.1, 0.8, 0.3, 0.6], 4)
    patients = [f"p{i % 8}" for i in range(32)]
    items = [f"film {i}" for i in range(32)]
    widths = []
    for clusters in (items, patients):
        interval = bootstrap({"mean": mean_statistic(values)}, clusters)["mean"]
        widths.append(interval.high - interval.low)
    example, why = "8 patients with 4 equal films each", "films are drawn as if they were patients"
    return [Quirk("width of the 95% interval", example, widths[0], widths[1], why)]
