"""A whole-head volume on two cores: memory, and a step short enough to cancel."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

RUN = """
import json, resource, sys, time
from napari_segreview.core.protocols import Wish
from napari_segreview.engine import LocalEngine
from napari_segreview.scans import read_one

scan = read_one(sys.argv[1])
steps = LocalEngine().segment(scan, Wish(model="hippocampus-unet3d", device="cpu"))
longest, before = 0.0, None
while True:
    try:
        next(steps)
    except StopIteration as end:
        shape = end.value.labels.data.shape
        break
    now = time.monotonic()
    if before is not None:
        longest = max(longest, now - before)
    before = now
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
json.dump({"peak_mb": peak, "longest_s": longest, "shape": shape}, sys.stdout)
"""


@pytest.mark.slow
def test_a_volume_of_240_240_155_stays_under_4_gb(data_dir: Path) -> None:
    path = data_dir / "mri_brats2013" / "images" / "brats_2013_pat0005_1_flair.nii.gz"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUN, str(path)],
        capture_output=True,
        text=True,
        timeout=900,
        check=True,
    )
    measured = json.loads(done.stdout)
    assert measured["shape"] == [155, 240, 240]
    assert measured["peak_mb"] < 4096
