"""Streamed inference beside MONAI's sliding window: CPU seconds, memory, agreement.

    python benchmarks/inference_vs_monai.py [--side 192] [--classes 24]

One JSON line. Each side runs in a process of its own, on one thread, in float32, with the
same seeded net, volume, window and overlap.
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

import numpy as np

WINDOW, OVERLAP = (48, 48, 48), 0.5


def volume(side: int) -> np.ndarray:
    """Smooth noise, (1, side/2, side, side) float32."""
    from scipy import ndimage

    noise = np.random.default_rng(0).normal(size=(side // 2, side, side))
    return ndimage.gaussian_filter(noise, 3).astype(np.float32)[None]


def own(net: object, image: np.ndarray, classes: int) -> np.ndarray:
    from src_models.card import Intensity, NetSpec, TrainedCard
    from src_models.inference import Options, predict
    from src_models.progress import drain

    card = TrainedCard.model_construct(
        title="benchmark",
        net=NetSpec(system="unet", ndim=3, in_channels=1, classes=classes),
        intensity=Intensity(kind="zscore"),
        spacing=None,
        patch=WINDOW,
        mirror_axes=(),
    )
    options = Options(overlap=OVERLAP, half=False)
    steps = predict(net, card, image[None], spacing=(1.0, 1.0, 1.0), options=options)
    return drain(steps)[0]


def monai(net: object, image: np.ndarray, classes: int) -> np.ndarray:
    import torch
    from monai.inferers import sliding_window_inference

    from src_models.card import Intensity
    from src_models.inference.intensity import normalise

    batch = torch.from_numpy(normalise(image, Intensity(kind="zscore")))[None]
    with torch.inference_mode():
        logits = sliding_window_inference(
            batch, WINDOW, 1, net, overlap=OVERLAP, mode="gaussian"
        )
    return logits[0].argmax(0).to(torch.uint8).numpy()


def measure(who: str, side: int, classes: int, out: Path) -> None:
    import torch

    from src_models import create_model

    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = create_model("unet", ndim=3, in_channels=1, classes=classes).eval()
    image = volume(side)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    labels = {"own": own, "monai": monai}[who](net, image, classes)
    seconds = time.process_time() - began
    extra = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    np.save(out, labels)
    print(json.dumps({"cpu_s": round(seconds, 2), "extra_mb": round(extra / 1024)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=192)
    parser.add_argument("--classes", type=int, default=24)
    parser.add_argument("--who", choices=["own", "monai"])
    parser.add_argument("--out", type=Path)
    wish = parser.parse_args()
    if wish.who:
        measure(wish.who, wish.side, wish.classes, wish.out)
        return
    result: dict[str, object] = {"side": wish.side, "classes": wish.classes}
    with tempfile.TemporaryDirectory() as folder:
        kept = {who: Path(folder, f"{who}.npy") for who in ("own", "monai")}
        for who, path in kept.items():
            size = ["--side", str(wish.side), "--classes", str(wish.classes)]
            done = subprocess.run(
                [
                    sys.executable,
                    "-W",
                    "ignore",
                    __file__,
                    "--who",
                    who,
                    "--out",
                    path,
                    *size,
                ],
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
            result[who] = json.loads(done.stdout.splitlines()[-1])
        same = np.load(kept["own"]) == np.load(kept["monai"])
        result["agreement"] = round(float(same.mean()), 6)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
