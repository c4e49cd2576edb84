"""A net over whole images: grey values, grids, windows, and all of it together."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from monai.inferers import sliding_window_inference
from scipy import ndimage
from torch import Tensor, nn
from zoo import ball, make_card

from src_models.card import Intensity, TrainedCard
from src_models.errors import InputError
from src_models.inference import Options, count_windows, predict
from src_models.inference.intensity import field_of_view, normalise
from src_models.inference.resample import resample_image, resample_labels, target_shape
from src_models.inference.windows import gaussian, rows_of_windows, starts
from src_models.progress import Progress, drain

MODULE = sys.modules["src_models.inference.predict"]  # the name is the function's
EXACT = Options(half=False)


def zscore(kind: str = "zscore") -> Intensity:
    return Intensity.model_validate({"kind": kind})


class TestIntensity:
    def test_zscore_by_hand(self) -> None:
        got = normalise(np.array([[2, 4], [10, 10]], np.int16), zscore())
        assert got.tolist() == [[-1, 1], [0, 0]]  # channel by channel
        assert got.dtype == np.float32

    @pytest.mark.parametrize("kind", ["zscore", "foreground-zscore"])
    @pytest.mark.parametrize("value", [0, 1, -7.3, 1e6, 255])
    def test_a_constant_image_becomes_zero(self, kind: str, value: float) -> None:
        got = normalise(np.full((2, 5, 5), value), zscore(kind))
        np.testing.assert_allclose(got, 0, atol=1e-6)

    def test_a_window_by_hand(self) -> None:
        recipe = Intensity(kind="window", window=(-100, 300))
        got = normalise(np.array([[-1000, -100, 100, 300, 3000]], np.int16), recipe)
        assert got.tolist() == [[-1, -1, 0, 1, 1]]

    @pytest.mark.parametrize("window", [None, (5, 5), (300, -100)])
    def test_a_window_needs_two_ends(self, window: tuple[float, float] | None) -> None:
        with pytest.raises(InputError, match=r"window = \[low, high\]"):
            normalise(np.zeros((1, 2, 2)), Intensity(kind="window", window=window))

    @pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "i4", "f4", "f8", ">i2"])
    def test_every_kind_of_number(self, dtype: str) -> None:
        image = np.random.default_rng(0).integers(0, 100, (1, 6, 6))
        got = normalise(image.astype(dtype), zscore())
        np.testing.assert_allclose(got, (image - image.mean()) / image.std(), atol=1e-5)

    @given(
        hnp.arrays("i2", (1, 4, 5), elements=st.integers(0, 1000)),
        st.integers(1, 20),
        st.integers(-500, 500),
    )
    def test_units_do_not_matter(self, image: Any, scale: int, shift: int) -> None:
        other = image.astype(np.int32) * scale + shift
        np.testing.assert_allclose(
            normalise(image, zscore()), normalise(other, zscore()), atol=1e-3
        )

    def test_the_black_surround_is_left_out(self) -> None:
        view = ball(40, 2, 15).astype(bool)
        image = np.where(view, np.random.default_rng(0).normal(100, 10, view.shape), 2)
        image[20, 20] = 0  # a dark spot inside is still in view
        np.testing.assert_array_equal(field_of_view(image[None]), view)
        got = normalise(image[None], zscore("foreground-zscore"))[0]
        assert got[view].mean() == pytest.approx(0, abs=1e-5)
        assert got[view].std() == pytest.approx(1, abs=1e-5)

    def test_the_brightest_channel_decides(self) -> None:
        image = np.zeros((3, 4, 4))
        image[2, :2] = 200
        assert field_of_view(image).tolist() == [[True] * 4] * 2 + [[False] * 4] * 2

    def test_a_dark_image_is_all_in_view(self) -> None:
        assert field_of_view(np.zeros((3, 4, 4))).all()


class TestResample:
    @pytest.mark.parametrize(
        ("shape", "have", "want", "wanted"),
        [
            ((10, 20), (1, 1), None, (10, 20)),
            ((10, 20), (2.5, 1), (1, 2), (25, 10)),
            ((10, 20), (1.01, 0.99), (1, 1), (10, 20)),  # not worth interpolating
            ((1, 3), (1, 1), (9, 9), (1, 1)),
        ],
    )
    def test_target_shape(
        self, shape: Any, have: Any, want: Any, wanted: tuple[int, ...]
    ) -> None:
        assert target_shape(shape, have, want) == wanted

    def test_the_same_grid_is_the_same_array(self) -> None:
        image, labels = np.zeros((1, 3, 4), "f4"), np.zeros((3, 4), np.uint8)
        assert resample_image(image, (3, 4)) is image
        assert resample_labels(labels, (3, 4)) is labels

    @pytest.mark.parametrize("new", [12, 20, 40, 47, 100])
    def test_a_ramp_stays_a_ramp(self, new: int) -> None:
        """The value is the place: outer faces at 0 and 40, whatever the voxels."""
        ramp = (np.arange(40, dtype="f4") + 0.5)[None, :]
        got = resample_image(ramp, (new,))[0]
        place = (np.arange(new) + 0.5) * 40 / new
        inner = (place > 8) & (place < 32)  # the smoothing feels the faces
        np.testing.assert_allclose(got[inner], place[inner], atol=2e-3)
        np.testing.assert_allclose(got + got[::-1], 40, atol=1e-3)

    @pytest.mark.parametrize("shape", [(9, 14, 21), (7, 10, 40), (12, 10, 14)])
    def test_finer_grids_are_simpleitks(self, shape: tuple[int, ...]) -> None:
        image = np.random.default_rng(0).normal(size=(7, 10, 14)).astype("f4")
        source = sitk.GetImageFromArray(image)
        factors = [o / n for o, n in zip(image.shape[::-1], shape[::-1], strict=True)]
        resampler = sitk.ResampleImageFilter()
        resampler.SetSize(shape[::-1])
        resampler.SetOutputSpacing(factors)
        resampler.SetOutputOrigin([f / 2 - 0.5 for f in factors])
        resampler.SetInterpolator(sitk.sitkLinear)
        wanted = sitk.GetArrayFromImage(resampler.Execute(source))
        got = resample_image(image[None], shape)[0]
        np.testing.assert_allclose(got, wanted, atol=1e-4)

    def test_coarser_grids_do_not_alias(self) -> None:
        stripes = np.tile(np.array([0, 1], "f4"), 30)[None]
        got = resample_image(stripes, (13,))[0]
        np.testing.assert_allclose(got[2:-2], 0.5, atol=0.1)

    @pytest.mark.parametrize("centre", [0.0, 0.4])
    def test_a_ball_keeps_volume_and_place(self, centre: float) -> None:
        labels = ball(60, 3, 15, z=centre, y=-2 * centre, x=5)
        coarse = resample_labels(labels, target_shape((60,) * 3, (1,) * 3, (2.5,) * 3))
        assert coarse.shape == (24, 24, 24)
        assert coarse.sum() * 2.5**3 == pytest.approx(labels.sum(), rel=0.03)
        back = resample_labels(coarse, (60, 60, 60))
        assert back.sum() == pytest.approx(labels.sum(), rel=0.03)
        wanted = ndimage.center_of_mass(labels)
        np.testing.assert_allclose(ndimage.center_of_mass(back), wanted, atol=0.1)

    @given(
        hnp.arrays(
            "u1",
            hnp.array_shapes(min_dims=2, max_dims=3, max_side=7),
            elements=st.sampled_from([0, 1, 4, 250]),
        ),
        st.tuples(*[st.integers(1, 15)] * 3),
    )
    def test_labels_are_the_largest_share(self, labels: Any, sides: Any) -> None:
        shape = sides[: labels.ndim]
        got = resample_labels(labels, shape)
        assert got.dtype == labels.dtype
        assert set(np.unique(got)) <= set(np.unique(labels))
        values = np.unique(labels)
        at = [
            np.clip((np.arange(n) + 0.5) * o / n - 0.5, 0, o - 1)
            for o, n in zip(labels.shape, shape, strict=True)
        ]
        grid = np.meshgrid(*at, indexing="ij")
        shares = np.stack(
            [
                ndimage.map_coordinates((labels == v) * 1.0, grid, order=1)
                for v in values
            ]
        )
        chosen = np.take_along_axis(shares, np.searchsorted(values, got)[None], 0)[0]
        np.testing.assert_array_less(shares.max(0) - 1e-5, chosen)

    def test_between_equal_shares_the_lower_value_wins(self) -> None:
        assert resample_labels(np.array([[5, 3]], np.uint8), (1, 1)).tolist() == [[3]]

    def test_sixteen_bit_labels(self) -> None:
        labels = np.zeros((4, 4), np.uint16)
        labels[:2] = 700
        assert np.unique(resample_labels(labels, (8, 8))).tolist() == [0, 700]


SIDES = st.integers(1, 40)
WINDOWS = st.integers(1, 24)
OVERLAPS = st.floats(0, 0.95)


class TestWindows:
    @pytest.mark.parametrize(
        ("side", "window", "overlap", "wanted"),
        [
            (10, 16, 0.5, [0]),
            (16, 16, 0.5, [0]),
            (17, 16, 0.5, [0, 1]),
            (40, 16, 0.5, [0, 8, 16, 24]),
            (40, 16, 0, [0, 12, 24]),  # evenly spread
            (3, 1, 0, [0, 1, 2]),
        ],
    )
    def test_starts_by_hand(
        self, side: int, window: int, overlap: float, wanted: list[int]
    ) -> None:
        assert starts(side, window, overlap) == wanted

    @given(SIDES, WINDOWS, OVERLAPS)
    def test_neighbours_share_what_was_asked(
        self, side: int, window: int, overlap: float
    ) -> None:
        found = starts(side, window, overlap)
        assert found[0] == 0
        assert found[-1] == max(0, side - window)
        steps = np.diff(found)
        assert (steps >= 1).all()
        assert (steps <= max(1, int(window * (1 - overlap)))).all()

    @given(st.lists(st.tuples(SIDES, WINDOWS), min_size=2, max_size=3), OVERLAPS)
    def test_every_voxel_is_covered_and_final_in_time(
        self, sides: list[tuple[int, int]], overlap: float
    ) -> None:
        overlap = min(overlap, 0.6)
        shape, window = zip(*sides, strict=True)
        seen = np.zeros(shape, bool)
        last = -1
        for z, row in rows_of_windows(shape, window, overlap):
            assert z > last
            assert all(start[0] == z for start in row)
            last = z
            for start in row:
                cut = tuple(slice(a, a + w) for a, w in zip(start, window, strict=True))
                seen[cut] = True
        assert seen.all()

    @pytest.mark.parametrize("window", [(5,), (7, 9), (16, 16, 16), (1, 3)])
    def test_gaussian(self, window: tuple[int, ...]) -> None:
        got = gaussian(window)
        assert got.shape == window
        assert got.dtype == np.float32
        assert got.min() >= 1e-3
        assert np.array_equal(got, np.flip(got))
        if all(side % 2 for side in window):
            assert got[tuple(side // 2 for side in window)] == got.max() == 1

    def test_gaussian_by_hand(self) -> None:
        got = gaussian((9,))  # sd 9/8
        assert got[5] == pytest.approx(np.exp(-0.5 / (9 / 8) ** 2))


class Above(nn.Module):
    """Class 1 wherever the first channel is above 0."""

    def forward(self, x_BCS: Tensor) -> Tensor:
        return torch.cat([-x_BCS[:, :1], x_BCS[:, :1]], 1)


class Random(nn.Module):
    """Looks at its neighbourhood, and has no symmetry."""

    def __init__(self, ndim: int, classes: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        conv = {2: nn.Conv2d, 3: nn.Conv3d}[ndim]
        self.layers = nn.Sequential(
            conv(1, 4, 5, padding=2), nn.Tanh(), conv(4, classes, 3, padding=1)
        )

    def forward(self, x_BCS: Tensor) -> Tensor:
        out: Tensor = self.layers(x_BCS)
        return out


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, shape).astype("f4")


def run(
    net: nn.Module, card: TrainedCard, images: np.ndarray, options: Options = EXACT
) -> np.ndarray:
    spacing = (1.0,) * (images.ndim - 2)
    labels: np.ndarray = drain(
        predict(net, card, images, spacing=spacing, options=options)
    )
    return labels


@st.composite
def jobs(draw: Callable[..., Any]) -> tuple[tuple[int, ...], tuple[int, ...], float]:
    ndim = draw(st.integers(2, 3))
    side = st.integers(1, 13)
    shape = draw(st.tuples(*[side] * ndim))
    return shape, draw(st.tuples(*[st.integers(3, 9)] * ndim)), draw(st.floats(0, 0.7))


class TestPredict:
    @given(jobs())
    def test_it_is_the_argmax_whatever_the_windows(self, job: Any) -> None:
        shape, patch, overlap = job
        image = noise(2, 1, *shape)
        card = make_card(ndim=len(shape), patch=patch)
        labels = run(Above(), card, image, Options(overlap=overlap))
        assert labels.dtype == np.uint8
        np.testing.assert_array_equal(labels, image[:, 0] > 0)

    @pytest.mark.parametrize(
        ("shape", "patch", "overlap"),
        [
            ((40, 24), (16, 16), 0.5),
            ((48, 16), (16, 16), 0.75),
            ((16, 24, 32), (8, 16, 16), 0.5),
        ],
    )
    def test_it_is_monais(
        self, shape: tuple[int, ...], patch: tuple[int, ...], overlap: float
    ) -> None:
        image = noise(1, 1, *shape)
        net = Random(len(shape), 4).eval()
        with torch.inference_mode():
            wanted = sliding_window_inference(
                torch.from_numpy(image), patch, 1, net, overlap=overlap, mode="gaussian"
            )
        best = wanted.topk(2, dim=1).values
        clear = (best[:, 0] - best[:, 1] > 1e-5).numpy()
        assert clear.mean() > 0.99
        card = make_card(ndim=len(shape), classes=4, patch=patch)
        labels = run(net, card, image, Options(overlap=overlap, half=False))
        np.testing.assert_array_equal(labels[clear], wanted.argmax(1).numpy()[clear])

    def test_only_a_window_of_logits_is_held(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        held = []
        zeros = torch.zeros

        def watched(*args: Any, **kwargs: Any) -> Tensor:
            held.append(args[0])
            return zeros(*args, **kwargs)

        monkeypatch.setattr(MODULE.torch, "zeros", watched)
        card = make_card(ndim=3, classes=5, patch=(8, 8, 8))
        run(Random(3, 5), card, noise(1, 1, 64, 9, 4))
        assert held == [(5, 8, 9, 8)]

    def test_logits_in_sixteen_bit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        image = noise(1, 1, 40, 40)
        net = Random(2, 3)
        card = make_card(classes=3)
        exact = run(net, card, image)
        monkeypatch.setattr(MODULE, "HALF_ABOVE", 0)
        assert np.mean(run(net, card, image) == exact) > 0.99
        np.testing.assert_array_equal(run(Above(), make_card(), image), image[:, 0] > 0)

    def test_progress_ends_at_the_total(self) -> None:
        card = make_card()
        steps = list(predict(Above(), card, noise(3, 1, 40, 20), spacing=(1, 1)))
        total = 3 * count_windows(card, (40, 20), (1, 1), 0.5)
        assert total == 3 * 4 * 2
        assert [step.done for step in steps] == list(range(1, total + 1))
        assert {step.total for step in steps} == {total}
        assert isinstance(steps[0], Progress)
        assert steps[-1].note == f"window {total} of {total}"

    def test_it_can_be_stopped_midway(self) -> None:
        asked = []

        class Counted(Above):
            def forward(self, x_BCS: Tensor) -> Tensor:
                asked.append(1)
                return super().forward(x_BCS)

        steps = predict(Counted(), make_card(), noise(1, 1, 64, 64), spacing=(1, 1))
        next(steps)
        next(steps)
        steps.close()
        assert len(asked) == 2
        with pytest.raises(StopIteration):
            next(steps)

    @pytest.mark.parametrize("axes", [(), (0,), (0, 1)])
    def test_mirrored_views_are_averaged(self, axes: tuple[int, ...]) -> None:
        image = noise(1, 1, 16, 16)
        net = Random(2, 4).eval()
        x = torch.from_numpy(image)
        views = [[]] + [[a + 2] for a in axes] + ([[2, 3]] if len(axes) == 2 else [])
        with torch.inference_mode():
            wanted = torch.stack([net(x.flip(v)).flip(v) for v in views]).mean(0)
        card = make_card(classes=4, mirror_axes=axes)
        labels = run(net, card, image, Options(mirror=True, half=False))
        np.testing.assert_array_equal(labels, wanted.argmax(1))
        unasked = run(net, card, image)
        with torch.inference_mode():
            np.testing.assert_array_equal(unasked, net(x).argmax(1))

    def test_on_the_models_grid_and_back(self) -> None:
        labels = ball(40, 3, 12)
        image = (labels[None, None] * 2.0 - 1).astype("f4")
        card = make_card(ndim=3, spacing=(2.0, 2.0, 2.0))
        got = run(Above(), card, image)
        assert got.shape == (1, 40, 40, 40)
        both = (got[0] & labels).sum()
        assert 2 * both / (got.sum() + labels.sum()) > 0.97
        assert count_windows(card, (40, 40, 40), (1, 1, 1), 0.5) == 2**3  # of 20³

    def test_nothing_is_found_outside_the_field_of_view(self) -> None:
        view = ball(32, 2, 10).astype(bool)
        image = np.where(view, 100.0, 1.0)[None, None]

        class One(nn.Module):
            def forward(self, x_BCS: Tensor) -> Tensor:
                return torch.cat([torch.zeros_like(x_BCS), torch.ones_like(x_BCS)], 1)

        card = make_card(intensity=zscore("foreground-zscore"))
        np.testing.assert_array_equal(run(One(), card, image)[0], view)

    def test_many_classes_need_wider_labels(self) -> None:
        class Last(nn.Module):
            def forward(self, x_BCS: Tensor) -> Tensor:
                shape = (len(x_BCS), 300, *x_BCS.shape[2:])
                out = torch.zeros(shape)
                out[:, 299] = 1
                return out

        labels = run(Last(), make_card(classes=300), noise(1, 1, 5, 5))
        assert labels.dtype == np.uint16
        assert (labels == 299).all()

    def test_no_images_no_labels(self) -> None:
        assert run(Above(), make_card(), noise(0, 1, 5, 6)).shape == (0, 5, 6)

    @pytest.mark.parametrize(
        ("shape", "says"),
        [
            ((1, 3, 8, 8), "got 2D with 3"),
            ((1, 1, 8, 8, 8), "got 3D with 1"),
            ((1, 8, 8), "got 1D with 8"),
        ],
    )
    def test_other_images_are_refused_in_one_line(
        self, shape: tuple[int, ...], says: str
    ) -> None:
        with pytest.raises(InputError) as caught:
            run(Above(), make_card(), noise(*shape))
        assert "Tiny reads 2D images with 1 channel(s)" in str(caught.value)
        assert says in str(caught.value)

    def test_too_little_memory_is_said_in_words(self) -> None:
        class Greedy(nn.Module):
            def forward(self, x_BCS: Tensor) -> Tensor:
                raise torch.OutOfMemoryError("CUDA out of memory")

        with pytest.raises(
            InputError, match="too little free memory for windows of 16×16"
        ):
            run(Greedy(), make_card(), noise(1, 1, 8, 8))

    def test_the_image_and_the_grid_of_threads_are_left_alone(self) -> None:
        image = noise(1, 1, 20, 20)
        before, threads = image.copy(), torch.get_num_threads()
        run(Above(), make_card(), image)
        np.testing.assert_array_equal(image, before)
        assert torch.get_num_threads() == threads

    def test_half_precision_agrees(self) -> None:
        image = noise(1, 1, 32, 32)
        net, card = Random(2, 3), make_card(classes=3)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(MODULE, "computes_half", lambda kind: True)
            half = run(net, card, image, Options(half=True))
        assert np.mean(half == run(net, card, image)) > 0.95
