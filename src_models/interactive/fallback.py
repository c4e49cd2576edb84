"""Click-to-segment without weights: a random walk from the clicks.

Grady, "Random Walks for Image Segmentation", IEEE TPAMI 28(11), 2006.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.segmentation import random_walker
from skimage.transform import resize

from src_models.errors import InputError
from src_models.interactive.image import unit_range
from src_models.interactive.predictor import check_prompts, obeyed, spots
from src_models.interactive.prompt_maps import Click, Region

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from src_models.interactive.prompt_maps import Prompt

    Mask = npt.NDArray[np.bool_]

LARGEST = 192  # pixels of the longer side that the walk runs on
BETA = 400.0  # how much a step over an edge costs


class WalkPredictor:
    """The same protocol as the click net's predictor.

    The rim of the image counts as background as long as nothing was clicked away.
    """

    def __init__(self) -> None:
        self._image: npt.NDArray[np.float32] | None = None

    def set_image(self, image: npt.NDArray[Any]) -> None:
        """Take an image (y, x) or (y, x, channel) of any numbers.

        Raises
        ------
        InputError
            If it is empty or has other axes.
        """
        self._image = unit_range(image)

    def predict(
        self,
        clicks: Iterable[tuple[float, float, bool]],
        previous_mask: Mask | None = None,
    ) -> Mask:
        """The pixels from which a random walk is likelier to meet a positive click.

        Raises
        ------
        InputError
            As the click net's predictor.
        """
        prompts = [Click(float(y), float(x), bool(sign)) for y, x, sign in clicks]
        return self.answer(prompts, previous_mask)

    def answer(self, prompts: Sequence[Prompt], previous: Mask | None = None) -> Mask:
        """As `predict`; the inside of a region may belong, its outside does not."""
        if self._image is None:
            raise InputError("no image yet; call set_image before predict")
        prompts = [one for one in prompts if len(spots(one))]
        shape = self._image.shape[1], self._image.shape[2]
        check_prompts(prompts, previous, shape)
        if not prompts:
            return np.zeros(shape, bool) if previous is None else previous.astype(bool)
        scale = min(1.0, LARGEST / max(shape))
        small = (max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale)))
        seeds = _seeds(prompts, shape, small)
        if not (seeds == 1).any() or not (seeds == 2).any():
            return obeyed(np.full(shape, bool((seeds == 1).any())), prompts)
        bands = [
            resize(band, small, order=1, anti_aliasing=True) for band in self._image
        ]
        walked = _walk(np.stack(bands, -1), seeds)
        mask = resize(walked, shape, order=1) > 0.5
        return obeyed(mask, prompts)


def _seeds(
    prompts: Sequence[Prompt], shape: tuple[int, int], small: tuple[int, int]
) -> npt.NDArray[np.int64]:
    """1 structure, 2 background, 0 to be found, on the small grid."""
    seeds = np.zeros(small, np.int64)
    negative = any(not isinstance(p, Region) and not p.positive for p in prompts)
    if not negative:
        seeds[[0, -1], :] = 2
        seeds[:, [0, -1]] = 2
    for prompt in prompts:
        at = (spots(prompt) + 0.5) * (np.array(small) / shape) - 0.5
        at = np.clip(np.rint(at).astype(int), 0, np.array(small) - 1)
        if isinstance(prompt, Region):
            seeds = np.full(small, 2)
            low, high = at.min(0), at.max(0)
            seeds[low[0] : high[0] + 1, low[1] : high[1] + 1] = 0
            middle = (low + high) // 2
            seeds[middle[0], middle[1]] = 1
        else:
            seeds[at[:, 0], at[:, 1]] = 1 if prompt.positive else 2
    return seeds


def _walk(
    image: npt.NDArray[np.floating[Any]], seeds: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Probability of the structure, (y, x)."""
    smooth = ndimage.gaussian_filter(image, (0.7, 0.7, 0))
    with warnings.catch_warnings():  # on the choice of solver, and on isolated pixels
        warnings.simplefilter("ignore")
        found = random_walker(
            smooth,
            seeds,
            beta=BETA,
            mode="cg_j",
            channel_axis=-1,
            return_full_prob=True,
        )
    probability: npt.NDArray[np.float64] = np.asarray(found, float)
    inside: npt.NDArray[np.float64] = probability == 1
    if probability.ndim == 3:
        inside = probability[0]
    return inside.astype(float)
