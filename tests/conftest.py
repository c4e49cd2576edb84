"""What every test stands on: a screen of its own, a home of its own, one thread."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[1]
HOME = tempfile.mkdtemp(prefix="segreview-tests-")
atexit.register(shutil.rmtree, HOME, ignore_errors=True)

# Set here, before napari, torch or Qt are imported: each reads its own only then.
os.environ |= {
    "NAPARI_CONFIG": f"{HOME}/napari/settings.yaml",
    **{f"XDG_{k}_HOME": f"{HOME}/{k.lower()}" for k in ("CONFIG", "DATA", "STATE")},
    "COLUMNS": "200",  # of the terminal that tables are made for
    "OMP_NUM_THREADS": "1",  # small nets; two threads on a busy machine spin for each other
}
if sys.platform.startswith("linux"):
    os.environ["QT_QPA_PLATFORM"] = "xcb"  # "offscreen" draws no layer

# The time of one example says more about the machine than about the code.
hypothesis.settings.register_profile(
    "house",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("house")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Qt without a screen aborts the whole process: say so before."""
    if session.config.getoption("numprocesses", None):
        return  # its workers have screens of their own
    if sys.platform.startswith("linux") and "DISPLAY" not in os.environ:
        raise pytest.UsageError("no screen, and no Xvfb to make one: run `make setup`")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real scans: $SEGREVIEW_DATA, or shared/data beside the checkout."""
    place = os.environ.get("SEGREVIEW_DATA") or ROOT.parent / "shared" / "data"
    if not Path(place).is_dir():
        pytest.skip(f"no real scans: set SEGREVIEW_DATA ({place} is not a folder)")
    return Path(place)
