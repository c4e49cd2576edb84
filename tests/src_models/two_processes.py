"""Training runs for a process of its own: `python two_processes.py FOLDER JSON`.

`JSON`: {name: {"devices": …, "batch": …, "train": {…}}}, a run each, in FOLDER/name.
Started once, it starts its further processes itself.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from zoo import discs, make_recipe

from src_models.data.splits import Split
from src_models.progress import drain
from src_models.training.fit import fit


def run(folder: Path, *, devices: int, batch: int, train: dict[str, Any]) -> None:
    made = discs(7)
    cases = Split(tuple(made[:4]), tuple(made[4:6]), tuple(made[6:]))
    recipe = make_recipe(**train)
    patches = recipe.patches.model_copy(update={"batch": batch})
    recipe = recipe.model_copy(update={"patches": patches})
    drain(fit(recipe, cases, folder, accelerator="cpu", devices=devices))


def main() -> None:
    torch.set_num_threads(1)
    for name, wish in json.loads(sys.argv[2]).items():
        run(Path(sys.argv[1], name), **wish)


if __name__ == "__main__":
    main()
