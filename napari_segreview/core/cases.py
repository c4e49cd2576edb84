"""Where journals live: a folder a case, in the user's own data folder."""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from platformdirs import user_data_path

from napari_segreview.core.case import case_key
from napari_segreview.core.errors import in_one_line
from napari_segreview.core.journal import stamp, summary
from napari_segreview.core.keeper import FILE, Keeper, Place
from napari_segreview.core.lock import Lock, TakenError
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from napari_segreview.core.case import CaseFacts
    from napari_segreview.core.edits import Labels
    from napari_segreview.core.journal import Replayed

log = logging.getLogger(__name__)
TRASH = "trash"
TRASH_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """Work of an earlier start that can be offered.

    Attributes
    ----------
    key : str
        Its folder's name.
    facts : CaseFacts or None
        None if the journal cannot be read; `fault` then says why.
    time : float
        Of the last change, seconds since 1970.
    edits : int
        How many, those undone too.
    """

    key: str
    time: float
    facts: CaseFacts | None = None
    edits: int = 0
    fault: str = ""

    @property
    def title(self) -> str:
        """E.g. "Unsaved work on head.nii, 14:02"."""
        when = datetime.fromtimestamp(self.time)
        today = when.date() == datetime.now().date()
        at = f"{when:%H:%M}" if today else f"{when:%d %b %Y, %H:%M}"
        if self.facts is None:
            return f"Unsaved work, {at}"
        scan = self.facts.scan
        return f"Unsaved work on {scan.name if scan else self.facts.name}, {at}"


class Cases:
    """The folder of all journals. A folder's name is a hash: it tells of no patient."""

    def __init__(
        self, root: Path | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._root = root or user_data_path("napari-segreview") / "work"
        self._clock = clock
        self._mine: set[str] = set()

    def begin(self, facts: CaseFacts, labels: Labels) -> Keeper:
        """Keep labels from now on, in a folder of their own.

        Raises
        ------
        TakenError
            If another window corrects labels of this name on this scan.
        """
        return Keeper.begin(
            facts, labels, lambda: self._new_place(facts), clock=self._clock
        )

    def adopt(self, replayed: Replayed) -> Keeper:
        """Keep work that was read from a project; raises TakenError as `begin`."""
        return Keeper.adopt(
            replayed, lambda: self._new_place(replayed.facts), clock=self._clock
        )

    def resume(self, key: str) -> Keeper:
        """Go on with a leftover.

        Raises
        ------
        TakenError
            If another window has it.
        InputError, OSError
            If it cannot be read.
        """
        folder = self._root / key
        facts, _ = summary(folder / FILE)
        place = Place(folder, Lock(folder))
        self._mine.add(key)
        return Keeper.resume(
            place,
            lambda: self._new_place(facts),
            clock=self._clock,
        )

    def recoverable(self) -> tuple[Leftover, ...]:
        """What can be offered, newest first; what is open elsewhere is left out."""
        found = [self._leftover(folder) for folder in self._folders()]
        offers = [one for one in found if one is not None]
        return tuple(sorted(offers, key=lambda one: -one.time))

    def discard(self, key: str) -> None:
        """Move a leftover to the trash, where it stays for `TRASH_DAYS` days.

        Raises
        ------
        TakenError, OSError
            If another window has it; if it cannot be moved.
        """
        Lock(self._root / key).release()
        trash = self._root / TRASH
        trash.mkdir(exist_ok=True, mode=0o700)
        target = trash / f"{key}-{stamp()}"
        os.replace(self._root / key, target)
        os.utime(target)  # from now on it ages

    def tidy(self) -> None:
        """Empty the trash of what is old."""
        latest = self._clock() - TRASH_DAYS * 86400
        for folder in _folders(self._root / TRASH):
            if folder.stat().st_mtime < latest:
                shutil.rmtree(folder, ignore_errors=True)

    def _new_place(self, facts: CaseFacts) -> Place:
        """The first folder of the case that holds no journal yet."""
        key = case_key(facts.name, facts)
        for number in itertools.count(1):
            folder = self._root / f"{key}-{number}"
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                lock = Lock(folder)
            except TakenError:
                if folder.name not in self._mine:
                    raise
                continue  # this window's own, of a layer that was renamed since
            if not (folder / FILE).exists():
                self._mine.add(folder.name)
                return Place(folder, lock)
            lock.release()
        raise AssertionError("numbers do not end")

    def _folders(self) -> Iterator[Path]:
        return (one for one in _folders(self._root) if one.name != TRASH)

    def _leftover(self, folder: Path) -> Leftover | None:
        path = folder / FILE
        try:
            Lock(folder).release()
            when = path.stat().st_mtime
        except (TakenError, FileNotFoundError):
            return None
        except OSError as error:
            log.warning("%s is not offered: %s", folder, error)
            return None
        try:
            facts, edits = summary(path)
        except (InputError, OSError) as error:
            log.warning("%s", error)
            said = in_one_line(error).replace(str(path), "this journal")
            return Leftover(key=folder.name, time=when, fault=said)
        if not edits and not facts.marks and facts.origin == "chosen":
            return None
        return Leftover(key=folder.name, time=when, facts=facts, edits=edits)


def _folders(root: Path) -> Iterator[Path]:
    """Those in a folder, in the order of their names; none if it cannot be read."""
    try:
        yield from [one for one in sorted(root.iterdir()) if one.is_dir()]
    except FileNotFoundError:
        return
    except OSError as error:  # never stops the start
        log.warning("%s cannot be read: %s", root, error)
