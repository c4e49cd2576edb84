"""The window's verbs for labels that are corrected. They raise nothing: they say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_segreview.core.keeping import Keeping
    from napari_segreview.core.state import State


class Host(Protocol):
    """What is needed of the session."""

    @property
    def state(self) -> State: ...

    def say(self, *, said: str = "", fault: str = "") -> None: ...

    def open(self, paths: Sequence[Path], after: Callable[[], None]) -> None: ...


class Correcting:
    """Choose the labels to correct; take up, or put away, the work of earlier starts."""

    def __init__(self, keeping: Keeping, host: Host) -> None:
        self._keeping, self._host = keeping, host

    def choose(self, key: str) -> None:
        """Keep the changes of a Labels layer from now on; "" corrects none."""
        self._try(lambda: self._keeping.take(key, self._host.state.scan))

    def restore(self, key: str) -> None:
        """Take up work of an earlier start; its scan is opened first if it can be."""

        def show() -> None:
            ref = self._keeping.restore(key)
            self._host.say(said=self._keeping.work.said or f"Restored {ref.name}.")

        def work() -> None:
            path = self._keeping.missing_scan(key)
            if path is None:
                show()
            else:
                self._host.open([path], lambda: self._try(show))

        self._try(work)

    def discard(self, key: str) -> None:
        """Move work of an earlier start to the trash."""
        self._try(lambda: self._keeping.discard(key))

    def close(self) -> None:
        """The window closes."""
        self._keeping.close()

    def _try(self, verb: Callable[[], None]) -> None:
        try:
            verb()
        except (InputError, OSError) as error:
            self._host.say(fault=str(error))
