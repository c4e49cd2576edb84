"""Samples come without a network; importing the package wakes no reader."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys

import numpy as np
import pytest

from napari_segreview.scans import SAMPLES, samples
from src_models.errors import InputError

NEEDS = {"brain-template": "nilearn", "epi-4d": "nibabel"}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("a sample asked the network")

    monkeypatch.setattr(socket.socket, "connect", refused)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample(name: str) -> None:
    package = NEEDS.get(name)
    if package and importlib.util.find_spec(package) is None:
        with pytest.raises(InputError, match=f"comes with {package}.*pip install"):
            SAMPLES[name]()
        return
    sample = SAMPLES[name]()
    assert sample.scan.name == name
    assert sample.scan.modality
    assert sample.credit
    assert np.ptp(sample.scan.data) > 0


def test_what_the_samples_are() -> None:
    assert SAMPLES["retina"]().scan.data.shape == (1411, 1411, 3)
    ct = SAMPLES["dicom-ct"]().scan
    assert ct.data.min() == -896  # HU
    assert SAMPLES["epi-4d"]().scan.has_time


def test_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "find_spec", lambda _: None)
    with pytest.raises(InputError) as told:
        SAMPLES["brain-template"]()
    assert "pip install napari-segreview[samples]" in str(told.value)


def test_phantom_volumes_are_those_of_ellipsoids() -> None:
    sample = SAMPLES["phantom"]()
    labels, grid = sample.labels, sample.scan.grid
    assert labels is not None
    assert grid.spacing == pytest.approx((2.5, 1.0, 1.0))
    assert grid.is_oblique
    filled = 0.0
    for value, (name, density, centre, half) in reversed(
        list(enumerate(samples.PHANTOM, 1))
    ):
        inside = labels.data == value
        filled += inside.sum() * grid.voxel_volume  # each lies within the one before
        assert filled == pytest.approx(4 / 3 * np.pi * np.prod(half), rel=0.02)
        assert (sample.scan.data[inside] == density).all()
        assert labels.table.name(value) == name
        whole = np.argwhere(labels.data >= value).mean(axis=0)
        np.testing.assert_allclose(grid.to_world(whole), centre, atol=0.3)


def test_importing_wakes_no_reader() -> None:
    code = (
        "import sys, napari_segreview.scans\n"
        "heavy = {'SimpleITK', 'pydicom', 'tifffile', 'PIL', 'torch', 'napari'}\n"
        "sys.exit(', '.join(heavy & sys.modules.keys()) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
