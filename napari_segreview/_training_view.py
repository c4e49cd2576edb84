"""Training on a terminal: a live table and curve; elsewhere a line an epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from src_models.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from rich.console import Console, RenderableType

    from src_models.card import TrainedCard
    from src_models.training.curves import Epoch

BLOCKS = "▁▂▃▄▅▆▇█"
ROWS, WIDTH = 8, 60  # latest epochs in the table; places of the curve


def follow_training(
    steps: Generator[Epoch | Progress, None, TrainedCard | None], console: Console
) -> TrainedCard | None:
    """Run it to its end; returns what it returns."""
    note = TextColumn("{task.description}", markup=False)
    bar = Bar(note, BarColumn(), TimeRemainingColumn(), console=console)
    task = bar.add_task("starting", total=None)
    epochs: list[Epoch] = []
    screen = Live(console=console, get_renderable=lambda: picture(epochs, bar))
    live = console.is_terminal
    if live:
        screen.start()
    try:
        while True:
            event = next(steps)
            if isinstance(event, Progress):
                done, total = event.done, event.total
                bar.update(task, description=event.note, completed=done, total=total)
                continue
            epochs.append(event)
            if not live:
                console.print(line(event), highlight=False)
    except StopIteration as end:
        card: TrainedCard | None = end.value
        return card
    finally:
        if live:
            screen.stop()


def line(epoch: Epoch) -> str:
    """One epoch in words."""
    more = "".join(f"{name} {value:.4f}  " for name, value in epoch.more.items())
    note = f"\n{epoch.note}" if epoch.note else ""
    return (
        f"epoch {epoch.number}/{epoch.of}  loss {epoch.loss:.4f}  "
        f"Dice {epoch.dice:.4f}  best {epoch.best:.4f}  {more}{epoch.seconds:.0f} s{note}"
    )


def picture(epochs: Sequence[Epoch], bar: RenderableType) -> RenderableType:
    """Table of the latest epochs, curves of all, bar of the present one."""
    if not epochs:
        return bar
    table = Table(box=None)
    more = tuple(epochs[0].more)
    for header in ("epoch", "loss", "Dice", "best", *more, "rate", "seconds"):
        table.add_column(header, justify="right")
    for one in epochs[-ROWS:]:
        table.add_row(
            f"{one.number}/{one.of}",
            *(f"{value:.4f}" for value in (one.loss, one.dice, one.best)),
            *(f"{one.more[name]:.4f}" for name in more),
            f"{one.rate:.1e}",
            f"{one.seconds:.0f}",
        )
    curves = Table(box=None, show_header=False)
    curves.add_row("loss", sparkline([one.loss for one in epochs]))
    curves.add_row("Dice", sparkline([one.dice for one in epochs]))
    notes = [epochs[-1].note] if epochs[-1].note else []
    return Group(table, curves, *notes, bar)


def sparkline(values: Sequence[float]) -> str:
    """Blocks from the lowest value to the highest; many values are thinned out evenly.

    Equal values stand at the bottom; without any: "".
    """
    if len(values) > WIDTH:
        step = (len(values) - 1) / (WIDTH - 1)
        values = [values[round(i * step)] for i in range(WIDTH)]
    low, high = min(values, default=0.0), max(values, default=0.0)
    span = (high - low) or 1.0
    top = len(BLOCKS) - 1
    return "".join(BLOCKS[round((value - low) / span * top)] for value in values)
