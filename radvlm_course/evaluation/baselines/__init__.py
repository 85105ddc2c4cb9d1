"""Baselines: what a score is worth without looking at the image, or from another model.

:mod:`priors` never looks at the film. The others are models of other groups, one module each, found by name:
:data:`BASELINES` holds addresses, not objects, so that listing them imports nothing and describing them imports no
torch. ``python -m radvlm_course.evaluation.baselines`` prints who they are and what they can do.

To add one: a module with a subclass of :class:`~radvlm_course.evaluation.baselines.base.Baseline`, and a line here.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from radvlm_course.evaluation.baselines.base import Baseline

__all__ = ["BASELINES", "baseline_class", "get_baseline"]

_HERE = "radvlm_course.evaluation.baselines"
BASELINES: Mapping[str, str] = {
    "medgemma_4b_pt": f"{_HERE}.medgemma_4b_pt:MedGemma4B",
    "medgemma_27b_it": f"{_HERE}.medgemma_27b_it:MedGemma27B",
    "maira_2": f"{_HERE}.maira_2:Maira2",
    "chexagent_2": f"{_HERE}.chexagent_2:CheXagent2",
    "deepmedix_r1": f"{_HERE}.deepmedix_r1:DeepMedixR1",
    "llava_rad": f"{_HERE}.llava_rad:LlavaRad",
    "qwen3_vl": f"{_HERE}.qwen3_vl:Qwen3VL",
    "qwen3_vl_thinking": f"{_HERE}.qwen3_vl:Qwen3VLThinking",
    "radvlm": f"{_HERE}.radvlm:RadVLM",
    "radvlm_thinking": f"{_HERE}.radvlm:RadVLMThinking",
}
"""Name -> ``package.module:class``, in the order of the paper's table."""


def baseline_class(name: str) -> type[Baseline]:
    """The class of a baseline; imports its module, and no torch.

    Raises:
        ValueError: no baseline has that name; lists those that exist.
    """
    if name not in BASELINES:
        raise ValueError(f"unknown baseline {name!r}: expected one of {', '.join(BASELINES)}")
    module, _, attribute = BASELINES[name].partition(":")
    found: type[Baseline] = getattr(importlib.import_module(module), attribute)
    return found


def get_baseline(name: str, **options: Any) -> Baseline:
    """Build a baseline, without its weights: those come with :meth:`Baseline.load`.

    Args:
        options: ``variant`` and ``classes``, see :class:`~radvlm_course.evaluation.baselines.base.Baseline`.

    Raises:
        ValueError: no baseline has that name, or it has no such variant.
    """
    return baseline_class(name)(**options)
