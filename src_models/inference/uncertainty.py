"""How unsure a net is of each voxel.

Entropy of the averaged softmax: Shannon, Bell System Technical Journal 27 (1948), 379-423.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from src_models.inference.blend import blended
from src_models.inference.intensity import normalise
from src_models.inference.predict import Options, count_windows, said_of
from src_models.inference.resample import resample_image, target_shape
from src_models.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Generator

    from torch import Tensor, nn

    from src_models.card import TrainedCard


def entropy(
    net: nn.Module,
    card: TrainedCard,
    images_NCS: npt.NDArray[Any],
    *,
    spacing: tuple[float, ...],
    options: Options | None = None,
) -> Generator[Progress, None, npt.NDArray[np.float32]]:
    """Entropy (N, *S) of the classes, in nats, on the images' own grid.

    0 where the net is sure, log K where all K classes are as likely. Parameters as of
    `predict`.

    Yields
    ------
    Progress
        After each window.
    """
    options = options or Options()
    shape = images_NCS.shape[2:]
    out = np.zeros((len(images_NCS), *shape), np.float32)
    total = len(out) * count_windows(card, shape, spacing, options.overlap)
    net, done = net.to(options.device).eval(), 0

    def shares(tile: Tensor) -> Tensor:
        return said_of(net, tile, card, options).softmax(dim=0)

    for image_CS, target in zip(images_NCS, out, strict=True):
        inner = target_shape(shape, spacing, card.spacing)
        image = resample_image(normalise(image_CS, card.intensity), inner)
        steps = blended(shares, card, image, options.overlap)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                p_KS: Tensor = end.value
                break
            done += 1
            yield Progress(done, total, f"window {done} of {total}")
        found = torch.special.entr(p_KS).sum(dim=0).numpy()
        target[...] = resample_image(found[None], shape)[0]
    return out
