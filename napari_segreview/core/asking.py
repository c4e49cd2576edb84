"""Which question comes next, and what the slices found make of the array."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_segreview.core.clicks import (
    Step,
    drawn,
    patch_of,
    prompts_in,
    within,
)
from napari_segreview.core.edits import hull
from napari_segreview.core.protocols import Question
from src_models.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from napari_segreview.core.clicks import Mask, Patch
    from napari_segreview.core.prompts import Plane
    from napari_segreview.core.protocols import Engine
    from napari_segreview.core.scan import Scan


def unanswered(done: Sequence[Step]) -> Step | None:
    """The newest prompt without an answer that no later one of its plane has overtaken."""
    seen: set[Plane] = set()
    for step in reversed(done):
        if step.prompt is None:
            continue
        if step.patch is None and step.prompt.plane not in seen:
            return step
        seen.add(step.prompt.plane)
    return None


def question_for(scan: Scan, done: Sequence[Step], step: Step) -> Question:
    """What is to be found out so that a step of `done`, a prompt, has its answer."""
    if step.prompt is None:
        raise ValueError("only a prompt has a question")
    plane = step.prompt.plane
    upto = [*done[: list(done).index(step) + 1]]
    first = next(n for n, s in enumerate(upto) if s.prompt and s.prompt.plane == plane)
    own = [one for one in upto if not _crosses(one, plane)]
    known = own if _first_look(upto, plane) else upto
    before = [one for one in upto[:first] if not _crosses(one, plane)]
    previous, base = (plane_mask(scan, some, plane) for some in (known, before))
    return Question(
        scan=scan,
        plane=plane,
        prompts=prompts_in(upto, plane),
        previous=previous if previous.any() else None,
        base=base if base.any() else None,
    )


def answer_patch(scan: Scan, done: Sequence[Step], step: Step, mask: Mask) -> Patch:
    """What the answer to a step, not yet answered, makes of its plane.

    Parameters
    ----------
    done : sequence of Step
        Those before it.
    mask : (y, x) or (z, y, x) bool
    """
    if step.prompt is None:
        raise ValueError("only a prompt has an answer")
    plane = step.prompt.plane
    box = plane.box(scan)
    old = drawn(done, box)
    new = mask.reshape(old.shape)
    if _first_look([*done, step], plane):
        new = new | drawn([one for one in done if _crosses(one, plane)], box)
    return patch_of(box, old, new)


def _crosses(step: Step, plane: Plane) -> bool:
    """Whether a step answered in a slice that meets the plane in a line only."""
    axes = {plane.axis, step.prompt.plane.axis if step.prompt else None}
    return None not in axes and len(axes) == 2


def _first_look(steps: Sequence[Step], plane: Plane) -> bool:
    """Whether only marks of what belongs, and no answer, lie in the plane so far.

    The lines where slices cross it say little of the structure there: they are kept, but
    not taken for a mask that the next answer has to resemble.
    """
    there = [one for one in steps if one.prompt and one.prompt.plane == plane]
    return all(
        one.patch is None and getattr(one.prompt, "positive", True) for one in there
    )


def answering(engine: Engine, question: Question) -> Generator[Progress, None, Mask]:
    """The answer as a job of one step."""
    yield Progress(0, 1, "looking")
    return engine.answer(question)


def warming(engine: Engine) -> Generator[Progress, None, None]:
    """Getting ready as a job of one step."""
    yield Progress(0, 1, "getting ready")
    engine.warm()


def plane_mask(scan: Scan, steps: Sequence[Step], plane: Plane) -> Mask:
    """The mask that the steps make in a plane, (y, x), or in all of a scan, (z, y, x)."""
    mask = drawn(steps, plane.box(scan))
    axes = plane.axes(scan.grid.ndim)
    return mask.reshape([scan.grid.shape[axis] for axis in axes])


def stacked(scan: Scan, done: Sequence[Step], found: Mapping[Plane, Mask]) -> Patch:
    """The slices found, not empty, put beside those there are, as one patch."""
    slices = {plane: plane.box(scan) for plane in found}
    box = hull(slices.values())
    old = drawn(done, box)
    new = old.copy()
    for plane, mask in found.items():
        there = within(slices[plane], box)
        new[there] = mask.reshape(new[there].shape)
    return patch_of(box, old, new)
