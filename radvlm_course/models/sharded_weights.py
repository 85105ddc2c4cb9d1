"""Weights that several processes saved in pieces, put together again: verl's, torch's and DeepSpeed's layouts.

* **verl** (FSDP) writes ``model_world_size_N_rank_R.pt``, one file a process: name -> ``DTensor``, which carries the
  process's piece, where the pieces lie (``Shard(dim)`` or ``Replicate()`` for each axis of the mesh of processes) and
  the whole shape. Read with torch alone, without verl and without a process group.
* **torch.distributed.checkpoint**, which accelerate and transformers use for FSDP with sharded state dictionaries,
  writes ``__R_0.distcp`` files and ``.metadata``, whose table of names and shapes says what to read.
* **DeepSpeed ZeRO** splits flat buffers; its own ``zero_to_fp32`` puts them together.

Only tensors are read from ``.pt`` files (``weights_only``). ``.metadata`` and DeepSpeed's files are pickles, which can
run code when they are read: convert checkpoints that you made, or whose maker you trust.
"""

from __future__ import annotations

import math
import pickle
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint import FileSystemReader, load
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.tensor import DTensor, Placement, Replicate, Shard

__all__ = ["CheckpointError", "read_deepspeed", "read_distributed", "read_verl", "verl_files"]

_VERL_FILE = re.compile(r"model_world_size_(\d+)_rank_(\d+)\.pt")
_UNREADABLE = (RuntimeError, EOFError, OSError, ValueError, KeyError, pickle.UnpicklingError)


class CheckpointError(ValueError):
    """A checkpoint that is incomplete, damaged, or of another model; the message says what to do."""


def verl_files(folder: Path) -> list[Path]:
    """The shards in a folder, by rank; none if verl saved nothing there.

    Raises:
        CheckpointError: shards of several numbers of processes, or a rank's file is missing.
    """
    found: dict[int, dict[int, Path]] = {}
    for path in sorted(folder.glob("model_world_size_*_rank_*.pt")):
        if match := _VERL_FILE.fullmatch(path.name):
            found.setdefault(int(match[1]), {})[int(match[2])] = path
    if len(found) > 1:
        raise CheckpointError(
            f"{folder} holds shards of runs with {' and '.join(map(str, sorted(found)))} processes: expected those of "
            "one run. Move the others elsewhere (fsdp_config.json says how many processes saved last)"
        )
    for count, paths in found.items():
        if lacking := sorted(set(range(count)) - set(paths)):
            raise CheckpointError(
                f"{folder}: {_listed(f'model_world_size_{count}_rank_{rank}.pt' for rank in lacking)} missing, of "
                f"{count} files: copy the shards of every node into this folder"
            )
        return [paths[rank] for rank in range(count)]
    return []


def read_verl(folder: Path, dtype: torch.dtype | None = None) -> dict[str, torch.Tensor]:
    """Whole tensors by name, of the shards that verl saved.

    Args:
        dtype: of the result; None: as saved (verl: float32).

    Raises:
        CheckpointError: see :func:`verl_files`; also a file that is cut short, or files that do not belong together.
    """
    files = verl_files(folder)
    if not files:
        raise CheckpointError(f"{folder} holds no model_world_size_N_rank_R.pt")
    shards = [_load(path) for path in files]
    names = list(shards[0])
    for path, shard in zip(files, shards, strict=True):
        if differing := sorted(set(names) ^ set(shard)):
            raise CheckpointError(
                f"{path} and {files[0].name} hold different weights ({_listed(differing)}): they are of different runs"
            )
    whole = {}
    for name in names:
        tensor = _whole(folder, name, [shard.pop(name) for shard in shards])
        whole[name] = tensor if dtype is None or not tensor.is_floating_point() else tensor.to(dtype)
    return whole


def _load(path: Path) -> dict[str, Any]:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except _UNREADABLE as error:
        raise CheckpointError(
            f"{path} cannot be read, as when it was cut short by a full disk or a killed job: take an earlier "
            f"checkpoint ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'})"
        ) from error
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise CheckpointError(f"{path}: expected weights by name, found {type(found).__name__}")
    return found


def _whole(folder: Path, name: str, pieces: Sequence[torch.Tensor]) -> torch.Tensor:
    """One tensor out of its pieces, in the order of the ranks.

    Raises:
        CheckpointError: the pieces do not belong together.
    """
    first = pieces[0]
    if not isinstance(first, DTensor):  # saved whole by every process
        if any(isinstance(piece, DTensor) or not torch.equal(piece, first) for piece in pieces[1:]):
            raise CheckpointError(f"{folder}: {name} is no shard and yet differs between the ranks: of different runs")
        return first.clone()
    where = f"{folder}: {name}"
    shards: list[DTensor] = []
    for rank, piece in enumerate(pieces):
        if not isinstance(piece, DTensor) or (piece.placements, piece.shape) != (first.placements, first.shape):
            raise CheckpointError(f"{where} of rank {rank} is laid out otherwise than that of rank 0")
        shards.append(piece)
    mesh = _mesh(first, len(shards), where)
    for rank, shard in enumerate(shards):
        place = shard.device_mesh.get_coordinate()  # where the process stood that saved it
        if place is not None and len(place) == mesh.ndim and int(mesh[tuple(place)]) != rank:
            raise CheckpointError(f"{where}: the shard of rank {rank} was saved by rank {int(mesh[tuple(place)])}")
    whole = _joined([shard._local_tensor for shard in shards], mesh, first.placements, where)
    if whole.shape != first.shape:
        raise CheckpointError(
            f"{folder}: {name} is {list(whole.shape)} when put together, and was {list(first.shape)} when it was "
            "saved: a shard is of another run"
        )
    return whole


def _mesh(tensor: DTensor, processes: int, where: str) -> torch.Tensor:
    """The ranks as the mesh of processes has them: from 0 on, row by row."""
    older = vars(tensor.device_mesh).get("mesh")  # before torch 2.10 a tensor of ranks, now made of other attributes
    if len(tensor.placements) == 1:
        shape: tuple[int, ...] = (processes,)
    else:
        shape = tuple(older.shape if isinstance(older, torch.Tensor) else tensor.device_mesh.shape)
    if math.prod(shape) != processes:
        raise CheckpointError(f"{where}: expected a shard of each of {math.prod(shape)} processes, found {processes}")
    return torch.arange(processes).reshape(shape)


def _joined(
    pieces: Sequence[torch.Tensor], mesh: torch.Tensor, placements: Sequence[Placement], where: str
) -> torch.Tensor:
    """Pieces joined along the first axis of the mesh, each of them joined along the axes that follow."""
    if not placements:
        return pieces[int(mesh)]
    first, rest = placements[0], placements[1:]
    if type(first) is Replicate:
        return _joined(pieces, mesh[0], rest, where)
    if type(first) is Shard:
        return torch.cat([_joined(pieces, part, rest, where) for part in mesh], dim=first.dim)
    raise CheckpointError(f"{where} is laid out as {first}: expected whole or sharded weights, as FSDP saves them")


def read_distributed(folder: Path, dtype: torch.dtype | None = None) -> dict[str, torch.Tensor]:
    """Whole tensors by name, of a folder with ``.metadata`` and ``.distcp`` files.

    accelerate keeps them under ``model``, which is taken off their names.

    Raises:
        CheckpointError: a file is missing or cut short, or the folder holds no weights but, say, an optimiser's state.
    """
    reader = FileSystemReader(folder)
    try:
        entries = reader.read_metadata().state_dict_metadata
    except _UNREADABLE as error:
        raise CheckpointError(
            f"{folder}/.metadata cannot be read; it is written last, so that the save did not finish: take an "
            f"earlier checkpoint ({type(error).__name__})"
        ) from error
    whole: dict[str, torch.Tensor] = {
        name: torch.empty(entry.size, dtype=entry.properties.dtype)
        for name, entry in entries.items()
        if isinstance(entry, TensorStorageMetadata)
    }
    if not whole or all(name.startswith(("state.", "optimizer", "optim.")) for name in whole):
        raise CheckpointError(f"{folder} holds no weights of a model (first entries: {_listed(list(entries)[:3])})")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="torch.distributed is disabled")  # as it should be
            load(whole, storage_reader=reader, no_dist=True)
    except (*_UNREADABLE, CheckpointException) as error:
        raise CheckpointError(
            f"{folder} cannot be read, as when a .distcp file is missing or was cut short: copy the files of every "
            f"node into this folder, or take an earlier checkpoint ({_last_line(error)})"
        ) from error
    under_model = any(name.startswith("model.model.") for name in whole)
    named = {name.removeprefix("model.") if under_model else name: tensor for name, tensor in whole.items()}
    return {name: tensor if dtype is None else tensor.to(dtype) for name, tensor in named.items()}


def read_deepspeed(folder: Path, dtype: torch.dtype | None = None) -> dict[str, torch.Tensor]:
    """Whole tensors by name, put together by DeepSpeed itself.

    Args:
        folder: the one with the file ``latest``.

    Raises:
        CheckpointError: DeepSpeed is not installed, or cannot read the checkpoint.
    """
    merge = _zero_to_fp32(folder)
    try:
        found = merge(str(folder))
    except (*_UNREADABLE, AssertionError) as error:
        raise CheckpointError(f"{folder}: DeepSpeed cannot put it together: {_last_line(error)}") from error
    return {name: tensor.contiguous() if dtype is None else tensor.to(dtype) for name, tensor in found.items()}


def _zero_to_fp32(folder: Path) -> Callable[[str], Mapping[str, torch.Tensor]]:
    try:
        from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint
    except ModuleNotFoundError as error:
        raise CheckpointError(
            f"{folder} is DeepSpeed's, which alone can read it, and the package deepspeed is not installed: "
            "pip install --no-build-isolation deepspeed==0.19.8 where torch is, or run zero_to_fp32.py, which "
            "DeepSpeed left in that folder, where the model was trained"
        ) from error
    merge: Callable[[str], Mapping[str, torch.Tensor]] = get_fp32_state_dict_from_zero_checkpoint
    return merge


def _listed(names: Any, most: int = 3) -> str:
    given = list(names)
    return ", ".join(map(str, given[:most])) + (f" and {len(given) - most} more" if len(given) > most else "")


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else 'no message'}"
