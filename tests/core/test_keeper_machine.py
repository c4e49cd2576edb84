"""Any sequence of edits, undo, redo, crashes: the same as with plain arrays."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from keeping_fakes import begin, blank, crash, journal_of

from napari_segreview.core import keeper as keeper_module
from napari_segreview.core.cases import Cases

SHAPES = ((5, 7), (130, 66), (3, 70, 9), (2, 3, 4, 5))


class Machine(RuleBasedStateMachine):
    """The model: all states as whole arrays, and where among them we are."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp())
        self.slack, keeper_module.SLACK = keeper_module.SLACK, 300  # compacts often
        self.turn = 0

    @initialize(
        shape=st.sampled_from(SHAPES),
        dtype=st.sampled_from(("u1", "u2", "u4", "u8")),
        seed=st.integers(0, 9),
    )
    def start(self, shape: tuple[int, ...], dtype: str, seed: int) -> None:
        labels = blank(shape, dtype)
        labels.data[:] = np.random.default_rng(seed).integers(0, 2, shape)
        self.keeper = begin(self.root, labels)
        self.states = [labels.data.copy()]
        self.at = 0

    @property
    def root(self) -> Path:
        return self.home / str(self.turn)

    @rule(data=st.data(), value=st.integers(0, 200))
    def paint(self, data: Any, value: int) -> None:
        labels = self.states[self.at].copy()
        ends = [
            sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n))))
            for n in labels.shape
        ]
        box = tuple(slice(a, b) for a, b in ends)
        labels[box] = value
        self.keeper.note(labels, [box] if labels[box].size else [])
        self._did(labels)

    @rule(data=st.data())
    def scatter(self, data: Any) -> None:
        """Single voxels anywhere, compared over the whole array."""
        labels = self.states[self.at].copy()
        for _ in range(3):
            where = tuple(data.draw(st.integers(0, n - 1)) for n in labels.shape)
            labels[where] += 1
        self.keeper.note(labels)
        self._did(labels)

    def _did(self, labels: Any) -> None:
        if not np.array_equal(labels, self.states[self.at]):
            self.states[self.at + 1 :] = [labels]
            self.at += 1

    @rule()
    def undo(self) -> None:
        step = self.keeper.undo()
        assert (step is None) == (self.at == 0)
        self.at = max(0, self.at - 1)

    @rule()
    def redo(self) -> None:
        step = self.keeper.redo()
        assert (step is None) == (self.at == len(self.states) - 1)
        self.at = min(len(self.states) - 1, self.at + 1)

    @rule()
    def crash_and_restart(self) -> None:
        """What is on the disk at this moment, elsewhere."""
        old = self.root
        self.turn += 1
        shutil.copytree(old, self.root)
        crash(self.keeper)
        self.keeper = Cases(self.root).resume(journal_of(self.root).parent.name)
        assert self.keeper.said == ""

    @precondition(lambda self: len(self.states) > 1)
    @rule()
    def close_and_restart(self) -> None:
        self.keeper.close()
        self.keeper = Cases(self.root).resume(journal_of(self.root).parent.name)

    @invariant()
    def same(self) -> None:
        if hasattr(self, "states"):
            assert np.array_equal(self.keeper.labels, self.states[self.at])
            assert self.keeper.labels.dtype == self.states[0].dtype

    def teardown(self) -> None:
        keeper_module.SLACK = self.slack
        if hasattr(self, "keeper"):
            crash(self.keeper)
        shutil.rmtree(self.home)


Machine.TestCase.settings = settings(max_examples=60, stateful_step_count=25)
TestMachine = Machine.TestCase
