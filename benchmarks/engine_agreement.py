"""How far two folders of predictions agree, example by example: of two engines, two machines, two precisions.

python -m radvlm_course evaluate predict --engine transformers ... --output out/transformers
python -m radvlm_course evaluate predict --engine vllm ... --output out/vllm
python benchmarks/engine_agreement.py out/transformers out/vllm
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from radvlm_course.evaluation.predictions import Prediction
from radvlm_course.evaluation.provenance import changed_settings, read_settings
from radvlm_course.evaluation.shards import read_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("first", type=Path, help="folder of evaluate predict")
    parser.add_argument("second", type=Path, help="folder of evaluate predict, on the same examples")
    options = parser.parse_args()
    print(agreement(options.first, options.second))


def agreement(first: Path, second: Path) -> str:
    """A Markdown table of what agrees, and the settings that differ.

    Raises:
        ValueError: the folders answer different examples.
    """
    one, other = ({item.example_id: item for item in read_folder(folder)} for folder in (first, second))
    if set(one) != set(other):
        raise ValueError(f"expected the same examples: {len(set(one) ^ set(other))} are in one of the folders only")
    rows = [("examples", len(one))]
    for name in ("completion", "response", "finish_reason"):
        rows.append((f"equal: {name}", sum(getattr(one[key], name) == getattr(other[key], name) for key in one)))
    rows.append(("mean share of equal characters before the first other one", _mean_prefix(one, other)))
    lines = ["| | |", "| --- | ---: |", *(f"| {name} | {value} |" for name, value in rows)]
    settings = changed_settings(*(read_settings(folder) or {} for folder in (first, second)))
    return "\n".join([*lines, "", *(f"- {key}: {there} | {now}" for key, (there, now) in settings.items())])


def _mean_prefix(one: Mapping[str, Prediction], other: Mapping[str, Prediction]) -> str:
    shares = []
    for key in one:
        a, b = one[key].completion, other[key].completion
        same = next((index for index, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
        shares.append(same / max(len(a), len(b), 1) if a or b else 1.0)
    return f"{sum(shares) / len(shares):.3f}" if shares else "n/a"


if __name__ == "__main__":
    main()
