"""Five checked slices of one scan: is the run over within three minutes?

    python benchmarks/finetune_five_slices.py --data FOLDER [--budget 3m]

The command line as a user starts it, on a crop of *mri_hippocampus* and on a made-up volume
of 512 × 512 × 120 voxels with a structure in it. Prints for each, as JSON: seconds by the
clock from the start of Python to its end, CPU seconds, how busy the machine was with other
work, what was decided. POSIX.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel
import numpy as np
from finetune_on_hippocampus import NAME

from napari_segreview.engine.models import VARIABLE

SHAPE = (120, 512, 512)


def large(folder: Path) -> tuple[str, str]:
    """Image and labels of a made-up scan, 1 mm: a ball of two parts in smooth noise."""
    random = np.random.default_rng(0)
    small = random.normal(0, 1, tuple(side // 8 for side in SHAPE))
    image = np.kron(small, np.ones((8, 8, 8))).astype(np.float32)
    far = sum(
        (axis - middle) ** 2
        for axis, middle in zip(
            np.ogrid[tuple(map(slice, SHAPE))], (60, 250, 250), strict=True
        )
    )
    labels = (far < 25**2).astype(np.uint8)
    labels[:, 250:] *= 2
    image += 3 * (labels > 0)
    paths = folder / "image.nii.gz", folder / "labels.nii.gz"
    for path, data in zip(paths, (image, labels), strict=True):
        nibabel.save(nibabel.Nifti1Image(data.T, np.diag([1.0, 1, 1, 1])), path)
    return str(paths[0]), str(paths[1])


def run(image: str, labels: str, slices: str, budget: str) -> dict[str, object]:
    words = ["--case", f"{image}={labels}", "--checked-slices", slices]
    words += ["--budget", budget, "--device", "cpu"]
    with tempfile.TemporaryDirectory() as own:
        began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "napari_segreview.cli",
                "finetune",
                "-m",
                NAME,
                *words,
            ],
            env={**os.environ, VARIABLE: own},
            capture_output=True,
            text=True,
            check=False,
        )
        took, after = (
            time.monotonic() - began,
            resource.getrusage(resource.RUSAGE_CHILDREN),
        )
    if done.returncode:
        raise SystemExit(done.stderr)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "seconds": round(took),
        "cpu_seconds": round(cpu),
        "cores": len(os.sched_getaffinity(0)),
        "load_of_the_machine": round(os.getloadavg()[0], 1),
        "said": done.stdout.strip().splitlines(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--budget", default="3m")
    wish = parser.parse_args()
    folder = wish.data / "mri_hippocampus"
    name = sorted(path.name for path in (folder / "images").iterdir())[0]
    with tempfile.TemporaryDirectory() as made:
        runs = {
            name: (
                str(folder / "images" / name),
                str(folder / "labels" / name),
                "12,15,18,21,24",
            ),
            " × ".join(map(str, SHAPE[::-1])): (*large(Path(made)), "45,52,60,67,75"),
        }
        for title, words in runs.items():
            line = {"scan": title, "budget": wish.budget, **run(*words, wish.budget)}
            sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
