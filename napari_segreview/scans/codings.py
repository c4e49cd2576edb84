"""The codes of a label as text: in the sidecar's JSON and in 3D Slicer's tags."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from napari_segreview.core.labels import Code, Coding
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

PARTS = tuple(field.name for field in fields(Coding))

# 3D Slicer: context~category~type~modifier~context~region~region's modifier
ENTRY = "TerminologyEntry:"
TYPES = "Segmentation category and type - DICOM master list"
REGIONS = "Anatomic codes - DICOM master list"
PLACES: Mapping[str, int] = {
    "category": 1,
    "type": 2,
    "modifier": 3,
    "region": 5,
    "region_modifier": 6,
}
UNSAYABLE = "~^|"  # what separates the parts and cannot stand in one


def make(parts: Mapping[str, Code | None]) -> Coding | None:
    """A coding of its parts; None without a type, which alone says what a thing is."""
    kind = parts.get("type")
    if kind is None:
        return None
    return Coding(kind, *(parts.get(part) for part in PARTS[1:]))


def to_json(coding: Coding) -> dict[str, list[str]]:
    """Part → [scheme, value, meaning]."""
    parts = {part: getattr(coding, part) for part in PARTS}
    return {
        part: [code.scheme, code.value, code.meaning]
        for part, code in parts.items()
        if code is not None
    }


def from_json(known: Mapping[str, Any] | None) -> Coding | None:
    """Read them back.

    Raises
    ------
    InputError, TypeError, ValueError
        If a part is unknown or no list of three texts.
    """
    if known is None:
        return None
    if unknown := sorted(set(known) - set(PARTS)):
        raise InputError(f"a coding has the parts {', '.join(PARTS)}, not {unknown[0]}")
    return make({part: Code(*map(str, code)) for part, code in known.items()})


def to_tags(coding: Coding) -> str:
    """3D Slicer's tag of a segment."""
    words = [TYPES, "", "", "", REGIONS, "", ""]
    for part, at in PLACES.items():
        code = getattr(coding, part)
        words[at] = "^".join(
            _plain(text)
            for text in ((code.scheme, code.value, code.meaning) if code else ("",) * 3)
        )
    return f"{ENTRY}{'~'.join(words)}|"


def from_tags(tags: str) -> Coding | None:
    """Read 3D Slicer's tags; None if they hold no whole type."""
    entry = next((tag for tag in tags.split("|") if tag.startswith(ENTRY)), "")
    words = entry.removeprefix(ENTRY).split("~")
    return make(
        {part: _code(words[at]) for part, at in PLACES.items() if at < len(words)}
    )


def _code(text: str) -> Code | None:
    parts = text.split("^")
    return Code(*parts) if len(parts) == 3 and all(parts) else None


def _plain(text: str) -> str:
    return " ".join("".join(" " if c in UNSAYABLE else c for c in text).split())
