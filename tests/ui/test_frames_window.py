"""A model that reads frames together, in the window and on the command line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tiny_model import grid_to, save_tiny, tiny_frames

from napari_segreview import cli
from napari_segreview._widgets import session_of
from napari_segreview.core.labels import LabelMap
from napari_segreview.core.scan import Scan
from napari_segreview.layers.shelf import NapariShelf
from napari_segreview.scans import read_labels, write_labels

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FRAMES, SHAPE = 4, (3, 20, 22)
pytestmark = pytest.mark.gui


def cine(**changes: Any) -> Scan:
    data = np.random.default_rng(0).integers(0, 200, (FRAMES, *SHAPE)).astype("i2")
    values = {"data": data, "grid": grid_to("LPS", SHAPE), "name": "heart"}
    return Scan(**{**values, "has_time": True, "frame_ms": 30.0, **changes})


@pytest.mark.parametrize("ndim", [2, 3])
def test_segment_then_move_through_time(
    ndim: int,
    make_napari_viewer: Callable[[], Any],
    qtbot: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SEGREVIEW_MODELS", str(tmp_path / "own"))
    viewer = make_napari_viewer()
    _, dock = viewer.window.add_plugin_dock_widget("napari-segreview", "SegReview")
    session = session_of(viewer)
    NapariShelf(viewer).add(cine())
    session.add_model(save_tiny(tmp_path / "new", ndim, **tiny_frames(ndim)))
    session.choose_model("tiny")
    dock.panels["Segment"].run.click()
    qtbot.waitUntil(lambda: session.state.running is None, timeout=60_000)
    assert session.state.fault == ""
    image, labels = viewer.layers
    assert labels.data.shape == image.data.shape == (FRAMES, *SHAPE)
    assert 0 < (labels.data > 0).mean() < 1
    np.testing.assert_allclose(labels.scale, image.scale)
    for frame in range(FRAMES):  # napari's time slider
        viewer.dims.set_current_step((0, 1), (frame, 1))
        shown = np.asarray(labels._slice.image.raw)
        np.testing.assert_array_equal(shown, labels.data[frame, 1])


def test_predict_writes_every_frame(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scan = cine()
    grey = LabelMap(data=scan.data.astype(np.uint8), grid=scan.grid)
    write_labels(grey, tmp_path / "heart.nii.gz")
    model = save_tiny(tmp_path / "model", 2, **tiny_frames(2))
    out = tmp_path / "labels.nii.gz"
    words = ["predict", tmp_path / "heart.nii.gz", "-m", model, "-o", out]
    monkeypatch.setattr(sys, "argv", ["segreview", *map(str, words), "--device", "cpu"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code, capsys.readouterr().err
    found = read_labels(out)
    assert found.data.shape == (FRAMES, *SHAPE)
    assert found.grid.difference(scan.grid) == ""
    assert "(mean over frames)" in capsys.readouterr().out
