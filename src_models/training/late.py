"""Which of a net's parameters are used last on the way to its answer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from src_models.training.extend import class_tensors

if TYPE_CHECKING:
    from torch import nn

    from src_models.card import TrainedCard

LATE = 1 / 3  # of the layers


@torch.no_grad()
def late_parameters(net: nn.Module, card: TrainedCard) -> frozenset[str]:
    """Names of the parameters used last on the way to the answer, and of all heads."""
    used: dict[str, None] = {}  # in the order of their last use

    def note(name: str) -> Any:
        def hook(*_: Any) -> None:
            used.pop(name, None)
            used[name] = None

        return hook

    hooks = [
        module.register_forward_hook(note(name))
        for name, module in net.named_modules()
        if next(module.parameters(recurse=False), None) is not None
    ]
    device, training = next(net.parameters()).device, net.training
    try:
        net.eval()(torch.zeros(1, card.net.in_channels, *card.patch, device=device))
    finally:
        for one in hooks:
            one.remove()
        net.train(training)
    last = [*used][-max(1, math.ceil(LATE * len(used))) :]
    names = {
        f"{layer}.{name}" if layer else name
        for layer in last
        for name, _ in net.get_submodule(layer).named_parameters(recurse=False)
    }
    return frozenset(names | class_tensors(card.net))
