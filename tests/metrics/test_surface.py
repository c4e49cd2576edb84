"""Surface distances: drawn by hand, then laws, then two independent roads."""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt
import pytest
from drawing import mask
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from src_models.errors import InputError
from src_models.metrics import (
    SurfaceDistances,
    assd,
    hausdorff,
    hd95,
    nsd,
    pooled,
    surface_distances,
)

Mask = npt.NDArray[np.bool_]
Lengths = npt.NDArray[np.float64]
LENGTHS = (hausdorff, hd95, assd)


def test_anisotropic_by_hand() -> None:
    # pixels 2 mm high, 1 mm wide; every pixel of both is surface
    prediction = mask("""
        .....
        .##..
        .....""")
    reference = mask("""
        ...#.
        .....
        ...#.""")
    d = surface_distances(prediction, reference, (2, 1))
    assert d.to_reference.tolist() == [math.sqrt(8), math.sqrt(5)]  # (2, 2), (2, 1) mm
    assert d.to_prediction.tolist() == [math.sqrt(5), math.sqrt(5)]
    assert hausdorff(d) == math.sqrt(8)
    assert hd95(d) == pytest.approx(math.sqrt(5) + 0.95 * (math.sqrt(8) - math.sqrt(5)))
    assert assd(d) == pytest.approx((math.sqrt(8) + 3 * math.sqrt(5)) / 4)
    assert nsd(d, 2.2) == 0
    assert nsd(d, 2.3) == 0.75
    assert nsd(d, 3) == 1


def test_what_is_surface() -> None:
    # inside: only the pixels whose four neighbours are all set; the image's edge cuts
    prediction = mask("""
        ######
        ######
        ######
        ######
        .####.
        ......""")
    surface = mask("""
        ######
        #....#
        #....#
        #....#
        .####.
        ......""")
    d = surface_distances(prediction, prediction, (1, 1))
    assert d.to_reference.size == surface.sum() == 16
    far = np.zeros((6, 6), bool)
    far[5, 0] = True
    there = surface_distances(prediction, far, (1, 1)).to_reference
    rows, columns = np.nonzero(surface)
    assert there == pytest.approx(np.hypot(rows - 5, columns))


def test_a_hole_has_a_surface_and_a_diagonal_neighbour_has_none() -> None:
    ring = mask("""
        #####
        #####
        ##.##
        #####
        #####""")
    # 16 on the rim, 4 beside the hole; the 4 at its corners touch it by an edge only
    assert surface_distances(ring, ring, (1, 1)).to_reference.size == 20


def test_in_three_dimensions_by_hand() -> None:
    prediction = mask("#...\n....", "....\n....", "....\n....")
    reference = mask("....\n....", "....\n....", "....\n...#")
    d = surface_distances(prediction, reference, (2.5, 4, 1))
    assert hausdorff(d) == pytest.approx(math.hypot(2 * 2.5, 4, 3))
    assert d.diagonal == pytest.approx(math.hypot(3 * 2.5, 2 * 4, 4 * 1))


def test_the_house_rule_for_empty_masks() -> None:
    nothing, something = np.zeros((3, 4), bool), mask("....\n.##.\n....")
    diagonal = 5 * 2.0
    both = surface_distances(nothing, nothing, (2, 2))
    assert [f(both) for f in LENGTHS] == [0, 0, 0]
    assert nsd(both, 1) == 1
    for d in (
        surface_distances(nothing, something, (2, 2)),
        surface_distances(something, nothing, (2, 2)),
    ):
        assert [f(d) for f in LENGTHS] == [diagonal] * 3
        assert nsd(d, 1) == nsd(d, 1000) == 0


def test_a_box_of_an_image_gives_what_the_image_gives() -> None:
    prediction, reference = np.zeros((2, 9, 9), bool)
    prediction[3:6, 3:6] = reference[4:7, 2:5] = True
    whole = surface_distances(prediction, reference, (1, 2))
    crop = np.s_[3:7, 2:6]
    part = surface_distances(prediction[crop], reference[crop], (1, 2), grid=(9, 9))
    assert part.to_reference.tolist() == whole.to_reference.tolist()
    assert part.to_prediction.tolist() == whole.to_prediction.tolist()
    assert part.diagonal == whole.diagonal


def test_frames_are_pooled_and_a_missing_side_counts_once() -> None:
    def distances(*values: float) -> npt.NDArray[np.float64]:
        return np.array(values, np.float64)

    frames = [
        SurfaceDistances(distances(1, 3), distances(2), 10.0),
        SurfaceDistances(distances(), distances(np.inf), 10.0),
        SurfaceDistances(distances(), distances(), 10.0),
    ]
    d = pooled(frames, 10.0)
    assert hausdorff(d) == 10
    assert assd(d) == (1 + 3 + 2 + 10) / 4
    assert hd95(d) == max(1 + 0.95 * 2, 2 + 0.95 * 8)
    assert nsd(d, 2) == 0.5
    nothing = pooled([], 10.0)
    assert (hd95(nothing), assd(nothing), nsd(nothing, 1)) == (0, 0, 1)


@pytest.mark.parametrize("step", [0.1, 0.3, 0.7, 1.1])
def test_a_voxel_at_the_tolerance_is_within(step: float) -> None:
    line = np.zeros((1, 60), bool)
    one, other = line.copy(), line.copy()
    one[0, 41], other[0, 44] = True, True
    d = surface_distances(one, other, (1, step))
    assert nsd(d, step * 3) == 1
    assert nsd(d, step * 2.99) == 0


# Laws


@st.composite
def pairs(draw: st.DrawFn, empty: bool = False) -> tuple[Mask, Mask, tuple[float, ...]]:
    """Two masks of one 2D or 3D shape, and a spacing."""
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=3, max_side=7))
    masks = hnp.arrays(bool, shape)
    if not empty:
        masks = masks.filter(np.any)
    lengths = st.floats(0.1, 20)
    steps = draw(st.tuples(*[lengths] * len(shape)))
    return draw(masks), draw(masks), steps


@given(pairs(empty=True))
def test_symmetry_and_bounds(pair: tuple[Mask, Mask, tuple[float, ...]]) -> None:
    a, b, steps = pair
    d, back = surface_distances(a, b, steps), surface_distances(b, a, steps)
    for reading in LENGTHS:
        assert reading(d) == pytest.approx(reading(back), rel=1e-12)
        assert 0 <= reading(d) <= d.diagonal
    assert hd95(d) <= hausdorff(d)
    assert assd(d) <= hausdorff(d) * (1 + 1e-12)
    assert 0 <= nsd(d, 1) <= 1
    assert nsd(d, 1) == nsd(back, 1)


@given(pairs(empty=True))
def test_a_mask_lies_on_itself(pair: tuple[Mask, Mask, tuple[float, ...]]) -> None:
    a, _, steps = pair
    d = surface_distances(a, a, steps)
    assert [f(d) for f in LENGTHS] == [0, 0, 0]
    assert nsd(d, 1e-9) == 1


@given(pairs(), st.data())
def test_nothing_depends_on_where_it_lies(
    pair: tuple[Mask, Mask, tuple[float, ...]], data: st.DataObject
) -> None:
    a, b, steps = pair
    where = data.draw(st.tuples(*[st.integers(0, 4)] * a.ndim), label="moved by")
    moved = [np.pad(m, [(n, 4 - n) for n in where]) for m in (a, b)]
    d, there = surface_distances(a, b, steps), surface_distances(*moved, steps)
    assert d.to_reference == pytest.approx(there.to_reference, rel=1e-9)
    assert d.to_prediction == pytest.approx(there.to_prediction, rel=1e-9)


@given(pairs(), st.floats(0.01, 100))
def test_lengths_grow_with_the_spacing(
    pair: tuple[Mask, Mask, tuple[float, ...]], k: float
) -> None:
    a, b, steps = pair
    d = surface_distances(a, b, steps)
    scaled = surface_distances(a, b, [k * step for step in steps])
    for reading in LENGTHS:
        assert reading(scaled) == pytest.approx(k * reading(d), rel=1e-5)
    assert nsd(scaled, k * 2.0) == nsd(d, 2.0)


@given(pairs(), st.floats(0.01, 50), st.floats(1, 5))
def test_nsd_grows_with_the_tolerance(
    pair: tuple[Mask, Mask, tuple[float, ...]], tolerance: float, more: float
) -> None:
    d = surface_distances(*pair)
    assert nsd(d, tolerance) <= nsd(d, tolerance * more)
    assert nsd(d, d.diagonal) == 1


# Two other roads to the same distances


def by_pairs(start: Mask, goal: Mask, steps: tuple[float, ...]) -> Lengths:
    """Neighbour by neighbour, every voxel against every other."""

    def surface(m: Mask) -> npt.NDArray[np.float64]:
        faces = np.vstack([np.eye(m.ndim, dtype=int), -np.eye(m.ndim, dtype=int)])
        padded = np.pad(m, 1)
        found = [
            at
            for at in np.argwhere(m)
            if not all(padded[tuple(at + face + 1)] for face in faces)
        ]
        return np.array(found) * steps

    apart = surface(start)[:, None] - surface(goal)[None]
    nearest: Lengths = np.linalg.norm(apart, axis=-1).min(axis=1)
    return nearest


@settings(max_examples=50)
@given(pairs())
def test_against_every_pair_of_voxels(
    pair: tuple[Mask, Mask, tuple[float, ...]],
) -> None:
    a, b, steps = pair
    d = surface_distances(a, b, steps)
    assert d.to_reference == pytest.approx(by_pairs(a, b, steps), rel=1e-5)
    assert d.to_prediction == pytest.approx(by_pairs(b, a, steps), rel=1e-5)


def ball(shape: tuple[int, ...], steps: tuple[float, ...], radius: float) -> Mask:
    at = np.ogrid[tuple(slice(side) for side in shape)]
    middle = [(side - 1) / 2 for side in shape]
    apart = sum(
        ((x - m) * step) ** 2 for x, m, step in zip(at, middle, steps, strict=True)
    )
    inside: Mask = np.asarray(apart <= radius**2)
    return inside


@functools.cache
def hard_cases() -> dict[str, tuple[Mask, Mask]]:
    """Each takes another way through the search: see the rule in surface.py."""
    shape, steps = (40, 80, 80), (2.5, 0.8, 1.0)
    random = np.random.default_rng(3)
    close = ball(shape, steps, 30)
    island = close.copy()
    island[-2:, -2:, -2:] = True
    return {
        "close": (close, ball(shape, steps, 29)),
        "island": (island, close),
        "far apart": (ball(shape, steps, 39), ball(shape, steps, 8)),
        "noise": (random.random((70,) * 3) < 0.5, random.random((70,) * 3) < 0.4),
        "speckle in a box": (random.random(shape) < 0.05, np.ones(shape, bool)),
    }


@pytest.mark.parametrize(
    "name", ["close", "island", "far apart", "noise", "speckle in a box"]
)
def test_against_a_distance_transform(name: str) -> None:
    a, b = hard_cases()[name]
    steps = (2.5, 0.8, 1.0)
    d = surface_distances(a, b, steps)
    for found, start, goal in ((d.to_reference, a, b), (d.to_prediction, b, a)):
        edge, other = (m ^ ndimage.binary_erosion(m) for m in (start, goal))
        expected = ndimage.distance_transform_edt(~other, sampling=steps)[edge]
        np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("spacing", "came"),
    [((1, 1, 1), "1×1×1"), ((1, 0), "1×0"), ((1, -2), "1×-2"), ((1, np.nan), "1×nan")],
)
def test_spacings_that_cannot_be(spacing: tuple[float, ...], came: str) -> None:
    yes = np.ones((2, 2), bool)
    with pytest.raises(InputError, match=rf"spacing of 2 lengths above zero.* {came}$"):
        surface_distances(yes, yes, spacing)


@pytest.mark.parametrize("tolerance", [0, -1, np.nan, np.inf])
def test_tolerances_that_cannot_be(tolerance: float) -> None:
    yes = np.ones((2, 2), bool)
    with pytest.raises(InputError, match="a tolerance above zero is wanted"):
        nsd(surface_distances(yes, yes, (1, 1)), tolerance)
