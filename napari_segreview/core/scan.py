"""A scan as it came from its file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from src_models.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_segreview.core.geometry import Grid

MODALITIES = {  # DICOM's code → the word on the screen
    "CT": "CT",
    "MR": "MR",
    "PT": "PET",
    "US": "ultrasound",
    "OP": "fundus photograph",
    "SM": "microscopy",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scan:
    """Voxels and where they lie. Nothing is resampled, flipped or rescaled in it.

    Attributes
    ----------
    data : array
        (t?, z?, y, x, c?), in the units of the file (HU, SUV, grey values).
    grid : Grid
        Of the spatial axes only.
    has_time, has_channels : bool
        Whether a leading time axis, a trailing channel axis is there.
    frame_ms : float or None
        Time between frames, if known.
    modality : str
        DICOM's code (a key of `MODALITIES`); "" if unknown.
    name : str
        For the layer list. Never a patient's name.
    subject : str
        A hash of the patient's or study's id, the same for all scans of one; "" if no
        id is known. Never the id.
    source : Path or None
        The file or folder it came from.
    warnings : tuple of str
        What the reader noticed, in plain words.
    """

    data: npt.NDArray[Any]
    grid: Grid
    name: str
    has_time: bool = False
    has_channels: bool = False
    frame_ms: float | None = None
    modality: str = ""
    subject: str = ""
    source: Path | None = None
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = self.data.shape[self.has_time : self.data.ndim - self.has_channels]
        if shape != self.grid.shape:
            raise InputError(
                f"an array of shape {self.data.shape} does not fit a grid of "
                f"{self.grid.shape}"
            )
        if 0 in self.data.shape:
            raise InputError(
                f"{self.name}: the image is empty, shape {self.data.shape}"
            )

    @property
    def channels(self) -> int:
        return self.data.shape[-1] if self.has_channels else 1

    @property
    def frames(self) -> int:
        return self.data.shape[0] if self.has_time else 1

    def facts(self) -> str:
        """One line for the person: size, spacing, modality."""
        size = "×".join(str(side) for side in self.grid.shape[::-1])
        if self.has_time:
            size += f" × {self.frames} frames"
        parts = [size]
        if self.grid.unit == "mm":
            parts.append("×".join(f"{v:.3g}" for v in self.grid.spacing[::-1]) + " mm")
        if self.has_channels:
            parts.append(
                "colour" if self.channels in (3, 4) else f"{self.channels} channels"
            )
        if self.modality:
            parts.append(MODALITIES.get(self.modality, self.modality))
        return " · ".join(parts)


def check_finite(data: npt.NDArray[Any], name: str) -> None:
    """Refuse NaN and infinite voxels; reads the array in blocks.

    Raises
    ------
    InputError
        With how many there are.
    """
    if data.dtype.kind not in "fc":
        return
    bad = sum(int(block.size - np.isfinite(block).sum()) for block in data)
    if bad:
        raise InputError(
            f"{name}: {bad} of {data.size} voxels are not numbers (NaN or infinite); "
            "replace them before segmenting"
        )
