"""Warps, painted images, and nets that learn in turns."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.transforms import Compose
from synthetic import METHODS, method_recipe, sides, state
from torch import nn

from src_models.card import Intensity
from src_models.errors import InputError
from src_models.progress import drain
from src_models.synthesis.contrasts import Painter, paint, regions
from src_models.synthesis.options import RandomContrasts
from src_models.synthesis.warp import integrated, random_flow, warp, warp_labels
from src_models.training.curves import Epoch
from src_models.training.methods import fit_of
from src_models.training.turns import FOR_USE, Turn, Work, learn, one_device

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from src_models.data.loader import Key
    from src_models.data.splits import Split

PLAIN = RandomContrasts(
    rotate=0,
    scale=0,
    shear=0,
    bend=0,
    texture=0,
    bias=0,
    gamma=0,
    blur=0,
    low_resolution=1,
    noise=0,
)
shapes = st.lists(st.integers(1, 9), min_size=2, max_size=3).map(tuple)


class TestWarp:
    @given(shapes, st.integers(0, 99))
    def test_no_flow_is_identity(self, shape: tuple[int, ...], seed: int) -> None:
        random = np.random.default_rng(seed)
        image = torch.from_numpy(random.normal(size=(1, 2, *shape)).astype("f4"))
        labels = torch.from_numpy(random.integers(-1, 40, (1, *shape)))
        flow = random_flow(shape, random)[None]
        assert not flow.any()
        torch.testing.assert_close(warp(image, flow), image, atol=1e-5, rtol=1e-4)
        assert torch.equal(warp_labels(labels, flow), labels)

    @given(shapes, st.integers(0, 99))
    @settings(deadline=None)
    def test_labels_stay_labels(self, shape: tuple[int, ...], seed: int) -> None:
        random = np.random.default_rng(seed)
        labels = torch.from_numpy(random.choice([-1, 0, 3, 7], (1, *shape)))
        flow = random_flow(shape, random, rotate=90, scale=0.5, bend=5)[None]
        moved = warp_labels(labels, flow)
        assert moved.dtype == labels.dtype
        assert set(moved.unique().tolist()) <= set(labels.unique().tolist())

    def test_a_flow_says_where_a_value_is_found(self) -> None:
        image = torch.arange(6.0).view(1, 1, 2, 3)
        flow = torch.zeros(1, 2, 2, 3)
        flow[:, 1] = 1  # one further along the last axis; the edge repeats
        assert warp(image, flow)[0, 0].tolist() == [[1, 2, 2], [4, 5, 5]]
        flow[:, 1] = 0.5
        torch.testing.assert_close(
            warp(image, flow)[0, 0, 0], torch.tensor([0.5, 1.5, 2])
        )

    def test_a_velocity_backwards_undoes_it(self) -> None:
        random = np.random.default_rng(0)
        velocity = 2 * random_flow((24, 24), random, bend=1, step=12)[None]
        there, back = integrated(velocity), integrated(-velocity)
        left = there + warp(back, there)
        inside = (..., slice(6, -6), slice(6, -6))
        assert there[inside].abs().max() > 1
        assert left[inside].abs().max() < 0.1


class TestPaint:
    labels = np.zeros((20, 20), int)
    labels[4:9, 4:9], labels[12:16, 12:16], labels[0] = 1, 2, -1

    def test_background_is_divided_and_structures_are_not(self) -> None:
        random = np.random.default_rng(1)
        counts = set()
        for _ in range(20):
            found = regions(self.labels, 5, random)
            parts = np.unique(found[self.labels <= 0])
            one, two = np.unique(found[self.labels == 1]), np.unique(found[15, 15])
            assert len(one) == 1
            assert two == one + 1
            assert one > parts.max()
            counts.add(len(parts))
        assert max(counts) <= 5
        assert len(counts) > 2

    @pytest.mark.parametrize("ndim", [2, 3])
    def test_without_texture_a_region_is_of_one_grey(self, ndim: int) -> None:
        labels = np.stack([self.labels] * 4) if ndim == 3 else self.labels
        image = paint(labels, PLAIN, np.random.default_rng(0), channels=2)
        assert image.shape == (2, *labels.shape)
        assert image.dtype == np.float32
        for channel in image:
            assert np.ptp(channel[labels == 1]) == 0
            assert channel.min() == 0
            assert channel.max() == 1
        assert not np.array_equal(image[0], image[1])

    @pytest.mark.parametrize(
        "part", ["texture", "bias", "gamma", "blur", "low_resolution", "noise"]
    )
    def test_each_part_changes_the_image(self, part: str) -> None:
        more = PLAIN.model_copy(update={part: 3.0})
        one, other = (
            paint(self.labels, options, np.random.default_rng(3))
            for options in (PLAIN, more)
        )
        assert np.abs(one - other).max() > 0.01
        assert np.isfinite(other).all()


class TestPainter:
    def painted(self, image: float, real: float = 0, seed: int = 0) -> Any:
        options = RandomContrasts(real=real)
        painter = Painter(options, Intensity(kind="zscore"), Compose([]))
        painter.set_random_state(seed)
        labels = torch.from_numpy(TestPaint.labels)[None]
        return painter({"image": torch.full((1, 20, 20), image), "labels": labels})

    def test_it_looks_at_labels_alone(self) -> None:
        one, other = self.painted(1), self.painted(2)
        assert torch.equal(one["image"], other["image"])
        assert torch.equal(one["labels"], other["labels"])
        assert set(one["labels"].unique().tolist()) <= {-1, 0, 1, 2}
        assert float(one["image"].mean()) == pytest.approx(0, abs=1e-5)
        assert not torch.equal(one["image"], self.painted(1, seed=1)["image"])

    def test_a_real_one_stays(self) -> None:
        assert (self.painted(2, real=1)["image"] == 2).all()

    def test_a_window_keeps_its_range(self) -> None:
        window = Intensity(kind="window", window=(-100, 300))
        painter = Painter(RandomContrasts(noise=0), window, Compose([]))
        labels = torch.from_numpy(TestPaint.labels)[None]
        image = painter({"image": labels.float(), "labels": labels})["image"]
        assert image.min() >= -1.001
        assert image.max() <= 1.001


class TestTurns:
    def run(self, folder: Path, turns: Any, **train: Any) -> Any:
        recipe = method_recipe("random-contrasts", **train)
        torch.manual_seed(0)
        nets = {name: nn.Conv2d(1, 2, 1) for name in (FOR_USE, "other")}
        before = {k: v.clone() for k, v in nn.ModuleDict(nets).state_dict().items()}
        image = torch.ones(1, 1, 4, 4)
        work = Work(nets=nets, make=lambda key: image, turns=turns, rate=0.1, before=1)
        fabric = one_device(recipe, "cpu", 1, 1)
        steps = learn(recipe, sides(), folder, work, fabric)
        for event in steps:
            if isinstance(event, Epoch):
                break
        after = nn.ModuleDict(nets).state_dict()
        return {k for k, v in after.items() if not torch.equal(v, before[k])}

    def test_a_turn_moves_its_own_nets_alone(self, tmp_path: Path) -> None:
        def turns(
            nets: Mapping[str, nn.Module], image: Any, key: Key
        ) -> Iterator[Turn]:
            yield Turn(("other",), nets[FOR_USE](nets["other"](image)[:, :1]).sum())

        assert self.run(tmp_path, turns) == {"other.weight", "other.bias"}

    def test_a_loss_that_is_no_number_names_its_nets(self, tmp_path: Path) -> None:
        def turns(
            nets: Mapping[str, nn.Module], image: Any, key: Key
        ) -> Iterator[Turn]:
            yield Turn(("other",), nets["other"](image).sum() * float("nan"))

        with pytest.raises(
            InputError, match="loss of other is not a number in epoch 1"
        ):
            self.run(tmp_path, turns)

    @pytest.mark.parametrize(
        ("train", "wanted"),
        [
            ({"optimizer": "sgd"}, "adamw"),
            ({"accumulate": 2}, "accumulate"),
            ({"precision": "16-mixed"}, "bf16-mixed"),
        ],
    )
    def test_what_it_cannot_do_is_refused(
        self, tmp_path: Path, train: dict[str, Any], wanted: str
    ) -> None:
        with pytest.raises(InputError, match=wanted):
            self.run(tmp_path, None, **train)


@pytest.mark.parametrize("name", METHODS)
class TestEveryMethod:
    def test_an_interrupted_run_goes_on_to_the_same_end(
        self, name: str, tmp_path: Path
    ) -> None:
        recipe = method_recipe(name)
        drain(fit_of(recipe)(recipe, sides(), tmp_path / "whole", accelerator="cpu"))
        going = fit_of(recipe)(recipe, sides(), tmp_path / "part", accelerator="cpu")
        next(event for event in going if isinstance(event, Epoch))
        going.close()
        drain(fit_of(recipe)(recipe, sides(), tmp_path / "part", accelerator="cpu"))
        one, other = state(tmp_path / "whole"), state(tmp_path / "part")
        assert one.keys() == other.keys()
        assert all(torch.equal(one[k], other[k]) for k in one)

    def test_held_out_cases_are_never_learnt_from(
        self, name: str, tmp_path: Path
    ) -> None:
        recipe, held = method_recipe(name), sides()
        swapped = tuple(
            replace(case, image=-case.image, labels=case.labels[::-1].copy())
            for case in held.validation
        )
        other = replace(held, validation=swapped, locked=())
        drain(fit_of(recipe)(recipe, held, tmp_path / "one", accelerator="cpu"))
        drain(fit_of(recipe)(recipe, other, tmp_path / "two", accelerator="cpu"))
        one, two = state(tmp_path / "one"), state(tmp_path / "two")
        assert all(torch.equal(one[k], two[k]) for k in one)

    @pytest.mark.parametrize("value", [0, -1])
    def test_labels_without_structures_are_refused(
        self, name: str, value: int, tmp_path: Path
    ) -> None:
        recipe, held = method_recipe(name), sides()
        blank = tuple(
            replace(case, labels=np.full(case.labels.shape, value))
            for case in held.train
        )
        with pytest.raises(InputError, match="structure"):
            drain(fit_of(recipe)(recipe, replace(held, train=blank), tmp_path))

    def test_two_devices_are_refused(self, name: str, tmp_path: Path) -> None:
        recipe = method_recipe(name)
        with pytest.raises(InputError, match="one device, got 2"):
            drain(fit_of(recipe)(recipe, sides(), tmp_path, devices=2))

    def test_one_case(self, name: str, tmp_path: Path) -> None:
        """Labels of one case can be painted; to learn from others there must be others."""
        held = sides()
        lone: Split = replace(held, train=held.train[:1])
        recipe = method_recipe(name, epochs=2, steps=1)
        steps = fit_of(recipe)(recipe, lone, tmp_path, accelerator="cpu")
        if name == "random-contrasts":
            assert isinstance(drain(steps), nn.Module)
        else:
            with pytest.raises(InputError, match="one training"):
                drain(steps)
