"""`segreview click` and `segreview bench click`: clicks without a window."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from napari_segreview._cli_review import Terminal
    from napari_segreview.core.clicks import Step
    from napari_segreview.core.labels import LabelMap
    from napari_segreview.core.prompts import Place, Plane, Prompt
    from napari_segreview.core.protocols import Engine
    from napari_segreview.core.scan import Scan
    from src_models.progress import Progress

RECIPE = Path(__file__).parents[1] / "recipes" / "click" / "2d.toml"  # of the source
AXES = "zyx"
COUNTS = {  # fewest places of a prompt, and whether there may be more
    "point": (1, False),
    "box": (2, False),
    "scribble": (2, True),
    "lasso": (3, True),
}


def click_on(
    scan: Scan, prompts: Sequence[Prompt], engine: Engine, *, through: bool = False
) -> Generator[Progress, None, LabelMap]:
    """The structure under the prompts, asked for one by one as in the window.

    Raises
    ------
    InputError
        If there is no prompt, or one lies outside the image.
    """
    import numpy as np

    from napari_segreview.core.asking import (
        answer_patch,
        plane_mask,
        question_for,
        stacked,
    )
    from napari_segreview.core.clicks import Step, drawn, edited_planes, reach
    from napari_segreview.core.labels import LabelMap, LabelTable
    from napari_segreview.core.prompts import fitted
    from src_models.progress import Progress

    if not prompts:
        raise InputError("wanted at least one --point, --box, --scribble or --lasso")
    done: list[Step] = []
    for number, prompt in enumerate(prompts):
        yield Progress(number, len(prompts), "clicking")
        kept = fitted(prompt, scan)
        if kept is None:
            raise InputError(
                f"{_words(prompt.places[0])} lies outside the image of "
                f"{_words(scan.grid.shape)} voxels"
            )
        step = Step("prompt", number, kept)
        question = question_for(scan, [*done, step], step)
        patch = answer_patch(scan, done, step, engine.answer(question))
        done.append(replace(step, patch=patch))
    if through:
        masks = {one: plane_mask(scan, done, one) for one in edited_planes(done)}
        found = yield from engine.through(scan, masks)
        if found:
            patch = stacked(scan, done, found)
            done.append(Step("through", len(done), patch=patch))
    shape = scan.data.shape[: scan.data.ndim - scan.has_channels]
    data = np.zeros(shape, np.uint8)
    box = reach(done)
    data[box] = drawn(done, box)
    table = LabelTable.of({1: "object"})
    return LabelMap(
        data=data, grid=scan.grid, table=table, name=f"{scan.name} · clicks"
    )


def click(
    context: typer.Context,
    image: Annotated[Path, typer.Argument(help="A file or a DICOM folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The mask to write.")],
    point: Annotated[
        list[str] | None,
        typer.Option(help="z,y,x (2D: y,x) that belongs; =-z,y,x: that does not."),
    ] = None,
    box: Annotated[
        list[str] | None, typer.Option(help="Two corners in a plane: z,y,x:z,y,x.")
    ] = None,
    scribble: Annotated[
        list[str] | None,
        typer.Option(help="Places of a curve, z,y,x:z,y,x:…; =-…: does not belong."),
    ] = None,
    lasso: Annotated[
        list[str] | None, typer.Option(help="Corners round it: z,y,x:z,y,x:…")
    ] = None,
    axis: Annotated[
        str, typer.Option(help="Planes across this axis: z, y or x.")
    ] = "z",
    frame: Annotated[int, typer.Option(help="Of a scan over time.")] = 0,
    through: Annotated[bool, typer.Option(help="Go on through the slices.")] = False,
    volume: Annotated[
        bool, typer.Option(help="3D: find it in all slices at once.")
    ] = False,
) -> None:
    """Segment what is clicked and write it on the image's own grid."""
    from napari_segreview.core.clicks import amount
    from napari_segreview.core.prompts import counted
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
    if scan.grid.ndim == 2 and axis != "z":
        raise InputError(f"{scan.name}: --axis wants a 3D scan, this one is 2D")
    _check_way(scan, through=through, volume=volume, in_a_slice=bool(box or lasso))
    texts = {"box": box, "lasso": lasso, "scribble": scribble, "point": point}
    prompts = _prompts(texts, scan, axis, frame, whole=volume)
    terminal: Terminal = context.obj
    labels = terminal.follow(click_on(scan, prompts, LocalEngine(), through=through))
    write_labels(labels, output)
    size = amount(int(labels.data.sum()), scan.grid)
    typer.echo(f"{counted(prompts)}: {size}\nWrote {output}")


def _check_way(scan: Scan, *, through: bool, volume: bool, in_a_slice: bool) -> None:
    """Refuse ways through a scan that has none, or that do not go together."""
    if through and scan.grid.ndim != 3:
        raise InputError(f"{scan.name}: --through wants a 3D scan, this one is 2D")
    if volume and (scan.grid.ndim != 3 or through):
        raise InputError(
            f"{scan.name}: --volume wants a 3D scan, and no --through beside it"
        )
    if volume and in_a_slice:
        raise InputError(
            "--volume wants points and scribbles: a --box or a --lasso lies in one slice"
        )


def _prompts(
    texts: Mapping[str, Sequence[str] | None],
    scan: Scan,
    axis: str,
    frame: int,
    *,
    whole: bool,
) -> list[Prompt]:
    """All prompts, kind by kind; where `whole`, of the volume instead of a slice."""
    from napari_segreview.core.prompts import Plane

    found = [
        parsed(kind, text, scan, axis, frame)
        for kind, some in texts.items()
        for text in some or ()
    ]
    everywhere = Plane(None, 0, frame)
    return [replace(one, plane=everywhere) for one in found] if whole else found


def parsed(kind: str, text: str, scan: Scan, axis: str, frame: int) -> Prompt:
    """A prompt from the command line.

    Raises
    ------
    InputError
        If it cannot be read, or its places do not lie in one plane.
    """
    from napari_segreview.core import prompts as make

    positive = not text.startswith("-")
    places = [
        _place(part, scan.grid.ndim) for part in text.removeprefix("-").split(":")
    ]
    plane = _plane(places, scan, axis, frame)
    fewest, more = COUNTS[kind]
    if len(places) < fewest or (len(places) > fewest and not more):
        wanted = f"{fewest} or more" if more else fewest
        raise InputError(f"--{kind} {text}: wanted {wanted} places, got {len(places)}")
    if not positive and kind in ("box", "lasso"):
        raise InputError(f"--{kind} {text}: only points and scribbles can be negative")
    makers: dict[str, Callable[[], Prompt]] = {
        "point": lambda: make.Point(plane, places[0], positive),
        "scribble": lambda: make.Scribble(plane, tuple(places), positive),
        "box": lambda: make.Box(plane, places[0], places[1]),
        "lasso": lambda: make.Lasso(plane, tuple(places)),
    }
    return makers[kind]()


def _place(text: str, ndim: int) -> Place:
    try:
        place = tuple(float(part) for part in text.split(","))
    except ValueError:
        place = ()
    if len(place) != ndim or not all(map(isfinite, place)):
        raise InputError(f"{text}: wanted {','.join(AXES[-ndim:])} in voxels")
    return place


def _plane(places: Sequence[Place], scan: Scan, axis: str, frame: int) -> Plane:
    from napari_segreview.core.prompts import Plane

    if not 0 <= frame < scan.frames:
        raise InputError(
            f"--frame {frame}: the scan has {scan.frames} frame(s), from 0"
        )
    if scan.grid.ndim == 2:
        return Plane(None, 0, frame)
    if axis not in AXES or len(axis) != 1:
        raise InputError(f"--axis {axis}: wanted z, y or x")
    at = AXES.index(axis)
    where = {round(place[at]) for place in places}
    if len(where) != 1:
        raise InputError(f"the places of one prompt must lie in one slice along {axis}")
    return Plane(at, where.pop(), frame)


def _words(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values) + ")"


def bench_click(
    data: Annotated[
        Path, typer.Option(envvar="SEGREVIEW_DATA", help="Folder that holds the sets.")
    ] = Path("data"),
    recipe: Annotated[
        Path,
        typer.Option(
            help="Which sets, and who is kept out of training.",
            show_default="recipes/click/2d.toml of the source",
        ),
    ] = RECIPE,
    predictor: Annotated[
        str, typer.Option(help="module:factory", show_default="our own")
    ] = "",
    sets: Annotated[str, typer.Option(help="Only these: SET,SET …")] = "",
    most: Annotated[int, typer.Option(help="Targets of a set.")] = 8,
    cache: Annotated[Path, typer.Option(help="The sets as plain arrays.")] = Path(
        "runs/click-bench"
    ),
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="One JSON line a target.")
    ] = None,
) -> None:
    """Let a simulated user click on patients kept out of training, and on unseen sets."""
    from napari_segreview import _click_bench

    if not recipe.is_file():
        raise InputError(
            f"no recipe {recipe}: give --recipe; the source has recipes/click/2d.toml"
        )
    _click_bench.bench_click(
        recipe=recipe,
        data=data,
        cache=cache,
        predictor=predictor or _click_bench.OURS,
        sets=sets,
        most=most,
        output=output,
    )
