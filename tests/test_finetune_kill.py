"""The benchmark's kill -9 of fine-tuning, fewer times."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.skipif(os.name == "nt", reason="the benchmark forks")
def test_no_model_and_no_correction_is_lost_when_the_program_is_killed() -> None:
    run = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "finetune_kill.py", "--runs", "3"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["killed"] == 3
    assert found["lost"] == []
