"""`segreview report | readers | score-cohort`: comparing files without a window."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, TypeVar

import typer
from rich.markup import escape
from rich.table import Table

from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from rich.console import Console

    from napari_segreview.core.cohort import CaseScore
    from napari_segreview.core.labels import LabelMap
    from napari_segreview.core.study import Study
    from napari_segreview.core.table import Table as Content

T = TypeVar("T")
Resample = Annotated[
    bool, typer.Option(help="Bring labels on another grid onto the reference's.")
]
AreOption = Annotated[
    Literal["parts", "labels"],
    typer.Option(help="Objects are connected parts of a label, or the labels."),
]
MatchOption = Annotated[
    Literal["iou", "centre"], typer.Option(help="By overlap, or by the centre inside.")
]
ThresholdOption = Annotated[float, typer.Option(help="For iou: above which.")]
Names = Annotated[
    bool,
    typer.Option(help="Write the cases' names too; they may name patients."),
]
Tolerance = Annotated[float, typer.Option(help="For the NSD; mm (or px).")]


class Say(Protocol):
    def __call__(self, text: str, /) -> None: ...


class Follow(Protocol):
    def __call__(self, steps: Generator[Any, None, T], /) -> T: ...


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where a command talks: tables, lines, and long work with its progress."""

    out: Console
    say: Say
    follow: Follow


def read_pair(prediction: Path, reference: Path) -> tuple[LabelMap, LabelMap]:
    """Labels of two files, by names that tell them apart."""
    from napari_segreview._readers import names_of
    from napari_segreview.scans import read_labels

    mine, theirs = read_labels(prediction), read_labels(reference)
    if mine.name == theirs.name and prediction != reference:
        names = names_of([prediction, reference])
        mine, theirs = replace(mine, name=names[0]), replace(theirs, name=names[1])
    return mine, theirs


def report(
    context: typer.Context,
    image: Annotated[Path, typer.Argument(help="What the labels were drawn on.")],
    prediction: Annotated[Path, typer.Argument(help="Labels to judge.")],
    reference: Annotated[Path, typer.Argument(help="Labels to trust.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The page to write.")],
    tolerance: Tolerance = 2.0,
    model: Annotated[str, typer.Option(help="The model that made them.")] = "",
    names: Annotated[bool, typer.Option(help="Tell file names too.")] = False,
    resample: Resample = False,
    with_objects: Annotated[
        bool, typer.Option("--objects", help="Found, missed and false objects too.")
    ] = False,
    are: AreOption = "parts",
    match: MatchOption = "iou",
    threshold: ThresholdOption = 0.5,
) -> None:
    """Write a page with scores and pictures of the worst slices; CSV and JSON beside."""
    from napari_segreview.core.objects import ObjectWish
    from napari_segreview.engine.case_report import checked_page, write_case
    from napari_segreview.engine.objects import find_objects
    from napari_segreview.scans import read_one

    checked_page(output)  # before minutes of work
    terminal: Terminal = context.obj
    pair = read_pair(prediction, reference)
    found = None
    if with_objects:
        wish = ObjectWish(are=are, rule=match, threshold=threshold)
        found = terminal.follow(find_objects(*pair, wish, resample=resample))
    steps = write_case(
        *pair,
        read_one(image),
        output,
        tolerance=tolerance,
        model=model,
        with_names=names,
        resample=resample,
        objects=found,
    )
    terminal.say(f"Wrote {terminal.follow(steps)}")


def objects(
    context: typer.Context,
    prediction: Annotated[Path, typer.Argument(help="Labels to judge.")],
    reference: Annotated[Path, typer.Argument(help="Labels to trust.")],
    are: AreOption = "parts",
    match: MatchOption = "iou",
    threshold: ThresholdOption = 0.5,
    resample: Resample = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Count found, missed and false objects: lesions, nuclei."""
    from napari_segreview.core.objects import ObjectWish, object_facts, object_table
    from napari_segreview.engine.objects import find_objects

    terminal: Terminal = context.obj
    wish = ObjectWish(are=are, rule=match, threshold=threshold)
    pair = read_pair(prediction, reference)
    found = terminal.follow(find_objects(*pair, wish, resample=resample))
    if as_json:
        typer.echo(json.dumps(object_facts(found), ensure_ascii=False, indent=2))
        return
    for note in found.notes:
        terminal.say(note)
    terminal.out.print(_as_rich(object_table(found), f"Objects: {wish.words}"))


def readers(
    context: typer.Context,
    labels: Annotated[
        list[Path], typer.Argument(help="A file (or a folder of cases) a reader.")
    ],
    model: Annotated[Path | None, typer.Option(help="A model's labels.")] = None,
    tolerance: Tolerance = 2.0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder: page, consensus.")
    ] = None,
    names: Names = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Hold several people's labels against each other, and a model against them."""
    from napari_segreview import _readers
    from napari_segreview.engine import readers_page

    terminal: Terminal = context.obj
    steps = _readers.readers(labels, model, tolerance, output, with_names=names)
    study = terminal.follow(steps)
    if as_json:
        typer.echo(readers_page.as_json(study))
    else:
        _tell_study(terminal.out, study)


def score_cohort(
    context: typer.Context,
    predictions: Annotated[
        Path, typer.Argument(help="A folder; or a CSV of case, prediction, reference.")
    ],
    references: Annotated[Path | None, typer.Argument(help="A folder.")] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of what is written and kept.")
    ] = Path("cohort"),
    second: Annotated[
        Path | None, typer.Option(help="Another model's predictions, to compare.")
    ] = None,
    model: Annotated[str, typer.Option(help="The model that made them.")] = "",
    second_model: Annotated[str, typer.Option(help="The same of the second.")] = "",
    tolerance: Tolerance = 2.0,
    scheduler: Annotated[str, typer.Option(help="A dask scheduler's address.")] = "",
    resample: Resample = False,
    names: Names = False,
) -> None:
    """Score many cases; what is finished is not scored again."""
    from napari_segreview import _cohort
    from napari_segreview.core.numbering import ORDER
    from napari_segreview.engine.cohort_page import settings, write_cohort

    terminal: Terminal = context.obj
    made_by = model, second_model
    settings((), made_by)  # whether there are such models, before hours of work
    pairs = _cohort.cases_in(predictions, references, second)
    steps = _cohort.score_cohort(
        pairs,
        output,
        tolerance=tolerance,
        resample=resample,
        scheduler=scheduler,
    )
    cases = terminal.follow(steps)
    _tell_cohort(terminal.out, cases)
    page = write_cohort(cases, output / "cohort.html", made_by, with_names=names)
    terminal.say(f"Wrote {page}" if names else f"Wrote {page}; its cases are {ORDER}")


COMMANDS = (report, objects, readers, score_cohort)


def _tell_study(out: Console, study: Study) -> None:
    from napari_segreview.core.readers import RULE, pair_table, spread_table

    cases = len({one.case for one in study.pairs})
    out.print(_as_rich(pair_table(study), f"Readers, {cases} case(s)"))
    if study.model:
        out.print(_as_rich(spread_table(study), f"{study.model} against the readers"))
        out.print(RULE, markup=False, highlight=False)


def _tell_cohort(out: Console, cases: Sequence[CaseScore]) -> None:
    """Show the tables.

    Raises
    ------
    InputError
        If no case has a score: then there is nothing to sum up.
    """
    from napari_segreview.core.cohort import (
        case_table,
        difference_table,
        summary_table,
    )

    out.print(_as_rich(case_table(cases), "Cases, the worst first"))
    if not any(one.report for one in cases):
        raise InputError("no case could be scored; the table says why")
    out.print(_as_rich(summary_table(cases), "Structures"))
    compared = difference_table(cases)
    if compared.rows:
        out.print(_as_rich(compared, "Second against first model"))


def _as_rich(content: Content, title: str) -> Table:
    table = Table(title=escape(title), title_justify="left")
    for at, header in enumerate(content.headers):
        table.add_column(escape(header), justify="right" if at else "left")
    for row in content.rows:
        table.add_row(*(escape(cell.text) for cell in row))
    return table
