"""Where a model is unsure: which plane to correct next. Wakes torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_segreview.core.protocols import Doubts
from napari_segreview.core.scan import check_finite
from napari_segreview.engine.device import usable
from napari_segreview.engine.models import models
from napari_segreview.engine.offers import misfit
from napari_segreview.engine.predict import as_images, from_images
from src_models.card import find_model
from src_models.errors import InputError
from src_models.inference import Options
from src_models.inference.uncertainty import entropy
from src_models.progress import Progress
from src_models.weights import load_model

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_segreview.core.protocols import Wish
    from napari_segreview.core.scan import Scan


def doubts(scan: Scan, wish: Wish) -> Generator[Progress, None, Doubts]:
    """The entropy of each voxel, and its sum over each plane along the first axis.

    The sum is how unsure the model is times how much of the plane that touches.

    Raises
    ------
    InputError
        If the model does not fit, or voxels are not finite.
    """
    yield Progress(0, 0, "loading the model")
    net, card = load_model(find_model(wish.model, models()))
    if reason := misfit(card, scan):
        raise InputError(f"{scan.name}: {reason}")
    check_finite(scan.data, scan.name)
    images_NCS, spacing = as_images(scan, card)
    options = Options(device=usable(wish.device), overlap=0.25)
    found = yield from entropy(net, card, images_NCS, spacing=spacing, options=options)
    back = from_images(found, scan, card).reshape(scan.frames, *scan.grid.shape)
    planes = back.sum(axis=tuple(range(2, back.ndim))).mean(axis=0)
    return Doubts(
        planes=tuple(np.round(planes.astype(float), 6).tolist()),
        voxels=back.reshape(scan.data.shape[: back.ndim - 1 + scan.has_time]),
    )
