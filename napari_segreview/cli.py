"""All of it without a window: `segreview …`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from napari_segreview import __version__, _cli_click, _cli_review
from napari_segreview.core.errors import in_one_line
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Generator


T = TypeVar("T")
INTERRUPTED = 130  # what typer makes of Ctrl+C
PATIENT = "The patient in an image's name, e.g. '(sub-\\d+)'; else DICOM's id."

app = typer.Typer(
    name="segreview",
    help="Segment, score and train on medical images.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console(emoji=False)  # a file may be called a:brain:1.nii
err = Console(stderr=True, emoji=False)
bench = typer.Typer(help="Measure.", no_args_is_help=True)
app.add_typer(bench, name="bench")
app.command()(_cli_click.click)
bench.command("click")(_cli_click.bench_click)


def main() -> None:
    """Run the command line; any error a user can cause is one line, exit status 1."""
    try:
        app()
    except (InputError, OSError) as error:
        said = " ".join(in_one_line(error).split())
        err.print(f"[red]segreview:[/red] {escape(said)}", soft_wrap=True)
        sys.exit(1)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            err.print("segreview: stopped before the output was written")
        raise


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"segreview {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    _: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version.", callback=_version, is_eager=True
        ),
    ] = False,
) -> None:
    context.obj = _cli_review.Terminal(out, say=_say, follow=follow)


@app.command()
def models(
    words: Annotated[
        list[str] | None,
        typer.Argument(help="Only what has all these words; or the name of one."),
    ] = None,
    results: Annotated[bool, typer.Option(help="Published figures instead.")] = False,
    add: Annotated[
        Path | None, typer.Option(help="Keep a trained model from its folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List the trained models, the systems and the ways of training."""
    from napari_segreview import _cli_models

    if add is not None:
        from napari_segreview.engine.models import install

        _say(f"Added {install(add)}: segreview predict --model finds it by this name")
    elif as_json:
        typer.echo(_cli_models.as_json(" ".join(words or ())))
    else:
        _cli_models.show(out, " ".join(words or ()), with_results=results)


@app.command()
def predict(
    image: Annotated[Path, typer.Argument(help="A file or a DICOM folder.")],
    model: Annotated[str, typer.Option("--model", "-m", help="Its name or folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The mask to write.")],
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0, mps.")] = "auto",
    mirror: Annotated[
        bool | None,
        typer.Option(
            help="Average mirrored views.", show_default="as the model's card says"
        ),
    ] = None,
) -> None:
    """Segment an image and write the labels on its own grid."""
    import numpy as np

    from napari_segreview.core.labels import LabelMap
    from napari_segreview.core.protocols import Wish
    from napari_segreview.engine import LocalEngine
    from napari_segreview.scans import (
        check_apart,
        check_writable,
        read_one,
        write_labels,
    )

    check_writable(output)
    check_apart(output, image)
    scan = read_one(image)
    shape = scan.data.shape[: scan.data.ndim - scan.has_channels]
    blank = np.broadcast_to(np.uint8(0), shape)
    check_writable(output, LabelMap(data=blank, grid=scan.grid))
    engine = LocalEngine()
    wish = Wish(model=model, device=device, mirror=mirror)
    answer = follow(engine.segment(scan, wish))
    write_labels(answer.labels, output)
    _warn((*scan.warnings, *filter(None, [answer.note])))
    _say(f"{answer.said}\nWrote {output}")


@app.command()
def score(
    prediction: Annotated[Path, typer.Argument(help="Labels to judge.")],
    reference: Annotated[Path, typer.Argument(help="Labels to trust.")],
    tolerance: Annotated[float, typer.Option(help="For the NSD; mm (or px).")] = 2.0,
    resample: Annotated[bool, typer.Option(help="Bring onto one grid.")] = False,
    csv: Annotated[Path | None, typer.Option(help="Also write a CSV file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Score labels against a reference, on the same grid unless resampling is asked."""
    from napari_segreview._cli_score import score_table
    from napari_segreview.engine.evaluate import compare

    pair = _cli_review.read_pair(prediction, reference)
    report = follow(compare(*pair, tolerance, resample=resample))
    if csv is not None:
        report.to_csv(csv)
    _warn((*report.notes, *pair[0].warnings, *pair[1].warnings))
    if as_json:
        typer.echo(report.to_json())
        return
    if report.rows:
        out.print(score_table(report))


@app.command()
def convert(
    labels: Annotated[Path, typer.Argument(help="Labels, a DICOM-SEG or RTSTRUCT.")],
    output: Annotated[Path, typer.Option("--output", "-o", help=".dcm: a DICOM-SEG.")],
    series: Annotated[
        Path | None, typer.Option(help="DICOM images they lie on.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="Names, colours and codes.")
    ] = None,
    deidentify: Annotated[
        bool, typer.Option(help="Without patient and dates.")
    ] = False,
) -> None:
    """Labels to DICOM-SEG and back; RTSTRUCT to labels."""
    from napari_segreview._cli_convert import convert as run

    written, notes = run(labels, output, series, table, deidentified=deidentify)
    _warn(notes)
    _say("\n".join(f"Wrote {path}" for path in written))


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe, e.g. recipes/NAME.toml.")],
    data: Annotated[
        Path, typer.Option(envvar="SEGREVIEW_DATA", help="Folder that holds the sets.")
    ] = Path("data"),
    run: Annotated[Path | None, typer.Option(help="State of the run.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the new model.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")] = "auto",
    devices: Annotated[int, typer.Option(min=1, help="On each machine.")] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="Machines.")] = 1,
) -> None:
    """Train a recipe; interrupted, the same command goes on where it was."""
    from napari_segreview._training import read_cases
    from src_models.training.config import read_recipe

    plan = read_recipe(recipe)
    run = run or Path("runs") / plan.name
    output = output or run / "model"
    with err.status(f"Reading {plan.data.folder}"):
        cases = list(read_cases(plan, data))
    from napari_segreview._training_view import follow_training
    from src_models.training.run import train as training

    card = follow_training(
        training(
            plan,
            cases,
            run=run,
            out=output,
            accelerator=device,
            devices=devices,
            nodes=nodes,
        ),
        err,
    )
    if card is None:  # one of the further processes; the first one reports
        return
    beside = {"without the method": card.baseline, "from made images": card.synthetic}
    dices = [f"{one.mean_dice:.4f} {how}" for how, one in beside.items() if one]
    known = card.locked.known
    on_marks = f", of the {100 * known:.2g} % of voxels that are marked" * (known < 1)
    without = f" ({', '.join(dices)})" if dices else ""
    _say(
        f"{card.title}: Dice {card.locked.mean_dice:.4f}{without} on {card.locked.cases} "
        f"locked cases, {card.validation.mean_dice:.4f} on {card.validation.cases} "
        f"validation cases{on_marks}\nWrote {output}\n"
        f"To use it: segreview predict IMAGE --model {output} -o LABELS. For the window's "
        f"list: segreview models --add {output}"
    )


@app.command()
def plan(
    source: Annotated[
        Path, typer.Argument(help="A recipe, or a folder with images and labels.")
    ],
    data: Annotated[
        Path, typer.Option(envvar="SEGREVIEW_DATA", help="Folder that holds the sets.")
    ] = Path("data"),
    system: Annotated[
        str | None,
        typer.Option(help="Architecture.", show_default="the recipe's, or unet"),
    ] = None,
    memory: Annotated[
        int, typer.Option(min=1, help="MB that a training step may take.")
    ] = 8000,
    half: Annotated[bool, typer.Option(help="Training in 16 bit.")] = False,
) -> None:
    """Look at a data set; propose spacing, net, patches and batch within a memory."""
    from napari_segreview._training import read_source
    from src_models.training.fingerprint import fingerprint
    from src_models.training.plan import lines, propose

    with err.status(f"Reading {source}"):
        cases, unit, known = read_source(source, data)
        found = fingerprint(cases, unit=unit)
    made = propose(found, memory_mb=memory, system=system or known, half=half)
    _say("\n".join(lines(found, made)))


@app.command()
def finetune(
    model: Annotated[str, typer.Option("--model", "-m", help="Its name or folder.")],
    case: Annotated[list[str], typer.Option(help="IMAGE=LABELS, corrected.")],
    locked: Annotated[
        list[str] | None, typer.Option(help="IMAGE=LABELS that only judges.")
    ] = None,
    checked_slices: Annotated[
        str, typer.Option(help="57,60-62 or AXIS:57.", show_default="all")
    ] = "",
    patient: Annotated[str, typer.Option(help=PATIENT)] = "",
    budget: Annotated[str, typer.Option(help="90s, 3m, 1h.")] = "3m",
    loss: Annotated[str, typer.Option(help="A sum of losses.")] = "dice + ce",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0, mps.")] = "auto",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also write it there.")
    ] = None,
) -> None:
    """Improve a model on corrections; it becomes active only if it is better."""
    from napari_segreview._cli_improve import finetune_steps, told

    steps = finetune_steps(
        model,
        case,
        locked or [],
        slices=checked_slices,
        patient=patient,
        budget=budget,
        loss=loss,
        device=device,
        out=output,
    )
    _say(told(follow(steps)))


@app.command()
def versions(
    model: Annotated[str, typer.Argument(help="Its name; all without.")] = "",
    activate: Annotated[str, typer.Option(help="Make this version active.")] = "",
    export: Annotated[
        tuple[str, Path] | None, typer.Option(help="Write VERSION to a zip FILE.")
    ] = None,
    take: Annotated[Path | None, typer.Option("--import", help="Keep one.")] = None,
) -> None:
    """List the versions of a model; activate, export or import one."""
    from napari_segreview._cli_improve import show_versions

    show_versions(out, _say, model, use=activate, export=export, take=take)


@app.command()
def gate(
    one: Annotated[str, typer.Argument(help="NAME, NAME@VERSION or a folder.")],
    other: Annotated[str, typer.Argument(help="The one that would replace it.")],
    case: Annotated[list[str], typer.Option(help="IMAGE=LABELS, unseen by both.")],
    patient: Annotated[str, typer.Option(help=PATIENT)] = "",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0, mps.")] = "auto",
) -> None:
    """Say whether one model may take the place of another."""
    from napari_segreview._cli_improve import gate_steps, verdict_table

    verdict = follow(gate_steps(one, other, case, patient, device))
    _say(verdict.decision)
    out.print(verdict_table(verdict))


@app.command()
def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="What is written without a display.")
    ] = Path("demo-output"),
    image: Annotated[Path | None, typer.Option(help="Your image instead.")] = None,
    reference: Annotated[Path | None, typer.Option(help="Its labels.")] = None,
    headless: Annotated[
        bool, typer.Option(help="Draw on a virtual display, write, and end.")
    ] = False,
) -> None:
    """Open napari with a sample, segment it, show labels and scores."""
    from napari_segreview._demo import VIRTUAL, show, under_xvfb

    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    drawn = VIRTUAL in os.environ
    if sys.platform == "linux" and not drawn and (headless or not display):
        sys.exit(under_xvfb(sys.argv[1:]))
    show(output, image, reference, headless=headless or drawn)


def _say(text: str) -> None:
    """As it is: nothing in a name is markup, no line is broken."""
    out.print(text, soft_wrap=True, highlight=False, markup=False)


def _warn(lines: tuple[str, ...]) -> None:
    """After the work, so that a fault is the only line where there is one."""
    for line in lines:
        err.print(f"[yellow]note:[/yellow] {escape(line)}", soft_wrap=True)


def follow(steps: Generator[Any, None, T]) -> T:
    """Run long work to its end under a progress bar (only on a terminal)."""
    note = TextColumn("{task.description}", markup=False)
    columns = (note, BarColumn(), TimeRemainingColumn())
    with Bar(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("", total=None)
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                result: T = end.value
                return result
            bar.update(
                task,
                description=step.note,
                completed=step.done,
                total=step.total or None,
            )


for review_command in _cli_review.COMMANDS:
    app.command()(review_command)


if __name__ == "__main__":
    main()
