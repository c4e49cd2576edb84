"""A scan as the model sees it, and its answer back on the scan's grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from tiny_model import ORIENTATIONS, grid_to, tiny_card

from napari_segreview.core.geometry import Grid
from napari_segreview.core.scan import Scan
from napari_segreview.engine.predict import as_images, from_images

if TYPE_CHECKING:
    from src_models.card import TrainedCard

SPACING = (5.0, 1.0, 0.5)


@st.composite
def scans(draw: st.DrawFn, ndim: int | None = None) -> Scan:
    """Numbered voxels on any grid, with or without time and channels."""
    n = ndim or draw(st.sampled_from([2, 3]))
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=n, max_size=n)))
    if n == 2:
        grid = Grid.from_spacing(shape, SPACING[1:])
    else:
        tilt = draw(st.sampled_from([0.0, 17.0]))
        grid = grid_to(draw(st.sampled_from(ORIENTATIONS)), shape, SPACING, tilt=tilt)
    frames, channels = draw(st.integers(0, 3)), draw(st.sampled_from([0, 3, 4]))
    full = (*(frames,) * bool(frames), *shape, *(channels,) * bool(channels))
    return Scan(
        data=np.arange(np.prod(full), dtype=np.uint32).reshape(full),
        grid=grid,
        name="s",
        has_time=bool(frames),
        has_channels=bool(channels),
    )


def card_for(scan: Scan, ndim: int, letters: str) -> TrainedCard:
    return tiny_card(ndim, min(scan.channels, 3), orientation=letters)


@given(scan=scans(), letters=st.sampled_from(["", *ORIENTATIONS]), data=st.data())
def test_there_and_back(scan: Scan, letters: str, data: st.DataObject) -> None:
    ndim = data.draw(st.sampled_from(range(2, scan.grid.ndim + 1)))
    card = card_for(scan, ndim, letters)
    images, spacing = as_images(scan, card)
    assert images.ndim == ndim + 2
    assert images.shape[1] == card.net.in_channels
    assert len(spacing) == ndim
    for channel in range(card.net.in_channels):
        want = scan.data[..., channel] if scan.has_channels else scan.data
        back = from_images(images[:, channel], scan, card)
        assert np.array_equal(back, want)
        assert back.flags.c_contiguous


@given(scan=scans(ndim=3), letters=st.sampled_from(ORIENTATIONS))
def test_a_volume_is_turned_as_itk_turns_it(scan: Scan, letters: str) -> None:
    images, spacing = as_images(scan, card_for(scan, 3, letters))
    first = scan.data[0] if scan.has_time else scan.data
    first = first[..., 0] if scan.has_channels else first
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(first))
    image.SetSpacing(scan.grid.spacing[::-1])
    direction = scan.grid.affine[:3, :3] / scan.grid.spacing[::-1]
    image.SetDirection(direction.ravel().tolist())
    oriented = SimpleITK.DICOMOrient(image, letters)
    assert np.array_equal(images[0, 0], SimpleITK.GetArrayFromImage(oriented))
    assert spacing == pytest.approx(oriented.GetSpacing()[::-1])


def test_slices_of_a_sequence_by_hand() -> None:
    grid = Grid.from_spacing((3, 4, 5), SPACING)
    data = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    scan = Scan(data=data, grid=grid, name="cine", has_time=True)
    images, spacing = as_images(scan, tiny_card(2))
    assert images.shape == (6, 1, 4, 5)  # frame after frame, slice after slice
    assert np.array_equal(images[4, 0], data[1, 1])
    assert spacing == (1.0, 0.5)


def test_alpha_is_left_out() -> None:
    grid = Grid.from_spacing((4, 5), (1.0, 1.0), "px")
    data = np.arange(80).reshape(4, 5, 4)
    scan = Scan(data=data, grid=grid, name="photo", has_channels=True)
    images, _ = as_images(scan, tiny_card(2, 3))
    assert np.array_equal(images[0], data[..., :3].transpose(2, 0, 1))


def test_a_plain_volume_is_not_copied() -> None:
    scan = Scan(data=np.zeros((3, 4, 5)), grid=grid_to("LPI", (3, 4, 5)), name="volume")
    assert np.shares_memory(as_images(scan, tiny_card(3))[0], scan.data)
