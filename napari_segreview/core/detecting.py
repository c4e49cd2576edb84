"""The window's verbs for objects one by one. They say, never raise."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from napari_segreview.core.host import Host
from napari_segreview.core.state import view
from src_models.errors import InputError

if TYPE_CHECKING:
    from psygnal import SignalInstance

    from napari_segreview.core.objects import (
        Are,
        Finder,
        ObjectReport,
        ObjectWish,
        Rule,
    )
    from napari_segreview.core.protocols import Shelf
    from napari_segreview.core.state import State


class Watched(Host, Protocol):
    """The session, with what else is needed of it."""

    @property
    def changed(self) -> SignalInstance: ...


class Detecting:
    """Say what an object is, find them, visit them."""

    def __init__(self, host: Watched, finder: Finder, shelf: Shelf) -> None:
        self._host, self._finder, self._shelf = host, finder, shelf
        host.changed.connect(self._on_changed)

    def choose_are(self, are: Are) -> None:
        """Connected parts of each label, or the labels themselves."""
        self._choose(replace(self._host.state.object_wish, are=are))

    def choose_rule(self, rule: Rule) -> None:
        """When two objects are the same one."""
        self._choose(replace(self._host.state.object_wish, rule=rule))

    def choose_threshold(self, threshold: float) -> None:
        """Above which IoU two objects are the same one."""
        self._choose(replace(self._host.state.object_wish, threshold=threshold))

    def find(self) -> None:
        """Match the objects of prediction and reference."""
        state = self._host.state
        if not view(state).may_compare:
            return
        try:
            prediction = self._shelf.label_map(state.prediction)
            reference = self._shelf.label_map(state.reference)
        except InputError as error:
            self._host.say(fault=str(error))
            return
        choice = _choice(state)

        def then(found: ObjectReport) -> None:
            if _choice(self._host.state) != choice:
                self._host.settle(said="The choice changed meanwhile: find them again.")
                return
            kinds = [one.kind for one in found.things]
            told = ", ".join(
                f"{kinds.count(kind)} {kind}" for kind in ("found", "missed", "false")
            )
            notes = "".join(f" {note}" for note in found.notes)
            self._host.settle(said=f"Objects of {prediction.name}: {told}.{notes}")
            self._host.put(objects=found)

        steps = self._finder.find_objects(
            prediction, reference, state.object_wish, resample=state.resample
        )
        self._host.start("objects", prediction.name, steps, then)

    def visit(self, at: int) -> None:
        """Move the view to an object, counted as they are listed."""
        state = self._host.state
        if state.objects is None or not 0 <= at < len(state.objects.things):
            return
        one = state.objects.things[at]
        try:
            self._shelf.go_to(state.reference, one.index)
        except InputError as error:
            self._host.say(fault=str(error))
            return
        count = len(state.objects.things)
        self._host.say(said=f"Object {at + 1} of {count}: {one.structure}, {one.kind}")

    def _choose(self, wish: ObjectWish) -> None:
        if wish != self._host.state.object_wish:
            self._host.put(object_wish=wish, objects=None)

    def _on_changed(self, old: State, new: State) -> None:
        if new.objects is not None and _choice(old) != _choice(new):
            self._host.put(objects=None)


def _choice(state: State) -> tuple[object, ...]:
    return state.prediction, state.reference, state.object_wish, state.resample
