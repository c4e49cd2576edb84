"""Learning in rounds: the targets are made anew from what the last round has learnt."""

from __future__ import annotations

import csv
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from src_models.data.splits import Split
from src_models.errors import InputError
from src_models.inference.windows import gaussian, rows_of_windows
from src_models.progress import Progress
from src_models.training.curves import HISTORY, write_history
from src_models.training.taught import judged, maker_of_ready, ready, segmentor_of
from src_models.training.turns import FOR_USE, Turn, Work, learn

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt
    from lightning_fabric import Fabric
    from torch import nn

    from src_models.data.cases import Case
    from src_models.data.loader import Key
    from src_models.training.config import Recipe
    from src_models.training.curves import Epoch

    Labels = npt.NDArray[np.integer[Any]]
    # (the case as the net sees it, log p (K, *S) or None before the first round)
    Relabel = Callable[[Case, npt.NDArray[np.float32] | None], Labels]

OVERLAP = 0.25  # of windows, where targets are made


def in_rounds(
    recipe: Recipe,
    cases: Split,
    run: Path,
    fabric: Fabric,
    rounds: int,
    relabel: Relabel,
) -> Generator[Progress | Epoch, None, nn.Module]:
    """Relabel and learn by the recipe's loss, `rounds` times; returns the last net.

    Each round begins with the best net of the one before, has its share of the epochs, a
    learning rate that falls anew, and its state in a folder of its own below `run`.

    Raises
    ------
    InputError
        If there are fewer epochs than rounds, or as `learn`.
    """
    epochs = recipe.train.epochs
    if epochs < rounds:
        raise InputError(
            f"{recipe.name}: {rounds} rounds need as many train.epochs at least, got "
            f"{epochs}"
        )
    net, before = segmentor_of(recipe), 0
    seen = ready(cases.train, recipe)
    for number in range(1, rounds + 1):
        share = epochs * number // rounds - before
        targets: list[Case] = []
        for case in seen:
            said = _log_p(net, case, recipe, fabric) if number > 1 else None
            targets.append(replace(case, labels=relabel(case, said)))
            yield Progress(
                len(targets), len(seen), f"round {number}, targets of {case.name}"
            )
        plan = recipe.train.model_copy(update={"epochs": share})
        sides = Split(tuple(targets), cases.validation, cases.locked)
        steps = _round(
            recipe.model_copy(update={"train": plan}),
            sides,
            run / f"round-{number}",
            fabric,
            net,
        )
        net = yield from _renumbered(steps, run, number, before, epochs)
        net.requires_grad_(True)
        before += share
    return net.requires_grad_(False)


def _round(
    recipe: Recipe, cases: Split, run: Path, fabric: Fabric, net: nn.Module
) -> Generator[Progress | Epoch, None, nn.Module]:
    """Plain learning from targets on the net's own grid."""
    maker = maker_of_ready(recipe, cases.train)

    def turns(nets: Mapping[str, nn.Module], batch: Any, key: Key) -> Iterator[Turn]:
        images, labels, maps = batch
        said = nets[FOR_USE](images)
        yield Turn((FOR_USE,), judged(recipe, said, labels, key.epoch, maps))

    work = Work(
        nets={FOR_USE: net},
        make=lambda key: tuple(maker.make(key)),
        turns=turns,
        rate=0.0,
    )
    return (yield from learn(recipe, cases, run, work, fabric))


def _renumbered(
    steps: Generator[Progress | Epoch, None, nn.Module],
    run: Path,
    number: int,
    before: int,
    of: int,
) -> Generator[Progress | Epoch, None, nn.Module]:
    """A round's events as those of the whole run, whose history is kept in `run`."""
    while True:
        try:
            event = next(steps)
        except StopIteration as end:
            net: nn.Module = end.value
            return net
        if isinstance(event, Progress):
            yield replace(event, note=f"round {number}, {event.note}")
            continue
        write_history(run, _rows(run, number))
        yield replace(event, number=before + event.number, of=of)


def _rows(run: Path, rounds: int) -> list[dict[str, float]]:
    """The rows of all rounds so far, numbered through."""
    rows: list[dict[str, float]] = []
    for number in range(1, rounds + 1):
        path = run / f"round-{number}" / HISTORY
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                values = {key: float(value) for key, value in row.items()}
                place = {"number": float(len(rows) + 1), "round": float(number)}
                rows.append(values | place)
    return rows


@torch.inference_mode()
def _log_p(
    net: nn.Module, case: Case, recipe: Recipe, fabric: Fabric
) -> npt.NDArray[np.float32]:
    """(K, *S): what the net says of a whole case that is ready for it."""
    window, shape = recipe.patches.size, case.labels.shape
    padded = tuple(max(pair) for pair in zip(shape, window, strict=True))
    around = [(0, p - s) for p, s in zip(padded, shape, strict=True)]
    image = np.pad(case.image, [(0, 0), *around], mode="reflect")
    weights = torch.from_numpy(gaussian(window))
    logits_KS = torch.zeros((recipe.net.classes, *padded))
    total = torch.zeros(padded)
    net.eval()
    for _, row in rows_of_windows(padded, window, OVERLAP):
        for start in row:
            cut = tuple(slice(a, a + w) for a, w in zip(start, window, strict=True))
            tile = torch.from_numpy(np.ascontiguousarray(image[:, *cut]))
            said = net(fabric.to_device(tile[None]))[0].float().cpu()
            logits_KS[:, *cut] += said * weights
            total[cut] += weights
    inside = tuple(slice(0, side) for side in shape)
    log_p: npt.NDArray[np.float32] = (
        (logits_KS / total).log_softmax(0)[:, *inside].numpy()
    )
    return log_p
