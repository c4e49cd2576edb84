"""`segreview finetune`, `versions`, `gate`: a model, files, no window."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from imageio import v3 as imageio
from tiny_model import save_tiny

from napari_segreview import cli
from napari_segreview._cli_improve import marks_of, read_pair, seconds_of
from napari_segreview.engine.models import VARIABLE, install
from src_models.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Exit status of the command."""
    monkeypatch.setattr(sys, "argv", ["segreview", *words])
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "own"))
    return install(save_tiny(tmp_path / "model", ndim=2))


def pair(folder: Path, seed: int) -> str:
    random = np.random.default_rng(seed)
    truth = np.zeros((24, 24), np.uint8)
    truth[6:16, 8:18] = 1
    image = (90 + 80 * truth + random.normal(0, 8, truth.shape)).astype(np.uint8)
    imageio.imwrite(folder / f"{seed}.png", image)
    imageio.imwrite(folder / f"{seed}-labels.png", truth)
    return f"{folder / f'{seed}.png'}={folder / f'{seed}-labels.png'}"


def test_finetune_then_versions_then_gate(
    model: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, archive = tmp_path / "out", tmp_path / "one.zip"
    case = pair(tmp_path, 1)
    words = (
        "--case",
        case,
        "--budget",
        "2s",
        "--checked-slices",
        "0-15",
        "-o",
        str(out),
    )
    assert run(monkeypatch, "finetune", "-m", model, *words, "--device", "cpu") == 0
    said = capsys.readouterr().out
    assert "provisional" in said
    assert (out / "card.json").is_file()
    version = said.split()[1].rstrip(":")

    assert run(monkeypatch, "versions", model, "--export", version, str(archive)) == 0
    assert run(monkeypatch, "versions", model, "--import", str(archive)) == 0
    capsys.readouterr()
    assert run(monkeypatch, "versions", model) == 0
    assert capsys.readouterr().out.count("provisional") >= 2
    assert run(monkeypatch, "versions", model, "--activate", version) == 1
    assert "cannot become the active model" in " ".join(capsys.readouterr().err.split())
    assert run(monkeypatch, "versions", model, "--activate", "base") == 0

    capsys.readouterr()
    words = (
        model,
        f"{model}@{version}",
        "--case",
        pair(tmp_path, 2),
        "--device",
        "cpu",
    )
    assert run(monkeypatch, "gate", *words) == 0
    assert "1 of the 4 locked cases" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("--case", "a.png"), "IMAGE=LABELS"),
        (("--case", "PAIR", "--budget", "soon"), "such as 90s"),
        (("--case", "PAIR", "--checked-slices", "x"), "checked slices such as"),
        (("--case", "PAIR", "--checked-slices", "2:1"), "no axis 2"),
        (("--case", "PAIR", "--locked", "PAIR"), "locked cases"),
        (("--case", "PAIR", "--checked-slices", "99"), "nothing was checked"),
        (("--case", "PAIR", "--patient", r"(\d)-"), "finds no patient in 1.png"),
        (("--case", "PAIR", "--patient", "("), "no regular expression"),
        (
            ("--case", "PAIR", "--locked", "OTHER", "--patient", r"\.png"),
            "locked cases",  # of the same patient
        ),
        (("--case", "PAIR", "-m", "FOLDER"), "segreview models --add"),
    ],
)
def test_faults_are_one_line(
    model: str,
    tmp_path: Path,
    words: tuple[str, ...],
    fault: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = str(save_tiny(tmp_path / "other", ndim=2, name="other"))
    told = {"PAIR": pair(tmp_path, 1), "FOLDER": other, "OTHER": pair(tmp_path, 2)}
    given = [told.get(word, word) for word in words]
    assert run(monkeypatch, "finetune", "-m", model, *given, "--device", "cpu") == 1
    err = capsys.readouterr().err
    assert fault in err
    assert err.count("\n") == 1


def test_durations_and_marks() -> None:
    assert [seconds_of(text) for text in ("90s", "1.5m", "2h")] == [90, 90, 7200]
    assert [(mark.axis, mark.index) for mark in marks_of("1:3,5-6")] == [
        (1, 3),
        (1, 5),
        (1, 6),
    ]
    for text in ("0s", "3", "-1m"):
        with pytest.raises(InputError):
            seconds_of(text)


def test_marks_of_files(tmp_path: Path) -> None:
    one = read_pair(pair(tmp_path, 1), marks_of("0-2"))
    assert one.checked.sum() == 3 * 24
