"""The weights of the model-based rewards: which files, where they are kept, how they get here.

``radgraph`` and ``f1chexbert`` keep their checkpoints in the user's cache folder (``~/.cache/radgraph/<version>``
and ``~/.cache/chexbert`` on Linux), everything else lies in the cache of ``huggingface_hub``. The environment
variable ``RADVLM_COURSE_METRIC_WEIGHTS`` names one folder to use instead of the user's cache folder, for machines
that share their weights. Nothing here downloads unless :func:`fetch` is called; the command is

    python -m radvlm_course.rewards.weights radcliq bertscore

Sizes and licences are those that the repositories stated at the end of 2025.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from radvlm_course.rewards.base import RewardError

__all__ = [
    "WEIGHTS",
    "WeightFile",
    "are_random",
    "cache_folder",
    "chexbert_checkpoint",
    "fetch",
    "from_disk",
    "is_present",
    "missing",
    "radgraph_folder",
    "require",
    "require_encoder",
]

FOLDER_VARIABLE = "RADVLM_COURSE_METRIC_WEIGHTS"
RANDOM_MARK = "RANDOM_WEIGHTS"
SCORERS_REPOSITORY = "StanfordAIMI/RRG_scorers"
RADGRAPH_MODELS = ("radgraph", "radgraph-xl")
DEFAULT_RADGRAPH = "radgraph-xl"


@dataclass(frozen=True)
class WeightFile:
    """One thing to fetch: ``files`` of a repository of the Hugging Face hub.

    Attributes:
        name: how this module calls it.
        repository: repository on the hub.
        files: names in the repository; each is needed.
        megabytes: what they weigh together, about.
        licence: as the repository states it.
        rewards: the rewards that need it.
    """

    name: str
    repository: str
    files: tuple[str, ...]
    megabytes: int
    licence: str
    rewards: tuple[str, ...]


TOKENIZER_FILES = ("config.json", "tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json")
_BERT_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt")
_RADGRAPH_REWARDS, _CHEXBERT_REWARDS = ("radgraph", "radcliq"), ("chexbert", "radcliq")
WEIGHTS = (
    WeightFile("radgraph-xl", SCORERS_REPOSITORY, ("radgraph-xl.tar.gz",), 416, "MIT", _RADGRAPH_REWARDS),
    WeightFile("radgraph", SCORERS_REPOSITORY, ("radgraph.tar.gz",), 432, "MIT", _RADGRAPH_REWARDS),
    WeightFile("chexbert", SCORERS_REPOSITORY, ("chexbert.pth",), 1310, "MIT", _CHEXBERT_REWARDS),
    WeightFile("bert-base-uncased", "bert-base-uncased", _BERT_FILES, 1, "Apache-2.0", _CHEXBERT_REWARDS),
    WeightFile(
        "distilbert-base-uncased",
        "distilbert-base-uncased",
        (*_BERT_FILES, "model.safetensors"),
        268,
        "Apache-2.0",
        ("bertscore",),
    ),
    WeightFile(
        "distilroberta-base",
        "distilroberta-base",
        ("config.json", "tokenizer.json", "vocab.json", "merges.txt", "model.safetensors"),
        331,
        "Apache-2.0",
        ("radcliq",),
    ),
)


def cache_folder(package: str) -> Path:
    """Where ``radgraph`` or ``chexbert`` keeps its checkpoints; see the module's docstring."""
    if chosen := os.environ.get(FOLDER_VARIABLE):
        return Path(chosen) / package
    from appdirs import user_cache_dir

    return Path(user_cache_dir(package))


def are_random() -> bool:
    """Whether the folder that ``RADVLM_COURSE_METRIC_WEIGHTS`` names holds the tests' random weights."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    return chosen is not None and (Path(chosen) / RANDOM_MARK).is_file()


def radgraph_folder(model: str) -> Path:
    """The unpacked RadGraph model; holds ``config.json``, ``vocabulary/`` and ``weights.th``."""
    return cache_folder("radgraph") / importlib.metadata.version("radgraph") / model


def radgraph_encoder(folder: Path) -> str:
    """The encoder of an unpacked RadGraph model; only its settings and tokenizer are needed beside the weights."""
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return str(settings["dataset_reader"]["token_indexers"]["bert"]["model_name"])


def chexbert_checkpoint() -> Path:
    """The CheXbert checkpoint."""
    return cache_folder("chexbert") / "chexbert.pth"


def is_present(weights: WeightFile) -> bool:
    """Whether the files are on this machine (never, where their package is not). Looks, never downloads."""
    if weights.repository == SCORERS_REPOSITORY and not all(map(importlib.util.find_spec, ("radgraph", "appdirs"))):
        return False
    if weights.name in RADGRAPH_MODELS:
        folder = radgraph_folder(weights.name)
        whole = all((folder / name).is_file() for name in ("config.json", "weights.th"))
        return whole and _encoder_is_present(radgraph_encoder(folder))
    if weights.name == "chexbert":
        return chexbert_checkpoint().is_file()
    from huggingface_hub import try_to_load_from_cache

    return all(isinstance(try_to_load_from_cache(weights.repository, file), str) for file in weights.files)


def missing(reward: str, radgraph_model: str = DEFAULT_RADGRAPH) -> list[WeightFile]:
    """What a reward needs and this machine lacks; empty for rewards without a model.

    Args:
        radgraph_model: the RadGraph model that the reward is built with.
    """
    needed = [weights for weights in WEIGHTS if reward in weights.rewards]
    others = set(RADGRAPH_MODELS) - {radgraph_model}
    return [weights for weights in needed if weights.name not in others and not is_present(weights)]


def require(path: Path, reward: str, options: str = "") -> Path:
    """The path, if there is such a file.

    Args:
        reward, options: what the command that fetches it is given.

    Raises:
        RewardError: there is none; says what to do.
    """
    if not path.is_file():
        raise RewardError(
            f"{reward} needs its weights: expected the file {path}, found none. Fetch them with "
            f"'python -m radvlm_course.rewards.weights {reward}{options}', or name their folder in {FOLDER_VARIABLE}"
        )
    return path


def require_encoder(name: str, reward: str) -> str:
    """The name of an encoder of the hub, or its folder, if it is on this machine.

    Raises:
        RewardError: it is not; says what to do.
    """
    if not _encoder_is_present(name):
        raise RewardError(
            f"{reward} needs the encoder {name!r}: expected it in the cache of huggingface_hub, found nothing. Fetch "
            f"it with 'python -m radvlm_course.rewards.weights {reward}', or with 'hf download {name}' if it is not "
            "the one that the reward takes by default"
        )
    return name


def _encoder_is_present(name: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return Path(name).is_dir() or isinstance(try_to_load_from_cache(name, "config.json"), str)


@contextmanager
def from_disk() -> Iterator[None]:
    """Load what is on this machine and ask no server whether it is the newest, within a ``with`` block."""
    from unittest.mock import patch

    from huggingface_hub import constants

    with patch.object(constants, "HF_HUB_OFFLINE", True):
        yield


def fetch(rewards: Iterable[str], radgraph_model: str = DEFAULT_RADGRAPH) -> list[Path]:
    """Download what the rewards need and this machine lacks; network access is needed.

    Args:
        radgraph_model: the RadGraph model that the rewards are built with.

    Returns:
        The files, where they can be read.

    Raises:
        ValueError: a reward needs no weights or does not exist.
    """
    chosen = list(rewards)
    known = {reward for weights in WEIGHTS for reward in weights.rewards}
    if unknown := sorted(set(chosen) - known):
        raise ValueError(f"no weights to fetch for {', '.join(unknown)}: expected some of {', '.join(sorted(known))}")
    found = []
    for weights in dict.fromkeys(entry for reward in chosen for entry in missing(reward, radgraph_model)):
        found += _fetch_one(weights)
    return found


def _fetch_one(weights: WeightFile) -> list[Path]:
    from huggingface_hub import hf_hub_download, snapshot_download

    if weights.name in RADGRAPH_MODELS:
        folder = _unpack(Path(hf_hub_download(weights.repository, weights.files[0])), radgraph_folder(weights.name))
        encoder = snapshot_download(radgraph_encoder(folder), allow_patterns=list(TOKENIZER_FILES))
        return [folder, Path(encoder)]
    paths = [Path(hf_hub_download(weights.repository, file)) for file in weights.files]
    if weights.name == "chexbert":
        target = chexbert_checkpoint()
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.symlink_to(paths[0])
        return [target]
    return paths


def _unpack(archive: Path, folder: Path) -> Path:
    """Unpack beside the target, then move: the folder is whole or absent."""
    import shutil
    import tarfile
    import tempfile

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        partial = Path(scratch) / folder.name  # the scratch folder itself is closed to other users, who may share this
        with tarfile.open(archive, "r:gz") as file:
            file.extractall(partial, filter="data")
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    return folder


def main(arguments: Sequence[str] | None = None) -> None:
    """Fetch the weights of the rewards named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m radvlm_course.rewards.weights", description=main.__doc__)
    parser.add_argument("rewards", nargs="+", choices=sorted({name for entry in WEIGHTS for name in entry.rewards}))
    parser.add_argument("--radgraph-model", default=DEFAULT_RADGRAPH, choices=RADGRAPH_MODELS)
    chosen = parser.parse_args(arguments)
    for reward in chosen.rewards:
        for entry in missing(reward, chosen.radgraph_model):
            print(f"{entry.name}: {entry.megabytes} MB from {entry.repository}, licence {entry.licence}", flush=True)
    for path in fetch(chosen.rewards, chosen.radgraph_model):
        print(path)


if __name__ == "__main__":
    main()
