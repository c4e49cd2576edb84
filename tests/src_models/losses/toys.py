"""Small batches with known answers, and the maps some losses want."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from src_models.data.maps import Patch, make_maps
from src_models.losses import LOSSES, loss_by_name

if TYPE_CHECKING:
    from collections.abc import Iterable

P = torch.tensor([0.9, 0.6, 0.3, 0.2])  # of the structure, in four pixels
G = torch.tensor([[1, 1, 0, 0]])
RARE_P = torch.tensor([0.6, 0.3, 0.2, 0.1])
RARE_G = torch.tensor([[1, 0, 0, 0]])
EMPTY = torch.zeros_like(G)


def logits_of(p: Tensor) -> Tensor:
    """(1, 2, n) logits whose softmax gives `p` to class 1; p may be 0 or 1."""
    return torch.stack([torch.zeros_like(p), p.logit().clamp(-1e4, 1e4)])[None]


def draw(
    seed: int, classes: int, shape: tuple[int, ...], *, ignored: float = 0
) -> tuple[Tensor, Tensor]:
    """Random logits (2, K, *shape) and labels (2, *shape), a share of them ignored."""
    random = torch.Generator().manual_seed(seed)
    logits = torch.randn((2, classes, *shape), generator=random) * 3
    labels = torch.randint(classes, (2, *shape), generator=random)
    labels[torch.rand((2, *shape), generator=random) < ignored] = -1
    return logits, labels


def maps_of(names: Iterable[str], labels: Tensor, classes: int) -> dict[str, Tensor]:
    """The maps of a batch, as a data loader would make them."""
    made = [
        make_maps(names, Patch(labels=image, classes=classes))
        for image in labels.numpy()
    ]
    return {
        name: torch.from_numpy(np.stack([maps[name] for maps in made]))
        for name in names
    }


def loss_of(name: str, logits: Tensor, labels: Tensor) -> Tensor:
    """A loss of the table with its default options and the maps it wants."""
    maps = maps_of(LOSSES[name].maps, labels, logits.shape[1])
    return loss_by_name(name)(logits, labels, maps)
