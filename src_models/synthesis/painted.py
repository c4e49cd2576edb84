"""Learning from images that are painted from labels: `src_models.synthesis.contrasts`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from src_models.data.augment import augmentation
from src_models.synthesis.contrasts import Painter
from src_models.training.method_spec import options_of
from src_models.training.taught import (
    check_all,
    judged,
    maker_of,
    method_of,
    segmentor_of,
)
from src_models.training.turns import FOR_USE, Turn, Work, learn, one_device

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from pathlib import Path

    from torch import nn

    from src_models.data.loader import Batch, Key
    from src_models.data.splits import Split
    from src_models.progress import Progress
    from src_models.synthesis.options import RandomContrasts
    from src_models.training.config import Recipe
    from src_models.training.curves import Epoch


def fit(
    recipe: Recipe,
    cases: Split,
    run: Path,
    *,
    accelerator: str = "auto",
    devices: int = 1,
    nodes: int = 1,
) -> Generator[Progress | Epoch, None, nn.Module]:
    """From the training cases' labels to a net; their images are used by `real` alone.

    As `src_models.training.fit.fit`, on one device. A single training case is enough.

    Raises
    ------
    InputError
        If no label map holds a structure, or as `learn`.
    """
    fabric = one_device(recipe, accelerator, devices, nodes)
    check_all(recipe, cases)
    options: RandomContrasts = options_of(method_of(recipe))
    painter = Painter(
        options, recipe.intensity, augmentation(recipe.augment, recipe.net.ndim)
    )
    maker = maker_of(recipe, cases.train, painter)
    nets = {FOR_USE: segmentor_of(recipe)}

    def turns(nets: Mapping[str, nn.Module], batch: Batch, key: Key) -> Iterator[Turn]:
        images, labels, maps = batch
        said = nets[FOR_USE](images)
        yield Turn((FOR_USE,), judged(recipe, said, labels, key.epoch, maps))

    work = Work(
        nets=nets, make=lambda key: tuple(maker.make(key)), turns=turns, rate=0.0
    )
    return (yield from learn(recipe, cases, run, work, fabric))
