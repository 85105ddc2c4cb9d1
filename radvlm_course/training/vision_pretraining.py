"""Teach the tiny vision tower to see, before any language.

A Qwen3-VL comes with a vision tower that has seen billions of pictures. Ours starts from noise,
and plain next-token training does not wake it up: the loss falls while the answers stay at the
prior. So the tower is trained alone first, on two dense questions asked of every patch: *which
structures and findings cover you?* (binary cross-entropy) and *where does the one that covers you
begin and end?* (L1 on its box). Both are read off with throw-away heads from the places that
the language model will read: the merged tokens and the DeepStack features. Then the tower is frozen.

This uses the boxes of the training split. It plays the part of Qwen3-VL's pre-training and nothing
of it exists in the paper.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from transformers import Qwen3VLForConditionalGeneration

from radvlm_course.boxes import Box
from radvlm_course.images import load_image
from radvlm_course.models.processor import ImageOnlyQwen3VLProcessor
from radvlm_course.models.vision_speed import speed_up_vision
from radvlm_course.records import Study
from radvlm_course.training.optimizers import MuonWithAdamW

__all__ = ["PatchTargets", "VisionPretrainingSettings", "label_names", "patch_targets", "pretrain_vision"]

Log = Callable[[dict[str, float]], None]


@dataclass(frozen=True)
class VisionPretrainingSettings:
    """Attributes: ``box_weight`` multiplies the L1 loss of the boxes; ``structure_weight`` is how much an anatomical
    structure counts beside a finding (there are more of them, and they are easier); ``muon_learning_rate`` is for
    hidden matrices and ``learning_rate`` for the rest (:mod:`radvlm_course.training.optimizers`; None: AdamW for
    all), both decay as a cosine.
    """

    steps: int = 400
    batch_size: int = 32
    learning_rate: float = 2e-3
    muon_learning_rate: float | None = 0.02
    warmup_steps: int = 20
    box_weight: float = 2.0
    structure_weight: float = 0.1
    log_every: int = 20


@dataclass(frozen=True)
class PatchTargets:
    """What the patches of one film should answer.

    Attributes:
        covered: (patches, labels) uint8, 1 where a box of the label covers the patch's centre, in the
            image processor's order (2x2 merge blocks, row by row).
        boxes: (merged tokens, labels, 4) float32, the covering box in unit coordinates, else 0.
        has_box: (merged tokens, labels) uint8.
    """

    covered: np.ndarray
    boxes: np.ndarray
    has_box: np.ndarray


def label_names(studies: Sequence[Study]) -> list[str]:
    """Every structure and abnormality that has a box somewhere, sorted."""
    return sorted({name for study in studies for name in (*study.structures, *study.abnormalities)})


def patch_targets(study: Study, labels: Sequence[str], grid: int) -> PatchTargets:
    """Targets for a square film of ``grid`` x ``grid`` patches."""
    merged = grid // 2
    covered = np.zeros((grid, grid, len(labels)), dtype=np.uint8)
    boxes = np.zeros((merged, merged, len(labels), 4), dtype=np.float32)
    has_box = np.zeros((merged, merged, len(labels)), dtype=np.uint8)
    for index, label in enumerate(labels):
        for box in (*study.structures.get(label, ()), *study.abnormalities.get(label, ())):
            covered[*_cells(box, grid, margin=0.0), index] = 1
            cells = _cells(box, merged, margin=0.5)
            boxes[*cells, index] = box.to_list()
            has_box[*cells, index] = 1
    blocks = covered.reshape(merged, 2, merged, 2, -1).transpose(0, 2, 1, 3, 4)  # (row, column, 2, 2, labels)
    return PatchTargets(
        blocks.reshape(grid * grid, -1),
        boxes.reshape(merged * merged, -1, 4),
        has_box.reshape(merged * merged, -1),
    )


def _cells(box: Box, grid: int, margin: float) -> tuple[slice, slice]:
    """Rows and columns whose centre lies in the box, grown by ``margin`` cells; at least the central cell."""

    def span(low: float, high: float) -> slice:
        first = math.ceil(low * grid - 0.5 - margin)
        last = math.floor(high * grid - 0.5 + margin)
        if last < first:
            first = last = min(int((low + high) / 2 * grid), grid - 1)
        return slice(max(first, 0), min(last, grid - 1) + 1)

    return span(box.y1, box.y2), span(box.x1, box.x2)


class _Boxes(nn.Module):
    """The box of every label at every token: one read-out of coordinates for all labels, gated by the label.

    A read-out of its own for each label would let the tower write the coordinates of each finding in another
    direction, and the language model would have to learn to read each of them from scratch.
    """

    def __init__(self, width: int, labels: int, channels: int = 32) -> None:
        super().__init__()
        self.down = nn.Linear(width, channels)
        self.gate = nn.Parameter(0.5 * torch.randn(labels, channels))
        self.coordinates = nn.Linear(channels, 4)
        self.offset = nn.Parameter(torch.zeros(labels, 4))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(tokens, width) -> (tokens, labels, 4)"""
        return self.coordinates(self.down(features)[:, None, :] * self.gate) + self.offset


class _Heads(nn.Module):
    """Throw-away heads on the last hidden states (per patch), the merged tokens and each DeepStack level."""

    def __init__(self, vision_width: int, text_width: int, levels: int, labels: int) -> None:
        super().__init__()
        self.labels = labels
        self.patch = nn.Linear(vision_width, labels)
        self.covered = nn.ModuleList(nn.Linear(text_width, 4 * labels) for _ in range(levels))
        self.boxes = nn.ModuleList(_Boxes(text_width, labels) for _ in range(levels))

    def loss(
        self,
        outputs: object,
        covered: torch.Tensor,  # (images, patches, labels)
        boxes: torch.Tensor,  # (images, tokens, labels, 4)
        has_box: torch.Tensor,  # (images, tokens, labels)
        positive_weight: torch.Tensor,  # (labels,)
        label_weight: torch.Tensor,  # (labels,), mean 1
    ) -> tuple[torch.Tensor, torch.Tensor]:
        levels = [outputs.pooler_output, *outputs.deepstack_features]  # type: ignore[attr-defined]
        bce = nn.functional.binary_cross_entropy_with_logits
        patches = self.patch(outputs.last_hidden_state)  # type: ignore[attr-defined]
        cover_loss = bce(patches, covered.reshape(-1, self.labels), label_weight, pos_weight=positive_weight)
        per_token = covered.reshape(-1, 4 * self.labels)  # the four patches of a token lie side by side
        box_loss = patches.new_zeros(())
        for features, cover_head, box_head in zip(levels, self.covered, self.boxes, strict=True):
            logits = cover_head(features)
            weights, positive_weights = label_weight.repeat(4), positive_weight.repeat(4)
            cover_loss = cover_loss + bce(logits, per_token, weights, pos_weight=positive_weights)
            distance = (box_head(features) - boxes.reshape(-1, self.labels, 4)).abs()
            mask = has_box.reshape(-1, self.labels, 1) * label_weight[:, None]
            box_loss = box_loss + (distance * mask).sum() / (4 * mask.sum()).clamp(min=1)
        return cover_loss / (1 + len(levels)), box_loss / len(levels)


def pretrain_vision(
    model: Qwen3VLForConditionalGeneration,
    processor: ImageOnlyQwen3VLProcessor,
    studies: Sequence[Study],
    settings: VisionPretrainingSettings,
    seed: int,
    log: Log | None = None,
) -> dict[str, float]:
    """Train the vision tower of ``model`` in place.

    Args:
        studies: training studies with boxes; every film is resized to the processor's square.
        log: called with ``step``, ``cover_loss``, ``box_loss`` (mean absolute error in unit coordinates).

    Returns:
        The last logged losses.

    Raises:
        ValueError: no study has a box.
    """
    labels = label_names(studies)
    if not labels:
        raise ValueError("expected studies with boxes to pre-train the vision tower on, found none")
    pixels, grid = _pixels(processor, studies)
    targets = [patch_targets(study, labels, grid) for study in studies]
    visual = model.model.visual
    speed_up_vision(model, encode_once=False)
    torch.manual_seed(seed)
    config = model.config.vision_config
    heads = _Heads(config.hidden_size, config.out_hidden_size, 1 + len(config.deepstack_visual_indexes), len(labels))
    positive_weight = _positive_weight(targets)
    label_weight = _label_weight(studies, labels, settings.structure_weight)
    optimizer = _optimizer(visual, heads, settings)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _warmup_cosine(step, settings))
    rng = np.random.default_rng(seed)
    visual.train()
    last: dict[str, float] = {}
    for step in range(1, settings.steps + 1):
        chosen = rng.choice(len(studies), min(settings.batch_size, len(studies)), replace=False)
        covered, boxes, has_box = _batch(targets, chosen)
        rows = pixels[torch.from_numpy(chosen)].float().flatten(0, 1)
        outputs = visual(rows, grid_thw=torch.tensor([[1, grid, grid]] * len(chosen)))
        cover_loss, box_loss = heads.loss(outputs, covered, boxes, has_box, positive_weight, label_weight)
        optimizer.zero_grad()
        (cover_loss * (1 + len(heads.covered)) + settings.box_weight * box_loss * len(heads.covered)).backward()
        nn.utils.clip_grad_norm_(visual.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        last = {"step": step, "cover_loss": cover_loss.item(), "box_loss": box_loss.item()}
        if log is not None and (step % settings.log_every == 0 or step == settings.steps):
            log(last)
    visual.eval()
    return last


def _optimizer(visual: nn.Module, heads: _Heads, settings: VisionPretrainingSettings) -> torch.optim.Optimizer:
    """The throw-away heads are read-outs, not hidden matrices: they keep AdamW."""
    if settings.muon_learning_rate is None:
        parameters = [*visual.parameters(), *heads.parameters()]
        return torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=0.01, betas=(0.9, 0.98))
    return MuonWithAdamW(
        [visual],
        muon_learning_rate=settings.muon_learning_rate,
        learning_rate=settings.learning_rate,
        weight_decay=0.01,
        read_outs=[heads],
    )


def _pixels(processor: ImageOnlyQwen3VLProcessor, studies: Sequence[Study]) -> tuple[torch.Tensor, int]:
    """(studies, patches, patch values) in half precision, and the patches along a side."""
    size = math.isqrt(processor.image_processor.size["longest_edge"])
    films = []
    for study in studies:
        image = load_image(study.image_path).resize((size, size))
        films.append(processor.image_processor([image], return_tensors="pt")["pixel_values"].half())
    return torch.stack(films), size // processor.image_processor.patch_size


def _positive_weight(targets: Sequence[PatchTargets]) -> torch.Tensor:
    """Square root of negatives per positive, between 1 and 12: rare labels count more, not absurdly more."""
    share = torch.from_numpy(np.mean([target.covered.mean(axis=0) for target in targets], axis=0))
    return ((1 - share) / share.clamp(min=1e-4)).sqrt().clamp(1, 12).float()


def _label_weight(studies: Sequence[Study], labels: Sequence[str], structure_weight: float) -> torch.Tensor:
    """1 for a finding, ``structure_weight`` for a structure, scaled to a mean of 1."""
    findings = {name for study in studies for name in study.abnormalities}
    weights = torch.tensor([1.0 if label in findings else structure_weight for label in labels])
    return weights / weights.mean().clamp(min=1e-8)


def _batch(targets: Sequence[PatchTargets], chosen: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    def stack(name: str) -> torch.Tensor:
        return torch.from_numpy(np.stack([getattr(targets[index], name) for index in chosen])).float()

    return stack("covered"), stack("boxes"), stack("has_box")


def _warmup_cosine(step: int, settings: VisionPretrainingSettings) -> float:
    warmup = min(1.0, (step + 1) / settings.warmup_steps)
    return warmup * (0.95 * 0.5 * (1 + math.cos(math.pi * step / settings.steps)) + 0.05)
