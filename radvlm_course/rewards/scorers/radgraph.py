"""RadGraph on many reports at once: annotations equal to the package's, and F1 of their facts.

RadGraph (Jain et al. 2021, arXiv 2106.14463; RadGraph-XL, Delbrouck et al. 2024) reads a report as a graph: entities
(anatomy, observations that are present, absent or uncertain) and relations between them. Two reports are compared as
sets of facts, at three levels of strictness (Delbrouck et al. 2022, arXiv 2210.12186):

- ``simple``: words and label of each entity;
- ``partial``: the same, and whether the entity has any relation;
- ``complete``: words and label with each relation's kind and target.

``combined`` is what RadCliQ uses instead (Yu et al. 2023): the mean of the F1 of entities and the F1 of relations.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from radvlm_course.rewards import weights
from radvlm_course.rewards.base import RewardError
from radvlm_course.rewards.compat import radgraph as radgraph_compat
from radvlm_course.rewards.scorers.batching import choose_device, set_precision
from radvlm_course.rewards.scorers.dygie import BatchedDygie
from radvlm_course.rewards.scorers.dygie_heads import Facts
from radvlm_course.rewards.scorers.features import TextScorer, fingerprint

__all__ = ["LEVELS", "Graph", "Level", "RadGraphScorer", "load_package_model"]

Level = Literal["simple", "partial", "complete", "combined"]
LEVELS: tuple[Level, ...] = ("simple", "partial", "complete", "combined")
CHECK_TEXTS = (
    "no acute cardiopulmonary process .",
    "mild cardiomegaly and a small right pleural effusion , unchanged . the left lung is clear .",
)


@dataclass(frozen=True)
class Graph:
    """The facts of one report.

    Attributes:
        words: the report as RadGraph splits it.
        facts: entities and relations over those words.
    """

    words: tuple[str, ...]
    facts: Facts

    @cached_property
    def entities(self) -> list[tuple[str, str]]:
        """(words, label) of each entity."""
        return [(" ".join(self.words[first : last + 1]), label) for first, last, label in self.facts.entities]

    @cached_property
    def _relations(self) -> list[tuple[int, str, int]]:
        return [(source, label, target) for source, target, label in self.facts.relations]

    @cached_property
    def simple(self) -> frozenset[tuple]:
        """Facts of level ``simple``."""
        return frozenset(self.entities)

    @cached_property
    def partial(self) -> frozenset[tuple]:
        """Facts of level ``partial``."""
        related = {source for source, _, _ in self._relations}
        return frozenset(
            (*entity, True) if number in related else entity for number, entity in enumerate(self.entities)
        )

    @cached_property
    def complete(self) -> frozenset[tuple]:
        """Facts of level ``complete``."""
        related = {source for source, _, _ in self._relations}
        alone = {entity for number, entity in enumerate(self.entities) if number not in related}
        lower = [words.lower() for words, _ in self.entities]
        return frozenset(alone | {(lower[i], self.entities[i][1], label, lower[j]) for i, label, j in self._relations})

    @cached_property
    def relations(self) -> frozenset[tuple]:
        """(source, target, kind), source and target as (words, label)."""
        return frozenset((self.entities[i], self.entities[j], label) for i, label, j in self._relations)

    def annotation(self) -> dict[str, Any]:
        """The annotation in the form that ``radgraph.RadGraph`` gives."""
        entities = {}
        for number, (first, last, label) in enumerate(self.facts.entities):
            entities[str(number + 1)] = {
                "tokens": self.entities[number][0],
                "label": label,
                "start_ix": first,
                "end_ix": last,
                "relations": [[kind, str(j + 1)] for i, kind, j in self._relations if i == number],
            }
        return {"text": " ".join(self.words), "entities": entities, "data_source": None, "data_split": "inference"}

    def f1(self, reference: Graph, level: Level) -> float:
        """F1 of the facts of two reports, 0 to 1, higher is better; 0 if either has no entity."""
        if not self.entities or not reference.entities:
            return 0.0
        if level == "combined":
            return (_f1(self.simple, reference.simple) + _f1(self.relations, reference.relations)) / 2
        return _f1(getattr(self, level), getattr(reference, level))


def _f1(predicted: frozenset, true: frozenset) -> float:
    """2PR / (P + R); 0 if nothing is shared, also if both sides are empty."""
    shared = len(predicted & true)
    if not shared:
        return 0.0
    precision, recall = shared / len(predicted), shared / len(true)
    return 2 * precision * recall / (precision + recall)


def load_package_model(model: str, device: str | None = None) -> Any:
    """A ``radgraph.RadGraph`` with weights that are on this machine.

    Args:
        model: ``radgraph-xl`` or ``radgraph``.

    Raises:
        ValueError: there is no such model.
        RewardError: the package or the weights are missing; says how to get them.
    """
    if model not in weights.RADGRAPH_MODELS:
        raise ValueError(f"expected a RadGraph model of {', '.join(weights.RADGRAPH_MODELS)}; found {model!r}")
    package = radgraph_compat.load()
    folder = weights.radgraph_folder(model)
    weights.require(folder / "weights.th", "radgraph", f" --radgraph-model {model}")
    weights.require_encoder(weights.radgraph_encoder(folder), "radgraph")
    where = choose_device(device)
    number = -1 if where.type == "cpu" else where.index
    with weights.from_disk(), contextlib.redirect_stdout(io.StringIO()):  # it prints its device
        return package.RadGraph(model_type=model, model_cache_dir=str(folder.parent), cuda=number)


class RadGraphScorer(TextScorer[Graph]):
    """Graphs of reports.

    Args:
        model: ``radgraph-xl`` (the paper's) or ``radgraph`` (the scale that RadCliQ was published on).
        device: a torch device; None takes the first GPU, else the CPU.
        dtype: precision of the encoder. ``bfloat16`` changes facts whose scores are close; see docs/rewards.md, and
            compare on your own reports first.
        batched: run many texts at once; False calls the package for each, in ``float32``.
        package: a loaded ``radgraph.RadGraph`` to use instead of loading one.
        cache_bytes, cache_path: bounds and file of the cache of references.

    Raises:
        ValueError: a lower precision without batches.
        RewardError: the weights are missing, or the batched annotations of two check sentences differ from the
            package's, which a new version of it could bring about.
    """

    def __init__(
        self,
        model: str = "radgraph-xl",
        device: str | None = None,
        dtype: str = "float32",
        batched: bool = True,
        package: Any = None,
        cache_bytes: int = 2**26,
        cache_path: str | os.PathLike[str] | None = None,
    ) -> None:
        if dtype != "float32" and not batched:
            raise ValueError(f"expected dtype 'float32' with batched=False, found {dtype!r}")
        self.model, self._dtype = model, dtype
        self._package = load_package_model(model, device) if package is None else package
        self._batched = BatchedDygie(self._package) if batched else None
        if self._batched is not None:
            self._check()
            set_precision(self._package.model._embedder.token_embedder_bert, dtype)
        super().__init__(cache_bytes, cache_path, remember_last_call=True)

    def annotate(self, texts: Sequence[str], references: Collection[str] = ()) -> list[dict[str, Any]]:
        """The annotations of texts, each a dictionary as ``radgraph.RadGraph`` gives it."""
        graphs = self.features(texts, references)
        return [graphs[text].annotation() for text in texts]

    def compute(self, texts: list[str]) -> list[Graph]:
        """Graphs of distinct texts; a text without a word has an empty one."""
        from radgraph.utils import preprocess_reports

        words = [document["sentences"][0] for document in preprocess_reports(texts, self._package.model_type)]
        if self._batched is None:
            return [
                self._plain(text) if split else Graph((), Facts([], []))
                for text, split in zip(texts, words, strict=True)
            ]
        return [Graph(tuple(split), facts) for split, facts in zip(words, self._batched(words), strict=True)]

    def _plain(self, text: str) -> Graph:
        annotation = self._package([text])["0"]
        entities = list(annotation["entities"].values())
        relations = [
            (number, int(target) - 1, kind)
            for number, entity in enumerate(entities)
            for kind, target in entity["relations"]
        ]
        found = [(entity["start_ix"], entity["end_ix"], entity["label"]) for entity in entities]
        return Graph(tuple(annotation["text"].split(" ")), Facts(found, relations))

    def _check(self) -> None:
        for text, graph in zip(CHECK_TEXTS, self.compute(list(CHECK_TEXTS)), strict=True):
            expected, found = self._package([text])["0"], graph.annotation()
            if expected != found:
                raise RewardError(
                    f"the batched annotation of {text!r} differs from radgraph's own: expected {expected}, found "
                    f"{found}. Build the scorer with batched=False, and report the version of radgraph"
                )

    def forget(self) -> None:
        super().forget()
        if self._batched is not None:
            self._batched.forget()

    def size(self, features: Graph) -> int:
        return 200 + 80 * (len(features.words) + 4 * len(features.facts.entities) + 4 * len(features.facts.relations))

    def identity(self) -> str:
        return f"radgraph {self.model} {fingerprint(self._package.model, self._dtype)}"

    def to_bytes(self, features: Graph) -> bytes:
        return json.dumps([features.words, features.facts.entities, features.facts.relations]).encode()

    def from_bytes(self, data: bytes) -> Graph:
        words, entities, relations = json.loads(data)
        return Graph(tuple(words), Facts([tuple(e) for e in entities], [tuple(r) for r in relations]))
