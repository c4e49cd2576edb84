"""The Dice on patches that are kept back while a model goes on learning."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from src_models.inference.predict import computes_half
from src_models.losses import IGNORE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn


@torch.inference_mode()
def guess(net: nn.Module, image: Tensor) -> Tensor:
    """The labels (*S) that a net finds in one image (1, C, *S), on the CPU."""
    device = next(net.parameters()).device
    kind = device.type
    with torch.autocast(kind, torch.bfloat16, enabled=computes_half(kind)):
        found: Tensor = net(image.to(device))
    return found.argmax(dim=1)[0].cpu()


def pooled_dice(guesses: Sequence[Tensor], truths: Sequence[Tensor]) -> float:
    """Mean Dice of the structures that are known in the patches, all of them pooled.

    Without any structure: the share of known voxels that are right; 0 if none is known.

    Parameters
    ----------
    guesses, truths : sequence of Tensor
        Integer labels (*S) of each patch; of truths below 0 where nothing is known.
    """
    known = [truth != IGNORE for truth in truths]
    found, truth = (
        torch.cat([one[mask] for one, mask in zip(side, known, strict=True)])
        for side in (guesses, truths)
    )
    values = sorted({*truth.tolist()} - {0})
    if not values:
        return float((found == truth).float().mean()) if len(truth) else 0.0
    dices = []
    for value in values:
        mine, theirs = found == value, truth == value
        both = int((mine & theirs).sum())
        dices.append(2 * both / (int(mine.sum()) + int(theirs.sum())))
    return float(np.mean(dices))
