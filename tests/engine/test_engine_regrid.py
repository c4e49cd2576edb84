"""Labels on another grid: exact turns, an oracle for the rest, warnings in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import SimpleITK

from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import LabelMap
from napari_segreview.core.orientation import Turn
from napari_segreview.core.scan import Scan
from napari_segreview.engine.evaluate import compare, error_maps
from napari_segreview.engine.regrid import image_onto, labels_onto
from src_models.errors import InputError
from src_models.progress import drain

FINE = Grid.from_spacing((24, 30, 32), (1.0, 1.0, 1.0))


def tilted(shape: tuple[int, ...], spacing: tuple[float, ...], degrees: float) -> Grid:
    angle = np.radians(degrees)
    about = np.array(
        [
            [1, 0, 0],
            [0, np.cos(angle), -np.sin(angle)],
            [0, np.sin(angle), np.cos(angle)],
        ]
    )
    affine = np.eye(4)
    affine[:3, :3] = about * np.array(spacing[::-1])
    affine[:3, 3] = (1.3, 2.1, -2.0)
    return Grid(shape, affine)


def ball(grid: Grid, radius: float = 7.0, value: int = 1) -> np.ndarray:
    at = grid.to_world(np.argwhere(np.ones(grid.shape, bool)))
    inside = np.linalg.norm(at - (15.0, 14.0, 12.0), axis=1) <= radius
    return (inside.reshape(grid.shape) * value).astype(np.uint8)


def labels(grid: Grid, data: Any, name: str = "mine") -> LabelMap:
    return LabelMap(data=data, grid=grid, name=name)


def test_a_turn_changes_no_voxel() -> None:
    data = np.random.default_rng(0).integers(0, 9, FINE.shape).astype(np.uint8)
    turn = Turn((2, 0, 1), (0, 2))
    stored = labels(turn.grid(FINE), turn.apply(data))
    back, said = drain(labels_onto(stored, FINE, "theirs"))
    np.testing.assert_array_equal(back.data, data)
    assert said == "mine was turned onto the axes of theirs; no voxel changed."


@pytest.mark.parametrize(
    "coarse",
    [
        Grid.from_spacing((12, 30, 32), (2.0, 1.0, 1.0)),
        tilted((20, 26, 28), (1.2, 1.1, 0.9), 20.0),
    ],
    ids=["spacing", "tilt"],
)
def test_one_label_as_itk_interpolates_its_mask(coarse: Grid) -> None:
    """Above one half of the linear share: SimpleITK says the same, voxel for voxel."""
    data = ball(FINE)
    mine, said = drain(labels_onto(labels(FINE, data), coarse, "theirs"))
    image = SimpleITK.GetImageFromArray(np.pad(data, 1).astype(np.float32))
    image.SetOrigin((-1.0, -1.0, -1.0))
    target = SimpleITK.GetImageFromArray(np.zeros(coarse.shape, np.float32))
    target.SetSpacing(coarse.spacing[::-1])
    target.SetDirection((coarse.affine[:3, :3] / coarse.spacing[::-1]).ravel().tolist())
    target.SetOrigin(coarse.affine[:3, 3].tolist())
    share = SimpleITK.GetArrayFromImage(
        SimpleITK.Resample(image, target, SimpleITK.Transform())
    )
    sure = np.abs(share - 0.5) > 1e-4
    np.testing.assert_array_equal(mine.data[sure] == 1, share[sure] > 0.5)
    assert mine.data.any()
    assert mine.grid is coarse
    assert "was resampled onto the grid of theirs" in said


def test_no_value_is_made_up_and_the_larger_share_wins() -> None:
    data = np.zeros((1, 1, 8), np.uint8)
    data[..., :4], data[..., 4:] = 3, 9
    shifted = Grid(data.shape, np.diag([1.0, 1.0, 1.0, 1.0]))
    affine = shifted.affine.copy()
    affine[0, 3] = 0.25  # a quarter of a voxel to the right
    mine, _ = drain(labels_onto(labels(shifted, data), Grid(data.shape, affine), "x"))
    assert mine.data[0, 0].tolist() == [3, 3, 3, 3, 9, 9, 9, 9]


def test_there_and_back_is_nearly_the_same_and_the_report_says_so() -> None:
    coarse = tilted((30, 40, 40), (0.8, 0.8, 0.8), 10.0)
    moved, _ = drain(labels_onto(labels(FINE, ball(FINE)), coarse, "x"))
    pair = labels(coarse, moved.data), labels(FINE, ball(FINE), "theirs")
    with pytest.raises(InputError, match="or have one resampled"):
        drain(compare(*pair, 2.0))
    report = drain(compare(*pair, 2.0, resample=True))
    assert report.rows[0].dice > 0.97
    assert report.notes[0].startswith("mine was resampled onto the grid of theirs")
    assert report.from_json(report.to_json()) == report
    maps = drain(error_maps(*pair, 2.0, resample=True))
    assert maps.false.grid is FINE


def test_frames_are_resampled_one_by_one() -> None:
    data = np.stack([ball(FINE), ball(FINE, 4.0)])
    coarse = Grid.from_spacing((12, 15, 16), (2.0, 2.0, 2.0))
    mine, _ = drain(labels_onto(labels(FINE, data), coarse, "x"))
    assert mine.data.shape == (2, 12, 15, 16)
    assert mine.data[0].sum() > 2 * mine.data[1].sum() > 0


def test_what_cannot_be_brought_together() -> None:
    flat = Grid.from_spacing((30, 32), (1.0, 1.0))
    pixels = Grid(FINE.shape, FINE.affine, "px")
    for grid in (flat, pixels):
        with pytest.raises(InputError, match="cannot be brought onto one grid"):
            drain(labels_onto(labels(FINE, ball(FINE)), grid, "theirs"))


def test_an_image_and_its_channels() -> None:
    ramp = np.broadcast_to(np.arange(32, dtype=np.int16), FINE.shape)
    coarse = Grid.from_spacing((24, 30, 16), (1.0, 1.0, 2.0))
    moved = image_onto(Scan(data=ramp, grid=FINE, name="ramp"), coarse)
    assert moved.data[0, 0].tolist() == list(range(0, 32, 2))
    both = Scan(
        data=np.stack([ramp, ramp + 5], -1), grid=FINE, name="two", has_channels=True
    )
    assert image_onto(both, coarse).data[3, 4, 5].tolist() == [10, 15]
