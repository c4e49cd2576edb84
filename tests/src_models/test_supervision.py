"""Marks, what is made of them, and training from them."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from weak import method_recipe, sides
from zoo import ball

from src_models.errors import InputError
from src_models.progress import drain
from src_models.supervision import propagation
from src_models.supervision.affinity import (
    Kernel,
    crf_term,
    cuts,
    half_ball,
    mean_field,
    normalised_cut,
)
from src_models.supervision.marks import (
    check_marks,
    drawn,
    points,
    ready_marks,
    scribbles,
)
from src_models.supervision.objectness import objectness
from src_models.supervision.points import present
from src_models.supervision.rounds import in_rounds
from src_models.supervision.terms import image_level, prior_term, size_term
from src_models.training.curves import Epoch
from src_models.training.methods import fit_of
from src_models.training.turns import one_device

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from src_models.data.cases import Case
    from src_models.data.splits import Split

KERNEL = Kernel(radius=2, grey=0.5, near=1.5)
seeds = st.integers(0, 2**16)


def softmax(*shape: int, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    return (3 * torch.randn(shape, dtype=torch.float64)).softmax(1)


def dense(image: torch.Tensor, kernel: Kernel) -> np.ndarray[Any, Any]:
    """W of one image (C, *S), all pairs by the formula."""
    places = np.argwhere(np.ones(image.shape[1:]))
    grey = image.numpy().reshape(len(image), -1).T
    w = np.zeros((len(places), len(places)))
    for i, j in product(range(len(places)), repeat=2):
        far = np.square(places[i] - places[j]).sum()
        if i != j and far <= kernel.radius**2:
            apart = np.square(grey[i] - grey[j]).sum()
            w[i, j] = np.exp(-apart / (2 * kernel.grey**2) - far / (2 * kernel.near**2))
    return w


class TestAffinity:
    def test_offsets_by_hand(self) -> None:
        assert sorted(half_ball(1, 2)) == [(0, 1), (1, 0)]
        assert len(half_ball(2, 2)) == 6
        assert len(half_ball(1, 3)) == 3

    @pytest.mark.parametrize("shape", [(4, 5), (3, 2, 4), (1, 6)])
    def test_against_all_pairs(self, shape: tuple[int, ...]) -> None:
        image = torch.randn(2, 2, *shape, generator=torch.Generator().manual_seed(1))
        p = softmax(2, 3, *shape)
        cut, joined = cuts(p, image, KERNEL)
        terms, ratios = [], []
        for b in range(2):
            w = dense(image[b], KERNEL)
            flat = p[b].flatten(1).numpy()
            wanted = [row @ w @ (1 - row) for row in flat]
            torch.testing.assert_close(
                cut[b].numpy(), np.float32(wanted), rtol=1e-4, atol=1e-5
            )
            degrees = [row @ w.sum(1) for row in flat]
            torch.testing.assert_close(
                joined[b].numpy(), np.float32(degrees), rtol=1e-4, atol=1e-5
            )
            terms.append(sum(wanted) / flat.shape[1])
            ratios.append(sum(np.divide(wanted, degrees)))
        assert float(crf_term(p, image, KERNEL)) == pytest.approx(
            np.mean(terms), rel=1e-4
        )
        assert float(normalised_cut(p, image, KERNEL)) == pytest.approx(
            np.mean(ratios), rel=1e-4
        )

    def test_bounds(self) -> None:
        image = torch.randn(1, 1, 8, 8)
        sure = torch.zeros(1, 2, 8, 8)
        sure[:, 0] = 1
        assert float(crf_term(sure, image, KERNEL)) == 0
        same = torch.full((1, 3, 8, 8), 1 / 3)
        assert float(normalised_cut(same, image, KERNEL)) == pytest.approx(2, rel=1e-5)

    def test_a_cut_along_the_edge_is_the_cheapest(self) -> None:
        image = torch.zeros(1, 1, 8, 8)
        image[..., 4:] = 3
        right = torch.zeros(1, 2, 8, 8)
        right[:, 1, :, 4:], right[:, 0, :, :4] = 1, 1
        for term in (crf_term, normalised_cut):
            found = [
                float(term(right.roll(shift, 3), image, KERNEL)) for shift in (0, 1, 2)
            ]
            assert found[0] < 1e-3
            assert found[0] < found[1] < found[2]

    def test_no_gradient_reaches_the_image(self) -> None:
        image = torch.randn(1, 1, 6, 6, requires_grad=True)
        logits = torch.randn(1, 2, 6, 6, requires_grad=True)
        normalised_cut(logits.softmax(1), image, KERNEL).backward()
        assert image.grad is None
        assert logits.grad is not None
        assert logits.grad.abs().sum() > 0

    def test_mean_field_follows_the_image(self) -> None:
        image = torch.zeros(1, 1, 9, 9)
        image[..., 5:] = 3
        log_p = torch.zeros(1, 2, 9, 9)
        log_p[:, 1, :, 5:], log_p[:, 0, :, :5] = 1, 1
        log_p[:, :, 2, 2] = torch.tensor([0.0, 1.0])  # one voxel that is wrong
        kept = mean_field(log_p, image, KERNEL, 0.0, 5)
        torch.testing.assert_close(kept, log_p.softmax(1))
        smooth = mean_field(log_p, image, KERNEL, 4.0, 5)
        assert torch.equal(smooth.argmax(1)[0, 0], (image[0, 0, 0] > 0).long())
        assert int(smooth[0, :, 2, 2].argmax()) == 0
        torch.testing.assert_close(smooth.sum(1), torch.ones(1, 9, 9))


class TestGraphCut:
    @given(seeds, st.integers(2, 3), st.integers(1, 6))
    @settings(deadline=None, max_examples=60)
    def test_against_all_labellings(self, seed: int, kinds: int, count: int) -> None:
        random = np.random.default_rng(seed)
        costs = random.uniform(0, 1, (count, kinds))
        pairs = [
            pair for pair in combinations(range(count), 2) if random.random() < 0.6
        ]
        edges = np.array(pairs, int).reshape(-1, 2)
        weights = random.uniform(0, 1, len(edges))

        def energy(labels: Any) -> float:
            own = sum(costs[i, y] for i, y in enumerate(labels))
            apart = [labels[i] != labels[j] for i, j in pairs]
            return float(own + weights[np.array(apart, bool)].sum())

        found = propagation.cut(costs, edges, weights)
        reached = energy(found)
        best = min(map(energy, product(range(kinds), repeat=count)))
        assert reached == pytest.approx(
            propagation.energy(found, costs, edges, weights)
        )
        # Two labels: exact. More: within twice the least, for Potts weights.
        assert reached <= (best + 1e-3 if kinds == 2 else 2 * best + 1e-3)

    def test_pieces_keep_to_edges_and_are_numbered_through(self) -> None:
        image = np.zeros((1, 20, 20))
        image[:, :, 11:] = 1
        pieces = propagation.superpixels(image, 25)
        assert np.array_equal(np.unique(pieces), np.arange(pieces.max() + 1))
        assert not set(np.unique(pieces[:, :11])) & set(np.unique(pieces[:, 11:]))

    def test_alike_are_those_of_one_grey(self) -> None:
        image = np.zeros((1, 20, 20))
        image[:, :, 11:] = 1
        image += np.random.default_rng(0).normal(0, 0.02, image.shape)
        pieces = propagation.superpixels(image, 25)
        edges, alike = propagation.likeness(image, pieces)
        count = int(pieces.max()) + 1
        side = np.array([image[0][pieces == n].mean() > 0.5 for n in range(count)])
        crossing = side[edges[:, 0]] != side[edges[:, 1]]
        assert ((alike > 0) & (alike <= 1)).all()
        assert alike[crossing].max() < alike[~crossing].min()

    def test_a_stroke_each_fills_both_halves(self) -> None:
        image = np.zeros((1, 24, 24))
        image[:, :, 13:] = 1
        image += np.random.default_rng(0).normal(0, 0.1, image.shape)
        marks = np.full((24, 24), -1)
        marks[3:20, 4], marks[10, 18:22] = 0, 2
        found = propagation.spread(marks, image, None, voxels=20, smooth=1)
        wanted = np.zeros((24, 24), int)
        wanted[:, 13:] = 2
        assert (found != wanted).mean() < 0.05  # a superpixel at the edge
        assert set(np.unique(found)) == {0, 2}
        assert (found[marks >= 0] == marks[marks >= 0]).all()

    def test_the_net_outvotes_what_no_stroke_says(self) -> None:
        random = np.random.default_rng(0)
        image, marks = random.normal(0, 1, (1, 16, 16)), np.full((16, 16), -1)
        marks[8, 1], marks[8, 14] = 0, 1
        truth = np.zeros((16, 16), int)
        truth[:, 4:] = 1
        log_p = np.where(np.stack([truth == 0, truth == 1]), -0.01, -5.0)
        found = propagation.spread(marks, image, log_p, voxels=8, smooth=0.1)
        alone = propagation.spread(marks, image, None, voxels=8, smooth=0.1)
        assert (found != truth).mean() < 0.15 < (alone != truth).mean()


def two_parts(ndim: int) -> np.ndarray[Any, Any]:
    labels = ball(24, ndim, 5, x=-5).astype(np.uint8)
    labels[ball(24, ndim, 4, x=6).astype(bool)] = 2
    return labels


class TestDrawing:
    @pytest.mark.parametrize("ndim", [2, 3])
    @pytest.mark.parametrize("seed", range(4))
    def test_strokes_are_right_few_and_on_everything(
        self, ndim: int, seed: int
    ) -> None:
        labels = two_parts(ndim)
        marks = scribbles(labels, np.random.default_rng(seed), slices=2)
        known = marks >= 0
        assert (marks[known] == labels[known]).all()
        assert set(np.unique(marks)) == {-1, 0, 1, 2}
        assert known.mean() < 0.25
        if ndim == 3:
            planes = np.flatnonzero(known.any((1, 2)))
            assert len(planes) == 2
            assert (labels[planes] > 0).any((1, 2)).all()

    @pytest.mark.parametrize("ndim", [2, 3])
    def test_a_dot_on_each_object(self, ndim: int) -> None:
        labels = two_parts(ndim)
        labels[(2,) * ndim] = 1  # one voxel, an object of its own
        marks = points(labels, np.random.default_rng(0), slices=1)
        assert (marks[marks >= 0] == labels[marks >= 0]).all()
        assert set(np.unique(marks)) == {-1, 1, 2}
        assert marks[(2,) * ndim] == 1
        assert 3 <= (marks > 0).sum() <= 3 * (2 * ndim + 1)

    @given(seeds)
    @settings(deadline=None, max_examples=25)
    def test_anything_may_be_drawn_on(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        labels = random.integers(0, 3, random.integers(1, 9, 2)) * random.integers(0, 2)
        for how in (scribbles, points):
            marks = how(labels, random, slices=2)
            assert (marks[marks >= 0] == labels[marks >= 0]).all()

    def test_each_name_has_its_own(self) -> None:
        first, second, *_ = sides().train
        second = replace(second, labels=first.labels)
        once, again, other = (
            drawn(case, scribbles, slices=1).labels for case in (first, first, second)
        )
        assert np.array_equal(once, again)
        assert not np.array_equal(once, other)


class TestChecks:
    def marked(self, *values: int) -> list[Case]:
        case = sides().train[0]
        labels = np.full(case.labels.shape, -1, np.int16)
        labels[0, : len(values)] = values
        return [replace(case, labels=labels)]

    @pytest.mark.parametrize(
        ("values", "says"),
        [
            ((), "nothing is marked in the labels of the 1 training images"),
            ((0,), "no structure is marked"),
            ((1,), "background is marked in none"),
        ],
    )
    def test_what_is_missing_is_said(self, values: tuple[int, ...], says: str) -> None:
        with pytest.raises(InputError, match=says):
            check_marks(self.marked(*values))

    def test_enough(self) -> None:
        check_marks(self.marked(0, 1))
        check_marks(self.marked(1), background=False)

    def test_whole_masks_are_no_marks_but_boxes_may_be_everywhere(self) -> None:
        whole = sides().train[:1]
        for background in (True, False):
            with pytest.raises(
                InputError, match="every voxel of the 1 training images"
            ):
                check_marks(whole, background=background)
        check_marks(whole, everywhere=True)

    @pytest.mark.parametrize("name", ["scribbles", "scribble-rounds", "points"])
    def test_nothing_marked_stops_before_the_work(
        self, name: str, tmp_path: Path
    ) -> None:
        split = sides()
        blank = tuple(
            replace(case, labels=np.full(case.labels.shape, -1, np.int16))
            for case in split.train
        )
        recipe = method_recipe(name)
        with pytest.raises(InputError, match="nothing is marked"):
            drain(fit_of(recipe)(recipe, replace(split, train=blank), tmp_path / "run"))
        assert not (tmp_path / "run").exists()


class TestOnTheNetsGrid:
    def coarse(self) -> Any:
        recipe = method_recipe("scribbles")
        return recipe.model_copy(update={"spacing": (12.0, 12.0)})

    def test_a_case_whose_marks_are_lost_is_left_out(self) -> None:
        one, other = sides().train[:2]
        lost = np.full((24, 24), -1, np.int16)
        lost[0, 1] = 1
        kept = np.where(np.arange(24) < 12, 0, 1) * np.ones((24, 1), np.int16)
        cases = [replace(one, labels=lost), replace(other, labels=kept)]
        assert [case.name for case in ready_marks(self.coarse(), cases)] == [other.name]
        with pytest.raises(InputError, match="no mark of a structure is left"):
            ready_marks(self.coarse(), cases[:1])

    def test_nothing_spreads_from_nothing(self) -> None:
        marks = np.full((8, 8), -1)
        image = np.random.default_rng(0).normal(size=(1, 8, 8))
        assert (propagation.spread(marks, image, None, voxels=8, smooth=1) == -1).all()


class TestObjectness:
    @pytest.mark.parametrize("ndim", [2, 3])
    def test_what_stands_out_is_likely_an_object(self, ndim: int) -> None:
        truth = ball(20, ndim, 5).astype(bool)
        image = truth + np.random.default_rng(0).normal(0, 0.02, truth.shape)
        found = objectness(image[None])
        assert found.shape == truth.shape
        assert found.min() >= 0
        assert found.max() <= 1
        assert found[truth].mean() > 0.8
        outside = ~ball(20, ndim, 7).astype(bool)
        assert found[outside].mean() < 0.35

    def test_nothing_stands_out_of_a_flat_image(self) -> None:
        assert not objectness(np.full((2, 9, 9), 7.0)).any()


class TestTerms:
    def test_image_level_by_hand(self) -> None:
        logits = torch.tensor([[[2.0, 0.0, -1.0], [0.0, 1.0, 0.0]]])
        p = logits.softmax(1)[0]
        there, not_there = torch.tensor([[True, False]]), torch.tensor([[False, True]])
        wanted = -p[0].max().log() - (1 - p[1].max()).log()
        found = image_level(logits, there, not_there)
        torch.testing.assert_close(found, wanted)
        none = torch.zeros(1, 2, dtype=torch.bool)
        assert float(image_level(logits, none, none)) == 0

    def test_the_prior_by_hand(self) -> None:
        logits = torch.tensor([[[0.0, 2.0], [1.0, 0.0], [1.0, 0.0]]])  # K=3, two voxels
        p = logits.softmax(1)[0]
        prior = torch.tensor([[0.8, 0.1]])
        wanted = 0.8 * (p[1, 0] + p[2, 0]).log() + 0.2 * p[0, 0].log()
        wanted = wanted + 0.1 * (p[1, 1] + p[2, 1]).log() + 0.9 * p[0, 1].log()
        torch.testing.assert_close(prior_term(logits, prior), -wanted / 2)

    @pytest.mark.parametrize(
        ("volume", "penalty"), [(80, 100), (90, 0), (100, 0), (140, 900)]
    )
    def test_sizes_by_hand(self, volume: int, penalty: float) -> None:
        """The worked example: 90 to 110 voxels are wished for."""
        logits = torch.full((1, 2, 200), -40.0)
        logits[0, 1, :volume], logits[0, 0, volume:] = 40, 40
        low, high = torch.tensor([[0.0, 90]]), torch.tensor([[1e9, 110]])
        inside = torch.ones(1, 200)
        found = size_term(logits, low, high, inside)
        assert float(found) == pytest.approx(penalty, abs=1e-3)
        inside[:, :volume] = 0  # what lies outside does not count
        found = size_term(logits, low, high, inside)
        assert float(found) == pytest.approx(90**2, abs=1e-2)

    def test_present_in_a_patch(self) -> None:
        labels = torch.tensor([[[-1, 2], [-1, -1]], [[0, 1], [1, -1]]])
        assert present(labels, 3).tolist() == [
            [False, False, True],
            [True, True, False],
        ]


def run_of(name: str, folder: Path, split: Split | None = None, **options: Any) -> Any:
    recipe = method_recipe(name, options, epochs=options.pop("epochs", 2))
    steps = fit_of(recipe)(recipe, split or sides(), folder, accelerator="cpu")
    events = []
    while True:
        try:
            events.append(next(steps))
        except StopIteration as end:
            return end.value, [one for one in events if isinstance(one, Epoch)]


class TestTraining:
    @pytest.mark.parametrize(
        ("name", "options"),
        [
            ("scribbles", {"regulariser": "ncut"}),
            ("scribbles", {"regulariser": "crf"}),
            ("scribbles", {"regulariser": "none"}),
            ("points", {}),
        ],
    )
    def test_runs_and_reads_no_mask(
        self, name: str, options: dict[str, Any], tmp_path: Path
    ) -> None:
        """Where nothing is marked, labels make no difference."""
        split = sides()
        how: Callable[..., Any] = points if name == "points" else scribbles
        marked = [drawn(case, how, slices=1) for case in split.train]
        other = replace(split, train=tuple(marked))
        net, epochs = run_of(name, tmp_path / "a", draw=True, **options)
        same, _ = run_of(name, tmp_path / "b", other, **options)
        assert [epoch.number for epoch in epochs] == [1, 2]
        assert all(np.isfinite(epoch.loss) for epoch in epochs)
        for ours, theirs in zip(
            net.state_dict().values(), same.state_dict().values(), strict=True
        ):
            assert torch.equal(ours, theirs)

    def test_the_regulariser_is_in_the_loss(self, tmp_path: Path) -> None:
        runs = {
            kind: run_of("scribbles", tmp_path / kind, draw=True, regulariser=kind)
            for kind in ("ncut", "crf", "none")
        }
        losses = {kind: epochs[0].loss for kind, (_, epochs) in runs.items()}
        assert losses["none"] < min(losses["ncut"], losses["crf"])
        assert losses["ncut"] != losses["crf"]

    @pytest.mark.parametrize(
        ("name", "weight", "options"),
        [
            ("scribbles", "weight", {"regulariser": "crf"}),
            ("points", "image_level", {}),
            ("points", "objectness", {"image_level": 0}),
        ],
    )
    def test_a_weight_is_that_of_its_own_term(
        self, name: str, weight: str, options: dict[str, Any], tmp_path: Path
    ) -> None:
        """The loss of a run's first step is a line in it, and rises."""
        losses = []
        for value in (0.0, 0.5, 1.0):
            wanted = {"draw": True, **options, weight: value}
            recipe = method_recipe(name, wanted, epochs=1, steps=1)
            run = tmp_path / str(value)
            going = fit_of(recipe)(recipe, sides(), run, accelerator="cpu")
            (epoch,) = (event for event in going if isinstance(event, Epoch))
            losses.append(epoch.loss)
        assert losses[2] > losses[0] + 1e-4
        assert losses[1] == pytest.approx((losses[0] + losses[2]) / 2, rel=1e-5)

    def test_what_was_clicked_nowhere_in_an_image_is_nowhere(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from src_models.supervision import points as module

        seen: list[tuple[Any, Any]] = []

        def note(logits: Any, present_: Any, absent: Any) -> Any:
            seen.append((present_, absent))
            return image_level(logits, present_, absent)

        monkeypatch.setattr(module, "image_level", note)
        split = sides()
        marks = [drawn(case, points, slices=1) for case in split.train]
        for case in marks[:2]:  # without the structure; background is told
            case.labels[case.labels > 0] = -1
            case.labels[:, ::6] = 0
        marked = replace(split, train=tuple(marks))
        recipe = method_recipe("points", epochs=1, steps=8)
        drain(fit_of(recipe)(recipe, marked, tmp_path, accelerator="cpu"))
        there, absent = (torch.cat(one) for one in zip(*seen, strict=True))
        assert not absent[:, 0].any()  # background is everywhere
        assert set(absent[:, 1].tolist()) == {True, False}
        assert not (there & absent).any()

    def test_each_round_but_the_first_hears_the_net(self, tmp_path: Path) -> None:
        recipe = method_recipe("scribble-rounds", epochs=2, steps=1)
        heard: list[Any] = []

        def relabel(case: Case, said: Any) -> Any:
            heard.append(said)
            return case.labels

        fabric = one_device(recipe, "cpu", 1, 1)
        drain(in_rounds(recipe, sides(), tmp_path, fabric, 2, relabel))
        count = len(sides().train)
        assert heard[:count] == [None] * count
        for case, said in zip(sides().train, heard[count:], strict=True):
            assert said.shape == (2, *case.labels.shape)
            np.testing.assert_allclose(np.exp(said).sum(0), 1, rtol=1e-4)

    def test_rounds_go_on_where_the_last_ended(self, tmp_path: Path) -> None:
        net, epochs = run_of(
            "scribble-rounds", tmp_path, draw=True, rounds=2, voxels=8, epochs=3
        )
        assert [(epoch.number, epoch.of) for epoch in epochs] == [
            (1, 3),
            (2, 3),
            (3, 3),
        ]
        rows = (tmp_path / "history.csv").read_text().splitlines()
        assert len(rows) == 4
        assert rows[0].endswith("round")
        assert [row.rpartition(",")[2] for row in rows[1:]] == ["1", "2", "2"]
        assert not any(one.requires_grad for one in net.parameters())

    def test_an_interrupted_run_ends_as_it_would_have(self, tmp_path: Path) -> None:
        recipe = method_recipe(
            "scribble-rounds", {"draw": True, "rounds": 2, "voxels": 8}, epochs=2
        )
        whole = drain(
            fit_of(recipe)(recipe, sides(), tmp_path / "a", accelerator="cpu")
        )
        steps = fit_of(recipe)(recipe, sides(), tmp_path / "b", accelerator="cpu")
        for event in steps:
            if isinstance(event, Epoch):
                break
        steps.close()
        again = drain(
            fit_of(recipe)(recipe, sides(), tmp_path / "b", accelerator="cpu")
        )
        for ours, theirs in zip(
            whole.state_dict().values(), again.state_dict().values(), strict=True
        ):
            assert torch.equal(ours, theirs)
        histories = [
            (tmp_path / run / "history.csv").read_text().splitlines() for run in "ab"
        ]
        assert len(histories[0]) == len(histories[1]) == 3

    def test_more_rounds_than_epochs(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="3 rounds need as many"):
            run_of("scribble-rounds", tmp_path, draw=True, epochs=2)
