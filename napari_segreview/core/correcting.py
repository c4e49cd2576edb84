"""The window's verbs for labels that are corrected. They raise nothing: they say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from napari_segreview.core.click_store import read_clicks, steps_of, stored
from napari_segreview.core.journal import why
from napari_segreview.core.project import open_project, save_project
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from napari_segreview.core.case import CaseFacts
    from napari_segreview.core.click_store import StoredClicks
    from napari_segreview.core.clicking import Clicking
    from napari_segreview.core.improving import Improving
    from napari_segreview.core.keeping import Keeping
    from napari_segreview.core.state import State


class Host(Protocol):
    """What is needed of the session."""

    @property
    def state(self) -> State: ...

    @property
    def improving(self) -> Improving: ...

    @property
    def clicking(self) -> Clicking: ...

    def choose_scan(self, key: str) -> None: ...

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
            self._host.improving.take_marks(ref.key, self._keeping.marks(ref.key))
            self._host.say(said=self._keeping.work.said or f"Restored {ref.name}.")

        self._try(lambda: self._with_scans([self._keeping.leftover(key).facts], show))

    def discard(self, key: str) -> None:
        """Move work of an earlier start to the trash."""
        self._try(lambda: self._keeping.discard(key))

    def save_project(self, path: Path) -> None:
        """Write all labels that are corrected, with their history, into one file."""

        def work() -> None:
            keepers = self._keeping.keepers()
            clicking = self._host.clicking
            save_project(
                path,
                keepers,
                prompts=stored(clicking.scan, clicking.clicks),
                reviews=self._host.improving.reviews(),
            )
            self._host.say(said=f"Saved {len(keepers)} label layer(s) to {path}.")

        self._try(work)

    def open_project(self, path: Path) -> None:
        """Show what a project holds; its scans are opened first if they can be."""

        def work() -> None:
            found = open_project(path)

            def show() -> None:
                for replayed in found.labels:
                    key = self._keeping.adopt(replayed).key
                    self._host.improving.take_marks(key, replayed.facts.marks)
                for one in found.manifest.prompts:
                    self._take_clicks(read_clicks(one))
                self._host.say(said=f"Opened {path.name}.")

            self._with_scans(found.manifest.labels, show)

        self._try(work)

    def _take_clicks(self, clicks: StoredClicks) -> None:
        """Go on with the object that was open, if its scan is."""
        key = self._keeping.layer_of(clicks.scan)
        if key:
            self._host.choose_scan(key)
            scan = self._host.state.scan
            if scan is not None:
                steps = steps_of(clicks, scan)
                self._host.clicking.adopt(steps, clicks.label)

    def close(self) -> None:
        """The window closes."""
        self._keeping.close()

    def _with_scans(
        self, wanted: Iterable[CaseFacts | None], show: Callable[[], None]
    ) -> None:
        paths = [self._keeping.missing_scan(facts) for facts in wanted]
        found = dict.fromkeys(path for path in paths if path is not None)
        if found:
            self._host.open([*found], lambda: self._try(show))
        else:
            show()

    def _try(self, verb: Callable[[], None]) -> None:
        try:
            verb()
        except InputError as error:
            self._host.say(fault=str(error))
        except OSError as error:
            self._host.say(fault=f"That did not work: {why(error, error.filename)}.")
