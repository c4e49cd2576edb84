"""How the losses of several tasks are added up.

A task whose labels are missing in a batch has no loss (None): it is in no sum, its weight
does not move, and nothing of its own learns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LEAST = 1e-3  # of a GradNorm weight


class Fixed(nn.Module):
    """Σ λ L with the weights that are given."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__()
        self.given = dict(weights)

    def forward(self, losses: Mapping[str, Tensor | None]) -> Tensor:
        """The sum of the losses that there are.

        Raises
        ------
        ValueError
            If there is none.
        """
        parts = [
            self.weight(task) * loss
            for task, loss in losses.items()
            if loss is not None
        ]
        if not parts:
            raise ValueError("no task has a loss")
        return torch.stack(parts).sum()

    def weight(self, task: str) -> Tensor | float:
        """What a task's loss is multiplied by."""
        return self.given[task]


class Uncertainty(Fixed):
    """Σ λ L / 2σ² + log σ, where each task's σ is learnt.

    References
    ----------
    Kendall, Gal & Cipolla, "Multi-task learning using uncertainty to weigh losses for
    scene geometry and semantics", CVPR 2018, section 3.2.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__(weights)
        # At first σ² = 1/2, so that each loss counts as with fixed weights.
        start = torch.full((), -0.5).mul(torch.log(torch.tensor(2.0)))
        self.log_sigma = nn.ParameterDict(
            {task: nn.Parameter(start.clone()) for task in weights}
        )

    def forward(self, losses: Mapping[str, Tensor | None]) -> Tensor:
        """The sum; tasks without a loss leave their σ alone."""
        there = [
            self.log_sigma[task] for task, one in losses.items() if one is not None
        ]
        return super().forward(losses) + torch.stack(there).sum()

    def weight(self, task: str) -> Tensor | float:
        """λ / 2σ²."""
        return self.given[task] * torch.exp(-2 * self.log_sigma[task]) / 2


class GradNorm(Fixed):
    """Σ w L, where the weights make the tasks' gradients equally strong.

    Strength is the norm of a task's weighted gradient at the last shared weights. What is
    wished for is the mean strength, times how far behind the others the task is in
    learning, to the power `alpha`.

    References
    ----------
    Chen, Badrinarayanan, Lee & Rabinovich, "GradNorm", ICML 2018, section 3, algorithm 1.
    """

    first: Tensor

    def __init__(self, weights: Mapping[str, float], alpha: float) -> None:
        super().__init__(weights)
        self.alpha, self.tasks = alpha, tuple(weights)
        self.w = nn.Parameter(
            torch.tensor([float(weights[task]) for task in self.tasks])
        )
        self.total = float(sum(weights.values()))
        # The first loss of each task, once it was seen.
        self.register_buffer("first", torch.full((len(self.tasks),), torch.nan))

    def weight(self, task: str) -> Tensor | float:
        """The present weight; the net's loss does not move it."""
        return self.w[self.tasks.index(task)].detach()

    def imbalance(
        self, losses: Mapping[str, Tensor | None], shared: Sequence[Tensor]
    ) -> Tensor | None:
        """What the weights learn from: Σ |strength − wish|; None with fewer than two tasks.

        The norm of a weighted gradient is the weight times the gradient's norm, so the
        weights' own gradient needs no second derivative of the net.
        """
        known = {
            at: loss
            for at, task in enumerate(self.tasks)
            if (loss := losses[task]) is not None
        }
        if len(known) < 2:
            return None
        there, values, norms = list(known), [], []
        for loss in known.values():
            grads = torch.autograd.grad(
                loss, shared, retain_graph=True, allow_unused=True
            )
            squares = [g.float().square().sum() for g in grads if g is not None]
            norms.append(torch.stack(squares).sum().sqrt() if squares else loss * 0)
            values.append(loss.detach())
        seen = torch.stack(values)
        new = self.first[there].isnan()
        self.first[there] = torch.where(new, seen, self.first[there])
        strength = self.w[there] * torch.stack(norms).detach()
        behind = seen / self.first[there].clamp(min=1e-8)
        behind = behind / behind.mean().clamp(min=1e-8)
        wish = (strength.mean() * behind**self.alpha).detach()
        return (strength - wish).abs().sum()

    @torch.no_grad()
    def renormalise(self) -> None:
        """The weights keep their sum, none falls below `LEAST`."""
        self.w.clamp_(min=LEAST)
        self.w.mul_(self.total / self.w.sum())


Kind = Literal["fixed", "uncertainty", "gradnorm"]


def balance_of(kind: Kind, weights: Mapping[str, float], alpha: float) -> Fixed:
    """By name."""
    if kind == "uncertainty":
        return Uncertainty(weights)
    return GradNorm(weights, alpha) if kind == "gradnorm" else Fixed(weights)
