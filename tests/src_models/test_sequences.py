"""Nets that learn from frames in their order."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from beats import NET, beat, beat_recipe, beats
from safetensors.torch import load_file

from src_models.card import NetSpec, read_card
from src_models.catalog import create_net
from src_models.data.cases import Case
from src_models.data.loader import Key
from src_models.data.splits import Split
from src_models.errors import InputError
from src_models.losses import IGNORE
from src_models.progress import drain
from src_models.sequences.clips import (
    ClipSampler,
    maker_of_clips,
    over_time,
    sequences_of,
)
from src_models.sequences.course import frame_by_frame, take_over
from src_models.sequences.slices import between_slices
from src_models.training.curves import Epoch
from src_models.training.fit import fit as plain_fit
from src_models.training.methods import baseline_of, fit_of
from src_models.training.run import train
from src_models.training.volume_curves import VolumeCurve, roughness, write_curves
from src_models.weights import load_model

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from torch import Tensor

    from src_models.training.config import Recipe


def state(run: Path) -> dict[str, Tensor]:
    facts = json.loads((run / "state.json").read_text())
    found: dict[str, Tensor] = load_file(run / facts["tensors"])
    return found


def steps(recipe: Recipe, cases: Split, run: Path) -> Generator[Any, None, Any]:
    return fit_of(recipe)(recipe, cases, run, accelerator="cpu")


class TestClips:
    def sampler(self, *, cyclic: bool, frames: int = 5) -> ClipSampler:
        case = beat()
        image = np.zeros_like(case.image) + np.arange(6)[:, None, None]
        return ClipSampler(
            [replace(case, image=image)],
            [(1, 4)],
            (frames, 16, 30),
            0.5,
            cyclic=cyclic,
        )

    def test_a_marked_frame_is_in_the_middle_and_a_beat_goes_round(self) -> None:
        seen = set()
        for seed in range(20):
            patch = self.sampler(cyclic=True).pick(np.random.default_rng(seed))
            assert patch.image.shape == (1, 5, 16, 30)
            seen.add(tuple(patch.image[0, :, 0, 0].astype(int)))
        assert seen == {(5, 0, 1, 2, 3), (2, 3, 4, 5, 0)}

    def test_a_course_ends_and_what_is_beyond_teaches_nothing(self) -> None:
        for seed in range(10):
            patch = self.sampler(cyclic=False).pick(np.random.default_rng(seed))
            frames = tuple(patch.image[0, :, 0, 0].astype(int))
            unknown = (patch.labels == IGNORE).all(axis=(1, 2)).tolist()
            assert (frames, unknown) in (
                ((0, 0, 1, 2, 3), [True, False, False, False, False]),
                ((2, 3, 4, 5, 5), [False, False, False, False, True]),
            )
            assert patch.labels.max() <= 1

    def test_an_even_window_has_its_middle_before_the_half(self) -> None:
        patch = self.sampler(cyclic=True, frames=4).pick(np.random.default_rng(0))
        assert patch.image[0, 1, 0, 0] in (1, 4)

    def test_a_structure_of_the_middle_frame_is_in_the_middle_half(self) -> None:
        case = beat()
        labels = np.zeros_like(case.labels)
        labels[2, 3, 20] = 1
        labels[0, 20, 3] = 1
        sampler = ClipSampler(
            [replace(case, labels=labels)], [(2,)], (1, 8, 8), 1.0, cyclic=True
        )
        for seed in range(20):
            found = np.argwhere(
                sampler.pick(np.random.default_rng(seed)).labels[0] == 1
            )
            assert len(found)  # mirrored ones may be there too
            assert ((found >= 2) & (found < 6)).all(axis=1).any()

    def test_the_case_is_told_without_cutting(self) -> None:
        cases = [beat(name) for name in "abc"]
        sampler = ClipSampler(cases, [(0,)] * 3, (3, 8, 8), 0.5, cyclic=True)
        for seed in range(10):
            one, two = (np.random.default_rng(seed) for _ in range(2))
            assert sampler.case_of(one) is sampler.pick(two).case


@pytest.mark.parametrize("cyclic", [True, False])
def test_clips_go_round_if_the_recipe_is_of_a_beat(cyclic: bool) -> None:
    recipe = beat_recipe().model_copy(update={"cyclic": cyclic})
    cases = beats().train
    marks = [(0,)] * len(cases)
    size = recipe.patches.size
    maker = maker_of_clips(recipe, cases, marks, size, seed=0)
    labels = maker.make(Key(1, 1, range(2))).labels
    before_the_first = labels[:, : (size[0] - 1) // 2]
    assert bool((before_the_first == IGNORE).all()) is not cyclic


class TestSequences:
    def test_labels_of_the_annotated_frames_alone_are_read(self) -> None:
        found = sequences_of(beat_recipe(), beats(), (0, 3))
        for case in found.train:
            known = (case.labels >= 0).all(axis=(1, 2)).tolist()
            assert known == [True, False, False, True, False, False]
        assert all((case.labels >= 0).all() for case in found.locked)

    def test_cases_without_a_labelled_frame_are_left_out(self) -> None:
        sides = beats()
        sides = replace(sides, train=(beat("x", known=()), sides.train[0]))
        assert [c.name for c in sequences_of(beat_recipe(), sides, ()).train] == ["a"]

    @pytest.mark.parametrize(
        ("changed", "annotated", "says"),
        [
            (
                {"known": ()},
                (),
                "none of the 3 training sequences has a labelled frame",
            ),
            ({"frames": 1}, (), "has a single frame, so there is no order to learn"),
            (
                {},
                (2, 6),
                "case a has 6 frame.s., so that frame 6 of method.options.anno",
            ),
        ],
    )
    def test_what_cannot_be_learnt_from_is_said(
        self, changed: dict[str, Any], annotated: tuple[int, ...], says: str
    ) -> None:
        with pytest.raises(InputError, match=says):
            sequences_of(beat_recipe(), beats(**changed), annotated)

    def test_labels_without_a_structure_are_refused(self) -> None:
        sides = beats()
        blank = tuple(replace(c, labels=c.labels * 0) for c in sides.train)
        with pytest.raises(InputError, match="holds a structure"):
            sequences_of(beat_recipe(), replace(sides, train=blank), ())


class TestOverTime:
    def test_by_hand(self) -> None:
        """Cross entropy of 3 frames: 0, log 2 and unknown, weighed 1 : 3 : 5."""
        recipe = beat_recipe(loss="ce")
        said = torch.zeros(1, 2, 3, 4, 4)
        said[:, 1, 0] = 100
        labels = torch.ones(1, 3, 4, 4, dtype=torch.long)
        labels[:, 2] = IGNORE
        found = over_time(recipe, said, labels, (1, 3, 5), 1)
        assert float(found) == pytest.approx(3 * np.log(2) / 4, rel=1e-5)

    def test_unknown_frames_teach_nothing(self) -> None:
        recipe = beat_recipe(loss="dice + ce")
        said = torch.randn(2, 2, 3, 4, 4, requires_grad=True)
        labels = torch.randint(0, 2, (2, 3, 4, 4))
        labels[:, 1] = IGNORE
        over_time(recipe, said, labels, (1, 1, 1), 1).backward()  # type: ignore[no-untyped-call]
        assert said.grad is not None
        assert not said.grad[:, :, 1].any()
        assert said.grad[:, :, 0].any()

    def test_nothing_known_at_all(self) -> None:
        nothing = torch.full((1, 2, 4, 4), IGNORE)
        with pytest.raises(ValueError, match="no frame"):
            over_time(beat_recipe(), torch.zeros(1, 2, 2, 4, 4), nothing, (1, 1), 1)


SPARSE: dict[str, Any] = {"annotated": [0, 3], "frames": 2, "spacing": 12}


def sparse(**changed: Any) -> Recipe:
    options = {**SPARSE, **changed.pop("options", {})}
    return beat_recipe("sparse-sequence", options, **changed)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted: one epoch frame by frame, two with memory."""
    run = tmp_path_factory.mktemp("whole")
    drain(steps(sparse(epochs=3, options={"alone": 0.4}), beats(), run))
    return run


class TestSparse:
    def test_stopped_and_taken_up_again(self, whole: Path, tmp_path: Path) -> None:
        recipe = sparse(epochs=3, options={"alone": 0.4})
        going = steps(recipe, beats(), tmp_path)
        numbers = []
        for event in going:
            if isinstance(event, Epoch):
                numbers.append(event.number)
                break
        going.close()
        drain(steps(recipe, beats(), tmp_path))
        assert numbers == [1]
        one, two = state(whole), state(tmp_path)
        assert one.keys() == two.keys()
        assert all(torch.equal(one[name], two[name]) for name in one)

    def test_the_memory_waits_until_the_net_knows_single_frames(
        self, tmp_path: Path
    ) -> None:
        recipe = sparse(epochs=2)
        going = steps(recipe, beats(), tmp_path)
        next(event for event in going if isinstance(event, Epoch))
        going.close()
        torch.manual_seed(recipe.train.seed)
        fresh = create_net(recipe.net).state_dict()
        held = state(tmp_path)
        for name, one in fresh.items():
            assert torch.equal(held[f"net/segmentor.{name}"], one), name
        assert not torch.equal(
            held["net/baseline.stem.0.weight"], fresh["stem.0.weight"]
        )

    def test_the_net_beside_it_has_the_whole_schedule(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its average too begins with its own first step."""
        from src_models.training import turns

        decays: list[float] = []
        average = turns.average_into

        def note(ema: Any, net: Any, decay: float) -> None:
            decays.append(decay)
            average(ema, net, decay)

        monkeypatch.setattr(turns, "average_into", note)
        drain(steps(sparse(epochs=2, ema=0.9), beats(), tmp_path))
        own = [(1 + n) / (10 + n) for n in range(4)]  # two steps an epoch
        assert decays == pytest.approx([*own[:2], own[2], own[0], own[3], own[1]])

    def test_it_then_takes_over_what_was_learnt(self) -> None:
        recipe = sparse()
        torch.manual_seed(0)
        net, alone = create_net(recipe.net), create_net(frame_by_frame(recipe))
        own = {k: v.clone() for k, v in net.state_dict().items()}
        take_over(net, alone)
        for name, one in net.state_dict().items():
            kept = name.startswith("memory") or name == "head.weight"
            wanted = own[name] if kept else alone.state_dict()[name]
            assert torch.equal(one, wanted), name

    def test_the_net_beside_it_has_no_memory(self) -> None:
        spec = baseline_of(sparse())
        assert spec.options == {**NET.options, "memory": "none"}
        assert baseline_of(beat_recipe()) == NET

    def test_labels_are_carried_only_if_wanted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from src_models.sequences import sparse as module

        def refuse(*args: object, **options: object) -> None:
            raise AssertionError

        monkeypatch.setattr(module, "propagated", refuse)
        drain(steps(sparse(options={"propagate": False}), beats(), tmp_path))

    @pytest.mark.parametrize(
        ("recipe", "says"),
        [
            (sparse(epochs=1), "of 1 epochs the net learns 0 frame by frame"),
            (
                sparse(net=NET.model_copy(update={"options": {"memory": "none"}})),
                'net.system must be "unet-convlstm", with net.options.memory "both" or',
            ),
            (sparse(optimizer="sgd"), 'train.optimizer = "adamw"'),
        ],
    )
    def test_what_does_not_fit_is_said(
        self, recipe: Recipe, says: str, tmp_path: Path
    ) -> None:
        with pytest.raises(InputError, match=says):
            drain(steps(recipe, beats(), tmp_path))

    def test_the_recipes_options_reach_labels_and_loss(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from src_models.sequences import course
        from src_models.sequences import sparse as module

        carried: list[dict[str, Any]] = []
        weights: list[tuple[float, ...]] = []

        def carry(case: Case, **options: Any) -> Generator[Any, None, Case]:
            carried.append(options)
            yield from ()
            return case

        def note(recipe: Any, said: Any, labels: Any, w: Any, number: int) -> Any:
            weights.append(tuple(w))
            return over_time(recipe, said, labels, w, number)

        monkeypatch.setattr(module, "propagated", carry)
        monkeypatch.setattr(course, "over_time", note)
        for cyclic in (True, False):
            recipe = sparse(epochs=2, options={"power": 1, "jump": 3, "spacing": 7})
            recipe = recipe.model_copy(update={"cyclic": cyclic})
            drain(steps(recipe, beats(), tmp_path / str(cyclic)))
            wanted = {"cyclic": cyclic, "jump": 3, "spacing": 7}
            assert carried == [wanted] * len(beats().train)
            carried.clear()
        # Single frames, then windows of three: (1 − |t| / 2)^1.
        assert set(weights) == {(1.0,), (0.5, 1.0, 0.5)}


FCS = NetSpec(
    system="fcslstm",
    ndim=2,
    in_channels=1,
    classes=2,
    options={"widths": (2, 2, 3, 3, 3), "fc_width": 4, "fc_kernel": 3},
)


class TestWhole:
    def test_unlabelled_frames_are_left_out_and_others_count_alike(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from src_models.sequences import course

        seen: list[tuple[tuple[float, ...], Tensor]] = []

        def note(
            recipe: Any, said: Tensor, labels: Tensor, weights: Any, n: int
        ) -> Any:
            seen.append((tuple(weights), labels))
            return over_time(recipe, said, labels, weights, n)

        monkeypatch.setattr(course, "over_time", note)
        recipe = beat_recipe("whole-sequence", {"frames": 2}, epochs=1)
        drain(steps(recipe, beats(known=(0, 2)), tmp_path))
        singles, clips = seen[0::2], seen[1::2]
        for weights, labels in singles:
            assert weights == (1.0,)
            assert labels.shape == (2, 1, 16, 16)
            assert (labels >= 0).all()
        for weights, labels in clips:
            assert weights == (1.0, 1.0, 1.0)
            known = (labels >= 0).flatten(2).all(2)
            assert known[:, 1].all()  # the middle
            assert not known[
                :, [0, 2]
            ].any()  # of a beat with 0 and 2 known, never both

    def test_what_is_taught_beside(self) -> None:
        recipe = beat_recipe("whole-sequence", net=FCS)
        assert baseline_of(recipe).system == "unet-convlstm"
        assert baseline_of(recipe).options == {"memory": "none"}
        same = beat_recipe("whole-sequence", {"beside": "no memory"}, net=FCS)
        assert baseline_of(same).system == "fcslstm"
        assert baseline_of(same).options == {**FCS.options, "memory": "none"}

    def test_fcslstm_from_recipe_to_measures(self, tmp_path: Path) -> None:
        recipe = beat_recipe(
            "whole-sequence", {"beside": "no memory", "frames": 2}, net=FCS, epochs=1
        )
        cases = [beat(name) for name in "abcdefghijkl"]
        run, out = tmp_path / "run", tmp_path / "model"
        card = drain(train(recipe, cases, run=run, out=out, accelerator="cpu"))
        assert card.baseline is not None
        assert (out / "roughness.csv").is_file()


def test_volumes_over_time(tmp_path: Path) -> None:
    """3D + t from labels of two frames to measures, round the beat."""
    spec = NetSpec(
        system="unet-convlstm",
        ndim=3,
        in_channels=1,
        classes=2,
        options={"widths": (4, 6), "hidden": 2, "norm": "instance", "level": 0},
    )
    recipe = sparse(net=spec, epochs=2, options={"frames": 1})
    patches = recipe.patches.model_copy(update={"size": (3, 4, 12, 12), "batch": 1})
    augment = recipe.augment.model_copy(update={"mirror_axes": (1, 2), "elastic": 0})
    recipe = recipe.model_copy(update={"patches": patches, "augment": augment})

    def solid(name: str) -> Case:
        flat = beat(name, side=16)
        image = np.repeat(flat.image[:, :, None], 5, axis=2)
        labels = np.repeat(flat.labels[:, None], 5, axis=1)
        return Case(name, name, image, labels, (1.0, 1.0, 1.0))

    cases = [solid(name) for name in "abcdefghijkl"]
    run, out = tmp_path / "run", tmp_path / "model"
    card = drain(train(recipe, cases, run=run, out=out, accelerator="cpu"))
    assert card.net.axes == 4
    assert (out / "volumes.csv").is_file()


SCU = NetSpec(
    system="scu-net",
    ndim=3,
    in_channels=1,
    classes=2,
    options={"widths": ((4, 4), (6, 6)), "hidden": 3, "block": 2},
)


def solids() -> Split:
    """The beats, with time as depth."""
    sides = beats()

    def solid(case: Case) -> Case:
        return replace(case, spacing=(1.0, 1.0, 1.0))

    return Split(*(tuple(map(solid, s)) for s in (sides.train, sides.validation,
                                                  sides.locked)))  # fmt: skip


def in_order(**changed: Any) -> Recipe:
    options = changed.pop("options", {})
    recipe = beat_recipe("slices-in-order", options, **{"net": SCU, **changed})
    return recipe.model_copy(
        update={
            "cyclic": False,
            "augment": recipe.augment.model_copy(update={"mirror_axes": (1, 2)}),
        }
    )


class TestSlices:
    def test_first_scu_net_then_its_bilstm(self, tmp_path: Path) -> None:
        """The second part moves the BiCLSTM alone; SCU-Net goes on beside."""
        going = steps(in_order(epochs=2), solids(), tmp_path)
        after: list[dict[str, Tensor]] = [
            state(tmp_path) for event in going if isinstance(event, Epoch)
        ]
        first, second = after
        fresh = create_net(SCU).state_dict()
        for name in fresh:
            use, beside = f"net/segmentor.{name}", f"net/baseline.{name}"
            if name.startswith(("memory", "answer")):
                assert beside not in second
                assert not torch.equal(first[use], second[use]), name
            else:
                assert torch.equal(second[use], first[beside]), name
                assert not torch.equal(second[beside], first[beside]), name

    def test_the_weight_is_that_of_the_term_between_slices(
        self, tmp_path: Path
    ) -> None:
        losses = []
        for value in (0.0, 0.5, 1.0):
            recipe = in_order(epochs=2, steps=1, options={"between_slices": value})
            going = steps(recipe, solids(), tmp_path / str(value))
            losses.append(next(e for e in going if isinstance(e, Epoch)).loss)
            going.close()
        assert losses[2] > losses[0] + 1e-4
        assert losses[1] == pytest.approx((losses[0] + losses[2]) / 2, rel=1e-5)

    def test_between_slices_by_hand(self) -> None:
        """A voxel of a structure that begins in the second of three slices."""
        labels = torch.tensor([0, 1, 1]).view(1, 3, 1, 1)
        likely = torch.tensor([0.5, 0.5, 1.0])  # steps 0 and ½; the labels' 1 and 0
        logits = torch.stack([1 - likely, likely]).clamp(min=1e-9).log()
        found = between_slices(logits.view(1, 2, 3, 1, 1), labels)
        assert float(found) == pytest.approx((1 + 0.5) / 2, abs=1e-4)
        unknown = labels.clone()
        unknown[:, 2] = IGNORE
        found = between_slices(logits.view(1, 2, 3, 1, 1), unknown)
        assert float(found) == pytest.approx(1, abs=1e-4)

    @pytest.mark.parametrize("slices", [1, 3])
    def test_between_slices_of_nothing(self, slices: int) -> None:
        """One slice has no neighbour, and unknown ones say nothing."""
        logits = torch.randn(1, 3, slices, 4, 4, requires_grad=True)
        labels = torch.full((1, slices, 4, 4), IGNORE if slices > 1 else 1)
        found = between_slices(logits, labels)
        found.backward()  # type: ignore[no-untyped-call]
        assert float(found.detach()) == 0
        assert logits.grad is not None
        assert not logits.grad.any()

    def test_right_answers_differ_as_the_labels_do(self) -> None:
        labels = torch.randint(0, 3, (2, 4, 5, 5))
        sure = 50.0 * torch.nn.functional.one_hot(labels, 3).movedim(-1, 1)
        assert float(between_slices(sure, labels)) == pytest.approx(0, abs=1e-6)
        # However steady, an answer that is wrong everywhere alike is not seen by it.
        assert float(between_slices(sure * 0, labels * 0 + 1)) == 0

    @pytest.mark.parametrize(
        ("recipe", "says"),
        [
            (in_order(epochs=1), "of 1 epochs SCU-Net learns 0"),
            (
                in_order(net=SCU.model_copy(update={"options": {"memory": "none"}})),
                'net.system = "scu-net", with net.options.memory = "both"',
            ),
        ],
    )
    def test_what_does_not_fit_is_said(
        self, recipe: Recipe, says: str, tmp_path: Path
    ) -> None:
        with pytest.raises(InputError, match=says):
            drain(steps(recipe, solids(), tmp_path))

    @pytest.mark.parametrize("value", [0, IGNORE])
    def test_labels_without_structures_are_refused(
        self, value: int, tmp_path: Path
    ) -> None:
        sides = solids()
        blank = [replace(one, labels=one.labels * 0 + value) for one in sides.train]
        with pytest.raises(InputError, match="holds a structure"):
            drain(steps(in_order(), replace(sides, train=tuple(blank)), tmp_path))

    def test_volumes_of_one_slice_are_refused(self, tmp_path: Path) -> None:
        sides = solids()
        flat = [
            replace(one, image=one.image[:, 2:3], labels=one.labels[2:3])
            for one in sides.train
        ]
        with pytest.raises(InputError, match="a single slice, so there is no order"):
            drain(steps(in_order(), replace(sides, train=tuple(flat)), tmp_path))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model, from recipe to the end."""
    folder = tmp_path_factory.mktemp("train")
    sides = beats()
    cases = [*sides.train, *sides.validation, *sides.locked]
    # One more, so that each side of the split by a hash gets one.
    cases += [beat(name) for name in "ghijkl"]
    recipe = sparse(epochs=4, steps=6, learning_rate=1e-2)
    drain(train(recipe, cases, run=folder / "run", out=folder / "model",
                accelerator="cpu"))  # fmt: skip
    return folder / "model"


class TestTrain:
    def test_the_card_has_both_scores(self, made: Path) -> None:
        card = read_card(made)
        assert card.cyclic
        assert card.patch == (3, 16, 16)
        assert card.baseline is not None
        assert card.locked.cases == card.baseline.cases == len(card.data.locked)
        net, _ = load_model(made)
        assert net.memory is not None

    def test_volumes_over_time_are_written(self, made: Path) -> None:
        with (made / "volumes.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        card = read_card(made)
        assert {row["by"] for row in rows} == {"manual", "model", "baseline"}
        assert len(rows) == 3 * 6 * len(card.data.locked)
        name = card.data.locked[0]
        by_hand = [
            float(row["volume"])
            for row in rows
            if (row["case"], row["by"]) == (name, "manual")
        ]
        assert by_hand == beat(name).labels.sum(axis=(1, 2)).tolist()
        with (made / "roughness.csv").open(encoding="utf-8") as file:
            rough = {row["by"]: float(row["mean"]) for row in csv.DictReader(file)}
        wanted = [
            roughness(beat(one).labels.sum(axis=(1, 2)), cyclic=True)
            for one in card.data.locked
        ]
        assert rough["manual"] == pytest.approx(np.mean(wanted), abs=1e-4)


class TestRoughness:
    @pytest.mark.parametrize(
        ("volumes", "cyclic", "wanted"),
        [
            ([1, 2, 1, 2], True, 2 / 1.5),
            ([1, 2, 3, 4], False, 0),
            ([1, 2, 3, 4], True, (4 + 0 + 0 + 4) / 4 / 2.5),
            ([5, 5, 5], True, 0),
            ([5, 9], True, 0),
            ([0, 0, 0], True, 0),
        ],
    )
    def test_by_hand(self, volumes: list[float], cyclic: bool, wanted: float) -> None:
        assert roughness(volumes, cyclic=cyclic) == pytest.approx(wanted)

    def test_a_beat_has_no_first_frame_and_no_size(self) -> None:
        v = [3.0, 5.0, 4.0, 8.0]
        for other in (v[1:] + v[:1], [10 * one for one in v]):
            assert roughness(other, cyclic=True) == pytest.approx(
                roughness(v, cyclic=True)
            )

    def test_files_by_hand(self, tmp_path: Path) -> None:
        curves = [
            VolumeCurve("a", "disc", "model", (1.0, 2.0, 1.0, 2.0)),
            VolumeCurve("b", "disc", "model", (5.0, 5.0, 5.0)),
        ]
        write_curves(curves, tmp_path, cyclic=True)
        lines = (tmp_path / "roughness.csv").read_text().splitlines()
        assert lines == ["structure,by,cases,mean,sd", "disc,model,2,0.6667,0.6667"]
        rows = (tmp_path / "volumes.csv").read_text().splitlines()
        assert rows[:2] == ["case,structure,by,frame,volume", "a,disc,model,0,1.0000"]
        assert len(rows) == 1 + 4 + 3


def test_plain_training_takes_frames_too(tmp_path: Path) -> None:
    """Frames without labels are ignored, whole masks taught by the recipe's loss."""
    epochs = [
        event
        for event in plain_fit(
            beat_recipe(), beats(known=(0, 2)), tmp_path, accelerator="cpu"
        )
        if isinstance(event, Epoch)
    ]
    assert len(epochs) == 2
    assert all(np.isfinite(epoch.loss) for epoch in epochs)


def test_a_spec_knows_its_axes() -> None:
    assert (NET.axes, NET.frames) == (3, True)
    plain = NetSpec(system="unet", ndim=2, in_channels=1, classes=2)
    assert (plain.axes, plain.frames) == (2, False)
