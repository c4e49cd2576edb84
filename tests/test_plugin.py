"""The plugin as napari meets it: readers, writer, samples, a light start."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_segreview import _plugin
from napari_segreview._widgets import MainDock, session_of
from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import Label, LabelMap, LabelTable
from napari_segreview.core.scan import Scan
from napari_segreview.core.terms import total
from napari_segreview.layers.conversion import labels_layer
from napari_segreview.layers.placing import KEY
from napari_segreview.layers.shelf import NapariShelf
from napari_segreview.scans import read_labels, read_one
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILES = {
    "NIfTI": "mri_hippocampus/images/hippocampus_190.nii.gz",
    "NIfTI, oblique": "cine_sunnybrook/images/SC-HF-I-2_ed.nii.gz",
    "NIfTI, sagittal": "spinalcord_gm_sct/images/t2.nii.gz",
    "NIfTI, over time": "cine_pig_lv/images/pig_sax_4d.nii.gz",
    "JPEG": "retina_chasedb1/images/Image_04R.jpg",
    "PNG": "us_nerve_usgra/images",
    "DICOM folder": "dicom_rtstruct_sts008/images/CT",
    "DICOM, slices over time": "dicom_cine_sunnybrook/images",
}


def found(folder: Path, name: str) -> Path:
    path = folder / name
    return next(path.glob("*.png")) if name.startswith("us_nerve") else path


@pytest.mark.gui
@pytest.mark.parametrize("name", FILES.values(), ids=list(FILES))
def test_napari_opens_real_files(
    make_napari_viewer: Callable[[], Any], data_dir: Path, name: str
) -> None:
    path = found(data_dir, name)
    viewer = make_napari_viewer()
    (layer,) = viewer.open(path, plugin="napari-segreview")
    scan = read_one(path)
    assert isinstance(layer, Image)
    assert np.array_equal(layer.data, scan.data)
    assert layer.metadata[KEY].grid.difference(scan.grid) == ""
    viewer.dims.set_point(0, viewer.dims.range[0].start)  # it can be sliced
    assert session_of(viewer).state.scan is not None


@pytest.mark.gui
def test_label_files_become_labels_and_are_saved_where_they_lay(
    make_napari_viewer: Callable[[], Any], data_dir: Path, tmp_path: Path
) -> None:
    source = data_dir / "cine_sunnybrook" / "labels" / "SC-HF-I-2_ed.nii.gz"
    viewer = make_napari_viewer()
    (layer,) = viewer.open(source, plugin="napari-segreview")
    assert isinstance(layer, Labels)
    layer.paint((3, 100, 100), 7)
    target = tmp_path / "edited.nii.gz"
    assert viewer.layers.save(str(target), selected=True, plugin="napari-segreview")
    before, after = read_labels(source), read_labels(target)
    assert after.grid.difference(before.grid) == ""  # oblique, and not moved
    assert after.data[3, 100, 100] == 7
    assert np.array_equal(after.data[after.data != 7], before.data[after.data != 7])


@pytest.mark.gui
def test_labels_of_naparis_own_button_are_saved_on_the_scan(
    make_napari_viewer: Callable[[], Any], tmp_path: Path
) -> None:
    affine = np.diag([-1.0, -1.0, 2.0, 1.0])  # from right to left, front to back, up
    affine[:3, 3] = (-10.0, 20.0, 30.0)
    data = np.random.default_rng(0).integers(0, 99, (4, 5, 6)).astype("i2")
    scan = Scan(data=data, grid=Grid(data.shape, affine), name="head")
    viewer = make_napari_viewer()
    NapariShelf(viewer).add(scan)
    viewer._new_labels()
    layer = viewer.layers[-1]
    layer.paint((1, 2, 3), 2)
    target = tmp_path / "strokes.nii.gz"
    assert viewer.layers.save(str(target), selected=True, plugin="napari-segreview")
    back = read_labels(target)
    assert back.grid.difference(scan.grid) == ""
    assert back.data[1, 2, 3] == 2


def test_codes_go_through_napari_into_the_file(tmp_path: Path) -> None:
    """SNOMED CT codes of a SEG: layer, NIfTI sidecar, NRRD header, and back."""
    table = total().updated(LabelTable((Label(200, "odd", (1.0, 0.0, 0.0)),)))
    data = np.zeros((3, 4, 5), np.uint8)
    data[1] = 5
    grid = Grid.from_spacing(data.shape, (3.0, 1.0, 1.0))
    layer = labels_layer(LabelMap(data=data, grid=grid, table=table))
    for name in ("a.nii.gz", "a.nrrd"):
        pixels, meta, _ = layer.as_layer_data_tuple()
        _plugin.write_labels(str(tmp_path / name), pixels, meta)
        back = read_labels(tmp_path / name).table
        assert {v: row.coding for v, row in back.items()} == {
            v: row.coding for v, row in table.items()
        }


@pytest.mark.parametrize("bad", ["empty.nii.gz", "cut.nii.gz", "letter.nrrd"])
def test_a_damaged_file_is_told_by_name(tmp_path: Path, bad: str) -> None:
    path = tmp_path / bad
    path.write_bytes(
        {"empty.nii.gz": b"", "cut.nii.gz": b"\x1f\x8b\x08"}.get(bad, b"Dear")
    )
    reader = _plugin.get_reader(str(path))
    assert reader is not None
    with pytest.raises(InputError, match=bad):
        reader(str(path))


def test_what_is_no_scan_is_left_to_others(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("notes")
    assert _plugin.get_reader(str(tmp_path / "notes.txt")) is None
    assert _plugin.get_reader(str(tmp_path)) is None  # a folder without DICOM
    assert _plugin.get_reader([str(tmp_path / "notes.txt"), "a.nii.gz"]) is None


@pytest.mark.gui
@pytest.mark.parametrize(
    ("key", "layers"),
    [("retina", 1), ("phantom", 2), ("dicom-ct", 1), ("brain-template", 1)],
)
def test_samples_open(
    make_napari_viewer: Callable[[], Any], key: str, layers: int
) -> None:
    if key == "brain-template" and find_spec("nilearn") is None:
        pytest.skip("nilearn, an optional extra, is not installed")
    viewer = make_napari_viewer()
    viewer.open_sample("napari-segreview", key)
    assert len(viewer.layers) == layers


@pytest.mark.gui
def test_a_fault_is_a_notification_too(make_napari_viewer: Callable[[], Any]) -> None:
    from napari.utils.notifications import notification_manager

    viewer = make_napari_viewer()
    dock = MainDock(viewer)
    viewer.window.add_dock_widget(dock)
    viewer.add_image(np.full((16, 16, 3), np.nan, np.float32), rgb=True, name="broken")
    session = session_of(viewer)
    session._failed(InputError("broken: 768 of 768 voxels are not numbers"))
    assert notification_manager.records[-1].message == session.state.fault


def test_a_folder_opens_its_series_and_what_was_drawn_on_it(data_dir: Path) -> None:
    folder = data_dir / "dicom_seg_dcmqi"
    layers = _plugin.read_layers(str(folder))
    assert [kind for *_, kind in layers] == ["image", *["labels"] * 4]
    grids = [meta["metadata"][KEY].grid for _, meta, _ in layers]
    assert {grid.difference(grids[0]) for grid in grids} == {""}
    (alone,) = _plugin.read_layers(str(folder / "labels/liver.dcm"))
    assert alone[0].sum() == 107098
    assert list(alone[1]["features"]["name"]) == ["background", "Liver"]


LIGHT = """
    import sys, napari
    viewer = napari.Viewer(show=False)
    viewer.window.add_plugin_dock_widget("napari-segreview", "SegReview")
    from napari_segreview._widgets import session_of
    assert session_of(viewer).state.offers
    heavy = {"torch", "monai", "lightning_fabric", "SimpleITK"} & set(sys.modules)
    viewer.close()
    sys.exit(f"woken: {heavy}" if heavy else 0)
"""


@pytest.mark.gui
def test_opening_the_dock_wakes_no_torch() -> None:
    code = textwrap.dedent(LIGHT)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
