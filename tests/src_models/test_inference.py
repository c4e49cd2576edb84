"""A net over whole images: windows, blended, and all of it together."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.inferers import sliding_window_inference
from scipy import ndimage
from skimage.filters import threshold_otsu
from torch import Tensor, nn
from zoo import ball, make_card

from src_models.errors import InputError
from src_models.inference import Options, count_windows, predict
from src_models.inference.otsu import otsu
from src_models.inference.windows import gaussian, rows_of_windows, starts
from src_models.progress import Progress, drain

if TYPE_CHECKING:
    from collections.abc import Callable

    from src_models.card import TrainedCard

MODULE = sys.modules["src_models.inference.predict"]  # the name is the function's
EXACT = Options(half=False)
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


class TestOtsu:
    def test_by_hand(self) -> None:
        two = np.array([0.1] * 30 + [0.8] * 10)
        assert otsu(two) == pytest.approx(0.45, abs=1 / 256)
        assert otsu(np.array([])) == otsu(np.zeros((3, 4))) == otsu(np.ones(5)) == 0.5

    @given(st.integers(0, 999), st.floats(0.3, 3))
    def test_it_is_scikit_images(self, seed: int, power: float) -> None:
        p = np.random.default_rng(seed).random((9, 11)) ** power
        counts, edges = np.histogram(p, 256, (0, 1))
        middles = (edges[:-1] + edges[1:]) / 2
        last = np.searchsorted(middles, threshold_otsu(hist=(counts, middles)))
        np.testing.assert_array_equal(p > otsu(p), p >= edges[last + 1])


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
        # A voxel of 2 mm cannot follow a ball of 12 mm better.
        assert 2 * both / (got.sum() + labels.sum()) > 0.94
        assert int(got.sum()) == pytest.approx(int(labels.sum()), rel=0.03)
        centres = [ndimage.center_of_mass(x) for x in (got[0], labels)]
        np.testing.assert_allclose(*centres, atol=0.05)
        assert count_windows(card, (40, 40, 40), (1, 1, 1), 0.5) == 2**3  # of 20³

    def test_nothing_is_found_outside_the_field_of_view(self) -> None:
        view = ball(32, 2, 10).astype(bool)
        image = np.where(view, 100.0, 1.0)[None, None]

        class One(nn.Module):
            def forward(self, x_BCS: Tensor) -> Tensor:
                return torch.cat([torch.zeros_like(x_BCS), torch.ones_like(x_BCS)], 1)

        card = make_card(intensity={"kind": "foreground-zscore"})
        np.testing.assert_array_equal(run(One(), card, image)[0], view)

    @given(jobs())
    def test_by_otsu_whatever_the_windows(self, job: Any) -> None:
        shape, patch, overlap = job
        image = noise(2, 1, *shape)
        card = make_card(ndim=len(shape), patch=patch, binarise="otsu")
        labels = run(Above(), card, image, Options(overlap=overlap, half=False))
        p = 1 / (1 + np.exp(-2 * image[:, 0].astype("f8")))
        for found, one in zip(labels, p, strict=True):
            sure = np.abs(one - otsu(one)) > 1e-5
            np.testing.assert_array_equal(found[sure], (one > otsu(one))[sure])

    def test_otsu_looks_at_the_field_of_view_alone(self) -> None:
        """Faint and strong inside; outside, what would move the threshold up."""
        view = ball(32, 2, 10).astype(bool)
        image = np.where(view, 100.0, 1.0)[None, None].repeat(2, 1)
        image[0, 1] = np.where(view, 60.0, 5.0)
        image[0, 1, 12:20, 12:20] = 80.0

        class Bright(nn.Module):
            def forward(self, x_BCS: Tensor) -> Tensor:
                p = torch.full_like(x_BCS[:, 0], 0.95)
                p[x_BCS[:, 1] > -5] = 0.1
                p[x_BCS[:, 1] > 1] = 0.4
                return torch.stack([(1 - p).log(), p.log()], 1)

        card = make_card(
            in_channels=2, binarise="otsu", intensity={"kind": "foreground-zscore"}
        )
        assert np.argwhere(run(Bright(), card, image)[0]).tolist() == [
            [y, x] for y in range(12, 20) for x in range(12, 20)
        ]
        card = make_card(in_channels=2, intensity={"kind": "foreground-zscore"})
        assert not run(Bright(), card, image).any()

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
