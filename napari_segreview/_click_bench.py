"""The click bench on a terminal: a predictor, the sets of a recipe, a table.

``python -m napari_segreview._click_bench RECIPE --data DIR --cache DIR`` measures what is
bundled; ``--predictor module:factory`` anything else.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_segreview._click_training import prepare, split
from src_models.data.click_cache import INDEX, open_entry, read_index

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from src_models.data.click_cache import Planes
    from src_models.interactive.weights import ClickCard
    from src_models.training.click_bench import Line, Predictor, Trial
    from src_models.training.click_config import ClickRecipe

OURS = "src_models.interactive:bench_predictor"


def bench_click(
    recipe: Annotated[Path, typer.Argument(help="recipes/click/2d.toml or your own.")],
    data: Annotated[
        Path, typer.Option(envvar="SEGREVIEW_DATA", help="Folder that holds the sets.")
    ] = Path("data"),
    cache: Annotated[Path, typer.Option(help="The sets as plain arrays.")] = Path(
        "runs/click-bench"
    ),
    predictor: Annotated[str, typer.Option(help="module:factory")] = OURS,
    model: Annotated[Path | None, typer.Option(help="Folder of a click net.")] = None,
    sets: Annotated[str, typer.Option(help="Only these: SET,SET …")] = "",
    without: Annotated[str, typer.Option(help="Sets the net never saw.")] = "",
    side: Annotated[
        str, typer.Option(help="locked or validation patients.")
    ] = "locked",
    most: Annotated[int, typer.Option(help="Targets of a set.")] = 8,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="One JSON line a target.")
    ] = None,
    card: Annotated[
        bool, typer.Option(help="Write the scores into the card of --model.")
    ] = False,
) -> None:
    """Let a simulated user click on patients kept out of training, and on unseen sets."""
    from src_models.training.click_bench import bench
    from src_models.training.click_bench_targets import scored_targets
    from src_models.training.click_config import read_click_recipe

    plan = read_click_recipe(recipe)
    left_out = [one for one in without.split(",") if one]
    planes = held_out(plan, data, cache, side, left_out)
    if sets:
        planes = [one for one in planes if one.entry.set in sets.split(",")]
    if plan.net.ndim == 3:
        from src_models.interactive import volume_predictor
        from src_models.training.click_bench_volumes import (
            bench_volumes,
            volume_targets,
        )

        steps = bench_volumes(volume_predictor(model), volume_targets(planes, most))
    else:
        steps = bench(_driven(model, predictor), scored_targets(planes, most))
    lines = follow(steps, output)
    for line in table(lines):
        typer.echo(line)
    if card and model:
        keep_scores(model, lines, {one.folder for one in plan.without(left_out).sets})


def held_out(
    plan: ClickRecipe,
    data: Path,
    cache: Path,
    side: str = "locked",
    without: Sequence[str] = (),
) -> list[Planes]:
    """Patients of one side of the sets learnt from, then all of the unseen sets.

    The sets `without` which a net was trained are unseen too; a set with no
    patient on that side is missing.
    """
    unseen = plan.model_copy(update={"sets": plan.unseen})
    for one, folder in ((plan, cache / "sets"), (unseen, cache / "unseen")):
        if not (folder / INDEX).is_file():
            for entry in prepare(one, data, folder):
                typer.echo(f"read {entry.name}")
    entries = read_index(cache / "sets")
    names = [one.folder for one in plan.without(without).sets]
    sides = split(entries, plan.split, cache / "sets", names)
    known: tuple[Planes, ...] = getattr(sides, side)
    left = [open_entry(cache / "sets", e) for e in entries if e.set in without]
    rest = read_index(cache / "unseen")
    return [*known, *left, *(open_entry(cache / "unseen", entry) for entry in rest)]


def _driven(model: Path | None, predictor: str) -> Predictor:
    from src_models.interactive import click_predictor
    from src_models.training.click_bench import load_predictor

    return click_predictor(model) if model else load_predictor(predictor)


def follow(
    steps: Generator[Trial, None, list[Line]], output: Path | None
) -> list[Line]:
    """Bench to its end, each trial written as it comes."""
    if output:
        output.write_text("", encoding="utf-8")
    while True:
        try:
            trial = next(steps)
        except StopIteration as end:
            lines: list[Line] = end.value
            return lines
        if output:
            with output.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(trial)) + "\n")


def keep_scores(folder: Path, lines: list[Line], seen: set[str]) -> None:
    """Write the lines of sets learnt from, and of the others, into a click net's card."""
    from src_models.interactive.weights import SetScores, load_click_net, write_card

    _, card = load_click_net(folder)
    *sets, _ = lines
    scores = [
        SetScores(
            name=line.name,
            targets=line.targets,
            clicks=line.clicks,
            failures=line.failures,
            ious=line.ious,
        )
        for line in sets
    ]
    known = tuple(one for one in scores if one.name in seen)
    rest = tuple(one for one in scores if one.name not in seen)
    write_card(card.model_copy(update={"seen": known, "unseen": rest}), folder)


def score_rows(card: ClickCard) -> list[str]:
    """Rows of a table in Markdown: what the card says of each set, seen ones first."""
    rows = []
    for word, scores in (("seen", card.seen), ("unseen", card.unseen)):
        for one in scores:
            clicks = " / ".join(f"{value:.1f}" for value in one.clicks)
            failures = " / ".join(f"{100 * value:.0f} %" for value in one.failures)
            ious = " | ".join(f"{value:.2f}" for value in one.ious)
            rows.append(
                f"| {one.name} | {word} | {one.targets} | {clicks} | {failures} | {ious} |"
            )
    return rows


def table(lines: list[Line]) -> list[str]:
    """Rows of a table in Markdown."""
    head = "| set | targets | clicks to .85 / .90 | failures | IoU after 1/3/5/10 | "
    rows = [head + "prepare s | ms a click, median / 95 % |", "|---" * 7 + "|"]
    for line in lines:
        clicks = " / ".join(f"{value:.1f}" for value in line.clicks)
        failures = " / ".join(f"{100 * value:.0f} %" for value in line.failures)
        ious = " ".join(f"{value:.2f}" for value in line.ious)
        seconds = " / ".join(f"{1000 * value:.0f}" for value in line.click_s)
        rows.append(
            f"| {line.name} | {line.targets} | {clicks} | {failures} | {ious} | "
            f"{line.prepare_s:.2f} | {seconds} |"
        )
    return rows


if __name__ == "__main__":
    typer.run(bench_click)
