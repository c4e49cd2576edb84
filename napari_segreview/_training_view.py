"""Training on a terminal: a bar for the epoch, a line an epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from src_models.training.fit import Epoch, Step

if TYPE_CHECKING:
    from collections.abc import Generator

    from rich.console import Console

    from src_models.card import TrainedCard
    from src_models.progress import Progress


def follow_training(
    steps: Generator[Step | Epoch | Progress, None, TrainedCard], console: Console
) -> TrainedCard:
    """Run it to its end; returns the card."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    quiet = not console.is_terminal
    with Bar(*columns, console=console, transient=True, disable=quiet) as bar:
        task = bar.add_task("starting", total=None)
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                card: TrainedCard = end.value
                return card
            if isinstance(step, Epoch):
                console.print(
                    f"epoch {step.number}/{step.of}  loss {step.loss:.4f}  "
                    f"Dice {step.dice:.4f}  best {step.best:.4f}  {step.seconds:.0f} s",
                    highlight=False,
                )
            elif isinstance(step, Step):
                note = f"epoch {step.epoch}  loss {step.loss:.3f}"
                bar.update(task, description=note, completed=step.number, total=step.of)
            else:
                bar.update(
                    task, description=step.note, completed=step.done, total=step.total
                )
