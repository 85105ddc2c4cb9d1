"""What the paper found, sentence by sentence: the numbers that a claim stands on, and what must be shown for it.

The numbers are those of the paper's tables (:mod:`radvlm_course.evaluation.published`); none is typed here. Where a
laptop cannot test a claim at all, the claim says why.
"""

from __future__ import annotations

from dataclasses import dataclass

from radvlm_course.evaluation.published import load_table
from radvlm_course.experiments.verdicts import Check

__all__ = ["Claim", "Published", "claims_of"]

BEFORE_AND_AFTER = {  # (start, thinking) -> rows of tables 1 and 2
    ("general", False): ("Qwen3-VL", "Qwen3-VL+RL"),
    ("general", True): ("Qwen3-VL-Thinking", "Qwen3-VL-Thinking+RL"),
    ("domain", False): ("RadVLM", "RadVLM+RL"),
}
NO_WEIGHTS = "the laptop has no weights of RadCliQ, RadGraph, BERTScore, CheXbert or GREEN"
NOT_MEASURED = "the paper trains each task alone and measures that task; what came out here is in the table"


@dataclass(frozen=True)
class Published:
    """Two rows of one of the paper's tables, and the columns in which they are compared."""

    table: int
    before: str
    after: str
    columns: tuple[str, ...]

    def values(self, column: str) -> tuple[float, float]:
        """What the paper prints of both rows, in its unit.

        Raises:
            KeyError: the table has no such row or column.
        """
        rows = {row.name: row.values for row in load_table(self.table).rows}
        return rows[self.before][column], rows[self.after][column]

    def change(self, column: str) -> float:
        """By how much ``after`` is better than ``before``; where lower is better, the sign is turned."""
        before, after = self.values(column)
        return before - after if load_table(self.table).columns[column].better == "lower" else after - before

    def in_words(self) -> str:
        """As in ``RadVLM → RadVLM+RL: ROUGE-L 26.0 → 29.9 (table 1, report generation)``."""
        table = load_table(self.table)
        columns = table.columns
        parts = []
        for key in self.columns:
            before, after = (columns[key].text(value) for value in self.values(key))
            note = " (lower is better)" if columns[key].better == "lower" else ""
            parts.append(f"{columns[key].title} {before} → {after}{note}")
        return f"{self.before} → {self.after}: {', '.join(parts)} (table {self.table}, {table.title.lower()})"


@dataclass(frozen=True)
class Claim:
    """One sentence of what the paper found.

    Attributes:
        published: the numbers that it stands on.
        checks: what the experiment must show, all of it.
        rests_on: questions of which at least one must show a gain, or the claim is not testable.
        untestable: why a laptop cannot test it; empty if it can.
    """

    sentence: str
    published: tuple[Published, ...] = ()
    checks: tuple[Check, ...] = ()
    rests_on: tuple[str, ...] = ()
    untestable: str = ""

    def paper(self) -> str:
        """The paper's numbers in words."""
        return "; ".join(item.in_words() for item in self.published)


def claims_of(experiment: str) -> tuple[Claim, ...]:
    """The claims that an experiment is there for.

    Raises:
        KeyError: there is no such experiment.
    """
    found = {
        "matched_rl": _matched_rl,
        "thinking": _thinking,
        "reward_choice": _reward_choice,
        "sft_matters": _sft_matters,
        "cross_task": _cross_task,
    }
    if experiment not in found:
        raise KeyError(f"expected an experiment of {', '.join(found)}, found {experiment!r}")
    return found[experiment]()


def _columns(task: str) -> tuple[int, tuple[str, ...]]:
    return (1, ("rouge_l", "radcliq")) if task == "reports" else (2, ("abnormality_map50",))


def _matched_rl() -> tuple[Claim, ...]:
    return (
        *_matched_claims("grounding"),
        *_matched_claims("reports"),
        Claim(
            "In reports, the general model after RL passes the domain model before its RL in RadCliQ, not in ROUGE-L.",
            (Published(1, "RadVLM", "Qwen3-VL+RL", ("radcliq", "rouge_l")),),
            untestable="in the two metrics the paper's answer differs, and RadCliQ has no weights on the laptop",
        ),
    )


def _matched_claims(task: str) -> tuple[Claim, ...]:
    number, columns = _columns(task)
    ends = {key: Published(number, *rows, columns) for key, rows in BEFORE_AND_AFTER.items()}

    def gain(base: str, mode: str) -> str:
        return f"GRPO on {task} from the {base}, {mode}: gain"

    return (
        Claim(
            f"RL on {task} lifts the general-domain model, with and without thoughts.",
            (ends["general", False], ends["general", True]),
            tuple(Check("higher", gain("general base", mode)) for mode in ("direct", "thinking")),
        ),
        Claim(
            f"RL on {task} lifts the domain model too.",
            (ends["domain", False],),
            (Check("higher", gain("domain model", "direct")),),
        ),
        Claim(
            f"RL on {task} lifts the general-domain model more than the domain model.",
            (ends["general", False], ends["domain", False]),
            (Check("larger gain", gain("general base", "direct"), gain("domain model", "direct")),),
        ),
        Claim(
            f"Domain SFT and RL together stay ahead of RL alone in {task}, with and without thoughts.",
            (
                Published(number, "Qwen3-VL+RL", "RadVLM+RL", columns),
                Published(number, "Qwen3-VL-Thinking+RL", "RadVLM-Thinking+RL", columns),
            ),
            tuple(Check("higher", f"{task}, {mode}, after GRPO: domain - general") for mode in ("direct", "thinking")),
        ),
    )


def _thinking() -> tuple[Claim, ...]:
    return tuple(
        Claim(
            f"After RL, thinking gives no gain in {task}.",
            (Published(_columns(task)[0], "RadVLM+RL", "RadVLM-Thinking+RL", _columns(task)[1]),),
            (Check("no gain", f"{task}, after GRPO: thinking - direct"),),
            tuple(f"GRPO on {task}, {mode}: gain" for mode in ("direct", "thinking")),
        )
        for task in ("grounding", "reports")
    )


def _reward_choice() -> tuple[Claim, ...]:
    start, gleu, radgraph = "none (SFT)", "GLEU", "RadGraph-F1 complete"
    return (
        Claim(
            "GLEU, a reward that needs no model, improves the metrics that it is not: ROUGE-L and the F1 of findings.",
            (Published(3, start, gleu, ("rouge_l", "chexbert_micro", "chexbert_macro")),),
            tuple(
                Check("higher", f"gleu: change of {metric}")
                for metric in ("rouge_l", "finding_f1_micro", "finding_f1_macro")
            ),
        ),
        Claim(
            "GLEU leaves reports as long as they were.",
            (Published(3, start, gleu, ("mean_characters",)),),
            (Check("unchanged", "gleu: change of words"),),
        ),
        Claim(
            "A reward that counts agreeing facts alone is won by shortening (RadGraph there; here fact_precision).",
            (Published(3, start, radgraph, ("mean_characters",)),),
            (Check("lower", "fact_precision: change of words"),),
        ),
        Claim(
            "The shortened reports miss findings: their F1 falls (RadGraph there; here fact_precision).",
            (Published(3, start, radgraph, ("chexbert_micro", "chexbert_macro")),),
            tuple(
                Check("lower", f"fact_precision: change of {name}") for name in ("finding_f1_micro", "finding_f1_macro")
            ),
        ),
        Claim(
            "A reward raises the metric that it is.",
            (
                Published(3, start, "BERTScore", ("bertscore",)),
                Published(3, start, radgraph, ("radgraph_f1",)),
                Published(3, start, "RadCliQ", ("radcliq",)),
            ),
            tuple(Check("higher", f"{name}: change of {name}") for name in ("gleu", "rouge_l")),
        ),
        Claim(
            "GLEU is nearly as good a reward as RadCliQ.",
            (Published(3, "RadCliQ", gleu, ("rouge_l", "chexbert_micro", "green", "radcliq")),),
            untestable=NO_WEIGHTS,
        ),
        Claim(
            "RadCliQ and BERTScore as rewards improve all metrics.",
            tuple(
                Published(3, start, name, ("rouge_l", "chexbert_micro", "green")) for name in ("RadCliQ", "BERTScore")
            ),
            untestable=NO_WEIGHTS,
        ),
    )


def _sft_matters() -> tuple[Claim, ...]:
    rows = BEFORE_AND_AFTER["general", False], BEFORE_AND_AFTER["domain", False]
    weak, strong = (Published(2, *ends, ("abnormality_map50",)) for ends in rows)
    return (
        Claim(
            "RL on grounding helps from a weak start (there no SFT, here half of it) and from a strong one.",
            (weak, strong),
            (Check("higher", "gain from sft_early"), Check("higher", "gain from sft")),
        ),
        Claim(
            "It helps the weaker start more.",
            (weak, strong),
            (Check("larger gain", "gain from sft_early", "gain from sft"),),
        ),
        Claim(
            "The stronger start stays ahead after RL.",
            (Published(2, "Qwen3-VL+RL", "RadVLM+RL", ("abnormality_map50",)),),
            (Check("higher", "after GRPO: sft - sft_early"),),
        ),
    )


def _cross_task() -> tuple[Claim, ...]:
    own = tuple(
        Claim(
            f"RL on {task} lifts {task}.",
            (Published(_columns(task)[0], *BEFORE_AND_AFTER["domain", False], _columns(task)[1]),),
            (Check("higher", f"on {task}: change in {task}"),),
        )
        for task in ("grounding", "reports")
    )
    return (
        *own,
        Claim("What RL on grounding does to reports, and RL on reports to grounding.", untestable=NOT_MEASURED),
        Claim("What RL on both tasks at once does to each.", untestable=NOT_MEASURED),
    )
