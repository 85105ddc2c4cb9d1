"""A baseline as an engine of ``evaluate predict``: asked in its own words, its answers turned into our format.

Its settings hold what its module decides: variant, limits and temperatures of every task; the words of its prompts are
those of the version of this package, which is recorded too. A baseline that samples draws by the batch: a resumed run
then draws other answers than an uninterrupted one would have; greedy ones do not.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from radvlm_course.evaluation.engines import hardware
from radvlm_course.evaluation.predictions import Prediction
from radvlm_course.evaluation.provenance import model_identity, versions
from radvlm_course.evaluation.writing import ToPrediction
from radvlm_course.records import Example

if TYPE_CHECKING:
    from radvlm_course.evaluation.baselines.base import Baseline, Generation, Loaded

__all__ = ["BaselineEngine", "open_baseline"]


@dataclass
class BaselineEngine:
    """One baseline with where its weights are.

    Attributes:
        path: folder of the weights or hub name; None takes the baseline's own.
        load_options: of ``Baseline.load``.
        max_new_tokens: instead of the baseline's own limit; None leaves it.
    """

    baseline: Baseline
    path: str | None
    batch_size: int
    seed: int = 0
    load_options: dict[str, Any] = field(default_factory=dict)
    max_new_tokens: int | None = None
    _loaded: Loaded | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """As the lines and tables name it."""
        return f"{self.baseline.card.name} ({self.baseline.variant})"

    def identity(self) -> dict[str, Any]:
        """What tells the weights from others, as ``provenance.model_identity``.

        Raises:
            ValueError: the baseline is on no hub and there is no folder.
            FileNotFoundError: as ``provenance.model_identity``.
        """
        card = self.baseline.card
        if not (self.path or card.identifier):
            raise ValueError(f"{card.title} is on no hub ({card.access}): expected --model FOLDER")
        revision, download = (self.load_options.get(name) for name in ("revision", "download"))
        return model_identity(self.path or card.identifier, revision, bool(download))

    def settings(self) -> dict[str, Any]:
        settings = {task: asdict(self._generation(task)) for task in self.baseline.tasks}
        return {
            "engine": "baseline",
            "baseline": self.baseline.card.name,
            "variant": self.baseline.variant,
            "thinking": self.baseline.thinking,
            "tasks": settings,
            "load": self.load_options,
            "seed": self.seed,
            "hardware": hardware(),
            "versions": versions(("torch", "transformers", "tokenizers", "pillow")),
        }

    def complete(self, examples: Sequence[Example]) -> Iterator[tuple[str, str]]:
        """As :meth:`radvlm_course.evaluation.engines.Engine.complete`.

        Raises:
            BaselineError: an example is of a task that the baseline does not do, or the weights cannot be loaded;
                before anything is generated.
        """
        from radvlm_course.evaluation.baselines.predicting import complete

        for example in examples:
            self.baseline.check(example)
        self._loaded = self._loaded or self.baseline.load(self.path, **self.load_options)
        for task in dict.fromkeys(example.task for example in examples):
            some = [example for example in examples if example.task == task]
            yield from complete(self.baseline, self._loaded, some, self.batch_size, self._generation(task), self.seed)

    def to_prediction(self, name: str) -> ToPrediction:
        """The line of an example and its answer, as the baseline reads it."""
        from radvlm_course.evaluation.baselines.base import Completion

        def line(example: Example, answer: tuple[str, str]) -> Prediction:
            return replace(
                self.baseline.prediction(example, Completion(*answer), self._generation(example.task)), model=name
            )

        return line

    def _generation(self, task: str) -> Generation:
        own = self.baseline.generation(task)
        return own if self.max_new_tokens is None else replace(own, max_new_tokens=self.max_new_tokens)


def open_baseline(
    name: str,
    variant: str,
    path: str | None,
    batch_size: int,
    seed: int,
    dtype: str,
    max_new_tokens: int | None,
    options: dict[str, Any],
) -> BaselineEngine:
    """A baseline by name, with options of loading its weights.

    Raises:
        ValueError: no such baseline or variant, or an option that loading does not have.
    """
    from radvlm_course.evaluation.baselines import get_baseline
    from radvlm_course.evaluation.baselines.loading import LoadOptions

    baseline = get_baseline(name, variant=variant)
    own = list(inspect.signature(baseline.load).parameters)[1:-1]  # without the path and **options
    known = [*(entry.name for entry in fields(LoadOptions)), *own]
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(f"loading {name} has the options {', '.join(known)}; found {', '.join(unknown)}")
    load_options = {"dtype": dtype, **options}
    return BaselineEngine(baseline, path, batch_size, seed, load_options, max_new_tokens)
