"""NIfTI, NRRD, MetaImage: by hand, by nibabel, by real files; and what must fail."""

from __future__ import annotations

import gzip
import struct
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from napari_segreview.core.scan import check_finite
from napari_segreview.scans import read, read_all, read_labels, read_one
from src_models.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
OBLIQUE = np.array(
    [
        [-1.6, -0.36, 0.8, 31.0],
        [0.0, 0.96, 1.8, -7.5],
        [1.2, -0.48, 2.4, 3.0],
        [0, 0, 0, 1],
    ]
)
OBLIQUE[:3, :3] = np.linalg.qr(OBLIQUE[:3, :3])[0] * [2.0, 1.2, 3.5]

REAL = {  # file → what its SOURCE.md or another program says
    "spinalcord_gm_sct/images/t2.nii.gz": ("PSR", (1.0, 1.0, 1.0)),
    "spinalcord_gm_sct/images/t2s_crop.nii.gz": ("LAS", (7.5, 0.5, 0.5)),
    "ct_headneck_openkbp/images/pt_61.nii.gz": ("LPI", None),
    "cine_sunnybrook/images/SC-HF-I-2_ed.nii.gz": (None, (10.0, 1.367, 1.367)),
    "ms_lesion_mri/images/patient07_t1.nii.gz": ("LAS", (1.0, 1.0, 1.0)),
    "sts_ct_mr_pet/images/STS_032_PET.nii.gz": (None, (3.27, 3.91, 3.91)),
    "mri_hippocampus/images/hippocampus_001.nii.gz": ("RAS", (1.0, 1.0, 1.0)),
}


def save(path: Path, data: np.ndarray, affine: np.ndarray = OBLIQUE, **header) -> Path:
    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units(header.pop("space", "mm"), header.pop("time", "sec"))
    for key, value in header.items():
        image.header[key] = value
    nib.save(image, path)
    return path


def patch(path: Path, offset: int, form: str, *values: float) -> Path:
    raw = bytearray(path.read_bytes())
    struct.pack_into(form, raw, offset, *values)
    path.write_bytes(raw)
    return path


def ramp(*shape: int, dtype: str = "i2") -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


# -- NIfTI ---------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti_lies_where_nibabel_puts_it(tmp_path: Path, suffix: str) -> None:
    data = ramp(4, 5, 6)
    scan = read_one(save(tmp_path / f"a{suffix}", data))
    assert scan.name == "a"
    assert scan.data.dtype == np.int16
    np.testing.assert_array_equal(scan.data, data.T)
    np.testing.assert_allclose(scan.grid.affine, LPS @ OBLIQUE, atol=1e-5)
    at = scan.grid.to_world([5, 2, 1])  # (z, y, x)
    np.testing.assert_allclose(at, (LPS @ OBLIQUE @ [1, 2, 5, 1])[:3], atol=1e-4)
    assert scan.grid.is_oblique
    assert scan.grid.unit == "mm"
    (said,) = scan.warnings
    assert said.startswith("oblique: ")


@pytest.mark.parametrize("name", REAL)
def test_real_nifti_against_nibabel_and_itk(data_dir: Path, name: str) -> None:
    scan = read_one(data_dir / name)
    image = nib.load(data_dir / name)
    orientation, spacing = REAL[name]
    np.testing.assert_allclose(scan.grid.affine, LPS @ image.affine, atol=2e-3)
    itk = SimpleITK.ReadImage(str(data_dir / name))
    top = [side - 1 for side in itk.GetSize()]
    np.testing.assert_allclose(
        scan.grid.to_world(top[::-1]), itk.TransformIndexToPhysicalPoint(top), atol=1e-6
    )
    np.testing.assert_allclose(
        scan.data.T, image.get_fdata(), rtol=1e-6, atol=1e-6 * np.abs(scan.data).max()
    )
    # nibabel names the ends in RAS terms, as Grid.orientation does
    assert scan.grid.orientation == "".join(nib.aff2axcodes(image.affine))
    assert orientation in (None, scan.grid.orientation)
    if spacing:
        np.testing.assert_allclose(scan.grid.spacing, spacing, atol=5e-3)


def test_cine_has_time_first_and_ms(data_dir: Path) -> None:
    path = data_dir / "cine_sunnybrook/images/SC-HF-I-1_4d.nii.gz"
    scan = read_one(path)
    assert scan.data.shape == (20, 12, 256, 256)
    assert scan.has_time
    assert scan.frame_ms == pytest.approx(37.5)  # "38 ms between phases"
    assert scan.grid.is_oblique
    expected = np.asarray(nib.load(path).dataobj[..., 3, 7]).T
    np.testing.assert_array_equal(scan.data[7, 3], expected)


def test_seconds_become_ms(data_dir: Path) -> None:
    scan = read_one(data_dir / "spinalcord_gm_sct/images/fmri_4d_nolabel.nii.gz")
    assert scan.frame_ms == pytest.approx(1130.0)
    assert scan.frames == 30


def test_unknown_time_unit_is_not_guessed(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", ramp(2, 3, 4, 5), time="unknown")
    assert read_one(path).frame_ms is None


def test_one_frame_is_no_time(tmp_path: Path) -> None:
    scan = read_one(save(tmp_path / "a.nii", ramp(2, 3, 4, 1)))
    assert (scan.has_time, scan.data.shape) == (False, (4, 3, 2))


def test_micrometres_become_mm(tmp_path: Path) -> None:
    affine = np.diag([1000.0, 2000.0, 3000.0, 1.0])
    path = save(tmp_path / "a.nii", ramp(2, 3, 4), affine, space="micron")
    assert read_one(path).grid.spacing == pytest.approx((3.0, 2.0, 1.0))


def test_an_empty_sform_says_nothing(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", ramp(4, 5, 6))
    image = nib.load(path)
    image.set_qform(OBLIQUE, 1)
    nib.save(image, tmp_path / "b.nii")
    patch(tmp_path / "b.nii", 280, "<12f", *[0.0] * 12)
    scan = read_one(tmp_path / "b.nii")
    np.testing.assert_allclose(scan.grid.affine, LPS @ OBLIQUE, atol=1e-4)


def test_2d_nifti(tmp_path: Path) -> None:
    scan = read_one(save(tmp_path / "a.nii", ramp(4, 5), np.diag([2.0, 3.0, 1.0, 1.0])))
    assert scan.data.shape == (5, 4)
    assert scan.grid.spacing == (3.0, 2.0)


def test_one_voxel(tmp_path: Path) -> None:
    scan = read_one(save(tmp_path / "a.nii.gz", np.full((1, 1, 1), 7, "i2")))
    assert scan.data.tolist() == [[[7]]]


def test_slope_is_applied(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", ramp(2, 3, 4))
    patch(path, 112, "<2f", 2.0, 10.0)
    np.testing.assert_array_equal(read_one(path).data, ramp(2, 3, 4).T * 2.0 + 10.0)


def test_rgb_nifti_has_channels(tmp_path: Path) -> None:
    data = np.zeros((2, 3, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    data["G"] = 9
    scan = read_one(save(tmp_path / "a.nii", data))
    assert scan.has_channels
    assert scan.data.shape == (4, 3, 2, 3)
    assert scan.data[0, 0, 0].tolist() == [0, 9, 0]


@pytest.mark.parametrize("mirror", [1.0, -1.0])
def test_qform_alone(tmp_path: Path, mirror: float) -> None:
    affine = OBLIQUE @ np.diag([1.0, 1.0, mirror, 1.0])
    image = nib.Nifti1Image(ramp(4, 5, 6), None)
    image.set_qform(affine, 1)
    nib.save(image, tmp_path / "a.nii")
    scan = read_one(tmp_path / "a.nii")
    np.testing.assert_allclose(scan.grid.affine, LPS @ affine, atol=1e-5)
    said = [words.split(":")[0] for words in scan.warnings]
    assert said == (["oblique"] if mirror > 0 else ["oblique", "flipped"])


def test_big_endian_header() -> None:
    path = nib.__path__[0] + "/tests/data/anatomical.nii"
    scan = read_one(path)
    np.testing.assert_allclose(scan.grid.affine, LPS @ nib.load(path).affine, atol=1e-5)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("bad", [0.0, float("nan"), -1.0, float("inf")])
@pytest.mark.parametrize("axis", [1, 2, 3])
def test_bad_voxel_size(tmp_path: Path, axis: int, bad: float, suffix: str) -> None:
    path = patch(save(tmp_path / "a.nii", ramp(2, 3, 4)), 76 + 4 * axis, "<f", bad)
    assert (
        min(SimpleITK.ReadImage(str(path)).GetSpacing()) > 0
    )  # ITK repairs it silently
    if suffix == ".nii.gz":
        path.with_suffix(".nii.gz").write_bytes(gzip.compress(path.read_bytes()))
        path = path.with_suffix(".nii.gz")
    with pytest.raises(InputError, match=r"^a\.nii(\.gz)?: .*voxel size") as told:
        read(path)
    assert "\n" not in str(told.value)


def test_pixdim_against_sform(tmp_path: Path) -> None:
    path = patch(save(tmp_path / "a.nii", ramp(2, 3, 4)), 80, "<f", 2.5)
    patch(path, 252, "<h", 0)  # no qform
    with pytest.raises(InputError, match="contradicts itself"):
        read(path)


def test_two_positions_are_told(tmp_path: Path) -> None:
    image = nib.Nifti1Image(ramp(4, 5, 6), None)
    moved = np.diag([1.0, 2.0, 3.0, 1.0])
    image.set_qform(moved, 1)
    moved[:3, 3] = 40
    image.set_sform(moved, 2)
    nib.save(image, tmp_path / "a.nii")
    scan = read_one(tmp_path / "a.nii")
    assert scan.grid.affine[0, 3] == 0
    assert "the qform is used" in scan.warnings[0]


def test_no_orientation_is_told(tmp_path: Path) -> None:
    image = nib.Nifti1Image(ramp(4, 5, 6), None)
    image.header["pixdim"][1:4] = 1, 2, 3
    nib.save(image, tmp_path / "a.nii")
    scan = read_one(tmp_path / "a.nii")
    assert scan.grid.spacing == (3.0, 2.0, 1.0)
    assert "left and right" in scan.warnings[0]


def test_shear_in_nifti(tmp_path: Path) -> None:
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    affine[0, 1] = 0.4
    with pytest.raises(InputError, match="right angles"):
        read(save(tmp_path / "a.nii", ramp(2, 3, 4), affine))


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (ramp(2, 3, 4, 2, 3), "5 axes"),
        (ramp(2, 3, 4).astype("c8"), "complex"),
    ],
)
def test_nifti_that_is_no_scan(tmp_path: Path, data: np.ndarray, word: str) -> None:
    with pytest.raises(InputError, match=word):
        read(save(tmp_path / "a.nii", data))


def test_nifti_2(tmp_path: Path) -> None:
    nib.save(nib.Nifti2Image(ramp(2, 3, 4), np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(InputError, match="NIfTI-2"):
        read(tmp_path / "a.nii")


# -- damaged files, every volume format ----------------------------------------------


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("compressed", [False, True])
def test_truncated_anywhere(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str, compressed: bool
) -> None:
    rng = np.random.default_rng(0)
    whole = tmp_path / f"whole{suffix}"
    image = SimpleITK.GetImageFromArray(rng.integers(0, 255, (5, 6, 40)).astype("u1"))
    SimpleITK.WriteImage(image, str(whole), compressed)
    raw = whole.read_bytes()
    for share in (0.0, 0.05, 0.3, 0.7, 0.99):
        path = tmp_path / f"part{suffix}"
        path.write_bytes(raw[: int(share * len(raw))])
        with pytest.raises(InputError, match=r"^part\.") as told:
            read(path)
        assert "\n" not in str(told.value)
    assert capfd.readouterr() == ("", "")  # no C++ chatter


def test_damaged_gzip(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii.gz", np.random.default_rng(0).normal(size=(9, 9, 9)))
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(InputError, match="damaged"):
        read(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".mhd"])
def test_wrong_content(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"not a scan at all\n" * 40)
    for reader in (read, read_all, read_labels):
        with pytest.raises(InputError, match=r"^a\.") as told:
            reader(path)
        assert str(told.value).count(path.name) == 1


def test_missing_and_unknown_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.nii: there is no such file"):
        read(tmp_path / "gone.nii")
    (tmp_path / "a.docx").write_bytes(b"x")
    with pytest.raises(InputError, match=r"a\.docx: wanted one of \.nii"):
        read(tmp_path / "a.docx")


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_nan_is_read_told_and_refused_later(tmp_path: Path, dtype: str) -> None:
    data = np.zeros((2, 3, 4), dtype)
    data[1, 1, 1], data[0, 0, 0] = np.nan, np.inf
    scan = read_one(save(tmp_path / "a.nii", data))
    assert scan.warnings[-1] == "2 of 24 voxels are not numbers (NaN or infinite)"
    with pytest.raises(InputError, match="2 of 24"):
        check_finite(scan.data, scan.name)


# -- NRRD and MetaImage --------------------------------------------------------------

NRRD = b"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 2 3 4\n%s\nencoding: raw\n\n"


def nrrd(path: Path, lines: bytes) -> Path:
    path.write_bytes(NRRD % lines + bytes(range(24)))
    return path


def test_nrrd_space_is_turned_to_lps(tmp_path: Path) -> None:
    head = (
        b"space: right-anterior-superior\n"
        b"space directions: (0,2,0) (3,0,0) (0,0,5)\nspace origin: (7,8,9)"
    )
    scan = read_one(nrrd(tmp_path / "a.nrrd", head))
    expected = [[0, -3, 0, -7], [-2, 0, 0, -8], [0, 0, 5, 9], [0, 0, 0, 1]]
    np.testing.assert_allclose(scan.grid.affine, expected)
    np.testing.assert_array_equal(scan.data.ravel(), range(24))


def test_nrrd_without_size_is_in_pixels(tmp_path: Path) -> None:
    assert read_one(nrrd(tmp_path / "a.nrrd", b"endian: little")).grid.unit == "px"


@pytest.mark.parametrize(
    "head",
    [
        b"spacings: 1 0 1",
        b"spacings: 1 nan 1",
        b"spacings: 1 x 1",
        b"space: LPS\nspace directions: (0,0,0) (0,1,0) (0,0,1)",
        b"space: LPS\nspace directions: (nan,nan,nan) (0,1,0) (0,0,1)",
        b'spacings: 1 1 1\nunits: "um" "um" "um"',
    ],
)
def test_nrrd_with_bad_sizes(tmp_path: Path, head: bytes) -> None:
    with pytest.raises(InputError, match=r"^a\.nrrd: (the header|lengths)"):
        read(nrrd(tmp_path / "a.nrrd", head))


def test_real_nrrd(data_dir: Path) -> None:
    scan = read_one(data_dir / "dicom_seg_dcmqi/labels_nrrd/liver_spine_seg.nrrd")
    assert scan.grid.spacing == pytest.approx((1.0, 0.810547, 0.810547))
    np.testing.assert_allclose(scan.grid.affine[:3, 3], [-235.2, -226.8, -128.69])
    assert np.unique(scan.data).tolist() == [0, 1, 2]


@pytest.mark.parametrize("suffix", [".mha", ".mhd", ".nrrd", ".nhdr"])
def test_oblique_through_itk(tmp_path: Path, suffix: str) -> None:
    image = SimpleITK.GetImageFromArray(ramp(3, 4, 5))
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    image.SetDirection(turn.ravel())
    image.SetSpacing((0.7, 1.1, 2.3))
    image.SetOrigin((10, -20, 30))
    SimpleITK.WriteImage(image, str(tmp_path / f"a{suffix}"))
    scan = read_one(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(scan.data, ramp(3, 4, 5))
    for index in ((0, 0, 0), (4, 3, 2), (1, 0, 2)):
        np.testing.assert_allclose(
            scan.grid.to_world(index[::-1]), image.TransformIndexToPhysicalPoint(index)
        )


@pytest.mark.parametrize("bad", ["0 1 1", "nan 1 1", "1 1 inf", "1 one 1"])
def test_metaimage_with_bad_sizes(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "a.mha"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(ramp(2, 3, 4)), str(path))
    raw = path.read_bytes()
    assert b"ElementSpacing = 1 1 1" in raw
    path.write_bytes(raw.replace(b"= 1 1 1\nDimSize", b"= %s\nDimSize" % bad.encode()))
    with pytest.raises(InputError, match=r"^a\.mha: the header"):
        read(path)


def test_mhd_without_its_voxels(tmp_path: Path) -> None:
    SimpleITK.WriteImage(
        SimpleITK.GetImageFromArray(ramp(2, 3, 4)), str(tmp_path / "a.mhd")
    )
    (tmp_path / "a.raw").unlink()
    with pytest.raises(InputError, match=r"a\.raw, which is not there"):
        read(tmp_path / "a.mhd")


def test_multichannel_nrrd(tmp_path: Path) -> None:
    image = SimpleITK.GetImageFromArray(ramp(2, 3, 4, 5), isVector=True)
    SimpleITK.WriteImage(image, str(tmp_path / "a.nrrd"))
    scan = read_one(tmp_path / "a.nrrd")
    assert scan.has_channels
    assert scan.channels == 5
    np.testing.assert_array_equal(scan.data, ramp(2, 3, 4, 5))
