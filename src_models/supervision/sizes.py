"""Learning from strokes and from about how large each structure is.

Kervadec, Dolz, Tang, Granger, Boykov & Ben Ayed, "Constrained-CNN losses for weakly
supervised segmentation", Medical Image Analysis 54, 2019. https://arxiv.org/abs/1805.04628

Shape letters: B batch, K classes, S spatial axes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from src_models.errors import InputError
from src_models.outputs import answer
from src_models.supervision.marks import scribbles, with_marks
from src_models.supervision.samples import SampleMaker, Samples, samples_of_ready
from src_models.supervision.terms import size_term
from src_models.training.method_spec import options_of
from src_models.training.taught import judged, method_of, ready, segmentor_of
from src_models.training.turns import FOR_USE, Turn, Work, learn, one_device

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from src_models.data.cases import Case
    from src_models.data.loader import Key
    from src_models.data.splits import Split
    from src_models.progress import Progress
    from src_models.supervision.options import Sizes
    from src_models.training.config import Recipe
    from src_models.training.curves import Epoch

    Bounds = Mapping[str, Tensor]  # case → (K, 2)

ANY = 1e9  # voxels; no bound
AROUND = 0.1  # share of a size to both sides of it
INSIDE, OUTSIDE = 1, 0


def fit(
    recipe: Recipe,
    cases: Split,
    run: Path,
    *,
    accelerator: str = "auto",
    devices: int = 1,
    nodes: int = 1,
) -> Generator[Progress | Epoch, None, nn.Module]:
    """From strokes and sizes to a net; each patch is a whole image.

    As `src_models.training.fit.fit`, on one device.

    Raises
    ------
    InputError
        If a size is missing, an image does not fit into a patch, random changes would
        change sizes, or as `learn`.
    """
    fabric = one_device(recipe, accelerator, devices, nodes)
    options: Sizes = options_of(method_of(recipe))
    if recipe.augment.scale:
        raise InputError(
            f"{recipe.name}: augment.scale changes sizes, which are what is learnt from "
            f"here; set it to 0, got {recipe.augment.scale}"
        )
    marked = with_marks(recipe, cases, options, scribbles)
    bounds = bounds_of(recipe, cases, marked, options)
    maker = whole_images(recipe, ready(marked.train, recipe), bounds)

    def turns(
        nets: Mapping[str, nn.Module], batch: tuple[Tensor, ...], key: Key
    ) -> Iterator[Turn]:
        images, labels, beside, low_high = Samples(*batch)
        said = nets[FOR_USE](images)
        loss = judged(recipe, said, labels, key.epoch)
        if options.weight:
            inside = beside.float()
            low, high = low_high.unbind(2)
            beyond = size_term(answer(said), low, high, inside)
            loss = loss + options.weight * beyond * len(inside) / inside.sum()
        yield Turn((FOR_USE,), loss)

    work = Work(
        nets={FOR_USE: segmentor_of(recipe)}, make=maker.make, turns=turns, rate=0.0
    )
    return (yield from learn(recipe, marked, run, work, fabric))


def bounds_of(recipe: Recipe, whole: Split, marked: Split, options: Sizes) -> Bounds:
    """Least and most voxels of each class of each marked case.

    A structure without a mark may be absent, so it has no least. Background has neither.

    Raises
    ------
    InputError
        If no sizes are given for a structure.
    """
    classes = recipe.net.classes
    named = {case.name for case in marked.train}
    if options.draw:
        sizes = {
            case.name: np.bincount(case.labels[case.labels > 0], minlength=classes)
            for case in ready(whole.train, recipe)
            if case.name in named
        }
        limits = _drawn(sizes, own=options.own)
    else:
        missing = {str(value) for value in range(1, classes)} - options.bounds.keys()
        if missing:
            raise InputError(
                f"{recipe.name}: no sizes for the structures {', '.join(sorted(missing))}; "
                'give method.options.bounds, e.g. { "1" = [900, 2000] } in voxels of the '
                "net's grid"
            )
        given = [options.bounds[str(value)] for value in range(1, classes)]
        limits = dict.fromkeys(named, np.array([(0, ANY), *given]))
    found = {}
    for case in marked.train:
        limit = np.array(limits[case.name], np.float32)
        limit[0] = 0, ANY
        for value in range(1, classes):
            if not (case.labels == value).any():
                limit[value, 0] = 0
        found[case.name] = torch.from_numpy(limit)
    return found


def _drawn(sizes: Mapping[str, np.ndarray], *, own: bool) -> dict[str, np.ndarray]:
    """Bounds (K, 2) round each case's own sizes, or round those of all where it is."""
    if own:
        return {
            name: np.stack([(1 - AROUND) * size, (1 + AROUND) * size], 1)
            for name, size in sizes.items()
        }
    table = np.stack(list(sizes.values())).astype(float)
    there = np.where(table > 0, table, np.nan)
    least = np.nan_to_num(np.nanmin(there, 0, initial=ANY), nan=0)
    limits = np.stack([(1 - AROUND) * least, (1 + AROUND) * table.max(0)], 1)
    return dict.fromkeys(sizes, limits)


def whole_images(recipe: Recipe, cases: Sequence[Case], bounds: Bounds) -> SampleMaker:
    """Each image in a patch, mirrored round it; what is mirrored counts nowhere.

    Raises
    ------
    InputError
        If an image is larger than a patch.
    """
    size = recipe.patches.size
    largest = np.max([case.labels.shape for case in cases], 0)
    if (largest > size).any():
        raise InputError(
            f"{recipe.name}: sizes are those of whole images, so patches.size must be "
            f"{largest.tolist()} at least, got {list(size)}"
        )
    padded = [_padded(case, size) for case in cases]
    plain = recipe.patches.model_copy(
        update={"foreground": 0.0, "class_balance": False}
    )
    return samples_of_ready(
        recipe.model_copy(update={"patches": plain}),
        padded,
        facts=lambda case: bounds[case.name],
        known=False,
    )


def _padded(case: Case, size: tuple[int, ...]) -> Case:
    around = [
        (0, side - full) for side, full in zip(size, case.labels.shape, strict=True)
    ]
    inside = np.full(case.labels.shape, INSIDE, np.uint8)
    return replace(
        case,
        image=np.pad(case.image, [(0, 0), *around], mode="symmetric"),
        labels=np.pad(case.labels.astype(np.int16), around, constant_values=-1),
        instances=np.pad(inside, around, constant_values=OUTSIDE),
    )
