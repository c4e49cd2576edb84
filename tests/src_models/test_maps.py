"""Maps for losses: worked by hand, against SciPy and brute force, and their cache."""

from __future__ import annotations

import threading
from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from src_models.data.maps import (
    MAPS,
    MapCache,
    Patch,
    border_weights,
    components,
    make_maps,
    signed_distances,
)

BAND = np.array([[0, 0, 1, 1, 1, 0, 0, 0]])
LABELS = hnp.arrays(
    np.int64,
    st.one_of(
        st.tuples(st.integers(1, 7), st.integers(1, 7)),
        st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)),
    ),
    elements=st.integers(-1, 3),
)
SPACING = st.lists(st.sampled_from([0.5, 1, 2.5]), min_size=3, max_size=3)
quick = settings(max_examples=50, deadline=None)


class TestSignedDistances:
    def test_by_hand(self) -> None:
        plain = signed_distances(BAND, 2)
        assert plain.dtype == np.float32
        assert plain[1].tolist() == [[2, 1, -1, -2, -1, 1, 2, 3]]
        assert plain[0].tolist() == [[-2, -1, 1, 2, 1, -1, -2, -3]]
        official = signed_distances(BAND, 2, definition="official")
        assert official[1].tolist() == [[2, 1, 0, -1, 0, 1, 2, 3]]

    def test_in_millimetres(self) -> None:
        fine = signed_distances(BAND, 2, (3.0, 0.25))[1]
        assert fine.tolist() == [[0.5, 0.25, -0.25, -0.5, -0.25, 0.25, 0.5, 0.75]]
        # The published 1 is a voxel: at this spacing voxels inside come to lie outside.
        official = signed_distances(BAND, 2, (3.0, 0.25), definition="official")[1]
        assert official[0, 3] == 0.5

    def test_no_surface_is_no_distance(self) -> None:
        whole = np.ones((4, 4), int)
        assert not signed_distances(whole, 3).any()
        assert not signed_distances(whole * 0 - 1, 3).any()

    @quick
    @given(LABELS, SPACING)
    def test_is_scipys(self, labels: np.ndarray, spacing: list[float]) -> None:
        steps = spacing[: labels.ndim]
        found = signed_distances(labels, 4, steps)
        for value, phi in enumerate(found):
            inside = labels == value
            wanted = np.zeros(labels.shape)
            if inside.any() and not inside.all():
                out = ndimage.distance_transform_edt(~inside, sampling=steps)
                wanted = out - ndimage.distance_transform_edt(inside, sampling=steps)
                assert (phi < 0)[inside].all()
                assert (phi > 0)[~inside].all()
            np.testing.assert_allclose(phi, wanted, rtol=1e-5)


class TestBorderWeights:
    ROW = np.array([[1, 1, 0, 2, 2, 0, 0, 0]])

    def test_by_hand(self) -> None:
        found = border_weights(self.ROW, balance=False)
        assert found.dtype == np.float32
        assert found[0, 2] == pytest.approx(10.2312, abs=1e-4)  # d1 + d2 = 2
        # The next ones are 1 + 4, 2 + 5 and 3 + 6 from the two.
        wanted = [
            1 + 10 * np.exp(-((1 + 4) ** 2) / 50),
            *(1 + 10 * np.exp([-0.98, -1.62])),
        ]
        assert found[0, 5:] == pytest.approx(wanted, abs=1e-4)
        assert (found[self.ROW > 0] == 1).all()

    @pytest.mark.parametrize(
        ("gap", "wanted"), [(2, 9.2312), (5, 6.0653), (10, 1.3534), (20, 0.0034)]
    )
    def test_the_formula(self, gap: int, wanted: float) -> None:
        row = np.zeros((1, gap + 1), int)
        row[0, 0], row[0, -1] = 1, 2
        found = border_weights(row, balance=False)
        assert found[0, 1:-1] == pytest.approx(1 + wanted, abs=1e-4)

    def test_in_millimetres(self) -> None:
        found = border_weights(self.ROW, spacing=(9, 2.5), balance=False)
        assert found[0, 2] == pytest.approx(1 + 6.0653, abs=1e-4)  # 2.5 + 2.5 mm

    def test_on_a_fine_grid(self) -> None:
        row = np.zeros((1, 61), int)
        row[0, 0], row[0, -1] = 1, 2
        found = border_weights(row, spacing=(1, 0.25), balance=False)
        assert found[0, 1:-1] == pytest.approx(1 + 10 * np.exp(-4.5), abs=1e-4)  # 15 mm

    def test_one_instance_has_no_border(self) -> None:
        one = np.minimum(self.ROW, 1)[:, :3]
        assert border_weights(one, balance=False).tolist() == [[1, 1, 1]]
        assert border_weights(one * 0, balance=False).tolist() == [[1, 1, 1]]

    def test_classes_are_balanced(self) -> None:
        row = np.array([[1, 0, 0, 0, -1]])
        # Of 4 known voxels: 4 / (2 · 1) and 4 / (2 · 3); nothing where it is not known.
        assert border_weights(row, w0=0)[0] == pytest.approx(
            [2, 2 / 3, 2 / 3, 2 / 3, 0]
        )
        kinds = np.array([[2, 1, 0, 0, -1]])
        assert border_weights(row, kinds, w0=0)[0] == pytest.approx(
            [4 / 3, 4 / 3, 2 / 3, 2 / 3, 0]
        )

    @quick
    @given(LABELS, SPACING, st.sampled_from([0.3, 1.0, 5.0]))
    def test_is_brute_force(
        self, instances: np.ndarray, spacing: list[float], sigma: float
    ) -> None:
        instances = instances * 7  # numbers need not be consecutive
        steps = spacing[: instances.ndim]
        away = [
            ndimage.distance_transform_edt(instances != one, sampling=steps)
            for one in np.unique(instances[instances > 0])
        ]
        wanted = np.where(instances < 0, 0, 1.0)
        if len(away) > 1:
            d1, d2 = np.sort(away, axis=0)[:2]
            border = 10 * np.exp(-((d1 + d2) ** 2) / (2 * sigma**2))
            wanted += np.where(instances == 0, border, 0)
        found = border_weights(instances, sigma=sigma, spacing=steps, balance=False)
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


class TestComponents:
    def test_by_hand(self) -> None:
        labels = np.array([[1, 0, 2, 2], [0, 1, 2, 0], [0, 0, 0, 0], [-1, 1, 0, 1]])
        # Corners connect; the structure that touches it is another instance.
        wanted = [[1, 0, 4, 4], [0, 1, 4, 0], [0, 0, 0, 0], [0, 2, 0, 3]]
        assert components(labels).tolist() == wanted

    @quick
    @given(LABELS)
    def test_instances_are_whole_and_of_one_class(self, labels: np.ndarray) -> None:
        found = components(labels)
        assert ((found > 0) == (labels > 0)).all()
        assert set(np.unique(found[found > 0])) == set(range(1, found.max() + 1))
        for one in range(1, found.max() + 1):
            assert len(np.unique(labels[found == one])) == 1


def patch(seed: int = 0, **changed: object) -> Patch:
    labels = np.random.default_rng(seed).integers(0, 3, (6, 6))
    facts = {"labels": labels, "classes": 3, **changed}
    return Patch(**facts)


class TestMakeMaps:
    def test_what_was_asked_for(self) -> None:
        made = make_maps(MAPS, patch(spacing=(2, 1)))
        assert set(made) == set(MAPS)
        assert made["border"].shape == (6, 6)
        assert made["distance"].shape == (3, 6, 6)
        labels = patch().labels
        np.testing.assert_array_equal(
            made["distance"], signed_distances(labels, 3, (2, 1))
        )
        np.testing.assert_array_equal(
            made["border"], border_weights(components(labels), labels, spacing=(2, 1))
        )
        assert make_maps([], patch()) == {}

    def test_known_instances_are_taken(self) -> None:
        row = np.array([[1, 1, 0, 1]])
        one, two = np.array([[1, 1, 0, 1]]), np.array([[1, 1, 0, 2]])
        found = [
            make_maps(["border"], Patch(labels=row, classes=2, instances=known))
            for known in (one, two, None)
        ]
        gaps = [maps["border"][0, 2] for maps in found]
        assert gaps[0] < gaps[1] == gaps[2]


class TestCache:
    def test_gives_the_same_again_without_making_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cache = MapCache()
        first = make_maps(["distance"], patch(), cache)["distance"]
        kept = first.copy()
        first[:] = 0  # the caller's own
        monkeypatch.setattr("src_models.data.maps.MAPS", {})
        again = make_maps(["distance"], patch(), cache)["distance"]
        np.testing.assert_array_equal(again, kept)
        again[:] = 0
        np.testing.assert_array_equal(cache.get("distance", patch()), kept)

    @pytest.mark.parametrize(
        "other",
        [
            {"seed": 1},
            {"classes": 4},
            {"spacing": (2.0, 1.0)},
            {"instances": np.ones((6, 6), int)},
            {"labels": patch().labels.astype(np.uint8)},
            {"labels": patch().labels.reshape(4, 9)},
        ],
        ids=str,
    )
    def test_tells_contents_apart(self, other: dict[str, object]) -> None:
        cache = MapCache()
        for one in (patch(), patch(**other)):
            found = cache.get("border", one)
            np.testing.assert_array_equal(found, MAPS["border"](one))
        assert cache.held_bytes == 2 * 36 * 4

    def test_stays_within_its_bound_and_forgets_the_oldest(self) -> None:
        size = 3 * 36 * 4
        cache = MapCache(limit_bytes=2 * size)
        for seed in (0, 1, 0, 2):  # 1 is the one not used for longest
            cache.get("distance", patch(seed))
            assert cache.held_bytes <= 2 * size
        made: list[str] = []

        def spied(one: Patch) -> np.ndarray:
            made.append("made")
            return distance(one)

        distance = MAPS["distance"]
        with pytest.MonkeyPatch.context() as context:
            context.setattr("src_models.data.maps.MAPS", {"distance": spied})
            cache.get("distance", patch(0))
            cache.get("distance", patch(2))
            assert not made
            cache.get("distance", patch(1))
            assert made

    def test_what_is_larger_than_the_bound_is_not_held(self) -> None:
        cache = MapCache(limit_bytes=10)
        assert cache.get("distance", patch()).any()
        assert cache.held_bytes == 0

    def test_a_copy_starts_empty(self) -> None:
        cache = MapCache(limit_bytes=10_000)
        cache.get("border", patch())
        copy = deepcopy(cache)  # as a worker process gets it
        assert (copy.limit_bytes, copy.held_bytes) == (10_000, 0)
        assert cache.held_bytes > 0

    def test_may_be_shared_by_threads(self) -> None:
        cache = MapCache(limit_bytes=3 * 36 * 4 * 2)
        wrong: list[int] = []

        def work() -> None:
            for seed in range(30):
                one = patch(seed % 4)
                if (cache.get("distance", one) != MAPS["distance"](one)).any():
                    wrong.append(seed)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
