"""Learning from a click on each object, with a prior of where objects are.

Bearman, Russakovsky, Ferrari & Fei-Fei, "What's the Point: Semantic Segmentation with Point
Supervision", ECCV 2016. https://arxiv.org/abs/1506.02106
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from src_models.outputs import answer
from src_models.supervision.marks import points, ready_marks, with_marks
from src_models.supervision.objectness import objectness
from src_models.supervision.samples import Samples, samples_of_ready
from src_models.supervision.terms import image_level, prior_term
from src_models.training.method_spec import options_of
from src_models.training.taught import judged, method_of, segmentor_of
from src_models.training.turns import FOR_USE, Turn, Work, learn, one_device

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt
    from torch import Tensor, nn

    from src_models.data.cases import Case
    from src_models.data.loader import Key
    from src_models.data.splits import Split
    from src_models.progress import Progress
    from src_models.supervision.options import Points
    from src_models.training.config import Recipe
    from src_models.training.curves import Epoch

STEPS = 255  # of the prior, which moves with the labels as whole numbers


def fit(
    recipe: Recipe,
    cases: Split,
    run: Path,
    *,
    accelerator: str = "auto",
    devices: int = 1,
    nodes: int = 1,
) -> Generator[Progress | Epoch, None, nn.Module]:
    """From clicks to a net; background need not be clicked.

    As `src_models.training.fit.fit`, on one device. With the loss "ce" the clicks count
    as published.

    Raises
    ------
    InputError
        If no structure is marked, or as `learn`.
    """
    fabric = one_device(recipe, accelerator, devices, nodes)
    options: Points = options_of(method_of(recipe))
    marked = with_marks(recipe, cases, options, points, background=False)
    classes = recipe.net.classes

    def prior(case: Case) -> npt.NDArray[np.int32]:
        return np.round(objectness(case.image) * STEPS).astype(np.int32)

    def there(case: Case) -> Tensor:
        """(K,) which classes the image holds; background always."""
        found = np.unique(case.labels[case.labels > 0])
        return torch.isin(torch.arange(classes), torch.from_numpy(np.append(found, 0)))

    seen = ready_marks(recipe, marked.train)
    beside = [replace(case, instances=prior(case)) for case in seen]
    maker = samples_of_ready(recipe, beside, there)

    def turns(
        nets: Mapping[str, nn.Module], batch: tuple[Tensor, ...], key: Key
    ) -> Iterator[Turn]:
        images, labels, beside, in_image = Samples(*batch)
        said = nets[FOR_USE](images)
        logits = answer(said)
        loss = judged(recipe, said, labels, key.epoch)
        in_patch = present(labels, classes)
        loss = loss + options.image_level * image_level(logits, in_patch, ~in_image)
        if options.objectness:
            loss = loss + options.objectness * prior_term(logits, beside / STEPS)
        yield Turn((FOR_USE,), loss)

    work = Work(
        nets={FOR_USE: segmentor_of(recipe)}, make=maker.make, turns=turns, rate=0.0
    )
    return (yield from learn(recipe, marked, run, work, fabric))


def present(labels_BS: Tensor, classes: int) -> Tensor:
    """(B, K) bool: which classes have a mark in each patch."""
    flat = labels_BS.flatten(1)
    return torch.stack([(flat == value).any(1) for value in range(classes)], 1)
