"""Where a net can run, with and without a driver that says so."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import pytest

from napari_segreview.core.protocols import Device
from napari_segreview.engine.device import (
    check_device,
    devices,
    title_of,
    usable,
)
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CPU = Device("cpu", "CPU")


@pytest.fixture(autouse=True)
def _looked_for_afresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    devices.cache_clear()
    yield
    devices.cache_clear()


def driver(folder: Path, script: str) -> None:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_without_a_driver_there_is_the_cpu() -> None:
    assert devices() == (CPU,)


def test_gpus_as_the_driver_lists_them(tmp_path: Path) -> None:
    driver(tmp_path, 'echo "NVIDIA L4, 23034"; echo "Odd, One, 8192"; echo "A, [N/A]"')
    assert devices() == (
        Device("cuda:0", "GPU 0 · NVIDIA L4 · 22 GB"),
        Device("cuda:1", "GPU 1 · Odd, One · 8 GB"),
        Device("cuda:2", "GPU 2 · A"),
        CPU,
    )
    assert title_of("cuda:1") == "GPU 1 · Odd, One · 8 GB"
    assert title_of("cuda:9") == "cuda:9"


@pytest.mark.parametrize("script", ["exit 9", "echo broken >&2; exit 1", "true"])
def test_a_driver_that_fails_is_no_driver(tmp_path: Path, script: str) -> None:
    driver(tmp_path, script)
    assert devices() == (CPU,)


def test_a_driver_that_cannot_be_run(tmp_path: Path) -> None:
    path = tmp_path / "nvidia-smi"
    path.write_text("no program")
    path.chmod(0o755)
    assert devices() == (CPU,)


def test_an_apple_gpu_comes_before_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert devices() == (Device("mps", "Apple GPU"), CPU)


def test_the_cpu_is_always_good() -> None:
    check_device("cpu")


def test_a_gpu_that_the_installed_torch_cannot_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    driver(tmp_path, 'echo "NVIDIA L4, 24576"')
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="GPU 0 · NVIDIA L4 · 24 GB: the installed Py"):
        check_device("cuda:0")


@pytest.mark.parametrize("key", ["cuda:2", "cuda:x", "cuda:-1", "cuda:"])
def test_a_gpu_beyond_those_there_are(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for good in ("cuda", "cuda:0", "cuda:1"):
        check_device(good)
    with pytest.raises(InputError, match="no device"):
        check_device(key)


@pytest.mark.parametrize("works", [True, False])
def test_auto_takes_the_first_that_torch_can_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, works: bool
) -> None:
    import torch

    driver(tmp_path, 'echo "NVIDIA L4, 24576"')
    monkeypatch.setattr(torch.cuda, "is_available", lambda: works)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert usable("auto") == ("cuda:0" if works else "cpu")
    with pytest.raises(InputError, match="no device"):
        usable("gpu")
