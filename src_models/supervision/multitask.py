"""Learning a second map beside the masks: contours, or distances.

Shape letters: B batch, K classes, S spatial axes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from src_models.blocks import crop_to
from src_models.errors import InputError
from src_models.losses import IGNORE
from src_models.losses.pixel import cross_entropy
from src_models.nets.dcan import DCAN, total
from src_models.outputs import Auxiliary, Outputs
from src_models.supervision.balance import Fixed, GradNorm, Uncertainty, balance_of
from src_models.supervision.branches import Decoder, coarsest, tapped
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
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    from lightning_fabric import Fabric
    from torch import Tensor, nn

    from src_models.data.loader import Key
    from src_models.data.splits import Split
    from src_models.progress import Progress
    from src_models.supervision.options import Contours, Distances, MultiTask
    from src_models.training.config import Recipe
    from src_models.training.curves import Epoch
    from src_models.training.turns import Watch

    Losses = Mapping[str, Tensor | None]
    Nets = Mapping[str, nn.Module]

REGION, BRANCH, BALANCE = "region", "branch", "balance"
FALL = 0.1  # of the weights of each level's own scores, three times in a run
FAINT = 0.01  # what is left of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Tasks:
    """What sets one pair of tasks apart.

    Attributes
    ----------
    second : str
        Name of the task beside the regions.
    segmentor : nn.Module
    branch : nn.Module or None
        The second task's own layers, where they are no part of the segmentor.
    shared : nn.Module
        The last layer that both tasks rely on.
    make : callable
        As of `Work`.
    losses : callable
        (nets, tensors, key) → each task's loss, None where no label is known.
    watch : Watch, optional
    """

    second: str
    segmentor: nn.Module
    branch: nn.Module | None
    shared: nn.Module
    make: Callable[[Key], Any]
    losses: Callable[[Nets, Any, Key], Losses]
    watch: Watch | None = None


def learn_tasks(
    recipe: Recipe,
    cases: Split,
    run: Path,
    fabric: Fabric,
    options: MultiTask,
    tasks: Tasks,
) -> Generator[Progress | Epoch, None, nn.Module]:
    """Both tasks at once, balanced as the options say; returns the segmentor."""
    weights = {REGION: 1.0, tasks.second: options.weight}
    balance = balance_of(options.balance, weights, options.alpha)
    nets = {FOR_USE: tasks.segmentor}
    if tasks.branch is not None:
        nets[BRANCH] = tasks.branch
    if list(balance.parameters()):
        nets[BALANCE] = balance
    shared = list(tasks.shared.parameters())

    def turns(nets: Nets, batch: Any, key: Key) -> Iterator[Turn]:
        yield from balanced(balance, tasks.losses(nets, batch, key), nets, shared)

    work = Work(
        nets=nets,
        make=tasks.make,
        turns=turns,
        rate=recipe.train.learning_rate,
        watch=tasks.watch,
    )
    return (yield from learn(recipe, cases, run, work, fabric))


def balanced(
    balance: Fixed, losses: Losses, nets: Nets, shared: Sequence[Tensor]
) -> Iterator[Turn]:
    """The turns of a step; none if no task has a label in it."""
    if all(loss is None for loss in losses.values()):
        return
    movers = [name for name in (FOR_USE, BRANCH) if name in nets]
    if isinstance(balance, Uncertainty):
        movers.append(BALANCE)
    apart = None
    if isinstance(balance, GradNorm):
        apart = balance.imbalance(losses, shared)
    yield Turn(tuple(movers), balance(losses))
    if isinstance(balance, GradNorm) and apart is not None:
        yield Turn((BALANCE,), apart)
        balance.renormalise()


def known(labels_BS: Tensor) -> bool:
    """Whether any voxel has a label."""
    return bool((labels_BS != IGNORE).any())


def contour_labels(edges_B2S: Tensor, radius: float) -> Tensor:
    """(B, *S) int64: 1 on contours, 0 off them, −1 where one may be hidden.

    `edges_B2S`: of `src_models.data.maps.edge_distances`. Unknown voxels are −1.
    """
    away, hidden = edges_B2S.unbind(1)
    found = (away <= radius).long()
    # The last known voxel of an object is on its edge if the hidden one next to it is not.
    doubtful = (found == 0) & (hidden <= radius + 1)
    return found.masked_fill(doubtful | (hidden == 0), IGNORE)


def distance_loss(
    said_BKS: Tensor, levels_BKS: Tensor, truncate: float
) -> Tensor | None:
    """Mean absolute error of distances / `truncate`, those beyond it as ±1.

    None where no distance is known (all NaN).
    """
    there = levels_BKS.isfinite()
    if not bool(there.any()):
        return None
    wanted = (levels_BKS.where(there, 0) / truncate).clamp(-1, 1)
    return (said_BKS.float() - wanted)[there].abs().mean()


def fit_contours(
    recipe: Recipe,
    cases: Split,
    run: Path,
    *,
    accelerator: str = "auto",
    devices: int = 1,
    nodes: int = 1,
) -> Generator[Progress | Epoch, None, nn.Module]:
    """DCAN's regions by the recipe's loss, its contours by cross entropy.

    As `src_models.training.fit.fit`, on one device. Each level's own scores are judged
    too, with a weight that falls tenfold after each third of the epochs, to 0.01.

    Raises
    ------
    InputError
        If the net is no DCAN, or as `learn`.
    """
    fabric = one_device(recipe, accelerator, devices, nodes)
    check_all(recipe, cases)
    options: Contours = options_of(method_of(recipe))
    segmentor = segmentor_of(recipe)
    if not isinstance(segmentor, DCAN):
        raise InputError(
            f'{recipe.name}: regions and contours need net.system = "dcan", whose answer '
            f"is made of both; got {recipe.net.system!r}"
        )
    maker = maker_of(recipe, cases.train, maps=("edges",))

    def losses(nets: Nets, batch: Any, key: Key) -> Losses:
        images, labels, maps = batch
        with tapped(segmentor, "region", "contour") as seen:
            nets[FOR_USE](images)
        faint = max(FAINT, FALL ** (3 * (key.epoch - 1) // recipe.train.epochs))
        regions, contours = (
            task_outputs(seen[name], tuple(labels.shape[1:]), faint)
            for name in ("region", "contour")
        )
        drawn = contour_labels(maps["edges"], options.radius)
        judge_by = partial(judged, recipe, number=key.epoch)
        return {
            REGION: judge_by(regions, labels, maps=maps) if known(labels) else None,
            "contour": by_cross_entropy(contours, drawn) if known(drawn) else None,
        }

    tasks = Tasks(
        second="contour",
        segmentor=segmentor,
        branch=None,
        shared=segmentor.levels[-1],
        make=lambda key: tuple(maker.make(key)),
        losses=losses,
    )
    return (yield from learn_tasks(recipe, cases, run, fabric, options, tasks))


def task_outputs(
    levels: Sequence[Tensor], shape: tuple[int, ...], weight: float
) -> Outputs:
    """What one task of DCAN says of the image, and each level of its own."""
    levels = [crop_to(level, shape) for level in levels]
    return Outputs(total(levels), tuple(Auxiliary(weight, level) for level in levels))


def by_cross_entropy(said: Outputs, labels_BS: Tensor) -> Tensor:
    """Of the answer and, weighted, of the auxiliary ones; all on the labels' grid."""
    parts = [cross_entropy(said.logits, labels_BS)]
    parts += [
        part.weight * cross_entropy(part.logits, labels_BS) for part in said.auxiliary
    ]
    return torch.stack(parts).sum()


def fit_distances(
    recipe: Recipe,
    cases: Split,
    run: Path,
    *,
    accelerator: str = "auto",
    devices: int = 1,
    nodes: int = 1,
) -> Generator[Progress | Epoch, None, nn.Module]:
    """Masks by the recipe's loss; a decoder of its own says each structure's distances.

    As `src_models.training.fit.fit`, on one device. The decoder begins at the net's
    coarsest features and is gone in use.

    Raises
    ------
    InputError
        If the net has no coarser grid, or as `learn`.
    """
    fabric = one_device(recipe, accelerator, devices, nodes)
    check_all(recipe, cases)
    options: Distances = options_of(method_of(recipe))
    segmentor = segmentor_of(recipe)
    tap, size = coarsest(segmentor, recipe), recipe.patches.size
    branch = Decoder(tap, recipe.net.ndim, recipe.net.classes - 1, size)
    maker = maker_of(recipe, cases.train, maps=("levels",))

    def losses(nets: Nets, batch: Any, key: Key) -> Losses:
        images, labels, maps = batch
        with tapped(segmentor, tap.name) as seen:
            said = nets[FOR_USE](images)
        away = nets[BRANCH](seen[tap.name], tuple(images.shape[2:]))
        region = (
            judged(recipe, said, labels, key.epoch, maps) if known(labels) else None
        )
        return {
            REGION: region,
            "distance": distance_loss(away, maps["levels"], options.truncate),
        }

    tasks = Tasks(
        second="distance",
        segmentor=segmentor,
        branch=branch,
        shared=segmentor.get_submodule(tap.shared),
        make=lambda key: tuple(maker.make(key)),
        losses=losses,
    )
    return (yield from learn_tasks(recipe, cases, run, fabric, options, tasks))
