"""DICOM: stacks by position, cine, rescaling, mixtures, and what must fail."""

from __future__ import annotations

import logging
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from napari_segreview.scans import can_read, read, read_one
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Maker = Callable[..., Path]


def packaged(name: str) -> str:
    """A file inside the pydicom package; nothing is downloaded."""
    path = get_testdata_file(name, download=False)
    assert path is not None
    return str(path)


# -- by hand -------------------------------------------------------------------------


def test_slices_lie_by_position(tmp_path: Path, dicom_slice: Maker) -> None:
    for number, z in enumerate([30.0, 10.0, 20.0], 1):  # InstanceNumber means nothing
        dicom_slice(
            tmp_path / "deep" / f"{number}.dcm", (5, 6, z), InstanceNumber=number
        )
    scan = read_one(tmp_path)
    assert scan.data[:, 0, 0].tolist() == [2, 3, 1]
    assert scan.grid.spacing == pytest.approx((10.0, 0.5, 0.25))  # not SliceThickness
    np.testing.assert_allclose(scan.grid.affine[:3, 3], [5, 6, 10])
    assert (scan.name, scan.modality, scan.source) == ("CT 7", "CT", tmp_path)
    assert scan.data.dtype == np.int16


def test_no_word_of_the_patient(tmp_path: Path, dicom_slice: Maker) -> None:
    dicom_slice(tmp_path / "a.dcm", (0, 0, 0), SeriesDescription="Lung  1 mm")
    scan = read_one(tmp_path)
    assert scan.name == "Lung 1 mm"
    assert "Secret" not in repr(scan)


def test_scans_of_a_patient_have_one_subject(
    tmp_path: Path, dicom_slice: Maker
) -> None:
    """By the id and who gave it; by the study where there is none."""
    ids = [
        {"PatientID": "7", "StudyInstanceUID": "1.2"},
        {"PatientID": " 7", "StudyInstanceUID": "1.3"},
        {"PatientID": "7", "IssuerOfPatientID": "elsewhere"},
        {"PatientID": "", "StudyInstanceUID": "1.4"},
        {"PatientID": "", "StudyInstanceUID": "1.4", "SeriesNumber": 9},
    ]
    found = []
    for number, tags in enumerate(ids):
        dicom_slice(tmp_path / str(number) / "a.dcm", (0, 0, 0), **tags)
        found.append(read_one(tmp_path / str(number)).subject)
    assert found[0] == found[1]
    assert found[3] == found[4]
    assert len({*found}) == 3
    assert all(len(one) == 32 for one in found)


def test_gantry_tilt_is_in_the_affine(tmp_path: Path, dicom_slice: Maker) -> None:
    for i in range(4):
        dicom_slice(tmp_path / f"{i}", (0.0, 0.3 * i, 2.0 * i))
    grid = read_one(tmp_path).grid
    np.testing.assert_allclose(grid.affine[:3, 2], [0, 0.3, 2.0], atol=1e-9)
    assert grid.voxel_volume == pytest.approx(0.5 * 0.25 * 2.0)  # not |k| · …


@pytest.mark.parametrize(
    ("slope", "intercept", "dtype"),
    [(1, -1024, np.int16), (2, 0, np.int16), (1, -100000, np.int32), (0.5, 1, "f4")],
)
def test_rescaling(
    tmp_path: Path, dicom_slice: Maker, slope: float, intercept: float, dtype: str
) -> None:
    pixels = np.array([[0, 1000, 4095]], np.uint16)
    tags = {"RescaleSlope": slope, "RescaleIntercept": intercept}
    dicom_slice(tmp_path / "a.dcm", (0, 0, 0), pixels=pixels, **tags)
    scan = read_one(tmp_path / "a.dcm")
    assert scan.data.dtype == dtype
    np.testing.assert_array_equal(
        scan.data[0], pixels.astype(float) * slope + intercept
    )


def test_each_slice_has_its_own_slope(tmp_path: Path, dicom_slice: Maker) -> None:
    for i, slope in enumerate([0.5, 0.25]):
        tags = {"RescaleSlope": slope, "RescaleIntercept": 0}
        dicom_slice(tmp_path / f"{i}", (0, 0, 3 * i), InstanceNumber=8, **tags)
    assert read_one(tmp_path).data[:, 0, 0].tolist() == [4.0, 2.0]


def cine(folder: Path, make: Maker, **tags: Callable[[int, int], object]) -> None:
    """Three slices at four times; the pixels are 10 · slice + time."""
    for z in range(3):
        for t in range(4):
            make(
                folder / f"{9 - t}{z}.dcm",
                (0, 0, 8.0 * z),
                pixels=np.full((3, 4), 10 * z + t, np.int16),
                **{name: value(z, t) for name, value in tags.items()},
            )


@pytest.mark.parametrize(
    ("tags", "frame_ms", "told"),
    [
        ({"TriggerTime": lambda z, t: 40 * t + z}, 40.0, False),
        ({"TemporalPositionIdentifier": lambda z, t: t + 1}, None, False),
        ({"AcquisitionTime": lambda z, t: f"1159{30 + 2 * t}.5"}, 2000.0, False),
        ({"InstanceNumber": lambda z, t: 4 * z + t}, None, True),
    ],
)
def test_cine_by_hand(
    tmp_path: Path, dicom_slice: Maker, tags: dict, frame_ms: float | None, told: bool
) -> None:
    cine(tmp_path, dicom_slice, **tags)
    scan = read_one(tmp_path)
    expected = 10 * np.arange(3) + np.arange(4)[:, None]  # (t, z)
    np.testing.assert_array_equal(scan.data[..., 0, 0], expected)
    assert scan.has_time
    assert scan.frame_ms == frame_ms
    assert scan.grid.spacing[0] == 8.0
    assert bool(scan.warnings) == told


def test_cine_with_a_frame_missing(tmp_path: Path, dicom_slice: Maker) -> None:
    cine(tmp_path, dicom_slice, TriggerTime=lambda z, t: 40 * t)
    (tmp_path / "91.dcm").unlink()
    with pytest.raises(InputError, match=r"4 images at some .* but 3 at slice 2 of 3"):
        read(tmp_path)


def test_two_images_that_nothing_tells_apart(
    tmp_path: Path, dicom_slice: Maker
) -> None:
    for i in range(4):
        dicom_slice(tmp_path / f"{i}", (0, 0, i // 2))
    with pytest.raises(InputError, match="nothing that tells their order"):
        read(tmp_path)


def test_a_file_that_is_there_twice(tmp_path: Path, dicom_slice: Maker) -> None:
    dicom_slice(tmp_path / "a", (0, 0, 0))
    dicom_slice(tmp_path / "b", (0, 0, 2))
    shutil.copy(tmp_path / "b", tmp_path / "c")
    scan = read_one(tmp_path)
    assert scan.data.shape[0] == 2
    assert "1 double" in scan.warnings[0]


def test_uneven_slices(tmp_path: Path, dicom_slice: Maker) -> None:
    for i, z in enumerate([0.0, 2.0, 4.06, 6.0, 8.0]):
        dicom_slice(tmp_path / f"{i}", (0, 0, z))
    assert "up to 0.06 mm" in read_one(tmp_path).warnings[0]
    dicom_slice(tmp_path / "2", (0, 0, 4.8))
    with pytest.raises(InputError, match="unevenly spaced"):
        read(tmp_path)


def test_localizer_gives_one_scan_an_orientation(
    tmp_path: Path, dicom_slice: Maker
) -> None:
    sagittal = {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}
    for i in range(2):
        dicom_slice(tmp_path / f"a{i}", (0, 0, 4 * i))
        dicom_slice(tmp_path / f"s{i}", (4 * i, 0, 0), **sagittal)
    wide = np.zeros((3, 7), np.int16)
    dicom_slice(tmp_path / "w", (0, 0, 0), pixels=wide)
    scans = read(tmp_path)
    assert [scan.name for scan in scans] == ["CT 7 (1)", "CT 7 (2)", "CT 7 (3)"]
    assert [scan.data.shape for scan in scans] == [(2, 3, 4), (2, 3, 4), (1, 3, 7)]
    assert scans[1].grid.orientation == "PIR"  # y × −z = −x: to the right
    with pytest.raises(InputError, match=r"found 3: CT 7 \(1\); CT 7 \(2\)"):
        read_one(tmp_path)


def test_one_slice_of_unknown_thickness(tmp_path: Path, dicom_slice: Maker) -> None:
    scan = read_one(dicom_slice(tmp_path / "a.dcm", (1, 2, 3), SliceThickness=None))
    assert scan.grid.spacing == (1.0, 0.5, 0.25)
    assert "unknown thickness" in scan.warnings[0]


def test_monochrome1_keeps_its_values(tmp_path: Path, dicom_slice: Maker) -> None:
    tags = {"PhotometricInterpretation": "MONOCHROME1", "InstanceNumber": 5}
    scan = read_one(dicom_slice(tmp_path / "a.dcm", (0, 0, 0), **tags))
    assert scan.data.max() == 5
    assert "MONOCHROME1" in scan.warnings[0]


@pytest.mark.parametrize("spacing", [[0, 0.5], [0.5, 0]])
def test_zero_pixel_spacing(tmp_path: Path, dicom_slice: Maker, spacing: list) -> None:
    path = dicom_slice(tmp_path / "a.dcm", (0, 0, 0), PixelSpacing=spacing)
    with pytest.raises(InputError, match=r"^a\.dcm: .*spacing must be above zero"):
        read(path)


def test_enhanced_multiframe(tmp_path: Path, dicom_slice: Maker) -> None:
    """Positions, slopes and times of the frames lie in functional groups."""

    def group(name: str, **tags: object) -> pydicom.Dataset:
        item, outer = pydicom.Dataset(), pydicom.Dataset()
        for key, value in tags.items():
            setattr(item, key, value)
        setattr(outer, name, [item])
        return outer

    pixels = np.repeat(np.arange(6, dtype=np.int16), 12).reshape(6, 3, 4)
    frames = []
    for i in range(6):  # frame = 2 · slice + time, slices from the top down
        frame = group("PlanePositionSequence", ImagePositionPatient=[1, 2, 9 - i // 2])
        frame.update(group("FrameContentSequence", TemporalPositionIndex=i % 2 + 1))
        frames.append(frame)
    shared = group("PixelMeasuresSequence", PixelSpacing=[2, 3], SliceThickness=7)
    shared.update(
        group("PlaneOrientationSequence", ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    )
    shared.update(
        group("PixelValueTransformationSequence", RescaleSlope=10, RescaleIntercept=1)
    )
    path = dicom_slice(
        tmp_path / "a.dcm",
        None,
        pixels=pixels,
        NumberOfFrames=6,
        PixelSpacing=None,
        PerFrameFunctionalGroupsSequence=frames,
        SharedFunctionalGroupsSequence=[shared],
    )
    scan = read_one(path)
    assert scan.data[..., 0, 0].tolist() == [[41, 21, 1], [51, 31, 11]]
    assert scan.grid.spacing == (1.0, 2.0, 3.0)
    np.testing.assert_allclose(scan.grid.affine[:3, 3], [1, 2, 7])


# -- folders with other things in them -----------------------------------------------


def test_other_objects_are_left_out(tmp_path: Path, dicom_slice: Maker) -> None:
    for i in range(3):
        dicom_slice(tmp_path / "series" / f"{i}", (0, 0, i))
    dicom_slice(tmp_path / "plan.dcm", (0, 0, 0), Modality="RTSTRUCT")
    dicom_slice(tmp_path / "seg.dcm", (0, 0, 0), Modality="SEG")
    (tmp_path / "notes.txt").write_text("seen")
    scan = read_one(tmp_path)
    assert scan.data.shape[0] == 3
    for words in ("1 RTSTRUCT", "1 SEG", "1 other"):
        assert words in scan.warnings[0]


def test_broken_file_where_the_others_suffice(
    tmp_path: Path, dicom_slice: Maker
) -> None:
    for i in range(4):
        dicom_slice(tmp_path / f"{i}.dcm", (0, 0, i))
    raw = (tmp_path / "3.dcm").read_bytes()
    (tmp_path / "3.dcm").write_bytes(raw[:200])
    scan = read_one(tmp_path)
    assert scan.data.shape[0] == 3
    assert "left out: 1" in scan.warnings[0]
    (tmp_path / "1.dcm").write_bytes(raw[:200])  # now there is a hole
    dicom_slice(tmp_path / "4.dcm", (0, 0, 3))
    dicom_slice(tmp_path / "5.dcm", (0, 0, 4))
    with pytest.raises(
        InputError, match=r"missing between slices 1 and 2.*left out: 2"
    ):
        read(tmp_path)


def test_truncated_pixels(tmp_path: Path, dicom_slice: Maker) -> None:
    path = dicom_slice(tmp_path / "a.dcm", (0, 0, 0))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"^a\.dcm: .*damaged"):
        read(path)


def test_series_that_can_be_read_tell_of_the_others(
    tmp_path: Path, dicom_slice: Maker
) -> None:
    other = {"SeriesInstanceUID": generate_uid(), "SeriesNumber": 2}
    for i, z in enumerate([0, 1, 5, 6]):
        dicom_slice(tmp_path / f"a{i}", (0, 0, z))
        dicom_slice(tmp_path / f"b{i}", (0, 0, i), **other)
    (scan,) = read(tmp_path)
    assert scan.name == "CT 2"
    assert "CT 7: a slice is missing between slices 2 and 3" in scan.warnings[-1]


@pytest.mark.parametrize(
    "content", [None, b"hello", b"\0" * 128 + b"DICM" + b"\1" * 99]
)
def test_folder_without_images(tmp_path: Path, content: bytes | None) -> None:
    if content:
        (tmp_path / "a.dcm").write_bytes(content)
    with pytest.raises(InputError, match="wanted DICOM images, found none"):
        read(tmp_path)


def test_can_read_looks_for_magic_bytes(tmp_path: Path, dicom_slice: Maker) -> None:
    assert not can_read(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    assert not can_read(tmp_path)
    path = dicom_slice(tmp_path / "deep" / "nosuffix", (0, 0, 0))
    assert can_read(tmp_path)
    assert can_read(path)
    assert read_one(path).data.shape == (1, 3, 4)


def test_pydicoms_own_folder() -> None:
    folder = packaged("DICOMDIR").rsplit("/", 1)[0]
    scans = {scan.name: scan for scan in read(folder)}
    gated = scans["SmartScore - Gated 0.5 sec"]
    assert gated.grid.spacing[0] == 2.5
    assert "DICOMDIR" in gated.warnings[0]
    assert "Routine Brain: a slice is missing" in gated.warnings[1]


# -- compressed and coloured files inside pydicom ------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "MR_small_RLE.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_implicit.dcm",
    ],
)
def test_lossless_is_lossless(name: str) -> None:
    plain, packed = read_one(packaged("MR_small.dcm")), read_one(packaged(name))
    np.testing.assert_array_equal(packed.data, plain.data)
    assert packed.data.dtype == np.int16
    assert packed.data.dtype.isnative
    assert packed.grid.difference(plain.grid) == ""


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "693_J2KI.dcm", "MR_small.dcm", "JPGExtended.dcm"]
)
def test_values_and_place_as_gdcm_has_them(name: str) -> None:
    scan = read_one(packaged(name))
    image = SimpleITK.ReadImage(packaged(name))
    np.testing.assert_array_equal(
        scan.data.ravel(), SimpleITK.GetArrayFromImage(image).ravel()
    )
    if scan.grid.ndim == 3:
        np.testing.assert_allclose(scan.grid.affine[:3, 3], image.GetOrigin())
        in_plane = scan.grid.spacing[:0:-1]  # ITK takes the distance for the thickness
        np.testing.assert_allclose(in_plane, image.GetSpacing()[:2])


def test_ultrasound_cine_in_colour() -> None:
    scan = read_one(packaged("examples_ybr_color.dcm"))
    assert scan.data.shape == (30, 240, 320, 3)
    assert (scan.has_time, scan.has_channels, scan.modality) == (True, True, "US")
    image = SimpleITK.GetArrayFromImage(
        SimpleITK.ReadImage(packaged("examples_ybr_color.dcm"))
    )
    apart = np.abs(scan.data.astype(int) - image)  # two JPEG decoders: RGB in both
    assert np.percentile(apart, 99) <= 3


def test_palette_becomes_colour() -> None:
    scan = read_one(packaged("examples_palette.dcm"))
    image = SimpleITK.GetArrayFromImage(
        SimpleITK.ReadImage(packaged("examples_palette.dcm"))
    )
    np.testing.assert_array_equal(scan.data, image[0])


def test_12_bit_jpeg_does_not_chatter(capfd: pytest.CaptureFixture[str]) -> None:
    read_one(packaged("JPGExtended.dcm"))
    with pytest.raises(InputError, match="compressed pixels are damaged"):
        read(packaged("JPEG2000-embedded-sequence-delimiter.dcm"))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["rtstruct.dcm", "test-SR.dcm", "liver_1frame.dcm"])
def test_no_image_to_segment(name: str) -> None:
    with pytest.raises(InputError, match="found none"):
        read(packaged(name))


# -- real series ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("series", "shape", "dtype"),
    [
        ("CT", (51, 137, 141), np.int16),
        ("MR_T1", (28, 79, 77), None),
        ("PET", (51, 29, 30), np.float32),
    ],
)
def test_real_series_against_itk(
    data_dir: Path, series: str, shape: tuple[int, ...], dtype: type | None
) -> None:
    folder = data_dir / "dicom_rtstruct_sts008/images" / series
    scan = read_one(folder)
    assert scan.data.shape == shape
    assert dtype in (None, scan.data.dtype)
    assert scan.grid.spacing[0] == pytest.approx(3.27, abs=1e-3)
    names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    image = SimpleITK.ReadImage(names)
    np.testing.assert_allclose(
        scan.data, SimpleITK.GetArrayFromImage(image), rtol=1e-6, atol=1e-5
    )
    top = [side - 1 for side in image.GetSize()]
    np.testing.assert_allclose(
        scan.grid.to_world(top[::-1]),
        image.TransformIndexToPhysicalPoint(top),
        atol=1e-3,
    )


def test_the_study_gives_three_scans(data_dir: Path) -> None:
    scans = read(data_dir / "dicom_rtstruct_sts008")
    assert sorted(scan.modality for scan in scans) == ["CT", "MR", "PT"]
    assert all("3 RTSTRUCT" in scan.warnings[0] for scan in scans)
    assert all("STS_008" not in scan.facts() for scan in scans)


def test_reference_mask_lies_on_the_ct(data_dir: Path) -> None:
    root = data_dir / "dicom_rtstruct_sts008"
    ct = read_one(root / "images/CT")
    mask = read_one(root / "labels/CT_reference_mask.nii.gz")
    assert ct.grid.difference(mask.grid) == ""


@pytest.mark.parametrize("gone", [1, 25, 49])
def test_a_slice_deleted_from_the_ct(data_dir: Path, tmp_path: Path, gone: int) -> None:
    source = data_dir / "dicom_rtstruct_sts008/images/CT"
    height = {
        path: float(
            pydicom.dcmread(path, stop_before_pixels=True).ImagePositionPatient[2]
        )
        for path in source.iterdir()
    }
    for at, path in enumerate(sorted(height, key=height.__getitem__)):
        if at != gone:
            (tmp_path / path.name).symlink_to(path)
    with pytest.raises(InputError) as told:
        read(tmp_path)
    words = f"missing between slices {gone} and {gone + 1}: they are 6.54 mm apart"
    assert words in str(told.value)
    assert "\n" not in str(told.value)


def test_thickness_is_not_the_distance(data_dir: Path) -> None:
    folder = data_dir / "dicom_seg_dcmqi/images/ct-3slice"
    ct = read_one(folder)
    header = pydicom.dcmread(folder / "01.dcm", stop_before_pixels=True)
    assert float(header.SliceThickness) == 1.25
    assert ct.grid.spacing == pytest.approx((1.0, 0.810547, 0.810547))
    labels = read_one(data_dir / "dicom_seg_dcmqi/labels_nrrd/liver_seg.nrrd")
    assert ct.grid.difference(labels.grid) == ""


def test_cine_dicom_against_the_nifti_of_the_patient(
    data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.CRITICAL):
        dicom = read_one(data_dir / "dicom_cine_sunnybrook")  # some UIDs are invalid
    nifti = read_one(data_dir / "cine_sunnybrook/images/SC-HF-I-1_4d.nii.gz")
    assert dicom.data.shape == (20, 2, 256, 256)
    assert dicom.frame_ms == pytest.approx(38, abs=1)
    inverse = np.linalg.inv(nifti.grid.affine)
    for z in range(2):
        for corner in ((z, 0, 0), (z, 255, 255), (z, 10, 200)):
            ijk = (inverse @ [*dicom.grid.to_world(corner), 1])[:3]
            np.testing.assert_allclose(ijk, np.round(ijk), atol=1e-2)
        k, j, i = (round(v) for v in ijk[::-1])
        assert (j, i) == (10, 200)
        np.testing.assert_array_equal(dicom.data[:, z], nifti.data[:, k])
