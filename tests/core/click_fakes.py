"""A desk for clicks: an engine whose answers are known, answers that come when told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from session_fakes import FakeEngine, FakeLibrary, FakeShelf, Later

from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import LabelMap, LabelTable
from napari_segreview.core.prompts import Plane, Point, flat
from napari_segreview.core.scan import Scan
from napari_segreview.core.session import Session
from src_models.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from napari_segreview.core.prompts import Prompt
    from napari_segreview.core.protocols import Question

SHAPE = (4, 6, 7)


def dabs(mask: Any, prompts: Sequence[Prompt], ndim: int = 3) -> Any:
    """Each place of a prompt sets, or clears, itself and its neighbours."""
    out = mask.copy()
    for prompt in prompts:
        for place in np.rint(flat(prompt, ndim)).astype(int):
            around = tuple(slice(max(at - 1, 0), at + 2) for at in place)
            out[around] = getattr(prompt, "positive", True)
    return out


@dataclass
class ClickEngine(FakeEngine):
    """Answers with `dabs` on what was there before the first prompt."""

    questions: list[Question] = field(default_factory=list)
    wrong: Exception | None = None
    warmed: int = 0

    def warm(self) -> None:
        self.warmed += 1
        if self.wrong is not None:
            raise self.wrong

    def answer(self, question: Question) -> Any:
        self.questions.append(question)
        if self.wrong is not None:
            raise self.wrong
        sides = question.scan.grid.shape
        axes = question.plane.axes(len(sides))
        start = np.zeros([sides[axis] for axis in axes], bool)
        if question.base is not None:
            start = question.base.copy()
        return dabs(start, question.prompts, len(sides))

    def through(
        self, scan: Scan, masks: Mapping[Plane, Any]
    ) -> Generator[Progress, None, dict[Plane, Any]]:
        """The last mask in all slices that were not clicked."""
        yield Progress(0, 1, "slice")
        axis, last = next((p.axis, m) for p, m in masks.items())
        sides = range(scan.grid.shape[axis or 0])
        planes = (Plane(axis, index) for index in sides)
        return {plane: last for plane in planes if plane not in masks}


def volume(name: str = "head") -> Scan:
    grid = Grid.from_spacing(SHAPE, (10.0, 10.0, 10.0))  # a voxel is one ml
    return Scan(data=np.zeros(SHAPE, np.int16), grid=grid, name=name)


def labels_on(scan: Scan, dtype: Any = np.uint8) -> LabelMap:
    """Label 2 in a corner of the second slice."""
    data = np.zeros(scan.grid.shape, dtype)
    data[1, :2, :2] = 2
    table = LabelTable.of({1: "liver", 2: "vein"})
    return LabelMap(data=data, grid=scan.grid, table=table, name="working")


class Desk:
    """A session with a scan and labels; `later.run` gives the next answer."""

    def __init__(self, *, at_once: bool = True, dtype: Any = np.uint8) -> None:
        self.engine, self.shelf, self.later = ClickEngine(), FakeShelf(), Later()
        self.session = Session(
            self.engine,
            self.shelf,
            FakeLibrary(),
            lambda job: job.run(),
            ask=None if at_once else self.later,
        )
        self.shelf.tell = self.session.layers_changed
        self.scan = volume()
        self.image = self.shelf.add(self.scan).key
        self.key = self.shelf.add(labels_on(self.scan, dtype)).key
        self.correct(self.key)

    def correct(self, key: str) -> None:
        """Choose labels to correct; no journals are kept here."""
        self.session._keeping._become(layer=key)

    @property
    def clicking(self) -> Any:
        return self.session.clicking

    @property
    def clicks(self) -> Any:
        return self.session.state.clicks

    @property
    def labels(self) -> Any:
        return self.shelf.label_map(self.key).data

    def click(self, z: int, y: int, x: int, positive: bool = True) -> None:
        self.clicking.prompt(point(z, y, x, positive))

    def drain(self) -> None:
        """Let all answers come."""
        while self.later.jobs:
            self.later.run()


def point(z: int, y: int, x: int, positive: bool = True) -> Point:
    return Point(Plane(0, z), (float(z), float(y), float(x)), positive)
