"""The window's verb for what to correct next. It says, it never raises."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_segreview.core.improve import most_doubtful, queue_in_words
from napari_segreview.core.protocols import Wish
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari_segreview.core.improve import Improve
    from napari_segreview.core.improving import Host
    from napari_segreview.core.protocols import Doubts, Engine, Shelf
    from napari_segreview.core.scan import Scan
    from napari_segreview.core.state import State
    from src_models.progress import Progress


class Doubting:
    """Where the chosen model is unsure, in all open scans that it can read.

    Parameters
    ----------
    start, settle : callable
        The session's: run a job; say that it is over.
    """

    def __init__(
        self,
        host: Host,
        engine: Engine,
        shelf: Shelf,
        start: Callable[..., None],
        settle: Callable[..., None],
    ) -> None:
        self._host, self._engine, self._shelf = host, engine, shelf
        self._start, self._settle = start, settle
        host.changed.connect(self._on_changed)

    def go_next(self) -> None:
        """Show the plane in which a correction would teach most; look for it if need be."""
        state = self._host.state
        if state.running is not None:
            return
        if self._improve.queue:
            self._go()
            return
        if state.scan is None or not state.model:
            self._host.say(fault="open a scan and choose a model first")
            return
        wish = Wish(model=state.model, device=state.device)

        def then(found: dict[str, Doubts]) -> None:
            self._shelf.show_doubts(found)
            planes = {key: one.planes for key, one in found.items()}
            queue = most_doubtful(planes, {key: self._checked(key) for key in found})
            self._become(queue)
            names = {ref.key: ref.name for ref in self._host.state.images}
            self._settle(said=queue_in_words(queue, names))
            self._go()

        scans = self._readable(state)
        what = state.scan.name if len(scans) == 1 else f"{len(scans)} scans"
        self._start("doubt", what, self._search(scans, wish), then)

    def _search(
        self, scans: dict[str, Scan], wish: Wish
    ) -> Generator[Progress, None, dict[str, Doubts]]:
        found = {}
        for key, scan in scans.items():
            found[key] = yield from self._engine.doubts(scan, wish)
        return found

    def _readable(self, state: State) -> dict[str, Scan]:
        """By layer: the chosen scan first, then the others that the model can read."""
        found = {state.scan_key: state.scan} if state.scan else {}
        for ref in state.images:
            try:
                scan = self._shelf.scan(ref.key)
            except InputError:
                continue
            fits = {one.name: not one.reason for one in self._engine.offers(scan)}
            if fits.get(state.model):
                found.setdefault(ref.key, scan)
        return found

    def _go(self) -> None:
        """To the first of the queue whose scan is still open."""
        while self._improve.queue:
            spot, *rest = self._improve.queue
            self._become(tuple(rest))
            try:
                self._shelf.look(spot.scan, spot.plane)
            except InputError:
                continue
            if spot.scan != self._host.state.scan_key:
                self._host.choose_scan(spot.scan)
            return

    def _checked(self, scan: str) -> set[int]:
        """Planes along the first axis that were marked in labels of a scan."""
        return {
            mark.index
            for key, marks in self._improve.marks
            if self._shelf.fits(key, scan)
            for mark in marks
            if mark.kind == "slice" and not mark.axis
        }

    @property
    def _improve(self) -> Improve:
        return self._host.state.improve

    def _become(self, queue: Any) -> None:
        self._host.put(improve=replace(self._improve, queue=queue))

    def _on_changed(self, old: State, new: State) -> None:
        if new.model != old.model and new.improve.queue:
            self._become(())
