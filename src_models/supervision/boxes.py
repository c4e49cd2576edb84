"""Learning from boxes: what they hold is cut out anew by what was learnt.

Rajchl et al., "DeepCut: Object Segmentation from Bounding Box Annotations using
Convolutional Neural Networks", IEEE TMI 36(2), 2017. https://arxiv.org/abs/1605.07866

Shape letters: K classes, S spatial axes.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from src_models.data.maps import components
from src_models.supervision.affinity import Kernel, mean_field
from src_models.supervision.marks import boxes, with_marks
from src_models.supervision.rounds import in_rounds
from src_models.training.method_spec import options_of
from src_models.training.taught import method_of
from src_models.training.turns import one_device

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    import numpy.typing as npt
    from torch import nn

    from src_models.data.cases import Case
    from src_models.data.splits import Split
    from src_models.progress import Progress
    from src_models.supervision.options import Boxes
    from src_models.training.config import Recipe
    from src_models.training.curves import Epoch

    Labels = npt.NDArray[np.integer[Any]]

NEVER = -1e4  # log p of what a box rules out


def fit(
    recipe: Recipe,
    cases: Split,
    run: Path,
    *,
    accelerator: str = "auto",
    devices: int = 1,
    nodes: int = 1,
) -> Generator[Progress | Epoch, None, nn.Module]:
    """From boxes to a net, in rounds; in the first a box is learnt as it is.

    As `src_models.training.fit.fit`, on one device.

    Raises
    ------
    InputError
        If there is no box or no background, or as `in_rounds`.
    """
    fabric = one_device(recipe, accelerator, devices, nodes)
    options: Boxes = options_of(method_of(recipe))
    boxed = with_marks(recipe, cases, options, boxes, everywhere=True)
    relabel = partial(_relabelled, options=options)
    return (yield from in_rounds(recipe, boxed, run, fabric, options.rounds, relabel))


def _relabelled(
    case: Case, log_p_KS: npt.NDArray[np.float32] | None, options: Boxes
) -> Labels:
    if log_p_KS is None:
        return case.labels
    return cut_out(case.labels, case.image, log_p_KS, options)


def cut_out(
    boxes_S: Labels,
    image_CS: npt.NDArray[np.floating[Any]],
    log_p_KS: npt.NDArray[np.float32],
    options: Boxes,
) -> npt.NDArray[np.int16]:
    """(*S) what is the structure's in each box; 0 outside, unknown stays unknown.

    Inside a box are only its structure and background. A box of which less than the least
    share would be left keeps that share, the likeliest of its voxels.
    """
    classes = np.arange(len(log_p_KS)).reshape(-1, *[1] * boxes_S.ndim)
    allowed = (classes == 0) | (classes == boxes_S)
    kernel = Kernel(options.radius, options.grey, options.near)
    ruled = np.where(allowed, log_p_KS, NEVER).astype(np.float32)
    p_KS = mean_field(
        torch.from_numpy(ruled)[None],
        torch.from_numpy(np.ascontiguousarray(image_CS, np.float32))[None],
        kernel,
        options.smooth,
        options.steps,
    )[0].numpy()
    p_KS = np.where(allowed, p_KS, 0)
    found = np.where(boxes_S < 0, boxes_S, p_KS.argmax(0)).astype(np.int16)
    numbered = components(boxes_S)
    for number in range(1, int(numbered.max()) + 1):
        inside = np.flatnonzero(numbered == number)
        value = int(boxes_S.flat[inside[0]])
        wanted = int(np.ceil(options.least * len(inside)))
        if np.count_nonzero(found.flat[inside] == value) < wanted:
            likeliest = np.argsort(p_KS[value].flat[inside])[-wanted:]
            found.flat[inside[likeliest]] = value
    return found
