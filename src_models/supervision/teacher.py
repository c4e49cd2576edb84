"""Unlabelled scans, by a teacher that is the student's average.

Perone & Cohen-Adad, "Deep semi-supervised segmentation with weight-averaged consistency
targets", DLMIA 2018. https://arxiv.org/abs/1807.04657
Tarvainen & Valpola, "Mean teachers are better role models", NeurIPS 2017, section 2.

Shape letters: B batch, C channels, D = number of S axes, S spatial axes.
"""

from __future__ import annotations

import math
from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np
import torch

from src_models.data.augment import augmentation
from src_models.data.splits import Split, shared_out
from src_models.errors import InputError
from src_models.outputs import answer, of_images
from src_models.synthesis.warp import places, random_flow, warp
from src_models.training.method_spec import options_of
from src_models.training.parts import average_into
from src_models.training.taught import (
    check_all,
    judged,
    maker_of,
    method_of,
    segmentor_of,
)
from src_models.training.turns import FOR_USE, Turn, Work, learn, one_device

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from src_models.data.cases import Case
    from src_models.data.loader import Key
    from src_models.progress import Progress
    from src_models.supervision.options import Teacher
    from src_models.training.config import Recipe
    from src_models.training.curves import Epoch

TEACHER = "teacher"
MAP = "map-"  # before the names of the loss's maps
STEEP = 5.0  # of the rise of the consistency's weight
PHOTOMETRIC = {"mirror_axes": (), "rotate": 0.0, "scale": 0.0, "elastic": 0.0}
UNCHANGED = {
    **PHOTOMETRIC,
    **dict.fromkeys(("gamma", "brightness", "noise", "blur", "low_resolution"), 0.0),
}


def fit(
    recipe: Recipe,
    cases: Split,
    run: Path,
    *,
    accelerator: str = "auto",
    devices: int = 1,
    nodes: int = 1,
) -> Generator[Progress | Epoch, None, nn.Module]:
    """From labelled and unlabelled scans to a net.

    As `src_models.training.fit.fit`, on one device.

    Raises
    ------
    InputError
        If no training scan is unlabelled, or as `learn`.
    """
    fabric = one_device(recipe, accelerator, devices, nodes)
    options: Teacher = options_of(method_of(recipe))
    labelled, unlabelled = shared_out(cases.train, options.labelled)
    if not labelled or not unlabelled:
        raise InputError(
            f"{recipe.name}: a teacher needs labelled and unlabelled training scans, got "
            f"{len(labelled)} and {len(unlabelled)}; name those without label files in "
            "data.unlabelled, or set method.options.labelled below 1 to try it out"
        )
    check_all(recipe, Split((*labelled, *unlabelled), cases.validation, cases.locked))
    segmentor = segmentor_of(recipe)
    teacher = deepcopy(segmentor).requires_grad_(False)
    pairs = Pairs(recipe, labelled, unlabelled)
    plan = recipe.train

    def turns(
        nets: Mapping[str, nn.Module], made: dict[str, Tensor], key: Key
    ) -> Iterator[Turn]:
        weight = options.weight * risen(key.epoch, options.ramp * plan.epochs)
        yield Turn((FOR_USE,), pairs.loss(nets, made, key.epoch, weight))
        step = (key.epoch - 1) * plan.steps + key.step
        average_into(teacher, segmentor, min(options.decay, 1 - 1 / (step + 1)))

    work = Work(
        nets={FOR_USE: segmentor, TEACHER: teacher},
        make=pairs.make,
        turns=turns,
        rate=0.0,
    )
    return (yield from learn(recipe, cases, run, work, fabric))


class Pairs:
    """Makes labelled batches, and unlabelled ones with what changes them."""

    def __init__(
        self, recipe: Recipe, labelled: Sequence[Case], unlabelled: Sequence[Case]
    ) -> None:
        augment, ndim = recipe.augment, recipe.net.ndim
        self.recipe = recipe
        self.labelled = maker_of(recipe, labelled)
        # The same places: one seed. Nothing changed, and grey values alone.
        self.raw, self.seen = (
            maker_of(
                recipe,
                unlabelled,
                augmentation(augment.model_copy(update=changes), ndim),
                seed=1,
            )
            for changes in (UNCHANGED, PHOTOMETRIC)
        )

    def make(self, key: Key) -> dict[str, Tensor]:
        """All tensors of a step, by name."""
        images, labels, maps = self.labelled.make(key)
        random = np.random.default_rng([self.recipe.train.seed, key.epoch, key.step, 9])
        augment, size = self.recipe.augment, self.recipe.patches.size
        flows = [
            random_flow(size, random, rotate=augment.rotate, scale=augment.scale)
            for _ in key.indices
        ]
        return {
            "images": images,
            "labels": labels,
            "raw": self.raw.make(key).images,
            "seen": self.seen.make(key).images,
            "flow": torch.stack(flows),
            **{MAP + name: one for name, one in maps.items()},
        }

    def loss(
        self,
        nets: Mapping[str, nn.Module],
        made: dict[str, Tensor],
        number: int,
        weight: float,
    ) -> Tensor:
        """The recipe's loss in an epoch, and what student and teacher differ by."""
        count, flow = len(made["images"]), made["flow"]
        both = torch.cat([made["images"], warp(made["seen"], flow)])
        said = nets[FOR_USE](both)
        maps = {k.removeprefix(MAP): v for k, v in made.items() if k.startswith(MAP)}
        loss = judged(
            self.recipe, of_images(said, slice(count)), made["labels"], number, maps
        )
        if not weight:
            return loss
        with torch.no_grad():
            wished = nets[TEACHER].eval()(made["raw"]).float().softmax(1)
        found = answer(said)[count:].float().softmax(1)
        return loss + weight * apart(found, warp(wished, flow), inside(flow))


def risen(epoch: int, ramp: float) -> float:
    """exp(−5 (1 − t)²) on the way to the ramp's end, 1 after it; epochs from 1."""
    if epoch - 1 >= ramp:
        return 1.0
    return math.exp(-STEEP * (1 - (epoch - 1) / ramp) ** 2)


def inside(flow_BDS: Tensor) -> Tensor:
    """(B, 1, *S) float32: 1 where a voxel's value comes from within the patch."""
    shape = flow_BDS.shape[2:]
    at = places(shape, flow_BDS.device) + flow_BDS
    last = torch.tensor(shape, device=at.device).view(-1, *[1] * len(shape)) - 1
    return ((at >= 0) & (at <= last)).all(1, keepdim=True).float()


def apart(found_BKS: Tensor, wished_BKS: Tensor, where_B1S: Tensor) -> Tensor:
    """Mean squared difference of probabilities where it counts; 0 if nowhere."""
    squares = (found_BKS - wished_BKS).square().mean(1, keepdim=True) * where_B1S
    total: Tensor = squares.sum() / where_B1S.sum().clamp(min=1)
    return total
