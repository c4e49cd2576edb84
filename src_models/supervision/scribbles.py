"""Learning from strokes: by a term that needs no labels, or by spreading them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from src_models.outputs import answer
from src_models.supervision.affinity import Kernel, crf_term, normalised_cut
from src_models.supervision.marks import ready_marks, scribbles, with_marks
from src_models.supervision.propagation import spread
from src_models.supervision.rounds import in_rounds
from src_models.training.method_spec import options_of
from src_models.training.taught import (
    judged,
    maker_of_ready,
    method_of,
    segmentor_of,
)
from src_models.training.turns import FOR_USE, Turn, Work, learn, one_device

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    from torch import nn

    from src_models.data.cases import Case
    from src_models.data.loader import Batch, Key
    from src_models.data.splits import Split
    from src_models.progress import Progress
    from src_models.supervision.options import Propagation, Scribbles
    from src_models.training.config import Recipe
    from src_models.training.curves import Epoch

REGULARISERS = {"ncut": normalised_cut, "crf": crf_term}


def fit(
    recipe: Recipe,
    cases: Split,
    run: Path,
    *,
    accelerator: str = "auto",
    devices: int = 1,
    nodes: int = 1,
) -> Generator[Progress | Epoch, None, nn.Module]:
    """From strokes to a net: the recipe's loss on them, a regulariser everywhere.

    As `src_models.training.fit.fit`, on one device. With the loss "ce" it is the partial
    cross entropy of the paper.

    Raises
    ------
    InputError
        If there are no marks to learn from, or as `learn`.
    """
    fabric = one_device(recipe, accelerator, devices, nodes)
    options: Scribbles = options_of(method_of(recipe))
    marked = with_marks(recipe, cases, options, scribbles)
    maker = maker_of_ready(recipe, ready_marks(recipe, marked.train), known=True)
    kernel = Kernel(options.radius, options.grey, options.near)
    regulariser = REGULARISERS.get(options.regulariser)

    def turns(nets: Mapping[str, nn.Module], batch: Batch, key: Key) -> Iterator[Turn]:
        images, labels, maps = batch
        said = nets[FOR_USE](images)
        loss = judged(recipe, said, labels, key.epoch, maps)
        if regulariser is not None and options.weight:
            p_BKS = answer(said).softmax(1)
            loss = loss + options.weight * regulariser(p_BKS, images, kernel)
        yield Turn((FOR_USE,), loss)

    work = Work(
        nets={FOR_USE: segmentor_of(recipe)},
        make=lambda key: tuple(maker.make(key)),
        turns=turns,
        rate=0.0,
    )
    return (yield from learn(recipe, marked, run, work, fabric))


def fit_in_rounds(
    recipe: Recipe,
    cases: Split,
    run: Path,
    *,
    accelerator: str = "auto",
    devices: int = 1,
    nodes: int = 1,
) -> Generator[Progress | Epoch, None, nn.Module]:
    """From strokes to a net: spread them by a graph cut, learn, spread anew.

    As `src_models.training.fit.fit`, on one device.

    Raises
    ------
    InputError
        If there are no marks to learn from, or as `in_rounds`.
    """
    fabric = one_device(recipe, accelerator, devices, nodes)
    options: Propagation = options_of(method_of(recipe))
    marked = with_marks(recipe, cases, options, scribbles)
    spread_by = partial(spread, voxels=options.voxels, smooth=options.smooth)

    def relabel(
        case: Case, log_p_KS: npt.NDArray[np.float32] | None
    ) -> npt.NDArray[np.int16]:
        return spread_by(case.labels, case.image, log_p_KS)

    return (yield from in_rounds(recipe, marked, run, fabric, options.rounds, relabel))
