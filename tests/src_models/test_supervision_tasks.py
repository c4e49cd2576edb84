"""Several tasks: their targets, their balance, what a missing label leaves alone."""

from __future__ import annotations

import csv
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from scipy import ndimage
from torch import nn
from weak import method_recipe, sides

from src_models.data.maps import FAR, components, edge_distances, level_sets
from src_models.errors import InputError
from src_models.nets.dcan import fused
from src_models.progress import drain
from src_models.supervision.balance import Fixed, GradNorm, Uncertainty
from src_models.supervision.branches import Decoder, Diagnosis, coarsest, tapped
from src_models.supervision.diagnosis import TABLE, Names
from src_models.supervision.multitask import (
    BALANCE,
    BRANCH,
    balanced,
    contour_labels,
    distance_loss,
    known,
)
from src_models.training.curves import Epoch
from src_models.training.method_spec import options_of
from src_models.training.methods import fit_of
from src_models.training.taught import method_of, segmentor_of
from src_models.training.turns import FOR_USE

if TYPE_CHECKING:
    from pathlib import Path

    from src_models.data.splits import Split
    from src_models.training.config import Recipe

seeds = st.integers(0, 2**16)
TINY_DCAN = {"widths": (4, 8), "depths": (1, 1), "scored": 2, "hidden": 4}


def number(value: torch.Tensor) -> float:
    return float(value.detach())


class TestTargets:
    def test_edges_by_hand(self) -> None:
        instances = np.array([[0, 1, 1, 1, 2, 2, 0]])
        away, hidden = edge_distances(instances, np.sign(instances))
        assert away[0].tolist() == [1, 0, 1, 0, 0, 0, 1]
        assert (hidden == FAR).all()

    def test_no_edge_is_known_beside_the_unknown(self) -> None:
        instances = np.array([[1, 1, 0, 0, 0, 0]])
        labels = np.array([[1, 1, -1, 0, 0, 0]])
        edges = edge_distances(instances, labels)
        assert (edges[0] == FAR).all()
        assert edges[1, 0].tolist() == [2, 1, 0, 1, 2, 3]
        drawn = contour_labels(torch.from_numpy(edges)[None], 1)
        # If the hidden voxel is background, the second is an edge: the first lies by it.
        assert drawn[0, 0].tolist() == [-1, -1, -1, -1, -1, 0]

    @given(seeds, st.integers(0, 3))
    @settings(deadline=None, max_examples=25)
    def test_contours_are_discs_round_edges(self, seed: int, radius: int) -> None:
        random = np.random.default_rng(seed)
        labels = (ndimage.gaussian_filter(random.normal(size=(20, 20)), 2) > 0.02) * 1
        instances = components(labels)
        edges = edge_distances(instances, labels)
        found = contour_labels(torch.from_numpy(edges)[None], radius)[0].numpy()
        inner = (instances > 0) & np.any(
            [
                np.roll(np.pad(instances, 1, "edge"), shift, axis)[1:-1, 1:-1]
                != instances
                for axis in (0, 1)
                for shift in (1, -1)
            ],
            axis=0,
        )
        disc = np.hypot(*np.mgrid[-radius : radius + 1, -radius : radius + 1]) <= radius
        wanted = ndimage.binary_dilation(inner, disc) if inner.any() else inner
        assert np.array_equal(found == 1, wanted)
        assert set(np.unique(found)) <= {0, 1}

    @given(seeds)
    @settings(deadline=None, max_examples=25)
    def test_what_is_hidden_changes_no_target(self, seed: int) -> None:
        """A target that is given is right whatever lies under the unknown voxels."""
        random = np.random.default_rng(seed)
        labels = (ndimage.gaussian_filter(random.normal(size=(16, 16)), 2) > 0) * 1
        seen = labels.copy()
        y, x = random.integers(0, 12, 2)
        seen[y : y + 4, x : x + 4] = -1
        for make in (
            lambda one: contour_labels(
                torch.from_numpy(edge_distances(components(one), one))[None], 2
            )[0].numpy(),
            lambda one: np.nan_to_num(level_sets(one, 2)[0], nan=-1),
        ):
            part, whole = make(seen), make(labels)
            given_ = (part != -1) & (seen >= 0)
            assert np.array_equal(part[given_], whole[given_])

    def test_levels_by_hand(self) -> None:
        labels = np.array([[0, 0, 1, 1, 0, 0]])
        found = level_sets(labels, 3)
        assert found[0, 0].tolist() == [2, 1, -1, -1, 1, 2]
        assert (found[1] == FAR).all()  # absent
        assert (level_sets(np.ones((2, 3), int), 2) == -FAR).all()
        hidden = np.array([[0, 0, 1, 1, -1, 0, 0]])
        levels = level_sets(hidden, 2)[0, 0]
        assert levels[:3].tolist() == [2, 1, -1]
        assert np.isnan(levels[4:6]).all()
        assert np.isnan(level_sets(np.full((2, 2), -1), 2)).all()

    def test_the_distance_loss_by_hand(self) -> None:
        levels = torch.tensor([[[5.0, -20.0, float("nan")]]])
        said = torch.tensor([[[0.0, -1.0, 7.0]]], requires_grad=True)
        loss = distance_loss(said, levels, 10)
        assert loss is not None
        assert number(loss) == pytest.approx(0.25)  # (0.5 + 0) / 2
        loss.backward()
        assert said.grad is not None
        assert said.grad[0, 0].tolist() == [-0.5, 0, 0]
        assert distance_loss(said, torch.full((1, 1, 3), torch.nan), 10) is None


class TestDCAN:
    @given(st.floats(-8, 8), st.floats(-8, 8))
    def test_a_structure_is_where_it_is_likely_and_no_contour_is(
        self, ahead: float, contour: float
    ) -> None:
        region = torch.tensor([0.3, 0.3 + ahead]).view(1, 2, 1, 1)
        edge = torch.tensor([0.0, contour]).view(1, 2, 1, 1)
        answer = fused(region, edge).flatten()
        wanted = ahead > 0 and contour < 0
        if abs(ahead) > 1e-3 and abs(contour) > 1e-3:
            assert bool(answer[1] > answer[0]) == wanted
        assert float(answer[0]) == pytest.approx(0.3)

    def test_two_that_touch_come_apart(self) -> None:
        region = torch.zeros(1, 2, 1, 7)
        region[0, 1, 0, 1:6] = 5
        edge = torch.zeros(1, 2, 1, 7)
        edge[0, 1], edge[0, 0] = -5, 5
        edge[0, 1, 0, 3], edge[0, 0, 0, 3] = 5, -5
        found = fused(region, edge).argmax(1)[0, 0].tolist()
        assert found == [0, 1, 1, 0, 1, 1, 0]


def net_and_branch() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return {FOR_USE: nn.Linear(3, 2), BRANCH: nn.Linear(2, 1)}


LOSSES = {"a": torch.tensor(2.0), "b": torch.tensor(3.0)}


class TestBalance:
    def test_fixed_by_hand(self) -> None:
        balance = Fixed({"a": 1, "b": 0.5})
        assert number(balance(LOSSES)) == 3.5
        assert number(balance({"a": None, "b": LOSSES["b"]})) == 1.5
        with pytest.raises(ValueError, match="no task"):
            balance({"a": None, "b": None})

    def test_uncertainty_by_hand(self) -> None:
        balance = Uncertainty({"a": 1, "b": 1})
        start = number(balance(LOSSES))
        assert start == pytest.approx(2 + 3 - np.log(2))  # σ² = 1/2 twice
        with torch.no_grad():
            balance.log_sigma["a"].fill_(np.log(2.0))
        # 2 / (2·4) + log 2, and 3 − log 2 / 2
        assert number(balance(LOSSES)) == pytest.approx(
            0.25 + np.log(2) + 3 - np.log(2) / 2
        )

    def test_the_best_uncertainty_is_that_of_the_loss(self) -> None:
        balance = Uncertainty({"a": 1})
        optimizer = torch.optim.SGD(balance.parameters(), 0.1)
        for _ in range(300):
            optimizer.zero_grad()
            balance({"a": torch.tensor(2.0)}).backward()
            optimizer.step()
        # d/dσ (L / 2σ² + log σ) = 0 at σ² = L
        assert number(torch.exp(2 * balance.log_sigma["a"])) == pytest.approx(
            2, rel=1e-3
        )

    def test_gradnorm_by_hand(self) -> None:
        shared = torch.ones(1, requires_grad=True)
        balance = GradNorm({"a": 1, "b": 1}, alpha=1)
        first = {"a": 3 * shared.sum(), "b": 1 * shared.sum()}
        # Strengths 3 and 1; both as far in learning, so 2 is wished for each.
        apart = balance.imbalance(first, [shared])
        assert apart is not None
        assert number(apart) == pytest.approx(2)
        apart.backward()
        assert balance.w.grad is not None
        assert balance.w.grad.tolist() == [3, -1]
        # a is now at a third of its first loss, b at the whole: ratios 0.5 and 1.5.
        later = {"a": shared.sum(), "b": 1 * shared.sum()}
        apart = balance.imbalance(later, [shared])
        assert apart is not None
        assert number(apart) == pytest.approx(abs(1 - 0.5) + abs(1 - 1.5))
        with torch.no_grad():
            balance.w.copy_(torch.tensor([-1.0, 3.0]))
        balance.renormalise()
        assert number(balance.w.sum()) == pytest.approx(2)
        assert (balance.w > 0).all()

    def test_gradnorm_makes_the_tasks_pull_alike(self) -> None:
        shared = torch.ones(1, requires_grad=True)
        balance = GradNorm({"a": 1, "b": 1}, alpha=0)
        optimizer = torch.optim.Adam(balance.parameters(), 0.01)
        for _ in range(400):
            losses = {"a": 3 * shared.sum(), "b": shared.sum()}
            apart = balance.imbalance(losses, [shared])
            assert apart is not None
            optimizer.zero_grad()
            apart.backward()
            optimizer.step()
            balance.renormalise()
        assert balance.w.detach().tolist() == pytest.approx([0.5, 1.5], abs=0.03)

    def test_one_task_alone_is_not_weighed(self) -> None:
        shared = torch.ones(1, requires_grad=True)
        balance = GradNorm({"a": 1, "b": 1}, alpha=1)
        assert balance.imbalance({"a": shared.sum(), "b": None}, [shared]) is None
        assert balance.first.isnan().all()

    @pytest.mark.parametrize("kind", [Fixed, Uncertainty, GradNorm])
    @pytest.mark.parametrize("masked", ["a", "b"])
    def test_a_masked_task_learns_nothing(self, kind: Any, masked: str) -> None:
        """Exactly no gradient, neither in its own layers nor in its weight."""
        heads = nn.ModuleDict({task: nn.Linear(2, 1) for task in "ab"})
        trunk = nn.Linear(3, 2)
        weights = {"a": 1.0, "b": 1.0}
        balance = kind(weights, 1.0) if kind is GradNorm else kind(weights)
        nets = {FOR_USE: trunk, BRANCH: heads, BALANCE: balance}
        x = trunk(torch.randn(4, 3, generator=torch.Generator().manual_seed(0)))
        losses = {
            task: None if task == masked else heads[task](x).square().mean()
            for task in "ab"
        }
        for turn in balanced(balance, losses, nets, list(trunk.parameters())):
            moved = [one for name in turn.nets for one in nets[name].parameters()]
            turn.loss.backward(inputs=moved)
        other = "b" if masked == "a" else "a"
        assert all(one.grad is None for one in heads[masked].parameters())
        assert all(one.grad is not None for one in heads[other].parameters())
        assert all(one.grad is not None for one in trunk.parameters())
        if kind is Uncertainty:
            assert balance.log_sigma[masked].grad is None
            assert balance.log_sigma[other].grad is not None
        if kind is GradNorm:
            assert balance.w.grad is None

    def test_known(self) -> None:
        assert known(torch.tensor([[-1, 0]]))
        assert not known(torch.tensor([[-1, -1]]))

    def test_nothing_known_is_no_turn(self) -> None:
        nets = net_and_branch()
        assert not list(balanced(Fixed({"a": 1}), {"a": None}, nets, []))


class TestBranches:
    @pytest.mark.parametrize("system", ["unet", "vnet", "segnet", "dcan", "nas-unet"])
    def test_the_coarsest_features_and_what_is_shared(self, system: str) -> None:
        recipe = method_recipe("distance-map")
        size = recipe.patches.model_copy(update={"size": (32, 32)})
        spec = recipe.net.model_copy(update={"system": system, "options": {}})
        recipe = recipe.model_copy(update={"net": spec, "patches": size})
        net = segmentor_of(recipe)
        tap = coarsest(net, recipe)
        assert max(tap.shape) <= 8
        assert not net.get_submodule(tap.name)._forward_hooks
        with tapped(net, tap.name) as seen:
            said = net(torch.randn(2, 1, 32, 32))
        assert seen[tap.name].shape == (2, tap.channels, *tap.shape)
        assert not net.get_submodule(tap.name)._forward_hooks
        shared = list(net.get_submodule(tap.shared).parameters(recurse=False))
        assert shared
        gradients = torch.autograd.grad(
            seen[tap.name].sum(), shared, allow_unused=True, retain_graph=True
        )
        assert all(one is not None for one in gradients)
        del said

    def test_a_net_of_one_grid_is_refused(self) -> None:
        recipe = method_recipe("distance-map")
        spec = recipe.net.model_copy(update={"system": "deep-dilated", "options": {}})
        recipe = recipe.model_copy(update={"net": spec})
        with pytest.raises(InputError, match="deep-dilated comes down to no coarser"):
            coarsest(segmentor_of(recipe), recipe)

    @pytest.mark.parametrize("shape", [(16, 16), (12, 20), (7, 9)])
    def test_the_decoder_ends_on_the_image(self, shape: tuple[int, ...]) -> None:
        recipe = method_recipe("distance-map")
        tap = coarsest(segmentor_of(recipe), recipe)
        branch = Decoder(tap, 2, 3, recipe.patches.size)
        x = torch.randn(1, tap.channels, *(side // 2 for side in shape))
        assert branch(x, shape).shape == (1, 3, *shape)
        assert Diagnosis(tap, 2, 5)(x).shape == (1, 5)


def dcan_recipe(options: dict[str, Any] | None = None, **train: Any) -> Recipe:
    recipe = method_recipe("region-and-contour", options, **train)
    spec = recipe.net.model_copy(update={"system": "dcan", "options": TINY_DCAN})
    return recipe.model_copy(update={"net": spec})


def run_of(recipe: Recipe, folder: Path, split: Split | None = None) -> Any:
    steps = fit_of(recipe)(recipe, split or sides(), folder, accelerator="cpu")
    events = []
    while True:
        try:
            events.append(next(steps))
        except StopIteration as end:
            return end.value, [one for one in events if isinstance(one, Epoch)]


DIAGNOSES = {"even": "disc0[0246]", "odd": "disc0[135]"}


class TestTraining:
    @pytest.mark.parametrize("balance", ["fixed", "uncertainty", "gradnorm"])
    @pytest.mark.parametrize("name", ["contour", "distance-map", "diagnosis-branch"])
    def test_runs_and_gives_a_plain_net(
        self, name: str, balance: str, tmp_path: Path
    ) -> None:
        options = {"balance": balance}
        if name == "contour":
            recipe = dcan_recipe(options)
        elif name == "diagnosis-branch":
            recipe = method_recipe(name, {**options, "diagnoses": DIAGNOSES})
        else:
            recipe = method_recipe(name, options)
        net, epochs = run_of(recipe, tmp_path)
        assert len(epochs) == 2
        (saved,) = tmp_path.glob("state-*.safetensors")
        learnt = {
            key.split(".")[1] for key in load_file(saved) if key.startswith("net/bal")
        }
        own = {"fixed": set(), "uncertainty": {"log_sigma"}, "gradnorm": {"w", "first"}}
        assert learnt == own[balance]
        assert all(np.isfinite(epoch.loss) for epoch in epochs)
        plain = segmentor_of(recipe).state_dict()
        assert net.state_dict().keys() == plain.keys()

    def test_an_interrupted_run_ends_as_it_would_have(self, tmp_path: Path) -> None:
        recipe = dcan_recipe({"balance": "gradnorm"})
        whole, _ = run_of(recipe, tmp_path / "a")
        steps = fit_of(recipe)(recipe, sides(), tmp_path / "b", accelerator="cpu")
        for event in steps:
            if isinstance(event, Epoch):
                break
        steps.close()
        again, _ = run_of(recipe, tmp_path / "b")
        for ours, theirs in zip(
            whole.state_dict().values(), again.state_dict().values(), strict=True
        ):
            assert torch.equal(ours, theirs)

    @pytest.mark.parametrize("value", [0, -1])
    @pytest.mark.parametrize("name", ["contour", "distance-map", "diagnosis-branch"])
    def test_labels_without_structures_are_refused(
        self, name: str, value: int, tmp_path: Path
    ) -> None:
        split = sides()
        blank = tuple(
            replace(case, labels=np.full(case.labels.shape, value, np.int16))
            for case in split.train
        )
        options = {"diagnoses": DIAGNOSES} if name == "diagnosis-branch" else {}
        recipe = dcan_recipe() if name == "contour" else method_recipe(name, options)
        with pytest.raises(InputError, match="holds a structure"):
            run_of(recipe, tmp_path, replace(split, train=blank))

    def test_contours_need_their_net(self, tmp_path: Path) -> None:
        recipe = method_recipe("region-and-contour")
        with pytest.raises(InputError, match=r'need net\.system = "dcan"'):
            drain(fit_of(recipe)(recipe, sides(), tmp_path, accelerator="cpu"))

    def test_patches_that_the_stride_does_not_divide(self, tmp_path: Path) -> None:
        recipe = dcan_recipe()
        odd = recipe.patches.model_copy(update={"size": (15, 13)})
        _, epochs = run_of(recipe.model_copy(update={"patches": odd}), tmp_path)
        assert np.isfinite(epochs[-1].loss)

    @pytest.mark.parametrize("name", ["contour", "distance-map"])
    def test_the_weight_is_that_of_the_second_task(
        self, name: str, tmp_path: Path
    ) -> None:
        losses = []
        for weight in (0.0, 0.5, 1.0):
            plan = {"epochs": 1, "steps": 1}
            options = {"weight": weight}
            recipe = (
                dcan_recipe(options, **plan)
                if name == "contour"
                else method_recipe(name, options, **plan)
            )
            _, (epoch,) = run_of(recipe, tmp_path / str(weight))
            losses.append(epoch.loss)
        assert losses[2] > losses[0] + 1e-4
        assert losses[1] == pytest.approx((losses[0] + losses[2]) / 2, rel=1e-5)

    def test_each_levels_own_scores_fade_in_three_steps(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from src_models.supervision import multitask

        seen: list[float] = []
        outputs = multitask.task_outputs

        def note(levels: Any, shape: Any, weight: float) -> Any:
            seen.append(weight)
            return outputs(levels, shape, weight)

        monkeypatch.setattr(multitask, "task_outputs", note)
        run_of(dcan_recipe(epochs=3, steps=1), tmp_path)
        assert seen == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])  # both tasks

    def test_distances_are_cut_where_the_recipe_says(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from src_models.supervision import multitask

        seen: list[float] = []

        def note(said: Any, levels: Any, truncate: float) -> Any:
            seen.append(truncate)
            return said.square().mean()

        monkeypatch.setattr(multitask, "distance_loss", note)
        options = {"truncate": 4.5}
        run_of(method_recipe("distance-map", options, epochs=1, steps=1), tmp_path)
        assert seen == [4.5]

    def test_the_diagnosis_is_not_learnt_before_its_time(self, tmp_path: Path) -> None:
        losses = []
        for weight in (0.0, 1.0):
            options = {"diagnoses": DIAGNOSES, "alone": 0.5, "weight": weight}
            recipe = method_recipe("diagnosis-branch", options, epochs=2)
            _, epochs = run_of(recipe, tmp_path / str(weight))
            losses.append([epoch.loss for epoch in epochs])
        assert losses[0][0] == losses[1][0]
        assert losses[0][1] < losses[1][1]

    def test_a_case_without_a_diagnosis_teaches_its_masks(self, tmp_path: Path) -> None:
        options = {"diagnoses": {"even": "disc0[02]", "odd": "disc01"}, "alone": 0}
        recipe = method_recipe("diagnosis-branch", options, epochs=1, steps=6)
        _, (epoch,) = run_of(recipe, tmp_path)  # among others in a batch
        assert np.isfinite(epoch.loss)

    def test_the_diagnosis_waits_and_is_written(self, tmp_path: Path) -> None:
        recipe = method_recipe(
            "diagnosis-branch", {"diagnoses": DIAGNOSES, "alone": 0.5}, epochs=2
        )
        run_of(recipe, tmp_path)
        with (tmp_path / TABLE).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["side"] for row in rows] == ["validation"] * 2 + ["locked"]
        assert [row["diagnosis"] for row in rows] == ["even", "odd", "even"]
        for row in rows:
            p = {name: float(row[name]) for name in DIAGNOSES}
            assert sum(p.values()) == pytest.approx(1, abs=1e-3)
            assert row["said"] == max(p, key=p.__getitem__)
        history = (tmp_path / "history.csv").read_text().splitlines()
        assert "diagnosis" in history[0].split(",")


class TestNames:
    def test_by_pattern(self) -> None:
        names, cases = Names(DIAGNOSES), sides().train
        assert [names.of(case) for case in cases] == [0, 1, 0, 1]
        assert names.of(replace(cases[0], name="other")) == -1

    def test_no_regular_expression(self) -> None:
        recipe = method_recipe("diagnosis-branch", {"diagnoses": {"a": "(", "b": "x"}})
        with pytest.raises(
            InputError, match=r"diagnoses\.a: .*no.* regular expression"
        ):
            options_of(method_of(recipe))

    def test_what_cannot_be_learnt(self) -> None:
        cases = sides().train
        with pytest.raises(InputError, match="have no diagnosis; two are needed"):
            Names({}).check(cases)
        with pytest.raises(InputError, match="have all; two are needed"):
            Names({"all": "disc", "none": "x"}).check(cases)
        with pytest.raises(InputError, match="case disc00 has the diagnoses a and b"):
            Names({"a": "disc", "b": "disc00"}).check(cases)
