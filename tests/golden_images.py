"""Pictures compared by their structure: what is where, not how letters are smoothed.

`make golden` renews what is kept in tests/golden; look at the pictures before you commit.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

FOLDER = Path(__file__).parent / "golden"
REACH = 3  # pixels that something may have moved
NEAR = 24  # of 255, that a channel may be darker or brighter
SHARE = 0.0005  # of the pixels may be apart: half a line of words in a panel
COLOURS = 256  # that are kept

Picture = npt.NDArray[np.uint8]  # (y, x, 3)


def font(weight: str = "Regular") -> Path:
    """One that comes with napari, so that words take the same room everywhere."""
    import vispy

    data = Path(vispy.__file__).parent / "util" / "fonts" / "data"
    return data / f"OpenSans-{weight}.ttf"


def check_golden(picture: Path, name: str) -> None:
    """Hold a PNG against the one of that name that is kept, or renew that one."""
    kept = FOLDER / f"{name}.png"
    shown = Image.open(picture).convert("RGB")
    if os.environ.get("GOLDEN") == "renew":
        few = shown.quantize(COLOURS, dither=Image.Dither.NONE)
        few.save(kept, optimize=True)
        return
    assert kept.exists(), f"{kept} is missing: run `make golden`"
    found = apart(np.asarray(shown), np.asarray(Image.open(kept).convert("RGB")))
    assert found <= SHARE, (
        f"{found:.1%} of {name} looks otherwise: compare {picture} with {kept}, mend it "
        "or run `make golden`"
    )


def apart(first: Picture, second: Picture) -> float:
    """Share of the pixels of either picture that the other has nothing like near there.

    A colour is like what is near if each channel lies between the darkest and the
    brightest within `REACH`, or at most `NEAR` outside. So a line may move a little and
    be smoothed otherwise, but words that are gone, come or are elsewhere are seen.
    Pictures of other sizes are wholly apart.
    """
    if np.abs(np.subtract(first.shape, second.shape)).max() > REACH:
        return 1.0
    high, wide = np.minimum(first.shape, second.shape)[:2]
    one, other = first[:high, :wide], second[:high, :wide]
    return max(_unmatched(one, other), _unmatched(other, one))


def _unmatched(mine: Picture, theirs: Picture) -> float:
    size = (2 * REACH + 1, 2 * REACH + 1, 1)
    low = ndimage.minimum_filter(theirs, size).astype(int) - NEAR
    high = ndimage.maximum_filter(theirs, size).astype(int) + NEAR
    return float(((mine < low) | (mine > high)).any(-1).mean())
