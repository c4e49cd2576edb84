"""RTSTRUCT: the real ones against masks, made ones by hand, and what is reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from test_dicom_seg import PLACE, SCALE, SERIES, SHAPE

from napari_segreview.core.labels import Code, Coding, LabelMap
from napari_segreview.core.orientation import turn_between
from napari_segreview.scans import read_all, read_label_maps, read_labels
from napari_segreview.scans.dicom_labels import series_of
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    Maker = Callable[..., Path]
    Contour = tuple[str, list[list[float]]]

BOX = [[0.5, 0.5, 1], [4.5, 0.5, 1], [4.5, 3.5, 1], [0.5, 3.5, 1]]  # x, y, z: 4 × 3
HOLE = [[1.5, 1.5, 1], [3.5, 1.5, 1], [3.5, 2.5, 1], [1.5, 2.5, 1]]  # 2 × 1
TINY = [[1.2, 1.2, 1], [1.4, 1.2, 1], [1.4, 1.4, 1]]  # between the centres of voxels
CLOSED = "CLOSED_PLANAR"


def at(slice_: float, points: list[list[float]]) -> list[list[float]]:
    return [[x, y, slice_] for x, y, _ in points]


def item(**tags: Any) -> Dataset:
    made = Dataset()
    for key, value in tags.items():
        setattr(made, key, value)
    return made


def rtstruct(
    path: Path,
    series: Path,
    affine: np.ndarray,
    regions: dict[str, Sequence[Contour] | None],
    **tags: Any,
) -> Path:
    """Write an RTSTRUCT; contours in voxels (x, y, z) of the series."""
    first = pydicom.dcmread(next(series.glob("*.dcm")), stop_before_pixels=True)
    contours, rois, seen = [], [], []
    for number, (name, drawn) in enumerate(regions.items(), 1):
        rois.append(
            item(
                ROINumber=number,
                ROIName=name,
                ReferencedFrameOfReferenceUID=first.FrameOfReferenceUID,
            )
        )
        code = item(CodeValue="10200004", CodingSchemeDesignator="SCT")
        code.CodeMeaning = "Liver"
        seen.append(
            item(
                ReferencedROINumber=number,
                RTROIInterpretedType="ORGAN",
                RTROIIdentificationCodeSequence=[code] if number == 1 else [],
            )
        )
        if drawn is not None:
            sequence = [
                item(
                    ContourGeometricType=kind,
                    NumberOfContourPoints=len(points),
                    ContourData=[f"{v:.8f}" for v in placed(affine, points)],
                )
                for kind, points in drawn
            ]
            contours.append(
                item(
                    ReferencedROINumber=number,
                    ROIDisplayColor=[255, 51, 0],
                    ContourSequence=sequence,
                )
            )
    referenced = item(
        RTReferencedStudySequence=[
            item(
                RTReferencedSeriesSequence=[
                    item(SeriesInstanceUID=first.SeriesInstanceUID)
                ]
            )
        ]
    )
    ds = item(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.481.3",
        SOPInstanceUID=generate_uid(),
        Modality="RTSTRUCT",
        SeriesInstanceUID=generate_uid(),
        StructureSetLabel="plan A",
        StructureSetROISequence=rois,
        ROIContourSequence=contours,
        RTROIObservationsSequence=seen,
        ReferencedFrameOfReferenceSequence=[referenced],
        **tags,
    )
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.save_as(path, enforce_file_format=True)
    return path


def placed(affine: np.ndarray, points: list[list[float]]) -> np.ndarray:
    if not points:
        return np.array([])
    return (np.array(points) @ affine[:3, :3].T + affine[:3, 3]).ravel()


@pytest.fixture
def ct(tmp_path: Path, dicom_series: Maker) -> Path:
    return dicom_series(tmp_path / "ct", SERIES["axial"], SHAPE)


# -- the real ones -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "voxels"), [("CT", 8862), ("MR_T1", 8862), ("PET", 388)]
)
def test_real_contours_against_the_authors_mask(
    data_dir: Path, name: str, voxels: int
) -> None:
    folder = data_dir / "dicom_rtstruct_sts008"
    path = folder / f"labels/{name}_RTSTRUCT.dcm"
    labels = read_labels(path, folder / "images" / name)
    mask = read_labels(folder / f"labels/{name}_reference_mask.nii.gz")
    turn = turn_between(mask.grid, labels.grid)
    assert turn is not None
    wanted, got = turn.apply(mask.data) > 0, labels.data > 0
    assert got.sum() == voxels
    assert 2 * (wanted & got).sum() / (wanted.sum() + got.sum()) == 1.0
    assert labels.table.name(1) == f"GTV_Mass_{name}"
    assert labels.table.color(1) == (1.0, 0.0, 0.0)
    assert labels.warnings == ()


def test_real_folder_of_three_series(data_dir: Path) -> None:
    items = read_all(data_dir / "dicom_rtstruct_sts008")
    maps = {item.name: item for item in items if isinstance(item, LabelMap)}
    scans = {item.name: item for item in items if not isinstance(item, LabelMap)}
    assert len(maps) == len(scans) == 3
    for name, labels in maps.items():  # each on the series it was drawn on
        scan = scans[name.replace("_mask", "_image")]
        assert labels.grid.difference(scan.grid) == ""


# -- by hand -------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(SERIES))
def test_a_box_with_a_hole(tmp_path: Path, dicom_series: Maker, name: str) -> None:
    affine = SERIES[name]
    folder = dicom_series(tmp_path / "ct", affine, SHAPE)
    drawn = [(CLOSED, BOX), (CLOSED, HOLE), (CLOSED, at(2, BOX))]
    path = rtstruct(tmp_path / "ct" / "rt.dcm", folder, affine, {"liver": drawn})
    labels = read_labels(path)
    # the series' own first slice may be the last of the affine
    turn = turn_between(labels.grid, series_of(folder)[0].scan.grid)
    assert turn is not None
    planes = (labels.data > 0).sum(axis=(1, 2)).tolist()
    assert planes in ([0, 10, 12, 0], [0, 12, 10, 0])
    full = planes.index(10)
    np.testing.assert_array_equal(labels.data[full, 2, 1:5], [1, 0, 0, 1])
    assert labels.table[1].name == "liver"
    assert labels.table[1].color == (1.0, 0.2, 0.0)
    assert labels.table[1].coding == Coding(Code("SCT", "10200004", "Liver"))
    assert labels.name == "plan A"


def test_regions_that_overlap(tmp_path: Path, ct: Path) -> None:
    regions = {
        "body": [(CLOSED, BOX)],
        "inner": [(CLOSED, HOLE)],
        "apart": [(CLOSED, at(3, HOLE))],
    }
    path = rtstruct(tmp_path / "rt.dcm", ct, SERIES["axial"], regions)
    maps = read_label_maps(path, ct)
    assert [sorted(one.table) for one in maps] == [[1, 3], [2]]
    assert [int((maps[0].data == v).sum()) for v in (1, 3)] == [12, 2]
    assert int((maps[1].data == 2).sum()) == 2
    assert [one.name for one in maps] == ["plan A (1)", "plan A (2)"]


def test_what_cannot_be_shown_is_told(tmp_path: Path, ct: Path) -> None:
    slanted = [[x, y, z + 0.4 * x] for x, y, z in BOX]
    regions = {
        "whole": [(CLOSED, BOX), (CLOSED, at(3, BOX))],
        "open": [("OPEN_PLANAR", BOX), ("POINT", BOX[:1]), (CLOSED, HOLE)],
        "short": [(CLOSED, BOX[:2]), (CLOSED, []), (CLOSED, at(3.3, HOLE))],
        "empty": [],
        "bare": None,
        "slanted": [(CLOSED, slanted)],
        "outside": [(CLOSED, at(9, BOX)), (CLOSED, at(-2, BOX))],
        "tiny": [(CLOSED, TINY), (CLOSED, at(2, TINY)), (CLOSED, at(3, BOX))],
    }
    path = rtstruct(tmp_path / "rt.dcm", ct, SERIES["axial"], regions)
    maps = read_label_maps(path, ct)
    assert sorted(v for one in maps for v in one.table) == [1, 2, 3, 8]
    said = "\n".join(maps[0].warnings)
    for words in (
        "whole: has no contour in a slice between others, left empty",
        "open: OPEN_PLANAR is no closed contour and was left out",
        "open: POINT is no closed contour",
        "short: a contour without three whole points was left out (2 times)",
        "short: a contour between two slices was taken to the nearer",
        "empty: has no contour",
        "bare: has no contour",
        "slanted: left out: its contours do not lie in the slices of the series",
        "outside: a contour above or below the series was left out (2 times)",
        "tiny: what is drawn in a slice holds no voxel's centre (too small, or beside "
        "the image) and was left out (2 times)",
    ):
        assert words in said, words


@pytest.mark.parametrize(
    ("drawn", "words"),
    [
        ([("OPEN_NONPLANAR", BOX)], "OPEN_NONPLANAR is no closed contour"),
        ([], "has no contour"),
        ([(CLOSED, [[x, y, x] for x, y, _ in BOX])], "they cross 4.0 slices"),
    ],
)
def test_nothing_to_show(
    tmp_path: Path, ct: Path, drawn: list[Contour], words: str
) -> None:
    path = rtstruct(tmp_path / "rt.dcm", ct, SERIES["axial"], {"a": drawn})
    with pytest.raises(InputError, match=words) as told:
        read_labels(path, ct)
    assert str(told.value).startswith("rt.dcm: no region of interest can be shown")


def test_no_region_at_all(tmp_path: Path, ct: Path) -> None:
    path = rtstruct(tmp_path / "rt.dcm", ct, SERIES["axial"], {})
    with pytest.raises(InputError, match="it lists no region"):
        read_labels(path, ct)


def test_region_numbers_that_are_no_labels(tmp_path: Path, ct: Path) -> None:
    regions = {"a": [(CLOSED, BOX)], "b": [(CLOSED, at(2, BOX))]}
    path = rtstruct(tmp_path / "rt.dcm", ct, SERIES["axial"], regions)
    ds = pydicom.dcmread(path)
    for sequence, name in (
        (ds.StructureSetROISequence, "ROINumber"),
        (ds.ROIContourSequence, "ReferencedROINumber"),
    ):
        for number, one in enumerate(sequence):
            setattr(one, name, number)  # from 0
    ds.save_as(path)
    labels = read_labels(path, ct)
    assert {v: row.name for v, row in labels.table.items()} == {1: "a", 2: "b"}
    assert [int((labels.data == v).sum()) for v in (1, 2)] == [12, 12]


def test_drawn_on_another_series(tmp_path: Path, ct: Path, dicom_series: Maker) -> None:
    path = rtstruct(tmp_path / "rt.dcm", ct, SERIES["axial"], {"a": [(CLOSED, BOX)]})
    other = dicom_series(tmp_path / "other", PLACE @ SCALE, SHAPE)
    with pytest.raises(InputError, match="another series than the one that is given"):
        read_labels(path, other)
    alone = tmp_path / "alone" / "deep" / "deeper"
    alone.mkdir(parents=True)
    path.rename(alone / "rt.dcm")
    with pytest.raises(InputError, match=r"^rt\.dcm: the series .* is not here; put"):
        read_labels(alone / "rt.dcm")


def test_a_damaged_file(tmp_path: Path, ct: Path) -> None:
    path = rtstruct(tmp_path / "rt.dcm", ct, SERIES["axial"], {"a": [(CLOSED, BOX)]})
    ds = pydicom.dcmread(path)
    del ds.StructureSetROISequence[0].ROINumber
    ds.save_as(path)
    with pytest.raises(InputError, match=r"^rt\.dcm: the file is damaged"):
        read_labels(path, ct)
