"""Cases under numbers, where their names may tell patients. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

ORDER = "numbered in the order of their names"


def numbered(names: Iterable[str]) -> dict[str, str]:
    """Name → "case 07", in the order of the names, all of one length."""
    known = sorted(set(names))
    wide = len(str(len(known)))
    return {name: f"case {at:0{wide}}" for at, name in enumerate(known, 1)}
