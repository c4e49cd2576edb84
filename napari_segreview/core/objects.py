"""Objects one by one (lesions, nuclei): found, missed, false. Tables of them. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from napari_segreview.core.table import Cell, Table

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from napari_segreview.core.labels import LabelMap
    from src_models.metrics import Detection
    from src_models.progress import Progress

Are = Literal["parts", "labels"]
Rule = Literal["iou", "centre"]
Kind = Literal["missed", "false", "found"]
ARE: dict[Are, str] = {
    "parts": "connected parts of each label",
    "labels": "the labels themselves",
}
RULES: dict[Rule, str] = {
    "iou": "overlap (IoU)",
    "centre": "centre inside",
}
MOST = 500  # rows of single objects; nobody visits more
NONE = "No object on either side: 1. On one side only: 0."
MEANINGS = {
    "Objects": "Objects of the reference",
    "Found": "Objects of the reference that an object of the prediction matches",
    "Missed": "Objects of the reference that nothing matches",
    "False": "Objects of the prediction that match nothing",
    "Sensitivity": f"Found / objects. {NONE}",
    "Precision": f"Found / (found + false). {NONE}",
    "F1": f"Found / (found + missed/2 + false/2): recognition quality, RQ. {NONE}",
    "Mean IoU": f"Over the found: segmentation quality, SQ. {NONE}",
    "PQ": f"Panoptic quality, SQ × RQ (Kirillov 2019, where an IoU above 0.5 matches). "
    f"{NONE}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectWish:
    """What an object is, and when two are the same one.

    Attributes
    ----------
    are : {"parts", "labels"}
        Connected voxels of one label (also at corners); or all voxels of one value.
    rule : {"iou", "centre"}
        The same one if their IoU is above `threshold`; or if the middle of the predicted
        one lies in that of the reference.
    threshold : float
        In [0, 1), for rule "iou".
    """

    are: Are = "parts"
    rule: Rule = "iou"
    threshold: float = 0.5

    @property
    def words(self) -> str:
        """E.g. "connected parts of each label, matched by overlap (IoU) above 0.5"."""
        above = f" above {self.threshold:g}" if self.rule == "iou" else ""
        return f"{ARE[self.are]}, matched by {RULES[self.rule]}{above}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """One object: found (the pair is one), missed or false.

    Attributes
    ----------
    iou : float
        Of the pair; 0 where there is none.
    volume_prediction, volume_reference : float
        In the report's unit of volume; 0 where there is none.
    index : tuple of int
        A voxel of it near its middle, (t,) (z,) y, x.
    """

    structure: str
    kind: Kind
    iou: float
    volume_prediction: float
    volume_reference: float
    index: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectReport:
    """All objects of a prediction and a reference.

    Attributes
    ----------
    found : mapping
        Structure → which objects are the same.
    things : tuple of Thing
        Each of them, what is wrong first, the larger before the smaller.
    volume_unit : str
    has_time : bool
        Whether the first number of an index is a frame.
    """

    wish: ObjectWish
    found: Mapping[str, Detection]
    things: tuple[Thing, ...]
    volume_unit: str
    has_time: bool
    notes: tuple[str, ...] = ()


class Finder(Protocol):
    """Finds the objects of two label maps."""

    def find_objects(
        self,
        prediction: LabelMap,
        reference: LabelMap,
        wish: ObjectWish,
        *,
        resample: bool = False,
    ) -> Generator[Progress, None, ObjectReport]:
        """Raises InputError."""
        ...


def in_order(thing: Thing) -> tuple[bool, float]:
    """What is missed or false by falling volume, then what is found by rising IoU."""
    if thing.kind == "found":
        return True, thing.iou
    return False, -max(thing.volume_prediction, thing.volume_reference)


def object_table(report: ObjectReport) -> Table:
    """A row a structure."""
    rows = []
    for name, found in report.found.items():
        counts = len(found.matches), len(found.missed), len(found.false)
        shares = (
            found.sensitivity,
            found.precision,
            found.recognition,
            found.quality,
            found.panoptic,
        )
        numbers = (counts[0] + counts[1], *counts)
        rows.append(
            (
                Cell(name, name),
                *(Cell(str(n), float(n)) for n in numbers),
                *(Cell(f"{share:.3f}", share) for share in shares),
            )
        )
    return Table(
        headers=("Structure", *MEANINGS),
        hovers=("The structure", *MEANINGS.values()),
        rows=tuple(rows),
    )


def thing_table(report: ObjectReport) -> Table:
    """A row an object, at most `MOST`; keys are places in `ObjectReport.things`."""
    unit = report.volume_unit
    return Table(
        headers=("", "Structure", "IoU", f"Reference\n{unit}", f"Predicted\n{unit}"),
        hovers=(
            f"Whether the object was found: {report.wish.words}",
            "The structure",
            "Of the two objects that are the same one. No such pair: –",
            "Volume of the object in the reference",
            "Volume of the object in the prediction",
        ),
        rows=tuple(_cells(one) for one in report.things[:MOST]),
        keys=tuple(str(at) for at in range(min(MOST, len(report.things)))),
    )


def object_facts(report: ObjectReport) -> dict[str, Any]:
    """All of it for a JSON file."""
    shares = ("sensitivity", "precision", "recognition", "quality", "panoptic")
    return {
        "format": "segreview objects 1",
        "wish": asdict(report.wish),
        "volume_unit": report.volume_unit,
        "notes": report.notes,
        "structures": {
            name: {
                "found": len(one.matches),
                "missed": len(one.missed),
                "false": len(one.false),
                **{key: getattr(one, key) for key in shares},
            }
            for name, one in report.found.items()
        },
        "objects": [asdict(one) for one in report.things],
    }


def _cells(one: Thing) -> tuple[Cell, ...]:
    return (
        Cell(one.kind, one.kind),
        Cell(one.structure, one.structure),
        Cell(f"{one.iou:.3f}" if one.kind == "found" else "–", one.iou),
        _volume(one.volume_reference),
        _volume(one.volume_prediction),
    )


def _volume(volume: float) -> Cell:
    if not volume:
        return Cell("–", 0.0)
    return Cell(f"{volume:.0f}" if volume >= 100 else f"{volume:.3g}", volume)
