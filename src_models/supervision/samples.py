"""Patches with what else a method must know of them."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from threading import local
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from src_models.data.augment import augmentation
from src_models.data.loader import changed
from src_models.data.patches import PatchSampler
from src_models.errors import InputError
from src_models.losses import loss_by_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monai.transforms import Compose
    from torch import Tensor

    from src_models.data.cases import Case
    from src_models.data.loader import Key
    from src_models.training.config import Recipe

Beside = "Callable[[Case], npt.NDArray[np.integer]]"


class Samples(NamedTuple):
    """Images (B, C, *S) float32, labels (B, *S) int64, and what is known beside.

    `beside` (B, *S) int64 is of each voxel and was moved as the labels were; `fact` (B,
    …) is of the whole case.
    """

    images: Tensor
    labels: Tensor
    beside: Tensor
    fact: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class SampleMaker:
    """Draws and changes patches as plain training does, with two more things of each."""

    sampler: PatchSampler
    augment: Compose
    batch: int
    seed: int
    facts: Callable[[Case], Tensor]
    _held: local = field(default_factory=local)

    def make(self, key: Key) -> tuple[Tensor, ...]:
        """The `Samples` of a step, as a tuple; they depend on the key alone."""
        samples = [self._sample(key, index) for index in key.indices]
        return tuple(torch.stack(part) for part in zip(*samples, strict=True))

    def _sample(self, key: Key, index: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        random = np.random.default_rng([self.seed, key.epoch, key.step, index])
        patch = self.sampler.pick(random)
        if not hasattr(self._held, "augment"):
            self._held.augment = deepcopy(self.augment)
        self._held.augment.set_random_state(int(random.integers(2**31)))
        image, labels, beside = changed(self._held.augment, patch)
        if beside is None:
            raise TypeError("a sample needs something beside its labels")
        return image, labels, beside, self.facts(patch.case)


def samples_of_ready(
    recipe: Recipe,
    cases: Sequence[Case],
    facts: Callable[[Case], Tensor],
    *,
    known: bool = True,
) -> SampleMaker:
    """Patches of cases that are ready, with what is beside their labels as instances.

    Parameters
    ----------
    facts : callable
        Of a case, a tensor, of one shape for all.
    known : bool
        Whether every patch has a known voxel in its middle half.

    Raises
    ------
    InputError
        If the recipe's loss reads maps of the labels, which are not made here.
    """
    maps = loss_by_name(recipe.train.loss).maps
    if maps:
        raise InputError(
            f"{recipe.name}: the loss {recipe.train.loss!r} reads maps of whole labels "
            f"({', '.join(sorted(maps))}), which this method does not make; choose "
            'another train.loss, e.g. "dice + ce"'
        )
    patches = recipe.patches
    return SampleMaker(
        sampler=PatchSampler(
            cases,
            patches.size,
            patches.foreground,
            class_balance=patches.class_balance,
            known=known,
        ),
        augment=augmentation(recipe.augment, recipe.net.ndim),
        batch=patches.batch,
        seed=recipe.train.seed,
        facts=facts,
    )
