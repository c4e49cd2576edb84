"""Train a recipe: one generator, from cases to a folder with weights and card."""

from __future__ import annotations

import time
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning_fabric import Fabric
from monai.data import MetaTensor
from torch import Tensor, nn

from src_models.catalog import create_model
from src_models.data.augment import augmentation
from src_models.data.cases import prepare
from src_models.data.patches import PatchSampler
from src_models.errors import InputError
from src_models.inference import Options, predict
from src_models.losses import loss_by_name
from src_models.metrics import counts, dice
from src_models.outputs import judge
from src_models.progress import drain
from src_models.training import checkpoint
from src_models.training.cards import draft_card
from src_models.training.schedule import warm_cosine
from src_models.weights import save_tensors

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from monai.transforms import Compose

    from src_models.card import TrainedCard
    from src_models.data.cases import Case
    from src_models.data.splits import Split
    from src_models.training.config import Recipe


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch did. `dice` is the mean over structures of the validation cases."""

    number: int
    of: int
    loss: float
    dice: float
    best: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Step:
    """One step inside an epoch (1-based), for the progress bar."""

    epoch: int
    number: int
    of: int
    loss: float


@dataclass(frozen=True, slots=True)
class _Parts:
    """What an epoch works with."""

    fabric: Fabric
    net: nn.Module
    ema: nn.Module
    optimizer: torch.optim.Optimizer
    sampler: PatchSampler
    augment: Compose


def fit(
    recipe: Recipe, cases: Split, run: Path, *, accelerator: str = "auto"
) -> Generator[Step | Epoch, None, nn.Module]:
    """Train; returns the best net by validation Dice, with its averaged weights.

    The state is written to `run` after each epoch; called again with the same folder it
    goes on where it was, and gives what it would have given without the interruption:
    each epoch draws its random numbers from (seed, epoch) alone.

    Raises
    ------
    InputError
        If the loss becomes NaN (the last good state stays), the state is damaged, or the
        folder holds a run of other settings.
    """
    plan = recipe.train
    run.mkdir(parents=True, exist_ok=True)
    parts, facts = _begin(recipe, cases, run, accelerator)
    card = draft_card(recipe, cases)
    for number in range(facts["epoch"] + 1, plan.epochs + 1):
        began = time.monotonic()
        losses = []
        for step in _epoch(recipe, number, parts):
            losses.append(step.loss)
            yield step
        reached = mean_dice(parts.ema, card, cases.validation, parts.fabric.device)
        if reached > facts["best"]:
            facts["best"] = reached
            save_tensors(parts.ema.state_dict(), run / checkpoint.BEST)
        mean_loss, took = float(np.mean(losses)), time.monotonic() - began
        epoch = Epoch(number, plan.epochs, mean_loss, reached, facts["best"], took)
        facts["epoch"] = number
        facts["history"].append(asdict(epoch))
        checkpoint.save(
            run, net=parts.net, ema=parts.ema, optimizer=parts.optimizer, facts=facts
        )
        _write_history(run, facts["history"])
        yield epoch
    checkpoint.load_best(run, parts.ema)
    return parts.ema


def _begin(
    recipe: Recipe, cases: Split, run: Path, accelerator: str
) -> tuple[_Parts, dict[str, Any]]:
    """Fresh parts, or those of the interrupted run, and how far it had come."""
    plan = recipe.train
    torch.manual_seed(plan.seed)
    fabric = Fabric(accelerator=accelerator, devices=1, precision=plan.precision)
    net = create_model(
        recipe.net.system,
        ndim=recipe.net.ndim,
        in_channels=recipe.net.in_channels,
        classes=recipe.net.classes,
        preset=recipe.net.preset,
    )
    ema = deepcopy(net).requires_grad_(False)
    optimizer = torch.optim.AdamW(
        net.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay
    )
    names = sorted(case.name for case in cases.train)
    settings = {**decisive(recipe), "cases": names}
    facts = checkpoint.load(run, net=net, ema=ema, optimizer=optimizer)
    facts = facts or {"epoch": 0, "best": -1.0, "history": [], "recipe": settings}
    if facts["recipe"] != settings:
        raise InputError(
            f"{run} holds a run of {recipe.name} with other settings or cases; delete "
            "the folder to start again, or name another one with --run"
        )
    net, optimizer = fabric.setup(net, optimizer)
    ready = [prepare(case, recipe.intensity, recipe.spacing) for case in cases.train]
    parts = _Parts(
        fabric=fabric,
        net=net,
        ema=fabric.to_device(ema),
        optimizer=optimizer,
        sampler=PatchSampler(ready, recipe.patches.size, recipe.patches.foreground),
        augment=augmentation(recipe.augment, recipe.net.ndim),
    )
    return parts, facts


def decisive(recipe: Recipe) -> dict[str, Any]:
    """What the trained weights depend on; words and colours may change in between."""
    return recipe.model_dump(
        mode="json", exclude={"about", "labels", "tolerance", "mirror"}
    )


def _epoch(recipe: Recipe, number: int, parts: _Parts) -> Generator[Step, None, None]:
    """One epoch's steps."""
    plan, fabric, net = recipe.train, parts.fabric, parts.net
    loss_of = loss_by_name(plan.loss)
    random = np.random.default_rng([plan.seed, number])
    torch.manual_seed(int(random.integers(2**31)))
    parts.augment.set_random_state(int(random.integers(2**31)))
    net.train()
    for i in range(1, plan.steps + 1):
        images, labels = draw_batch(
            parts.sampler, parts.augment, recipe.patches.batch, random
        )
        done = (number - 1) * plan.steps + i - 1
        factor = warm_cosine(done, total=plan.epochs * plan.steps, warmup=plan.warmup)
        for group in parts.optimizer.param_groups:
            group["lr"] = plan.learning_rate * factor
        said = net(fabric.to_device(images))
        loss = judge(loss_of, said, fabric.to_device(labels))
        if not bool(loss.isfinite()):
            raise InputError(
                f"{recipe.name}: the loss is not a number in epoch {number}, step {i}; "
                "the state of the last epoch is kept. Lower train.learning_rate"
            )
        parts.optimizer.zero_grad(set_to_none=True)
        fabric.backward(loss)
        fabric.clip_gradients(net, parts.optimizer, max_norm=plan.clip)
        parts.optimizer.step()
        average_into(parts.ema, net, min(plan.ema, (1 + done) / (10 + done)))
        yield Step(number, i, plan.steps, float(loss.detach()))


def draw_batch(
    sampler: PatchSampler, augment: Compose, size: int, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """(B, C, *S) float32 and (B, *S) int64, augmented."""
    images, labels = [], []
    for _ in range(size):
        image, label = sampler.draw(random)
        changed: dict[str, Any] = augment(
            {"image": torch.from_numpy(image), "labels": torch.from_numpy(label)[None]}
        )
        images.append(_plain(changed["image"]))
        labels.append(_plain(changed["labels"])[0].long())
    return torch.stack(images), torch.stack(labels)


def _plain(tensor: Tensor) -> Tensor:
    """Without MONAI's metadata, which would slow every operation after."""
    return tensor.as_tensor() if isinstance(tensor, MetaTensor) else tensor


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


def mean_dice(
    net: nn.Module, card: TrainedCard, cases: Sequence[Case], device: torch.device
) -> float:
    """Mean over cases and structures of the Dice after inference."""
    options = Options(device=str(device), overlap=0.25)
    found = []
    for case in cases:
        image_NCS = case.image[None]
        steps = predict(net, card, image_NCS, spacing=case.spacing, options=options)
        labels = drain(steps)[0]
        found += [
            dice(counts(labels == row.value, case.labels == row.value))
            for row in card.labels
        ]
    return float(np.mean(found))


def _write_history(run: Path, history: list[dict[str, Any]]) -> None:
    """The learning curve as CSV, for any spreadsheet."""
    lines = [",".join(history[0])]
    lines += [",".join(f"{value:g}" for value in row.values()) for row in history]
    (run / "history.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
