"""Every step of a job is told."""

from __future__ import annotations

import pytest

from napari_segreview.core import jobs


@pytest.fixture(autouse=True)
def _told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "QUIET_S", 0.0)
