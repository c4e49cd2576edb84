"""Whether the labels that are used lie on the scan that is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from psygnal import SignalInstance

    from napari_segreview.core.protocols import Shelf
    from napari_segreview.core.state import State


class Host(Protocol):
    """What is needed of the session."""

    @property
    def changed(self) -> SignalInstance: ...

    @property
    def state(self) -> State: ...

    def put(self, **parts: Any) -> None: ...


class Fitting:
    """Says of the labels that are corrected or compared how they miss the scan's voxels."""

    def __init__(self, host: Host, shelf: Shelf) -> None:
        self._host, self._shelf = host, shelf
        host.changed.connect(self._on_changed)

    def _on_changed(self, old: State, new: State) -> None:
        if _used(old) == _used(new):
            return
        scan, *keys = _used(new)
        said = [self._shelf.mismatch(key, scan) for key in dict.fromkeys(keys) if key]
        misfits = tuple(filter(None, said))
        if misfits != new.misfits:
            self._host.put(misfits=misfits)


def _used(state: State) -> tuple[str, ...]:
    """The scan, and the labels that are worked with."""
    return state.scan_key, state.work.layer, state.prediction, state.reference
