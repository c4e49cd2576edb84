"""`segreview plan`, and what training looks like on a terminal."""

from __future__ import annotations

import io
import os
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from napari_segreview import _training_view, cli
from src_models.progress import Progress
from src_models.training.curves import Epoch

if TYPE_CHECKING:
    from collections.abc import Generator

RECIPE = Path(__file__).parents[1] / "recipes" / "retina-vessels-unet2d.toml"


def plan(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *args: object
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["segreview", "plan", *map(str, args)])
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr()
    return int(end.value.code or 0), said.out, said.err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three volumes with thick slices."""
    random = np.random.default_rng(0)
    for side in ("images", "labels"):
        (tmp_path / side).mkdir()
    for i in range(3):
        labels = np.zeros((40, 40, 10), np.uint8)
        labels[5:20, 5:20, 2:6] = 2
        image = labels + random.normal(size=labels.shape).astype(np.float32)
        for side, data in (("images", image), ("labels", labels)):
            volume = nib.Nifti1Image(data, np.diag([1, 1, 3, 1]))
            volume.to_filename(tmp_path / side / f"case{i}.nii.gz")
    return tmp_path


def test_a_folder(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    status, out, err = plan(capsys, monkeypatch, folder, "--memory", 500)
    assert (status, err) == (0, "")
    assert out.startswith("3 cases, 3D, 1 channel(s)\n")
    assert "label 2: 5.62 % of the voxels, in 100 % of the cases" in out
    part = tomllib.loads(out[out.index("spacing = [") :])
    assert part["spacing"] == [3.0, 1.0, 1.0]
    assert part["net"]["classes"] == 3
    assert len(part["patches"]["size"]) == 3


def test_a_recipe_of_a_real_set(
    data_dir: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not (data_dir / "retina_chasedb1").is_dir():
        pytest.skip(f"no retina photographs in {data_dir}")
    args = (RECIPE, "--data", data_dir, "--memory", 1000)
    status, out, _ = plan(capsys, monkeypatch, *args)
    assert status == 0
    assert "2D, 3 channel(s)" in out
    assert "spacing =" not in out  # photographs have none
    assert 'system = "unet"' in out


def no_images(folder: Path) -> None:
    for path in (folder / "images").iterdir():
        path.unlink()


def no_labels(folder: Path) -> None:
    (folder / "labels" / "case1.nii.gz").unlink()


def other_grid(folder: Path) -> None:
    volume = nib.Nifti1Image(np.zeros((40, 40, 9), np.uint8), np.diag([1, 1, 3, 1]))
    volume.to_filename(folder / "labels" / "case1.nii.gz")


def other_unit(folder: Path) -> None:
    for side in ("images", "labels"):
        Image.fromarray(np.zeros((9, 9), np.uint8)).save(folder / side / "x.png")


@pytest.mark.parametrize(
    ("spoil", "options", "says"),
    [
        (no_images, [], "no images in"),
        (no_labels, [], "case1.nii.gz has no labels in"),
        (other_grid, [], "case1.nii.gz: an image and its labels on one grid"),
        (other_unit, [], "x is measured in px, case0 in mm"),
        (os.fspath, ["--memory", 1], "does not fit into 1 MB"),
        (os.fspath, ["--system", "unett"], "did you mean 'unet'?"),
    ],
    ids=["no images", "no labels", "grid", "unit", "memory", "system"],
)
def test_what_is_wrong_is_one_line(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    spoil: object,
    options: list[object],
    says: str,
) -> None:
    spoil(folder)  # type: ignore[operator]
    status, out, err = plan(capsys, monkeypatch, folder, *options)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert says in err


class TestView:
    def steps(self) -> Generator[Epoch | Progress, None, None]:
        for number in (1, 2, 3):
            yield Progress(1, 1, f"epoch {number}  loss 0.5")
            yield Epoch(number, 3, 1 / number, number / 4, number / 4, 2.0, 1e-3)

    def follow(self, *, terminal: bool) -> str:
        paper = io.StringIO()
        console = Console(file=paper, force_terminal=terminal, width=100)
        assert _training_view.follow_training(self.steps(), console) is None  # type: ignore[func-returns-value]
        return paper.getvalue()

    def test_a_line_an_epoch_in_a_file(self) -> None:
        told = self.follow(terminal=False).splitlines()
        assert told[1] == "epoch 2/3  loss 0.5000  Dice 0.5000  best 0.5000  2 s"
        assert len(told) == 3

    def test_table_and_curves_on_a_terminal(self) -> None:
        last = self.follow(terminal=True).split("epoch  ")[-1]
        assert "3/3" in last
        assert "0.7500" in last
        assert "█▃▁" in last  # 1, 1/2, 1/3
        assert "▁▅█" in last or "▁▄█" in last

    @pytest.mark.parametrize(
        ("values", "wanted"),
        [
            ([], ""),
            ([3.0], "▁"),
            ([2.0, 2.0], "▁▁"),
            ([0.0, 7.0, 1.0], "▁█▂"),
        ],
    )
    def test_sparkline_by_hand(self, values: list[float], wanted: str) -> None:
        assert _training_view.sparkline(values) == wanted

    def test_a_long_curve_keeps_both_ends(self) -> None:
        drawn = _training_view.sparkline([float(i) for i in range(1000)])
        assert len(drawn) == _training_view.WIDTH
        assert (drawn[0], drawn[-1]) == ("▁", "█")
