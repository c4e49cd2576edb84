"""What training works with: devices, net, averaged net, optimizer; fresh or taken up."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch import nn

from src_models.catalog import create_net
from src_models.errors import InputError
from src_models.losses import Loss, loss_by_name
from src_models.training import checkpoint
from src_models.training.gather import whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lightning_fabric.wrappers import _FabricModule

    from src_models.data.cases import Case
    from src_models.training.config import Recipe, Schedule

# What two runs may differ in and still give the same weights.
WORDS: dict[str, Any] = {
    **dict.fromkeys(("about", "labels", "tolerance", "mirror"), True),
    "train": {"workers"},
}
CHANNELS_LAST = {2: torch.channels_last, 3: torch.channels_last_3d}


@dataclass(frozen=True, slots=True)
class Parts:
    """What an epoch works with; `net` is wrapped by Fabric, `ema` is not."""

    fabric: Fabric
    net: _FabricModule
    ema: nn.Module
    optimizer: torch.optim.Optimizer
    loss: Loss


def connect(plan: Schedule, accelerator: str, devices: int, nodes: int) -> Fabric:
    """The devices, ready for work; on more than one, each process comes out of here.

    The further processes of a machine are started by running the same command again. On
    several machines the command is given on each, with MASTER_ADDR, MASTER_PORT and
    NODE_RANK in the environment, or by SLURM or torchrun, which set them.

    Raises
    ------
    InputError
        If the machine has no such devices.
    """
    many = devices * nodes > 1
    try:
        fabric = Fabric(
            accelerator=accelerator,
            devices=devices,
            num_nodes=nodes,
            # Nets whose answer is not judged itself leave parameters without gradient.
            strategy=DDPStrategy(find_unused_parameters=True) if many else "auto",
            **_precision(plan.precision, accelerator),
        )
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        raise InputError(
            f"{devices} device(s) of the kind {accelerator!r} cannot be used here "
            f"({' '.join(str(error).split())[:200]})"
        ) from None
    fabric.launch()
    return fabric


def _precision(precision: str, accelerator: str) -> dict[str, Any]:
    """Arguments for Fabric, which by itself takes bf16 for fp16 on a CPU."""
    if precision == "16-mixed" and (
        accelerator == "cpu" or not torch.cuda.is_available()
    ):
        apple = accelerator != "cpu" and torch.backends.mps.is_available()
        return {"plugins": MixedPrecision("16-mixed", "mps" if apple else "cpu")}
    return {"precision": precision}


def begin(
    recipe: Recipe, train: Sequence[Case], run: Path, fabric: Fabric
) -> tuple[Parts, dict[str, Any]]:
    """Fresh parts, or those of the interrupted run, and how far it had come.

    Raises
    ------
    InputError
        If the loss does not fit the classes, the state is damaged, the folder holds a run
        of other settings, or is not the same folder for every process.
    """
    plan, spec = recipe.train, recipe.net
    loss = loss_by_name(plan.loss)
    loss.check(spec.classes)
    torch.manual_seed(plan.seed)
    net = create_net(spec)
    ema = deepcopy(net).requires_grad_(False)
    net = fabric.to_device(net)  # first, so that the optimizer's state goes there too
    if plan.channels_last:
        # PyTorch's annotations of `to` leave out the memory format of modules.
        net.to(memory_format=CHANNELS_LAST[spec.ndim])  # type: ignore[call-overload]
    optimizer = make_optimizer(plan, net)
    facts = checkpoint.load(
        run, net=net, ema=ema, optimizer=optimizer, precision=fabric.strategy.precision
    )
    settings = {
        **recipe.model_dump(mode="json", exclude=WORDS),
        "cases": sorted(case.name for case in train),
        "processes": fabric.world_size,
    }
    facts = facts or {"epoch": 0, "best": -1.0, "history": [], "recipe": settings}
    if facts["recipe"] != settings:
        raise InputError(
            f"{run} holds a run of {recipe.name} with other settings, cases or devices; "
            "delete the folder to start again, or name another one with --run"
        )
    _check_shared(run, facts["epoch"], fabric)
    net, optimizer = fabric.setup(net, optimizer)
    return Parts(fabric, net, fabric.to_device(ema), optimizer, loss), facts


def make_optimizer(plan: Schedule, net: nn.Module) -> torch.optim.Optimizer:
    """The plan's optimizer over all parameters."""
    common: dict[str, Any] = {
        "lr": plan.learning_rate,
        "weight_decay": plan.weight_decay,
    }
    if plan.optimizer == "sgd":
        return torch.optim.SGD(
            net.parameters(), momentum=plan.momentum, nesterov=True, **common
        )
    return torch.optim.AdamW(net.parameters(), **common)


def _check_shared(run: Path, epoch: int, fabric: Fabric) -> None:
    """Whether all processes found the same state."""
    epochs = whole(fabric, torch.tensor([epoch], device=fabric.device))
    if (epochs != epoch).any():
        raise InputError(
            f"{run} is not the same folder for all processes; name one on a disk that "
            "all machines share with --run"
        )


@torch.no_grad()
def average_into(ema: nn.Module, net: nn.Module, decay: float) -> None:
    """Ema ← decay · ema + (1 − decay) · net; counters and statistics are copied."""
    state = net.state_dict()
    for name, kept in ema.state_dict().items():
        fresh = state[name]
        if kept.is_floating_point():
            kept.lerp_(fresh, 1 - decay)
        else:
            kept.copy_(fresh)
