"""A session's surroundings: an engine, layers and files that only pretend."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import Label, LabelMap, LabelTable
from napari_segreview.core.protocols import (
    Device,
    Doubts,
    LayerRef,
    Offer,
    Segmentation,
    VersionRow,
    Wish,
)
from napari_segreview.core.review import ErrorMaps, Review
from napari_segreview.core.scan import Scan
from napari_segreview.core.session import Session
from napari_segreview.engine.readers import consensus, study
from src_models.errors import InputError
from src_models.metrics import score, slice_scores_all
from src_models.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from pathlib import Path

    from napari_segreview.core.jobs import Job
    from napari_segreview.core.study import Consensus, Study

GRID = Grid.from_spacing((6, 7), (1.0, 1.0))


def a_scan(name: str = "head", *, flat: bool = True) -> Scan:
    grid = GRID if flat else Grid.from_spacing((3, 6, 7), (1.0, 1.0, 1.0))
    return Scan(data=np.zeros(grid.shape, np.uint8), grid=grid, name=name)


def some_labels(name: str = "labels", columns: int = 3) -> LabelMap:
    data = np.zeros(GRID.shape, np.uint8)
    data[1:4, 1 : 1 + columns] = 1
    return LabelMap(data=data, grid=GRID, name=name)


@dataclass
class FakeShelf:
    """Layers by key. `tell` is called when they come, go or are renamed."""

    layers: dict[str, Scan | LabelMap] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)  # key → why
    beside: list[str] = field(default_factory=list)
    visited: list[tuple[int, ...]] = field(default_factory=list)
    shown: list[tuple[str, str]] = field(default_factory=list)
    picked: list[tuple[str, Label]] = field(default_factory=list)
    alone: list[str] = field(default_factory=list)  # shown, the others hidden
    written: list[tuple[str, int]] = field(default_factory=list)  # tool, label
    tell: Callable[[], None] = lambda: None

    def images(self) -> tuple[LayerRef, ...]:
        return self._refs(Scan)

    def label_layers(self) -> tuple[LayerRef, ...]:
        return self._refs(LabelMap)

    def _refs(self, kind: type) -> tuple[LayerRef, ...]:
        return tuple(
            LayerRef(key, self.names[key])
            for key, layer in self.layers.items()
            if isinstance(layer, kind)
        )

    def scan(self, key: str) -> Any:
        return self._get(key)

    def label_map(self, key: str) -> Any:
        return self._get(key)

    def _get(self, key: str) -> Scan | LabelMap:
        if key in self.broken:
            raise InputError(self.broken[key])
        if key not in self.layers:
            raise InputError("that layer was closed; choose another one")
        return self.layers[key]

    def add(self, item: Scan | LabelMap) -> LayerRef:
        if "add" in self.broken:
            raise InputError(self.broken["add"])
        key = f"key {len(self.names)}"
        self.layers[key], self.names[key] = item, item.name
        self.tell()
        return LayerRef(key, item.name)

    def show(self, labels: LabelMap, beside: str) -> LayerRef:
        self.beside.append(beside)
        return self.add(labels)

    def mismatch(self, key: str, scan_key: str) -> str:
        return "" if self.fits(key, scan_key) else f"{self.names.get(key)}: elsewhere"

    def show_only(self, keys: Sequence[str]) -> None:
        self.alone = list(keys)

    def go_to(self, key: str, index: tuple[int, ...]) -> None:
        self._get(key)
        self.visited.append(index)

    def pick_up(self, key: str, label: Label) -> None:
        self._get(key)
        self.picked.append((key, label))

    def show_errors(self, maps: ErrorMaps, beside: str) -> None:
        self.shown.append((maps.title, beside))

    def show_consensus(self, found: Consensus, beside: str) -> None:
        self.shown.append((found.majority.name, beside))

    def show_doubts(self, found: Mapping[str, Doubts]) -> None:
        self.shown += [("doubts", key) for key in found]

    def table(self, key: str) -> LabelTable:
        return self.label_map(key).table

    def fits(self, key: str, scan_key: str) -> bool:
        pair = self.layers.get(key), self.layers.get(scan_key)
        return None not in pair and not pair[0].grid.difference(pair[1].grid)

    def voxels(self, key: str, box: Any) -> Any:
        return self.label_map(key).data[box].copy()

    def write(self, key: str, box: Any, values: Any, tool: str, label: int = 0) -> None:
        self.label_map(key).data[box] = values
        self.written.append((tool, label))

    def name_label(self, key: str, label: Label) -> None:
        old = self.label_map(key)
        table = LabelTable((*old.table.rows, label))
        self.layers[key] = replace(old, table=table)

    def close(self, key: str) -> None:
        del self.layers[key]
        self.tell()

    def rename(self, key: str, name: str) -> None:
        self.names[key] = name
        self.tell()


@dataclass
class FakeEngine:
    """Two models: "flat" reads 2D, "deep" reads 3D. `fault` breaks the next run."""

    fault: Exception | None = None
    wishes: list[Wish] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    pages: list[tuple[str, str, str]] = field(default_factory=list)
    closed: int = 0

    def offers(self, scan: Scan | None) -> tuple[Offer, ...]:
        found = [
            Offer(
                name=name,
                title=name,
                kind=f"{ndim}D",
                about="",
                reason=f"reads {ndim}D." if scan and scan.grid.ndim != ndim else "",
                mirrors=name == "flat",
            )
            for name, ndim in (
                ("flat", 2),
                ("deep", 3),
                *((name, 2) for name in self.added),
            )
        ]
        return tuple(sorted(found, key=lambda offer: bool(offer.reason)))

    def add_model(self, folder: Path) -> str:
        if self.fault is not None:
            raise self.fault
        self.added.append(folder.name)
        return folder.name

    def devices(self) -> tuple[Device, ...]:
        return Device("cuda:0", "GPU 0"), Device("cpu", "CPU")

    def segment(
        self, scan: Scan, wish: Wish
    ) -> Generator[Progress, None, Segmentation]:
        self.wishes.append(wish)
        try:
            for step in (1, 2, 3):
                yield Progress(step, 3, f"window {step}")
            if self.fault is not None:
                raise self.fault
            return Segmentation(some_labels(f"{scan.name} · model"), "Found a blob.")
        finally:
            self.closed += 1

    def versions(self, model: str) -> tuple[VersionRow, ...]:
        return (VersionRow(id="base", title=model, standing="accepted", active=True),)

    def review(
        self, prediction: LabelMap, reference: LabelMap, tolerance: float, **_: bool
    ) -> Generator[Progress, None, Review]:
        pair, spacing = (prediction.data, reference.data), prediction.grid.spacing
        names = (prediction.name, reference.name)
        report = yield from score(
            *pair, spacing=spacing, tolerance=tolerance, names=names
        )
        return Review(report, slice_scores_all(*pair, spacing=spacing, axis=0))

    def error_maps(
        self, prediction: LabelMap, reference: LabelMap, tolerance: float, **_: bool
    ) -> Generator[Progress, None, ErrorMaps]:
        yield Progress(1, 1, "maps")
        surface = np.zeros(prediction.data.shape, np.float32)
        return ErrorMaps(prediction, reference, surface, 2 * tolerance)

    def study(
        self, maps: Mapping[str, LabelMap], model: str, tolerance: float
    ) -> Generator[Progress, None, Study]:
        return study({"case": lambda: maps}, model=model, tolerance=tolerance)

    def consensus(
        self, maps: Mapping[str, LabelMap]
    ) -> Generator[Progress, None, Consensus]:
        return consensus(maps)

    def report(
        self,
        prediction: LabelMap,
        reference: LabelMap,
        scan: Scan | None,
        tolerance: float,
        model: str,
        path: Path,
        **_: bool,
    ) -> Generator[Progress, None, Path]:
        yield Progress(1, 1, "page")
        if self.fault is not None:
            raise self.fault
        self.pages.append((prediction.name, scan.name if scan else "", model))
        return path


class FakeLibrary:
    """Files by name."""

    files: Mapping[str, Sequence[Scan | LabelMap]] = {
        "a.nii": [a_scan("a")],
        "both.nii": [a_scan("b"), some_labels("b truth")],
    }

    def read(self, path: Path) -> Sequence[Scan | LabelMap]:
        if path.name not in self.files:
            raise InputError(f"{path.name}: there is no such file or folder")
        return self.files[path.name]

    def samples(self) -> Mapping[str, str]:
        return {"both.nii": "A sample"}

    def sample(self, key: str) -> Sequence[Scan | LabelMap]:
        return self.files[key]


class Later:
    """Keeps jobs until they are wanted."""

    def __init__(self) -> None:
        self.jobs: list[Job[Any]] = []

    def __call__(self, job: Job[Any]) -> None:
        self.jobs.append(job)

    def run(self) -> None:
        self.jobs.pop(0).run()


@dataclass
class Desk:
    """A session with all that it stands on."""

    session: Session
    engine: FakeEngine
    shelf: FakeShelf
    later: Later

    @property
    def state(self) -> Any:
        return self.session.state


def desk(*layers: Scan | LabelMap, at_once: bool = True, scorer: Any = None) -> Desk:
    """With these layers open; jobs run at once, or when `later` is told to."""
    engine, shelf, later = FakeEngine(), FakeShelf(), Later()
    submit = (lambda job: job.run()) if at_once else later
    ticks = iter(range(1000))
    session = Session(
        engine,
        shelf,
        FakeLibrary(),
        submit,
        scorer=scorer,
        clock=lambda: float(next(ticks)),
    )
    shelf.tell = session.layers_changed
    for layer in layers:
        shelf.add(layer)
    return Desk(session, engine, shelf, later)
