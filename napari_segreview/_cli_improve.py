"""`segreview finetune`, `versions` and `gate`: the Improve panel without a window."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from napari_segreview.core.improve import verdict_of
from napari_segreview.core.reviews import Mark, checked_mask
from napari_segreview.engine import versions as kept_versions
from napari_segreview.engine.case_store import corrected, kept, load, shown_again
from napari_segreview.engine.models import models
from napari_segreview.scans import read_labels, read_one
from src_models.card import find_model, read_card
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from rich.console import Console

    from napari_segreview.core.protocols import Improved
    from napari_segreview.engine.case_store import Corrected
    from src_models.progress import Progress
    from src_models.training.gate import Verdict

UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds_of(text: str) -> float:
    """A duration such as 90s, 3m, 1h.

    Raises
    ------
    InputError
        If it is none above 0.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    seconds = float(match[1]) * UNITS[match[2]] if match else 0.0
    if seconds <= 0:
        raise InputError(f"a budget such as 90s, 3m or 1h is wanted, got {text!r}")
    return seconds


def marks_of(text: str) -> tuple[Mark, ...]:
    """What was checked, of each case: "" is all; "57,60-62" slices; "1:20" of axis 1.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    if not text:
        return (Mark(kind="scan"),)
    axis, _, places = text.rpartition(":")
    parts = [re.fullmatch(r"(\d+)(?:-(\d+))?", one) for one in places.split(",")]
    if not re.fullmatch(r"[012]?", axis) or not all(parts):
        raise InputError(
            f"checked slices such as 57,60-62, or 1:20 for axis 1, are wanted, got {text!r}"
        )
    found = []
    for one in parts:
        if one is not None:
            first, last = int(one[1]), int(one[2] or one[1])
            found += [
                Mark(axis=int(axis or 0), index=at) for at in range(first, last + 1)
            ]
    return tuple(found)


def read_pair(text: str, marks: Sequence[Mark], patient: str = "") -> Corrected:
    """IMAGE=LABELS → the case.

    Parameters
    ----------
    patient : str
        A regular expression on the image's name; its first group, or all that it finds,
        is the patient. "" takes what the file says.

    Raises
    ------
    InputError
        If it is no such pair, a file cannot be read, grids differ, no slice is left or no
        patient is found.
    """
    image, equals, truth = text.rpartition("=")
    if not equals:
        raise InputError(f"a case is IMAGE=LABELS, got {text!r}")
    scan, labels = read_one(Path(image)), read_labels(Path(truth))
    axes = {mark.axis for mark in marks if mark.kind == "slice"}
    if max(axes, default=0) >= scan.grid.ndim:
        raise InputError(
            f"{scan.name} is {scan.grid.ndim}D and has no axis {max(axes)}"
        )
    mask = checked_mask(marks, labels.data.shape, has_time=labels.has_time)
    return corrected(scan, labels, np.asarray(mask), _patient(patient, Path(image)))


def _patient(pattern: str, image: Path) -> str:
    try:
        found = re.search(pattern, image.name)
    except re.error as error:
        raise InputError(
            f"--patient {pattern!r} is no regular expression: {error}"
        ) from None
    if found is None:
        raise InputError(f"--patient {pattern!r} finds no patient in {image.name}")
    return found[1] if found.re.groups else found[0]


def finetune_steps(
    model: str,
    pairs: Sequence[str],
    locked: Sequence[str],
    *,
    slices: str,
    patient: str,
    budget: str,
    loss: str,
    device: str,
    out: Path | None,
) -> Generator[Progress, None, Improved]:
    """The gate run on files; cases kept by the window are shown again, or judge, too.

    Raises
    ------
    InputError
        As `improve`, and if a file, a mark or the budget cannot be read.
    """
    began = time.monotonic()
    if not pairs:
        raise InputError("nothing to learn from; give --case IMAGE=LABELS")
    marks, seconds = marks_of(slices), seconds_of(budget)
    fresh = tuple(read_pair(one, marks, patient) for one in pairs)
    judges = [read_pair(one, marks_of(""), patient) for one in locked]
    folder = find_model(model, models())
    name = read_card(folder).name
    if models().get(name) != folder:
        raise InputError(
            f"{folder} is not one of your models, so its versions cannot be kept; add it "
            f"first: segreview models --add {folder}"
        )
    judges += [load(one) for one in kept("locked", name)]
    own = {one.id for one in (*fresh, *judges)}
    shown = tuple(load(one) for one in shown_again(name, own))
    from napari_segreview.engine.finetune import Lessons, improve  # wakes torch
    from src_models.training.finetune import Tuning

    tuning = Tuning(budget_seconds=seconds, loss=loss, device=device)
    lessons = Lessons(fresh=fresh, earlier=shown, locked=tuple(judges))
    return improve(model, lessons, tuning, out=out, began=began)


def told(improved: Improved) -> str:
    return verdict_of(improved)


def gate_steps(
    one: str, other: str, pairs: Sequence[str], patient: str, device: str
) -> Generator[Progress, None, Verdict]:
    """Compare two models, each NAME, NAME@VERSION or a folder.

    Raises
    ------
    InputError
        If a model or file cannot be read, or the two do not read the cases.
    """
    folders = (_folder(one), _folder(other))
    cases = tuple(read_pair(pair, marks_of(""), patient) for pair in pairs)
    from napari_segreview.engine.judging import compare_models  # wakes torch

    return compare_models(*folders, cases, device)


def verdict_table(verdict: Verdict) -> Table:
    """A line for each structure and number."""
    table = Table(
        title="\n".join(verdict.reasons), box=SIMPLE_HEAD, title_justify="left"
    )
    for header in ("structure", "number", "A", "B", "B − A, 95 %"):
        table.add_column(header, justify="left" if header == "structure" else "right")
    for one in verdict.changes:
        low, high = one.difference.low, one.difference.high
        spread = f"{one.difference.mean:+.3f} [{low:+.3f}, {high:+.3f}]"
        cells = f"{one.active:.3f}", f"{one.candidate:.3f}", escape(spread)
        table.add_row(escape(one.structure), one.metric, *cells)
    return table


def show_versions(
    out: Console,
    say: Callable[[str], None],
    model: str,
    *,
    use: str,
    export: tuple[str, Path] | None,
    take: Path | None,
) -> None:
    """List versions of one model or of all, or do one thing with them.

    Raises
    ------
    InputError
        If there is no such model or version, or it may not be done.
    """
    if (use or export or take) and not model:
        raise InputError("name the model whose version is meant")
    if use:
        kept_versions.activate(model, use)
        say(f"{model}: {use} is now the active version")
    elif export:
        kept_versions.export(model, *export)
        say(f"Wrote {export[1]}")
    elif take:
        say(f"{model}: kept as {kept_versions.take(model, take)}, not active")
    else:
        if model:
            kept_versions.versions(model)  # says which models there are
        out.print(_versions_table([model] if model else [*models()]))


def _versions_table(names: Sequence[str]) -> Table:
    headers = ("model", "version", "standing", "why")
    table = Table(*headers, title="● active", title_justify="left", box=SIMPLE_HEAD)
    for name in names:
        for one in kept_versions.listed(name):
            dot = "●" if one.active else "○"
            why = escape("; ".join(one.reasons))
            table.add_row(escape(name), f"{dot} {one.id}", one.standing, why)
    return table


def _folder(model: str) -> Path:
    name, at, version = model.rpartition("@")
    if at and name in models():
        return kept_versions.version_folder(name, version)
    return find_model(model, models())
