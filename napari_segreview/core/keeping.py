"""Which label layers have a journal, and what is left of earlier work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_segreview.core.case import CaseFacts, Source, scan_ref
from napari_segreview.core.lock import TakenError
from napari_segreview.core.work import Work
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_segreview.core.case import ScanRef
    from napari_segreview.core.cases import Cases, Leftover
    from napari_segreview.core.journal import Replayed
    from napari_segreview.core.keeper import Keeper
    from napari_segreview.core.protocols import LayerRef, Shelf
    from napari_segreview.core.reviews import Marks
    from napari_segreview.core.scan import Scan


class Keeping:
    """The keepers of the open label layers, and the leftovers of earlier starts.

    Parameters
    ----------
    cases : Cases or None
        Where journals live; None keeps none.
    """

    changed = Signal(object)  # Work

    def __init__(self, shelf: Shelf, cases: Cases | None) -> None:
        self._shelf, self._cases = shelf, cases
        self._keepers: dict[str, Keeper] = {}
        self._refused: dict[str, str] = {}  # layer → why it is read-only
        self._work = Work()
        if cases is not None:
            cases.tidy()
            self._work = Work(leftovers=cases.recoverable())

    @property
    def work(self) -> Work:
        return self._work

    # ── layers ─────────────────────────────────────────────────────────────────

    def take(
        self,
        key: str,
        scan: Scan | None,
        origin: Source = "chosen",
    ) -> None:
        """Keep a layer's labels from now on, and correct it; one kept already stays so.

        Raises
        ------
        InputError
            If the layer is gone or its labels cannot be corrected.
        """
        if self._cases is None:
            return
        if key and key not in self._keepers:
            self._refused.pop(key, None)
            try:
                self._begin(key, scan_ref(scan) if scan else None, origin)
            except TakenError as error:
                self._refused[key] = f"read-only: open in {error.holder}"
                self._shelf.freeze(key)
        self._become(layer=key, said="")

    def layers_changed(self, labels: Sequence[LayerRef]) -> None:
        """Layers were renamed, or closed: what was done to those is offered back."""
        names = {ref.key: ref.name for ref in labels}
        for key in self._keepers.keys() - names.keys():
            self._close(key)
        for key, keeper in self._keepers.items():
            keeper.rename(names[key])
        if self._work.layer not in names:
            self._become(layer=next(reversed(self._keepers), ""))

    def close(self) -> None:
        """The window closes: all is saved, others may go on with it."""
        for key in [*self._keepers]:
            self._close(key)

    # ── earlier work ───────────────────────────────────────────────────────────

    def leftover(self, key: str) -> Leftover:
        """The earlier work of that key; raises InputError if it is gone."""
        for one in self._work.leftovers:
            if one.key == key:
                return one
        raise InputError("that work is no longer there; it may be open elsewhere")

    def missing_scan(self, facts: CaseFacts | None) -> Path | None:
        """The file of the scan that work belongs to; None if it is open, or gone."""
        ref = facts.scan if facts else None
        if ref is None or not ref.path or self._beside(ref):
            return None
        path = Path(ref.path)
        return path if path.exists() else None

    def restore(self, key: str) -> LayerRef:
        """Show earlier work as a new layer and go on with its journal.

        Raises
        ------
        InputError, OSError
            If it is open elsewhere, or cannot be read; it stays on offer.
        """
        self.leftover(key)
        ref = self._take_up(lambda cases: cases.resume(key))
        left = tuple(one for one in self._work.leftovers if one.key != key)
        self._become(leftovers=left)
        return ref

    def adopt(self, replayed: Replayed) -> LayerRef:
        """Show labels of a project as a new layer and keep them from now on.

        Raises
        ------
        InputError
            If they are open in another window.
        """
        return self._take_up(lambda cases: cases.adopt(replayed))

    def discard(self, key: str) -> None:
        """Move earlier work to the trash; raises InputError or OSError if it cannot."""
        self.leftover(key)
        if self._cases is not None:
            self._cases.discard(key)
            self._become(leftovers=self._cases.recoverable())

    def mark(self, key: str, marks: Marks) -> None:
        """Write down what is checked of a layer that is kept."""
        if key in self._keepers:
            self._keepers[key].mark(marks)

    def marks(self, key: str) -> Marks:
        """What its journal tells is checked."""
        return self._keepers[key].facts.marks if key in self._keepers else ()

    def keepers(self) -> tuple[Keeper, ...]:
        """Of the open layers, in the order they were taken."""
        return tuple(self._keepers.values())

    # ── within ─────────────────────────────────────────────────────────────────

    def _begin(self, key: str, scan: ScanRef | None, origin: Source) -> None:
        if self._cases is not None:
            labels = self._shelf.label_map(key)
            facts = CaseFacts.of(labels, scan, origin)
            self._bind(key, self._cases.begin(facts, labels.data))

    def _take_up(self, get: Callable[[Cases], Keeper]) -> LayerRef:
        if self._cases is None:
            raise InputError("no journals are kept here")
        keeper = get(self._cases)
        facts = keeper.facts
        try:
            beside = self._beside(facts.scan) if facts.scan else ""
            ref = self._shelf.show(facts.label_map(keeper.labels.copy()), beside)
        except Exception:
            keeper.close()
            raise
        self._bind(ref.key, keeper)
        self._become(layer=ref.key, said=keeper.said)
        return ref

    def _bind(self, key: str, keeper: Keeper) -> None:
        try:
            self._shelf.bind(key, keeper, lambda: self._renew(key))
        except Exception:
            keeper.close()
            raise
        self._keepers[key] = keeper
        keeper.saved.connect(lambda _: self._become())
        keeper.fault.connect(lambda _: self._become())

    def _renew(self, key: str) -> None:
        """A layer got an array of another shape or type: another case from now on."""
        scan, origin = self._keepers[key].facts.scan, self._keepers[key].facts.origin
        self._close(key)
        try:
            self._begin(key, scan, origin)
        except InputError as error:
            self._refused[key] = f"NOT saved: {error}"
        self._become()

    def _close(self, key: str) -> None:
        self._shelf.release(key)
        self._keepers.pop(key).close()
        if self._cases is not None:
            self._become(leftovers=self._cases.recoverable())

    def _beside(self, ref: ScanRef) -> str:
        return self.layer_of(ref.identity)

    def layer_of(self, identity: str) -> str:
        """The key of the open layer with that scan; "" if it is not open."""
        for layer in self._shelf.images():
            try:
                found = scan_ref(self._shelf.scan(layer.key))
            except InputError:
                continue
            if found.identity == identity:
                return layer.key
        return ""

    def _become(self, **changes: object) -> None:
        """The line says the worst: one layer that is not saved before others that are."""
        work = replace(self._work, **changes)  # type: ignore[arg-type]
        states = [keeper.state for keeper in self._keepers.values()]
        fault = next((one for one in states if one.fault), None)
        own = self._keepers.get(work.layer)
        if fault is not None:
            line = fault.line
        elif work.layer in self._refused:
            line = self._refused[work.layer]
        else:
            line = own.state.line if own else ""
        is_fault = fault is not None or work.layer in self._refused
        work = replace(work, line=line, is_fault=is_fault)
        if work != self._work:
            self._work = work
            self.changed.emit(work)
