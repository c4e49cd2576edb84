"""What to train on a data set within a memory.

The rules are those published for nnU-Net (Isensee et al., Nature Methods 18, 2021, and its
supplementary notes): median spacing, but a finer one across thick slices; a patch that
covers the median image, or as much of it as the memory holds; then a larger batch.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from src_models.card import NetSpec
from src_models.catalog import find_card
from src_models.errors import InputError
from src_models.training.memory import empty_net, training_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from src_models.training.fingerprint import Fingerprint

THICK = 3.0  # times the finest spacing: slices this thick are resampled more finely
THICK_PERCENTILE = 10
EPOCH_SHARE = 0.05  # of all voxels, that a batch may show at most
RARE = 0.25  # share of cases: a structure of fewer is drawn on purpose
ENOUGH = {2: 256**2, 3: 64**3}  # voxels of a patch, if the images have as many
LEAST_MAP = 4  # voxels across the coarsest features


@dataclass(frozen=True, slots=True)
class Proposal:
    """A start for a recipe.

    Attributes
    ----------
    spacing : tuple of float, or None
        To resample to; None: pixels as they are.
    patch, batch
        For `[patches]`.
    class_balance : bool
        Whether a structure is in so few cases that it should be drawn on purpose.
    depth : int
        How often the net halves the image.
    cover : float
        Share of the median image's voxels that a patch sees, in 0..1.
    memory_mb, budget_mb : int
        Estimate for a training step; what was allowed.
    """

    net: NetSpec
    spacing: tuple[float, ...] | None
    patch: tuple[int, ...]
    batch: int
    class_balance: bool
    depth: int
    cover: float
    memory_mb: int
    budget_mb: int


def propose(
    found: Fingerprint,
    *,
    memory_mb: int,
    system: str = "unet",
    preset: str | None = None,
    half: bool = False,
) -> Proposal:
    """Spacing, net, patch and batch that fit into the memory.

    Of a system's presets the largest is taken that holds two patches of `ENOUGH` voxels,
    or of the median image; if none does, the one that sees most of it.

    Parameters
    ----------
    memory_mb : int
        What a training step may take.
    preset : str, optional
        Only this one.
    half : bool
        Training in 16 bit.

    Raises
    ------
    InputError
        If there is no such net, or even its smallest patch does not fit.
    """
    card = find_card(system)
    if card.frames:
        raise InputError(
            f"{card.title} reads frames together, which is not planned for; start from "
            "one of recipes/methods/cine-*.toml"
        )
    names = [preset] if preset else [n for n, dim in card.presets if dim == found.ndim]
    specs = [
        NetSpec(
            system=system,
            preset=name,
            ndim=3 if found.ndim == 3 else 2,
            in_channels=found.channels,
            classes=found.classes,
        )
        for name in names
    ] or [_nowhere(system, found.ndim)]
    specs.sort(key=_parameters, reverse=True)
    spacing = target_spacing(found)
    median = _median_shape(found, spacing)
    enough = min(ENOUGH[found.ndim], math.prod(median))
    made = [_within(found, spec, median, spacing, memory_mb, half) for spec in specs]
    fitting = [one for one in made if one is not None]
    if not fitting:
        raise InputError(
            f"{system} does not fit into {memory_mb} MB with any patch; allow more "
            "memory, or name a smaller system or preset"
        )
    roomy = [o for o in fitting if o.batch > 1 and math.prod(o.patch) >= enough]
    return roomy[0] if roomy else max(fitting, key=lambda one: one.cover)


def target_spacing(found: Fingerprint) -> tuple[float, ...] | None:
    """The median of each axis; across thick slices the 10th percentile. None for px."""
    if found.unit == "px":
        return None
    spacings = np.array(found.spacings)
    median = np.median(spacings, axis=0)
    worst = int(median.argmax())
    if median[worst] > THICK * np.delete(median, worst).max(initial=0):
        fine = np.percentile(spacings[:, worst], THICK_PERCENTILE)
        median[worst] = max(fine, np.delete(median, worst).max())
    return tuple(round(float(value), 4) for value in median)


def _nowhere(system: str, ndim: int) -> NetSpec:
    raise InputError(f"{system} does not exist in {ndim}D; name another --system")


def _parameters(spec: NetSpec) -> int:
    return sum(one.numel() for one in empty_net(spec).parameters())


def _median_shape(
    found: Fingerprint, spacing: tuple[float, ...] | None
) -> tuple[int, ...]:
    shapes = np.array(found.shapes, float)
    if spacing is not None:
        shapes *= np.array(found.spacings) / spacing
    return tuple(max(1, round(side)) for side in np.median(shapes, axis=0).tolist())


def _within(
    found: Fingerprint,
    spec: NetSpec,
    median: tuple[int, ...],
    spacing: tuple[float, ...] | None,
    memory_mb: int,
    half: bool,
) -> Proposal | None:
    """The largest patch, then batch, of a net in the memory; None if there is none."""
    stride = int(getattr(empty_net(spec), "stride", 16))
    budget = memory_mb * 2**20

    def need(patch: tuple[int, ...], batch: int) -> int:
        return training_bytes(spec, patch, batch, half=half)

    whole = tuple(-(-side // stride) * stride for side in median)
    tries = list(_shrinking(whole, spacing, stride))
    at = bisect_left(tries, True, key=lambda patch: need(patch, 2) <= budget)
    patch, batch = tries[min(at, len(tries) - 1)], 2
    if at == len(tries):
        batch = 1
        if need(patch, batch) > budget:
            return None
    if patch == whole:
        total = math.prod(median) * len(found.shapes)
        most = max(2, int(EPOCH_SHARE * total / math.prod(patch)))
        sizes = range(3, most + 1)
        batch += bisect_left(sizes, True, key=lambda size: need(patch, size) > budget)
    seen = math.prod(min(pair) for pair in zip(patch, median, strict=True))
    return Proposal(
        net=spec,
        spacing=spacing,
        patch=patch,
        batch=batch,
        class_balance=min(found.case_share.values(), default=1.0) < RARE,
        depth=round(math.log2(stride)),
        cover=seen / math.prod(median),
        memory_mb=round(need(patch, batch) / 2**20),
        budget_mb=memory_mb,
    )


def _shrinking(
    patch: tuple[int, ...], spacing: tuple[float, ...] | None, stride: int
) -> Iterator[tuple[int, ...]]:
    """Ever smaller patches: one stride less on the side that is longest in mm."""
    yield patch
    steps = spacing or (1.0,) * len(patch)
    least = [min(side, stride * LEAST_MAP) for side in patch]
    while patch != tuple(least):
        lengths = [
            side * step if side > low else 0.0
            for side, low, step in zip(patch, least, steps, strict=True)
        ]
        longest = lengths.index(max(lengths))
        patch = tuple(side - stride * (i == longest) for i, side in enumerate(patch))
        yield patch


def lines(found: Fingerprint, made: Proposal) -> list[str]:
    """Both in words, and the part of a recipe that follows; for a terminal."""
    shapes, spacings = np.array(found.shapes), np.array(found.spacings)

    def span(table: npt.NDArray[np.float64]) -> str:
        rows = (table.min(0), np.median(table, 0), table.max(0))
        return " / ".join("×".join(f"{n:g}" for n in row.round(3)) for row in rows)

    told = [
        f"{len(shapes)} cases, {found.ndim}D, {found.channels} channel(s)",
        f"shape min / median / max: {span(shapes)}",
        f"spacing ({found.unit}): {span(spacings)}",
    ]
    for name, greys in (("all", found.grey), ("structures", found.grey_inside)):
        for channel, grey in enumerate(greys):
            told.append(
                f"channel {channel}, {name}: {grey.low:.4g} … {grey.median:.4g} … "
                f"{grey.high:.4g}, mean {grey.mean:.4g} ± {grey.sd:.4g}"
            )
    for value, share in found.case_share.items():
        told.append(
            f"label {value}: {100 * found.voxel_share[value]:.3g} % of the voxels, in "
            f"{100 * share:.3g} % of the cases"
        )
    spec = made.net
    told += [
        f"{spec.system} {spec.preset} halves the image {made.depth} times; a patch sees "
        f"{100 * made.cover:.0f} % of the median image; about {made.memory_mb} of "
        f"{made.budget_mb} MB",
        "",
    ]
    if made.spacing is not None:
        told += [f"spacing = {list(made.spacing)}", ""]
    return [
        *told,
        "[net]",
        *(f"{key} = {_toml(value)}" for key, value in spec.model_dump().items()),
        "",
        "[patches]",
        f"size = {list(made.patch)}",
        f"batch = {made.batch}",
        f"class_balance = {_toml(made.class_balance)}",
    ]


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()
