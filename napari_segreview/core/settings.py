"""What the program remembers between starts. Never what the user worked on."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Literal

from platformdirs import user_config_path
from pydantic import BaseModel, ConfigDict, ValidationError

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)


class Settings(BaseModel):
    """All of it; a file of another version, or a damaged one, counts as none."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: Literal[1] = 1
    folded: frozenset[str] = frozenset()  # titles of the dock's closed sections


class SettingsFile:
    """The settings and the file they live in. A file never stops the start."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or user_config_path("napari-segreview") / "settings.json"
        self.settings = self._read()

    def fold(self, title: str, closed: bool) -> None:
        """Remember that a section is closed, or open."""
        folded = self.settings.folded - {title} | ({title} if closed else set())
        self.settings = self.settings.model_copy(update={"folded": folded})
        self._write()

    def _read(self) -> Settings:
        try:
            return Settings.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return Settings()
        except (OSError, ValidationError) as error:
            log.warning("%s is not used: %s", self._path, error)
            return Settings()

    def _write(self) -> None:
        fresh = self._path.with_name(self._path.name + ".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(self.settings.model_dump_json(), encoding="utf-8")
            os.replace(fresh, self._path)
        except OSError as error:  # a home that cannot be written: forget, go on
            log.warning("%s is not kept: %s", self._path, error)
