"""Codes and colours of a segment ↔ DICOM's attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segreview.core.labels import RGB, Code, Coding
from napari_segreview.scans import codings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom import Dataset

KIND, REGION = "SegmentedPropertyTypeCodeSequence", "AnatomicRegionSequence"
# part of a coding → the sequence, inside which other
PLACES = {
    "category": ("SegmentedPropertyCategoryCodeSequence", ""),
    "type": (KIND, ""),
    "modifier": ("SegmentedPropertyTypeModifierCodeSequence", KIND),
    "region": (REGION, ""),
    "region_modifier": ("AnatomicRegionModifierSequence", REGION),
}
VALUES = ("CodeValue", "LongCodeValue", "URNCodeValue")
SHORT = 16  # characters of a CodeValue; longer ones have an attribute of their own

# sRGB (IEC 61966-2-1), adapted to the white D50 by Bradford, as ICC profiles have it
TO_XYZ = np.array(
    [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
)
WHITE = TO_XYZ.sum(axis=1)
CUBE = 6 / 29  # CIE 15: below its third power L*a*b* runs straight


def read_coding(holder: Dataset) -> Coding | None:
    """The codes of a segment (or of a region of interest); None without a type."""
    return codings.make({part: _find(holder, *at) for part, at in PLACES.items()})


def read_code(sequence: Sequence[Dataset] | None) -> Code | None:
    """The first code of a sequence; None if it is not whole."""
    if not sequence:
        return None
    item = sequence[0]
    value = next((str(item[one].value) for one in VALUES if item.get(one)), "")
    scheme = str(item.get("CodingSchemeDesignator") or "")
    meaning = str(item.get("CodeMeaning") or "")
    return Code(scheme, value, meaning) if scheme and value and meaning else None


def _find(holder: Dataset, name: str, inside: str) -> Code | None:
    if inside:
        outer = holder.get(inside)
        return read_code(outer[0].get(name)) if outer else None
    return read_code(holder.get(name))


def write_coding(holder: Dataset, coding: Coding) -> None:
    """Put the codes into a segment's description."""
    for part, (name, inside) in PLACES.items():
        code = getattr(coding, part)
        if code is not None and (not inside or holder.get(inside)):
            setattr(holder[inside].value[0] if inside else holder, name, [_item(code)])


def _item(code: Code) -> Dataset:
    from pydicom import Dataset

    item = Dataset()
    setattr(
        item, "CodeValue" if len(code.value) <= SHORT else "LongCodeValue", code.value
    )
    item.CodingSchemeDesignator = code.scheme
    item.CodeMeaning = code.meaning
    return item


# -- colours -------------------------------------------------------------------------


def to_cielab(color: RGB) -> list[int]:
    """RGB in [0, 1] → DICOM's three 16-bit numbers of CIE L*a*b* (PS3.3, C.10.7.1.1)."""
    stored = np.array(color)
    linear = np.where(
        stored <= 0.04045, stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4
    )
    t = TO_XYZ @ linear / WHITE
    f = np.where(t > CUBE**3, np.cbrt(t), t / (3 * CUBE**2) + 4 / 29)
    lab = [116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])]
    scaled = [lab[0] / 100, (lab[1] + 128) / 255, (lab[2] + 128) / 255]
    return [int(v) for v in np.clip(np.rint(np.array(scaled) * 65535), 0, 65535)]


def from_cielab(numbers: Sequence[Any]) -> RGB:
    """The reverse; colours a screen cannot show become the nearest it can."""
    scaled = np.array([float(v) for v in numbers]) / 65535
    light, a, b = scaled[0] * 100, scaled[1] * 255 - 128, scaled[2] * 255 - 128
    y = (light + 16) / 116
    f = np.array([y + a / 500, y, y - b / 200])
    xyz = WHITE * np.where(f > CUBE, f**3, 3 * CUBE**2 * (f - 4 / 29))
    linear = np.clip(np.linalg.inv(TO_XYZ) @ xyz, 0, 1)
    red, green, blue = np.where(
        linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055
    )
    return float(red), float(green), float(blue)
