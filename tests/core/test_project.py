"""Projects: written, read, refused."""

from __future__ import annotations

import errno
import json
import os
import zipfile
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keeping_fakes import begin, blank, crash, paint

from napari_segreview.core import project as project_module
from napari_segreview.core.case import CaseFacts
from napari_segreview.core.cases import Cases
from napari_segreview.core.project import open_project, save_project
from src_models.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_segreview.core.keeper import Keeper


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    """Two strokes, the second undone."""
    keeper = begin(tmp_path / "work")
    paint(keeper, (1, 1), 1)
    paint(keeper, (slice(2, 5), 3), 2)
    keeper.undo()
    return keeper


def test_there_and_back(keeper: Keeper, tmp_path: Path) -> None:
    path = tmp_path / "case.segreview"
    clicks = [{"at": [1, 2], "positive": True}]
    save_project(path, [keeper], prompts=clicks, reviews=[{"slice": 3}])
    found = open_project(path)
    assert found.manifest.labels == (keeper.facts,)
    assert found.manifest.prompts == (clicks[0],)
    assert found.manifest.reviews == ({"slice": 3},)
    crash(keeper)
    taken = Cases(tmp_path / "other machine").adopt(found.labels[0])
    assert np.array_equal(taken.labels, keeper.labels)
    taken.redo()
    assert (taken.labels[2:5, 3] == 2).all()
    taken.undo()
    taken.undo()
    assert not taken.labels.any()
    crash(taken)


def test_other_programs_can_read_the_labels(keeper: Keeper, tmp_path: Path) -> None:
    path = tmp_path / "case.segreview"
    save_project(path, [keeper])
    with zipfile.ZipFile(path) as store, store.open("labels/0.npy") as file:
        data = np.load(file, allow_pickle=False)
    assert np.array_equal(data, keeper.labels)


def test_several_label_layers_and_none(keeper: Keeper, tmp_path: Path) -> None:
    facts = CaseFacts.of(blank((3, 4, 5, 6), np.uint16))
    other = Cases(tmp_path / "work").begin(facts, np.ones((3, 4, 5, 6), np.uint16))
    save_project(tmp_path / "two", [keeper, other])
    first, second = open_project(tmp_path / "two").labels
    assert np.array_equal(first.labels, keeper.labels)
    assert np.array_equal(second.labels, other.labels)
    save_project(tmp_path / "none", [])
    assert open_project(tmp_path / "none").labels == ()


def rewrite(path: Path, name: str, content: bytes) -> None:
    with zipfile.ZipFile(path) as store:
        files = {one: store.read(one) for one in store.namelist()}
    with zipfile.ZipFile(path, "w") as store:
        for one, old in (files | {name: content}).items():
            store.writestr(one, old)


def test_newer_and_unknown_versions(
    keeper: Keeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "case.segreview"
    save_project(path, [keeper])
    old = path.read_bytes()
    rewrite(path, "project.json", b'{"schema_version": 7}')
    with pytest.raises(InputError, match=r"newer SegReview .project version 7"):
        open_project(path)
    rewrite(path, "project.json", b'{"schema_version": 0}')
    with pytest.raises(InputError, match="unknown project version 0"):
        open_project(path)
    path.write_bytes(old)
    monkeypatch.setattr(project_module, "VERSION", 2)
    table = MappingProxyType({1: lambda values: values | {"schema_version": 2}})
    monkeypatch.setattr(project_module, "MIGRATIONS", table)
    assert open_project(path).manifest.schema_version == 2


@pytest.mark.parametrize(
    "content", [b"", b"no zip", b"PK\x03\x04 the start of one"], ids=repr
)
def test_no_project(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "case.segreview"
    path.write_bytes(content)
    with pytest.raises(InputError, match="is not a project"):
        open_project(path)


def test_parts_that_do_not_agree(keeper: Keeper, tmp_path: Path) -> None:
    path = tmp_path / "case.segreview"
    save_project(path, [keeper])
    good = path.read_bytes()
    with zipfile.ZipFile(path) as store:
        manifest = json.loads(store.read("project.json"))
        voxels = bytearray(store.read("labels/0.npy"))
        journal = store.read("labels/0.journal")
    voxels[-1] ^= 1
    manifest["labels"][0]["name"] = "of somebody else"
    for name, content in (
        ("labels/0.npy", bytes(voxels)),
        ("labels/0.npy", b"x"),
        ("labels/0.journal", journal[:-3]),
        ("labels/0.journal", b""),
        ("project.json", json.dumps(manifest).encode()),
        ("project.json", b"[1]"),
        ("project.json", b'{"schema_version": 1, "extra": 2}'),
    ):
        path.write_bytes(good)
        rewrite(path, name, content)
        with pytest.raises(InputError, match=r"case\.segreview"):
            open_project(path)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Any]:
    """(a project, its labels)."""
    folder = tmp_path_factory.mktemp("saved")
    keeper = begin(folder / "work")
    labels = paint(keeper, (1, 1), 1)
    save_project(folder / "case", [keeper])
    crash(keeper)
    return (folder / "case").read_bytes(), labels


@given(st.data())
def test_a_flipped_byte_is_noticed_or_harmless(
    saved: tuple[bytes, Any], tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    path = tmp_path_factory.mktemp("flip") / "case"
    content = bytearray(saved[0])
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(
        st.integers(1, 255)
    )
    path.write_bytes(content)
    try:
        found = open_project(path)
    except InputError:
        return
    assert all(np.array_equal(one.labels, saved[1]) for one in found.labels)


def test_a_full_disk_leaves_the_earlier_file(
    keeper: Keeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "case.segreview"
    save_project(path, [keeper])
    before = path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save_project(path, [])
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == [path.name]
