"""A net that reads frames together, run on scans with and without them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from tiny_model import grid_to, save_tiny, tiny_frames

from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import LabelMap, LabelTable
from napari_segreview.core.orientation import turn_to
from napari_segreview.core.protocols import Wish
from napari_segreview.core.scan import Scan
from napari_segreview.engine.case_store import corrected
from napari_segreview.engine.doubts import doubts
from napari_segreview.engine.lessons import as_cases
from napari_segreview.engine.predict import as_images, from_images, segment
from src_models.card import read_card
from src_models.inference import Options
from src_models.inference import predict as over_windows
from src_models.progress import Curve, drain
from src_models.training.finetune import Tuning, finetune
from src_models.weights import load_model

if TYPE_CHECKING:
    from pathlib import Path

FRAMES, SHAPE = 5, (3, 18, 17)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {
        ndim: save_tiny(folder / str(ndim), ndim, **tiny_frames(ndim))
        for ndim in (2, 3)
    }


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def cine(letters: str = "RAS", **changes: Any) -> Scan:
    values = {
        "data": noise(FRAMES, *SHAPE),
        "grid": grid_to(letters, SHAPE, (8.0, 1.0, 1.0)),
        "name": "heart",
        "has_time": True,
    }
    return Scan(**{**values, **changes})


def run(scan: Scan, folder: Path) -> np.ndarray:
    return drain(segment(scan, Wish(model=str(folder), device="cpu"))).labels.data


class TestSegment:
    def test_a_volume_over_time_by_a_2d_net_is_each_slice_over_time(
        self, models: dict[int, Path]
    ) -> None:
        scan = cine()
        found = run(scan, models[2])
        assert found.shape == scan.data.shape
        assert 0 < found.mean() < 1
        net, card = load_model(models[2])
        for z in range(SHAPE[0]):
            slice_over_time = scan.data[None, None, :, z]
            steps = over_windows(
                net, card, slice_over_time, spacing=(1, 1), options=Options()
            )
            np.testing.assert_array_equal(found[:, z], drain(steps)[0])

    def test_a_volume_over_time_by_a_3d_net(self, models: dict[int, Path]) -> None:
        scan = cine()
        found = run(scan, models[3])
        net, card = load_model(models[3])
        steps = over_windows(
            net, card, scan.data[None, None], spacing=(8, 1, 1), options=Options()
        )
        np.testing.assert_array_equal(found, drain(steps)[0])

    def test_a_turned_scan_is_turned_for_the_model(
        self, models: dict[int, Path]
    ) -> None:
        scan = cine()
        turn = turn_to(scan.grid, "LIA")
        other = cine(data=turn.apply(scan.data), grid=turn.grid(scan.grid))
        found = turn.undo(run(other, models[3]))
        np.testing.assert_array_equal(found, run(scan, models[3]))

    @pytest.mark.parametrize("has_time", [True, False])
    @pytest.mark.parametrize("ndim", [2, 3])
    def test_one_frame(
        self, ndim: int, has_time: bool, models: dict[int, Path]
    ) -> None:
        data = noise(1, *SHAPE) if has_time else noise(*SHAPE)
        found = run(cine(data=data, has_time=has_time), models[ndim])
        assert found.shape == data.shape

    def test_an_image_over_time(self, models: dict[int, Path]) -> None:
        grid = Grid.from_spacing((18, 17), (1.0, 1.0), "px")
        scan = Scan(data=noise(4, 18, 17), grid=grid, name="film", has_time=True)
        assert run(scan, models[2]).shape == (4, 18, 17)

    def test_other_frames_change_what_is_said_of_one(
        self, models: dict[int, Path]
    ) -> None:
        scan = cine()
        data = scan.data.copy()
        data[1] = -data[1]
        apart = run(cine(data=data), models[2]) != run(scan, models[2])
        assert apart[2].any()


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("letters", ["RAS", "LPI", "SRA"])
@pytest.mark.parametrize("has_time", [True, False])
def test_there_and_back_nothing_moves(
    ndim: int, letters: str, has_time: bool, models: dict[int, Path]
) -> None:
    data = noise(FRAMES, *SHAPE) if has_time else noise(*SHAPE)
    scan, card = cine(letters, data=data, has_time=has_time), read_card(models[ndim])
    images, spacing = as_images(scan, card)
    assert images.ndim == ndim + 3
    assert len(spacing) == ndim
    np.testing.assert_array_equal(from_images(images[:, 0], scan, card), data)


def test_doubts_of_each_plane(models: dict[int, Path]) -> None:
    found = drain(doubts(cine(), Wish(model=str(models[2]), device="cpu")))
    assert len(found.planes) == SHAPE[0]
    assert min(found.planes) > 0
    assert found.voxels.shape == (FRAMES, *SHAPE)


def test_a_corrected_frame_teaches_the_sequence_it_is_in(
    models: dict[int, Path],
) -> None:
    """Of a beat one slice of one frame was checked: one case, the rest unknown."""
    drawn = np.zeros((FRAMES, *SHAPE), np.uint8)
    drawn[2, 1, 4:12, 5:11] = 1
    scan = cine(data=noise(*drawn.shape) + 5 * drawn)
    checked = np.zeros(drawn.shape, bool)
    checked[2, 1] = True
    labels = LabelMap(data=drawn, grid=scan.grid, table=LabelTable.of({1: "blob"}))
    net, card = load_model(models[2])
    (case,) = as_cases(corrected(scan, labels, checked), card)
    assert case.image.shape == (1, FRAMES, *SHAPE[1:])
    known = (case.labels >= 0).any(axis=(1, 2))
    assert known.tolist() == [False, False, True, False, False]
    before = {name: one.clone() for name, one in net.state_dict().items()}
    tuning = Tuning(steps=60, learning_rate=2e-2, checks=4)
    *_, last = (e for e in finetune(card, net, [case], tuning) if isinstance(e, Curve))
    assert np.isfinite([point.dice for point in last.points]).all()
    assert last.best > last.points[0].dice
    after = net.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)
