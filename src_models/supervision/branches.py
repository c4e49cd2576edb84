"""A second task's own layers on a net of the catalogue, and how they reach its features.

Shape letters: B batch, C channels, S spatial axes, T classes of a whole image.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from src_models.blocks import CONV, LINEAR, InstanceNorm
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from src_models.training.config import Recipe

NARROWEST = 8  # channels of a branch's last layers
COARSER = 4  # times fewer voxels than a patch, at least


@dataclass(frozen=True, slots=True)
class Tap:
    """Where a net's coarsest features come out.

    Attributes
    ----------
    name : str
        Of the layer, in ``net.named_modules()``.
    channels : int
    shape : tuple of int
        Of the grid, for a patch of the recipe.
    shared : str
        Of the last layer with weights up to there.
    """

    name: str
    channels: int
    shape: tuple[int, ...]
    shared: str


@torch.no_grad()
def coarsest(net: nn.Module, recipe: Recipe) -> Tap:
    """The last layer on the coarsest grid that a patch comes down to.

    Raises
    ------
    InputError
        If the net keeps one grid throughout.
    """
    names = {module: name for name, module in net.named_modules()}
    seen: list[tuple[nn.Module, tuple[int, ...]]] = []
    ndim, size = recipe.net.ndim, recipe.patches.size

    def look(module: nn.Module, _: Any, out: Any) -> None:
        if isinstance(out, Tensor) and out.ndim == ndim + 2:
            seen.append((module, tuple(out.shape[1:])))

    leaves = [module for module in names if not list(module.children())]
    hooks = [module.register_forward_hook(look) for module in leaves]
    was, device = net.training, next(net.parameters()).device
    try:
        net.eval()(torch.zeros(1, recipe.net.in_channels, *size, device=device))
    finally:
        net.train(was)
        for hook in hooks:
            hook.remove()
    grids = [shape[1:] for _, shape in seen]
    least = min(grids, key=prod)
    if prod(least) * COARSER > prod(size):
        raise InputError(
            f"{recipe.net.system} comes down to no coarser grid for a branch to begin at; "
            "choose another net.system, e.g. unet"
        )
    last = max(at for at, grid in enumerate(grids) if grid == least)
    weighty = [
        module
        for module, _ in seen[: last + 1]
        if list(module.parameters(recurse=False))
    ]
    module, shape = seen[last]
    return Tap(names[module], shape[0], shape[1:], names[weighty[-1]])


@contextmanager
def tapped(net: nn.Module, *names: str) -> Iterator[dict[str, Any]]:
    """Within it, each forward pass leaves what the named layers gave."""
    found: dict[str, Any] = {}

    def keep(name: str) -> Any:
        def hook(_: nn.Module, __: Any, out: Any) -> None:
            found[name] = out

        return hook

    hooks = [
        net.get_submodule(name).register_forward_hook(keep(name)) for name in names
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


class Decoder(nn.Module):
    """Coarse features -> a map of the image: twice as large, half as wide, again."""

    def __init__(self, tap: Tap, ndim: int, out: int, size: tuple[int, ...]) -> None:
        super().__init__()
        self.mode = LINEAR[ndim]
        self.steps = nn.ModuleList()
        width, shape = tap.channels, tap.shape
        while any(side < full for side, full in zip(shape, size, strict=True)):
            narrower = max(width // 2, NARROWEST)
            self.steps.append(_block(ndim, width, narrower))
            width, shape = narrower, tuple(2 * side for side in shape)
        self.head = CONV[ndim](width, out, 1)

    def forward(self, x_BCS: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Features -> (B, out, *shape)."""
        for number, step in enumerate(self.steps, start=1):
            last = number == len(self.steps)
            into = shape if last else tuple(2 * side for side in x_BCS.shape[2:])
            x_BCS = step(
                F.interpolate(x_BCS, into, mode=self.mode, align_corners=False)
            )
        found: Tensor = self.head(x_BCS)
        return found


class Diagnosis(nn.Module):
    """Coarse features -> logits (B, T) of the image: convolved, averaged, two layers."""

    def __init__(self, tap: Tap, ndim: int, classes: int) -> None:
        super().__init__()
        self.block = _block(ndim, tap.channels, tap.channels)
        self.hidden = nn.Linear(tap.channels, tap.channels)
        self.head = nn.Linear(tap.channels, classes)

    def forward(self, x_BCS: Tensor) -> Tensor:
        """Features -> logits (B, T)."""
        pooled = self.block(x_BCS).flatten(2).mean(2)
        found: Tensor = self.head(F.relu(self.hidden(pooled)))
        return found


def _block(ndim: int, width: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        CONV[ndim](width, out, 3, padding=1), InstanceNorm(out), nn.ReLU(inplace=True)
    )
