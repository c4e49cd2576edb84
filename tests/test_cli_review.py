"""`segreview report | readers | score-cohort`: files in, files and lines out."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from napari_segreview import _cohort, cli
from napari_segreview._readers import names_of
from src_models.progress import drain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def segreview(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """(exit status, out, err) of a command run in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["segreview", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return run


def picture(path: Path, shift: int = 0, value: int = 255) -> Path:
    data = np.zeros((40, 60), np.uint8)
    data[10:30, 10 + shift : 40 + shift] = value
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(data).save(path)
    return path


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for at, case in enumerate(("a", "b", "c")):
        picture(tmp_path / "truth" / f"{case}.png")
        picture(tmp_path / "net" / f"{case}.png", at + 1, value=1)
        picture(tmp_path / "other" / f"{case}.png", at)
    return tmp_path


def test_report(segreview: Any, folders: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 255, (40, 60), np.uint8)
    Image.fromarray(grey).save(folders / "photo.png")
    pair = "net/a.png", "truth/a.png"
    status, out, err = segreview("report", "photo.png", *pair, "-o", "page.html")
    assert (status, out, err) == (0, "Wrote page.html\n", "")
    text = (folders / "page.html").read_text(encoding="utf-8")
    assert "data:image/png" in text
    assert "photo" not in text
    status, _, err = segreview("report", "photo.png", *pair, "-o", "none/page.html")
    assert (status, err.count("\n")) == (1, 1)
    assert "there is no such folder" in err


def test_files_of_one_name_are_told_apart(segreview: Any, folders: Path) -> None:
    status, out, _ = segreview("score", "net/a.png", "truth/a.png")
    assert status == 0
    assert "net against truth" in out
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(folders / "net" / "c.png")
    for command in ("score", "objects"):
        status, _, err = segreview(command, "net/c.png", "truth/c.png")
        assert (status, err.count("\n")) == (1, 1)
        assert "net and truth lie on different grids" in err


def test_objects(segreview: Any, folders: Path) -> None:
    for name, columns in (("mine", (5, 50)), ("theirs", (5, 20, 40))):
        data = np.zeros((40, 60), np.uint8)
        for column in columns:
            data[10:14, column : column + 4] = 1
        Image.fromarray(data).save(folders / f"{name}.png")
    pair = "mine.png", "theirs.png"
    status, out, _ = segreview("objects", *pair)
    assert status == 0
    assert "connected parts of each label, matched by overlap (IoU) above 0.5" in out
    facts = json.loads(segreview("objects", *pair, "--match", "centre", "--json")[1])
    (one,) = facts["structures"].values()
    assert (one["found"], one["missed"], one["false"]) == (1, 2, 1)
    status, _, err = segreview("objects", *pair, "--threshold", "2")
    assert (status, err.count("\n")) == (1, 1)
    assert "threshold in [0, 1)" in err
    assert segreview("report", "mine.png", *pair, "-o", "a.html", "--objects")[0] == 0
    assert "Panoptic" in (folders / "a.html").read_text(encoding="utf-8")


def test_readers_of_one_case(segreview: Any, folders: Path) -> None:
    files = "truth/b.png", "other/b.png"
    status, out, _ = segreview("readers", *files, "--model", "net/b.png", "-o", "out")
    assert status == 0
    assert "truth – other" in out
    assert "within the spread" in out or "outside" in out
    written = {path.name for path in (folders / "out").iterdir()}
    assert written >= {
        *(f"readers.{kind}" for kind in ("html", "csv", "json")),
        "majority.png",
        "staple.png",
        "disagreement-in-percent.png",
    }
    share = np.array(Image.open(folders / "out" / "disagreement-in-percent.png"))
    assert set(np.unique(share)) == {0, 50}  # of the two readers


def test_readers_are_not_written_over(segreview: Any, folders: Path) -> None:
    (folders / "out").mkdir()
    mine = folders / "out/staple.png"
    shutil.copy(folders / "truth/a.png", mine)
    before = mine.read_bytes()
    status, _, err = segreview("readers", "out/staple.png", "other/a.png", "-o", "out")
    assert status == 1
    assert "staple.png is part of what is read" in err
    assert mine.read_bytes() == before
    assert list((folders / "out").iterdir()) == [mine]


def test_readers_of_many_cases(segreview: Any, folders: Path) -> None:
    status, out, _ = segreview("readers", "truth", "other", "--json")
    facts = json.loads(out)
    assert status == 0
    assert facts["readers"] == ["truth", "other"]
    (found,) = facts["bland_altman"]
    assert (found["first"], found["second"], found["cases"]) == ("truth", "other", 3)
    assert [one["case"] for one in facts["pairs"]] == ["a", "b", "c"]


@pytest.mark.parametrize("told", [False, True])
def test_names_of_cases_are_written_only_if_asked_for(
    segreview: Any, folders: Path, told: bool
) -> None:
    """Files are often named after patients; a damaged one is told by its name, too."""
    for folder in ("truth", "net", "other"):
        for at, case in enumerate(("doe-john", "roe-jane")):
            picture(folders / folder / f"{case}.png", at)
    (folders / "net" / "doe-john.png").write_text("no picture")
    picture(folders / "net" / "roe-jane.png", 3, value=7)  # noted: another number
    asked = ["--names"] if told else []
    assert segreview("score-cohort", "net", "truth", "-o", "o", *asked)[0] == 0
    assert segreview("readers", "truth", "other", "-o", "o", *asked)[0] == 0
    written = sorted((folders / "o").iterdir())
    assert len(written) == 7
    for path in written:
        text = path.read_text(encoding="utf-8")
        names = "doe" in text or "roe" in text
        if path.name == _cohort.DONE:
            assert not names
        elif path.name != "readers.html":  # it has no cases
            assert names is told
            assert ("case 5" in text) is not told


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("truth", "net/a.png"), "got both"),
        (("truth/a.png",), "two or more readers"),
        (("truth", "empty"), "no file name in common"),
        (("truth/a.png", "none.png"), "none.png"),
    ],
)
def test_readers_that_cannot_be(
    segreview: Any, folders: Path, given: tuple[str, ...], says: str
) -> None:
    (folders / "empty").mkdir()
    status, _, err = segreview("readers", *given)
    assert (status, err.count("\n")) == (1, 1)
    assert says in err


def test_names_that_tell_paths_apart(tmp_path: Path) -> None:
    assert names_of([tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"]) == ["a", "b"]
    assert names_of([tmp_path / "x" / "a.png", tmp_path / "y" / "a.png"]) == ["x", "y"]
    assert len(set(names_of([tmp_path / "a", tmp_path / "a"]))) == 2


# ── cohorts ────────────────────────────────────────────────────────────────────────


def test_a_cohort(segreview: Any, folders: Path) -> None:
    status, out, _ = segreview("score-cohort", "net", "truth", "--second", "other")
    assert status == 0
    assert out.index("│ c ") < out.index("│ b ") < out.index("│ a ")  # worst first
    assert "Second against first model" in out
    assert "mean of all" in out
    facts = json.loads((folders / "cohort" / "cohort.json").read_text(encoding="utf-8"))
    assert facts["summary"][0]["interval"]["cases"] == 3
    with (folders / "cohort" / "cohort.csv").open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert (folders / "cohort" / "cohort.html").stat().st_size > 1000


def test_the_page_of_a_cohort_says_how_it_was_made(
    segreview: Any, folders: Path
) -> None:
    command = "score-cohort", "net", "truth", "--second", "other"
    status, _, err = segreview(*command, "--model", "none")
    assert (status, err.count("\n")) == (1, 1)
    assert "none" in err
    assert not (folders / "cohort").exists()  # said before the work
    assert segreview(*command, "--second-model", "hippocampus-unet3d")[0] == 0
    facts = json.loads((folders / "cohort" / "cohort.json").read_text(encoding="utf-8"))
    told = facts["settings"]
    assert told["First model"] == "not known"
    assert len(told["Second model"].rpartition("SHA-256 ")[2]) == 64
    assert told["Voxels (x, y, z)"] == "1 × 1 px (3 cases)"
    assert told["Tolerance"] == "2 px"
    assert told["Labels"].startswith("changed to be compared in 3 cases")
    text = (folders / "cohort" / "cohort.html").read_text(encoding="utf-8")
    for said in ("bootstrap interval", "Wilcoxon", "Both empty: 1"):
        assert said in text


def test_one_bad_case_does_not_stop_the_rest(segreview: Any, folders: Path) -> None:
    (folders / "net" / "b.png").write_text("no picture")
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(folders / "net" / "c.png")
    status, out, _ = segreview("score-cohort", "net", "truth")
    assert status == 0
    assert "the prediction: the file is damaged" in out
    assert "the prediction and the reference lie on different grids" in out
    assert "shape 3×3 against 40×60" in out
    assert "--resample" in out
    facts = json.loads((folders / "cohort" / "cohort.json").read_text(encoding="utf-8"))
    assert [bool(one["error"]) for one in facts["cases"]] == [True, True, False]


def test_all_cases_bad(segreview: Any, folders: Path) -> None:
    for path in (folders / "net").iterdir():
        path.write_text("no picture")
    status, out, err = segreview("score-cohort", "net", "truth")
    assert status == 1
    assert "no case could be scored" in err
    assert "damaged" in out


def test_finished_cases_are_not_scored_again(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[str] = []
    true = _cohort.answering

    def answering(task: _cohort.Task) -> Any:
        scored.append(task.files.case)
        if task.files.case == "c" and not (folders / "mended").exists():
            raise KeyboardInterrupt
        return (yield from true(task))

    monkeypatch.setattr(_cohort, "answering", answering)

    def run(tolerance: float = 2.0) -> list[str]:
        scored.clear()
        pairs = _cohort.cases_in(folders / "net", folders / "truth")
        steps = _cohort.score_cohort(pairs, folders / "kept", tolerance=tolerance)
        cases = drain(steps)
        assert [one.case for one in cases] == ["a", "b", "c"]
        assert all(one.report for one in cases)
        return list(scored)

    with pytest.raises(KeyboardInterrupt):
        run()
    (folders / "mended").touch()
    assert run() == ["c"]  # a and b were kept
    assert run() == []
    assert run(3.0) == ["a", "b", "c"]  # other settings
    picture(folders / "net" / "b.png", 7)
    assert run() == ["b"]  # other content
    kept = folders / "kept" / _cohort.DONE
    named = {
        report[role]
        for line in kept.read_text(encoding="utf-8").splitlines()
        for report in [json.loads(json.loads(line)["report"])]
        for role in ("prediction", "reference")
    }
    assert named == {"the prediction", "the reference"}  # no file's name is kept
    text = kept.read_text(encoding="utf-8")
    kept.write_text(text[: len(text) - 20], encoding="utf-8")  # cut off while written
    assert run() == ["b"]


def test_equal_files_keep_their_own_names(folders: Path) -> None:
    shutil.copy(folders / "net" / "a.png", folders / "net" / "b.png")
    pairs = _cohort.cases_in(folders / "net", folders / "truth")
    for _ in range(2):
        cases = drain(_cohort.score_cohort(pairs, folders / "kept", tolerance=2.0))
        assert [one.case for one in cases] == ["a", "b", "c"]


def test_a_fault_of_the_program_is_told_in_its_case(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_segreview.engine import evaluate

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by\nzero")

    monkeypatch.setattr(evaluate, "compare", broken)
    pairs = _cohort.cases_in(folders / "net", folders / "truth")
    cases = drain(_cohort.score_cohort(pairs, folders / "kept", tolerance=2.0))
    assert cases[0].error == "the program failed (ZeroDivisionError: by zero)"


def test_pairs_from_a_csv(segreview: Any, folders: Path) -> None:
    table = folders / "pairs.csv"
    table.write_text(
        "case,prediction,reference,second\n"
        "one,net/a.png,truth/a.png,other/a.png\n"
        "two,net/none.png,truth/b.png,\n",
        encoding="utf-8",
    )
    status, out, _ = segreview("score-cohort", table)
    assert status == 0
    assert "the prediction: No such file" in out


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("case,prediction\na,b\n", "columns case, prediction, reference"),
        ("", "columns case, prediction, reference"),
        ("case,prediction,reference\na,b,\n", "all filled"),
        ("case,prediction,reference\na,b,c\na,d,e\n", "a case is there twice"),
        ("case\xff", "a CSV file, or two folders"),
    ],
)
def test_a_csv_that_cannot_be_used(
    segreview: Any, tmp_path: Path, text: str, says: str
) -> None:
    (tmp_path / "pairs.csv").write_bytes(text.encode("latin-1"))
    status, _, err = segreview("score-cohort", "pairs.csv")
    assert (status, err.count("\n")) == (1, 1)
    assert says in err


def test_folders_that_cannot_be_used(segreview: Any, folders: Path) -> None:
    (folders / "empty").mkdir()
    assert "no file name in common" in segreview("score-cohort", "net", "empty")[2]
    assert "a folder of label files" in segreview("score-cohort", "net", "none")[2]
    status, _, err = segreview("score-cohort", "net", "truth", "-o", "net/a.png")
    assert status == 1
    assert "cannot be made" in err


def test_a_scheduler_without_dask(
    segreview: Any, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    command = "score-cohort", "net", "truth", "--scheduler", "tcp://127.0.0.1:9"
    status, _, err = segreview(*command)
    assert status == 1
    assert 'pip install "napari-segreview[cluster]"' in err


@pytest.mark.slow
def test_on_dask(folders: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="the extra cluster")
    pairs = _cohort.cases_in(folders / "net", folders / "truth")
    here = drain(_cohort.score_cohort(pairs, folders / "here", tolerance=2.0))
    options: dict[str, Any] = {"n_workers": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster:
        there = drain(
            _cohort.score_cohort(
                pairs,
                folders / "there",
                tolerance=2.0,
                scheduler=cluster.scheduler_address,
            )
        )
    assert there == here
