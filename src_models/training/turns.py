"""Several nets that learn in turns: one generator, taken up where it stopped.

One optimizer holds the weights of all nets. A turn's loss is differentiated with respect
to the weights of the turn's own nets and to nothing else, and the optimizer leaves weights
without a gradient alone; so no turn can move another's nets.

Nets beside the one for use are its baselines: they learn from the same batches in the same
schedule by turns of their own, and are averaged and measured as that one is.
"""

from __future__ import annotations

import time
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import nn

from src_models.data.loader import Share, ahead
from src_models.errors import InputError
from src_models.progress import Progress
from src_models.training import checkpoint
from src_models.training.cards import draft_card
from src_models.training.curves import (
    Epoch,
    write_events,
    write_history,
    write_settings,
)
from src_models.training.fit import mean_dice
from src_models.training.parts import WORDS, average_into, connect
from src_models.training.schedule import factor_of, since_best
from src_models.weights import save_tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    from lightning_fabric import Fabric
    from torch import Tensor

    from src_models.data.loader import Key
    from src_models.data.splits import Split
    from src_models.training.config import Recipe

FOR_USE = "segmentor"  # the net that training gives
BASELINE = "baseline"  # the same net, taught without the method
SYNTHETIC = "synthetic"  # the same net, taught by made images alone
# Nets that are averaged and measured, and where the best weights of each are.
BESTS = {FOR_USE: checkpoint.BEST, **checkpoint.BESIDE}
Nets = dict[str, nn.Module]


class Turn(NamedTuple):
    """A loss, and the names of the nets that learn from it."""

    nets: tuple[str, ...]
    loss: Tensor


class Watch(Protocol):
    """Who looks on: knows what earlier epochs gave, says what this one gave."""

    def begin(self, history: Sequence[Mapping[str, float]]) -> None:
        """Called before each epoch with the rows of those before it."""

    def end(self) -> tuple[Mapping[str, float], str]:
        """Called after an epoch: columns for its row, and words if there is need."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What sets one method apart.

    Attributes
    ----------
    nets : mapping of str to Module
        All that learn. `FOR_USE` is averaged, measured and given in the end; so are
        `BASELINE` and `SYNTHETIC`, where they are, but left in the run's folder.
    make : callable
        Key → the tensors of a step, on the CPU; on a thread beside the nets.
    turns : callable
        (nets, tensors on the device, the step's key) → the step's turns, one after the
        other: each is learnt from before the next is asked for.
    rate : float
        Learning rate of the nets that are not measured.
    peers : set of str
        Those of them that learn at the rate of the measured ones all the same.
    before : int
        Epochs at the start in which the net for use does not learn.
    rounds : int
        Times `train.steps` steps in an epoch; in each the net for use begins anew with
        the epoch's part of the learning rate, so it should learn in one of them alone.
    watch : Watch, optional
    """

    nets: Nets
    make: Callable[[Key], Any]
    turns: Callable[[Mapping[str, nn.Module], Any, Key], Iterator[Turn]]
    rate: float
    peers: frozenset[str] = frozenset()
    before: int = 0
    rounds: int = 1
    watch: Watch | None = None


@dataclass(slots=True, eq=False)
class Going:
    """A run as it is going on."""

    recipe: Recipe
    work: Work
    fabric: Fabric
    held: nn.ModuleDict
    nets: Mapping[str, nn.Module]
    averaged: nn.ModuleDict
    optimizer: torch.optim.Optimizer
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def scores(self) -> list[float]:
        """Validation Dice of the epochs in which the net for use has learnt."""
        return [row["dice"] for row in self.facts["history"][self.work.before :]]


def one_device(recipe: Recipe, accelerator: str, devices: int, nodes: int) -> Fabric:
    """The device.

    Raises
    ------
    InputError
        If the schedule or the devices are not what nets in turns can learn with.
    """
    plan = recipe.train
    for holds, wanted in (
        (devices * nodes == 1, f"one device, got {devices * nodes}"),
        (plan.optimizer == "adamw", 'train.optimizer = "adamw"'),
        (plan.accumulate == 1, "train.accumulate = 1; make patches.batch larger"),
        (
            plan.precision != "16-mixed",
            'train.precision = "bf16-mixed" or "32-true"',
        ),
    ):
        if not holds:
            raise InputError(f"{recipe.name}: nets that learn in turns need {wanted}")
    return connect(plan, accelerator, devices, nodes)


def learn(
    recipe: Recipe, cases: Split, run: Path, work: Work, fabric: Fabric
) -> Generator[Progress | Epoch, None, nn.Module]:
    """Train; returns the best net for use by validation Dice, with averaged weights.

    As `src_models.training.fit.fit` in what it yields, writes and raises, and in that an
    interrupted run goes on to what it would have given. A baseline's best weights are
    left in the run's folder.
    """
    plan = recipe.train
    run.mkdir(parents=True, exist_ok=True)
    going = _begin(recipe, cases, run, work, fabric)
    facts = going.facts
    write_settings(run, {**facts["recipe"], "device": str(fabric.device)})
    card = draft_card(recipe, cases)
    epochs = range(facts["epoch"] + 1, plan.epochs + 1)
    keys = Share(recipe.patches.batch).keys(epochs, work.rounds * plan.steps)
    workers = 1 if plan.workers is None else plan.workers
    with closing(
        ahead(lambda key: (key, work.make(key)), keys, workers=workers)
    ) as made:
        for number in epochs:
            if plan.patience and since_best(going.scores) >= plan.patience:
                break
            began = time.monotonic()
            loss, rate = yield from _epoch(going, number, made)
            reached = {
                name: mean_dice(net, card, cases.validation, fabric)
                for name, net in going.averaged.items()
            }
            better = {n for n, dice in reached.items() if dice > facts["bests"][n]}
            facts["bests"] |= {name: reached[name] for name in better}
            columns, note = work.watch.end() if work.watch else ({}, "")
            epoch = Epoch(
                number,
                plan.epochs,
                loss,
                reached[FOR_USE],
                facts["bests"][FOR_USE],
                time.monotonic() - began,
                rate,
                more={k: v for k, v in reached.items() if k != FOR_USE} | {**columns},
                note=note,
            )
            facts["history"].append(epoch.row())
            facts |= {"epoch": number, "best": epoch.best}
            _save(run, going, better)
            write_events(run, epoch)
            yield epoch
    for name, net in going.averaged.items():
        checkpoint.load_best(run, net, BESTS[name])
    return going.averaged[FOR_USE]


def _begin(
    recipe: Recipe, cases: Split, run: Path, work: Work, fabric: Fabric
) -> Going:
    """Fresh, or as the interrupted run had left it."""
    plan = recipe.train
    held = nn.ModuleDict(work.nets)
    measured = [name for name in BESTS if name in held]
    averaged = nn.ModuleDict({name: deepcopy(held[name]) for name in measured})
    averaged.requires_grad_(False)
    fabric.to_device(held)
    fabric.to_device(averaged)
    optimizer = torch.optim.AdamW(
        [
            {"params": net.parameters(), "lr": plan.learning_rate, "name": name}
            if name in {*measured, *work.peers}
            # Betas of the adversarial nets' papers; no weight decay there either.
            else {
                "params": net.parameters(),
                "lr": work.rate,
                "name": name,
                "betas": (0.5, 0.999),
                "weight_decay": 0.0,
            }
            for name, net in held.items()
        ],
        weight_decay=plan.weight_decay,
    )
    facts = checkpoint.load(run, net=held, ema=averaged, optimizer=optimizer)
    settings = {
        **recipe.model_dump(mode="json", exclude=WORDS),
        "cases": sorted(case.name for case in cases.train),
    }
    fresh = {"epoch": 0, "best": -1.0, "bests": dict.fromkeys(measured, -1.0)}
    facts = facts or {**fresh, "history": [], "recipe": settings}
    if facts["recipe"] != settings:
        raise InputError(
            f"{run} holds a run of {recipe.name} with other settings or cases; delete "
            "the folder to start again, or name another one with --run"
        )
    nets = {name: fabric.setup_module(net) for name, net in held.items()}
    return Going(recipe, work, fabric, held, nets, averaged, optimizer, facts)


def _save(run: Path, going: Going, better: set[str]) -> None:
    """The best first: if it alone is new, the epoch is done again, to the same end."""
    for name in better:
        save_tensors(going.averaged[name].state_dict(), run / BESTS[name])
    checkpoint.save(
        run,
        net=going.held,
        ema=going.averaged,
        optimizer=going.optimizer,
        facts=going.facts,
    )
    write_history(run, going.facts["history"])


def _epoch(
    going: Going, number: int, made: Iterator[tuple[Key, Any]]
) -> Generator[Progress, None, tuple[float, float]]:
    """One epoch's steps; returns their mean loss, and the last rate.

    The loss is that of the net for use, of all nets together as long as it does not learn.
    """
    plan, work = going.recipe.train, going.work
    torch.manual_seed(int(np.random.default_rng([plan.seed, number]).integers(2**31)))
    going.held.train()
    if work.watch:
        work.watch.begin(going.facts["history"])
    losses, rate, scores = [], 0.0, going.scores
    total = work.rounds * plan.steps
    for i in range(1, total + 1):
        done = (number - work.before - 1) * plan.steps + (i - 1) % plan.steps
        rate = _set_rates(going, number, done, scores)
        key, batch = next(made)
        found: dict[str, float] = {}
        for turn in work.turns(going.nets, going.fabric.to_device(batch), key):
            value = _take(going, turn)
            if value is None:
                raise InputError(
                    f"{going.recipe.name}: the loss of {' and '.join(turn.nets)} is not "
                    f"a number in epoch {number}, step {i}; the state of the last epoch "
                    "is kept. Lower method.options.learning_rate, train.learning_rate or "
                    "a weight in method.options"
                )
            found["+".join(turn.nets)] = value
            for name in going.averaged.keys() & set(turn.nets):
                learnt = done if name == FOR_USE else done + work.before * plan.steps
                decay = min(plan.ema, (1 + learnt) / (10 + learnt))
                average_into(going.averaged[name], going.held[name], decay)
        own = [v for names, v in found.items() if FOR_USE in names.split("+")]
        if own or number <= work.before:
            losses.append(sum(own or found.values()))
        parts = "  ".join(f"{name} {value:.3f}" for name, value in found.items())
        yield Progress(i, total, f"epoch {number}  {parts}")
    return float(np.mean(losses)), rate


def _set_rates(going: Going, number: int, done: int, scores: Sequence[float]) -> float:
    """The learning rates of a step; returns that of the net for use.

    `done`: steps that the net for use has behind it, if it learns in every one. Baselines
    have the whole schedule, since they learn from the first epoch on.
    """
    plan, work = going.recipe.train, going.work
    rest = plan.model_copy(update={"epochs": plan.epochs - work.before})
    factor = 1.0 if number <= work.before else factor_of(rest, done, scores)
    beside = factor_of(plan, done + work.before * plan.steps, scores)
    others = {*BESTS, *work.peers}
    rates = dict.fromkeys(others, plan.learning_rate * beside)
    rates[FOR_USE] = plan.learning_rate * factor
    for group in going.optimizer.param_groups:
        group["lr"] = rates.get(group["name"], work.rate * factor)
    return rates[FOR_USE]


def _take(going: Going, turn: Turn) -> float | None:
    """Learn from a turn; its loss, None if that or a gradient is not a number."""
    going.optimizer.zero_grad(set_to_none=True)
    moved = [list(going.held[name].parameters()) for name in turn.nets]
    going.fabric.backward(turn.loss, inputs=[one for net in moved for one in net])
    norms = [
        nn.utils.clip_grad_norm_(net, going.recipe.train.clip, error_if_nonfinite=False)
        for net in moved
    ]
    if not all(bool(one.isfinite()) for one in (turn.loss, *norms)):
        return None
    going.optimizer.step()
    return float(turn.loss.detach())
