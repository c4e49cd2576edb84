"""Where something stands out from what touches the image's rim.

Bearman et al. take the prior of where objects are from detectors trained on photographs.
Here it is the geodesic saliency of Wei, Wen, Zhu & Sun, "Geodesic saliency using background
priors", ECCV 2012, section 3, voxel by voxel: a way from the rim costs the changes of grey
along it, so what no way reaches without crossing an edge is likely an object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from skimage.graph import MCP_Geometric

if TYPE_CHECKING:
    import numpy.typing as npt

FLAT = 0.001  # what a step costs where nothing changes, in standard deviations
TOP, SURE = (
    99.0,
    0.5,
)  # percentile of the cost, and the share of it where the prior is 1


def objectness(image_CS: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
    """(*S) in 0 … 1: 0 at the rim, 1 far from it in cost; 0 everywhere in a flat image.

    `image_CS`: any unit; each channel is divided by its standard deviation.
    """
    image = image_CS.astype(float)
    spread = image.std(axis=tuple(range(1, image.ndim)), keepdims=True)
    image = image / np.maximum(spread, 1e-6)
    slopes = [
        ndimage.gaussian_gradient_magnitude(channel, 1, mode="nearest")
        for channel in image
    ]
    slope = np.mean(slopes, 0)
    slope = np.maximum(slope - np.median(slope), 0)  # noise is no edge
    shape = image.shape[1:]
    rim = np.ones(shape, bool)
    rim[(slice(1, -1),) * len(shape)] = False
    walk = MCP_Geometric(FLAT + slope, fully_connected=True)
    cost, _ = walk.find_costs([tuple(at) for at in np.argwhere(rim)])
    # The steps alone, without any change of grey, make no object.
    away = ndimage.distance_transform_edt(~rim)
    cost = np.maximum(cost - FLAT * away, 0)
    most = SURE * np.percentile(cost, TOP)
    found: npt.NDArray[np.float32] = np.clip(cost / max(most, 1e-6), 0, 1).astype(
        np.float32
    )
    return found
