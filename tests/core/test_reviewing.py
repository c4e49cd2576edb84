"""Visiting errors, showing them, asking for the report: without a window."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from session_fakes import GRID, a_scan, desk, some_labels

from napari_segreview.core.labels import LabelMap
from src_models.errors import InputError


def holed(name: str) -> LabelMap:
    """As `some_labels`, but nothing in row 2 and too much in row 5."""
    data = some_labels().data.copy()
    data[2] = 0
    data[5, :5] = 1
    return LabelMap(data=data, grid=GRID, name=name)


def compared():
    d = desk(some_labels("truth"), holed("guess"), a_scan())
    d.session.choose_pair("key 1", "key 0")
    d.session.compare()
    assert d.state.fault == ""
    return d


def test_the_worst_first() -> None:
    d = compared()
    spots = d.session.reviewing.spots()
    assert [(spot.slice, spot.dice) for spot in spots] == [(5, 0.0), (2, 0.0)]
    assert spots[0].false_volume == 5
    d.session.reviewing.next_worst()
    assert d.shelf.visited == [spots[0].index]
    assert d.state.said.startswith("Error 1 of 2: label 1, slice 5")
    d.session.reviewing.next_worst()
    d.session.reviewing.next_worst()  # after the last comes the first
    assert [index[0] for index in d.shelf.visited] == [5, 2, 5]


def test_another_order_begins_anew() -> None:
    d = compared()
    d.session.reviewing.next_worst()
    d.session.reviewing.choose_order("distance")
    assert (d.state.spot, d.state.worst_by) == (-1, "distance")
    spots = d.session.reviewing.spots()
    assert spots[0].farthest >= spots[1].farthest


def test_old_errors_do_not_stay_under_another_choice() -> None:
    d = compared()
    d.session.choose_tolerance(3.0)
    assert d.session.reviewing.spots() == ()
    d.session.reviewing.next_worst()
    assert d.shelf.visited == []


def test_no_error_at_all() -> None:
    d = desk(some_labels("truth"), some_labels("guess"))
    d.session.compare()
    assert d.session.reviewing.spots() == ()
    d.session.reviewing.visit(0)
    assert d.shelf.visited == []


def test_the_layer_was_closed_meanwhile() -> None:
    d = compared()
    d.shelf.broken["key 0"] = "that layer was closed; choose another one"
    for verb in (d.session.reviewing.next_worst, d.session.reviewing.show_errors):
        verb()
        assert "was closed" in d.state.fault


def test_sent_to_correction() -> None:
    d = compared()
    d.session.reviewing.correct()  # goes to the worst first
    assert d.state.spot == 0
    ((key, label),) = d.shelf.picked
    assert (key, label.value, label.name) == ("key 1", 1, "label 1")
    d.shelf.broken["key 1"] = "that layer was closed; choose another one"
    d.session.reviewing.correct()
    assert "was closed" in d.state.fault


def test_resampling_is_another_comparison() -> None:
    d = compared()
    d.session.reviewing.choose_resample(True)
    assert (d.state.resample, d.state.report) == (True, None)


def test_the_layers_of_errors() -> None:
    d = compared()
    d.session.reviewing.show_errors()
    assert d.shelf.shown == [("surface distance −4 to +4 mm", "key 0")]
    assert d.state.said == "Showing the errors of guess."


def test_the_report_knows_the_model_of_a_layer_made_here(tmp_path: Path) -> None:
    d = desk(a_scan("eye"), some_labels("truth"))
    d.session.choose_model("flat")
    d.session.segment()
    d.session.compare()
    d.session.reviewing.write_report(tmp_path / "a.html")
    assert d.engine.pages == [("eye · model", "eye", "flat")]
    assert d.state.said == f"Wrote the report to {tmp_path / 'a.html'}."


@pytest.mark.parametrize("fault", [InputError("cannot be written"), OSError("full")])
def test_a_report_that_cannot_be_written(fault: Exception) -> None:
    d = compared()
    d.engine.fault = fault
    d.session.reviewing.write_report(Path("x.html"))
    assert d.state.fault == str(fault)
    assert d.state.running is None


def test_nothing_to_compare() -> None:
    d = desk(some_labels())
    for verb in (d.session.compare, d.session.reviewing.show_errors):
        verb()
    d.session.reviewing.write_report(Path("x.html"))
    assert d.engine.pages == []
    assert np.all(d.state.slices is None)


def test_readers() -> None:
    d = desk(some_labels("a"), some_labels("b", 4), some_labels("net", 5))
    keys = ["key 0", "key 1", "key 2"]
    d.session.reviewing.compare_readers(keys, "key 2")
    study = d.state.study
    assert (study.readers, study.model) == (("a", "b", "net"), "net")
    assert d.state.said == "Compared a, b, net."
    d.session.reviewing.show_consensus(keys)
    assert d.shelf.shown == [("majority", "key 0")]


def test_readers_that_cannot_be_compared() -> None:
    d = desk(some_labels("a"), some_labels("b"))
    d.session.reviewing.compare_readers(["key 0"], "")
    assert "two or more readers" in d.state.fault
    d.session.reviewing.show_consensus(["key 0", "closed"])
    assert "was closed" in d.state.fault
    assert d.state.study is None
