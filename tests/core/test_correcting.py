"""The session keeps what is corrected, and offers back what was left."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from session_fakes import FakeEngine, FakeLibrary, FakeShelf, a_scan, some_labels

from napari_segreview.core.cases import Cases
from napari_segreview.core.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from napari_segreview.core.keeper import Keeper
    from napari_segreview.core.work import Work


@dataclass
class KeptShelf(FakeShelf):
    """Layers whose changes the test makes."""

    keepers: dict[str, Keeper] = field(default_factory=dict)
    outgrown: dict[str, Callable[[], None]] = field(default_factory=dict)
    frozen: set[str] = field(default_factory=set)

    def bind(self, key: str, keeper: Keeper, outgrown: Callable[[], None]) -> None:
        self.keepers[key], self.outgrown[key] = keeper, outgrown
        self.frozen.discard(key)

    def release(self, key: str) -> None:
        del self.keepers[key]

    def freeze(self, key: str) -> None:
        self.frozen.add(key)

    def paint(self, key: str, at: Any, value: int) -> Any:
        data = self.label_map(key).data
        data[at] = value
        self.keepers[key].note(data)
        return data.copy()


class Window:
    """A session over journals in a folder."""

    def __init__(self, root: Path, *layers: Any) -> None:
        self.shelf = KeptShelf()
        self.session = Session(
            FakeEngine(),
            self.shelf,
            FakeLibrary(),
            lambda job: job.run(),
            cases=Cases(root),
        )
        self.shelf.tell = self.session.layers_changed
        self.keys = [self.shelf.add(layer).key for layer in layers]

    @property
    def work(self) -> Work:
        return self.session.state.work

    def crash(self) -> None:
        for keeper in self.shelf.keepers.values():
            keeper._leave()


def test_a_models_labels_are_kept_from_the_start(tmp_path: Path) -> None:
    window = Window(tmp_path, a_scan("head.nii"))
    window.session.segment()
    (key,) = window.shelf.keepers
    assert window.work.layer == key
    assert window.work.line.startswith("saved ")
    painted = window.shelf.paint(key, (0, 0), 3)
    window.crash()
    later = Window(tmp_path, a_scan("head.nii"))
    (left,) = later.work.leftovers
    assert left.title.startswith("Unsaved work on head.nii, ")
    later.session.correcting.restore(left.key)
    (key,) = later.shelf.keepers
    assert np.array_equal(later.shelf.label_map(key).data, painted)
    assert later.shelf.beside == [later.keys[0]]  # on its own scan
    assert later.work.leftovers == ()
    assert later.session.state.said == "Restored head.nii · model."
    later.crash()


def test_the_users_choice_is_kept_once(tmp_path: Path) -> None:
    window = Window(tmp_path, a_scan(), some_labels())
    key = window.keys[1]
    assert window.work.line == ""
    window.session.correcting.choose(key)
    first = window.shelf.keepers[key]
    window.session.correcting.choose("")
    assert (window.work.layer, window.work.line) == ("", "")
    window.session.correcting.choose(key)
    assert window.shelf.keepers[key] is first
    window.crash()


def test_a_layer_that_is_closed_is_offered_back(tmp_path: Path) -> None:
    window = Window(tmp_path, a_scan(), some_labels())
    key = window.keys[1]
    window.session.correcting.choose(key)
    window.shelf.rename(key, "corrected")
    painted = window.shelf.paint(key, (5, 5), 2)
    window.shelf.close(key)
    assert window.work.layer == ""
    (left,) = window.work.leftovers
    assert left.facts is not None
    assert left.facts.name == "corrected"
    window.session.correcting.restore(left.key)
    assert np.array_equal(window.shelf.label_map(window.work.layer).data, painted)
    window.crash()


def test_a_second_window_reads_only_and_says_so(tmp_path: Path) -> None:
    one = Window(tmp_path, a_scan(), some_labels())
    two = Window(tmp_path, a_scan(), some_labels())
    key = one.keys[1]
    one.session.correcting.choose(key)
    two.session.correcting.choose(key)
    assert two.shelf.frozen == {key}
    assert two.shelf.keepers == {}
    assert two.work.is_fault
    assert two.work.line.startswith(
        f"read-only: open in another window (process {os.getpid()}"
    )
    assert not one.work.is_fault
    one.session.correcting.close()
    two.session.correcting.choose(key)  # now it is free
    assert two.shelf.frozen == set()
    assert two.work.line.startswith("saved")
    two.crash()


def test_labels_of_another_scan_or_name_are_another_case(tmp_path: Path) -> None:
    one = Window(tmp_path, a_scan(), some_labels())
    one.session.correcting.choose(one.keys[1])
    other = a_scan()
    other.data[0, 0] = 1
    for layers in ((other, some_labels()), (a_scan(), some_labels("mine"))):
        window = Window(tmp_path, *layers)
        window.session.correcting.choose(window.keys[1])
        assert not window.work.is_fault
        window.session.correcting.close()
    one.crash()


def test_a_renamed_layer_does_not_stop_a_new_one_of_the_old_name(
    tmp_path: Path,
) -> None:
    window = Window(tmp_path, a_scan())
    window.session.segment()
    (first,) = window.shelf.keepers
    window.shelf.rename(first, "final")
    window.session.segment()
    assert len(window.shelf.keepers) == 2
    assert not window.work.is_fault
    window.crash()


def test_a_fault_of_any_layer_is_in_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = Window(tmp_path, a_scan(), some_labels("a"), some_labels("b"))
    for key in window.keys[1:]:
        window.session.correcting.choose(key)

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        window.shelf.paint(window.keys[1], (0, 0), 5)
        assert window.work.is_fault
        assert window.work.line.startswith("NOT saved: the disk is full")
    window.shelf.paint(window.keys[1], (0, 1), 5)
    assert not window.work.is_fault
    window.crash()


def test_another_shape_begins_another_case(tmp_path: Path) -> None:
    window = Window(tmp_path, a_scan(), some_labels())
    key = window.keys[1]
    window.session.correcting.choose(key)
    window.shelf.paint(key, (0, 0), 5)
    window.shelf.layers[key] = some_labels(columns=5)
    window.shelf.outgrown[key]()
    assert window.shelf.keepers[key].undo() is None  # a fresh start
    assert len(window.work.leftovers) == 1  # what was done is not lost
    window.crash()


def test_the_scan_is_opened_with_the_work(tmp_path: Path) -> None:
    file = tmp_path / "a.nii"
    file.touch()
    scan = FakeLibrary.files["a.nii"][0]
    window = Window(tmp_path / "work")
    window.shelf.layers["scan"] = type(scan)(
        data=scan.data, grid=scan.grid, name="a", source=file
    )
    window.shelf.names["scan"] = "a"
    window.session.layers_changed()
    window.session.segment()
    window.crash()
    later = Window(tmp_path / "work")
    later.session.correcting.restore(later.work.leftovers[0].key)
    assert [type(layer).__name__ for layer in later.shelf.layers.values()] == [
        "Scan",
        "LabelMap",
    ]
    assert later.session.state.said.startswith("Restored")
    later.crash()


def test_discard_and_what_is_gone(tmp_path: Path) -> None:
    window = Window(tmp_path, a_scan(), some_labels())
    window.session.correcting.choose(window.keys[1])
    window.shelf.paint(window.keys[1], (0, 0), 5)
    window.crash()
    one, two = Window(tmp_path), Window(tmp_path)
    key = one.work.leftovers[0].key
    one.session.correcting.discard(key)
    assert one.work.leftovers == ()
    assert len(list((tmp_path / "trash").iterdir())) == 1
    two.session.correcting.restore(key)
    assert (
        "is gone" in two.session.state.fault or "no longer" in two.session.state.fault
    )
    one.session.correcting.discard(key)
    assert "no longer there" in one.session.state.fault


def test_work_that_another_window_took_up(tmp_path: Path) -> None:
    window = Window(tmp_path, a_scan(), some_labels())
    window.session.correcting.choose(window.keys[1])
    window.shelf.paint(window.keys[1], (0, 0), 5)
    window.crash()
    one, two = Window(tmp_path), Window(tmp_path)
    key = one.work.leftovers[0].key
    one.session.correcting.restore(key)
    two.session.correcting.restore(key)
    assert "open in another window" in two.session.state.fault
    two.session.correcting.discard(key)
    assert "open in another window" in two.session.state.fault
    one.crash()


def test_damage_is_said(tmp_path: Path) -> None:
    window = Window(tmp_path, a_scan(), some_labels())
    window.session.correcting.choose(window.keys[1])
    for column in (0, 1):
        window.shelf.paint(window.keys[1], (0, column), 5)
    window.crash()
    (path,) = tmp_path.glob("*/journal")
    path.write_bytes(path.read_bytes()[:-1])
    later = Window(tmp_path)
    later.session.correcting.restore(later.work.leftovers[0].key)
    assert "is left out" in later.session.state.said
    later.crash()


def test_projects(tmp_path: Path) -> None:
    window = Window(tmp_path / "a", a_scan(), some_labels())
    window.session.correcting.choose(window.keys[1])
    painted = window.shelf.paint(window.keys[1], (0, 0), 5)
    path = tmp_path / "case.segreview"
    window.session.correcting.save_project(path)
    assert window.session.state.said == f"Saved 1 label layer(s) to {path}."
    other = Window(tmp_path / "b", a_scan())
    other.session.correcting.open_project(path)
    (key,) = other.shelf.keepers
    assert np.array_equal(other.shelf.label_map(key).data, painted)
    assert other.shelf.beside == [other.keys[0]]
    other.shelf.keepers[key].undo()
    other.session.correcting.open_project(tmp_path / "none")
    assert "gone" in other.session.state.fault
    window.session.correcting.save_project(tmp_path / "no folder" / "x")
    assert "gone" in window.session.state.fault
    window.crash()
    other.crash()


def test_without_journals_nothing_is_written(tmp_path: Path) -> None:
    shelf = KeptShelf()
    session = Session(FakeEngine(), shelf, FakeLibrary(), lambda job: job.run())
    shelf.tell = session.layers_changed
    shelf.add(a_scan())
    session.segment()
    assert shelf.keepers == {}
    assert session.state.work.line == ""
