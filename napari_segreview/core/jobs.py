"""Long work, told as a generator and run on any thread. No Qt here."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Generic, TypeVar

from psygnal import Signal

from src_models.errors import InputError
from src_models.progress import Curve, Progress

if TYPE_CHECKING:
    from collections.abc import Generator

T = TypeVar("T")
log = logging.getLogger(__name__)

QUIET_S = 0.05  # progress is told at most this often; windows may be quicker


class Job(Generic[T]):
    """Runs steps to their end, or to the first step after `cancel`.

    Signals
    -------
    progressed : Progress
    finished : the steps' return value
    cancelled
    failed : Exception
        Exactly one of the last three ends a run. Before `cancelled` the progress is told
        that was held back.
    """

    progressed = Signal(Progress)
    finished = Signal(object)
    cancelled = Signal()
    failed = Signal(Exception)

    def __init__(self, steps: Generator[Progress, None, T]) -> None:
        self._steps = steps
        self._stop = threading.Event()

    def cancel(self) -> None:
        """Ask to stop; takes effect between two steps. Any thread may ask."""
        self._stop.set()

    def run(self) -> None:
        """Do the work on this thread, which also runs the steps' ``finally``."""
        told, held = 0.0, None
        try:
            with closing(self._steps) as steps:
                while not self._stop.is_set():
                    held = next(steps)
                    news = isinstance(held, Curve)  # a measurement: never left out
                    if news or time.monotonic() - told >= QUIET_S:
                        told = time.monotonic()
                        self.progressed.emit(held)
                        held = None
        except StopIteration as end:
            self.finished.emit(end.value)
        except Exception as error:
            if not isinstance(error, (InputError, OSError)):
                log.exception("a job failed")
            self.failed.emit(error)
        else:
            if held is not None:
                self.progressed.emit(held)
            self.cancelled.emit()
