"""The window's verbs for looking at errors. They raise nothing: they say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from napari_segreview.core.error_table import ErrorSpot, Order, where, worst
from napari_segreview.core.labels import Label
from napari_segreview.core.state import view
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from pathlib import Path

    from napari_segreview.core.labels import LabelMap
    from napari_segreview.core.protocols import Engine, Shelf
    from napari_segreview.core.review import ErrorMaps, Review
    from napari_segreview.core.state import JobKind, State
    from napari_segreview.core.study import Consensus, Study
    from src_models.progress import Progress


class Start(Protocol):
    """Begins long work; what it returns is taken by `then`."""

    def __call__(
        self,
        kind: JobKind,
        what: str,
        steps: Generator[Progress, None, Any],
        then: Callable[[Any], None],
        /,
    ) -> None: ...


class Tell(Protocol):
    """Says what was done, or what went wrong."""

    def __call__(self, *, said: str = "", fault: str = "") -> None: ...


class Reviewing:
    """Compare, visit the worst slices, show the errors, write the report.

    Parameters
    ----------
    engine, shelf : Engine, Shelf
    state, become, start, settle, say, take_up : callable
        The session's: its state, a new state, long work, its end, a line for the user,
        and the choice of labels to correct.
    """

    def __init__(
        self,
        engine: Engine,
        shelf: Shelf,
        *,
        state: Callable[[], State],
        become: Callable[[State], None],
        start: Start,
        settle: Tell,
        say: Tell,
        take_up: Callable[[str], None],
    ) -> None:
        self._engine, self._shelf = engine, shelf
        self._state, self._become = state, become
        self._start, self._settle, self._say = start, settle, say
        self._take_up = take_up
        self._models: dict[str, str] = {}  # layer → the model that made it
        self._own: Mapping[int, int] = {}  # value of the report → of the prediction

    def made(self, key: str, model: str) -> None:
        """Remember which model a layer came from, for the report."""
        self._models[key] = model

    def compare(self, *, visit: bool = False) -> None:
        """Score the prediction against the reference, of the whole and slice by slice.

        `visit` moves the view to the worst slice then.
        """
        state, pair = self._state(), self._pair()
        if pair is None:
            return
        prediction, reference = pair

        def then(found: Review) -> None:
            if _choice(self._state()) != _choice(state):
                self._settle(said="The choice changed meanwhile: press Compare again.")
                return
            self._own = found.own
            notes = "".join(f" {note}" for note in found.report.notes)
            self._settle(
                said=f"Compared {prediction.name} with {reference.name}.{notes}"
            )
            self._become(
                replace(
                    self._state(), report=found.report, slices=found.slices, spot=-1
                )
            )
            if visit:
                self.visit(0)

        steps = self._engine.review(
            prediction, reference, state.tolerance, resample=state.resample
        )
        self._start("compare", prediction.name, steps, then)

    def choose_resample(self, wanted: bool) -> None:
        """Whether labels on another grid are brought onto the reference's."""
        self._become(replace(self._state(), resample=wanted, report=None))

    def choose_order(self, order: Order) -> None:
        """What makes a slice the worst."""
        self._become(replace(self._state(), worst_by=order, spot=-1))

    def visit(self, at: int) -> None:
        """Move the view to a row of the errors, counted from the worst."""
        state, spots = self._state(), self.spots()
        if not 0 <= at < len(spots) or state.slices is None:
            return
        spot = spots[at]
        try:
            self._shelf.go_to(state.reference, spot.index)  # spots are on its grid
        except InputError as error:
            self._say(fault=str(error))
            return
        self._become(replace(state, spot=at))
        place = where(spot, state.slices)
        what = f"{spot.name}, {place}" if place else spot.name
        self._say(said=f"Error {at + 1} of {len(spots)}: {what}")

    def next_worst(self) -> None:
        """Move the view to the next row; after the last comes the first."""
        if count := len(self.spots()):
            self.visit((self._state().spot + 1) % count)

    def correct(self) -> None:
        """Take up the prediction where it is wrong, with a brush of that structure."""
        if self._state().spot < 0:
            self.next_worst()
        state, spots = self._state(), self.spots()
        if state.slices is None or not 0 <= state.spot < len(spots):
            return
        spot = spots[state.spot]
        value = state.slices.values[spot.row]
        try:
            label = self._own_label(state.prediction, value, spot.name)
            self._take_up(state.prediction)
            self._shelf.pick_up(state.prediction, label)
        except InputError as error:
            self._say(fault=str(error))
            return
        self._say(
            said=f"Correcting {spot.name}: the brush paints label {label.value}, the "
            "eraser takes away. Compare again to see the gain."
        )

    def _own_label(self, key: str, value: int, name: str) -> Label:
        """What the prediction calls a structure of the report; a free value if nothing."""
        table = self._shelf.table(key)
        if not self._own:
            own = value
        elif value in self._own:
            own = self._own[value]
        else:  # only the reference has it
            used = {*self._own.values(), *table}
            own = value if value not in used else max(used) + 1
        return table[own] if own in table else Label(own, name, table.color(own))

    def spots(self) -> tuple[ErrorSpot, ...]:
        """The errors on show, the worst first; none without a comparison."""
        state = self._state()
        if state.report is None or state.slices is None:
            return ()
        return worst(state.slices, state.worst_by)

    def show_errors(self) -> None:
        """Layers of what is false, what is missed, and of surface distances."""
        state, pair = self._state(), self._pair()
        if pair is None:
            return

        def then(maps: ErrorMaps) -> None:
            self._shelf.show_errors(maps, state.reference)
            self._settle(said=f"Showing the errors of {pair[0].name}.")

        steps = self._engine.error_maps(*pair, state.tolerance, resample=state.resample)
        self._start("errors", pair[0].name, steps, then)

    def write_report(self, path: Path) -> None:
        """One HTML page with pictures, and the scores beside it as CSV and JSON."""
        state, pair = self._state(), self._pair()
        if pair is None:
            return

        def then(written: Path) -> None:
            self._settle(said=f"Wrote the report to {written}.")

        model = self._models.get(state.prediction, "")
        steps = self._engine.report(
            *pair, state.scan, state.tolerance, model, path,
            resample=state.resample, objects=state.objects,
        )  # fmt: skip
        self._start("report", pair[0].name, steps, then)

    def compare_readers(self, keys: Sequence[str], model: str) -> None:
        """Hold label layers against each other; `model` is one of them, or ""."""
        maps = self._maps(keys)
        if maps is None:
            return
        names = {ref.key: ref.name for ref in self._state().labels}

        def then(study: Study) -> None:
            self._settle(said=f"Compared {', '.join(study.readers)}.")
            self._become(replace(self._state(), study=study))

        steps = self._engine.study(maps, names.get(model, ""), self._state().tolerance)
        self._start("readers", f"{len(maps)} readers", steps, then)

    def show_consensus(self, keys: Sequence[str]) -> None:
        """Layers of what most say, of STAPLE, and of where they disagree."""
        maps = self._maps(keys)
        if maps is None:
            return

        def then(found: Consensus) -> None:
            self._shelf.show_consensus(found, keys[0])
            self._settle(said="Showing majority, STAPLE and disagreement.")

        self._start(
            "readers", f"{len(maps)} readers", self._engine.consensus(maps), then
        )

    def _maps(self, keys: Sequence[str]) -> dict[str, LabelMap] | None:
        """The layers by name, as they are now; None, and said why, if they cannot."""
        if self._state().running is not None:
            return None
        try:
            maps = [self._shelf.label_map(key) for key in keys]
        except InputError as error:
            self._say(fault=str(error))
            return None
        return {one.name: one for one in maps}

    def _pair(self) -> tuple[LabelMap, LabelMap] | None:
        """The layers to compare, as they are now; None, and said why, if they cannot."""
        state = self._state()
        if not view(state).may_compare:
            return None
        try:
            return (
                self._shelf.label_map(state.prediction),
                self._shelf.label_map(state.reference),
            )
        except InputError as error:
            self._say(fault=str(error))
            return None


def _choice(state: State) -> tuple[str, str, float, bool]:
    return state.prediction, state.reference, state.tolerance, state.resample
