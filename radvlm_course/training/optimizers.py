"""Muon for the hidden matrices, AdamW for everything else: what lets the tiny model learn in minutes.

Muon (K. Jordan and others, 2024, https://kellerjordan.github.io/posts/muon/; shipped with PyTorch as
``torch.optim.Muon``) replaces the momentum of a weight matrix by the nearest orthogonal matrix, so that a step moves
every direction of the matrix equally far. It is meant for the matrices inside a network; embeddings, norms, biases and
the patch projection keep AdamW. From scratch, and with few films, it needs clearly fewer steps
(``benchmarks/optimizers.py`` compares them). A pre-trained Qwen3-VL is fine-tuned with AdamW, as usual.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

__all__ = ["MuonWithAdamW"]

# On a CPU, orthogonalising a few 512 x 512 matrices (the mergers') costs a good part of a step of the tiny model.
LARGEST_MATRIX = 2**17


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
            self.parts.append(torch.optim.Muon(matrices, lr=muon_learning_rate, weight_decay=weight_decay))
        if others:
            self.parts.append(torch.optim.AdamW(others, lr=learning_rate, weight_decay=weight_decay, betas=betas))
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
