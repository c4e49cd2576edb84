"""Search for NAS-Unet's cells on the cases of a recipe.

Weng, Zhou, Li & Qiu, "NAS-Unet: Neural Architecture Search for Medical Image
Segmentation", IEEE Access 7, 2019. https://doi.org/10.1109/ACCESS.2019.2908991
First-order DARTS: Liu, Simonyan & Yang, ICLR 2019. https://arxiv.org/abs/1806.09055

The released code lets the weights' optimiser move the alphas too and leaves background
out of the loss while it searches. Neither is done here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from src_models.data.augment import augmentation
from src_models.data.cases import prepare
from src_models.data.loader import draw_batch
from src_models.data.patches import PatchSampler
from src_models.data.splits import split_cases
from src_models.errors import InputError
from src_models.losses import loss_by_name
from src_models.nets.nas_supernet import Alphas, Shares, SuperNet, derive

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from monai.transforms import Compose
    from torch.optim import Optimizer

    from src_models.data.cases import Case
    from src_models.losses import Loss
    from src_models.nets.nas_genotype import Genotype
    from src_models.training.config import Recipe

FAST, SLOW = 0.025, 1e-3  # learning rate of the weights: from, to
MOMENTUM, WEIGHT_DECAY, CLIP = 0.9, 3e-4, 5.0
ALPHA_RATE, ALPHA_DECAY = 3e-4, 5e-3


@dataclass(frozen=True, slots=True)
class SearchReport:
    """One step of the search; counting from 1.

    Attributes
    ----------
    epoch, epochs, step, steps : int
        `step` == `steps` ends an epoch.
    weight_loss : float
        Mean over the epoch so far, on the half of the cases that teaches the weights.
    alpha_loss : float or None
        The same on the other half; None while the alphas rest.
    genotype : Genotype
        What the alphas say now.
    unchanged : int
        Epochs for which it has been the same, of those in which the alphas moved.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    weight_loss: float
    alpha_loss: float | None
    genotype: Genotype
    unchanged: int


def search(
    recipe: Recipe,
    cases: Sequence[Case],
    *,
    epochs: int = 300,
    channels: int = 16,
    depth: int = 4,
    nodes: int = 3,
    alpha_begin: int = 10,
    patience: int = 40,
    accelerator: str = "auto",
    seed: int = 0,
) -> Generator[SearchReport, None, Genotype]:
    """Search cells; returns the genotype, for ``NASUNet(genotype=…)`` to be trained anew.

    Only the training side of the recipe's split is seen; half of its groups (patients)
    teach the weights, the other half the alphas. Patches, batch, augmentation, loss,
    precision and steps of an epoch are the recipe's; its net gives dimensions, channels
    and classes. Same seed, same genotype.

    Parameters
    ----------
    epochs, patience : int
        At most; and of no change after which the search ends before.
    channels, depth, nodes : int
        Of the super-net; a found genotype serves at any channels and depth.
    alpha_begin : int
        Epochs in which only weights learn.

    Raises
    ------
    InputError
        If the alphas would never move, a number is below 1, there are too few cases, or
        the loss becomes NaN.
    """
    _check(epochs, alpha_begin, channels=channels, depth=depth, nodes=nodes)
    halves = halve(_train_side(recipe, cases), seed)
    teacher = make_teacher(recipe, halves, (nodes, channels, depth), accelerator, seed)
    held, unchanged, steps = derive(teacher.alphas), 0, recipe.train.steps
    for epoch in range(1, epochs + 1):
        random = turn(teacher, epoch, epochs, seed)
        moving = epoch > alpha_begin
        losses: list[float] = []
        alpha_losses: list[float] = []
        for step in range(1, steps + 1):
            if moving:
                batch = teacher.draw(teacher.for_alphas, random)
                alpha_losses.append(teacher.teach_alphas(*batch))
            batch = teacher.draw(teacher.for_weights, random)
            losses.append(teacher.teach_weights(*batch))
            found = derive(teacher.alphas)
            if moving and step == steps:
                unchanged = unchanged + 1 if found == held else 0
                held = found
            yield SearchReport(
                epoch=epoch,
                epochs=epochs,
                step=step,
                steps=steps,
                weight_loss=float(np.mean(losses)),
                alpha_loss=float(np.mean(alpha_losses)) if alpha_losses else None,
                genotype=found,
                unchanged=unchanged,
            )
        if unchanged >= patience:
            break
    return held


@dataclass(frozen=True, slots=True)
class Teacher:
    """What a step works with. Weights and alphas have an optimiser each, and no other.

    Attributes
    ----------
    for_weights, for_alphas : PatchSampler
        Of either half of the cases.
    """

    name: str
    fabric: Fabric
    net: nn.Module
    alphas: Alphas
    weight_optimizer: Optimizer
    alpha_optimizer: Optimizer
    loss_of: Loss
    for_weights: PatchSampler
    for_alphas: PatchSampler
    augment: Compose
    batch: int

    def draw(
        self, sampler: PatchSampler, random: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """A batch (B, C, *S) and its labels (B, *S), augmented."""
        images, labels = draw_batch(sampler, self.augment, self.batch, random)
        return self.fabric.to_device(images), self.fabric.to_device(labels)

    def teach_weights(self, images: Tensor, labels: Tensor) -> float:
        """One step of the weights with the alphas as they are; its loss."""
        shares = [Shares(*(table.detach() for table in one)) for one in self.alphas()]
        loss = self._judge(images, labels, *shares)
        self.weight_optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        self.fabric.clip_gradients(self.net, self.weight_optimizer, max_norm=CLIP)
        self.weight_optimizer.step()
        return float(loss.detach())

    def teach_alphas(self, images: Tensor, labels: Tensor) -> float:
        """One step of the alphas with the weights as they are; its loss."""
        self.net.requires_grad_(False)
        loss = self._judge(images, labels, *self.alphas())
        self.alpha_optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        self.alpha_optimizer.step()
        self.net.requires_grad_(True)
        return float(loss.detach())

    def _judge(
        self, images: Tensor, labels: Tensor, down: Shares, up: Shares
    ) -> Tensor:
        loss = self.loss_of(self.net(images, down, up), labels)
        if not bool(loss.isfinite()):
            raise InputError(
                f"{self.name}: the loss of the search is not a number; choose another "
                'train.loss, or train.precision = "32-true"'
            )
        return loss


def make_teacher(
    recipe: Recipe,
    halves: tuple[Sequence[Case], Sequence[Case]],
    shape: tuple[int, int, int],
    accelerator: str,
    seed: int,
) -> Teacher:
    """Fresh weights and alphas."""
    torch.manual_seed(seed)
    fabric = Fabric(
        accelerator=accelerator, devices=1, precision=recipe.train.precision
    )
    nodes, channels, depth = shape
    net = SuperNet(
        ndim=recipe.net.ndim,
        in_channels=recipe.net.in_channels,
        classes=recipe.net.classes,
        nodes=nodes,
        channels=channels,
        depth=depth,
    )
    alphas = Alphas(nodes)
    fabric.to_device(alphas)
    weight_optimizer = torch.optim.SGD(
        net.parameters(), lr=FAST, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY
    )
    net, weight_optimizer = fabric.setup(net, weight_optimizer)
    alpha_optimizer = torch.optim.Adam(
        alphas.parameters(), lr=ALPHA_RATE, weight_decay=ALPHA_DECAY
    )
    for_weights, for_alphas = (
        PatchSampler(
            [prepare(case, recipe.intensity, recipe.spacing) for case in half],
            recipe.patches.size,
            recipe.patches.foreground,
        )
        for half in halves
    )
    return Teacher(
        name=recipe.name,
        fabric=fabric,
        net=net,
        alphas=alphas,
        weight_optimizer=weight_optimizer,
        alpha_optimizer=cast("Optimizer", fabric.setup_optimizers(alpha_optimizer)),
        loss_of=loss_by_name(recipe.train.loss),
        for_weights=for_weights,
        for_alphas=for_alphas,
        augment=augmentation(recipe.augment, recipe.net.ndim),
        batch=recipe.patches.batch,
    )


def turn(teacher: Teacher, epoch: int, epochs: int, seed: int) -> np.random.Generator:
    """Set the epoch's learning rate and chance, which hang on (seed, epoch) alone."""
    along = (1 + math.cos(math.pi * (epoch - 1) / epochs)) / 2
    for group in teacher.weight_optimizer.param_groups:
        group["lr"] = SLOW + (FAST - SLOW) * along
    random = np.random.default_rng([seed, epoch])
    torch.manual_seed(int(random.integers(2**31)))
    teacher.augment.set_random_state(int(random.integers(2**31)))
    teacher.net.train()
    return random


def _train_side(recipe: Recipe, cases: Sequence[Case]) -> Sequence[Case]:
    """Validation and locked cases stay unseen."""
    return split_cases(
        cases,
        salt=recipe.data.salt,
        validation=recipe.data.validation,
        locked=recipe.data.locked,
    ).train


def halve(
    cases: Sequence[Case], seed: int
) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
    """Cases for the weights, cases for the alphas; no group on both sides.

    Raises
    ------
    InputError
        If there are fewer than two groups.
    """
    groups = sorted({case.group for case in cases})
    if len(groups) < 2:
        raise InputError(
            "the search needs training cases of at least two groups (patients), one to "
            f"teach the weights and one the architecture; got {len(groups)}"
        )
    order = np.random.default_rng(seed).permutation(len(groups))
    first = {groups[at] for at in order[: -(-len(groups) // 2)]}
    return (
        tuple(case for case in cases if case.group in first),
        tuple(case for case in cases if case.group not in first),
    )


def _check(epochs: int, alpha_begin: int, **sizes: int) -> None:
    """Refuse a search that cannot be or cannot find anything."""
    if epochs <= alpha_begin:
        raise InputError(
            f"the architecture begins to move after {alpha_begin} epochs, so more than "
            f"that are needed; got {epochs}"
        )
    for name, size in sizes.items():
        if size < 1:
            raise InputError(f"{name} must be at least 1, got {size}")
