"""How much memory a training step takes, without making one.

The net runs on PyTorch's "meta" device: shapes without numbers. What automatic
differentiation would keep for the way back is counted, each storage once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from src_models.catalog import create_net
from src_models.outputs import Outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

    from src_models.card import NetSpec

# Weights, gradients, their two averages in AdamW, the averaged net; float32.
STATE_BYTES = 5 * 4
# Logits, softmax, labels one by one and their products in a loss of regions; float32.
LOSS_BYTES = 6 * 4
HALF = 0.6  # of the activations that 16 bit leaves; norms and losses stay in 32
RESERVE = 1.15  # for what convolutions borrow and for gaps between blocks


def empty_net(spec: NetSpec) -> nn.Module:
    """The net without numbers: shapes only, at no cost."""
    with torch.device("meta"):
        return create_net(spec).train()


def stored_sizes(net: nn.Module, run: Callable[[], object]) -> list[int]:
    """Bytes of each storage that `run` keeps for the way back, weights left out."""
    known = {one.untyped_storage()._cdata for one in net.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in known:
            kept[storage._cdata] = storage  # held, so that its name stays its own
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        run()
    return [storage.nbytes() for storage in kept.values()]


def stored_bytes(net: nn.Module, image: Tensor) -> tuple[int, int]:
    """Bytes kept for the way back of net and cross entropy, and the largest one of them.

    Parameters
    ----------
    image : (B, C, *S)
        On the net's device; "meta" does for the count.
    """

    def run() -> None:
        said = net(image)
        outputs = said if isinstance(said, Outputs) else Outputs(said)
        for logits in (outputs.logits, *(one.logits for one in outputs.auxiliary)):
            shape = (len(logits), *logits.shape[2:])
            labels = torch.zeros(shape, dtype=torch.long, device=logits.device)
            F.cross_entropy(logits, labels)

    sizes = stored_sizes(net, run)
    return sum(sizes), max(sizes, default=0)


def training_bytes(
    spec: NetSpec, patch: Sequence[int], batch: int, *, half: bool = False
) -> int:
    """Peak of a training step with AdamW and an averaged net, estimated.

    State of all parameters, activations kept, the gradients of the largest of them on
    both sides of a layer, and a loss of regions, with a reserve of 15 %. Not counted: the
    some 500 MB that the driver of a GPU takes for itself.

    Parameters
    ----------
    patch : sequence of int
        Spatial shape.
    half : bool
        Mixed precision with 16 bit.
    """
    net = empty_net(spec)
    image = torch.zeros((batch, spec.in_channels, *patch), device="meta")
    stored, largest = stored_bytes(net, image)
    activations = (stored + 2 * largest) * (HALF if half else 1)
    voxels = image[:, 0].numel()
    parameters = sum(one.numel() for one in net.parameters())
    loss = LOSS_BYTES * spec.classes * voxels
    return round(RESERVE * (parameters * STATE_BYTES + activations + loss))
