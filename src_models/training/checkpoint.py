"""A run on disk: tensors as safetensors, the rest as JSON. Nothing is pickled."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from src_models.errors import InputError
from src_models.weights import save_tensors

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from lightning_fabric.plugins import Precision
    from torch import Tensor, nn

PARTS = ("net", "ema")
FACTS = {"epoch", "best", "history", "recipe", "scaler"}
BEST = "best.safetensors"
# Best of the nets taught beside: without the method, and by made images alone.
BASELINE, SYNTHETIC = "baseline.safetensors", "synthetic.safetensors"
BESIDE = {"baseline": BASELINE, "synthetic": SYNTHETIC}
# What reading a file that is cut, edited or of another net can end in.
DAMAGE = (OSError, SafetensorError, ValueError, TypeError, LookupError, RuntimeError)


def save(
    folder: Path,
    *,
    net: nn.Module,
    ema: nn.Module,
    optimizer: torch.optim.Optimizer,
    precision: Precision | None = None,
    facts: dict[str, Any],
) -> None:
    """Write the state after an epoch; the earlier one stays until this one is whole.

    `facts` (JSON) names the tensor file, so that the two can never be of different epochs.
    With them goes the scale of 16-bit gradients, where `precision` keeps one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, Tensor] = {}
    for part, module in zip(PARTS, (net, ema), strict=True):
        tensors |= {f"{part}/{k}": v for k, v in module.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{k}": v for k, v in state.items()}
    name = f"state-{facts['epoch']}.safetensors"
    save_tensors(tensors, folder / name)
    scaler = precision.state_dict() if precision else {}
    held = {**facts, "tensors": name, "scaler": scaler}
    fresh = folder / "state.json.new"
    try:
        fresh.write_text(json.dumps(held), encoding="utf-8")
        os.replace(fresh, folder / "state.json")
    finally:
        fresh.unlink(missing_ok=True)
    for old in folder.glob("state-*.safetensors"):
        if old.name != name:
            old.unlink()


def load(
    folder: Path,
    *,
    net: nn.Module,
    ema: nn.Module,
    optimizer: torch.optim.Optimizer,
    precision: Precision | None = None,
) -> dict[str, Any] | None:
    """Put the saved state back; returns its facts, None if there is none.

    Raises
    ------
    InputError
        If the files are damaged or of another net.
    """
    path = folder / "state.json"
    if not path.is_file():
        return None
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        tensors = load_file(folder / facts["tensors"])
        for part, module in zip(PARTS, (net, ema), strict=True):
            module.load_state_dict(_below(tensors, part))
        missing = FACTS - facts.keys()
        if missing:
            raise ValueError(f"{path.name} lacks {', '.join(sorted(missing))}")
        scaler = facts.pop("scaler")
        if precision:
            precision.load_state_dict(scaler)
    except DAMAGE as error:
        raise _beyond_repair(folder, error) from None
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in _below(tensors, "optimizer").items():
        index, _, name = key.partition("/")
        state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return facts


def load_best(folder: Path, net: nn.Module, name: str = BEST) -> None:
    """Give the net the best weights of the run, or those in its file of another name.

    Raises
    ------
    InputError
        If their file is missing, damaged or of another net.
    """
    try:
        net.load_state_dict(load_file(folder / name))
    except DAMAGE as error:
        raise _beyond_repair(folder, error) from None


def _beyond_repair(folder: Path, error: Exception) -> InputError:
    return InputError(
        f"{folder}: the interrupted run cannot be resumed ({_line(error)}); delete the "
        "folder to start again"
    )


def _below(tensors: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    head = part + "/"
    return {k.removeprefix(head): v for k, v in tensors.items() if k.startswith(head)}


def _line(error: Exception) -> str:
    return str(error).splitlines()[0][:160] if str(error) else type(error).__name__
