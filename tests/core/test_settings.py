"""What is remembered between starts, and that it never stops one."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest

from napari_segreview.core.settings import Settings, SettingsFile

if TYPE_CHECKING:
    from pathlib import Path


def test_folded_sections_are_remembered(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "settings.json"
    first = SettingsFile(path)
    first.fold("Compare", closed=True)
    first.fold("Segment", closed=True)
    first.fold("Compare", closed=False)
    assert SettingsFile(path).settings.folded == {"Segment"}
    assert [one.name for one in path.parent.iterdir()] == ["settings.json"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"folded": 3}', '{"schema_version": 9}', "\x00"]
)
def test_a_damaged_file_counts_as_none_and_is_told(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "settings.json"
    path.write_text(text)
    with caplog.at_level(logging.WARNING):
        assert SettingsFile(path).settings == Settings()
    assert str(path) in caplog.text


def test_keys_of_a_later_program_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"folded": ["Compare"], "colour": "blue"}))
    assert SettingsFile(path).settings.folded == {"Compare"}


def test_a_home_that_cannot_be_written_is_told_and_forgotten(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    settings = SettingsFile(tmp_path / "file" / "settings.json")
    with caplog.at_level(logging.WARNING):
        settings.fold("Compare", closed=True)
    assert settings.settings.folded == {"Compare"}  # for this start at least
    assert "is not kept" in caplog.text
