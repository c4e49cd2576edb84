"""The benchmark's kill -9, fewer times."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.skipif(os.name == "nt", reason="the benchmark forks")
def test_nothing_is_lost_when_the_program_is_killed() -> None:
    run = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "journal_kill.py", "--runs", "20"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["runs"] == 20
    assert found["steps"] > 200
    assert found["lost"] == 0
