"""The same state gives the same view; each case by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from napari_segreview.core.geometry import Grid
from napari_segreview.core.protocols import LayerRef, Offer
from napari_segreview.core.scan import Scan
from napari_segreview.core.state import Running, State, in_words, view

SCAN = Scan(
    data=np.zeros((3, 4, 5)),
    grid=Grid.from_spacing((3, 4, 5), (1.0, 1.0, 1.0)),
    name="head",
    warnings=("odd header",),
)
FLAT = Scan(
    data=np.zeros((4, 5)),
    grid=Grid.from_spacing((4, 5), (1.0, 1.0), "px"),
    name="photo",
)
FITS = Offer(name="fits", title="Fits", kind="3D", about="", mirrors=True)
MISFIT = Offer(name="not", title="Not", kind="2D", about="", reason="wants colour.")
PAIR = (LayerRef("a", "truth"), LayerRef("b", "guess"))
READY = State(
    scan_key="s",
    scan=SCAN,
    offers=(FITS, MISFIT),
    model="fits",
    labels=PAIR,
    prediction="b",
    reference="a",
)


def running(**changes: Any) -> Running:
    facts = {"kind": "segment", "what": "head", "started": 100.0, "now": 100.0}
    return Running(**{**facts, **changes})


def test_all_is_ready() -> None:
    seen = view(READY)
    assert seen.may_segment
    assert seen.may_compare
    assert seen.may_mirror
    assert seen.offer is FITS
    assert seen.warnings == ("odd header",)
    assert seen.facts.startswith("5×4×3 · ")
    assert (seen.busy, seen.may_cancel, seen.is_fault) == (False, False, False)
    assert (seen.fraction, seen.status) == (None, "")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"scan": None}, "Open a scan first."),
        ({"scan": None, "scan_fault": "x is broken"}, "x is broken"),
        ({"model": ""}, "Choose a model."),
        ({"model": "gone"}, "Choose a model."),
        ({"model": "not"}, "wants colour."),
        ({}, ""),
    ],
)
def test_why_not_segment(changes: dict[str, Any], why: str) -> None:
    seen = view(replace(READY, **changes))
    assert seen.why_not_segment == why
    assert seen.may_segment is (not why)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"labels": ()}, "Two Labels layers are needed"),
        ({"labels": PAIR[:1]}, "Two Labels layers are needed"),
        ({"prediction": ""}, "Choose a prediction"),
        ({"reference": ""}, "Choose a prediction"),
        ({"prediction": "a"}, "Choose two different"),
        ({"scan": None}, ""),  # two label layers are enough
    ],
)
def test_why_not_compare(changes: dict[str, Any], why: str) -> None:
    seen = view(replace(READY, **changes))
    assert seen.why_not_compare.startswith(why)
    assert seen.may_compare is (not why)


def test_a_scan_that_cannot_be_read_says_why_where_its_facts_would_be() -> None:
    assert view(State(scan_fault="x is broken")).facts == "x is broken"


def test_no_mirror_where_the_model_has_none() -> None:
    assert not view(replace(READY, model="not")).may_mirror
    assert not view(replace(READY, model="")).may_mirror


@pytest.mark.parametrize(("scan", "unit"), [(SCAN, "mm"), (FLAT, "px"), (None, "mm")])
def test_the_tolerance_is_in_the_unit_of_the_scan(scan: Scan | None, unit: str) -> None:
    assert view(replace(READY, scan=scan)).tolerance_unit == unit


@pytest.mark.parametrize(
    ("job", "fraction", "status"),
    [
        (running(kind="open", what="a.nii"), None, "Opening a.nii…"),
        (running(done=0, total=8, note="window 0"), None, "Segmenting head…"),
        (running(done=3, total=0, note="loading"), None, "Segmenting head…"),
        (
            running(done=2, total=8, note="window 2 of 8", now=110.0),
            0.25,
            "Segmenting head: window 2 of 8, 30 s left",  # 5 s each, 6 to go
        ),
        (
            running(kind="compare", done=8, total=8, note="liver", now=101.0),
            1.0,
            "Comparing head: liver, 0 s left",
        ),
        (running(done=2, total=8, stopping=True), None, "Segmenting head: stopping…"),
    ],
)
def test_busy(job: Running, fraction: float | None, status: str) -> None:
    seen = view(replace(READY, running=job, fault="old", said="old"))
    assert (seen.fraction, seen.status) == (fraction, status)
    assert seen.busy
    assert not seen.may_segment
    assert not seen.may_compare
    assert not seen.is_fault
    assert seen.may_cancel is (not job.stopping)
    assert seen.why_not_segment == ""  # not a reason, only a matter of time


def test_what_was_said_last_and_whether_it_is_a_fault() -> None:
    said, fault = view(State(said="Done.")), view(State(fault="No disk."))
    assert (said.status, said.is_fault) == ("Done.", False)
    assert (fault.status, fault.is_fault) == ("No disk.", True)


def test_view_is_pure() -> None:
    before = replace(READY)
    assert view(READY) == view(READY)
    assert before == READY


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 s"),
        (0.4, "0 s"),
        (8.4, "8 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (130, "2 min 10 s"),
        (3599.6, "1 h"),
        (3900, "1 h 5 min"),
        (90_000, "25 h"),
    ],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
