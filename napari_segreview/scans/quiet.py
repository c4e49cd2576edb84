"""Keep native libraries from writing on the terminal."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_lock = threading.Lock()
_inside = 0  # readers at work now; the first turns stderr off, the last turns it on
_kept: int | None = None


@contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings and what C and C++ code prints to stderr.

    ITK, GDCM, MetaIO and OpenJPEG print straight to file descriptor 2. What went
    wrong still arrives as an exception, which the caller puts into plain words.
    """
    _off()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        _on()


def _off() -> None:
    global _inside, _kept
    with _lock:
        _inside += 1
        if _inside > 1:
            return
        with suppress(OSError):  # a program without a terminal may have no stderr
            _flush()
            kept = os.dup(2)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 2)
            os.close(nowhere)
            _kept = kept


def _on() -> None:
    global _inside, _kept
    with _lock:
        _inside -= 1
        if _inside or _kept is None:
            return
        _flush()
        os.dup2(_kept, 2)
        os.close(_kept)
        _kept = None


def _flush() -> None:
    with suppress(OSError, ValueError):
        if sys.stderr is not None:
            sys.stderr.flush()
