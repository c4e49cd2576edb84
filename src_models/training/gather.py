"""A step's outputs and labels over all processes, as if one had made them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, distributed

from src_models.outputs import Auxiliary, Outputs

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def whole(fabric: Fabric, part: Tensor) -> Tensor:
    """(B, …) of this process → (processes · B, …), in the order of the processes.

    Gradients flow into this process's own part only. With the same scalar computed from
    it everywhere, times the number of processes, the mean of the gradients over the
    processes is then the gradient of that scalar.
    """
    if fabric.world_size == 1:
        return part
    own = part.detach().contiguous()
    parts = [torch.empty_like(own) for _ in range(fabric.world_size)]
    distributed.all_gather(parts, own)
    parts[fabric.global_rank] = part
    return torch.cat(parts)


def whole_outputs(fabric: Fabric, said: Tensor | Outputs) -> Tensor | Outputs:
    """The same for all that a net has said; a penalty becomes the mean of all."""
    if isinstance(said, Tensor):
        return whole(fabric, said)
    penalty = said.penalty
    return said._replace(
        logits=whole(fabric, said.logits),
        auxiliary=tuple(
            Auxiliary(one.weight, whole(fabric, one.logits)) for one in said.auxiliary
        ),
        penalty=None if penalty is None else whole(fabric, penalty[None]).mean(),
    )
