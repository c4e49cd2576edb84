"""Layers that show where a prediction is wrong, and the way there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import Colormap

from napari_segreview.layers.conversion import TRANSFORM, labels_layer

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_segreview.core.protocols import Doubts
    from napari_segreview.core.review import ErrorMaps
    from napari_segreview.core.study import Consensus

SHOWN = "segreview-shown"  # in the metadata of layers that are only for looking at

DOUBTS = "doubts"  # there: which of them
SURE = 0.05  # of the highest entropy: below that nothing is shown

# Too little, right, too much; the ends are apart for most colour-blind readers.
DIVERGING = Colormap(
    [[0.0, 0.45, 0.70], [1.0, 1.0, 1.0], [0.84, 0.37, 0.0]],
    name="too little to too much",
)


def error_layers(maps: ErrorMaps, beside: Layer | None) -> list[Layer]:
    """False and missed voxels, and the surface distances in colours."""
    false, missed = (labels_layer(one, beside) for one in (maps.false, maps.missed))
    place = {key: getattr(false, key) for key in TRANSFORM}
    surface = Image(
        maps.surface,
        name=maps.title,
        colormap=DIVERGING,
        contrast_limits=(-maps.limit, maps.limit),
        interpolation2d="nearest",
        blending="translucent",
        **place,
    )
    layers: list[Layer] = [false, missed, surface]
    for layer in layers:
        layer.metadata[SHOWN] = True
    for layer in (false, missed):
        layer.editable = False
    return layers


def consensus_layers(found: Consensus, beside: Layer | None) -> list[Layer]:
    """Majority and STAPLE, to work with, and the share of readers that disagree."""
    labels = [labels_layer(one, beside) for one in (found.majority, found.staple)]
    share = np.where(found.disagreement > 0, found.disagreement, np.nan)
    disagreement = Image(
        share,
        name="disagreement, 0 to 1 of the readers",
        colormap="inferno",
        contrast_limits=(0.0, 1.0),
        interpolation2d="nearest",
        blending="translucent",
        metadata={SHOWN: True},
        **{key: getattr(labels[0], key) for key in TRANSFORM},
    )
    return [*labels, disagreement]


def doubt_layer(found: Doubts, beside: Layer) -> Image:
    """Where a model is unsure, over its scan; clear where it is sure."""
    highest = float(found.voxels.max(initial=0.0)) or 1.0
    unsure = found.voxels > SURE * highest
    return Image(
        np.where(unsure, found.voxels, np.float32(np.nan)),
        name=f"uncertainty of {beside.name}, nats",
        colormap="inferno",
        contrast_limits=(0.0, highest),
        interpolation2d="nearest",
        blending="additive",
        opacity=0.6,
        metadata={SHOWN: DOUBTS},
        **{key: getattr(beside, key) for key in TRANSFORM},
    )


def is_shown_only(layer: Layer) -> bool:
    """Whether the layer is there to be looked at, and no scan or labels of the user's."""
    return isinstance(layer, (Image, Labels)) and bool(layer.metadata.get(SHOWN))


def shows_doubts(layer: Layer) -> bool:
    """Whether the layer is of `doubt_layer`."""
    return bool(layer.metadata.get(SHOWN) == DOUBTS)


def go_to(viewer: ViewerModel, layer: Layer, index: tuple[int, ...]) -> None:
    """Sliders and the middle of the view to a voxel of the layer; the zoom stays."""
    lead = viewer.dims.ndim - layer.ndim
    world = np.concatenate([viewer.dims.point[:lead], layer.data_to_world(index)])
    for axis in viewer.dims.not_displayed:
        viewer.dims.set_point(axis, world[axis])
    shown = [float(world[axis]) for axis in viewer.dims.displayed]
    viewer.scene.camera.center = (0.0, *shown) if len(shown) == 2 else tuple(shown)
