"""The object that is being clicked, as a project keeps it: JSON both ways."""

from __future__ import annotations

import base64
import zlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_segreview.core.case import identity
from napari_segreview.core.clicks import Patch, Step
from napari_segreview.core.prompts import Box, Lasso, Plane, Point, Scribble
from src_models.card import Record, parse
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_segreview.core.clicks import Clicks
    from napari_segreview.core.prompts import Place, Prompt
    from napari_segreview.core.scan import Scan

Shape = Literal["point", "scribble", "box", "lasso"]
SHAPES: Mapping[type[Prompt], Shape] = MappingProxyType(
    {Point: "point", Scribble: "scribble", Box: "box", Lasso: "lasso"}
)
MAKE: Mapping[Shape, Callable[[Plane, tuple[Place, ...], bool], Prompt]] = (
    MappingProxyType(
        {
            "point": lambda plane, places, positive: Point(plane, places[0], positive),
            "scribble": Scribble,
            "box": lambda plane, places, _: Box(plane, *places),
            "lasso": lambda plane, places, _: Lasso(plane, places),
        }
    )
)


class StoredPrompt(Record):
    """A prompt; `axis` is None for a 2D scan."""

    shape: Shape
    axis: int | None
    index: int
    frame: int
    places: tuple[tuple[float, ...], ...]
    positive: bool


class StoredStep(Record):
    """A step with its answer: `mask` is the box's bits, deflated, in base 64."""

    kind: Literal["prompt", "taken", "through"]
    label: int
    prompt: StoredPrompt | None
    box: tuple[tuple[int, int], ...]
    mask: str


class StoredClicks(Record):
    """What was open, on the scan of that identity."""

    scan: str
    label: int
    steps: tuple[StoredStep, ...]


def stored(scan: Scan | None, clicks: Clicks) -> tuple[dict[str, Any], ...]:
    """The object that is open, as JSON; none if none is. Unanswered steps are left out."""
    steps = [step for step in clicks.done if step.patch is not None]
    if scan is None or not steps:
        return ()
    rows = tuple(_stored_step(step) for step in steps)
    found = StoredClicks(scan=identity(scan), label=clicks.label, steps=rows)
    return (found.model_dump(mode="json"),)


def read_clicks(values: Mapping[str, Any]) -> StoredClicks:
    """Read what `stored` has written; raises InputError if it is nothing of the kind."""
    return parse(StoredClicks, dict(values), "project: prompts")


def steps_of(clicks: StoredClicks, scan: Scan) -> tuple[Step, ...]:
    """The steps, without tickets.

    Raises
    ------
    InputError
        If they do not lie on the scan, or are damaged.
    """
    return tuple(_step(one, scan) for one in clicks.steps)


def _stored_step(step: Step) -> StoredStep:
    patch, prompt = step.patch, step.prompt
    if patch is None:
        raise ValueError("a step without an answer")
    bits = np.packbits(patch.mask).tobytes()
    return StoredStep(
        kind=step.kind,
        label=step.label,
        prompt=None
        if prompt is None
        else StoredPrompt(
            shape=SHAPES[type(prompt)],
            axis=prompt.plane.axis,
            index=prompt.plane.index,
            frame=prompt.plane.frame,
            places=prompt.places,
            positive=getattr(prompt, "positive", True),
        ),
        box=tuple((part.start, part.stop) for part in patch.box),
        mask=base64.b64encode(zlib.compress(bits)).decode(),
    )


def _step(one: StoredStep, scan: Scan) -> Step:
    shape = scan.data.shape[: scan.data.ndim - scan.has_channels]
    sides = tuple(stop - start for start, stop in one.box)
    count = int(np.prod(sides))
    inside = len(one.box) == len(shape) and all(
        0 <= start < stop <= side
        for (start, stop), side in zip(one.box, shape, strict=True)
    )
    if not inside:
        raise InputError(f"project: prompts: {one.box} does not lie on {scan.name}")
    try:
        bits = zlib.decompressobj().decompress(base64.b64decode(one.mask), count)
        flat = np.unpackbits(np.frombuffer(bits, np.uint8), count=count)
        mask = flat.astype(bool).reshape(sides)
    except (ValueError, zlib.error) as error:
        raise InputError(f"project: prompts: a mask is damaged ({error})") from None
    if len(bits) * 8 < count:
        raise InputError("project: prompts: a mask is cut short")
    box = tuple(slice(start, stop) for start, stop in one.box)
    prompt = None if one.prompt is None else _prompt(one.prompt)
    return Step(one.kind, 0, prompt, Patch(box, mask), one.label)


def _prompt(one: StoredPrompt) -> Prompt:
    plane = Plane(one.axis, one.index, one.frame)
    try:
        return MAKE[one.shape](plane, one.places, one.positive)
    except (TypeError, IndexError):
        raise InputError(
            f"project: prompts: a {one.shape} of {len(one.places)} places"
        ) from None
