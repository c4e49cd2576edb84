"""What a run tells of itself: reports, and plain files that any tool reads."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HISTORY, SETTINGS, EVENTS = "history.csv", "settings.json", "events"


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch did.

    Attributes
    ----------
    number, of : int
        From 1.
    loss : float
        Mean over its steps.
    dice, best : float
        Mean over cases and structures of the validation cases, now and at its best.
    seconds : float
    rate : float
        Learning rate of its last step.
    more : mapping of str to float
        What a method measures beside, by the name of its column.
    note : str
        What a person should know of the epoch; mostly nothing.
    """

    number: int
    of: int
    loss: float
    dice: float
    best: float
    seconds: float
    rate: float = 0.0
    more: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    def row(self) -> dict[str, float]:
        """All numbers, by the name of their column."""
        values = asdict(self)
        del values["note"]
        more: dict[str, float] = values.pop("more")
        return {**values, **more}


def write_settings(run: Path, settings: dict[str, Any]) -> None:
    """All that was decided before the first step, as JSON."""
    _replace(run / SETTINGS, json.dumps(settings, indent=2, ensure_ascii=False) + "\n")


def write_history(run: Path, history: list[dict[str, Any]]) -> None:
    """The learning curve as CSV, for any spreadsheet."""
    lines = [",".join(history[0])]
    lines += [",".join(f"{value:g}" for value in row.values()) for row in history]
    _replace(run / HISTORY, "\n".join(lines) + "\n")


def write_events(run: Path, epoch: Epoch) -> None:
    """The same for TensorBoard, where it is installed."""
    try:
        board = import_module("torch.utils.tensorboard")
    except ImportError:
        return
    # Events of an interrupted run that are done again are dropped.
    with board.SummaryWriter(str(run / EVENTS), purge_step=epoch.number) as writer:
        for name, value in epoch.row().items():
            if name not in ("number", "of"):
                writer.add_scalar(name, value, epoch.number)


def _replace(path: Path, text: str) -> None:
    """Write; the earlier file stays until this one is whole."""
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.write_text(text, encoding="utf-8")
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
