"""What the verbs of a panel need of the session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari_segreview.core.state import JobKind, State
    from src_models.progress import Progress


class Host(Protocol):
    """The session, as seen from the verbs beside it."""

    @property
    def state(self) -> State:
        """As it is now; frozen."""

    def put(self, **parts: Any) -> None:
        """Change parts of the state."""

    def say(self, *, said: str = "", fault: str = "") -> None:
        """Tell the user what was done, or what went wrong."""

    def start(
        self,
        kind: JobKind,
        what: str,
        steps: Generator[Progress, None, Any],
        then: Callable[[Any], None],
    ) -> None:
        """Begin long work; `then` gets its answer."""

    def settle(self, *, said: str = "", fault: str = "") -> None:
        """The long work is over."""
