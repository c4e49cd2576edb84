"""Which images are labels, and what their values and names are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from PIL import Image

from napari_segreview.core.labels import default_color
from napari_segreview.scans import looks_like_labels, read_labels, read_one
from src_models.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

VALUES = np.array([[[0, 1, 2], [2, 0, 7]]])


def nifti(path: Path, data: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(data, np.eye(4), dtype=data.dtype), path)
    return path


@pytest.mark.parametrize(
    "dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "f4", "f8"]
)
def test_any_type_of_whole_numbers(tmp_path: Path, dtype: str) -> None:
    labels = read_labels(nifti(tmp_path / "a.nii", VALUES.T.astype(dtype)))
    np.testing.assert_array_equal(labels.data, VALUES)
    assert labels.data.dtype.kind == "u"
    assert bool(labels.warnings) == (dtype[0] == "f")


def test_large_values_keep_their_type(tmp_path: Path) -> None:
    data = (VALUES * 40000).astype("i4")
    labels = read_labels(nifti(tmp_path / "a.nii", data.T))
    assert labels.data.dtype == np.uint32
    np.testing.assert_array_equal(labels.data, data)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (VALUES * 0.5, "0.5; a probability map"),
        (VALUES * -1.0, "got -7"),
        (VALUES.astype("i2") - 1, "got -1"),
        (np.where(VALUES == 7, np.nan, 0.0), "NaN"),
        (np.where(VALUES == 7, np.inf, 0.0), "infinity"),
    ],
)
def test_values_that_are_no_labels(tmp_path: Path, data: np.ndarray, word: str) -> None:
    with pytest.raises(InputError, match=r"^a\.nii: labels must be whole") as told:
        read_labels(nifti(tmp_path / "a.nii", data.T))
    assert word in str(told.value)


def test_colour_is_no_label_but_equal_channels_are(tmp_path: Path) -> None:
    flat = VALUES[0].astype("u1")
    Image.fromarray(np.dstack([flat] * 3)).save(tmp_path / "a.png")
    labels = read_labels(tmp_path / "a.png")
    np.testing.assert_array_equal(labels.data, flat)
    assert "3 equal channels" in labels.warnings[0]
    Image.fromarray(np.dstack([flat, flat, flat + 1])).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="3 channels that differ"):
        read_labels(tmp_path / "a.png")


# -- names ---------------------------------------------------------------------------


def test_names_of_3d_slicer(tmp_path: Path) -> None:
    image = SimpleITK.GetImageFromArray(VALUES.astype("u1"))
    for key, value in {
        "Segment0_ID": "Segment_1",
        "Segment0_Name": "left lung",
        "Segment0_Color": "0.5 0.25 1",
        "Segment0_LabelValue": "2",
        "Segment1_ID": "Segment_2",
        "Segment1_LabelValue": "7",
    }.items():
        image.SetMetaData(key, value)
    SimpleITK.WriteImage(image, str(tmp_path / "a.nrrd"))
    table = read_labels(tmp_path / "a.nrrd").table
    assert table.name(2) == "left lung"
    assert table.color(2) == (0.5, 0.25, 1.0)
    assert table.name(7) == "Segment_2"
    assert table.color(7) == default_color(7)
    assert list(table) == [2, 7]


@pytest.mark.parametrize(
    "keys",
    [
        {"Segment0_Color": "red"},
        {"Segment0_LabelValue": ""},
        {"Segment1_Name": "b", "Segment1_LabelValue": "1"},
    ],
)
def test_damaged_names_of_3d_slicer(tmp_path: Path, keys: dict[str, str]) -> None:
    image = SimpleITK.GetImageFromArray(VALUES.astype("u1"))
    for key, value in (
        {"Segment0_Name": "a", "Segment0_LabelValue": "1"} | keys
    ).items():
        image.SetMetaData(key, value)
    SimpleITK.WriteImage(image, str(tmp_path / "a.nrrd"))
    with pytest.raises(InputError, match=r"^a\.nrrd: "):
        read_labels(tmp_path / "a.nrrd")
    assert read_one(tmp_path / "a.nrrd").data.max() == 7  # still there to be looked at


def test_sidecar_by_hand(tmp_path: Path) -> None:
    nifti(tmp_path / "m.nii.gz", VALUES.T.astype("u1"))
    rows = [
        {"value": 7, "name": "Läsion"},
        {"value": 1, "name": "b", "color": [0, 0, 1]},
    ]
    side = tmp_path / "m.labels.json"
    side.write_text(json.dumps({"labels": rows}), encoding="utf-8")
    table = read_labels(tmp_path / "m.nii.gz").table
    assert (table.name(7), table.color(1)) == ("Läsion", (0.0, 0.0, 1.0))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        "\udcff",
        '{"labels": 3}',
        '{"labels": [{"name": "a"}]}',
        '{"labels": [], "unit": "mm", "shape": [0, 1], "affine": [[1]]}',
        '{"labels": [{"value": 1, "name": "a"}, {"value": 1, "name": "b"}]}',
    ],
)
def test_damaged_sidecar_is_told(tmp_path: Path, text: str) -> None:
    nifti(tmp_path / "m.nii", VALUES.T.astype("u1"))
    side = tmp_path / "m.labels.json"
    side.write_bytes(text.encode("utf-8", "surrogateescape"))
    labels = read_labels(tmp_path / "m.nii")
    assert len(labels.table) == 0
    assert "m.labels.json is damaged" in labels.warnings[0]


def test_sidecar_of_another_image(tmp_path: Path) -> None:
    Image.fromarray(VALUES[0].astype("u1")).save(tmp_path / "m.png")
    affine = np.diag([3.0, 3.0, 1.0]).tolist()
    known = {"labels": [], "shape": [9, 9], "unit": "mm", "affine": affine}
    (tmp_path / "m.labels.json").write_text(json.dumps(known))
    labels = read_labels(tmp_path / "m.png")
    assert labels.grid.unit == "px"
    assert "sidecar is for a shape of (9, 9)" in labels.warnings[0]


# -- does it look like labels? -------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("case1_seg.nii", True),
        ("case1-label.nii", True),
        ("lungmask.nii", True),
        ("labels_observer2/case1.nii", True),
        ("Segmentation/case1.nii", True),
        ("case1.nii", False),
        ("unlabelled/case1.nii", False),
        ("segreview/case1.nii", False),
        ("masked/brain.nii", False),
        ("labels/deep/case1.nii", False),
    ],
)
def test_by_place(tmp_path: Path, place: str, expected: bool) -> None:
    scan = read_one(nifti(tmp_path / "scans" / place, VALUES.T.astype("i2")))
    assert looks_like_labels(scan) == expected


@pytest.mark.parametrize(
    "data",
    [VALUES - 1, VALUES + 0.5, np.arange(300).reshape(3, 10, 10), VALUES * np.nan],
)
def test_by_values(tmp_path: Path, data: np.ndarray) -> None:
    dtype = "f4" if data.dtype.kind == "f" else "i2"
    scan = read_one(nifti(tmp_path / "labels" / "a.nii", data.T.astype(dtype)))
    assert not looks_like_labels(scan)


def test_by_names_beside_or_inside(tmp_path: Path) -> None:
    scan = read_one(nifti(tmp_path / "plain.nii", VALUES.T.astype("u1")))
    (tmp_path / "plain.labels.json").write_text('{"labels": []}')
    assert looks_like_labels(scan)
    image = SimpleITK.GetImageFromArray(VALUES.astype("u1"))
    SimpleITK.WriteImage(image, str(tmp_path / "a.nrrd"))
    assert not looks_like_labels(read_one(tmp_path / "a.nrrd"))
    image.SetMetaData("Segment0_Name", "x")
    SimpleITK.WriteImage(image, str(tmp_path / "b.nrrd"))
    assert looks_like_labels(read_one(tmp_path / "b.nrrd"))


@pytest.mark.parametrize(
    "folder",
    ["spinalcord_gm_sct", "ct_multiorgan_totalseg", "wbc_smear", "dicom_seg_dcmqi"],
)
def test_real_folders(data_dir: Path, folder: str) -> None:
    def some(kind: str) -> list[Path]:
        found = sorted(p for p in (data_dir / folder / kind).glob("*") if p.is_file())
        return [path for path in found if path.suffix != ".dcm"][:4]

    for path in some("labels") + some("labels_nrrd"):
        assert looks_like_labels(read_one(path)), path.name
    for path in some("images"):
        assert not looks_like_labels(read_one(path)), path.name
