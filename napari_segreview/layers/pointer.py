"""Mouse and keys on the image, while the click tool is on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segreview.core.clicks import NO_CLICKS
from napari_segreview.core.errors import InputError
from napari_segreview.core.prompts import Box, Lasso, Point, Scribble
from napari_segreview.layers.looking import look_at
from napari_segreview.layers.pointing import place_of, plane_shown, voxel_seen
from napari_segreview.layers.preview import Preview

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_segreview.core.clicks import Clicks
    from napari_segreview.core.prompts import Place, Plane, Prompt
    from napari_segreview.core.scan import Scan
    from napari_segreview.core.session import Session
    from napari_segreview.core.state import State

LEFT, RIGHT = 1, 2
KEYS = {"P": "point", "B": "box", "S": "scribble", "L": "lasso"}
DRAGGED = {  # tool → how many places it needs, and what to do
    "box": (2, "Drag a rectangle round the structure."),
    "lasso": (3, "Drag a closed curve round the structure."),
}
STILL = 4  # pixels of the screen that a hand may move in a click
ONLY_POINTS = (
    "In the 3D view only points are marked: take the point tool (P), or go to the 2D view "
    "(Ctrl+Y)."
)


class Pointer:
    """Turns what mouse and keys do on a viewer into the session's verbs.

    Left marks what belongs; the right button, or Ctrl, what does not. Nothing of napari's
    is changed while the tool is off.
    """

    def __init__(self, viewer: ViewerModel, session: Session) -> None:
        self._viewer, self._session = viewer, session
        self._preview = Preview(viewer)
        self._drawn: Clicks = NO_CLICKS
        self._bound: list[tuple[Any, dict[Any, Any]]] = []  # who, what its keys were
        self._doubles: list[Any] = []  # what a double click did
        viewer.mouse_drag_callbacks.append(self._pressed)
        viewer.layers.selection.events.active.connect(self._bind)
        session.changed.connect(self._changed)

    def close(self) -> None:
        """Take mouse and keys back from the session."""
        self._viewer.mouse_drag_callbacks.remove(self._pressed)
        self._viewer.layers.selection.events.active.disconnect(self._bind)
        self._session.changed.disconnect(self._changed)
        self._preview.close()
        self._unbind()

    # ── what the session says ──────────────────────────────────────────────────

    def _changed(self, _: State, __: State) -> None:
        """Draw what is so by now, which may be later than what was told."""
        clicks = self._session.state.clicks
        old, self._drawn = self._drawn, clicks
        if clicks == old:
            return
        if clicks.on and not old.on:
            self._put_down_other_tools()
        if _keys_differ(clicks, old):
            self._bind()
        if (clicks.done, clicks.label) != (old.done, old.label):
            image = self._image()
            self._preview.show(image, self._session.clicking.scan, clicks)
            if abs(len(clicks.undone) - len(old.undone)) == 1:
                self._follow(image, old, clicks)

    def _follow(self, image: Layer | None, old: Clicks, clicks: Clicks) -> None:
        """Go to the slice of the prompt that was undone or redone."""
        longer, shorter = sorted((old.done, clicks.done), key=len, reverse=True)
        scan = self._session.clicking.scan
        moved = longer[len(shorter)].prompt if len(longer) > len(shorter) else None
        if moved is not None and image is not None and scan is not None:
            look_at(self._viewer, image, moved.plane.box(scan))

    def _put_down_other_tools(self) -> None:
        for layer in self._viewer.layers:
            if str(layer.mode) != "pan_zoom":
                layer.mode = "pan_zoom"

    # ── mouse ──────────────────────────────────────────────────────────────────

    def _pressed(self, _: Any, event: Any) -> Generator[None, None, None]:
        """Napari runs this from press to release, a step at each move."""
        clicks = self._session.state.clicks
        plain = all(one == "Control" for one in event.modifiers)
        if not clicks.on or event.button not in (LEFT, RIGHT) or not plain:
            return
        if self._other_tool():
            self._session.clicking.leave()
            return
        turned = event.button == RIGHT or bool(event.modifiers)
        positive = clicks.positive != turned
        if self._viewer.dims.ndisplay == 3:
            yield from self._pressed_in_3d(event, positive)
            return
        event.handled = True  # or the camera would pan
        try:
            image, scan = self._target()
            plane = plane_shown(self._viewer, image, scan)
            places = [place_of(self._viewer, image, scan, plane, event)]
        except InputError as error:
            self._session.say(fault=str(error))
            return
        yield
        while event.type == "mouse_move":
            event.handled = True
            places.append(place_of(self._viewer, image, scan, plane, event))
            draft = _prompt(clicks.tool, plane, places, positive=positive)
            self._show_draft(image, scan, draft)
            yield
        event.handled = True
        fewest, wanted = DRAGGED.get(clicks.tool, (1, ""))
        if len(places) < fewest:
            self._session.say(fault=wanted)
        else:
            self._session.clicking.prompt(
                _prompt(clicks.tool, plane, places, positive=positive)
            )
        self._redraw()

    def _pressed_in_3d(self, event: Any, positive: bool) -> Generator[None, None, None]:
        """A click marks what is seen; a drag turns the scan, as napari does."""
        pressed = np.array(event.pos)
        yield
        while event.type == "mouse_move":
            yield
        if np.abs(np.array(event.pos) - pressed).max() > STILL:
            return
        try:
            if self._session.state.clicks.tool != "point":
                raise InputError(ONLY_POINTS)
            image, scan = self._target()
            plane, place = voxel_seen(self._viewer, image, scan, event)
        except InputError as error:
            self._session.say(fault=str(error))
            return
        self._session.clicking.prompt(Point(plane, place, positive))

    def _pressed_twice(self, _: Any, event: Any) -> None:
        """Two quick clicks: Qt tells the second as a double click, with no press."""
        if self._session.state.clicks.tool == "point":
            for _step in self._pressed(None, event):
                pass

    def _show_draft(self, image: Layer, scan: Scan, draft: Prompt) -> None:
        done = self._session.state.clicks.done
        shown = [step.prompt for step in done if step.prompt is not None]
        self._preview.mark(image, scan, [*shown, draft])

    def _redraw(self) -> None:
        """What was drafted is gone, whether it became a prompt or not."""
        clicking = self._session.clicking
        self._preview.show(self._image(), clicking.scan, clicking.clicks)

    def _other_tool(self) -> bool:
        active = self._viewer.layers.selection.active
        return active is not None and str(active.mode) != "pan_zoom"

    def _target(self) -> tuple[Layer, Scan]:
        """The image that is clicked, if it can be seen."""
        state, image = self._session.state, self._image()
        if image is None or state.scan is None:
            raise InputError(state.scan_fault or "Open a scan first.")
        if not image.visible:
            raise InputError(f"{image.name} is hidden: show it to click on it.")
        return image, state.scan

    def _image(self) -> Layer | None:
        key = self._session.state.scan_key
        return next((x for x in self._viewer.layers if str(x.unique_id) == key), None)

    # ── keys ───────────────────────────────────────────────────────────────────

    def _bind(self, _: Any = None) -> None:
        """Give the keys to the viewer and to the chosen layer, whose own come first."""
        self._unbind()
        clicks = self._session.state.clicks
        if not clicks.on:
            return
        doubles = self._viewer.mouse_double_click_callbacks
        self._doubles[:] = doubles  # napari would zoom
        doubles[:] = [self._pressed_twice]
        active = self._viewer.layers.selection.active
        for owner in (self._viewer, active):
            if owner is None:
                continue
            self._bound.append((owner, dict(owner.keymap)))
            for key, verb in self._verbs(clicks).items():
                owner.bind_key(key, _ignoring_owner(verb), overwrite=True)

    def _unbind(self) -> None:
        for owner, keymap in reversed(self._bound):
            owner.keymap.clear()
            owner.keymap.update(keymap)
        self._bound.clear()
        if self._doubles:
            self._viewer.mouse_double_click_callbacks[:] = self._doubles
            self._doubles.clear()

    def _verbs(self, clicks: Clicks) -> dict[str, Callable[[], None]]:
        clicking = self._session.clicking
        verbs: dict[str, Callable[[], None]] = {
            key: _choosing(clicking.choose_tool, tool) for key, tool in KEYS.items()
        }
        verbs |= {"T": clicking.flip, "Escape": clicking.leave}
        if clicks.done:
            verbs |= {"Enter": clicking.accept, "R": clicking.reset}
        if clicks.done or clicks.undone:
            verbs |= {"Control-Z": clicking.undo, "Control-Shift-Z": clicking.redo}
        return verbs


def _prompt(tool: str, plane: Plane, places: list[Place], *, positive: bool) -> Prompt:
    """What the tool makes of the places from press to release."""
    if tool == "box":
        ends = np.array([places[0], places[-1]])
        return Box(plane, tuple(ends.min(0).tolist()), tuple(ends.max(0).tolist()))
    if tool == "lasso":
        return Lasso(plane, tuple(places))
    if tool == "scribble":
        return Scribble(plane, tuple(places), positive)
    return Point(plane, tuple(float(np.rint(v)) for v in places[0]), positive)


def _keys_differ(a: Clicks, b: Clicks) -> bool:
    def facts(clicks: Clicks) -> tuple[bool, ...]:
        return clicks.on, bool(clicks.done), bool(clicks.undone)

    return facts(a) != facts(b)


def _choosing(choose: Callable[[Any], None], what: str) -> Callable[[], None]:
    return lambda: choose(what)


def _ignoring_owner(verb: Callable[[], None]) -> Callable[[Any], None]:
    """Napari passes the owner of the key; and runs generators to the key's release."""

    def on_key(_: Any) -> None:
        verb()

    return on_key
