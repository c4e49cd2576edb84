"""The window's verbs for the versions of a model. They say, never raise."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_segreview.core.errors import in_one_line
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_segreview.core.improving import Host
    from napari_segreview.core.protocols import Engine, Segmentation, Shelf
    from napari_segreview.core.state import State


class Versioning:
    """The versions of the chosen model: use, try, compare, give away, take.

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

    def activate(self, version: str) -> None:
        """Make an accepted version, or the base, the active one."""
        state = self._host.state

        def verb() -> None:
            self._engine.activate(state.model, version)
            self._host.choose_scan(state.scan_key)  # models are looked at again
            self._host.say(said=f"{version} is now the active version.")

        self._try(verb)

    def try_version(self, version: str) -> None:
        """Run a version on this scan, whatever its standing; the active one stays."""
        state = self._host.state
        if state.running is not None or state.scan is None:
            return
        scan = state.scan

        def then(answer: Segmentation) -> None:
            self._shelf.show(answer.labels, state.scan_key)
            self._settle(said=answer.said)

        def verb() -> None:
            wish = self._engine.version_wish(state.model, version, state.device)
            self._start("segment", scan.name, self._engine.segment(scan, wish), then)

        self._try(verb)

    def compare(self, version: str) -> None:
        """Compare a version with the active one on the locked cases."""
        state = self._host.state
        if state.running is not None:
            return

        def then(lines: tuple[str, ...]) -> None:
            self._settle(said=f"Compared {version} with the active version.")
            self._become(verdict="\n".join(lines))

        steps = self._engine.compare_versions(state.model, version, state.device)
        self._start("judge", version, steps, then)

    def export(self, version: str, path: Path) -> None:
        """Write a version as a zip that can be taken elsewhere."""

        def verb() -> None:
            self._engine.export_version(self._host.state.model, version, path)
            self._host.say(said=f"Saved {version} to {path}.")

        self._try(verb)

    def take(self, path: Path) -> None:
        """Keep the version in a zip; it does not become active."""

        def verb() -> None:
            made = self._engine.take_version(self._host.state.model, path)
            self._host.say(said=f"Kept as {made}, not active.")

        self._try(verb)

    def _try(self, verb: Callable[[], None]) -> None:
        try:
            verb()
        except (InputError, OSError) as error:
            self._host.say(fault=in_one_line(error))
        self._list()

    def _list(self) -> None:
        self._become(versions=self._engine.versions(self._host.state.model))

    def _become(self, **changes: Any) -> None:
        self._host.put(improve=replace(self._host.state.improve, **changes))

    def _on_changed(self, old: State, new: State) -> None:
        was = old.running
        over = was is not None and was.kind == "improve" and new.running is None
        if new.model != old.model or over:
            self._list()
