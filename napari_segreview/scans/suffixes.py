"""File names: which suffix counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

DOUBLE = (".nii.gz",)


def suffix_of(path: Path, known: Iterable[str]) -> str:
    """The longest of the `known` suffixes of `path`, in lower case; "" if none."""
    name = path.name.lower()
    return max((s for s in known if name.endswith(s)), key=len, default="")


def stem_of(path: Path) -> str:
    """The name without its suffix; .nii.gz counts as one."""
    suffix = suffix_of(path, DOUBLE) or path.suffix
    return path.name[: len(path.name) - len(suffix)]
