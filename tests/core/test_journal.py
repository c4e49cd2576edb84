"""The journal: what it promises, and what happens to it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keeping_fakes import begin, blank, crash, journal_of, paint

from napari_segreview.core import keeper as keeper_module
from napari_segreview.core import records
from napari_segreview.core.case import CaseFacts
from napari_segreview.core.cases import Cases
from napari_segreview.core.journal import replay
from napari_segreview.core.lock import TakenError
from napari_segreview.core.records import HEAD_BYTES, Kind, Record, read
from src_models.errors import InputError


def test_all_is_there_after_a_crash(tmp_path: Path) -> None:
    """Labels, what can be undone, what can be redone, names and place."""
    keeper = begin(tmp_path)
    states = [keeper.labels.copy()]
    for value in (1, 2, 1):
        states.append(
            paint(keeper, (slice(value, 4), slice(0, 3 + len(states))), value)
        )
    keeper.undo()
    crash(keeper)
    (left,) = Cases(tmp_path).recoverable()
    assert left.edits == 3
    assert left.facts == CaseFacts.of(blank())
    again = Cases(tmp_path).resume(left.key)
    assert again.said == ""
    assert np.array_equal(again.labels, states[2])
    again.redo()
    assert np.array_equal(again.labels, states[3])
    for state in states[2::-1]:
        again.undo()
        assert np.array_equal(again.labels, state)
    assert again.undo() is None
    again.close()


def test_the_journal_is_on_the_disk_before_it_is_called_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = begin(tmp_path)
    seen: list[str] = []
    path = journal_of(tmp_path)
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (real(fd), seen.append("disk")))
    keeper.saved.connect(
        lambda _: seen.append(f"saved {len(replay(path).history.packed)}")
    )
    paint(keeper, (0, 0), 1)
    keeper.undo()
    assert seen == ["disk", "saved 1", "disk", "saved 1"]
    assert keeper.state.line.startswith("saved ")
    crash(keeper)


@pytest.fixture(scope="module")
def two_strokes(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[bytes, int, list[Any]]:
    """(a journal, where its last record begins, the states)."""
    root = tmp_path_factory.mktemp("journal")
    keeper = begin(root)
    states = [keeper.labels.copy(), paint(keeper, (1, 1), 1)]
    before = journal_of(root).stat().st_size
    states.append(paint(keeper, (slice(2, 5), slice(2, 5)), 2))
    crash(keeper)
    return journal_of(root).read_bytes(), before, states


def put(root: Path, content: bytes) -> str:
    """A case's folder with that journal."""
    (root / "case-1").mkdir(parents=True)
    (root / "case-1" / "journal").write_bytes(content)
    return "case-1"


def test_a_torn_last_record_is_dropped_at_every_byte(
    two_strokes: tuple[bytes, int, list[Any]], tmp_path: Path
) -> None:
    content, before, states = two_strokes
    for end in range(before, len(content)):
        root = tmp_path / str(end)
        keeper = Cases(root).resume(put(root, content[:end]))
        assert np.array_equal(keeper.labels, states[1])
        assert bool(keeper.said) == (end > before)
        assert not list(root.glob("*/*damaged*"))
        paint(keeper, (5, 5), 2)  # goes on after the good part
        crash(keeper)
        assert read(root / "case-1" / "journal").ending == "whole"
        shutil.rmtree(root)


@given(st.data())
def test_a_flipped_byte_stops_the_reading_there(
    two_strokes: tuple[bytes, int, list[Any]],
    tmp_path_factory: pytest.TempPathFactory,
    data: Any,
) -> None:
    """Whatever byte of the first stroke: what came before is read, the file is kept."""
    content, before, states = two_strokes
    start = before - len(last_frame(content[:before]))
    at = data.draw(st.integers(start, before - 1))
    bad = bytearray(content)
    bad[at] ^= data.draw(st.integers(1, 255))
    root = tmp_path_factory.mktemp("flipped")
    keeper = Cases(root).resume(put(root, bytes(bad)))
    assert "damaged" in keeper.said
    assert np.array_equal(keeper.labels, states[0])
    (copy,) = root.glob("*/*damaged*")
    assert copy.read_bytes() == bytes(bad)
    crash(keeper)


def last_frame(content: bytes) -> bytes:
    """The bytes of a journal's last record, found from its start."""
    at = len(records.header())
    while True:
        length = int.from_bytes(content[at + 5 : at + 13], "little")
        end = at + HEAD_BYTES + length
        if end == len(content):
            return content[at:]
        at = end


@pytest.mark.parametrize(
    "content", [b"", b"SEGREVJ\n", b"something else altogether"], ids=repr
)
def test_a_file_that_is_none(content: bytes, tmp_path: Path) -> None:
    put(tmp_path, content)
    (left,) = Cases(tmp_path).recoverable()
    assert "is not a journal" in left.fault
    with pytest.raises(InputError, match="is not a journal"):
        Cases(tmp_path).resume("case-1")


def test_a_newer_version_is_refused_and_not_touched(
    two_strokes: tuple[bytes, int, list[Any]], tmp_path: Path
) -> None:
    content = bytearray(two_strokes[0])
    content[8] = 2
    key = put(tmp_path, bytes(content))
    with pytest.raises(InputError, match=r"newer SegReview .journal version 2.*update"):
        Cases(tmp_path).resume(key)
    assert journal_of(tmp_path).read_bytes() == bytes(content)
    (left,) = Cases(tmp_path).recoverable()
    assert "newer" in left.fault
    assert left.title.startswith("Unsaved work, ")


def test_an_older_version_is_migrated(
    two_strokes: tuple[bytes, int, list[Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As it will be: version 2 reads version 1 by the table."""
    put(tmp_path, two_strokes[0])
    monkeypatch.setattr(records, "VERSION", 2)
    with pytest.raises(InputError, match="unknown journal version 1"):
        read(journal_of(tmp_path))
    table = MappingProxyType({1: lambda found: (*found, Record(Kind.UNDO))})
    monkeypatch.setattr(records, "MIGRATIONS", table)
    assert np.array_equal(replay(journal_of(tmp_path)).labels, two_strokes[2][1])


# ── disks ──────────────────────────────────────────────────────────────────────────


class FullDisk:
    """`os.write` that fails after some more bytes, as a full disk does."""

    def __init__(self, room: int) -> None:
        self.room, self.real = room, os.write

    def __call__(self, file: int, content: Any) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self.real(file, bytes(content)[: self.room])
        self.room -= written
        return written


@pytest.mark.parametrize("room", [0, 1, HEAD_BYTES - 1, HEAD_BYTES + 3])
def test_a_full_disk_is_said_and_nothing_is_lost(
    room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = begin(tmp_path)
    told: list[str] = []
    keeper.saved.connect(lambda _: told.append("saved"))
    keeper.fault.connect(lambda text: told.append(text))
    first = paint(keeper, (0, 0), 1)
    disk = FullDisk(room)
    monkeypatch.setattr(os, "write", disk)
    second = paint(keeper, (3, slice(2, 6)), 2)
    assert told[0] == "saved"
    assert "the disk is full; free some space" in told[1]
    assert keeper.state.line.startswith("NOT saved: the disk is full")
    assert np.array_equal(keeper.labels, second)
    assert np.array_equal(replay(journal_of(tmp_path)).labels, first)
    keeper.undo()  # work goes on, in memory
    keeper.redo()
    assert told[2:] == [told[1], told[1]]
    disk.room = 10**6  # somebody made room
    third = paint(keeper, (5, 5), 1)
    assert told[4:] == ["saved"]
    crash(keeper)
    replayed = replay(journal_of(tmp_path))
    assert np.array_equal(replayed.labels, third)
    assert len(replayed.history.packed) == 3


def test_closing_tries_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = begin(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", FullDisk(0))
        labels = paint(keeper, (0, 0), 1)
    keeper.close()
    assert np.array_equal(replay(journal_of(tmp_path)).labels, labels)


def test_a_folder_that_cannot_be_read_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    cases = Cases(tmp_path)
    cases.tidy()
    assert cases.recoverable() == ()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="all may write here")
def test_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    keeper = begin(tmp_path / "work")
    assert "you may not write there" in keeper.state.line
    tmp_path.chmod(0o700)


def test_a_read_only_disk_then_a_good_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(tmp_path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refuse)
        keeper = begin(tmp_path / "work")
        assert keeper.state.line.startswith("NOT saved: the disk is read-only")
        paint(keeper, (0, 0), 1)
        keeper.rename("other")
        assert keeper.state.fault
    labels = paint(keeper, (1, 1), 2)
    assert keeper.state.line.startswith("saved")
    crash(keeper)
    replayed = replay(journal_of(tmp_path / "work"))
    assert np.array_equal(replayed.labels, labels)
    assert replayed.facts.name == "other"
    assert len(replayed.history.packed) == 2


@pytest.mark.skipif(os.name == "nt", reason="an open folder cannot be deleted there")
def test_a_deleted_folder_is_written_anew(tmp_path: Path) -> None:
    keeper = begin(tmp_path)
    paint(keeper, (0, 0), 1)
    shutil.rmtree(journal_of(tmp_path).parent)
    labels = paint(keeper, (1, 1), 2)
    assert keeper.state.line.startswith("saved")
    crash(keeper)
    assert np.array_equal(replay(journal_of(tmp_path)).labels, labels)


def test_a_damaged_journal_on_a_full_disk_is_not_cut(
    two_strokes: tuple[bytes, int, list[Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = bytearray(two_strokes[0])
    content[-1] ^= 1
    key = put(tmp_path, bytes(content))

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copy2", full)
    keeper = Cases(tmp_path).resume(key)
    assert "the disk is full" in keeper.state.line
    labels = paint(keeper, (5, 5), 1)  # goes to a folder of its own
    assert keeper.state.line.startswith("saved")
    crash(keeper)
    assert (tmp_path / key / "journal").read_bytes() == bytes(content)
    (fresh,) = (p for p in tmp_path.glob("*/journal") if p.parent.name != key)
    assert np.array_equal(replay(fresh).labels, labels)


def test_it_compacts_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "SLACK", 200)
    keeper = begin(tmp_path)
    paint(keeper, (0, 0), 1)
    states = [keeper.labels.copy(), paint(keeper, (1, slice(0, 4)), 2)]
    largest = 0
    for _ in range(200):
        keeper.undo()
        keeper.redo()
        largest = max(largest, journal_of(tmp_path).stat().st_size)
    least = sum(record.size for record in keeper.content())
    assert largest < 2 * least + 200 + 2 * HEAD_BYTES + 100
    keeper.undo()
    crash(keeper)
    again = Cases(tmp_path).resume(journal_of(tmp_path).parent.name)
    assert np.array_equal(again.labels, states[0])
    again.redo()
    assert np.array_equal(again.labels, states[1])
    crash(again)


def test_compacting_on_a_full_disk_leaves_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "SLACK", 0)
    keeper = begin(tmp_path)
    labels = paint(keeper, (0, 0), 1)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    for _ in range(20):
        keeper.undo()
        keeper.redo()
    assert keeper.state.line.startswith("saved")
    crash(keeper)
    assert np.array_equal(replay(journal_of(tmp_path)).labels, labels)
    assert not list(tmp_path.glob("*/*.new"))


# ── two windows ────────────────────────────────────────────────────────────────────


def test_two_windows_of_one_program(tmp_path: Path) -> None:
    keeper = begin(tmp_path)
    with pytest.raises(TakenError, match=rf"another window \(process {os.getpid()}"):
        begin(tmp_path)
    assert Cases(tmp_path).recoverable() == ()  # at work, not left over
    paint(keeper, (0, 0), 1)
    keeper.close()
    second = begin(tmp_path)  # beside the work that was left
    assert len(list(tmp_path.glob("*/journal"))) == 2
    second.close()


OTHER = """
import os, sys
from pathlib import Path
sys.path[:0] = {path!r}
from keeping_fakes import begin, paint
keeper = begin(Path({root!r}))
paint(keeper, (2, 2), 2)
os.write(1, b"ready")
sys.stdin.read()
"""


def test_two_programs_and_a_lock_that_outlives_nobody(tmp_path: Path) -> None:
    code = OTHER.format(
        path=[str(Path(__file__).parent), *sys.path], root=str(tmp_path)
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout is not None
        assert other.stdout.read(5) == b"ready"
        with pytest.raises(TakenError, match=rf"process {other.pid}, since"):
            begin(tmp_path)
        assert Cases(tmp_path).recoverable() == ()
    finally:
        other.kill()
        other.communicate()
    (left,) = Cases(tmp_path).recoverable()  # its lock file is there, nobody holds it
    keeper = Cases(tmp_path).resume(left.key)
    assert keeper.labels[2, 2] == 2
    crash(keeper)


# ── folders ────────────────────────────────────────────────────────────────────────


def test_a_journal_without_edits_goes_with_its_layer(tmp_path: Path) -> None:
    begin(tmp_path).close()
    assert not list(tmp_path.iterdir())


def test_what_is_offered_after_a_crash_before_the_first_stroke(tmp_path: Path) -> None:
    """A model's labels are work; a layer that was opened from a file is not."""
    labels = blank()
    cases = Cases(tmp_path)
    crash(cases.begin(CaseFacts.of(labels), labels.data))
    assert cases.recoverable() == ()
    crash(cases.begin(CaseFacts.of(labels, origin="made"), labels.data))
    assert [one.edits for one in cases.recoverable()] == [0]


def test_discarded_work_waits_in_the_trash(tmp_path: Path) -> None:
    now = [0.0]
    keeper = begin(tmp_path)
    labels = paint(keeper, (0, 0), 1)
    keeper.close()
    cases = Cases(tmp_path, clock=lambda: now[0])
    (left,) = cases.recoverable()
    cases.discard(left.key)
    assert cases.recoverable() == ()
    (path,) = tmp_path.glob("trash/*/journal")
    assert np.array_equal(replay(path).labels, labels)
    now[0] = path.parent.stat().st_mtime + 29.9 * 86400
    cases.tidy()
    assert path.exists()
    now[0] += 0.2 * 86400
    cases.tidy()
    assert not path.exists()


def test_folders_tell_of_no_patient(tmp_path: Path) -> None:
    labels = blank()
    facts = CaseFacts.of(labels).model_copy(update={"name": "Mueller_Hans"})
    keeper = Cases(tmp_path).begin(facts, labels.data)
    paint(keeper, (0, 0), 1)
    for path in tmp_path.rglob("*"):
        assert "ueller" not in str(path.relative_to(tmp_path))
    if os.name != "nt":
        assert journal_of(tmp_path).parent.stat().st_mode & 0o077 == 0
        assert journal_of(tmp_path).stat().st_mode & 0o077 == 0
    crash(keeper)


def test_facts_that_are_none() -> None:
    good = json.loads(CaseFacts.of(blank()).to_bytes())
    for bad in (
        b"{",
        b"[]",
        json.dumps(good | {"dtype": "<f4"}).encode(),
        json.dumps(good | {"dtype": "none such"}).encode(),
        json.dumps(good | {"shape": [0, 4]}).encode(),
    ):
        with pytest.raises(InputError, match=r"^here: "):
            CaseFacts.from_bytes(bad, "here")
