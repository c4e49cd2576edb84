"""The click net's sets, read once into plain arrays; and its training on a terminal.

``python -m napari_segreview._click_training train RECIPE --data DIR --run DIR`` trains;
stopped or killed, the same command goes on.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

from napari_segreview.scans import read_labels, read_one
from src_models.data.click_cache import (
    INDEX,
    Entry,
    Planes,
    open_entry,
    read_index,
    store,
    write_index,
)
from src_models.data.splits import Side, side_of
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_segreview.core.scan import Scan
    from src_models.training.click_config import ClickRecipe, SetSpec, SplitSpec


@dataclass(frozen=True, slots=True)
class ClickSplit:
    """Cached cases by side; patients never straddle."""

    train: tuple[Planes, ...]
    validation: tuple[Planes, ...]
    locked: tuple[Planes, ...]


def prepare(recipe: ClickRecipe, root: Path, folder: Path) -> Iterator[Entry]:
    """Read every set of the recipe below `root` into `folder`; yields what it wrote.

    Raises
    ------
    InputError
        If a file is missing, a name does not match its set's pattern, or an image and
        its labels lie on different grids.
    """
    written = []
    for spec in recipe.sets:
        paths = sorted((root / spec.folder).glob(spec.images))
        if not paths:
            raise InputError(f"no images {spec.images} in {root / spec.folder}")
        for path in paths:
            for entry in _store_pair(spec, root / spec.folder, path, folder):
                written.append(entry)
                yield entry
    write_index(folder, written)


def _store_pair(spec: SetSpec, base: Path, path: Path, folder: Path) -> Iterator[Entry]:
    """One entry for each labelled frame of a file; none if it has no labels."""
    from skimage.measure import label

    stem = path.name.partition(".")[0]
    match = re.match(spec.group, path.name)
    if match is None:
        raise InputError(f"{path.name} does not match the set's group, {spec.group!r}")
    beside = base / spec.labels.format(stem=stem, group=match.group(1))
    if not beside.is_file():
        return
    scan, labels = read_one(path), read_labels(beside)
    apart = scan.grid.difference(labels.grid)
    if apart:
        raise InputError(f"{path.name} and its labels lie on different grids ({apart})")
    spacing = scan.grid.spacing if scan.grid.unit == "mm" else (1.0,) * scan.grid.ndim
    truths = labels.data if labels.has_time else labels.data[None]
    for at, (image, truth) in enumerate(zip(_frames(scan), truths, strict=True)):
        if not truth.any():
            continue
        if spec.pieces:
            truth = label(truth, connectivity=1)  # walls may be one diagonal thick
        entry = Entry(
            set=spec.folder,
            name=f"{spec.folder}-{stem}-{at}",
            group=match.group(1),
            spacing=((1.0, *spacing) if len(spacing) == 2 else tuple(spacing)),  # type: ignore[arg-type]
            instances=spec.instances or spec.pieces,
        )
        flat = truth.ndim == 2
        store(folder, entry, image, truth[None] if flat else truth)
        yield entry


def _frames(scan: Scan) -> npt.NDArray[Any]:
    """(frame, z, y, x, channel)."""
    data = scan.data if scan.has_time else scan.data[None]
    data = data if scan.has_channels else data[..., None]
    return data if data.ndim == 5 else data[:, None]


def split(
    entries: Sequence[Entry], spec: SplitSpec, folder: Path, sets: Sequence[str]
) -> ClickSplit:
    """Open the entries of `sets`, each on its patient's side."""
    sides: dict[Side, list[Planes]] = {"train": [], "validation": [], "locked": []}
    for entry in entries:
        if entry.set in sets:
            sides[side_of_entry(entry, spec)].append(open_entry(folder, entry))
    return ClickSplit(**{side: tuple(held) for side, held in sides.items()})


def side_of_entry(entry: Entry, spec: SplitSpec) -> Side:
    """By set and patient."""
    return side_of(
        f"{entry.set}/{entry.group}",
        salt=spec.salt,
        validation=spec.validation,
        locked=spec.locked,
    )


def train_click(
    recipe: Annotated[Path, typer.Argument(help="recipes/click/2d.toml or your own.")],
    data: Annotated[
        Path, typer.Option(envvar="SEGREVIEW_DATA", help="Folder that holds the sets.")
    ] = Path("data"),
    run: Annotated[Path | None, typer.Option(help="State of the run.")] = None,
    cache: Annotated[
        Path | None, typer.Option(help="The sets as plain arrays.")
    ] = None,
    without: Annotated[str, typer.Option(help="Sets to leave out: SET,SET …")] = "",
    device: Annotated[str, typer.Option(help="cpu, cuda, mps.")] = "cpu",
) -> None:
    """Train a click net; interrupted, the same command goes on where it was."""
    from src_models.training.click_config import read_click_recipe

    plan = read_click_recipe(recipe).without([one for one in without.split(",") if one])
    run = run or Path("runs") / plan.name
    cache = cache or run / "cache"
    if not (cache / INDEX).is_file():
        for entry in prepare(plan, data, cache):
            typer.echo(f"read {entry.name}")
    sets = [one.folder for one in plan.sets]
    sides = split(read_index(cache), plan.split, cache, sets)
    follow(plan, sides, run, device)
    typer.echo(f"done: {run}")


def export_click(
    recipe: Annotated[Path, typer.Argument(help="The recipe of the run.")],
    run: Annotated[Path, typer.Option(help="State of the run, finished or not.")],
    cache: Annotated[Path, typer.Option(help="The sets as plain arrays.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The net's folder.")],
    without: Annotated[str, typer.Option(help="Sets left out: SET,SET …")] = "",
) -> None:
    """Save what a run has learnt so far as a click net with its card."""
    from src_models.training.click_config import read_click_recipe
    from src_models.training.click_export import export

    plan = read_click_recipe(recipe).without([one for one in without.split(",") if one])
    sides: dict[str, list[Entry]] = {"train": [], "validation": [], "locked": []}
    for entry in read_index(cache):
        sides[side_of_entry(entry, plan.split)].append(entry)
    card = export(plan, run, output, sides)
    typer.echo(f"wrote {output}, {card.steps} steps")


def follow(plan: ClickRecipe, sides: ClickSplit, run: Path, device: str) -> None:
    """Run the training to its end: a line a minute, and one for each check."""
    from src_models.training.click_fit import ClickCheck, fit
    from src_models.training.click_judge import JudgeStep

    said, recent = time.monotonic(), []
    for step in fit(plan, sides.train, sides.validation, run, device=device):
        if isinstance(step, ClickCheck):
            typer.echo(
                f"check  step {step.step}  {step.hours:.2f} h  clicks to .85 "
                f"{step.clicks:.2f}  IoU after 1/3/5 {step.iou1:.3f} {step.iou3:.3f} "
                f"{step.iou5:.3f}"
            )
            continue
        if isinstance(step, JudgeStep):
            if step.number == step.of:
                typer.echo(f"judged the answers to {step.of} clicks")
            continue
        recent.append((step.loss, step.first_iou, step.last_iou))
        if time.monotonic() - said >= 60 or step.number == step.of:
            loss, first, last = np.mean(recent, 0)
            rate = len(recent) * plan.train.batch / (time.monotonic() - said)
            typer.echo(
                f"step {step.number}/{step.of}  loss {loss:.4f}  IoU first {first:.3f} "
                f"last {last:.3f}  {rate:.1f} samples/s"
            )
            said, recent = time.monotonic(), []


if __name__ == "__main__":
    app = typer.Typer()
    app.command("train")(train_click)
    app.command("export")(export_click)
    app()
