"""The command line: what it writes, what it says, and that a fault is one line."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from tiny_model import save_tiny, tiny_card

import napari_segreview
from napari_segreview import cli, scans
from napari_segreview.core.orientation import turn_to
from napari_segreview.engine import LocalEngine
from napari_segreview.scans import read_labels, read_one
from src_models import card as cards
from src_models.catalog.methods import METHODS

if TYPE_CHECKING:
    from collections.abc import Callable

OBLIQUE = np.array(  # RAS, as nibabel wants it; 1 × 1 × 2 mm
    [[-0.8, 0, 1.2, 30], [0, 1, 0, -7], [0.6, 0, 1.6, 4], [0, 0, 0, 1]]
)


class Said(NamedTuple):
    status: int
    out: str
    err: str


Segreview: TypeAlias = "Callable[..., Said]"


@pytest.fixture
def segreview(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Segreview:
    """The command, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["segreview", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr()
        return Said(int(end.value.code or 0), said.out, said.err)

    return run


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_tiny(folder / "volume", 3)
    save_tiny(folder / "grey", 2)
    save_tiny(folder / "colour", 2, 3)
    broken = save_tiny(folder / "broken", 3) / cards.WEIGHTS_FILE
    broken.write_bytes(broken.read_bytes()[:-1] + b"!")
    return folder


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def ball(shift: int = 0) -> np.ndarray:
    x, y, z = np.ogrid[:12, :12, :12]
    inside = (x - 6) ** 2 + (y - 6) ** 2 + (z - 5 - shift) ** 2 < 14
    return inside.astype(np.uint8)


def nifti(path: str, data: np.ndarray, affine: np.ndarray = OBLIQUE) -> Path:
    nib.Nifti1Image(data, affine).to_filename(path)
    return Path(path)


def files() -> set[Path]:
    return set(Path().rglob("*"))


# ── list ───────────────────────────────────────────────────────────────────────────


def test_the_installed_command() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "napari_segreview.cli", "--version"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert run.stdout == f"segreview {napari_segreview.__version__}\n"
    assert run.stderr == ""


def test_models_in_a_table(segreview: Segreview) -> None:
    said = segreview("models")
    assert said.status == 0
    for name in (*cards.bundled(), "unet", *METHODS):
        assert name in said.out


def test_models_for_programs(segreview: Segreview) -> None:
    facts = json.loads(segreview("models", "--json").out)
    assert {row["name"] for row in facts["models"]} == set(cards.bundled())
    unet = next(row for row in facts["architectures"] if row["name"] == "unet")
    assert unet["dims"] == [2, 3]
    assert unet["presets"] == ["compact", "paper"]
    assert unet["published_parameters"][0]["count"] == 31_030_658
    assert unet["results"][0]["source"] == "recalled"
    assert {"method", "miou", "extra_data"} <= set(facts["voc2012"][0])
    assert {row["name"] for row in facts["methods"]} == set(METHODS)


def test_one_system_in_words(segreview: Segreview) -> None:
    said = segreview("models", "promise12", "v-net").out
    assert "61,982,682 parameters" in said
    assert "segnet" not in said


@pytest.mark.parametrize("words", ["random-contrasts", "billot painted"])
def test_one_method_in_words(segreview: Segreview, words: str) -> None:
    said = segreview("models", *words.split()).out
    card = METHODS["random-contrasts"]
    assert card.distinctive in said
    assert all(f"Chosen here: {choice}" in said for choice in card.choices)
    assert "Ways of training" not in said


def test_published_results(segreview: Segreview) -> None:
    said = segreview("models", "--results").out
    assert "67.2" in said
    assert "Extra data" in said
    assert "None of these figures is ours." in said
    assert "SegNet" not in segreview("models", "--results", "fcn").out


def test_words_that_nothing_has(segreview: Segreview) -> None:
    said = segreview("models", "vnett")
    assert (said.status, said.out) == (1, "")
    assert said.err == "segreview: no model 'vnett'; did you mean 'vnet'?\n"
    assert segreview("models", "--results", "vnett").out == ""
    said = segreview("models", "random-contrsts")
    assert said.err.endswith("did you mean 'random-contrasts'?\n")


def test_a_damaged_model_of_ones_own_hides_no_other(
    segreview: Segreview, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SEGREVIEW_MODELS", str(tmp_path / "own"))
    (tmp_path / "own" / "mine").mkdir(parents=True)
    (tmp_path / "own" / "mine" / cards.CARD_FILE).write_text("{}")
    said = segreview("models")
    assert said.status == 0
    assert f"not usable: {tmp_path}" in said.out
    for name in cards.bundled():
        assert name in said.out
    assert segreview("models", "--json").status == 0


def test_a_model_of_ones_own(
    segreview: Segreview, models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SEGREVIEW_MODELS", str(tmp_path / "own"))
    said = segreview("models", "--add", models / "volume")
    name = cards.read_card(models / "volume").name
    assert said.out.startswith(f"Added {name}")
    assert name in segreview("models").out
    head = nifti("head.nii.gz", noise(9, 9, 9))
    ran = segreview("predict", head, "-m", name, "-o", "m.nii.gz", "--device=cpu")
    assert ran.status == 0


# ── predict ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_a_mask_on_the_scans_grid(
    segreview: Segreview, models: Path, suffix: str
) -> None:
    head = nifti("head.nii.gz", noise(18, 20, 9))
    said = segreview(
        "predict", head, "-m", models / "volume", "-o", f"mask{suffix}", "--device=cpu"
    )
    assert said.status == 0
    notes = [line.split(": ")[1] for line in said.err.splitlines()]
    assert notes == ["oblique", "flipped"]
    assert f"Wrote mask{suffix}" in said.out
    scan, mask = read_one(head), read_labels(f"mask{suffix}")
    assert scan.grid.difference(mask.grid) == ""
    assert mask.table.name(1) == "blob"
    assert set(np.unique(mask.data)) == {0, 1}
    found = f"blob {mask.data.sum() * mask.grid.voxel_volume / 1000:.2f} ml"
    assert found in said.out


def test_what_to_know_of_a_model_on_a_scan_is_noted(segreview: Segreview) -> None:
    """As in the window."""
    save_tiny(Path("of-mr"), modalities=["MR"])
    head = nifti("head.nii.gz", noise(9, 9, 9), np.eye(4))
    said = segreview("predict", head, "-m", "of-mr", "-o", "m.nii", "--device=cpu")
    assert said.status == 0
    assert "note: The file does not say what it shows; check that it is MR." in said.err


def test_the_same_patient_stored_otherwise_gets_the_same_mask(
    segreview: Segreview, models: Path
) -> None:
    image = nib.Nifti1Image(noise(18, 20, 9), OBLIQUE)
    image.to_filename("one.nii.gz")
    turned = image.as_reoriented([[2, -1], [0, 1], [1, -1]])
    turned.to_filename("two.nii.gz")
    masks = []
    for name in ("one", "two"):
        out = f"{name}-mask.nii.gz"
        model = models / "volume"
        segreview("predict", f"{name}.nii.gz", "-m", model, "-o", out, "--device=cpu")
        mask = read_labels(out)
        masks.append(turn_to(mask.grid, "RAS").apply(mask.data))
    assert np.array_equal(*masks)
    assert masks[0].any()


def test_a_photograph(segreview: Segreview, models: Path) -> None:
    Image.fromarray(np.uint8(noise(20, 30, 3) * 20 + 100)).save("eye [l].png")
    model, out = models / "colour", "[b]mask.png"
    said = segreview(
        "predict", "eye [l].png", "-m", model, "-o", out, "--device", "cpu", "--mirror"
    )
    assert (said.status, said.err) == (0, "")
    assert "Wrote [b]mask.png" in said.out
    assert read_labels(out).data.shape == (20, 30)


def test_what_the_reader_noticed_is_noted(
    segreview: Segreview, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = replace(read_one(nifti("head.nii", noise(8, 8, 8))), warnings=("odd [b]",))
    monkeypatch.setattr(scans, "read_one", lambda _: scan)
    model = models / "volume"
    said = segreview("predict", "x", "-m", model, "-o", "out.nii", "--device=cpu")
    assert (said.status, said.err) == (0, "note: odd [b]\n")


def write_5d() -> None:
    nifti("bad.nii.gz", np.zeros((2, 2, 2, 2, 2), np.float32))


def write_cut() -> None:
    nifti("bad.nii", noise(8, 8, 8))
    Path("bad.nii").write_bytes(Path("bad.nii").read_bytes()[:900])


def write_nan() -> None:
    data = noise(8, 8, 8)
    data[0, 0, :3] = np.nan
    nifti("bad.nii.gz", data)


def write_rgb() -> None:
    Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save("bad.png")


def write_grey() -> None:
    Image.fromarray(np.zeros((8, 9), np.uint8)).save("bad.png")


def nothing() -> None:
    pass


@pytest.mark.parametrize(
    ("write", "image", "model", "words"),
    [
        (nothing, "bad.nii.gz", "volume", ["bad.nii.gz: there is no such file"]),
        (Path("bad.nii").touch, "bad.nii", "volume", ["bad.nii: the file is empty"]),
        (write_cut, "bad.nii", "volume", ["bad.nii"]),
        (Path("bad").mkdir, "bad", "volume", ["bad", "DICOM"]),
        (write_rgb, "bad.png", "grey", ["bad: Tiny reads 2D with 1 channel(s)"]),
        (write_grey, "bad.png", "colour", ["bad: Tiny reads 2D in colour", "2D grey"]),
        (write_grey, "bad.png", "volume", ["bad: Tiny reads 3D", "2D grey"]),
        (write_nan, "bad.nii.gz", "volume", ["bad: 3 of 512 voxels", "replace them"]),
        (write_5d, "bad.nii.gz", "volume", ["bad.nii.gz", "5 axes"]),
        (lambda: nifti("bad.nii", noise(8, 8, 8)), "bad.nii", "broken", ["SHA-256"]),
        (lambda: nifti("bad.nii", noise(8, 8, 8)), "bad.nii", "none", ["no model"]),
    ],
    ids=[
        "missing",
        "empty",
        "truncated",
        "no DICOM",
        "colour for grey",
        "grey for colour",
        "flat for 3D",
        "NaN",
        "5D",
        "weights",
        "no model",
    ],
)
def test_what_cannot_be_segmented_is_said_in_one_line(
    segreview: Segreview,
    models: Path,
    write: Callable[[], Any],
    image: str,
    model: str,
    words: list[str],
) -> None:
    write()
    before = files()
    said = segreview(
        "predict", image, "-m", models / model, "-o", "out.nii.gz", "--device=cpu"
    )
    assert said.status == 1
    assert said.err.count("\n") == 1
    assert said.err.startswith("segreview: ")
    for word in words:
        assert word in said.err
    assert said.out == ""
    assert files() == before


def test_a_misspelt_model(
    segreview: Segreview, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "models/kidney").mkdir(parents=True)
    text = tiny_card(name="kidney").model_dump_json()
    (tmp_path / "models/kidney" / cards.CARD_FILE).write_text(text)
    monkeypatch.setattr(cards, "BUNDLED", tmp_path / "models")
    head = nifti("head.nii", noise(8, 8, 8))
    said = segreview("predict", head, "-m", "kidny", "-o", "out.nii")
    assert (said.status, said.err.count("\n")) == (1, 1)
    assert "no model 'kidny'; did you mean 'kidney'?" in said.err


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("out.jpg", ["out.jpg", ".nii.gz"]),
        ("out", ["out", ".nii.gz"]),
        ("missing/out.nii", ["out.nii", "there is no folder"]),
        ("head.nii/out.nii", ["out.nii"]),  # a file is no folder
        ("out.png", ["out.png", "2D"]),  # the scan is 3D
        ("folder.nii", ["folder.nii is a folder"]),
        ("head.nii", ["head.nii is part of what is read", "another file"]),
        ("/proc/out.nii", ["out.nii"]),  # not even root may write there
    ],
)
def test_a_place_that_cannot_be_written_is_said_before_the_work(
    segreview: Segreview,
    models: Path,
    monkeypatch: pytest.MonkeyPatch,
    out: str,
    words: list[str],
) -> None:
    if out.startswith("/proc") and not Path("/proc").is_dir():
        pytest.skip("no /proc on this system")
    monkeypatch.setattr(LocalEngine, "segment", lambda *_: pytest.fail("it ran"))
    head = nifti("head.nii", noise(8, 8, 8))
    Path("folder.nii").mkdir()
    before = files()
    said = segreview("predict", head, "-m", models / "volume", "-o", out)
    assert (said.status, said.err.count("\n"), said.out) == (1, 1, "")
    assert said.err.startswith("segreview: ")
    for word in words:
        assert word in said.err
    assert files() == before


def test_stopped_by_the_user(
    segreview: Segreview, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LocalEngine, "segment", interrupted)
    head = nifti("head.nii", noise(8, 8, 8))
    said = segreview("predict", head, "-m", models / "volume", "-o", "out.nii")
    assert said.status == 130
    assert said.err == "segreview: stopped before the output was written\n"
    assert not Path("out.nii").exists()


# ── score ──────────────────────────────────────────────────────────────────────────


def test_scores_for_programs_and_as_csv(segreview: Segreview) -> None:
    pair = nifti("guess.nii.gz", ball(2)), nifti("truth.nii.gz", ball())
    said = segreview("score", *pair, "--tolerance=4.5", "--json", "--csv", "a.csv")
    assert (said.status, said.err) == (0, "")
    report = json.loads(said.out)
    guess, truth = ball(2), ball()
    dice = 2 * (guess & truth).sum() / (guess.sum() + truth.sum())
    row = report["rows"][0]
    assert row["dice"] == pytest.approx(dice)
    assert row["hd95"] == pytest.approx(4.0)  # two voxels of 2 mm
    assert row["nsd"] == 1.0
    assert (report["unit"], report["tolerance"]) == ("mm", 4.5)
    text = Path("a.csv").read_text(encoding="utf-8-sig")
    line = next(csv.DictReader(text.splitlines()))
    assert float(line["Dice"]) == pytest.approx(dice)
    assert (line["prediction"], line["reference"]) == ("guess", "truth")


def test_scores_in_a_table(segreview: Segreview) -> None:
    pair = nifti("guess.nii.gz", ball(2)), nifti("[red]truth.nii.gz", ball())
    said = segreview("score", *pair)
    assert "guess against [red]truth" in said.out  # a name is no markup
    assert "HD95 (mm)" in said.out
    assert "NSD (2 mm)" in said.out


@pytest.mark.parametrize("labels", [0, 1, 2, 12])
def test_any_number_of_labels_in_a_table(segreview: Segreview, labels: int) -> None:
    data = np.arange(12**3).reshape(12, 12, 12) % (labels + 1)
    one = nifti("one.nii", np.uint8(data))
    said = segreview("score", one, one)
    assert said.status == 0
    for value in range(1, labels + 1):
        assert f"label {value}" in said.out
    assert said.out.count("1.000") >= labels


def test_nothing_on_either_side_is_said_without_an_empty_table(
    segreview: Segreview,
) -> None:
    none = nifti("none.nii", np.zeros((4, 4, 4), np.uint8))
    said = segreview("score", none, none)
    assert (said.status, said.out) == (0, "")
    assert "Neither side has a label" in said.err


def test_real_labels_against_themselves(segreview: Segreview, data_dir: Path) -> None:
    found = sorted((data_dir / "mri_hippocampus" / "labels").glob("*.nii.gz"))
    if not found:
        pytest.skip(f"no mri_hippocampus in {data_dir}")
    said = segreview("score", found[0], found[0], "--json")
    rows = json.loads(said.out)["rows"]
    assert len(rows) == 2
    for row in rows:
        assert (row["dice"], row["hd95"], row["assd"], row["nsd"]) == (1, 0, 0, 1)
        assert row["volume_difference"] == 0


MOVED = OBLIQUE + np.pad([[5.0]], ((0, 3), (3, 0)))  # 5 mm to the right


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda: nifti("bad.nii", ball(), MOVED), ["bad", "different grids", "5 mm"]),
        (lambda: nifti("bad.nii", ball()[:9]), ["bad", "shape", "export both"]),
        (lambda: nifti("bad.nii", np.int16(ball()) - 1), ["bad.nii", "≥ 0, got -1"]),
        (lambda: nifti("bad.nii", ball() * np.float32(0.5)), ["bad.nii", "got 0.5"]),
        (lambda: nifti("bad.nii", ball() * np.float32("nan")), ["bad.nii", "got NaN"]),
        (lambda: Path("bad.nii").mkdir(), ["bad.nii", "DICOM"]),
        (nothing, ["bad.nii: there is no such file"]),
    ],
    ids=["place", "shape", "negative", "fraction", "NaN", "folder", "missing"],
)
def test_labels_that_cannot_be_scored_are_said_in_one_line(
    segreview: Segreview, write: Callable[[], Any], words: list[str]
) -> None:
    truth = nifti("truth.nii", ball())
    write()
    said = segreview("score", "bad.nii", truth, "--csv", "scores.csv")
    assert (said.status, said.err.count("\n"), said.out) == (1, 1, "")
    for word in words:
        assert word in said.err
    assert not Path("scores.csv").exists()


def test_whole_numbers_stored_as_floats_are_read_with_a_note(
    segreview: Segreview,
) -> None:
    pair = nifti("one.nii", np.float32(ball())), nifti("two.nii", ball())
    said = segreview("score", *pair, "--json")
    assert json.loads(said.out)["rows"][0]["dice"] == 1
    assert said.err.startswith("note: labels stored as float32")


def test_scores_that_cannot_be_saved(segreview: Segreview) -> None:
    one = nifti("one.nii", ball())
    said = segreview("score", one, one, "--csv", "missing/scores.csv")
    assert (said.status, said.err.count("\n"), said.out) == (1, 1, "")
    assert "missing/scores.csv" in said.err


@pytest.mark.parametrize("tolerance", ["0", "-1", "nan"])
def test_a_tolerance_that_is_none(segreview: Segreview, tolerance: str) -> None:
    one = nifti("one.nii", ball())
    said = segreview("score", one, one, f"--tolerance={tolerance}")
    assert (said.status, said.err.count("\n")) == (1, 1)
    assert "tolerance" in said.err
