"""One folder, one writer, among all windows and programs of a machine."""

from __future__ import annotations

import contextlib
import os
import sys
from datetime import datetime
from typing import TYPE_CHECKING

from src_models.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

FAR = 1 << 30  # Windows locks bytes; nothing is written at this one


class TakenError(InputError):
    """Another window or program is writing there; `holder` says which."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"that work is open in {holder}; go on there")
        self.holder = holder


class Lock:
    """A lock that ends with its process, however that ends.

    The operating system keeps it, so a lock of a process that was killed holds nobody
    back. The file tells who has it.

    Raises
    ------
    TakenError
        If another window has it, of this program or of another.
    OSError
        If the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / "lock"
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(self._file)
        except (BlockingIOError, PermissionError):
            holder = os.read(self._file, 200).decode(errors="replace")
            self.release()
            raise TakenError(holder or "another window") from None
        except OSError:
            self.release()
            raise
        since = datetime.now().strftime("%H:%M")
        with contextlib.suppress(OSError):  # a full disk: locked all the same
            os.ftruncate(self._file, 0)
            os.write(
                self._file,
                f"another window (process {os.getpid()}, since {since})".encode(),
            )

    def release(self) -> None:
        """Let others in; releasing twice is once."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        os.lseek(file, FAR, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(file, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
