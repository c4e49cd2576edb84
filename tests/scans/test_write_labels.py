"""Labels come back as they went, or the earlier file stays."""

from __future__ import annotations

import errno
import os
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import Label, LabelMap, LabelTable
from napari_segreview.scans import (
    WRITABLE,
    WriteError,
    check_apart,
    check_writable,
    guard,
    read_labels,
    read_one,
    write_labels,
    writing,
)
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
VOLUMES = (".nii", ".nii.gz", ".nrrd", ".mha")
TABLE = LabelTable(
    (Label(1, "left lung", (0.1, 0.25, 1.0)), Label(3, "Läsion", (1.0, 0.0, 1 / 3)))
)


def some_labels(seed: int, axes: str, grid: Grid, largest: int = 3) -> LabelMap:
    """A few boxes, always with the largest value in one corner."""
    rng = np.random.default_rng(seed)
    frames = (3,) if axes.startswith("t") else ()
    data = np.zeros((*frames, *grid.shape), np.uint32)
    for value in rng.integers(1, largest, 4, endpoint=True):
        low = [rng.integers(0, side) for side in data.shape]
        data[tuple(slice(at, at + 3) for at in low)] = value
    data[(0,) * data.ndim] = largest
    return LabelMap(data=data, grid=grid, table=TABLE)


def turned(seed: int, n: int, flips: bool) -> np.ndarray:
    """A random rotation of n axes; with `flips` it may mirror."""
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0]
    if not flips and np.linalg.det(turn) < 0:
        turn[:, 0] *= -1
    return turn


@st.composite
def grids(draw: st.DrawFn, n: int) -> Grid:
    affine = np.eye(n + 1)
    kind = draw(st.sampled_from(["oblique", "mirrored", "axes"]))
    seed = draw(st.integers(0, 2**20))
    if kind == "axes":  # permuted and flipped, exactly
        rng = np.random.default_rng(seed)
        turn = np.eye(n)[rng.permutation(n)] * rng.choice([-1, 1], n)
    else:
        turn = turned(seed, n, kind == "mirrored")
    spacing = draw(st.lists(st.floats(0.05, 20), min_size=n, max_size=n))
    affine[:n, :n] = turn * spacing
    affine[:n, n] = draw(st.lists(st.floats(-900, 900), min_size=n, max_size=n))
    shape = draw(st.lists(st.integers(1, 6), min_size=n, max_size=n))
    return Grid(tuple(shape), affine, draw(st.sampled_from(["mm", "px"])))


@st.composite
def label_maps(draw: st.DrawFn) -> LabelMap:
    axes = draw(st.sampled_from(["yx", "zyx", "tyx", "tzyx"]))
    grid = draw(grids(axes.count("z") + 2))
    largest = draw(st.sampled_from([3, 255, 256, 65535, 65536, 2**32 - 1]))
    return some_labels(draw(st.integers(0, 99)), axes, grid, largest)


# -- round trips ---------------------------------------------------------------------


@pytest.mark.parametrize("suffix", WRITABLE)
@settings(max_examples=40)
@given(labels=label_maps())
def test_labels_come_back(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, labels: LabelMap
) -> None:
    if suffix == ".png":
        flat = labels.data.reshape(-1, *labels.data.shape[-2:])[0]
        grid = labels.grid
        if grid.ndim == 3:
            grid = Grid.from_spacing(grid.shape[1:], grid.spacing[1:])
        labels = replace(labels, data=np.minimum(flat, 65535), grid=grid)
    folder = tmp_path_factory.mktemp("out")
    write_labels(labels, folder / f"m{suffix}")
    back = read_labels(folder / f"m{suffix}")
    np.testing.assert_array_equal(back.data, labels.data)
    assert back.data.dtype == np.min_scalar_type(labels.data.max())
    assert back.grid.difference(labels.grid) == ""
    assert back.table == labels.table
    assert back.has_time == labels.has_time
    assert {p.name for p in folder.iterdir()} <= {f"m{suffix}", "m.labels.json"}


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@settings(max_examples=25)
@given(grid=grids(3))
def test_nibabel_finds_each_label_at_its_place(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, grid: Grid
) -> None:
    labels = some_labels(1, "zyx", grid)
    path = tmp_path_factory.mktemp("out") / f"m{suffix}"
    write_labels(labels, path)
    image = nib.load(path)
    for value in np.unique(labels.data)[1:]:
        ours = grid.to_world(np.argwhere(labels.data == value).mean(axis=0))
        voxel = np.argwhere(np.asarray(image.dataobj) == value).mean(axis=0)
        theirs = (LPS @ image.affine @ [*voxel, 1])[:3]
        np.testing.assert_allclose(ours, theirs, atol=1e-3 * min(grid.spacing) + 1e-3)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".tif"])
def test_shear_survives_where_it_can(tmp_path: Path, suffix: str) -> None:
    affine = np.diag([1.0, 1.0, 3.0, 1.0])
    affine[1, 2] = 0.8  # gantry tilt
    labels = some_labels(0, "zyx", Grid((3, 4, 5), affine))
    write_labels(labels, tmp_path / f"m{suffix}")
    back = read_labels(tmp_path / f"m{suffix}")
    np.testing.assert_allclose(back.grid.affine, affine, atol=1e-9)
    with pytest.raises(InputError, match="not at right angles"):
        write_labels(labels, tmp_path / "m.nii.gz")
    assert not (tmp_path / "m.nii.gz").exists()


def test_nrrd_bears_the_keys_of_3d_slicer(tmp_path: Path) -> None:
    labels = some_labels(0, "zyx", Grid.from_spacing((3, 4, 5), (2.0, 1.0, 1.0)))
    write_labels(labels, tmp_path / "m.nrrd")
    image = SimpleITK.ReadImage(str(tmp_path / "m.nrrd"))
    assert image.GetMetaData("Segment0_Name") == "left lung"
    assert image.GetMetaData("Segment1_LabelValue") == "3"
    assert image.GetMetaData("Segment0_Color") == "0.1 0.25 1.0"
    assert image.GetMetaData("Segment0_Extent") == "0 4 0 3 0 2"
    assert not (tmp_path / "m.labels.json").exists()


def test_empty_labels(tmp_path: Path) -> None:
    grid = Grid.from_spacing((2, 3, 4), (1.0, 1.0, 1.0))
    labels = LabelMap(data=np.zeros((2, 3, 4), np.uint16), grid=grid)
    for suffix in VOLUMES:
        write_labels(labels, tmp_path / f"m{suffix}")
        assert not read_labels(tmp_path / f"m{suffix}").data.any()


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("cine_sunnybrook/images/SC-HF-I-1_4d", "cine_sunnybrook/labels/SC-HF-I-1_4d"),
        ("spinalcord_gm_sct/images/t2s_crop", "spinalcord_gm_sct/labels/t2s_crop"),
        ("ct_headneck_openkbp/images/pt_61", "ct_headneck_openkbp/labels/pt_61"),
    ],
)
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_real_labels_stay_on_their_scan(
    data_dir: Path, tmp_path: Path, image: str, label: str, suffix: str
) -> None:
    labels = read_labels(data_dir / f"{label}.nii.gz")
    write_labels(labels, tmp_path / f"m{suffix}")
    back = read_labels(tmp_path / f"m{suffix}")
    np.testing.assert_array_equal(back.data, labels.data)
    scan = read_one(data_dir / f"{image}.nii.gz")
    assert scan.grid.difference(back.grid) == ""


def test_labels_drawn_on_dicom_lie_on_it_in_itk(data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "dicom_seg_dcmqi/images/ct-3slice"
    ct = read_one(folder)
    data = np.zeros(ct.data.shape, np.uint8)
    data[1, 100:150, 200:220] = 1
    write_labels(LabelMap(data=data, grid=ct.grid), tmp_path / "m.nii.gz")
    names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    here = SimpleITK.ReadImage(names).TransformIndexToPhysicalPoint((200, 100, 1))
    mask = SimpleITK.ReadImage(str(tmp_path / "m.nii.gz"))
    index = mask.TransformPhysicalPointToIndex(here)
    assert mask[index] == 1
    assert mask[index[0] - 1, index[1], index[2]] == 0


# -- what cannot be written ----------------------------------------------------------


@pytest.fixture
def flat() -> LabelMap:
    return some_labels(0, "yx", Grid.from_spacing((4, 5), (1.0, 1.0), "px"), 70000)


def test_png_limits(tmp_path: Path, flat: LabelMap) -> None:
    with pytest.raises(InputError, match=r"m\.png: .* up to 65535, got 70000"):
        write_labels(flat, tmp_path / "m.png")
    deep = some_labels(0, "zyx", Grid.from_spacing((2, 4, 5), (1.0, 1.0, 1.0)))
    with pytest.raises(InputError, match="one 2D image"):
        write_labels(deep, tmp_path / "m.png")
    with pytest.raises(InputError, match=r"m\.jpg: labels can be saved as \.nii\.gz"):
        write_labels(flat, tmp_path / "m.jpg")
    assert not list(tmp_path.iterdir())


def test_more_than_32_bits(tmp_path: Path, flat: LabelMap) -> None:
    huge = replace(flat, data=flat.data.astype(np.uint64) * 2**20)
    with pytest.raises(InputError, match="up to 4294967295"):
        write_labels(huge, tmp_path / "m.nii.gz")


def test_missing_folder(tmp_path: Path, flat: LabelMap) -> None:
    with pytest.raises(WriteError, match="there is no folder"):
        write_labels(flat, tmp_path / "no" / "m.nii.gz")


def test_told_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_writable(tmp_path / "m.nii.gz")
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"m\.doc: labels can be saved as"):
        check_writable(tmp_path / "m.doc")
    with pytest.raises(WriteError, match="there is no folder"):
        check_writable(tmp_path / "no" / "m.nii")

    def refused(*_: object, **__: object) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(writing.tempfile, "mkdtemp", refused)
    with pytest.raises(WriteError, match=r"m\.nii was not saved: Permission denied"):
        check_writable(tmp_path / "m.nii")


def test_nothing_is_written_over_what_is_read(tmp_path: Path) -> None:
    one, other = tmp_path / "1.dcm", tmp_path / "other.dcm"
    one.touch()
    for source in (one, tmp_path):
        with pytest.raises(InputError, match=r"1\.dcm is part of what is read"):
            check_apart(one, source)
        check_apart(other, source)
    other.touch()
    check_apart(other, one)


# -- the earlier file stays ----------------------------------------------------------


@pytest.fixture(params=WRITABLE)
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A saved file; afterwards everything in its folder is as it was."""
    grid = Grid.from_spacing((4, 5), (1.0, 1.0), "px")
    path = tmp_path / f"m{request.param}"
    write_labels(some_labels(1, "yx", grid), path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    yield path
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def fails_with(path: Path, labels: LabelMap, words: str) -> None:
    with pytest.raises(WriteError, match="the earlier file is unchanged") as told:
        write_labels(labels, path)
    message = str(told.value)
    assert words in message
    assert message.startswith(path.name)
    assert "\n" not in message
    assert isinstance(told.value, InputError)
    assert isinstance(told.value, OSError)


def other(path: Path) -> LabelMap:
    return replace(read_labels(path), table=LabelTable.of({2: "new"}))


def test_full_disk(earlier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    labels = other(earlier)
    monkeypatch.setattr(writing.os, "fsync", full)
    fails_with(earlier, labels, "No space left on device")


@pytest.mark.parametrize("lie", ["value", "place", "name", "cut"])
def test_a_writer_that_lies(
    earlier: Path, monkeypatch: pytest.MonkeyPatch, lie: str
) -> None:
    """Whatever a writer gets wrong, the guard finds it by reading the file again."""
    labels = other(earlier)
    form = writing.FORMATS[earlier.suffix if earlier.stem == "m" else ".nii.gz"]

    def write(given: LabelMap, draft: Path) -> None:
        if lie == "value":
            data = given.data.copy()
            data[2, 2] += 1
            given = replace(given, data=data)
        if lie == "place":
            affine = given.grid.affine.copy()
            affine[0, 2] += 0.01
            given = replace(given, grid=Grid(given.grid.shape, affine, "px"))
        if lie == "name":
            given = replace(given, table=LabelTable.of({2: "old"}))
        form.write(given, draft)
        if lie == "cut":
            os.truncate(draft, draft.stat().st_size // 2)

    beside = (not form.volume and lie == "place") or (form.sidecar and lie == "name")
    if beside:  # there the sidecar holds the place or the name
        honest = writing.label_table.to_json
        monkeypatch.setattr(
            writing.label_table,
            "to_json",
            lambda given: honest(given).replace("new", "old").replace("0.0", "0.5"),
        )
    formats = {key: replace(form, write=write) for key in writing.FORMATS}
    monkeypatch.setattr(writing, "FORMATS", formats)
    fails_with(earlier, labels, "was not saved")


def test_replacing_fails(earlier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_: object) -> None:
        raise PermissionError(errno.EACCES, "the file is open elsewhere")

    labels = other(earlier)
    monkeypatch.setattr(writing.os, "replace", locked)
    fails_with(earlier, labels, "open elsewhere")


def test_folder_that_may_not_be_written(
    earlier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = other(earlier)
    earlier.parent.chmod(0o500)
    try:
        if os.access(earlier.parent, os.W_OK):  # root may write anywhere

            def refused(*_: object, **__: object) -> str:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

            monkeypatch.setattr(writing.tempfile, "mkdtemp", refused)
        fails_with(earlier, labels, "Permission denied")
    finally:
        earlier.parent.chmod(0o700)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "tiny"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        done = False
    if not done:
        pytest.skip("only root may mount a small disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".tif"])
def test_a_disk_that_is_really_full(tiny_disk: Path, suffix: str) -> None:
    small = Grid.from_spacing((4, 5, 6), (1.0, 1.0, 1.0))
    path = tiny_disk / f"m{suffix}"
    write_labels(some_labels(1, "zyx", small), path)
    before = {p.name: p.read_bytes() for p in tiny_disk.iterdir()}
    noise = np.random.default_rng(0).integers(0, 60000, (20, 64, 64)).astype("u2")
    large = LabelMap(data=noise, grid=Grid.from_spacing(noise.shape, (1.0, 1.0, 1.0)))
    fails_with(path, large, "was not saved")
    assert {p.name: p.read_bytes() for p in tiny_disk.iterdir()} == before


# -- the guard itself ----------------------------------------------------------------


def test_measure_by_hand() -> None:
    affine = np.array([[0, 2, 0, 10], [3, 0, 0, 20], [0, 0, 5, 30], [0, 0, 0, 1.0]])
    data = np.zeros((4, 5, 6), np.uint8)
    data[1:3, 2, 3:5] = 9
    labels = LabelMap(data=data, grid=Grid(data.shape, affine))
    ((key, one),) = guard.measure(labels).items()
    assert key == (0, 9)
    assert one.volume == pytest.approx(4 * 30)
    np.testing.assert_allclose(one.low, [10 + 2 * 2, 20 + 3 * 3, 30 + 5])
    np.testing.assert_allclose(one.high, [10 + 2 * 2, 20 + 3 * 4, 30 + 10])
    np.testing.assert_allclose(one.centroid, [14, 30.5, 37.5])


@given(labels=label_maps())
@settings(max_examples=30)
def test_two_ways_to_measure_agree(labels: LabelMap) -> None:
    image = writing._image(labels)
    guard.compare(guard.measure(labels), guard.measure_image(image), labels.grid)


@given(labels=label_maps(), axis=st.integers(0, 1))
@settings(max_examples=20)
def test_a_hundredth_of_a_voxel_is_found(labels: LabelMap, axis: int) -> None:
    affine = labels.grid.affine.copy()
    far = 0.01 * max(labels.grid.spacing) + 1e-5 * np.abs(affine[:-1, -1]).max()
    affine[axis, -1] += far
    moved = replace(labels, grid=Grid(labels.grid.shape, affine, labels.grid.unit))
    with pytest.raises(WriteError, match="would lie"):
        guard.compare(guard.measure(labels), guard.measure(moved), labels.grid)
    with pytest.raises(WriteError, match="would lie elsewhere"):
        guard.check_same(labels, moved)
