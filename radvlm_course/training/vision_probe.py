"""What a frozen vision tower knows: read off with the simplest reader there is.

A linear probe is a ridge regression from visual tokens to the answer of one question: *which of your patches does
this finding cover?* It has no hidden layer, so what it finds must already be there in the features. Fitted once on
the features of a trained tower and once on those of a random one, it shows what pre-training gave, within seconds
and without training anything. Left out: tuning of the probe; it compares towers and wins no prize.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import Qwen3VLForConditionalGeneration

from radvlm_course.images import load_image
from radvlm_course.models.loading import LoadedModel
from radvlm_course.models.vision_speed import speed_up_vision
from radvlm_course.records import Study
from radvlm_course.training.vision_pretraining import patch_targets

__all__ = ["Probe", "ProbeError", "average_map", "probe_vision", "untrained_twin", "visual_tokens"]


class ProbeError(ValueError):
    """Nothing to fit a probe on."""


@dataclass(frozen=True)
class Probe:
    """A finding's map on held-out films, as a linear reader of visual tokens draws it.

    Attributes:
        maps: float array (films, rows, columns) of patches, higher where the finding is thought to be.
        truth: the same shape, 1 where a box of the finding covers the patch.
        ranking: the chance that a covered patch gets a higher value than one that is not (area under the ROC
            curve); 0.5 is guessing, 1 is perfect.
    """

    maps: np.ndarray
    truth: np.ndarray
    ranking: float


def untrained_twin(loaded: LoadedModel, seed: int = 0) -> LoadedModel:
    """The same architecture with fresh random weights, and the same processor."""
    torch.manual_seed(seed)
    model = Qwen3VLForConditionalGeneration(loaded.model.config)
    speed_up_vision(model)
    return LoadedModel(model.eval(), loaded.processor)


@torch.inference_mode()
def visual_tokens(loaded: LoadedModel, studies: Sequence[Study], batch_size: int = 64) -> torch.Tensor:
    """The visual tokens of square films, as the language model gets them: (films, tokens, width)."""
    if not studies:
        raise ProbeError("expected at least one film, found none")
    parts = []
    for start in range(0, len(studies), batch_size):
        films = [load_image(study.image_path) for study in studies[start : start + batch_size]]
        inputs = loaded.processor.image_processor(films, return_tensors="pt")
        outputs = loaded.model.model.visual(inputs["pixel_values"], grid_thw=inputs["image_grid_thw"])
        parts.append(outputs.pooler_output.reshape(len(films), -1, outputs.pooler_output.shape[-1]).float())
    return torch.cat(parts)


def probe_vision(
    loaded: LoadedModel, train: Sequence[Study], held_out: Sequence[Study], finding: str, ridge: float = 1.0
) -> Probe:
    """Fit a probe for one finding on training films and read it off on held-out ones.

    Args:
        finding: a name in ``abnormalities`` or ``structures`` of the studies.
        ridge: weight of the penalty, in units of the features' variance.

    Raises:
        ProbeError: no film was given, or the finding is on none (or on every patch) of the films.
    """
    features, unseen = visual_tokens(loaded, train), visual_tokens(loaded, held_out)
    grid = 2 * round(features.shape[1] ** 0.5)
    wanted, truth = _both_targets(train, held_out, finding, grid)
    scores = _ridge(features, torch.from_numpy(wanted), unseen, ridge).numpy()  # (films, tokens, 4)
    return Probe(_as_maps(scores, grid), _as_maps(truth, grid), _ranking(scores.ravel(), truth.ravel()))


def _both_targets(
    train: Sequence[Study], held_out: Sequence[Study], finding: str, grid: int
) -> tuple[np.ndarray, np.ndarray]:
    wanted, truth = _targets(train, finding, grid), _targets(held_out, finding, grid)
    if not wanted.any() or not truth.any() or truth.all():
        raise ProbeError(f"{finding!r} covers no patch (or every patch) of the {len(train)} and {len(held_out)} films")
    return wanted, truth


def _targets(studies: Sequence[Study], finding: str, grid: int) -> np.ndarray:
    """(films, tokens, 4) float32: 1 where the finding covers the patch."""
    covered = [patch_targets(study, [finding], grid).covered[:, 0] for study in studies]
    return np.stack(covered).reshape(len(studies), -1, 4).astype(np.float32)


def _ridge(features: torch.Tensor, wanted: torch.Tensor, unseen: torch.Tensor, ridge: float) -> torch.Tensor:
    mean, deviation = features.mean((0, 1)), features.std((0, 1)).clamp(min=1e-6)
    x = ((features - mean) / deviation).flatten(0, 1).double()
    y = wanted.flatten(0, 1).double()
    gram = x.T @ x + ridge * len(x) / 1000 * torch.eye(x.shape[1], dtype=torch.double)
    weights = torch.linalg.solve(gram, x.T @ (y - y.mean(0)))
    return (((unseen - mean) / deviation).double() @ weights + y.mean(0)).float()


def _as_maps(values: np.ndarray, grid: int) -> np.ndarray:
    """(films, tokens, 4) in 2x2 blocks -> (films, rows, columns) of patches."""
    half = grid // 2
    return values.reshape(len(values), half, half, 2, 2).transpose(0, 1, 3, 2, 4).reshape(len(values), grid, grid)


def _ranking(scores: np.ndarray, truth: np.ndarray) -> float:
    from scipy.stats import rankdata

    positive = truth > 0
    ranks = rankdata(scores)
    n, others = int(positive.sum()), int((~positive).sum())
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * others))


def average_map(train: Sequence[Study], held_out: Sequence[Study], finding: str, grid: int) -> Probe:
    """The answer without looking: for every film the map of how often each patch was covered in training.

    Args:
        grid: patches along the side of a film.

    Raises:
        ProbeError: as :func:`probe_vision`.
    """
    if not train or not held_out:
        raise ProbeError("expected at least one film, found none")
    wanted, truth = _both_targets(train, held_out, finding, grid)
    scores = np.broadcast_to(wanted.mean(axis=0), truth.shape)
    return Probe(_as_maps(scores, grid), _as_maps(truth, grid), _ranking(scores.ravel(), truth.ravel()))
