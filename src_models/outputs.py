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
    from collections.abc import Callable, Mapping

    Loss = Callable[..., Tensor]


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


def of_images(said: Tensor | Outputs, at: slice) -> Tensor | Outputs:
    """What was said of some images of a batch; a penalty stays that of all."""
    if not isinstance(said, Outputs):
        return said[at]
    return said._replace(
        logits=said.logits[at],
        auxiliary=tuple(
            Auxiliary(part.weight, part.logits[at]) for part in said.auxiliary
        ),
    )


def judge(
    loss_of: Loss,
    said: Tensor | Outputs,
    labels_BS: Tensor,
    maps: Mapping[str, Tensor] | None = None,
    *,
    supervision: float = 1.0,
) -> Tensor:
    """The whole loss of a training step.

    Auxiliary logits on another grid are compared with the labels there, and with the maps
    there (nearest voxel): a distance in mm, or a weight, is the same number on any grid.

    Parameters
    ----------
    loss_of : callable
        (logits (B, K, *S), labels (B, *S)) → scalar; takes the maps third where there
        are any.
    said : Tensor or Outputs
        What the net has returned.
    labels_BS : Tensor
        Integer labels.
    maps : mapping of str to Tensor, optional
        (B, *S) or (B, K, *S): what the loss reads beside the labels.
    supervision : float ≥ 0
        Times the weights of the auxiliary outputs, where the answer itself is judged
        too; where it is not, they are all there is, and keep their weights.
    """

    def term(logits: Tensor) -> Tensor:
        shape = logits.shape[2:]
        there = {name: map_on_grid(one, shape) for name, one in (maps or {}).items()}
        labels = on_grid(labels_BS, shape)
        return loss_of(logits, labels, there) if there else loss_of(logits, labels)

    if isinstance(said, Tensor):
        return term(said)
    factor = supervision if said.weight else 1.0
    weighed = [(said.weight, said.logits)]
    weighed += [(factor * part.weight, part.logits) for part in said.auxiliary]
    terms = [weight * term(logits) for weight, logits in weighed if weight]
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


def map_on_grid(map_BxS: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A map (B, *S) or (B, K, *S) at the voxels of another grid over the same extent."""
    if map_BxS.shape[-len(shape) :] == shape:
        return map_BxS
    flat = map_BxS.ndim == len(shape) + 1
    near = F.interpolate(
        map_BxS[:, None] if flat else map_BxS, shape, mode="nearest-exact"
    )
    return near[:, 0] if flat else near
