"""Where a net can run. Looks for a GPU without waking torch."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from contextlib import suppress
from functools import cache

from napari_segreview.core.protocols import Device
from src_models.errors import InputError

CPU = Device("cpu", "CPU")


@cache
def devices() -> tuple[Device, ...]:
    """The best first; the CPU is always there."""
    found = [*_nvidia()]
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        found.append(Device("mps", "Apple GPU"))
    return (*found, CPU)


def _nvidia() -> list[Device]:
    """As the driver lists them: "GPU 0 · NVIDIA L4 · 24 GB"."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = [program, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        text = subprocess.run(
            query, capture_output=True, text=True, timeout=5, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    found = []
    for index, line in enumerate(text.strip().splitlines()):
        name, _, mebibytes = line.rpartition(",")
        size = (
            f" · {float(mebibytes) / 1024:.0f} GB"
            if mebibytes.strip().isdigit()
            else ""
        )
        found.append(Device(f"cuda:{index}", f"GPU {index} · {name.strip()}{size}"))
    return found


def title_of(key: str) -> str:
    """The words for a device."""
    return next((one.title for one in devices() if one.key == key), key)


def usable(key: str) -> str:
    """The device itself; for "auto" the first that torch can use. Wakes torch.

    Raises
    ------
    InputError
        If torch cannot use the one that was asked for.
    """
    if key != "auto":
        check_device(key)
        return key
    for one in devices():
        with suppress(InputError):
            check_device(one.key)
            return one.key
    return CPU.key


def check_device(key: str) -> None:
    """Refuse a device that torch cannot use; wakes torch.

    Raises
    ------
    InputError
        With what to do.
    """
    import torch

    if not re.fullmatch(r"cpu|mps|cuda(:[0-9]+)?", key):
        raise InputError(f"no device {key!r}; there are cpu, cuda:0 …, mps")
    kind, _, index = key.partition(":")
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(
            f"{title_of(key)}: the installed PyTorch cannot use it (built for "
            f"{torch.version.cuda or 'the CPU only'}); choose the CPU, or install a "
            "PyTorch with CUDA as the README says"
        )
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"no device {key!r}; there are {torch.cuda.device_count()} GPUs"
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise InputError(
            "this machine has no Apple GPU that PyTorch can use; choose cpu"
        )
