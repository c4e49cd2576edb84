"""`segreview convert`: labels ↔ DICOM-SEG, RTSTRUCT → labels."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest

from napari_segreview import cli
from napari_segreview._cli_convert import convert
from napari_segreview.core.terms import coding_of
from napari_segreview.scans import read_labels
from src_models.errors import InputError

CODED = {"value": 1, "name": "Tumor", "color": [1, 0, 0], "coding": {
    "type": ["SCT", "108369006", "Neoplasm"],
    "category": ["SCT", "49755003", "Morphologically Altered Structure"],
}}  # fmt: skip


@pytest.fixture
def folder(data_dir: Path) -> Path:
    return data_dir / "dicom_rtstruct_sts008"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.json"
    rows = [CODED, {"value": 9, "name": "not in the mask"}]
    path.write_text(json.dumps({"labels": rows}))
    return path


def test_round_about(folder: Path, tmp_path: Path, table: Path) -> None:
    """RTSTRUCT → NIfTI → DICOM-SEG → NRRD: the same voxels, names and codes."""
    series = folder / "images/CT"
    wanted = read_labels(folder / "labels/CT_RTSTRUCT.dcm", series)
    files = [tmp_path / name for name in ("a.nii.gz", "b.dcm", "c.nrrd")]
    convert(folder / "labels/CT_RTSTRUCT.dcm", files[0], series)
    convert(files[0], files[1], series, table)
    convert(files[1], files[2], series)
    for file in files:
        back = read_labels(file, series if file.suffix == ".dcm" else None)
        np.testing.assert_array_equal(back.data, wanted.data)
        assert back.grid.difference(wanted.grid) == ""
    assert list(back.table) == [1]
    assert back.table.name(1) == "Tumor"
    assert back.table[1].coding is not None
    assert back.table[1].coding.type.meaning == "Neoplasm"


def test_the_authors_nifti_becomes_a_seg(
    folder: Path, tmp_path: Path, table: Path
) -> None:
    """Of three series in the folder the one is found whose voxels it has."""
    mask = folder / "labels/PET_reference_mask.nii.gz"
    convert(mask, tmp_path / "a.dcm", folder / "images", table)
    header = pydicom.dcmread(tmp_path / "a.dcm")
    series = header.ReferencedSeriesSequence[0].SeriesInstanceUID
    images = folder / "images/PET"
    first = pydicom.dcmread(next(images.iterdir()), stop_before_pixels=True)
    assert series == first.SeriesInstanceUID


def test_overlapping_segments_become_files(data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "dicom_seg_dcmqi"
    source = folder / "labels/partial_overlaps.dcm"
    paths, _ = convert(source, tmp_path / "m.nii.gz", folder / "images")
    assert [path.name for path in paths] == [f"m-{i}.nii.gz" for i in (1, 2, 3)]
    assert [sorted(read_labels(path).table) for path in paths] == [[1, 4, 5], [2], [3]]


def test_command(
    folder: Path,
    tmp_path: Path,
    table: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["segreview", *map(str, arguments)])
        with contextlib.suppress(SystemExit):
            cli.main()
        captured = capsys.readouterr()
        return captured.out + captured.err

    mask = folder / "labels/MR_T1_reference_mask.nii.gz"
    seg = tmp_path / "a.dcm"
    images = folder / "images/MR_T1"
    said = run("convert", mask, "-o", seg, "--series", images)
    assert "no code says what label 1" in said
    assert "--table FILE" in said
    assert not seg.exists()
    said = run(
        "convert", mask, "-o", seg, "--series", images, "--table", table, "--deidentify"
    )
    assert said.endswith(f"Wrote {seg}\n")
    assert pydicom.dcmread(seg).PatientIdentityRemoved == "YES"
    said = run("score", folder / "labels/MR_T1_RTSTRUCT.dcm", mask, "--json")
    assert '"dice": 1.0' in said


@pytest.mark.parametrize(
    ("series", "output", "anonymous", "words"),
    [
        (None, "a.dcm", False, "give their folder with --series"),
        ("images/CT", "a.dcm", False, "another grid than the image .*resample"),
        ("images", "a.nii", True, "only a DICOM-SEG"),
        (None, "a.xyz", False, "labels can be saved as"),
    ],
)
def test_refused(
    folder: Path,
    tmp_path: Path,
    series: str | None,
    output: str,
    anonymous: bool,
    words: str,
) -> None:
    with pytest.raises(InputError, match=words):
        convert(
            folder / "labels/PET_reference_mask.nii.gz",
            tmp_path / output,
            folder / series if series else None,
            deidentified=anonymous,
        )
    assert not list(tmp_path.iterdir())


def test_the_built_in_table(data_dir: Path, tmp_path: Path) -> None:
    mask = data_dir / "ct_multiorgan_totalseg/labels/aorta_ct_1.5mm.nii.gz"
    convert(mask, tmp_path / "a.nii", table=Path("totalsegmentator"))
    table = read_labels(tmp_path / "a.nii").table
    assert [row.coding for row in table.values()] == [
        coding_of("spleen"), coding_of("kidney_right")
    ]  # fmt: skip
