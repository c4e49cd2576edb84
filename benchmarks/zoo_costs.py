"""What the catalogue costs: seconds of a forward pass, parameters, stored activations.

    python benchmarks/zoo_costs.py [--threads 2] [--only NAME]

A JSON line for each compact preset (256² or 64³, one channel, two classes, float32, median
of five in evaluation), then one for each depth of the reversible U-Net beside its plain
twin (bytes kept from forward to backward, 96³ of four channels, float32).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from functools import partial

import torch
from torch import Tensor, nn

from src_models.catalog import CARDS, create_model
from src_models.nets.reversible_unet import RevSequence
from src_models.training.memory import stored_sizes

SIDES = {2: 256, 3: 64}
MIB = 2**20


def seconds(net: nn.Module, x: Tensor, repeats: int = 5) -> float:
    """Median of some passes after a first one."""
    took = []
    with torch.inference_mode():
        net(x)
        for _ in range(repeats):
            began = time.perf_counter()
            net(x)
            took.append(time.perf_counter() - began)
    return statistics.median(took)


def compact(only: str) -> None:
    for name, card in CARDS.items():
        for ndim in card.dims if only in name else ():
            torch.manual_seed(0)
            net = create_model(name, ndim=ndim, in_channels=1, classes=2).eval()
            took = seconds(net, torch.randn(1, 1, *(SIDES[ndim],) * ndim))
            line = {"system": name, "ndim": ndim, "side": SIDES[ndim]}
            count = card.compact_parameters[ndim]
            print(json.dumps(line | {"parameters": count, "seconds": round(took, 3)}))


def reversible(side: int = 96) -> None:
    inverting = RevSequence.forward
    for depth in (1, 2, 3, 4):
        preset = "paper" if depth == 1 else f"paper-{depth}"
        kept = {}
        for kind, forward in (("reversible", inverting), ("plain", RevSequence.plain)):
            RevSequence.forward = forward  # type: ignore[method-assign]
            with torch.device("meta"):  # shapes alone say it
                net = create_model(
                    "reversible-unet", ndim=3, in_channels=4, classes=3, preset=preset
                )
                x = torch.empty(1, 4, side, side, side)
                kept[kind] = sum(stored_sizes(net, partial(net, x))) / MIB
        RevSequence.forward = inverting  # type: ignore[method-assign]
        line = {"depth": depth, **{f"{k}_mib": round(v, 1) for k, v in kept.items()}}
        line["ratio"] = round(kept["reversible"] / kept["plain"], 3)
        print(json.dumps(line))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="part of a system's name")
    wish = parser.parse_args()
    torch.set_num_threads(wish.threads)
    compact(wish.only)
    if wish.only in "reversible-unet":
        reversible()
