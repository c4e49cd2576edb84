"""A model's run from end to end, with a small net of random weights, and a real one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tiny_model import grid_to, save_tiny

from napari_segreview.core.geometry import Grid
from napari_segreview.core.orientation import turn_to
from napari_segreview.core.protocols import Wish
from napari_segreview.core.scan import Scan
from napari_segreview.engine import LocalEngine, predict
from napari_segreview.engine.predict import segment
from src_models.card import CARD_FILE, WEIGHTS_FILE, bundled, read_card
from src_models.errors import InputError
from src_models.metrics import score_all
from src_models.progress import Progress, drain

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (18, 20, 22)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "volume": save_tiny(folder / "volume", 3),
        "spaced": save_tiny(folder / "spaced", 3, spacing=[2.0, 1.0, 1.0]),
        "grey": save_tiny(folder / "grey", 2),
        "colour": save_tiny(folder / "colour", 2, 3, modalities=["OP"]),
    }


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def volume(letters: str = "RAS", tilt: float = 0.0, **changes: Any) -> Scan:
    grid = grid_to(letters, SHAPE, tilt=tilt)
    return Scan(**{"data": noise(*SHAPE), "grid": grid, "name": "head", **changes})


def wish(folder: Path, device: str = "cpu", **changes: Any) -> Wish:
    return Wish(model=str(folder), device=device, **changes)


def run(scan: Scan, folder: Path, **changes: Any) -> np.ndarray:
    return drain(segment(scan, wish(folder, **changes))).labels.data


def fault(scan: Scan, wanted: Wish) -> str:
    with pytest.raises(InputError) as said:
        drain(segment(scan, wanted))
    assert "\n" not in str(said.value)
    return str(said.value)


# ── answers ────────────────────────────────────────────────────────────────────────


def test_a_volume(models: dict[str, Path]) -> None:
    scan = volume()
    answer = drain(LocalEngine().segment(scan, wish(models["volume"])))
    labels = answer.labels
    assert labels.grid is scan.grid
    assert labels.name == "head · Tiny"
    assert (labels.table.name(1), labels.table.color(1)) == ("blob", (1.0, 0.0, 0.0))
    assert set(np.unique(labels.data)) == {0, 1}  # or the tests below prove nothing
    millilitres = labels.data.sum() / 1000
    sha256 = read_card(models["volume"]).sha256
    assert answer.said.startswith("Tiny: done in ")
    assert f"weights {sha256[:8]}. blob {millilitres:.2f} ml." in answer.said
    assert " on CPU, " in answer.said


@pytest.mark.parametrize(
    ("letters", "tilt"), [("LPI", 0), ("SRA", 0), ("LPI", 14), ("PSR", -9)]
)
@pytest.mark.parametrize("model", ["volume", "spaced"])
def test_however_it_lies_the_patient_gets_the_same_labels(
    models: dict[str, Path], model: str, letters: str, tilt: float
) -> None:
    spacing = (3.0, 1.0, 1.0) if model == "spaced" else (1.0, 1.0, 1.0)
    straight = volume(grid=grid_to("RAS", SHAPE, spacing))
    turn = turn_to(straight.grid, letters)
    grid = grid_to(letters, turn.of(SHAPE), turn.of(spacing), tilt=tilt)
    turned = volume(data=turn.apply(straight.data), grid=grid)
    want, got = run(straight, models[model]), run(turned, models[model])
    assert got.shape == grid.shape
    assert np.array_equal(turn.undo(got), want)
    assert want.any()


def test_frames_are_segmented_one_by_one(models: dict[str, Path]) -> None:
    frames = np.stack([noise(*SHAPE), noise(*SHAPE)[::-1]])
    cine = volume("LPI", data=frames, has_time=True)
    answer = drain(segment(cine, wish(models["volume"])))
    assert answer.labels.has_time
    assert answer.said.endswith(" ml (mean over frames).")
    for frame, found in zip(frames, answer.labels.data, strict=True):
        assert np.array_equal(run(volume("LPI", data=frame), models["volume"]), found)


def test_a_2d_model_reads_a_volume_slice_by_slice(models: dict[str, Path]) -> None:
    scan = volume("LPI", data=noise(*SHAPE)[:4], grid=grid_to("LPI", (4, *SHAPE[1:])))
    found = run(scan, models["grey"])
    assert found.any()
    for plane, labels in zip(scan.data, found, strict=True):
        grid = Grid.from_spacing(plane.shape, (1.0, 1.0))
        alone = Scan(data=plane, grid=grid, name="slice")
        assert np.array_equal(run(alone, models["grey"]), labels)


def test_a_colour_photograph(models: dict[str, Path]) -> None:
    grid = Grid.from_spacing((33, 47), (1.0, 1.0), "px")
    data = np.random.default_rng(0).integers(0, 255, (33, 47, 3), np.uint8)
    photo = Scan(data=data, grid=grid, name="eye", has_channels=True)
    answer = drain(segment(photo, wish(models["colour"])))
    assert answer.labels.data.shape == (33, 47)
    assert f"blob {int(answer.labels.data.sum())} px." in answer.said
    seen_through = np.concatenate([data, np.full((33, 47, 1), 9, np.uint8)], -1)
    with_alpha = replace(photo, data=seen_through)
    assert np.array_equal(run(with_alpha, models["colour"]), answer.labels.data)


def test_a_scan_smaller_than_the_window(models: dict[str, Path]) -> None:
    scan = volume(data=noise(2, 3, 4), grid=grid_to("RAS", (2, 3, 4)))
    assert run(scan, models["volume"]).shape == (2, 3, 4)


def test_mirrored_views_are_averaged(models: dict[str, Path]) -> None:
    scan = volume(data=noise(*SHAPE), grid=grid_to("RAS", SHAPE))
    once = run(scan, models["volume"], mirror=True)
    flipped = replace(scan, data=scan.data[..., ::-1])
    other = run(flipped, models["volume"], mirror=True)[..., ::-1]
    assert (once == other).mean() > 0.95  # all but ties, and windows that lie otherwise
    assert not np.array_equal(once, run(scan, models["volume"]))


def test_progress_counts_every_window(models: dict[str, Path]) -> None:
    steps = list(segment(volume(), wish(models["volume"])))
    assert steps[0] == Progress(0, 0, "loading the model")
    assert [step.done for step in steps[1:]] == [*range(1, steps[-1].total + 1)]
    assert steps[-1].total == 8  # two windows of 16 along each axis


def test_stopped_midway_the_next_run_is_whole(models: dict[str, Path]) -> None:
    steps = segment(volume(), wish(models["volume"]))
    for _ in range(3):
        next(steps)
    steps.close()
    with pytest.raises(StopIteration):
        next(steps)
    assert run(volume(), models["volume"]).any()


# ── faults ─────────────────────────────────────────────────────────────────────────


def test_voxels_that_are_no_numbers(models: dict[str, Path]) -> None:
    data = noise(*SHAPE)
    data[0, 0, :3] = np.nan
    said = fault(volume(data=data), wish(models["volume"]))
    assert said.startswith("head: 3 of 7920 voxels are not numbers")


def test_a_scan_that_does_not_fit(models: dict[str, Path]) -> None:
    assert fault(volume(), wish(models["colour"])).startswith("head: Tiny reads 2D")


def test_weights_that_are_not_those_of_the_card(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "model")
    path = folder / WEIGHTS_FILE
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    said = fault(volume(), wish(folder))
    assert str(path) in said
    assert "the weights are not those of the card" in said
    path.unlink()
    assert f"{WEIGHTS_FILE} is missing" in fault(volume(), wish(folder))


def test_a_model_replaced_between_card_and_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_tiny(tmp_path / "model")
    old = read_card(folder).model_copy(update={"sha256": "0" * 64})
    monkeypatch.setattr(predict, "read_card", lambda _: old)
    assert "was replaced meanwhile" in fault(volume(), wish(folder))


def test_no_model_there(tmp_path: Path) -> None:
    assert "no model" in fault(volume(), wish(tmp_path / "none"))
    assert CARD_FILE in fault(volume(), wish(tmp_path))
    (tmp_path / CARD_FILE).write_text(json.dumps({"name": "x"}))
    assert str(tmp_path / CARD_FILE) in fault(volume(), wish(tmp_path))


@pytest.mark.parametrize(
    "device", ["cuda:7", "cuda:x", "cuda:-1", "cpu:x", "mps", "abc", ""]
)
def test_a_device_that_is_not_there(models: dict[str, Path], device: str) -> None:
    import torch

    if device == "mps" and torch.backends.mps.is_available():
        pytest.skip("this machine has an Apple GPU")
    assert fault(volume(), wish(models["volume"], device))


# ── a real model on a real scan ────────────────────────────────────────────────────


def test_the_bundled_hippocampus_model_on_a_case_it_has_never_seen(
    data_dir: Path,
) -> None:
    from napari_segreview.scans import read_labels, read_one

    folder = bundled().get("hippocampus-unet3d")
    if folder is None:
        pytest.skip("the model hippocampus-unet3d is not bundled")
    if not (data_dir / "mri_hippocampus").is_dir():
        pytest.skip(f"no mri_hippocampus in {data_dir}")
    case = read_card(folder).data.locked[0]
    scan = read_one(data_dir / f"mri_hippocampus/images/{case}.nii.gz")
    truth = read_labels(data_dir / f"mri_hippocampus/labels/{case}.nii.gz")
    found = run(scan, folder)
    report = score_all(found, truth.data, spacing=truth.grid.spacing)
    assert report.mean["dice"] > 0.8
    assert report.mean["hd95"] < 5.0
