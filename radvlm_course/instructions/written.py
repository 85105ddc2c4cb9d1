"""Conversations that a language model wrote beforehand, read from a folder.

One file per radiograph, ``NAME.json``, named after its image or its study: a list of turns ``{"from": "human" |
"gpt", "value": TEXT}``, the human first, the two in turn, ending with the model's answer. The files lie as
``data_scripts/write_conversations.py`` puts them, ``SPLIT/standard/`` and ``SPLIT/grounding/``, or all in one folder. A
study without a file, or with one that cannot be used, gives no pair; it is counted with the reason.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from radvlm_course.records import Study

__all__ = ["ConversationError", "ConversationFolder", "image_name"]

Rounds = tuple[tuple[str, str], ...]
_IMAGE_TAG = "<image>"
_SPEAKERS = ("human", "gpt")


class ConversationError(ValueError):
    """A written conversation that is missing or cannot be used; the message is the reason alone."""


@dataclass(frozen=True)
class ConversationFolder:
    """A folder that holds the files of conversations themselves."""

    folder: str

    @classmethod
    def find(cls, root: str, split: str, task: str) -> ConversationFolder:
        """The folder for a split of a dataset: ``root/SPLIT/standard`` (or ``grounding``), else ``root`` itself."""
        kind = "grounding" if task == "grounded_conversation" else "standard"
        for inner in (os.path.join("conversations", split, kind), os.path.join(split, kind)):
            if os.path.isdir(os.path.join(root, inner)):
                return cls(os.path.join(root, inner))
        return cls(root)

    def rounds(self, study: Study) -> Rounds:
        """The conversation about a study as (question, answer) rounds, at least one.

        Raises:
            ConversationError: there is no file, or it is not a list of turns as described above.
        """
        for name in (image_name(study.image_path), study.study_id):
            try:
                with open(f"{self.folder}{os.sep}{name}.json", "rb") as file:
                    return _rounds(json.load(file))
            except FileNotFoundError:
                continue
            except ConversationError:
                raise
            except (ValueError, RecursionError) as error:
                raise ConversationError("conversation that is not JSON") from error
        raise ConversationError("no written conversation")


def image_name(path: str) -> str:
    """The name of an image file without its folder and extension.

    >>> image_name("files/p10/s50/ab-cd.jpg")
    'ab-cd'
    """
    return os.path.splitext(os.path.basename(path))[0]


def _rounds(turns: Any) -> Rounds:
    if not isinstance(turns, list) or not turns or len(turns) % 2:
        raise ConversationError("conversation that is not an even number of turns")
    texts = [_text(turn, _SPEAKERS[place % 2]) for place, turn in enumerate(turns)]
    texts[0] = texts[0].removeprefix(_IMAGE_TAG).lstrip()
    if not all(texts):
        raise ConversationError("conversation with an empty turn")
    return tuple(zip(texts[::2], texts[1::2], strict=True))


def _text(turn: Any, speaker: str) -> str:
    if not isinstance(turn, dict) or turn.get("from") != speaker or not isinstance(turn.get("value"), str):
        raise ConversationError("conversation whose turns are not human and gpt in turn, each with a text")
    text: str = turn["value"].strip()
    return text
