"""What was clicked so far, the mask it makes, and what the window shows of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_segreview.core.edits import hull
from napari_segreview.core.labels import Label, LabelMap, LabelTable
from napari_segreview.core.prompts import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from napari_segreview.core.edits import Box
    from napari_segreview.core.geometry import Grid
    from napari_segreview.core.prompts import Plane, Prompt
    from napari_segreview.core.scan import Scan

    Mask = npt.NDArray[np.bool_]

Tool = Literal["point", "box", "scribble", "lasso"]
Kind = Literal["prompt", "taken", "through"]


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """What a step makes of one box of the array (t?, z?, y, x): there, this mask."""

    box: Box
    mask: Mask = field(repr=False)


@dataclass(frozen=True, slots=True)
class Step:
    """What one undo takes back.

    Attributes
    ----------
    kind : {"prompt", "taken", "through"}
        A prompt; a label taken up for mending; slices filled in between and beyond.
    ticket : int
        No two steps have the same; an answer carries that of its step.
    prompt : Prompt or None
        None for the other kinds.
    patch : Patch or None
        None until there is an answer.
    label : int
        The label that was taken up; 0 for the other kinds.
    """

    kind: Kind
    ticket: int
    prompt: Prompt | None = None
    patch: Patch | None = None
    label: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Clicks:
    """The object that is being clicked.

    Attributes
    ----------
    on : bool
        Whether the mouse on the image clicks.
    tool, positive : Tool, bool
        What the next prompt is.
    label : int
        The value that it becomes.
    table : LabelTable
        Labels to choose from, by name.
    present : tuple of int
        Labels to choose from that occur, whether they have a name or not.
    whole : bool
        Whether a prompt on a 3D scan speaks of all of it, not of its slice.
    protect : bool
        Whether voxels of other labels stay as they are.
    done, undone : tuple of Step
        In the order they were made; in the order they were undone.
    waiting : bool
        Whether an answer is under way.
    """

    on: bool = False
    tool: Tool = "point"
    positive: bool = True
    label: int = 1
    table: LabelTable = field(default_factory=LabelTable)
    present: tuple[int, ...] = ()
    whole: bool = False
    protect: bool = True
    done: tuple[Step, ...] = ()
    undone: tuple[Step, ...] = ()
    waiting: bool = False

    @property
    def taken(self) -> int:
        """The label that was taken up for mending; 0 for none."""
        return next((step.label for step in self.done if step.label), 0)


NO_CLICKS = Clicks()


@dataclass(frozen=True, slots=True)
class ClickView:
    """What the panel shows."""

    line: str
    choices: tuple[tuple[int, str], ...]  # value, name
    may_undo: bool
    may_redo: bool
    may_reset: bool
    may_accept: bool
    may_through: bool
    why_not_through: str
    may_whole: bool


def click_view(clicks: Clicks, grid: Grid | None, *, busy: bool = False) -> ClickView:
    """Pure: the same clicks give the same view."""
    answered = any(step.patch is not None for step in clicks.done)
    why_not = _why_not_through(clicks, grid)
    values = sorted({*clicks.table, *clicks.present, clicks.label})
    return ClickView(
        line=_line(clicks, grid),
        choices=tuple((value, clicks.table.name(value)) for value in values),
        may_undo=bool(clicks.done),
        may_redo=bool(clicks.undone),
        may_reset=bool(clicks.done),
        may_accept=answered and not clicks.waiting,
        may_through=not why_not and answered and not clicks.waiting and not busy,
        why_not_through=why_not,
        may_whole=grid is not None and grid.ndim == 3,
    )


def _why_not_through(clicks: Clicks, grid: Grid | None) -> str:
    if grid is None or grid.ndim != 3:
        return "Only a 3D scan has slices to go through."
    if edited_planes(clicks.done):
        return ""
    return "Click the structure in at least one slice first."


def _line(clicks: Clicks, grid: Grid | None) -> str:
    """E.g. "2 clicks · 14.2 ml (+0.4)"; "" before the first."""
    if not clicks.done or grid is None:
        return ""
    parts = [counted([step.prompt for step in clicks.done if step.prompt])]
    if clicks.waiting:
        parts.append("looking…")
    elif patches := _of_last_frame(clicks.done, grid):
        now = marked(patches)
        said = amount(now, grid)
        if patches[-1].kind != "taken":  # it was there before
            change = amount(now - marked(patches[:-1]), grid, signed=True)
            said += f" ({change.partition(' ')[0]})"
        parts.append(said)
    return " · ".join(parts)


def _of_last_frame(steps: tuple[Step, ...], grid: Grid) -> list[Step]:
    """Answered steps in the frame of the last one."""
    found = [(step, step.patch.box) for step in steps if step.patch]
    lead = len(found[-1][1]) - grid.ndim if found else 0
    return [step for step, box in found if box[:lead] == found[-1][1][:lead]]


def amount(voxels: int, grid: Grid, *, signed: bool = False) -> str:
    """How much that is, with its unit: ml in 3D, mm² in 2D, px without a scale."""
    if grid.unit != "mm":
        return (f"{voxels:+d} px" if signed else f"{voxels} px").replace("-", "−")
    size, unit = voxels * grid.voxel_volume, "mm²"
    if grid.ndim == 3:
        size, unit = size / 1000, "ml"
    digits = next(
        (n for limit, n in ((1, 3), (10, 2), (1000, 1)) if abs(size) < limit), 0
    )
    text = f"{size:+.{digits}f}" if signed else f"{size:.{digits}f}"
    return f"{text} {unit}".replace("-", "−")


def blank_labels(scan: Scan, clicks: Clicks) -> LabelMap:
    """Labels of nothing on a scan, whose table holds the label being clicked."""
    shape = scan.data.shape[: scan.data.ndim - scan.has_channels]
    table, label = clicks.table, clicks.label
    row = Label(label, table.name(label), table.color(label))
    rows = table.rows if label in table else (*table.rows, row)
    return LabelMap(
        data=np.zeros(shape, np.uint16),
        grid=scan.grid,
        table=LabelTable(rows),
        name=f"{scan.name} · clicks",
    )


# ── masks ──────────────────────────────────────────────────────────────────────


def drawn(steps: Iterable[Step], box: Box) -> Mask:
    """The mask in a box once the steps are done in their order."""
    out = np.zeros([side.stop - side.start for side in box], bool)
    for step in steps:
        common = step.patch and overlap(box, step.patch.box)
        if step.patch and common:
            out[within(common, box)] = step.patch.mask[within(common, step.patch.box)]
    return out


def reach(steps: Iterable[Step]) -> Box:
    """The smallest box round all that the steps say; () if they say nothing."""
    return hull(step.patch.box for step in steps if step.patch)


def marked(steps: Iterable[Step]) -> int:
    """How many voxels the structure has after the steps."""
    steps = tuple(steps)
    box = reach(steps)
    return int(np.count_nonzero(drawn(steps, box))) if box else 0


def patch_of(box: Box, old: Mask, new: Mask) -> Patch:
    """What turns `old` into `new`, both of the shape of `box`; as small as it may be."""
    either = old | new
    sides = []
    for axis in range(either.ndim):
        others = tuple(other for other in range(either.ndim) if other != axis)
        line = np.flatnonzero(either.any(axis=others))
        low, high = (int(line[0]), int(line[-1]) + 1) if line.size else (0, 1)
        sides.append(slice(low, high))
    tight = tuple(sides)
    moved = tuple(
        slice(outer.start + inner.start, outer.start + inner.stop)
        for outer, inner in zip(box, tight, strict=True)
    )
    return Patch(moved, new[tight].copy())


def prompts_in(steps: Iterable[Step], plane: Plane) -> tuple[Prompt, ...]:
    """The prompts of a plane, in their order."""
    return tuple(s.prompt for s in steps if s.prompt and s.prompt.plane == plane)


def edited_planes(steps: Iterable[Step]) -> tuple[Plane, ...]:
    """Planes parallel to, and of the frame of, the last answered prompt; in order."""
    planes = [step.prompt.plane for step in steps if step.prompt and step.patch]
    planes = [plane for plane in planes if plane.axis is not None]
    if not planes:
        return ()
    last = planes[-1]
    same = {p for p in planes if (p.axis, p.frame) == (last.axis, last.frame)}
    return tuple(sorted(same, key=lambda plane: plane.index))


def overlap(a: Box, b: Box) -> Box | None:
    """What two boxes have in common; None if nothing."""
    common = tuple(
        slice(max(x.start, y.start), min(x.stop, y.stop))
        for x, y in zip(a, b, strict=True)
    )
    return common if all(side.start < side.stop for side in common) else None


def within(box: Box, outer: Box) -> Box:
    """The same box, counted from the start of another."""
    return tuple(
        slice(a.start - b.start, a.stop - b.start)
        for a, b in zip(box, outer, strict=True)
    )
