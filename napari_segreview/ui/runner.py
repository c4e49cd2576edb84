"""Jobs on a thread, answers on the window's."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from psygnal.qt import start_emitting_from_queue

if TYPE_CHECKING:
    from napari_segreview.core.jobs import Job

PATIENCE_S = 5.0  # how long closing the window waits for a job's present step


class ThreadRunner:
    """Gives each job a thread. Slots connected with ``thread="main"`` run on this one."""

    def __init__(self) -> None:
        start_emitting_from_queue(msec=20)  # 0, the default, would poll without rest
        self._job: Job[Any] | None = None
        self._thread: threading.Thread | None = None

    def __call__(self, job: Job[Any]) -> None:
        self._job = job
        self._thread = threading.Thread(
            target=job.run, name="segreview-job", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop the job under way and wait for its present step, at most `PATIENCE_S`."""
        if self._job is not None:
            self._job.cancel()
        if self._thread is not None:
            self._thread.join(PATIENCE_S)
