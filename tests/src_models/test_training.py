"""Runs that are stopped, killed, spoiled and taken up again."""

from __future__ import annotations

import csv
import json
import math
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from zoo import discs, make_card, make_recipe

import src_models.training.fit as fitting
from src_models.catalog import create_net
from src_models.data.cases import Case
from src_models.data.splits import Split
from src_models.errors import InputError
from src_models.inference import Options
from src_models.metrics import score_all
from src_models.metrics.columns import COLUMNS
from src_models.progress import Progress, drain
from src_models.training import checkpoint
from src_models.training import parts as making
from src_models.training.curves import Epoch
from src_models.training.evaluate import case_dices, known_share, reports, summary
from src_models.training.fit import fit
from src_models.training.run import train
from src_models.weights import load_model

if TYPE_CHECKING:
    from collections.abc import Generator

    from src_models.training.config import Recipe


def cases() -> Split:
    made = discs(7)
    return Split(tuple(made[:4]), tuple(made[4:6]), tuple(made[6:]))


def facts(run: Path) -> dict[str, Any]:
    """The saved state, without what a clock says."""
    held: dict[str, Any] = json.loads((run / "state.json").read_text())
    for epoch in held["history"]:
        del epoch["seconds"]
    return held


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def same(one: Path, two: Path) -> bool:
    names = [facts(one)["tensors"], checkpoint.BEST]
    return facts(one) == facts(two) and all(
        all(torch.equal(v, b[k]) for k, v in a.items())
        for a, b in ((load_file(one / n), load_file(two / n)) for n in names)
    )


def steps(
    run: Path, recipe: Recipe | None = None
) -> Generator[Progress | Epoch, None, nn.Module]:
    return fit(recipe or make_recipe(), cases(), run, accelerator="cpu")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted."""
    run = tmp_path_factory.mktemp("whole")
    drain(fit(make_recipe(), cases(), run, accelerator="cpu"))
    return run


@pytest.fixture(scope="module")
def first_epoch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped after its first epoch."""
    run = tmp_path_factory.mktemp("stopped")
    going = steps(run)
    next(event for event in going if isinstance(event, Epoch))
    going.close()
    return run


@pytest.fixture
def stopped(first_epoch: Path, tmp_path: Path) -> Path:
    """A copy of it, to spoil or to go on with."""
    return Path(shutil.copytree(first_epoch, tmp_path / "run"))


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[2])
from test_training import steps
for event in steps(Path(sys.argv[1])):
    if getattr(event, "note", "").startswith("epoch 2 ") and event.done == 3:
        os.kill(os.getpid(), signal.SIGKILL)
"""


class TestFit:
    def test_it_tells_each_step_and_epoch(self, tmp_path: Path) -> None:
        events = list(steps(tmp_path))
        told = [
            (e.note[:7], e.done, e.total) if isinstance(e, Progress) else e.number
            for e in events
        ]
        one, two = ([(f"epoch {e}", i, 4) for i in (1, 2, 3, 4)] for e in (1, 2))
        assert told == [*one, 1, *two, 2]
        last = events[-1]
        assert isinstance(last, Epoch)
        assert last.of == 2
        assert 0 <= last.dice <= last.best <= 1
        by_step = [float(e.note.split()[-1]) for e in events[5:9]]  # type: ignore[union-attr]
        assert last.loss == pytest.approx(np.mean(by_step), abs=1e-3)
        assert last.rate == pytest.approx(1e-3 * 0.5 * (1 + math.cos(math.pi * 5 / 6)))
        assert [row["number"] for row in table(tmp_path / "history.csv")] == ["1", "2"]

    def test_a_seed_has_its_own_run(self, whole: Path, tmp_path: Path) -> None:
        drain(fit(make_recipe(seed=0), cases(), tmp_path / "0", accelerator="cpu"))
        assert same(tmp_path / "0", whole)
        drain(fit(make_recipe(seed=1), cases(), tmp_path / "1", accelerator="cpu"))
        assert facts(tmp_path / "1")["history"] != facts(whole)["history"]

    def test_the_loss_falls(self, tmp_path: Path) -> None:
        recipe = make_recipe(epochs=3, steps=8, learning_rate=5e-3)
        epochs = [e for e in steps(tmp_path, recipe) if isinstance(e, Epoch)]
        assert epochs[-1].loss < 0.7 * epochs[0].loss
        assert epochs[-1].best > 0.8

    def test_stopped_between_epochs(self, whole: Path, stopped: Path) -> None:
        assert facts(stopped)["epoch"] == 1
        events = list(steps(stopped))
        assert len(events) == 5  # the second epoch only
        assert same(stopped, whole)

    def test_stopped_within_an_epoch(self, whole: Path, tmp_path: Path) -> None:
        going = steps(tmp_path)
        epoch = next(event for event in going if isinstance(event, Epoch))
        assert epoch.number == 1
        next(going), next(going)
        going.close()
        drain(steps(tmp_path))
        assert same(tmp_path, whole)

    def test_stopped_with_dropout(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """PyTorch's own random numbers start anew with each epoch, too."""

        def forgetful(*args: Any, **kwargs: Any) -> Any:
            net = create_net(*args, **kwargs)
            net.dropout.p = 0.5  # type: ignore[union-attr]
            return net

        monkeypatch.setattr(making, "create_net", forgetful)
        drain(steps(tmp_path / "whole"))
        going = steps(tmp_path / "parts")
        next(event for event in going if isinstance(event, Epoch))
        going.close()
        drain(steps(tmp_path / "parts"))
        assert same(tmp_path / "parts", tmp_path / "whole")

    @pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
    def test_killed_within_an_epoch(self, whole: Path, tmp_path: Path) -> None:
        here = str(Path(__file__).parent)
        child = subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path), here],
            check=False,
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert child.returncode == -signal.SIGKILL, child.stderr
        assert facts(tmp_path)["epoch"] == 1
        drain(steps(tmp_path))
        assert same(tmp_path, whole)

    def test_a_finished_run_gives_its_net_again(self, whole: Path) -> None:
        before = facts(whole)
        net = drain(fit(make_recipe(), cases(), whole, accelerator="cpu"))
        best = load_file(whole / checkpoint.BEST)
        assert all(torch.equal(v, best[k]) for k, v in net.state_dict().items())
        assert facts(whole) == before

    @pytest.mark.parametrize(
        "changed",
        [make_recipe(learning_rate=1e-2), make_recipe(epochs=3)],
        ids=["learning rate", "epochs"],
    )
    def test_other_settings_are_refused(self, changed: Recipe, stopped: Path) -> None:
        with pytest.raises(InputError, match="run of discs with other settings"):
            next(iter(steps(stopped, changed)))

    def test_other_words_are_not(self, whole: Path, stopped: Path) -> None:
        recipe = make_recipe()
        about = recipe.about.model_copy(update={"title": "Better words"})
        drain(steps(stopped, recipe.model_copy(update={"about": about})))
        assert same(stopped, whole)

    def test_a_loss_that_is_no_number(
        self, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls = []

        def spoiled(*args: Any, **kwargs: Any) -> torch.Tensor:
            calls.append(args)
            return judge(*args, **kwargs) * (math.nan if len(calls) == 6 else 1)

        judge = fitting.judge
        monkeypatch.setattr(fitting, "judge", spoiled)
        with pytest.raises(InputError, match="not a number in epoch 2, step 2") as end:
            drain(steps(tmp_path))
        shown = set(re.findall(r"disc\d\d", str(end.value)))
        assert 1 <= len(shown) <= 2  # a batch of two patches
        assert shown <= {case.name for case in cases().train}
        monkeypatch.undo()
        assert facts(tmp_path)["epoch"] == 1
        drain(steps(tmp_path))
        assert same(tmp_path, whole)

    @pytest.mark.parametrize("file", ["state", "best"])
    def test_a_full_disk_keeps_the_earlier_state(
        self, file: str, whole: Path, stopped: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(tensors: object, path: Path) -> None:
            raise OSError(28, "No space left on device")

        module = checkpoint if file == "state" else fitting
        before = facts(stopped)
        monkeypatch.setattr(module, "save_tensors", full)
        if file == "best":  # so that there is a better one to save
            monkeypatch.setattr(fitting, "mean_dice", lambda *_: 2.0)
        with pytest.raises(OSError, match="No space"):
            drain(steps(stopped))
        monkeypatch.undo()
        assert facts(stopped) == before
        drain(steps(stopped))
        assert same(stopped, whole)

    @pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"tensors": 3}', "null"])
    def test_a_damaged_state_is_said_in_one_line(
        self, text: str, stopped: Path
    ) -> None:
        (stopped / "state.json").write_text(text)
        refused(stopped)

    @pytest.mark.parametrize("key", sorted({"tensors", *checkpoint.FACTS}))
    def test_a_state_that_lacks_something(self, key: str, stopped: Path) -> None:
        held = json.loads((stopped / "state.json").read_text())
        del held[key]
        (stopped / "state.json").write_text(json.dumps(held))
        assert key in refused(stopped)

    @pytest.mark.parametrize("kept", [None, 0, 500])
    @pytest.mark.parametrize("name", ["state-1.safetensors", checkpoint.BEST])
    def test_damaged_tensors(self, name: str, kept: int | None, stopped: Path) -> None:
        path = stopped / name
        data = path.read_bytes()
        path.unlink() if kept is None else path.write_bytes(data[:kept])
        if name == checkpoint.BEST:
            with pytest.raises(InputError, match="cannot be resumed"):
                checkpoint.load_best(stopped, nn.Linear(1, 1))
        else:
            refused(stopped)

    def test_the_state_is_one_json_and_one_tensor_file(self, whole: Path) -> None:
        assert sorted(path.name for path in whole.iterdir()) == [
            "best.safetensors",
            "history.csv",
            "settings.json",
            "state-2.safetensors",
            "state.json",
        ]


def refused(run: Path) -> str:
    with pytest.raises(InputError) as caught:
        next(iter(steps(run)))
    message = str(caught.value)
    assert "the interrupted run cannot be resumed" in message
    assert "\n" not in message
    return message


def test_the_average_of_weights_by_hand() -> None:
    net, ema = (nn.BatchNorm1d(1) for _ in range(2))
    net.weight.data[:], ema.weight.data[:] = 3.0, 1.0
    net.num_batches_tracked.fill_(7)
    making.average_into(ema, net, 0.75)
    assert ema.weight.item() == pytest.approx(1.5)
    assert ema.num_batches_tracked.item() == 7


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path, list[Any]]:
    folder = tmp_path_factory.mktemp("train")
    events = []
    going = train(
        make_recipe(learning_rate=5e-3),
        discs(14),
        run=folder / "run",
        out=folder / "model",
        accelerator="cpu",
    )
    while True:
        try:
            events.append(next(going))
        except StopIteration as end:
            return end.value, folder / "model", events


class TestTrain:
    def test_the_model_is_loaded_as_it_was_made(self, made: Any) -> None:
        card, folder, _ = made
        net, read = load_model(folder)
        assert read == card
        best = load_file(folder.parent / "run" / checkpoint.BEST)
        for key, value in net.state_dict().items():
            wanted = (
                best[key].half().float() if card.precision == "float16" else best[key]
            )
            assert torch.equal(value, wanted)

    def test_the_card_tells_the_split_and_the_scores(self, made: Any) -> None:
        card, folder, _ = made
        sides = (card.data.train, card.data.validation, card.data.locked)
        assert sorted(sum(sides, ())) == [case.name for case in discs(14)]
        assert card.locked.cases == len(card.data.locked)
        assert card.validation.cases == len(card.data.validation)
        rows = table(folder / "locked.csv")
        assert [row["case"] for row in rows] == list(card.data.locked)
        dice = np.mean([float(row["dice"]) for row in rows])
        assert card.locked.mean_dice == pytest.approx(dice, abs=1e-3)
        keys = {"case", "structure", "presence", *(column.key for column in COLUMNS)}
        assert rows[0].keys() == keys
        held = table(folder / "validation.csv")
        assert [row["case"] for row in held] == list(card.data.validation)
        assert card.recipe["train"]["learning_rate"] == 5e-3
        assert {"python", "torch", "monai", "numpy"} <= card.versions.keys()

    def test_mean_and_sd_of_every_metric_lie_beside_the_card(self, made: Any) -> None:
        card, folder, _ = made
        rows = table(folder / "summary.csv")
        found = {(row["side"], row["metric"]): row for row in rows}
        assert len(found) == len(rows) == 2 * len(COLUMNS)  # one structure
        rows = table(folder / "locked.csv")
        for column in COLUMNS:
            row = found["locked", column.key]
            values = [float(one[column.key]) for one in rows]
            assert row["cases"] == str(len(values))
            assert float(row["mean"]) == pytest.approx(np.mean(values), abs=2e-4)
            assert float(row["sd"]) == pytest.approx(np.std(values), abs=2e-4)
        assert card.locked.labels[0].dice_sd == float(found["locked", "dice"]["sd"])

    def test_unknown_voxels_are_not_judged(self) -> None:
        class Everything(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return torch.cat([x * 0, x * 0 + 1], dim=1)

        labels = np.full((20, 20), -1, np.int8)
        labels[:10, :10] = 1
        case = Case("a", "a", np.zeros((1, 20, 20), "f4"), labels, (1.0, 1.0))
        card, net, options = make_card(), Everything(), Options(device="cpu")
        ((_, report),) = reports(net, card, [case], tolerance=1, options=options)
        assert report.rows[0].dice == 1
        assert case_dices(net, card, [case], torch.device("cpu")) == [1]

    def test_it_tells_what_it_does(self, made: Any) -> None:
        card, _, events = made
        kinds = [type(event) for event in events]
        assert kinds[:10] == [*[Progress] * 4, Epoch, *[Progress] * 4, Epoch]
        notes = [event for event in events[10:] if isinstance(event, Progress)]
        assert len(notes) == card.validation.cases + card.locked.cases
        assert notes[-1].done == notes[-1].total == card.locked.cases

    def test_too_few_cases_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="give more cases"):
            next(train(make_recipe(), discs(1), run=tmp_path, out=tmp_path))


def test_a_summary_by_hand() -> None:
    truth = np.zeros((8, 8), np.uint8)
    truth[2:6, 2:6] = 1
    half = truth.copy()
    half[2:4] = 0  # 2·8 / (8 + 16) = 2/3
    made = [
        score_all(p, truth, spacing=(1.0, 1.0), unit="mm", tolerance=1, labels={1: "a"})
        for p in (truth, half)
    ]
    scores = summary(made)
    assert (scores.cases, scores.known) == (2, 1)
    assert scores.mean_dice == pytest.approx(5 / 6, abs=1e-4)
    assert scores.labels[0].dice_sd == pytest.approx(1 / 6, abs=1e-4)
    with pytest.raises(ValueError, match="no cases"):
        summary([])


def test_how_much_of_the_cases_is_known_by_hand() -> None:
    image, whole = np.zeros((1, 4, 5)), np.zeros((4, 5), np.int16)
    marked = whole.copy()
    marked[1:] = -1  # 5 of 20
    cases = [
        Case(n, n, image, one, (1.0, 1.0)) for n, one in (("a", whole), ("b", marked))
    ]
    assert known_share(cases) == 25 / 40
    assert known_share([]) == 0


def test_a_card_in_the_making_has_no_scores_yet() -> None:
    from src_models.training.cards import draft_card

    card = draft_card(make_recipe(), cases())
    assert card.sha256 == ""
    assert card.patch == make_card().patch
    assert card.data.train == ("disc00", "disc01", "disc02", "disc03")
