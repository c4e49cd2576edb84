"""Between a scan and a net: grey values and grids."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from zoo import ball

from src_models.card import Intensity
from src_models.errors import InputError
from src_models.inference.intensity import field_of_view, normalise
from src_models.inference.resample import resample_image, resample_labels, target_shape


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
        source = SimpleITK.GetImageFromArray(image)
        factors = [o / n for o, n in zip(image.shape[::-1], shape[::-1], strict=True)]
        resampler = SimpleITK.ResampleImageFilter()
        resampler.SetSize(shape[::-1])
        resampler.SetOutputSpacing(factors)
        resampler.SetOutputOrigin([f / 2 - 0.5 for f in factors])
        resampler.SetInterpolator(SimpleITK.sitkLinear)
        wanted = SimpleITK.GetArrayFromImage(resampler.Execute(source))
        got = resample_image(image[None], shape)[0]
        np.testing.assert_allclose(got, wanted, atol=1e-4)

    def test_coarser_grids_do_not_alias(self) -> None:
        stripes = np.tile(np.array([0, 1], "f4"), 30)[None]
        got = resample_image(stripes, (13,))[0]
        np.testing.assert_allclose(got[2:-2], 0.5, atol=0.1)

    @pytest.mark.parametrize("centre", [0.0, 0.4, 0.9])
    def test_a_ball_keeps_volume_and_place(self, centre: float) -> None:
        labels = ball(60, 3, 20, z=centre, y=-2 * centre, x=5)
        coarse = resample_labels(labels, target_shape((60,) * 3, (1,) * 3, (2.5,) * 3))
        assert coarse.shape == (24, 24, 24)
        volume = int(labels.sum())
        assert int(coarse.sum()) * 2.5**3 == pytest.approx(volume, rel=0.03)
        back = resample_labels(coarse, (60, 60, 60))
        assert int(back.sum()) == pytest.approx(volume, rel=0.03)
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
