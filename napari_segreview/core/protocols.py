"""What the session needs of others, and the facts they exchange."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from pathlib import Path

    from napari_segreview.core.keeper import Keeper
    from napari_segreview.core.labels import LabelMap
    from napari_segreview.core.reviews import Mask
    from napari_segreview.core.scan import Scan
    from src_models.metrics import Report
    from src_models.progress import Progress


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


@dataclass(frozen=True, slots=True)
class Segmentation:
    """A model's answer, and one line that says what was done."""

    labels: LabelMap
    said: str


class Engine(Protocol):
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

    def score(
        self, prediction: LabelMap, reference: LabelMap, tolerance: float
    ) -> Generator[Progress, None, Report]: ...

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

    def version_wish(self, model: str, version: str, device: str) -> Wish:
        """A run of one version, active or not."""
        ...

    def doubts(
        self, scan: Scan, wish: Wish
    ) -> Generator[Progress, None, tuple[float, ...]]:
        """How unsure a model is in each plane along the first axis, in nats a plane."""
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
        """Show a plane along the layer's first spatial axis."""
        ...

    def freeze(self, key: str) -> None:
        """Let nobody paint on a Labels layer."""
        ...
