"""What the text header of NRRD and MetaImage says and ITK keeps to itself.

ITK repairs a voxel size of NaN to 1 mm without a word and takes any unit for mm. Both
would put wrong numbers on the screen, so the lines that matter are read here, before
ITK sees the file.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from napari_segreview.core.geometry import Affine, Unit

AGAIN = "copy or export it again"
TEXT_LIMIT = 1 << 20  # a text header is shorter than this
QUOTED = r'"([^"]*)"'
OTHER_LENGTHS = {"nm", "um", "µm", "micron", "microns", "cm", "m", "inch", "in"}


@dataclass(frozen=True, slots=True)
class Header:
    """Facts of a raw header.

    Attributes
    ----------
    unit : {"mm", "px"}
        "px" if the header gives no voxel size.
    frame_ms : float or None
        Time between frames.
    affines : mapping of str to (4, 4) array
        Voxel (i, j, k) → patient mm, LPS, by each of the header's own statements.
    nonfinite : bool
        Whether voxels are NaN or infinite (NIfTI only).
    warnings : tuple of str
    """

    unit: Unit = "mm"
    frame_ms: float | None = None
    affines: Mapping[str, Affine] = field(default_factory=dict)
    nonfinite: bool = False
    warnings: tuple[str, ...] = ()


def nrrd(path: Path) -> Header:
    """Check the spacing in a .nrrd or .nhdr header; ITK turns NaN into 1."""
    text = _text(path)
    if not text.startswith("NRRD"):
        raise InputError("this is no NRRD file, whatever its name says")
    head = re.split(r"\r?\n\r?\n", text, maxsplit=1)[0]
    fields = dict(re.findall(r"^([a-z ]+):\s*(.*?)\s*$", head, flags=re.M))
    kinds = fields.get("kinds", "").split()
    units = re.findall(QUOTED, fields.get("space units") or fields.get("units") or "")
    if wrong := sorted(OTHER_LENGTHS.intersection(units)):
        raise InputError(
            f"lengths are in {wrong[0]}, wanted mm; save it with a spacing in mm"
        )
    vectors = re.findall(r"\([^)]*\)|none", fields.get("space directions", ""))
    if vectors:
        check_spacing(
            float(np.linalg.norm(_floats(v.strip("()").split(","))))
            for v in vectors
            if v != "none"
        )
    steps = fields.get("spacings", "").split()
    spatial = [
        step
        for i, step in enumerate(steps)
        if len(kinds) <= i or kinds[i] in ("domain", "space", "???", "none")
    ]
    check_spacing(abs(v) for v in _floats(spatial))
    return Header(unit="mm" if vectors or steps else "px")


def nrrd_keys(path: Path) -> dict[str, str]:
    """The free keys of a NRRD's header."""
    head = re.split(r"\r?\n\r?\n", _text(path), maxsplit=1)[0]
    return dict(re.findall(r"^([^:#\r\n]+):=(.*?)\r?$", head, flags=re.M))


def metaimage(path: Path) -> Header:
    """Check the spacing in a .mha or .mhd header, and that its voxels are there."""
    fields: dict[str, str] = {}
    for key, value in re.findall(r"^\s*(\w+)\s*=\s*(.*?)\s*$", _text(path), flags=re.M):
        fields[key] = value
        if key == "ElementDataFile":  # the last line; voxels may follow
            break
    if not {"DimSize", "ElementType", "ElementDataFile"} <= fields.keys():
        raise InputError(f"this is no whole MetaImage file; {AGAIN}")
    steps = fields.get("ElementSpacing") or fields.get("ElementSize") or ""
    check_spacing(abs(v) for v in _floats(steps.split()))
    place = fields["ElementDataFile"]
    many = place.startswith("LIST") or "%" in place
    if not (place == "LOCAL" or many or (path.parent / place).is_file()):
        raise InputError(f"its voxels lie in {place}, which is not there")
    return Header(unit="mm" if steps else "px")


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(TEXT_LIMIT).decode("utf-8", errors="replace")


def _floats(words: Iterable[str]) -> list[float]:
    try:
        return [float(word) for word in words]
    except ValueError as error:
        raise InputError(f"the header holds a damaged number ({error})") from error


def check_spacing(steps: Iterable[float]) -> None:
    for step in steps:
        if not (math.isfinite(step) and step > 0):
            raise InputError(
                f"the header gives a voxel size of {step:g}, wanted a length above "
                "zero; export the scan again or correct its header"
            )
