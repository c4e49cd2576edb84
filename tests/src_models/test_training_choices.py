"""What a recipe may choose: each choice does what it says, and survives a stop."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from zoo import discs, make_recipe

import src_models.training.fit as fitting
from src_models.data.splits import Split
from src_models.errors import InputError
from src_models.outputs import Auxiliary, Outputs, judge
from src_models.progress import drain
from src_models.training import curves, parts
from src_models.training.curves import Epoch
from src_models.training.fit import fit
from src_models.training.run import train


def cases() -> Split:
    made = discs(7)
    return Split(tuple(made[:4]), tuple(made[4:6]), tuple(made[6:]))


def epochs(run: Path, batch: int = 2, **train: Any) -> list[Epoch]:
    recipe = make_recipe(**train)
    patches = recipe.patches.model_copy(update={"batch": batch})
    recipe = recipe.model_copy(update={"patches": patches})
    events = fit(recipe, cases(), run, accelerator="cpu")
    return [event for event in events if isinstance(event, Epoch)]


def told(found: list[Epoch]) -> list[Epoch]:
    """Without what a clock says."""
    return [replace(epoch, seconds=0) for epoch in found]


@pytest.mark.parametrize(
    "train",
    [
        {"precision": "16-mixed", "steps": 1},
        {"precision": "bf16-mixed"},
        {"optimizer": "sgd", "schedule": "poly", "momentum": 0.99},
        {"accumulate": 2, "channels_last": True},
        {"loss": "border-ce + 0.1*boundary", "schedule": "plateau", "plateau": 1},
    ],
    ids=["fp16", "bf16", "sgd, poly", "accumulated", "maps, plateau"],
)
def test_a_stop_changes_nothing(train: dict[str, Any], tmp_path: Path) -> None:
    whole = epochs(tmp_path / "whole", **train)
    going = fit(make_recipe(**train), cases(), tmp_path / "parts", accelerator="cpu")
    first = next(event for event in going if isinstance(event, Epoch))
    going.close()
    rest = epochs(tmp_path / "parts", **train)
    assert told([first, *rest]) == told(whole)
    assert all(np.isfinite(epoch.loss) for epoch in whole)


def test_the_scale_of_16_bit_gradients_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs(tmp_path, precision="16-mixed", steps=1, epochs=1)
    path = tmp_path / "state.json"
    held = json.loads(path.read_text())
    assert held["scaler"]["_growth_tracker"] + (held["scaler"]["scale"] < 65536) == 1
    held["scaler"]["scale"], held["recipe"]["train"]["epochs"] = 1024.0, 2
    path.write_text(json.dumps(held))
    seen = []
    scaled = torch.amp.GradScaler.scale

    def scale(self: Any, loss: Tensor) -> Any:
        found = scaled(self, loss)
        seen.append(float(found.detach() / loss.detach()))
        return found

    monkeypatch.setattr(torch.amp.GradScaler, "scale", scale)
    epochs(tmp_path, precision="16-mixed", steps=1, epochs=2)
    assert seen == pytest.approx([1024.0])


# Adam and clipping would hide gradients of a wrong size, and rounding grows about
# fivefold a step (in float64 the curves agree to 1e-15), so there are few steps.
BARE = {"loss": "ce", "optimizer": "sgd", "learning_rate": 0.02, "clip": 1e6}
BARE |= {"epochs": 1, "steps": 3}


def test_accumulated_batches_are_one_large_batch(tmp_path: Path) -> None:
    large = epochs(tmp_path / "4", batch=4, **BARE)
    for batch, accumulate in ((2, 2), (1, 4)):
        run = tmp_path / str(batch)
        found = epochs(run, batch=batch, accumulate=accumulate, **BARE)
        for one, other in zip(found, large, strict=True):
            assert one.loss == pytest.approx(other.loss, rel=5e-5)


def test_threads_change_nothing_and_may_change(tmp_path: Path) -> None:
    found = [told(epochs(tmp_path / str(n), workers=n)) for n in (0, 1, 3)]
    assert found[0] == found[1] == found[2]
    assert epochs(tmp_path / "0", workers=2) == []  # the same, finished, run


def test_channels_last_is_the_same_mathematics(tmp_path: Path) -> None:
    plain, last = (
        epochs(tmp_path / str(wish), channels_last=wish, **BARE)
        for wish in (False, True)
    )
    for one, other in zip(plain, last, strict=True):
        assert one.loss == pytest.approx(other.loss, rel=5e-5)


def scores(monkeypatch: pytest.MonkeyPatch, values: list[float]) -> None:
    """Let the epochs reach these."""
    left = iter(values)
    monkeypatch.setattr(fitting, "mean_dice", lambda *_: next(left))


def test_it_stops_when_nothing_is_gained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores(monkeypatch, [0.3, 0.5, 0.4, 0.5])
    plan = {"epochs": 9, "steps": 1, "patience": 2}
    found = epochs(tmp_path, **plan)
    assert [epoch.dice for epoch in found] == [0.3, 0.5, 0.4, 0.5]
    assert found[-1].best == 0.5
    assert epochs(tmp_path, **plan) == []  # and stays stopped


def test_the_rate_falls_on_a_plateau(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores(monkeypatch, [0.5, 0.4, 0.6, 0.6, 0.7])
    plan = {"schedule": "plateau", "plateau": 1, "plateau_factor": 0.1, "warmup": 0}
    found = epochs(tmp_path, epochs=5, steps=1, **plan)
    rates = [epoch.rate / 1e-3 for epoch in found]
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01])


@pytest.mark.parametrize(
    ("name", "kind"), [("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)]
)
def test_optimizers(name: str, kind: type) -> None:
    plan = make_recipe(optimizer=name, weight_decay=0.1, momentum=0.8).train
    made = parts.make_optimizer(plan, nn.Linear(2, 2))
    assert type(made) is kind
    assert made.defaults["weight_decay"] == 0.1
    if name == "sgd":
        assert made.defaults["momentum"] == 0.8
        assert made.defaults["nesterov"] is True


class TestJudge:
    LABELS = torch.tensor([[0, 0, 1, 1]])

    @staticmethod
    def count(logits: Tensor, labels: Tensor, maps: Any = None) -> Tensor:
        """The number of voxels, plus all that the maps hold."""
        extra = sum(one.sum() for one in maps.values()) if maps else 0.0
        return torch.tensor(float(labels.numel())) + extra

    @pytest.mark.parametrize(("supervision", "wanted"), [(1, 5), (0.5, 4.5), (0, 4)])
    def test_the_weight_of_auxiliary_outputs(
        self, supervision: float, wanted: float
    ) -> None:
        part = Auxiliary(0.5, torch.zeros(1, 2, 2))
        said = Outputs(torch.zeros(1, 2, 4), (part,))
        found = judge(self.count, said, self.LABELS, supervision=supervision)
        assert found == wanted

    def test_it_is_left_where_they_are_all_there_is(self) -> None:
        part = Auxiliary(0.5, torch.zeros(1, 2, 2))
        said = Outputs(torch.zeros(1, 2, 4), (part,), weight=0)
        assert judge(self.count, said, self.LABELS, supervision=0) == 1

    def test_maps_reach_each_part_on_its_grid(self) -> None:
        part = Auxiliary(1.0, torch.zeros(1, 2, 2))
        said = Outputs(torch.zeros(1, 2, 4), (part,), weight=0)
        maps = {
            "border": torch.tensor([[0.0, 10, 20, 30]]),
            "distance": torch.tensor([[[0.0, 1, 2, 3], [4, 5, 6, 7]]]),
        }
        # The voxels nearest to the middles of both halves: 1 and 3 of 4.
        found = judge(self.count, said, self.LABELS, maps)
        assert found == 2 + (10 + 30) + (1 + 3) + (5 + 7)


class TestBadInput:
    def split(self, **changed: Any) -> Split:
        split = cases()
        bad = replace(split.train[1], **changed)
        return replace(split, train=(split.train[0], bad))

    @pytest.mark.parametrize(
        ("changed", "says"),
        [
            (
                {"labels": np.full((24, 24), 5, np.uint8)},
                "case disc01: its labels have",
            ),
            ({"image": np.full((1, 24, 24), np.inf)}, "case disc01: its image has"),
            ({"image": np.zeros((2, 24, 24))}, "case disc01: it has 2 channel"),
        ],
    )
    def test_a_case_that_does_not_fit(
        self, changed: dict[str, Any], says: str, tmp_path: Path
    ) -> None:
        with pytest.raises(InputError, match=says):
            next(fit(make_recipe(), self.split(**changed), tmp_path / "run"))
        assert not (tmp_path / "run").exists()

    def test_a_locked_case_that_does_not_fit(self, tmp_path: Path) -> None:
        made = discs(14)
        sides = [replace(c, labels=c.labels * np.uint8(9)) for c in made]
        with pytest.raises(InputError, match=r"labels have the values \[9\]"):
            next(train(make_recipe(), sides, run=tmp_path, out=tmp_path))

    def test_no_structure_in_any_training_image(self, tmp_path: Path) -> None:
        split = cases()
        empty = [replace(c, labels=np.zeros_like(c.labels)) for c in split.train]
        with pytest.raises(InputError, match="none of the 4 training images"):
            next(fit(make_recipe(), replace(split, train=tuple(empty)), tmp_path))

    def test_one_without_is_no_fault(self, tmp_path: Path) -> None:
        split = cases()
        empty = replace(split.train[0], labels=np.zeros_like(split.train[0].labels))
        split = replace(split, train=(empty, *split.train[1:]))
        drain(fit(make_recipe(epochs=1), split, tmp_path, accelerator="cpu"))

    def test_devices_that_are_not_there(self, tmp_path: Path) -> None:
        if torch.cuda.is_available():
            pytest.skip("there is a GPU")
        with pytest.raises(InputError, match=r"1 device.* 'cuda' cannot be used here"):
            next(fit(make_recipe(), cases(), tmp_path, accelerator="cuda"))

    def test_a_gradient_that_is_no_number(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The slope of √x at 0 is infinite, its value is 0."""
        known = fitting.judge

        def steep(*args: Any, **kwargs: Any) -> Tensor:
            loss = known(*args, **kwargs)
            return loss + (loss - loss.detach()).clamp(min=0).sqrt()

        monkeypatch.setattr(fitting, "judge", steep)
        with pytest.raises(InputError, match="not a number in epoch 1, step 1"):
            drain(fit(make_recipe(), cases(), tmp_path, accelerator="cpu"))


class TestFiles:
    def test_the_settings_are_written_before_the_first_step(
        self, tmp_path: Path
    ) -> None:
        recipe = make_recipe(workers=0)
        next(fit(recipe, cases(), tmp_path, accelerator="cpu"))
        held = json.loads((tmp_path / "settings.json").read_text())
        assert held["train"]["learning_rate"] == 1e-3
        assert held["cases"] == ["disc00", "disc01", "disc02", "disc03"]
        assert (held["device"], held["processes"]) == ("cpu", 1)
        assert {"torch", "monai"} <= held["versions"].keys()

    def test_tensorboard_where_it_is_installed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        written: list[tuple[str, float, int]] = []

        class Writer:
            def __init__(self, folder: str, purge_step: int) -> None:
                assert folder == str(tmp_path / "events")
                assert purge_step == 3

            def __enter__(self) -> Writer:
                return self

            def __exit__(self, *_: object) -> None:
                written.append(("closed", 0, 0))

            def add_scalar(self, name: str, value: float, step: int) -> None:
                written.append((name, value, step))

        board = ModuleType("torch.utils.tensorboard")
        board.SummaryWriter = Writer  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", board)
        epoch = Epoch(3, 9, 0.5, 0.7, 0.8, 12.0, 1e-3)
        curves.write_events(tmp_path, epoch)
        wanted = {k: v for k, v in epoch.row().items() if k not in ("number", "of")}
        assert written == [(k, v, 3) for k, v in wanted.items()] + [("closed", 0, 0)]

    def test_and_not_where_it_is_not(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
        curves.write_events(tmp_path, Epoch(1, 1, 0, 0, 0, 0))
        assert not list(tmp_path.iterdir())

    def test_a_full_disk_keeps_the_earlier_history(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        curves.write_history(tmp_path, [{"number": 1, "loss": 0.5}])

        def full(self: Path, *_: object, **__: object) -> None:
            self.touch()
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_text", full)
        with pytest.raises(OSError, match="No space"):
            curves.write_history(tmp_path, [{"number": 2, "loss": 0.25}])
        monkeypatch.undo()
        assert [path.name for path in tmp_path.iterdir()] == ["history.csv"]
        assert (tmp_path / "history.csv").read_text() == "number,loss\n1,0.5\n"
