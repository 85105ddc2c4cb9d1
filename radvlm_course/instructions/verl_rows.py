"""The rows of verl's Parquet files, as RadVLM-GRPO has them and as our rewards read them.

:mod:`radvlm_course.rewards.verl_adapter` reads what this module writes; the conventions stand here once:

* ``data_source``: ``SOURCE/TASK``, with ``_reasoning`` at the end if the model thinks first;
* ``prompt``: one user message with ``<image>`` first and, for a model that thinks when it is asked to, the suffix
  at the end;
* ``images``: one picture with its limits in pixels;
* ``reward_model``: the answer as text; ``extra_info``: id, split, index, whether the model thinks, and the unrounded
  boxes of an answer that is judged by boxes.

Of a conversation, only the first round becomes a row.
"""

from __future__ import annotations

from typing import Any

from radvlm_course.chat import THINK_SUFFIX
from radvlm_course.records import BOX_TASKS, Example

__all__ = ["REASONING", "VERL_TASKS", "verl_row", "verl_schema"]

REASONING = "_reasoning"
# The tasks that our rewards judge unless told otherwise (verl_adapter.DEFAULT_REWARDS).
VERL_TASKS = ("report_generation", *BOX_TASKS)

_MIN_PIXELS, _MAX_PIXELS = 1024, 451584


def verl_row(
    example: Example, index: int, thinking: bool = False, image_root: str = "", suffix: bool = True
) -> dict[str, Any]:
    """A row of verl's Parquet file for an example, with the columns of RadVLM-GRPO's files.

    Args:
        index: the row's number in its split.
        thinking: the model thinks first.
        image_root: put before the example's ``image_path``; absolute, because verl's workers run elsewhere.
        suffix: ask a model that thinks to do so; one that always does (Qwen3-VL-Thinking) is not asked.
    """
    source = f"{example.source or 'radvlm_course'}/{example.task}{REASONING if thinking else ''}"
    boxes = {"boxes": [box.to_list() for box in example.boxes]} if example.task in BOX_TASKS else {}
    image = {"image": f"file://{image_root}{example.image_path}", "min_pixels": _MIN_PIXELS, "max_pixels": _MAX_PIXELS}
    return {
        "data_source": source,
        "prompt": [
            {"role": "user", "content": f"<image>\n{example.question}{THINK_SUFFIX if thinking and suffix else ''}"},
        ],
        "images": [image],
        "ability": "radiology",
        "reward_model": {"style": "rule", "ground_truth": example.answer},
        "extra_info": {"id": example.id, "split": example.split, "index": index, "thinking": thinking, **boxes},
    }


def verl_schema() -> Any:
    """The ``pyarrow`` schema of such rows; a row without boxes has none (null) in ``extra_info``."""
    import pyarrow as pa

    text, number = pa.string(), pa.int64()
    info = {
        "id": text,
        "split": text,
        "index": number,
        "thinking": pa.bool_(),
        "boxes": pa.list_(pa.list_(pa.float64())),
    }
    return pa.schema(
        {
            "data_source": text,
            "prompt": pa.list_(pa.struct({"role": text, "content": text})),
            "images": pa.list_(pa.struct({"image": text, "min_pixels": number, "max_pixels": number})),
            "ability": text,
            "reward_model": pa.struct({"style": text, "ground_truth": text}),
            "extra_info": pa.struct(info),
        }
    )
