"""Print who the baselines are: ``python -m radvlm_course.evaluation.baselines [PART ...]``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from radvlm_course.evaluation.baselines.tables import PARTS


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables that were asked for, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m radvlm_course.evaluation.baselines", description=main.__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="part", help=f"of {', '.join(PARTS)}")
    print("\n".join(PARTS[part]() for part in parser.parse_args(arguments).parts or PARTS), end="")


if __name__ == "__main__":
    main()
