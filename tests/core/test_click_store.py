"""The object that is being clicked, through JSON and back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click_fakes import Desk
from hypothesis import given
from hypothesis import strategies as st
from session_fakes import a_scan

from napari_segreview.core.click_store import read_clicks, steps_of, stored
from napari_segreview.core.clicks import Clicks, Patch, Step
from napari_segreview.core.prompts import Box, Lasso, Plane, Point, Scribble
from src_models.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_segreview.core.prompts import Prompt

SCAN = a_scan(flat=False)  # 3 × 6 × 7
PLANE = Plane(0, 1)
places = st.tuples(*[st.floats(0, 5)] * 3)
prompts = (
    st.builds(Point, st.just(PLANE), places, st.booleans())
    | st.builds(
        Scribble,
        st.just(PLANE),
        st.lists(places, min_size=1, max_size=3).map(tuple),
        st.booleans(),
    )
    | st.builds(Box, st.just(PLANE), places, places)
    | st.builds(
        Lasso, st.just(PLANE), st.lists(places, min_size=3, max_size=5).map(tuple)
    )
)


def step(prompt: Prompt | None = None, kind: Any = "prompt") -> Step:
    mask = np.zeros((1, 3, 5), bool)
    mask[0, 1, 2:4] = True
    return Step(
        kind, 7, prompt, Patch((slice(1, 2), slice(2, 5), slice(1, 6)), mask), 3
    )


@given(st.lists(prompts, min_size=1, max_size=4))
def test_there_and_back(given_prompts: list[Prompt]) -> None:
    steps = (*map(step, given_prompts), step(kind="through"))
    (values,) = stored(SCAN, Clicks(done=steps, label=3))
    clicks = read_clicks(json.loads(json.dumps(values)))
    assert clicks.label == 3
    for old, new in zip(steps, steps_of(clicks, SCAN), strict=True):
        assert (new.kind, new.prompt, new.label) == (old.kind, old.prompt, old.label)
        assert new.patch is not None
        assert old.patch is not None
        assert new.patch.box == old.patch.box
        assert np.array_equal(new.patch.mask, old.patch.mask)


def test_nothing_open_is_nothing_stored() -> None:
    assert stored(None, Clicks()) == stored(SCAN, Clicks()) == ()
    waiting = replace(step(), patch=None)
    assert stored(SCAN, Clicks(done=(waiting,))) == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"box": [[1, 2], [2, 9], [1, 6]]}, "does not lie on head"),
        ({"box": [[2, 5], [1, 6]]}, "does not lie on head"),
        ({"mask": "AAAA"}, "damaged"),
        ({"mask": "eJwDAAAAAAE="}, "cut short"),
        (
            {
                "prompt": {
                    "shape": "box",
                    "axis": 0,
                    "index": 1,
                    "frame": 0,
                    "places": [],
                    "positive": True,
                }
            },
            "a box of 0 places",
        ),
        ({"kind": "nonsense"}, "prompts"),
    ],
)
def test_damage_is_said(change: dict[str, Any], words: str) -> None:
    (values,) = stored(SCAN, Clicks(done=(step(Point(PLANE, (1.0, 2.0, 3.0))),)))
    values["steps"][0] |= change
    with pytest.raises(InputError, match=words):
        steps_of(read_clicks(values), SCAN)


def test_a_project_goes_on_with_the_object_that_was_open(tmp_path: Path) -> None:
    desk, path = Desk(), tmp_path / "case.segreview"
    desk.clicking.choose_label(2)
    desk.click(1, 3, 3)
    desk.click(2, 4, 4, positive=False)
    desk.session.correcting.save_project(path)
    other = Desk()
    other.session.correcting.open_project(path)
    assert other.session.state.fault == ""
    assert other.clicks.label == 2
    assert [s.prompt for s in other.clicks.done] == [s.prompt for s in desk.clicks.done]
    assert other.engine.questions == []  # the answers came along
    other.click(3, 2, 2)  # and it goes on
    assert len(other.clicks.done) == 3
    other.clicking.undo()
    for one in (desk, other):
        one.clicking.accept()
    assert np.array_equal(desk.labels, other.labels)

    elsewhere = Desk()
    elsewhere.shelf.layers.clear()
    elsewhere.session.layers_changed()
    elsewhere.session.correcting.open_project(path)
    assert elsewhere.clicks.done == ()  # its scan is not open
