"""Names, colours and codes: tables of other programs, and that none gets lost."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest
from PIL import Image, ImageCms

from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import (
    Code,
    Coding,
    Label,
    LabelMap,
    LabelTable,
    default_color,
)
from napari_segreview.core.terms import ANATOMY, CATEGORIES, CYST, SIDES, coding_of
from napari_segreview.scans import read_labels, read_table, write_labels
from napari_segreview.scans.dicom_codes import from_cielab, to_cielab
from src_models.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

LIVER = Coding(Code("SCT", "10200004", "Liver"), CATEGORIES["anatomy"])
KIDNEY = Coding(ANATOMY["kidney"], CATEGORIES["anatomy"], SIDES["left"])
CYST_LEFT = Coding(CYST, CATEGORIES["altered"], None, ANATOMY["kidney"], SIDES["left"])
BARE = Coding(Code("99MINE", "x-1", "Läsion ~ of | mine"))
RED = (1.0, 0.0, 0.0)

SLICER = """# Color table file mine.ctbl
# 3 values
0 Background 0 0 0 0
1 left_lung 255 0 0 255
7 Läsion 51 102 0 255 what follows is discarded
"""
SNAP = """################################################
# ITK-SnAP Label Description File
# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL
    0     0    0    0        0  0  0    "Clear Label"
    1   255    0    0        1  1  1    "left lung"
    7    51  102    0      0.5  1  0    "Läsion"
"""
CSV = (
    "LabelValue,Name,Color_R,Color_G,Color_B,Color_A,Category_CodingScheme,"
    "Category_CodeValue,Category_CodeMeaning,Type_CodingScheme,Type_CodeValue,"
    "Type_CodeMeaning,TypeModifier_CodingScheme,TypeModifier_CodeValue,"
    "TypeModifier_CodeMeaning\n"
    "1,left lung,255,0,0,255,,,,,,,,,\n"
    "7,,,,,,SCT,123037004,Anatomical Structure,SCT,64033007,Kidney,SCT,7771000,Left\n"
)


# -- tables of other programs --------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"), [("a.ctbl", SLICER), ("a.txt", SLICER), ("a.label", SNAP)]
)
def test_colour_tables(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    table = read_table(tmp_path / name)
    assert list(table.values()) == [
        Label(1, "left lung", RED),
        Label(7, "Läsion", (0.2, 0.4, 0.0)),
    ]


def test_slicers_csv_has_codes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(CSV)
    table = read_table(tmp_path / "a.csv")
    assert table[1] == Label(1, "left lung", RED)
    assert table[7] == Label(7, "Kidney", default_color(7), KIDNEY)


def test_slicers_segmentation(tmp_path: Path) -> None:
    tags = (
        "Segmentation.Status:inprogress|TerminologyEntry:Segmentation category and type "
        "- 3D Slicer General Anatomy list~SCT^123037004^Anatomical Structure~SCT^64033007"
        "^Kidney~SCT^7771000^Left~Anatomic codes - DICOM master list~^^~^^|"
    )
    head = f"""NRRD0004
type: unsigned char
dimension: 3
sizes: 1 1 1
encoding: raw
Segment0_Color:=1 0 0
Segment0_ID:=Segment_1
Segment0_LabelValue:=7
Segment0_Name:=my kidney
Segment0_Tags:={tags}

"""
    (tmp_path / "a.seg.nrrd").write_bytes(head.encode() + b"\7")
    (row,) = read_table(tmp_path / "a.seg.nrrd").values()
    assert row == Label(7, "my kidney", RED, KIDNEY)


@pytest.mark.parametrize(
    "text",
    [
        '{"1": "spleen", "23": "kidney_cyst_left", "9": "my own"}',
        '{"total": {"1": "spleen", "23": "kidney_cyst_left", "9": "my own"}}',
    ],
)
def test_class_maps_of_totalsegmentator(tmp_path: Path, text: str) -> None:
    (tmp_path / "map.json").write_text(text)
    table = read_table(tmp_path / "map.json")
    assert table[1].coding == Coding(ANATOMY["spleen"], CATEGORIES["anatomy"])
    assert table[23].coding == CYST_LEFT
    assert table[9] == Label(9, "my own", default_color(9))  # nothing is guessed


def test_real_labels_bring_their_names(data_dir: Path) -> None:
    path = data_dir / "ct_multiorgan_totalseg/labels/trunk_ct_3mm.nii.gz"
    ours, theirs = read_table("totalsegmentator"), read_table(path)
    assert {v: row.name for v, row in theirs.items()} == {
        v: row.name for v, row in ours.items()
    }
    assert all(row.coding for row in theirs.values())
    labels = read_labels(path)
    assert labels.table.name(5) == "liver"
    assert labels.table[5].coding == LIVER
    assert labels.table.color(1) == (0.0, 1.0, 0.0)
    assert not read_labels(path.with_name("aorta_ct_1.5mm.nii.gz")).table


def test_a_damaged_caret_table_is_no_table(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.ones((2, 3, 4), np.uint8), np.eye(4))
    text = b"""<LabelTable><Label Key="x">a</Label><Label Key="0">b</Label>
    <Label Key="1" Red="2" Green="0" Blue="0"><![CDATA[c]]></Label><Label Key="2">"""
    image.header.extensions.append(nib.nifti1.Nifti1Extension(0, text))
    image.to_filename(tmp_path / "a.nii")
    assert dict(read_labels(tmp_path / "a.nii").table) == {
        1: Label(1, "c", default_color(1))
    }


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.txt", "", "found none"),
        ("a.txt", "# Color procedural file\n0 0.1 0.2 0.3\n", "line 2 is no label"),
        ("a.txt", "1 liver 256 0 0 255\n", "from 0 to 255"),
        ("a.txt", "1 liver 1 0 0\n1 spleen 0 1 0\n", "names one value twice"),
        ("a.csv", "value,name\n1,liver\n", "LabelValue"),
        ("a.csv", "LabelValue,Name\nx,liver\n", "damaged"),
        ("a.json", "[1]", "wanted"),
        ("a.json", "{", "damaged"),
        ("a.json", '{"total": {}, "body": {}}', "total, body"),
        ("a.json", '{"labels": [{"value": 1, "name": "a", "coding": {"x": []}}]}', "x"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=rf"^{name}: ") as told:
        read_table(tmp_path / name)
    assert words in str(told.value)
    assert "\n" not in str(told.value)


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^a\.ctbl: No such file"):
        read_table(tmp_path / "a.ctbl")


# -- codes ---------------------------------------------------------------------------


def verhoeff(code: str) -> bool:
    """Whether a SNOMED CT identifier's last digit is its check digit."""
    step = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]
    table = [list(range(10))]
    for _ in range(7):
        table.append([step[v] for v in table[-1]])
    state = 0
    for i, digit in enumerate(reversed(code)):
        state = dihedral(state, table[i % 8][int(digit)])
    return state == 0


def dihedral(a: int, b: int) -> int:
    """The product in the group of the pentagon's symmetries."""
    if a < 5:
        return (a + b) % 5 if b < 5 else (a + b - 5) % 5 + 5
    return (a - 5 - b) % 5 + 5 if b < 5 else (a - b) % 5


CODES = [*ANATOMY.values(), *CATEGORIES.values(), *SIDES.values(), CYST]


def test_the_check_digit_finds_a_slip() -> None:
    assert verhoeff("123037004")
    assert not verhoeff("123037005")
    assert not verhoeff("132037004")


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.meaning)
def test_codes_are_snomed_and_as_dicom_has_them(code: Code) -> None:
    assert verhoeff(code.value)
    known = {words for words, codes in DICOM.items() if code.value in codes}
    words = OTHER_WORDS.get(code.value, plain(code.meaning))
    assert words in known or not known  # DICOM's context groups hold most of them


def test_most_codes_are_checked_against_dicom() -> None:
    known = set().union(*DICOM.values())
    assert sum(code.value in known for code in CODES) >= 77


def plain(words: str) -> str:
    return "".join(c for c in words.lower() if c.isalnum())


def dicom_words() -> dict[str, set[str]]:
    """Words of DICOM's concepts → their codes."""
    from pydicom.sr._concepts_dict import concepts

    found: dict[str, set[str]] = {}
    for keyword, codes in concepts["SCT"].items():
        for value, (words, _) in codes.items():
            found.setdefault(plain(words), set()).add(value)
            found.setdefault(plain(keyword), set()).add(value)
    return found


DICOM = dicom_words()
OTHER_WORDS = {  # code → DICOM's words, where we say it otherwise
    "12691009": "brachiocephalictrunk",
    "87878005": "leftventricle",
    "53085002": "rightventricle",
    "36765005": "structureofsubclavianartery",
    "69748006": "thyroid",
    "89837001": "bladder",
    "123037004": "bodystructure",
    "49755003": "morphologicallyabnormalstructure",
}


def test_no_other_name_is_coded() -> None:
    for name in (
        "Liver",
        "liver ",
        "kidney_leftover",
        "left",
        "rib",
        "rib_left_13",
        "",
    ):
        assert coding_of(name) is None


def test_a_code_is_whole() -> None:
    with pytest.raises(InputError, match="its scheme, its value and its meaning"):
        Code("SCT", "", "Liver")


# -- round trips ---------------------------------------------------------------------

TABLE = LabelTable(
    (
        Label(1, "Leber", RED, LIVER),
        Label(2, "kidney", (0.1, 0.2, 0.3), KIDNEY),
        Label(3, "cyst", (0.0, 0.0, 0.0), CYST_LEFT),
        Label(300, "uncoded", (1.0, 1.0, 1.0)),
    )
)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha", ".tif"])
def test_codes_come_back(tmp_path: Path, suffix: str) -> None:
    data = np.zeros((2, 3, 4), np.uint16)
    data.flat[:4] = 1, 2, 3, 300
    labels = LabelMap(
        data=data, grid=Grid.from_spacing(data.shape, (2.0, 1.0, 1.0)), table=TABLE
    )
    write_labels(labels, tmp_path / f"a{suffix}")
    assert read_labels(tmp_path / f"a{suffix}").table == TABLE


def test_what_slicer_cannot_hold_is_not_written(tmp_path: Path) -> None:
    labels = LabelMap(
        data=np.ones((2, 3, 4), np.uint8),
        grid=Grid.from_spacing((2, 3, 4), (2.0, 1.0, 1.0)),
        table=LabelTable((Label(1, "a", RED, BARE),)),
    )
    with pytest.raises(InputError, match="the code of label 1 would be lost"):
        write_labels(labels, tmp_path / "a.nrrd")
    assert not list(tmp_path.iterdir())
    write_labels(labels, tmp_path / "a.nii")
    assert read_labels(tmp_path / "a.nii").table == labels.table


def test_a_sidecar_is_a_table(tmp_path: Path) -> None:
    rows = [{"value": 4, "name": "a", "coding": {"type": ["SCT", "10200004", "Liver"]}}]
    (tmp_path / "a.labels.json").write_text(json.dumps({"labels": rows}))
    (row,) = read_table(tmp_path / "a.labels.json").values()
    assert row.coding == replace(LIVER, category=None)


def test_tables_meet() -> None:
    one = LabelTable((Label(1, "a", RED), Label(2, "b", RED)))
    two = LabelTable((Label(2, "c", RED), Label(3, "d", RED)))
    assert {v: row.name for v, row in one.updated(two).items()} == {
        1: "a",
        2: "c",
        3: "d",
    }
    assert one.row(9) == Label(9, "label 9", default_color(9))


# -- colours -------------------------------------------------------------------------


def test_cielab_by_hand() -> None:
    assert to_cielab((1.0, 1.0, 1.0)) == [65535, 32896, 32896]  # L* 100, a* 0, b* 0
    assert to_cielab((0.0, 0.0, 0.0)) == [0, 32896, 32896]


def test_cielab_there_and_back_and_as_littlecms_has_it() -> None:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    transform = ImageCms.buildTransform(srgb, lab, "RGB", "LAB")
    rgb = np.random.default_rng(0).integers(0, 256, (1, 200, 3)).astype(np.uint8)
    theirs = np.array(ImageCms.applyTransform(Image.fromarray(rgb), transform))[0]
    theirs[:, 1:] += 128  # stored signed
    colors = rgb[0] / 255
    ours = np.array([to_cielab(tuple(color)) for color in colors])
    np.testing.assert_allclose(ours / 65535 * 255, theirs, atol=0.7)  # theirs: 8 bits
    back = np.array([from_cielab(lab) for lab in ours])
    np.testing.assert_allclose(back, colors, atol=2e-3)
