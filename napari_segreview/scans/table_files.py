"""Label tables of other programs.

| program | file |
| --- | --- |
| SegReview | the sidecar of a label file (.json) |
| 3D Slicer | colour tables (.ctbl, .txt, .csv), a segmentation (.seg.nrrd, .nrrd) |
| ITK-SNAP | label descriptions (.txt, .label) |
| TotalSegmentator | a class map (.json), a label file (.nii.gz), or its name alone |

Sources: 3D Slicer developer guide, "Colors"; the header that ITK-SNAP writes into its
label descriptions; NIfTI-1 extension 0 with the XML of a Caret label table.
"""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_segreview.core.labels import RGB, Code, Label, LabelTable, default_color
from napari_segreview.core.terms import CATEGORIES, coded, coding_of, total
from napari_segreview.scans import codings, headers, label_table, nifti
from napari_segreview.scans.suffixes import suffix_of
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

BUILT_IN: Mapping[str, Callable[[], LabelTable]] = {"totalsegmentator": total}
SNAP = re.compile(
    r'^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+[\d.]+\s+\d+\s+\d+\s+"(.*)"\s*$'
)
SLICER = re.compile(r"^\s*(\d+)\s+(\S+)\s+(\d+)\s+(\d+)\s+(\d+)(\s.*)?$")
CARET = re.compile(
    r"<Label\s+([^>]*)>\s*(?:<!\[CDATA\[(.*?)\]\]>|([^<]*))</Label>", re.S
)
ATTRIBUTE = re.compile(r"(\w+)\s*=\s*[\"']([^\"']*)[\"']")
# 3D Slicer's names of the columns that hold a code
COLUMNS = {
    "category": "Category",
    "type": "Type",
    "modifier": "TypeModifier",
    "region": "Region",
    "region_modifier": "RegionModifier",
}


def read_table(source: str | Path) -> LabelTable:
    """Read names, colours and codes of labels.

    Parameters
    ----------
    source : path or str
        One of the files above, or "totalsegmentator" for the labels of its task
        "total". Names of TotalSegmentator's class maps get their SNOMED CT codes.

    Raises
    ------
    InputError
        In one line that names the file: it is not there, none of these, damaged, or
        holds no label.
    """
    if str(source).lower() in BUILT_IN:
        return BUILT_IN[str(source).lower()]()
    path = Path(source)
    try:
        table = READERS.get(suffix_of(path, READERS), _text)(path)
    except (InputError, KeyError, TypeError, ValueError) as error:
        words = str(error) if isinstance(error, InputError) else f"damaged ({error})"
        raise InputError(f"{path.name}: {words}") from error
    except OSError as error:
        raise InputError(f"{path.name}: {error.strerror or error}") from error
    if not table:
        raise InputError(
            f"{path.name}: wanted a table of labels (value, name, colour), found none; "
            "SegReview, 3D Slicer, ITK-SNAP and TotalSegmentator tables can be read"
        )
    return table


def _json(path: Path) -> LabelTable:
    """A sidecar, or a class map {"1": "spleen"}, also one for each task of several."""
    text = path.read_text(encoding="utf-8")
    known = json.loads(text)
    if not isinstance(known, dict):
        raise InputError('wanted {"1": "spleen", …} or a list of labels')
    if "labels" in known:
        return label_table.from_json(text).table
    if len(known) == 1 and isinstance(next(iter(known.values())), dict):
        known = next(iter(known.values()))
    if any(not isinstance(name, str) for name in known.values()):
        raise InputError(
            f"wanted one class map, found {len(known)} ({', '.join(known)}): save one of "
            "them as a file"
        )
    return _table(coded(int(value), name) for value, name in known.items())


def _text(path: Path) -> LabelTable:
    """ITK-SNAP quotes names; 3D Slicer writes underscores for their spaces."""
    rows = []
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if found := SNAP.match(line):
            value, red, green, blue, name = found.groups()
        elif found := SLICER.match(line):
            value, name, red, green, blue, _ = found.groups()
            name = name.replace("_", " ")
        else:
            raise InputError(
                f"line {number} is no label of 3D Slicer (value name R G B A) or "
                'ITK-SNAP (value R G B A 1 1 "name")'
            )
        rows.append(Label(int(value), name, _bytes(red, green, blue)))
    return _table(rows)


def _csv(path: Path) -> LabelTable:
    text = path.read_text(encoding="utf-8-sig")
    lines = csv.DictReader(io.StringIO(text))
    if "LabelValue" not in (lines.fieldnames or ()):
        raise InputError(
            "wanted the columns of 3D Slicer: LabelValue, Name, Color_R, Color_G, "
            "Color_B, Category_CodeValue, Type_CodeValue …"
        )
    return _table(_csv_row(line) for line in lines)


def _csv_row(line: Mapping[str, str | None]) -> Label:
    value = int(line["LabelValue"] or "")
    color = [line.get(f"Color_{c}") or "" for c in "RGB"]
    coding = codings.make(
        {part: _csv_code(line, name) for part, name in COLUMNS.items()}
    )
    name = line.get("Name") or (coding.type.meaning if coding else f"label {value}")
    return Label(
        value, name, _bytes(*color) if all(color) else default_color(value), coding
    )


def _csv_code(line: Mapping[str, str | None], part: str) -> Code | None:
    """A code by its three columns; of a category its word alone does too."""
    cells = [
        (line.get(f"{part}_{column}") or "").strip()
        for column in ("CodingScheme", "CodeValue", "CodeMeaning")
    ]
    if not any(cells):
        return CATEGORIES.get((line.get(part) or "").strip().lower())
    return Code(*cells)


def _nrrd(path: Path) -> LabelTable:
    return label_table.from_slicer(headers.nrrd_keys(path)).table


def from_nifti(path: Path) -> LabelTable:
    """The Caret label table in a NIfTI's header extension; empty if there is none.

    TotalSegmentator writes it into its multi-label results. A label of it that is
    damaged is left out.
    """
    parts = (part for part in nifti.extensions(path) if b"<LabelTable" in part)
    text = next(parts, b"").decode("utf-8", errors="replace")
    rows: dict[int, Label] = {}
    for attributes, quoted, bare in CARET.findall(text):
        facts = dict(ATTRIBUTE.findall(attributes))
        name = " ".join((quoted or bare).split())
        if name and facts.get("Key", "").isdigit():
            value = int(facts["Key"])
            color = _fractions(facts) or default_color(max(value, 1))
            rows[value] = Label(value, name, color, coding_of(name))
    return _table(rows.values())


def _fractions(facts: Mapping[str, str]) -> RGB | None:
    try:
        red, green, blue = (float(facts[part]) for part in ("Red", "Green", "Blue"))
    except (KeyError, ValueError):
        return None
    return (
        (red, green, blue)
        if 0 <= min(red, green, blue) <= max(red, green, blue) <= 1
        else None
    )


def _table(rows: Iterable[Label]) -> LabelTable:
    """A table without the background."""
    return LabelTable(tuple(row for row in rows if row.value > 0))


def _bytes(red: Any, green: Any, blue: Any) -> RGB:
    """0..255 → 0..1."""
    parts = [int(part) for part in (red, green, blue)]
    if not all(0 <= part <= 255 for part in parts):
        raise InputError(f"colours run from 0 to 255, got {parts}")
    return parts[0] / 255, parts[1] / 255, parts[2] / 255


READERS: Mapping[str, Callable[[Path], LabelTable]] = {
    ".json": _json,
    ".csv": _csv,
    ".nrrd": _nrrd,
    ".nii": from_nifti,
    ".nii.gz": from_nifti,
}
