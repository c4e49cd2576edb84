"""Whether a critic still says anything.

Its column in the run's history holds one number an epoch: for critics that tell real from
made, the share of right answers; NaN in epochs in which it did not learn. What has become
of it follows from the column alone, so a run that is taken up again goes on as it would
have gone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from src_models.adversaries.options import Criticised

    Symptom = Callable[[Sequence[float], int], str]

SATURATED = (
    0.99  # share of right answers from which there is nothing to win for the other
)
CHANCE = 0.02  # at most so far from one half, the answers are guesses
WEIGHT, RATE = "method.options.weight", "method.options.learning_rate"
ADVICE = {
    "saturated": f"it is always right, so raise {WEIGHT}, or lower {RATE}",
    "no signal": f"it finds no difference, so raise {RATE}, or lower {WEIGHT}",
    "not a number": f"the segmentor goes on without it; lower {RATE}",
}


def symptom(shares: Sequence[float], patience: int) -> str:
    """What the last `patience` shares of right answers have in common; "" if nothing.

    Parameters
    ----------
    shares : sequence of float
        In [0, 1], an epoch each; fewer than `patience` say nothing.
    """
    last = shares[-patience:]
    if len(last) < patience:
        return ""
    if all(share >= SATURATED for share in last):
        return "saturated"
    if all(abs(share - 0.5) <= CHANCE for share in last):
        return "no signal"
    return ""


class Referee:
    """Looks on while nets learn in turns; knows which critics may still judge.

    Parameters
    ----------
    critics : sequence of str
        Names of their columns.
    options : Criticised
    alone : int
        Epochs at the start without critics.
    also : sequence of str
        Names of further columns, of what is noted beside.
    symptom : callable
        (a column, patience) → what its last epochs show, in words; "" if nothing.
    """

    def __init__(
        self,
        critics: Sequence[str],
        options: Criticised,
        alone: int,
        symptom: Symptom = symptom,
        also: Sequence[str] = (),
    ) -> None:
        self.symptom = symptom
        self.history: Sequence[Mapping[str, float]] = ()
        self.noted: dict[str, list[float]] = {name: [] for name in also}
        self.options, self.alone, self.started = options, alone, False
        self.columns: dict[str, list[float]] = {name: [] for name in critics}
        self.seen: dict[str, list[float]] = {name: [] for name in critics}
        self.gone: dict[str, str] = {}

    def begin(self, history: Sequence[Mapping[str, float]]) -> None:
        """From the rows of the epochs so far: who still judges."""
        self.history, later = history, history[self.alone :]
        self.started = len(history) >= self.alone
        self.gone = {}
        for noted in self.noted.values():
            noted.clear()
        for name, column in self.columns.items():
            column[:] = [row[name] for row in later]
            self.seen[name].clear()
            if self._sent_away(column):
                self.gone[name] = "dismissed"

    def _sent_away(self, column: Sequence[float]) -> bool:
        if any(math.isnan(share) for share in column):
            return True
        dismisses = self.options.on_collapse == "dismiss"
        return dismisses and bool(self.symptom(column, self.options.patience))

    def judges(self, name: str) -> bool:
        """Whether the critic is to learn, and to be heard, now."""
        return self.started and name not in self.gone

    def saw(self, name: str, value: float) -> None:
        """A step's share of right answers, or the like; NaN sends the critic away."""
        if math.isnan(value):
            self.gone[name] = "not a number"
        self.seen[name].append(value)

    def note(self, name: str, value: float) -> None:
        """A step's value of a further column."""
        self.noted[name].append(value)

    def end(self) -> tuple[dict[str, float], str]:
        """The epoch's columns, and what there is to say of it."""
        row, notes = {name: mean(seen) for name, seen in self.noted.items()}, []
        for name, seen in self.seen.items():
            row[name] = mean(seen)
            found = self.gone.get(name) or self.symptom(
                [*self.columns[name], row[name]], self.options.patience
            )
            if found:
                advice = ADVICE.get(found, "the segmentor goes on without it")
                notes.append(f"{name} has collapsed ({found}): {advice}")
        return row, "; ".join(notes)


def mean(values: Sequence[float]) -> float:
    """NaN of none."""
    return math.fsum(values) / len(values) if values else math.nan


def right_answers(real: Tensor, made: Tensor) -> float:
    """The share of logits on the right side of 0; NaN if any is no number."""
    if not (real.isfinite().all() and made.isfinite().all()):
        return math.nan
    return float(((real > 0).float().mean() + (made < 0).float().mean()) / 2)
