"""A reward that obeys its responses, and the command line of the course with this reward registered.

Run as a script it is ``python -m radvlm_course`` that also knows the reward ``scripted``.
"""

import sys
import time
import zlib
from pathlib import Path

from radvlm_course.records import Example
from radvlm_course.rewards import RewardError, register_reward
from radvlm_course.rewards.base import BOX_TASKS, TEXT_TASKS, Reward


class Scripted(Reward):
    """The value depends on every character of response and answer; the first word may be a command.

    ``sleep SECONDS`` takes that long, ``break`` is a fault of the scorer, ``refuse`` a RewardError,
    ``nan`` a value that is not a number, ``hang`` never ends, ``end`` ends the thread that scores.
    """

    name = "scripted"
    range = (-1.0, 1.0)
    empty_value = -1.0
    tasks = (*TEXT_TASKS, *BOX_TASKS)

    def __init__(self, broken: bool = False, wait_for_file: str = "") -> None:
        while wait_for_file and not Path(wait_for_file).exists():
            time.sleep(0.02)
        if broken:
            raise OSError("the weights are not there")

    def score(self, response: str, example: Example) -> float:
        command, *words = response.split()
        if command == "sleep":
            time.sleep(float(words[0]))
        elif command == "break":
            raise ZeroDivisionError("the scorer broke")
        elif command == "refuse":
            raise RewardError(f"scripted refuses example {example.id!r}")
        elif command == "nan":
            return float("nan")
        elif command == "hang":
            time.sleep(3600)
        elif command == "end":
            raise SystemExit
        return zlib.crc32(f"{response}|{example.answer}|{example.boxes}".encode("utf-8", "surrogatepass")) / 2**32


if __name__ == "__main__":
    from radvlm_course.cli import main

    register_reward("scripted", "served:Scripted")
    sys.exit(main())
