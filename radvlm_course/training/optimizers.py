"""Muon for the hidden matrices, AdamW for everything else: what lets the tiny model learn in minutes.

Muon (K. Jordan and others, 2024, https://kellerjordan.github.io/posts/muon/; shipped with PyTorch as
``torch.optim.Muon``) replaces the momentum of a weight matrix by the nearest orthogonal matrix, so that a step moves
every direction of the matrix equally far. It is meant for the matrices inside a network; embeddings, norms, biases and
the patch projection keep AdamW. From scratch, and with few films, it needs clearly fewer steps
(``benchmarks/optimizers.py`` compares them). A pre-trained Qwen3-VL is fine-tuned with AdamW, as usual.

PyTorch's orthogonalises in bfloat16, which a processor without bfloat16 arithmetic emulates, some twenty times slower
than the whole rest of a step: :class:`Float32Muon` is the same optimizer in single precision.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

if TYPE_CHECKING:
    from transformers import TrainingArguments

__all__ = ["Float32Muon", "MuonWithAdamW", "optimizer_for", "orthogonalised"]

# On a CPU, orthogonalising a few 512 x 512 matrices (the mergers') costs a good part of a step of the tiny model.
LARGEST_MATRIX = 2**17


def orthogonalised(
    matrices: torch.Tensor, coefficients: tuple[float, float, float], steps: int, eps: float
) -> torch.Tensor:
    """About the nearest orthogonal matrix of each: all singular values between some 0.7 and 1.2.

    The quintic Newton-Schulz iteration ``X <- a X + (b G + c G^2) X`` with ``G = X X^T``. It only ever multiplies X
    from one side by polynomials of G: they are gathered in a small square matrix, and X is multiplied once, at the end.

    Args:
        matrices: (count, rows, columns), of one shape.
        coefficients: a, b, c.
    """
    rows, columns = matrices.shape[1:]
    wide = matrices if rows <= columns else matrices.mT
    wide = wide / wide.norm(dim=(1, 2), keepdim=True).clamp(min=eps)
    a, b, c = coefficients
    gram = wide @ wide.mT  # (count, small, small)
    identity = torch.eye(len(gram[0]), dtype=gram.dtype, device=gram.device)
    product = identity.expand_as(gram)
    for step in range(steps):
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c) + a * identity
        product = factor @ product if step else factor
        if step < steps - 1:
            gram = factor @ gram @ factor
    wide = product @ wide
    return wide if rows <= columns else wide.mT


class Float32Muon(torch.optim.Muon):
    """``torch.optim.Muon`` in the precision of its matrices, with those of one shape orthogonalised together."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step; returns what ``closure`` returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            by_shape = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[parameter.shape].append(parameter)
            for parameters in by_shape.values():
                self._move(parameters, group)
        return loss

    def _move(self, parameters: list[nn.Parameter], group: dict[str, Any]) -> None:
        """Move matrices of one shape."""
        momentum, updates = group["momentum"], []
        for parameter in parameters:
            if "momentum_buffer" not in self.state[parameter]:
                self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
            gradient = cast(torch.Tensor, parameter.grad)
            average = self.state[parameter]["momentum_buffer"].lerp_(gradient, 1 - momentum)
            updates.append(gradient.lerp(average, momentum) if group["nesterov"] else average)
        moved = orthogonalised(torch.stack(updates), group["ns_coefficients"], group["ns_steps"], group["eps"])
        rows, columns = parameters[0].shape
        learning_rate = float(group["lr"])
        for parameter, update in zip(parameters, moved, strict=True):
            parameter.mul_(1 - learning_rate * group["weight_decay"])
            parameter.add_(update, alpha=-learning_rate * math.sqrt(max(1.0, rows / columns)))


class MuonWithAdamW(torch.optim.Optimizer):
    """Two optimizers that a trainer and its schedule see as one.

    Args:
        modules: what is trained; parameters with ``requires_grad=False`` are left out.
        muon_learning_rate: for the weights of ``nn.Linear`` layers with at most ``largest_matrix`` entries; in
            Muon's own units, 0.02 is usual.
        learning_rate: of AdamW, for all other parameters.
        read_outs: modules that are trained by AdamW altogether.
        largest_matrix: matrices with more entries are left to AdamW.

    Raises:
        ValueError: no parameter of ``modules`` is trained.
    """

    def __init__(
        self,
        modules: Iterable[nn.Module],
        muon_learning_rate: float,
        learning_rate: float,
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.98),
        read_outs: Iterable[nn.Module] = (),
        largest_matrix: int = LARGEST_MATRIX,
    ) -> None:
        matrices, others = _split(list(modules), largest_matrix)
        others += [parameter for module in read_outs for parameter in module.parameters() if parameter.requires_grad]
        if not matrices and not others:
            raise ValueError("expected parameters to train, found none: every one has requires_grad=False")
        self.parts: list[torch.optim.Optimizer] = []
        if matrices:
            self.parts.append(Float32Muon(matrices, lr=muon_learning_rate, weight_decay=weight_decay))
        if others:
            self.parts.append(
                torch.optim.AdamW(others, lr=learning_rate, weight_decay=weight_decay, betas=betas, fused=True)
            )
        super().__init__([*matrices, *others], {})
        self._share_groups()

    def _share_groups(self) -> None:
        """The groups are the parts' own dictionaries: a schedule that sets ``lr`` here sets it there."""
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of both; returns what ``closure`` returns."""
        loss = None if closure is None else closure()
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The states of both, in order."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the states of :meth:`state_dict`.

        Raises:
            ValueError: they are another optimizer's.
        """
        saved = state_dict.get("parts", [])
        if len(saved) != len(self.parts):
            raise ValueError(
                f"expected the state of {len(self.parts)} optimizers (Muon and AdamW), found {len(saved)}: the "
                "checkpoint was written by another optimizer; delete its folder to train again"
            )
        for part, state in zip(self.parts, saved, strict=True):
            part.load_state_dict(state)
        self._share_groups()


def optimizer_for(
    model: nn.Module, options: TrainingArguments, muon_learning_rate: float | None
) -> MuonWithAdamW | None:
    """The optimizer to hand to a trainer; None, which lets it make its own, without a ``muon_learning_rate``."""
    if muon_learning_rate is None:
        return None
    return MuonWithAdamW(
        [model],
        muon_learning_rate=muon_learning_rate,
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        betas=(options.adam_beta1, options.adam_beta2),
    )


def _split(modules: list[nn.Module], largest_matrix: int) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Trained matrices of linear layers, and all other trained parameters; each once, in the modules' order."""
    layers = [layer for module in modules for layer in module.modules()]
    embeddings = {id(layer.weight) for layer in layers if isinstance(layer, nn.Embedding)}  # tied to the last layer
    hidden = {
        id(layer.weight)
        for layer in layers
        if isinstance(layer, nn.Linear)
        and layer.weight.numel() <= largest_matrix
        and id(layer.weight) not in embeddings
    }
    trained = {id(p): p for module in modules for p in module.parameters() if p.requires_grad}
    matrices = [parameter for key, parameter in trained.items() if key in hidden]
    return matrices, [parameter for key, parameter in trained.items() if key not in hidden]
