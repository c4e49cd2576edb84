"""`segreview click`: prompts as words, a mask on the image's grid."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from napari_segreview import _cli_click, cli
from napari_segreview._cli_click import click_on, parsed
from napari_segreview.core.geometry import Grid
from napari_segreview.core.prompts import Box, Lasso, Plane, Point, Scribble
from napari_segreview.core.scan import Scan
from napari_segreview.engine import LocalEngine
from napari_segreview.engine.clicks import ClickEngine
from napari_segreview.scans import read_labels
from src_models.errors import InputError
from src_models.interactive.fallback import WalkPredictor
from src_models.progress import drain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VOLUME = Scan(
    data=np.zeros((4, 30, 40), np.int16),
    grid=Grid.from_spacing((4, 30, 40), (3.0, 1.0, 1.0)),
    name="volume",
)
PICTURE = Scan(
    data=np.zeros((30, 40), np.uint8),
    grid=Grid.from_spacing((30, 40), (1.0, 1.0), "px"),
    name="picture",
)


@pytest.fixture
def segreview(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """The command in a folder of its own, answered by the random walk."""
    monkeypatch.chdir(tmp_path)
    engine = LocalEngine(ClickEngine(WalkPredictor))
    monkeypatch.setattr("napari_segreview.engine.LocalEngine", lambda: engine)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["segreview", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return run


@pytest.mark.parametrize(
    ("kind", "text", "axis", "prompt"),
    [
        ("point", "1,2,3", "z", Point(Plane(0, 1), (1, 2, 3))),
        ("point", "-1,2,3", "y", Point(Plane(1, 2), (1, 2, 3), positive=False)),
        ("box", "1,2,3:1,5,9", "z", Box(Plane(0, 1), (1, 2, 3), (1, 5, 9))),
        ("scribble", "-0,2,3:1,2,9", "y", None),
        ("lasso", "1,2,3:1,5,9:1,9,3", "z", None),
    ],
)
def test_prompts_are_read(kind: str, text: str, axis: str, prompt: Any) -> None:
    found = parsed(kind, text, VOLUME, axis, 0)
    if prompt is not None:
        assert found == prompt
    elif kind == "lasso":
        assert found == Lasso(Plane(0, 1), ((1, 2, 3), (1, 5, 9), (1, 9, 3)))
    else:
        assert found == Scribble(Plane(1, 2), ((0, 2, 3), (1, 2, 9)), positive=False)


@pytest.mark.parametrize(
    ("kind", "text", "axis", "frame", "said"),
    [
        ("point", "1,2", "z", 0, "wanted z,y,x in voxels"),
        ("point", "1,a,2", "z", 0, "wanted z,y,x in voxels"),
        ("point", "nan,2,3", "z", 0, "wanted z,y,x in voxels"),
        ("point", "1,inf,3", "y", 0, "wanted z,y,x in voxels"),
        ("point", "1,2,3:1,2,4", "z", 0, "wanted 1 places, got 2"),
        ("box", "1,2,3", "z", 0, "wanted 2 places, got 1"),
        ("scribble", "1,2,3", "z", 0, "wanted 2 or more places, got 1"),
        ("lasso", "1,2,3:1,9,9", "z", 0, "wanted 3 or more places, got 2"),
        ("box", "-1,2,3:1,4,5", "z", 0, "only points and scribbles"),
        ("box", "1,2,3:2,4,5", "z", 0, "must lie in one slice along z"),
        ("point", "1,2,3", "w", 0, "wanted z, y or x"),
        ("point", "1,2,3", "z", 5, "the scan has 1 frame"),
    ],
)
def test_what_cannot_be_read_is_said(
    kind: str, text: str, axis: str, frame: int, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        parsed(kind, text, VOLUME, axis, frame)


def test_a_picture_is_clicked(
    segreview: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    data = np.zeros((60, 80), np.uint8)
    data[20:40, 30:60] = 220
    Image.fromarray(data).save(tmp_path / "a.png")
    clicks = ("--point", "30,45", "--point=-5,5")
    status, out, err = segreview("click", "a.png", *clicks, "-o", "m.png")
    assert (status, err) == (0, "")
    mask = read_labels(tmp_path / "m.png").data
    assert np.array_equal(mask > 0, data > 0)
    assert out == "2 clicks: 600 px\nWrote m.png\n"


def test_the_picture_is_never_written_over(
    segreview: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    Image.fromarray(np.eye(30, dtype=np.uint8)).save(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    (tmp_path / "link.png").symlink_to("a.png")
    for output in ("a.png", "./a.png", "link.png"):
        status, _, err = segreview("click", "a.png", "--point", "9,9", "-o", output)
        assert status == 1
        assert "is part of what is read; name another file" in err
    assert (tmp_path / "a.png").read_bytes() == before
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.png", "link.png"]


def test_a_volume_is_clicked_through(
    segreview: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    """In nibabel's x, y, z; the mask lies where the image lies."""
    data = np.zeros((40, 30, 12), np.int16)
    data[12:28, 10:22, 3:9] = 900
    affine = np.diag([-1.0, 1.0, 3.0, 1.0])
    affine[:3, 3] = 30, -9, 4
    nib.Nifti1Image(data, affine).to_filename(tmp_path / "a.nii.gz")
    status, _, err = segreview(
        "click", "a.nii.gz", "--point", "5,15,20", "--through", "-o", "m.nii.gz"
    )
    assert (status, err) == (0, "")
    image = nib.load(tmp_path / "m.nii.gz")
    assert np.allclose(image.affine, affine)
    assert np.array_equal(np.asarray(image.dataobj) > 0, data > 0)


def test_a_box_says_nothing_of_a_volume(
    segreview: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    data = np.zeros((20, 20, 5), np.int16)
    nib.Nifti1Image(data, np.eye(4)).to_filename(tmp_path / "a.nii")
    box = ("--volume", "--box", "2,3,3:2,9,9")
    status, _, err = segreview("click", "a.nii", *box, "-o", "m.nii")
    assert status == 1
    assert "--volume wants points and scribbles" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "wanted at least one --point"),
        (("--point", "5,99"), "(5, 99) lies outside the image of (60, 80) voxels"),
        (("--point=--5,9",), "(-5, 9) lies outside the image"),
        (("--point", "5,9", "--through"), "--through wants a 3D scan"),
        (("--point", "5,9", "--axis", "x"), "--axis wants a 3D scan"),
        (("--point", "5,9", "--volume"), "--volume wants a 3D scan"),
    ],
)
def test_a_fault_is_one_line(
    segreview: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
    arguments: tuple[str, ...],
    said: str,
) -> None:
    Image.fromarray(np.zeros((60, 80), np.uint8)).save(tmp_path / "a.png")
    status, _, err = segreview("click", "a.png", *arguments, "-o", "m.png")
    assert status == 1
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "m.png").exists()


def test_the_order_of_prompts_is_that_of_the_list() -> None:
    """Contradictory clicks on one pixel: the later wins."""
    engine = LocalEngine(ClickEngine(WalkPredictor))
    plane = Plane(None)
    both = [Point(plane, (5.0, 5.0), sign) for sign in (True, False)]
    assert drain(click_on(PICTURE, both, engine)).data[5, 5] == 0
    assert drain(click_on(PICTURE, both[::-1], engine)).data[5, 5] == 1


def test_the_bench_is_run_with_the_recipe_of_the_project(
    segreview: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_segreview import _click_bench

    told: dict[str, Any] = {}
    monkeypatch.setattr(_click_bench, "bench_click", lambda **facts: told.update(facts))
    assert segreview("bench", "click", "--data", "d", "--most", 2)[0] == 0
    assert told["recipe"] == _cli_click.RECIPE
    assert told["recipe"].is_file()  # wherever it is called from
    assert told["predictor"] == "src_models.interactive:bench_predictor"
    assert (str(told["data"]), told["most"]) == ("d", 2)
    code, _, said = segreview("bench", "click", "--recipe", "none.toml")
    assert code != 0
    assert "no recipe none.toml: give --recipe" in said
