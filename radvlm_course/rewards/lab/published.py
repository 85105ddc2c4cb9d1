"""Published figures of the rewards that run a model, and which of these rewards this machine can run itself.

Without weights the lab shows what others measured, with its source, and names the command that fetches the weights.
It never shows scores of random weights, which mean nothing. The figures lie beside this module in ``published.yaml``.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml

from radvlm_course.rewards.weights import FOLDER_VARIABLE, WEIGHTS, WeightFile, are_random, missing

__all__ = ["MODEL_REWARDS", "PublishedRewards", "PublishedTraining", "Readiness", "ready_rewards"]

MODEL_REWARDS = ("radcliq", "radgraph", "bertscore", "chexbert")
_PACKAGES = {
    "radcliq": ("radgraph", "f1chexbert", "bert_score"),
    "radgraph": ("radgraph",),
    "bertscore": ("bert_score",),
    "chexbert": ("f1chexbert",),
}


@dataclass(frozen=True)
class PublishedRewards:
    """How rewards judge five pairs of sentences and what they cost, as RadEval measured it.

    Attributes:
        citation: where the figures stand.
        machine: what they were measured on.
        note: what to know when reading them.
        milliseconds_per_pair: metric -> milliseconds; lower is cheaper.
        pairs: each with ``kind``, ``reference``, ``response`` and ``scores`` (metric -> value, higher is better).
    """

    citation: str
    machine: str
    note: str
    milliseconds_per_pair: dict[str, float]
    pairs: list[dict[str, Any]]

    @classmethod
    def load(cls) -> PublishedRewards:
        """The figures that come with the package."""
        return cls(**_figures()["rewards"])

    def scores(self) -> dict[str, dict[str, float]]:
        """``kind`` -> metric -> value, as :func:`~radvlm_course.rewards.lab.survey.score_candidates` returns it."""
        return {pair["kind"]: dict(pair["scores"]) for pair in self.pairs}


@dataclass(frozen=True)
class PublishedTraining:
    """What became of one model under several rewards, as the paper prints it.

    Attributes:
        citation, machine, note: as in :class:`PublishedRewards`.
        runs: each with ``reward``, ``characters`` and the paper's metrics.
    """

    citation: str
    machine: str
    note: str
    runs: list[dict[str, Any]]

    @classmethod
    def load(cls) -> PublishedTraining:
        """The figures that come with the package."""
        return cls(**_figures()["training"])


@functools.cache
def _figures() -> Mapping[str, Any]:
    text = (resources.files(__package__) / "published.yaml").read_text(encoding="utf-8")
    figures: Mapping[str, Any] = yaml.safe_load(text)
    return figures


@dataclass(frozen=True)
class Readiness:
    """Which of the rewards that run a model can be built here.

    Attributes:
        ready: their packages and weights are on this machine.
        lacking: reward -> the weights that are not.
        without_packages: rewards whose packages are not installed.
        random: the weights on this machine are the tests' random ones, so that none is ready.
    """

    ready: tuple[str, ...]
    lacking: Mapping[str, Sequence[WeightFile]]
    without_packages: tuple[str, ...]
    random: bool = False

    def to_markdown(self) -> str:
        """What is here, what is not, and the one command that fetches it, with sizes and licences."""
        lines = [f"Ready on this machine: {', '.join(self.ready)}." if self.ready else "None is ready on this machine."]
        if self.random:
            lines.append(f"The weights in {FOLDER_VARIABLE} are random: their scores mean nothing and are not shown.")
        if self.without_packages:
            lines.append(
                f"The packages of {', '.join(self.without_packages)} are not installed: install the extra `metrics`, "
                "for example `pip install -c constraints/cpu.txt -e '.[metrics]'`."
            )
        if self.lacking:
            lines += self._weights_to_fetch()
        return "\n".join(lines)

    def _weights_to_fetch(self) -> list[str]:
        wanted = dict.fromkeys(weights for each in self.lacking.values() for weights in each)
        total = sum(weights.megabytes for weights in wanted)
        return [
            f"The weights of {', '.join(self.lacking)} are not here. This fetches them, {total} MB from the Hugging "
            "Face hub:",
            "",
            f"    python -m radvlm_course.rewards.weights {' '.join(self.lacking)}",
            "",
            "| weights | MB | licence | for |",
            "| --- | ---: | --- | --- |",
            *(
                f"| {weights.name} | {weights.megabytes} | {weights.licence} | {', '.join(weights.rewards)} |"
                for weights in wanted
            ),
        ]


def ready_rewards(names: Sequence[str] = MODEL_REWARDS) -> Readiness:
    """Look which rewards have their packages and weights here. Builds, loads and downloads nothing.

    Args:
        names: rewards that run a model.

    Raises:
        ValueError: a reward needs no weights or does not exist.
    """
    known = {reward for weights in WEIGHTS for reward in weights.rewards}
    if unknown := sorted(set(names) - known):
        raise ValueError(f"{', '.join(unknown)} has no weights: expected some of {', '.join(sorted(known))}")
    without = tuple(name for name in names if not all(map(importlib.util.find_spec, _PACKAGES[name])))
    lacking = {name: found for name in names if (found := missing(name))}
    random = are_random()
    ready = tuple(name for name in names if not random and name not in without and name not in lacking)
    return Readiness(ready, lacking, without, random)
