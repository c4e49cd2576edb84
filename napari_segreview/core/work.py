"""What the window shows of the labels that are corrected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_segreview.core.cases import Leftover


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What the window shows of it.

    Attributes
    ----------
    layer : str
        The key of the labels that are corrected; "" for none.
    line : str
        "saved 14:02:31", "NOT saved: …", "read-only: …".
    is_fault : bool
        Whether the line is a warning.
    said : str
        What was wrong with work that was taken up again.
    leftovers : tuple of Leftover
        Work of earlier starts, newest first.
    """

    layer: str = ""
    line: str = ""
    is_fault: bool = False
    said: str = ""
    leftovers: tuple[Leftover, ...] = ()


NO_WORK = Work()
