"""What the session needs of others, and the facts they exchange."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from napari_segreview.core.objects import Finder

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from napari_segreview.core.edits import Box, Labels, Tool
    from napari_segreview.core.keeper import Keeper
    from napari_segreview.core.labels import Label, LabelMap, LabelTable
    from napari_segreview.core.objects import ObjectReport
    from napari_segreview.core.prompts import Plane, Prompt
    from napari_segreview.core.review import ErrorMaps, Review
    from napari_segreview.core.scan import Scan
    from napari_segreview.core.study import Consensus, Study
    from src_models.progress import Progress

    Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LayerRef:
    """An open layer: a key that stays when it is renamed, and its name now."""

    key: str
    name: str


@dataclass(frozen=True, slots=True)
class Device:
    """Where a net can run: torch's name, and the words for the person."""

    key: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A model, looked at for one scan.

    Attributes
    ----------
    reason : str
        Why it cannot read the scan; "" if it can.
    note : str
        What the person should know before running it; may be empty.
    about : str
        What it is for, what it learnt from, what it reaches, its licence.
    mirrors, mirror : bool
        Whether mirror averaging is offered; whether it is on unless one says otherwise.
    """

    name: str
    title: str
    kind: str
    about: str
    reason: str = ""
    note: str = ""
    mirrors: bool = False
    mirror: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What to run, where and how; the device may be "auto"."""

    model: str
    device: str
    mirror: bool | None = None  # None: as the model's card says
    overlap: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneWish:
    """Which model to improve, where, for how long, by which loss."""

    model: str
    device: str
    budget_seconds: float = 180.0
    loss: str = "dice + ce"


@dataclass(frozen=True, slots=True)
class Improved:
    """A candidate: its version's id, what was decided, why."""

    version: str
    standing: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """A version of a model, for the list; the base has no reasons."""

    id: str
    title: str
    standing: str
    reasons: tuple[str, ...] = ()
    active: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Doubts:
    """How unsure a model is of a scan, in nats: `voxels` is (t?, z?, y, x).

    `planes`: along the first axis, the entropy of all voxels, summed; the frames' mean.
    """

    planes: tuple[float, ...]
    voxels: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Segmentation:
    """A model's answer, one line that says what was done, and its offer's note."""

    labels: LabelMap
    said: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Question:
    """What is marked in one plane of a scan, or in all of it.

    Attributes
    ----------
    prompts : tuple of Prompt
        All of this plane, the last one new.
    previous : (y, x) or (z, y, x) bool, or None
        The mask there so far.
    base : (y, x) or (z, y, x) bool, or None
        The mask there before the first of the prompts: of a label that is mended, or
        of slices filled in.
    """

    scan: Scan
    plane: Plane
    prompts: tuple[Prompt, ...]
    previous: Mask | None = None
    base: Mask | None = None


class Engine(Finder, Protocol):
    """Models, and what they do with scans."""

    def offers(self, scan: Scan | None) -> tuple[Offer, ...]:
        """All models; those that fit the scan come first."""
        ...

    def add_model(self, folder: Path) -> str:
        """Keep a trained model from a folder; returns its name; raises InputError."""
        ...

    def devices(self) -> tuple[Device, ...]:
        """The best first."""
        ...

    def segment(
        self, scan: Scan, wish: Wish
    ) -> Generator[Progress, None, Segmentation]: ...

    def warm(self) -> None:
        """Get ready for questions, so that the first one need not wait."""
        ...

    def answer(self, question: Question) -> Mask:
        """The structure in the question's plane, (y, x); raises InputError."""
        ...

    def through(
        self, scan: Scan, masks: Mapping[Plane, Mask]
    ) -> Generator[Progress, None, dict[Plane, Mask]]:
        """From some parallel slices of a structure, its other slices."""
        ...

    def review(
        self,
        prediction: LabelMap,
        reference: LabelMap,
        tolerance: float,
        *,
        resample: bool = False,
    ) -> Generator[Progress, None, Review]:
        """Scores, on the reference's grid if asked to `resample`; raises InputError."""
        ...

    def error_maps(
        self,
        prediction: LabelMap,
        reference: LabelMap,
        tolerance: float,
        *,
        resample: bool = False,
    ) -> Generator[Progress, None, ErrorMaps]:
        """On the reference's grid."""
        ...

    def study(
        self, maps: Mapping[str, LabelMap], model: str, tolerance: float
    ) -> Generator[Progress, None, Study]:
        """Several readers' labels of one case; `model` names one of them, or is ""."""
        ...

    def consensus(
        self, maps: Mapping[str, LabelMap]
    ) -> Generator[Progress, None, Consensus]: ...

    def report(
        self,
        prediction: LabelMap,
        reference: LabelMap,
        scan: Scan | None,
        tolerance: float,
        model: str,
        path: Path,
        *,
        resample: bool = False,
        objects: ObjectReport | None = None,
    ) -> Generator[Progress, None, Path]:
        """Write a page with pictures, CSV and JSON beside it; "" is no known model."""
        ...

    def improve(
        self, scan: Scan, labels: LabelMap, checked: Mask, wish: TuneWish
    ) -> Generator[Progress, None, Improved]:
        """Keep the corrections, train a candidate on them, judge it, keep it."""
        ...

    def versions(self, model: str) -> tuple[VersionRow, ...]:
        """The base first; none if there is no such model."""
        ...

    def activate(self, model: str, version: str) -> None:
        """Raises InputError if that version may not be the active one."""
        ...

    def compare_versions(
        self, model: str, version: str, device: str
    ) -> Generator[Progress, None, tuple[str, ...]]:
        """How it does on the locked cases beside the active one, in words."""
        ...

    def export_version(self, model: str, version: str, path: Path) -> None:
        """Write it as a zip; raises InputError or OSError."""
        ...

    def take_version(self, model: str, path: Path) -> str:
        """Keep the version in a zip, not active; raises InputError or OSError."""
        ...

    def version_wish(self, model: str, version: str, device: str) -> Wish:
        """A run of one version, active or not."""
        ...

    def doubts(self, scan: Scan, wish: Wish) -> Generator[Progress, None, Doubts]:
        """Where a model is unsure; raises InputError if it cannot read the scan."""
        ...


class Library(Protocol):
    """Where scans come from."""

    def read(self, path: Path) -> Sequence[Scan | LabelMap]:
        """All that a file or a DICOM folder holds; raises InputError."""
        ...

    def samples(self) -> Mapping[str, str]:
        """Key → title of the samples."""
        ...

    def sample(self, key: str) -> Sequence[Scan | LabelMap]: ...


class Shelf(Protocol):
    """The layers that are open."""

    def images(self) -> tuple[LayerRef, ...]: ...

    def label_layers(self) -> tuple[LayerRef, ...]: ...

    def scan(self, key: str) -> Scan:
        """Raises InputError if the layer is gone or cannot be read as a scan."""
        ...

    def label_map(self, key: str) -> LabelMap:
        """Raises InputError if the layer is gone."""
        ...

    def add(self, item: Scan | LabelMap) -> LayerRef:
        """Add it as a new layer where it lies."""
        ...

    def show(self, labels: LabelMap, beside: str) -> LayerRef:
        """Add a new Labels layer, placed as the layer `beside` if that is still open."""
        ...

    def mismatch(self, key: str, scan_key: str) -> str:
        """How labels miss an image's voxels, in words; "" if they do not, or are gone."""
        ...

    def show_only(self, keys: Sequence[str]) -> None:
        """Hide all layers but these, and bring these into view."""
        ...

    def go_to(self, key: str, index: tuple[int, ...]) -> None:
        """Move the view to a voxel of a layer; raises InputError if that is gone."""
        ...

    def pick_up(self, key: str, label: Label) -> None:
        """Make a Labels layer the one that is painted on, with a brush of that label.

        Raises InputError if it is gone, read-only, or its type cannot hold the label.
        """
        ...

    def show_errors(self, maps: ErrorMaps, beside: str) -> None:
        """Show where a prediction is wrong, only to look at, in place of earlier ones."""
        ...

    def show_doubts(self, found: Mapping[str, Doubts]) -> None:
        """Show over image layers (keys) where a model is unsure, in place of earlier."""
        ...

    def show_consensus(self, found: Consensus, beside: str) -> None:
        """Add majority and STAPLE as Labels layers, and where the readers disagree."""
        ...

    def bind(self, key: str, keeper: Keeper, outgrown: Callable[[], None]) -> None:
        """Give each change of a Labels layer to its keeper, and its undo to the keeper.

        `outgrown` is called when the layer gets an array of another shape or type.
        Raises InputError if the layer is gone or cannot be painted on.
        """
        ...

    def release(self, key: str) -> None:
        """The end of `bind`: what is not kept yet is; the layer may be gone."""
        ...

    def plane(self, key: str) -> tuple[int, int, int | None]:
        """The spatial axis and plane of a layer that is looked at, and the frame.

        Raises InputError if the layer is gone, or is shown in 3D.
        """
        ...

    def look(self, key: str, plane: int) -> None:
        """Show a plane along a layer's first spatial axis; raises InputError if gone."""
        ...

    def drag_box(
        self, key: str, then: Callable[[tuple[Box, int | None]], None]
    ) -> None:
        """Let the user drag a rectangle in the plane of a layer that is looked at.

        `then` gets its spatial slices, and the frame if any. Raises InputError as `plane`.
        """
        ...

    def freeze(self, key: str) -> None:
        """Let nobody paint on a Labels layer."""
        ...

    def table(self, key: str) -> LabelTable:
        """Names and colours of a Labels layer; raises InputError if it is gone."""
        ...

    def fits(self, key: str, scan_key: str) -> bool:
        """Whether a Labels layer lies voxel on voxel on an image layer."""
        ...

    def voxels(self, key: str, box: Box) -> Labels:
        """A copy of a box of a Labels layer; raises InputError if it is gone."""
        ...

    def write(
        self, key: str, box: Box, values: Labels, tool: Tool, label: int = 0
    ) -> None:
        """Put values into a box of a Labels layer, as one step that can be undone.

        Raises InputError, and writes nothing, if it is gone, read-only, or too narrow.
        """
        ...

    def name_label(self, key: str, label: Label) -> None:
        """Give a label of a Labels layer its name and colour."""
        ...
