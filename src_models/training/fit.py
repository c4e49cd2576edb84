"""Train a recipe: one generator, from cases to the best net."""

from __future__ import annotations

import os
import platform
import time
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from src_models.data.augment import augmentation
from src_models.data.cases import check_cases, check_structures, prepare
from src_models.data.loader import BatchMaker, Share
from src_models.data.patches import PatchSampler
from src_models.errors import InputError
from src_models.outputs import judge
from src_models.progress import Progress
from src_models.training import checkpoint
from src_models.training.cards import draft_card, versions
from src_models.training.curves import (
    Epoch,
    write_events,
    write_history,
    write_settings,
)
from src_models.training.evaluate import case_dices
from src_models.training.gather import whole, whole_outputs
from src_models.training.parts import CHANNELS_LAST, Parts, average_into, begin, connect
from src_models.training.schedule import factor_of, since_best
from src_models.weights import save_tensors

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from lightning_fabric import Fabric
    from torch import Tensor, nn

    from src_models.card import TrainedCard
    from src_models.data.cases import Case
    from src_models.data.loader import Batch
    from src_models.data.splits import Split
    from src_models.training.config import Recipe, Schedule

MOST_THREADS = 8  # that make patches; more wait for each other


def fit(
    recipe: Recipe,
    cases: Split,
    run: Path,
    *,
    accelerator: str = "auto",
    devices: int = 1,
    nodes: int = 1,
) -> Generator[Progress | Epoch, None, nn.Module]:
    """Train; returns the best net by validation Dice, with its averaged weights.

    The state is written to `run` after each epoch; called again with the same folder it
    goes on where it was, and gives what it would have given without the interruption:
    each patch depends on (seed, epoch, step, index) alone. With several processes all
    learn and measure, the first one writes and reports.

    Parameters
    ----------
    accelerator : str
        "auto", "cpu", "cuda" or "mps".
    devices, nodes : int
        Devices of each machine, machines. Each device takes `recipe.patches.batch`
        patches at a time.

    Yields
    ------
    Progress
        After each step.
    Epoch
        After each epoch, once its state is on disk.

    Raises
    ------
    InputError
        If the cases cannot be learnt from, the loss becomes NaN (the last good state
        stays), the state is damaged, or the folder holds a run of other settings.
    """
    plan = recipe.train
    check_cases((*cases.train, *cases.validation), recipe.net)
    check_structures(cases.train)
    fabric = connect(plan, accelerator, devices, nodes)
    run.mkdir(parents=True, exist_ok=True)
    parts, facts = begin(recipe, cases.train, run, fabric)
    history = facts["history"]
    if fabric.is_global_zero:
        write_settings(run, {**facts["recipe"], **_surroundings(fabric)})
    card, maker = draft_card(recipe, cases), _maker(recipe, cases.train, parts)
    epochs = range(facts["epoch"] + 1, plan.epochs + 1)
    threads = _threads(plan, fabric)
    with closing(maker.batches(epochs, plan.steps, workers=threads)) as batches:
        for number in epochs:
            scores = [row["dice"] for row in history]
            if plan.patience and since_best(scores) >= plan.patience:
                break
            began = time.monotonic()
            loss, rate = yield from _epoch(
                recipe, number, parts, maker, batches, scores
            )
            reached = mean_dice(parts.ema, card, cases.validation, fabric)
            better = reached > facts["best"]
            best = reached if better else facts["best"]
            took = time.monotonic() - began
            epoch = Epoch(number, plan.epochs, loss, reached, best, took, rate)
            history.append(epoch.row())
            facts |= {"epoch": number, "best": best}
            if fabric.is_global_zero:
                _save(run, parts, facts, better=better)
                write_history(run, history)
                write_events(run, epoch)
                yield epoch
    fabric.barrier()
    checkpoint.load_best(run, parts.ema)
    return parts.ema


def _save(run: Path, parts: Parts, facts: dict[str, Any], *, better: bool) -> None:
    """The best first: if it alone is new, the epoch is done again, to the same end."""
    if better:
        save_tensors(parts.ema.state_dict(), run / checkpoint.BEST)
    checkpoint.save(
        run,
        net=parts.net,
        ema=parts.ema,
        optimizer=parts.optimizer,
        precision=parts.fabric.strategy.precision,
        facts=facts,
    )


def _epoch(
    recipe: Recipe,
    number: int,
    parts: Parts,
    maker: BatchMaker,
    batches: Iterator[Batch],
    scores: Sequence[float],
) -> Generator[Progress, None, tuple[float, float]]:
    """One epoch's steps; returns its mean loss and its last learning rate."""
    plan, fabric = recipe.train, parts.fabric
    # Dropout and the like: anew in each epoch, and apart on each process.
    random = np.random.default_rng([plan.seed, number, fabric.global_rank])
    torch.manual_seed(int(random.integers(2**31)))
    parts.net.train()
    losses, rate = [], 0.0
    for i in range(1, plan.steps + 1):
        done = (number - 1) * plan.steps + i - 1
        rate = plan.learning_rate * factor_of(plan, done, scores)
        for group in parts.optimizer.param_groups:
            group["lr"] = rate
        loss = _step(plan, parts, batches, number)
        if loss is None:
            held = ", ".join(maker.cases(number, i))
            raise InputError(
                f"{recipe.name}: the loss is not a number in epoch {number}, step {i}, "
                f"on patches of {held}; the state of the last epoch is kept. Look at "
                "these cases, or lower train.learning_rate"
            )
        average_into(parts.ema, parts.net, min(plan.ema, (1 + done) / (10 + done)))
        losses.append(loss)
        if fabric.is_global_zero:
            yield Progress(i, plan.steps, f"epoch {number}  loss {loss:.3f}")
    return float(np.mean(losses)), rate


def _step(
    plan: Schedule, parts: Parts, batches: Iterator[Batch], number: int
) -> float | None:
    """One step of the optimizer; its loss over all processes, None if not a number."""
    fabric, net = parts.fabric, parts.net
    total = torch.zeros((), device=fabric.device)
    parts.optimizer.zero_grad(set_to_none=True)
    for turn in range(1, plan.accumulate + 1):
        batch = next(batches)
        with fabric.no_backward_sync(net, enabled=turn < plan.accumulate):
            loss = _loss(plan, parts, batch, number) / plan.accumulate
            # Each process's gradient of a shared loss is its own part; DDP averages.
            scale = fabric.world_size if plan.sync_loss else 1
            fabric.backward(loss * scale)
        total += loss.detach()
    found = float(fabric.all_reduce(total))  # type: ignore[arg-type]
    norm = fabric.clip_gradients(
        net, parts.optimizer, max_norm=plan.clip, error_if_nonfinite=False
    )
    # In 16 bit a gradient may overflow: the scaler then leaves out the step.
    unscaled = plan.precision != "16-mixed"
    if not np.isfinite(found) or (unscaled and not bool(norm.isfinite())):  # type: ignore[union-attr]
        return None
    parts.optimizer.step()
    return found


def _loss(plan: Schedule, parts: Parts, batch: Batch, number: int) -> Tensor:
    fabric = parts.fabric
    images, labels, maps = fabric.to_device(tuple(batch))
    if plan.channels_last:
        images = images.contiguous(memory_format=CHANNELS_LAST[images.ndim - 2])
    said = parts.net(images)
    if plan.sync_loss:
        said, labels = whole_outputs(fabric, said), whole(fabric, labels)
        maps = {name: whole(fabric, one) for name, one in maps.items()}
    return judge(
        partial(parts.loss, epoch=number - 1),
        said,
        labels,
        maps,
        supervision=plan.deep_supervision,
    )


def mean_dice(
    net: nn.Module, card: TrainedCard, cases: Sequence[Case], fabric: Fabric
) -> float:
    """Mean over cases and structures of the Dice after inference; each process a share."""
    mine = cases[fabric.global_rank :: fabric.world_size]
    found = case_dices(net, card, mine, fabric.device)
    if fabric.world_size == 1:
        return float(np.mean(found))
    sums = torch.tensor([sum(found), len(found)], device=fabric.device).double()
    total, count = fabric.all_reduce(sums, reduce_op="sum")
    return float(total / count)


def _maker(recipe: Recipe, train: Sequence[Case], parts: Parts) -> BatchMaker:
    ready = [prepare(case, recipe.intensity, recipe.spacing) for case in train]
    patches = recipe.patches
    return BatchMaker(
        sampler=PatchSampler(
            ready,
            patches.size,
            patches.foreground,
            class_balance=patches.class_balance,
        ),
        augment=augmentation(recipe.augment, recipe.net.ndim, frames=recipe.net.frames),
        share=Share(
            batch=patches.batch,
            accumulate=recipe.train.accumulate,
            rank=parts.fabric.global_rank,
            processes=parts.fabric.world_size,
        ),
        seed=recipe.train.seed,
        classes=recipe.net.classes,
        maps=parts.loss.maps,
        pin=parts.fabric.device.type == "cuda",
    )


def _threads(plan: Schedule, fabric: Fabric) -> int:
    """As the plan says; else one beside a CPU's own work, more beside a GPU."""
    if plan.workers is not None:
        return plan.workers
    if fabric.device.type == "cpu":
        return 1
    return max(1, min(MOST_THREADS, (os.cpu_count() or 1) // fabric.world_size - 1))


def _surroundings(fabric: Fabric) -> dict[str, Any]:
    """What else the speed, and the last digits, depend on."""
    return {
        "device": str(fabric.device),
        "system": platform.platform(),
        "threads": torch.get_num_threads(),
        "versions": versions(),
    }
