"""Kill -9 in the middle of the work, many times: is anything lost?

    python benchmarks/journal_kill.py [--runs 200] [--seed 0]

A process works through a random script of strokes, fills, undo, redo and renaming, its
journal compacting all the while, and reports each step once it is saved. It is killed at a
random moment. The journal is then opened again: the labels must be, bit for bit, those
after the last step reported or after the one that was under way, and undo must lead back
through every earlier state. Prints one line of JSON: runs, steps, how many runs lost
anything, how often the step under way was on the disk already, how often a torn record
was dropped. Not for Windows (it forks).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_segreview.core import keeper as keeper_module
from napari_segreview.core.case import CaseFacts
from napari_segreview.core.cases import Cases
from napari_segreview.core.geometry import Grid
from napari_segreview.core.keeper import FILE, Keeper
from napari_segreview.core.labels import LabelMap
from napari_segreview.core.records import read

if TYPE_CHECKING:
    from collections.abc import Iterator

SHAPE = (6, 96, 80)
STEPS = 400
keeper_module.SLACK = 4096  # compacts every few dozen steps

Labels = np.ndarray


def script(seed: int) -> Iterator[tuple[str, tuple[slice, ...], int]]:
    """(what, box, value) of each step; the same for the same seed."""
    random = np.random.default_rng(seed)
    for _ in range(STEPS):
        what = random.choice(["stroke", "fill", "undo", "redo", "rename"], p=WEIGHTS)
        starts = [int(random.integers(n)) for n in SHAPE]
        sides = (1, 12, 12) if what == "stroke" else SHAPE
        box = tuple(
            slice(a, min(n, a + side))
            for a, n, side in zip(starts, SHAPE, sides, strict=True)
        )
        yield str(what), box, int(random.integers(1, 6))


WEIGHTS = [0.5, 0.05, 0.2, 0.2, 0.05]


def work(root: Path, seed: int, tell: int) -> None:
    """The process that is killed: one byte to `tell` for each step that is saved."""
    labels = first()
    grid = Grid.from_spacing(SHAPE, (1.0, 1.0, 1.0))
    facts = CaseFacts.of(
        LabelMap(data=labels, grid=grid, name="working"), origin="made"
    )
    keeper = Cases(root).begin(facts, labels)
    os.write(tell, b".")
    for what, box, value in script(seed):
        step(keeper, what, box, value)
        if keeper.state.fault:
            os._exit(3)
        os.write(tell, b".")
    while True:
        signal.pause()


def step(keeper: Keeper, what: str, box: tuple[slice, ...], value: int) -> None:
    if what in ("stroke", "fill"):
        labels = keeper.labels.copy()
        labels[box] = value
        keeper.note(labels, [box], tool="brush" if what == "stroke" else "fill")
    elif what == "rename":
        keeper.rename(f"working {value}")
    else:
        (keeper.undo if what == "undo" else keeper.redo)()


def first() -> Labels:
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:3, 10:60, 10:60] = 9
    return labels


class Plain:
    """The same script with whole arrays."""

    def __init__(self) -> None:
        self.states, self.at = [first()], 0

    def step(self, what: str, box: tuple[slice, ...], value: int) -> None:
        if what in ("stroke", "fill"):
            labels = self.states[self.at].copy()
            labels[box] = value
            if not np.array_equal(labels, self.states[self.at]):
                self.states[self.at + 1 :] = [labels]
                self.at += 1
        elif what == "undo":
            self.at = max(0, self.at - 1)
        elif what == "redo":
            self.at = min(len(self.states) - 1, self.at + 1)

    def agrees_with(self, root: Path, key: str) -> bool:
        """Whether a journal tells the same, bit for bit, at each undo and redo too."""
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(root / key, Path(folder) / key)
            keeper = Cases(Path(folder)).resume(key)
            same = self._agrees(keeper)
            keeper.close()
        return same

    def _agrees(self, keeper: Keeper) -> bool:
        ways = [
            (keeper.undo, self.states[: self.at][::-1]),
            (keeper.redo, self.states[1:]),
        ]
        same = np.array_equal(keeper.labels, self.states[self.at])
        for go, expected in ways:
            for state in expected:
                same = same and go() is not None
                same = same and np.array_equal(keeper.labels, state)
            same = same and go() is None
        return same


def one_run(seed: int, moment: np.random.Generator) -> dict[str, int]:
    """Start, kill, look."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        steps = kill_at_work(root, seed, moment)
        offers = Cases(root).recoverable()
        if not offers:
            return {"steps": 0, "lost": int(steps > 0), "further": 0, "torn": 0}
        key = offers[0].key
        torn = int(read(root / key / FILE).ending == "torn")
        plain, moves = Plain(), list(script(seed))
        done = steps - 1 if steps else 0  # the first report is of the start
        for move in moves[:done]:
            plain.step(*move)
        at_report = plain.agrees_with(root, key)
        further = False
        if not at_report and done < len(moves):
            plain.step(*moves[done])
            further = plain.agrees_with(root, key)
        lost = not (at_report or further)
        return {"steps": done, "lost": int(lost), "further": int(further), "torn": torn}


def kill_at_work(root: Path, seed: int, moment: np.random.Generator) -> int:
    """Returns how many bytes were reported before the end."""
    heard, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(heard)
        try:
            work(root, seed, tell)
        finally:
            os._exit(2)
    os.close(tell)
    wanted = int(moment.integers(0, 120))
    count = 0
    while count < wanted:
        count += len(os.read(heard, wanted - count))
    until = time.perf_counter() + float(moment.uniform(0, 0.01))
    while time.perf_counter() < until:
        pass
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        raise RuntimeError(f"the worker ended by itself: status {status}")
    while more := os.read(heard, 4096):
        count += len(more)
    os.close(heard)
    return count


def run(runs: int, seed: int) -> dict[str, int]:
    moment = np.random.default_rng(seed)
    total = {"runs": runs, "steps": 0, "lost": 0, "further": 0, "torn": 0}
    for number in range(runs):
        for key, value in one_run(1000 * seed + number, moment).items():
            total[key] += value
    return total


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(json.dumps(run(given.runs, given.seed)))
