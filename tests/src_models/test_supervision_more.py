"""Boxes, sizes, and scans without labels."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from weak import method_recipe, sides
from zoo import ball

from src_models.data.loader import Key
from src_models.data.splits import shared_out
from src_models.errors import InputError
from src_models.progress import drain
from src_models.supervision.boxes import cut_out
from src_models.supervision.marks import boxes, drawn, scribbles, with_marks
from src_models.supervision.options import Boxes, Sizes
from src_models.supervision.sizes import ANY, bounds_of, whole_images
from src_models.supervision.teacher import TEACHER, Pairs, apart, inside, risen
from src_models.synthesis.warp import warp
from src_models.training.curves import Epoch
from src_models.training.method_spec import options_of
from src_models.training.methods import fit_of
from src_models.training.taught import ready, segmentor_of
from src_models.training.turns import FOR_USE

if TYPE_CHECKING:
    from pathlib import Path

    from src_models.data.cases import Case
    from src_models.data.splits import Split
    from src_models.training.config import Recipe

seeds = st.integers(0, 2**16)
RANDOM = np.random.default_rng(0)


def run_of(recipe: Recipe, folder: Path, split: Split | None = None) -> Any:
    steps = fit_of(recipe)(recipe, split or sides(), folder, accelerator="cpu")
    events = []
    while True:
        try:
            events.append(next(steps))
        except StopIteration as end:
            return end.value, [one for one in events if isinstance(one, Epoch)]


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    return all(
        torch.equal(a, b)
        for a, b in zip(
            one.state_dict().values(), other.state_dict().values(), strict=True
        )
    )


def unknown(split: Split) -> tuple[Case, ...]:
    """The training cases, with nothing known of any voxel."""
    return tuple(
        replace(case, labels=np.full(case.labels.shape, -1, np.int16))
        for case in split.train
    )


class TestBoxes:
    def test_drawn_by_hand(self) -> None:
        labels = np.zeros((6, 7), int)
        labels[0, 0] = labels[1, 1] = 1  # one piece, corner to corner
        labels[3, 5], labels[4, 4:7] = 2, 2
        found = boxes(labels, RANDOM, slices=1)
        wanted = np.zeros((6, 7), int)
        wanted[0:2, 0:2], wanted[3:5, 4:7] = 1, 2
        assert np.array_equal(found, wanted)

    def test_the_smaller_is_on_top(self) -> None:
        labels = ball(9, 2, 4) * 2
        labels[4, 4] = 1
        found = boxes(labels, RANDOM, slices=1)
        assert found[4, 4] == 1
        assert (found[0] == 2).all()

    def scene(self) -> tuple[Any, Any, Any]:
        """A disc in its box, and what a net that is unsure says of it."""
        truth = ball(15, 2, 4).astype(bool)
        image = (truth * 2.0 + np.random.default_rng(0).normal(0, 0.1, truth.shape))[
            None
        ]
        boxed = boxes(truth.astype(int), RANDOM, slices=1)
        p = np.where(truth, 0.6, 0.4)
        return truth, image, (boxed, np.log(np.stack([1 - p, p])).astype("f4"))

    def test_the_content_is_cut_along_the_grey(self) -> None:
        truth, image, (boxed, log_p) = self.scene()
        spoilt = log_p.copy()
        spoilt[:, 7, 7], spoilt[:, 4, 4] = log_p[::-1, 7, 7], log_p[::-1, 4, 4]
        found = cut_out(boxed, image, spoilt, Boxes(grey=0.5))
        assert np.array_equal(found == 1, truth)

    def test_nothing_outside_and_nothing_of_others(self) -> None:
        _, image, (boxed, log_p) = self.scene()
        boxed = boxed * 2
        boxed[0, 0] = -1
        sure = np.stack([log_p[0], log_p[0] + 9, log_p[1] + 9])  # a class without a box
        found = cut_out(boxed, image, sure, Boxes())
        assert set(np.unique(found[boxed == 2])) <= {0, 2}
        assert (found[boxed == 0] == 0).all()
        assert found[0, 0] == -1

    def test_no_box_is_lost(self) -> None:
        truth, image, (boxed, _) = self.scene()
        never = np.stack([np.zeros(truth.shape), np.full(truth.shape, -9.0)])
        never[1, 7, 7] = -8
        found = cut_out(boxed, image, never.astype("f4"), Boxes(least=0.1))
        kept = math.ceil(0.1 * np.count_nonzero(boxed))
        assert np.count_nonzero(found) == kept
        assert found[7, 7] == 1

    def test_nothing_boxed_is_refused(self, tmp_path: Path) -> None:
        recipe = method_recipe("boxes")
        with pytest.raises(InputError, match="nothing is marked"):
            run_of(recipe, tmp_path, replace(sides(), train=unknown(sides())))

    def test_runs_and_one_round_is_plain_learning_from_boxes(
        self, tmp_path: Path
    ) -> None:
        recipe = method_recipe("boxes", {"draw": True, "rounds": 1}, epochs=1)
        net, _ = run_of(recipe, tmp_path / "a")
        split = sides()
        boxed = tuple(drawn(case, boxes, slices=1) for case in split.train)
        plain = recipe.model_copy(update={"method": None})
        wanted, _ = run_of(plain, tmp_path / "b", replace(split, train=boxed))
        assert same(net, wanted)
        more = method_recipe("boxes", {"draw": True, "rounds": 2}, epochs=2)
        _, epochs = run_of(more, tmp_path / "c")
        assert [epoch.number for epoch in epochs] == [1, 2]


def sizes_recipe(options: dict[str, Any], **train: Any) -> Recipe:
    recipe = method_recipe("size-constraints", options, **train)
    return recipe.model_copy(
        update={
            "augment": recipe.augment.model_copy(update={"scale": 0.0}),
            "patches": recipe.patches.model_copy(update={"size": (26, 28)}),
        }
    )


class TestSizes:
    @pytest.mark.parametrize("own", [True, False])
    def test_bounds_of_drawn_marks(self, own: bool) -> None:
        recipe = sizes_recipe({"draw": True, "own": own})
        options: Sizes = options_of(recipe.method)
        split = sides()
        marked = with_marks(recipe, split, options, scribbles)
        found = bounds_of(recipe, split, marked, options)
        sizes = {case.name: int(case.labels.sum()) for case in split.train}
        for name, limits in found.items():
            assert limits[0].tolist() == [0, ANY]
            low = sizes[name] if own else min(sizes.values())
            high = sizes[name] if own else max(sizes.values())
            assert limits[1].tolist() == pytest.approx([0.9 * low, 1.1 * high])

    def test_what_has_no_stroke_may_be_absent(self) -> None:
        recipe = sizes_recipe({"bounds": {"1": [50, 90]}})
        split = sides()
        marks = [drawn(case, scribbles, slices=1) for case in split.train]
        marks[1].labels[marks[1].labels > 0] = -1
        marked = replace(split, train=tuple(marks))
        found = bounds_of(recipe, split, marked, options_of(recipe.method))
        assert found["disc00"][1].tolist() == [50, 90]
        assert found["disc01"][1].tolist() == [0, 90]

    def test_whole_images_and_what_is_mirrored_counts_nowhere(self) -> None:
        recipe = sizes_recipe({"draw": True})
        plain = recipe.augment.model_copy(
            update={"mirror_axes": (), "rotate": 0.0, "elastic": 0.0, "noise": 0.0}
        )
        recipe = recipe.model_copy(update={"augment": plain})
        seen = ready(sides().train, recipe)
        bounds = {
            case.name: torch.full((2, 2), float(n)) for n, case in enumerate(seen)
        }
        maker = whole_images(recipe, seen, bounds)
        images, labels, beside, facts = maker.make(Key(1, 1, range(8)))
        assert images.shape == (8, 1, 26, 28)
        assert (beside[:, :24, :24] == 1).all()
        assert (beside[:, 24:] == 0).all()
        assert (beside[:, :, 24:] == 0).all()
        assert (labels[beside == 0] == -1).all()
        for image_labels, fact in zip(labels, facts, strict=True):
            case = seen[int(fact[0, 0])]
            assert np.array_equal(image_labels[:24, :24].numpy(), case.labels)

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"augment": {"scale": 0.1}}, "augment.scale changes sizes"),
            ({"patches": {"size": (16, 28)}}, r"must be \[24, 24\] at least"),
        ],
    )
    def test_what_would_be_wrong_is_refused(
        self, change: dict[str, Any], says: str, tmp_path: Path
    ) -> None:
        recipe = sizes_recipe({"draw": True})
        part, values = next(iter(change.items()))
        changed = getattr(recipe, part).model_copy(update=values)
        with pytest.raises(InputError, match=says):
            run_of(recipe.model_copy(update={part: changed}), tmp_path)

    def test_nothing_marked_is_refused(self, tmp_path: Path) -> None:
        recipe = sizes_recipe({"bounds": {"1": [1, 9]}})
        with pytest.raises(InputError, match="nothing is marked"):
            run_of(recipe, tmp_path, replace(sides(), train=unknown(sides())))

    def test_missing_sizes_are_named(self, tmp_path: Path) -> None:
        split = sides()
        marks = tuple(drawn(case, scribbles, slices=1) for case in split.train)
        with pytest.raises(InputError, match="no sizes for the structures 1"):
            run_of(sizes_recipe({}), tmp_path, replace(split, train=marks))

    def test_the_size_is_learnt(self, tmp_path: Path) -> None:
        """Wished to be nowhere, a structure shrinks."""
        split = sides()
        marks = tuple(drawn(case, scribbles, slices=1) for case in split.train)
        marked = replace(split, train=marks)
        volumes = []
        for weight in (0.0, 100.0):
            options = {"bounds": {"1": [0, 0]}, "weight": weight}
            recipe = sizes_recipe(
                options, epochs=1, steps=15, learning_rate=0.1, ema=0.0
            )
            net, _ = run_of(recipe, tmp_path / str(weight), marked)
            image = torch.from_numpy(ready(split.train, recipe)[0].image)[None]
            with torch.no_grad():
                volumes.append(float(net.eval()(image).softmax(1)[:, 1].sum()))
        assert volumes[1] < 0.6 * volumes[0]


class Knows(torch.nn.Module):
    """The brighter the likelier, so gently that warping before or after is the same."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return 0.1 * torch.cat([-images, images], 1)


class TestTeacher:
    def test_who_is_labelled(self) -> None:
        cases = list(sides().train)
        cases[3] = replace(cases[3], labels=np.full((24, 24), -1, np.int16))
        labelled, unlabelled = shared_out(cases, 1.0)
        assert [case.name for case in labelled] == ["disc00", "disc01", "disc02"]
        assert [case.name for case in unlabelled] == ["disc03"]
        labelled, unlabelled = shared_out(cases, 0.4)
        assert [case.name for case in labelled] == ["disc00"]
        assert all((case.labels == -1).all() for case in unlabelled)
        assert len(shared_out(cases, 0.01)[0]) == 1

    def test_the_rise_by_hand(self) -> None:
        assert risen(1, 4) == pytest.approx(math.exp(-5))
        assert risen(3, 4) == pytest.approx(math.exp(-1.25))
        assert risen(5, 4) == risen(9, 4) == risen(1, 0) == 1

    def test_the_difference_counts_where_there_is_a_source(self) -> None:
        found, wished = torch.zeros(1, 2, 1, 3), torch.zeros(1, 2, 1, 3)
        found[0, 0, 0], where = torch.tensor([1.0, 0.5, 0]), torch.ones(1, 1, 1, 3)
        assert float(apart(found, wished, where)) == pytest.approx((0.5 + 0.125) / 3)
        where[..., 0] = 0
        assert float(apart(found, wished, where)) == pytest.approx(0.125 / 2)
        assert float(apart(found, wished, 0 * where)) == 0

    @given(seeds)
    @settings(deadline=None, max_examples=8)
    def test_a_teacher_that_knows_agrees_with_a_student_that_knows(
        self, seed: int
    ) -> None:
        """Undone, the change leaves nothing between two answers that are right."""
        recipe = method_recipe("mean-teacher")
        grey = dict.fromkeys(
            ("gamma", "brightness", "noise", "blur", "low_resolution"), 0.0
        )
        augment = recipe.augment.model_copy(update=grey)
        recipe = recipe.model_copy(update={"augment": augment})
        cases = sides().train
        made = Pairs(recipe, cases[:2], shared_out(cases, 0.5)[1]).make(
            Key(1, seed + 1, range(2))
        )
        assert torch.equal(made["raw"], made["seen"])

        def knows(images: torch.Tensor) -> torch.Tensor:
            return torch.cat([images, 1 - images], 1)

        student = knows(warp(made["seen"], made["flow"]))
        teacher = warp(knows(made["raw"]), made["flow"])
        assert float(apart(student, teacher, inside(made["flow"]))) < 1e-9
        assert made["flow"].abs().max() > 0.01

    def test_the_teachers_answer_is_changed_as_the_students_image_was(self) -> None:
        """Of a teacher and a student that both know, only the edges of warping differ."""
        recipe = method_recipe("mean-teacher")
        cases = sides().train
        pairs = Pairs(recipe, cases[:2], shared_out(cases, 0.5)[1])
        made = pairs.make(Key(1, 3, range(2)))
        made["seen"] = made["raw"]
        knows = Knows()
        loss = float(pairs.loss({FOR_USE: knows, TEACHER: knows}, made, 1, 0))
        found = float(pairs.loss({FOR_USE: knows, TEACHER: knows}, made, 1, 1))
        wished = knows(made["raw"]).softmax(1)
        moved = knows(warp(made["seen"], made["flow"])).softmax(1)
        unmoved = float(apart(moved, wished, inside(made["flow"])))
        assert 0 <= found - loss < 0.1 * unmoved

    def test_the_weight_rises_over_the_ramp(self, tmp_path: Path) -> None:
        losses = []
        for options in ({"weight": 0}, {"weight": 9}, {"weight": 9, "ramp": 0}):
            recipe = method_recipe(
                "mean-teacher", {"labelled": 0.5, **options}, epochs=1, steps=1
            )
            _, (epoch,) = run_of(recipe, tmp_path / str(len(losses)))
            losses.append(epoch.loss)
        without, risen_, whole = losses
        assert without < risen_ < whole
        # Of one epoch, three tenths of which are the ramp, the first is its beginning.
        assert risen_ - without == pytest.approx(
            math.exp(-5) * (whole - without), rel=0.02
        )

    def test_inside_by_hand(self) -> None:
        flow = torch.zeros(1, 2, 2, 3)
        flow[0, 1] = 1
        assert inside(flow)[0, 0].tolist() == [[1, 1, 0], [1, 1, 0]]

    def test_runs_and_reads_no_label_of_the_others(self, tmp_path: Path) -> None:
        recipe = method_recipe("mean-teacher", {"labelled": 0.5}, epochs=2)
        net, epochs = run_of(recipe, tmp_path / "a")
        assert all(np.isfinite(epoch.loss) for epoch in epochs)
        split = sides()
        other = [
            replace(case, labels=np.zeros_like(case.labels)) for case in split.train[2:]
        ]
        blind = replace(split, train=(*split.train[:2], *other))
        assert same(net, run_of(recipe, tmp_path / "b", blind)[0])

    def test_without_weight_it_is_plain_learning(self, tmp_path: Path) -> None:
        recipe = method_recipe("mean-teacher", {"labelled": 0.5, "weight": 0}, epochs=1)
        net, _ = run_of(recipe, tmp_path / "a")
        plain = recipe.model_copy(update={"method": None})
        split = sides()
        few = replace(split, train=split.train[:2])
        assert same(net, run_of(plain, tmp_path / "b", few)[0])

    def test_the_teacher_is_the_students_average(self, tmp_path: Path) -> None:
        from safetensors.torch import load_file

        options = {"labelled": 0.5, "decay": 0.0}
        recipe = method_recipe("mean-teacher", options, epochs=1)
        run_of(recipe, tmp_path)
        state = load_file(next(tmp_path.glob("state-*.safetensors")))
        for name, weights in segmentor_of(recipe).state_dict().items():
            student, teacher = (
                state[f"net/{n}.{name}"] for n in ("segmentor", "teacher")
            )
            assert torch.equal(student, teacher)
            assert teacher.shape == weights.shape

    def test_nobody_without_labels_is_refused(self, tmp_path: Path) -> None:
        recipe = method_recipe("mean-teacher")
        with pytest.raises(InputError, match="training scans, got 4 and 0"):
            drain(fit_of(recipe)(recipe, sides(), tmp_path, accelerator="cpu"))

    def test_nobody_with_labels_is_refused(self, tmp_path: Path) -> None:
        recipe = method_recipe("mean-teacher")
        with pytest.raises(InputError, match="training scans, got 0 and 4"):
            run_of(recipe, tmp_path, replace(sides(), train=unknown(sides())))
