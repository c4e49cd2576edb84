"""Objects through a session that only pretends to have layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from session_fakes import GRID, a_scan, desk

from napari_segreview.core.labels import LabelMap
from napari_segreview.engine.objects import find_objects

if TYPE_CHECKING:
    import pytest


def spots(name: str, *columns: int) -> LabelMap:
    data = np.zeros(GRID.shape, np.uint8)
    data[2, list(columns)] = 1
    return LabelMap(data=data, grid=GRID, name=name)


def searched(monkeypatch: pytest.MonkeyPatch) -> Any:
    d = desk(spots("truth", 0, 2, 6), spots("guess", 0, 4), a_scan())
    monkeypatch.setattr(
        type(d.engine), "find_objects", staticmethod(find_objects), raising=False
    )
    d.session.choose_pair("key 1", "key 0")
    d.session.detecting.find()
    return d


def test_found_and_visited(monkeypatch: pytest.MonkeyPatch) -> None:
    d = searched(monkeypatch)
    assert d.state.said == "Objects of guess: 1 found, 2 missed, 1 false."
    d.session.detecting.visit(0)
    assert d.shelf.visited == [d.state.objects.things[0].index]
    assert d.state.said == "Object 1 of 4: label 1, missed"
    for nowhere in (-1, 4):
        d.session.detecting.visit(nowhere)
    assert len(d.shelf.visited) == 1
    d.shelf.close("key 0")
    d.session.detecting.visit(1)
    assert len(d.shelf.visited) == 1


def test_another_choice_takes_them_away(monkeypatch: pytest.MonkeyPatch) -> None:
    d = searched(monkeypatch)
    d.session.detecting.choose_threshold(d.state.object_wish.threshold)  # the same
    assert d.state.objects is not None
    d.session.detecting.choose_rule("centre")
    assert d.state.objects is None
    d.session.detecting.find()
    assert d.state.objects.wish.rule == "centre"
    d.session.choose_pair("key 0", "key 1")
    assert d.state.objects is None


def test_nothing_to_search(monkeypatch: pytest.MonkeyPatch) -> None:
    d = desk(spots("truth", 0))
    d.session.detecting.find()
    assert d.state.objects is None
    assert d.state.running is None
