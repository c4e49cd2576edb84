"""What a net says while it learns: its answer, and what else is to be judged.

In use (``eval``) every net returns its logits and nothing else. In training a net with
further outputs returns them in the one form below, so that any loss can teach any net.

Shape letters: B batch, K classes, S spatial axes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Callable

    Loss = Callable[[Tensor, Tensor], Tensor]


class Auxiliary(NamedTuple):
    """Further logits (B, K, *R) on a grid of the same extent, and what they weigh."""

    weight: float
    logits: Tensor


class Outputs(NamedTuple):
    """All that a net is judged by in one training step.

    Attributes
    ----------
    logits : Tensor
        (B, K, *S): the answer. The loss weighs it with `weight`.
    auxiliary : tuple of Auxiliary
        Deep supervision, further heads, other scales.
    penalty : Tensor or None
        A term that needs no labels, ready to be added.
    weight : float
        Of the answer itself; 0 where only the parts it is made of are judged.
    """

    logits: Tensor
    auxiliary: tuple[Auxiliary, ...] = ()
    penalty: Tensor | None = None
    weight: float = 1.0


def answer(said: Tensor | Outputs) -> Tensor:
    """The logits (B, K, *S), whichever of the two a net has returned."""
    return said.logits if isinstance(said, Outputs) else said


def judge(loss_of: Loss, said: Tensor | Outputs, labels_BS: Tensor) -> Tensor:
    """The whole loss of a training step.

    Auxiliary logits on another grid are compared with the labels there (nearest voxel).

    Parameters
    ----------
    loss_of : callable
        (logits (B, K, *S), labels (B, *S)) → scalar.
    said : Tensor or Outputs
        What the net has returned.
    labels_BS : Tensor
        Integer labels.
    """
    if isinstance(said, Tensor):
        return loss_of(said, labels_BS)
    parts = [Auxiliary(said.weight, said.logits), *said.auxiliary]
    terms = [
        part.weight * loss_of(part.logits, on_grid(labels_BS, part.logits.shape[2:]))
        for part in parts
        if part.weight
    ]
    if said.penalty is not None:
        terms.append(said.penalty)
    return sum(terms[1:], start=terms[0])


def on_grid(labels_BS: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The labels (B, *R) at the voxels of another grid over the same extent."""
    if labels_BS.shape[1:] == shape:
        return labels_BS
    # float32 holds integers to 2²⁴ without loss.
    near = F.interpolate(labels_BS[:, None].float(), shape, mode="nearest-exact")
    return near[:, 0].to(labels_BS.dtype)
