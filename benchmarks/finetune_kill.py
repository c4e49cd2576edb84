"""Kill -9 in the middle of improving a model, many times: is anything lost?

    python benchmarks/finetune_kill.py [--runs 20] [--seed 0]

A process does what the Improve button does, on made-up scans with a small-patched copy of
a bundled model: keeps the corrections, trains, judges, writes the version, moves the
pointer. It is killed at a random moment, half of the time late, when it writes. What must
hold then: the model that was active is byte for byte what it was; active is that one or
the new one, whole and accepted; every listed version is whole; every kept case can be
read; nothing else is listed. The next run starts in what the killed one left. At the end
one run is let go to its end: it must succeed, and leave nothing unfinished behind. Prints
a line of JSON. Not for Windows (it forks).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import LabelMap, LabelTable
from napari_segreview.core.protocols import TuneWish
from napari_segreview.core.scan import Scan
from napari_segreview.engine import case_store, finetune
from napari_segreview.engine.case_store import Corrected, corrected, keep, kept, load
from napari_segreview.engine.models import VARIABLE, install, models
from napari_segreview.engine.versions import versions
from src_models.card import bundled, read_card
from src_models.training.finetune import Tuning
from src_models.weights import check_weights, load_model, save_model

NAME, BASE_MODEL = "kill", "hippocampus-unet3d"
SIDE, PATCH = 20, 24
STEPS = 6
LOCKED = 4  # as many as the gate needs to decide

Bytes = dict[str, bytes]
Tell = Callable[[], object]


def scan_of(seed: int) -> tuple[Scan, LabelMap]:
    """A bright ball of two parts in noise, and its labels."""
    random = np.random.default_rng(seed)
    places = np.indices((SIDE,) * 3).T - random.uniform(8, 12, 3)
    ball = ((places**2).sum(axis=-1) < random.uniform(20, 40)).T
    labels = (ball * (1 + (places[..., 0].T > 0))).astype(np.uint8)
    image = (labels + random.normal(0, 0.3, labels.shape)).astype(np.float32)
    grid = Grid.from_spacing(labels.shape, (1.0, 1.0, 1.0))
    table = LabelTable.of({1: "anterior hippocampus", 2: "posterior hippocampus"})
    return (
        Scan(data=image, grid=grid, name=f"scan {seed}", modality="MR"),
        LabelMap(data=labels, grid=grid, table=table, name="working"),
    )


def case_of(seed: int) -> Corrected:
    scan, labels = scan_of(seed)
    return corrected(scan, labels, np.ones(labels.data.shape, bool))


def prepare() -> None:
    """A model of small patches, and locked cases that judge it."""
    net, card = load_model(bundled()[BASE_MODEL])
    small = {"name": NAME, "patch": (PATCH,) * 3, "spacing": None, "mirror": False}
    with tempfile.TemporaryDirectory() as folder:
        save_model(net, card.model_copy(update=small), Path(folder))
        install(Path(folder))
    case_store.decide_side = lambda *_: "locked"
    for number in range(LOCKED):
        keep(case_of(number), NAME)


def work(seed: int, tell: Tell) -> None:
    """What the button does; tells of each report."""
    finetune.Tuning = lambda **_: Tuning(steps=STEPS, checks=3, learning_rate=3e-3)
    case_store.decide_side = lambda *_: "train"
    scan, labels = scan_of(1000 + seed)
    checked = np.ones(labels.data.shape, bool)
    steps = finetune.improve_on(
        corrected(scan, labels, checked), TuneWish(model=NAME, device="cpu")
    )
    for _ in steps:
        tell()
    tell()


def started(do: Callable[[Tell], object]) -> tuple[int, int]:
    """Work in a process of its own: its id, and where its reports are heard.

    Only there does PyTorch compute: a process in which it has may not be forked.
    """
    heard, tell = os.pipe()
    child = os.fork()
    if child == 0:
        status = 2
        try:
            os.close(heard)
            do(lambda: os.write(tell, b"."))
            status = 0
        except Exception:  # noqa: BLE001  said, then counted by its status
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(tell)
    return child, heard


def ended(child: int) -> bool:
    """Whether it was killed; what has failed by itself is an error."""
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status) and os.waitstatus_to_exitcode(status) != 0:
        raise RuntimeError(f"the worker failed: status {status}")
    return os.WIFSIGNALED(status)


def killed_run(seed: int, at: int, delay: float) -> bool:
    """Killed so many seconds after so many reports; False if it was over by then."""
    child, heard = started(partial(work, seed))
    count = 0
    while count < at and (more := os.read(heard, at - count)):
        count += len(more)
    until = time.perf_counter() + delay
    while time.perf_counter() < until:
        pass
    os.kill(child, signal.SIGKILL)
    os.close(heard)
    return ended(child)


def whole_run(seed: int) -> tuple[int, float]:
    """Let go to its end: how many reports, and the seconds between the last two."""
    child, heard = started(partial(work, seed))
    times = []
    while os.read(heard, 1):
        times.append(time.perf_counter())
    os.close(heard)
    ended(child)
    return len(times), times[-1] - times[-2]


def written(folder: Path) -> Bytes:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def faults(before: Bytes, active: Path, cases: dict[str, bytes]) -> list[str]:
    """What was lost or is not whole; nothing if all is well."""
    found = []
    if written(active) != before:
        found.append("the active model has changed")
    now = models()[NAME]
    rows = versions(NAME)
    if now != active:
        row = next(one for one in rows if one.folder == now)
        if row.record is None or row.record.standing != "accepted":
            found.append(f"{row.id} is active and was not accepted")
    for row in rows:
        check_weights(row.folder, read_card(row.folder))
    sides = kept("train", NAME), kept("locked", NAME)
    if not cases.keys() <= {*sides[0], *sides[1]} or len(sides[1]) != LOCKED:
        found.append("a kept case is gone")
    for one in (*sides[0], *sides[1]):
        if cases.get(one, content(one)) != content(one):
            found.append(f"the kept case {one} has changed")
    return found


def kept_ids() -> tuple[str, ...]:
    return (*kept("train", NAME), *kept("locked", NAME))


def content(case: str) -> bytes:
    one = load(case)
    return b"".join(x.tobytes() for x in (one.scan.data, one.labels.data, one.checked))


def unfinished(own: Path) -> list[str]:
    """Files and folders that only a run under way may have."""
    return [
        str(path.relative_to(own)) for path in own.rglob("*") if ".new" in path.name
    ]


def run(runs: int, seed: int) -> dict[str, object]:
    """So many kills, one after the other in the same folder, then one whole run."""
    moment, lost = np.random.default_rng(seed), list[str]()
    over = killed = moved = left = 0
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder)
        os.environ[VARIABLE] = folder
        child, _ = started(lambda _: prepare())
        ended(child)
        reports, ending = whole_run(999)
        while killed < runs:
            number = killed + over
            active = models()[NAME]
            before = written(active)
            cases = {one: content(one) for one in kept_ids()}
            late = number % 2
            at = reports - 1 if late else int(moment.integers(0, reports))
            delay = float(moment.uniform(0, ending if late else 0.05))
            if killed_run(number, at, delay):
                killed += 1
            else:
                over += 1
            lost += [f"run {number}: {one}" for one in faults(before, active, cases)]
            moved += models()[NAME] != active
            left += bool(unfinished(own))
        whole_run(998)
        made = len(versions(NAME)) - 1
        lost += [f"left behind: {one}" for one in unfinished(own)]
    return {
        "killed": killed,
        "over_before_the_kill": over,
        "new_model_active_by_then": moved,
        "unfinished_files_found": left,
        "versions_made": made,
        "lost": lost,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    sys.stdout.write(json.dumps(run(given.runs, given.seed)) + "\n")
