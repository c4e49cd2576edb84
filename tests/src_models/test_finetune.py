"""Fine-tuning: unchecked voxels teach nothing, old classes stay, the best is kept."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from monai import transforms as mt
from zoo import COLOR, discs, make_card

from src_models.card import LabelRow, NetSpec
from src_models.catalog import CARDS, create_model, create_net
from src_models.data.held import folds, hold_out
from src_models.data.loader import BatchMaker, Share
from src_models.data.patches import PatchSampler
from src_models.errors import InputError
from src_models.inference import Options
from src_models.inference.uncertainty import entropy
from src_models.progress import Curve, drain
from src_models.training import finetune as page
from src_models.training.distil import distil
from src_models.training.extend import class_tensors, extend_head
from src_models.training.finetune import Tuning, finetune
from src_models.training.held_dice import guess, pooled_dice
from src_models.training.late import late_parameters

if TYPE_CHECKING:
    from src_models.data.cases import Case

QUICK = Tuning(steps=6, learning_rate=3e-3, checks=2)


def fresh_net(classes: int = 2) -> torch.nn.Module:
    torch.manual_seed(3)
    return create_model("unet", ndim=2, in_channels=1, classes=classes)


def half_checked(case: Case, *, below: int = 14) -> Case:
    """Only the first rows are known."""
    labels = case.labels.astype(np.int16)
    labels[below:] = -1
    return replace(case, labels=labels)


def only_structure(case: Case) -> Case:
    """Background is not checked."""
    return replace(case, labels=np.where(case.labels > 0, 1, -1).astype(np.int16))


def tensors(net: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: one.clone() for name, one in net.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


# ── learning ───────────────────────────────────────────────────────────────────────


def test_it_learns_and_the_curve_tells_so() -> None:
    net, events = fresh_net(), []
    tuning = replace(QUICK, steps=40, checks=4)
    for event in finetune(make_card(), net, discs(4), tuning):
        events.append(event)
    curve = [event for event in events if isinstance(event, Curve)][-1]
    assert [point.step for point in curve.points] == [0, 10, 20, 30, 40]
    assert curve.best == max(point.dice for point in curve.points)
    assert curve.best > curve.points[0].dice + 0.2
    assert events[-1].done == events[-1].total


def test_the_same_seed_gives_the_same_weights() -> None:
    runs = []
    for seed in (0, 0, 1):
        net = fresh_net()
        drain(finetune(make_card(), net, discs(3), replace(QUICK, seed=seed)))
        runs.append(tensors(net))
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


def test_unchecked_voxels_never_teach(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the file says where nothing was checked, no step sees it."""
    seen: list[torch.Tensor] = []
    judge = page.judge

    def spy(loss: Any, said: Any, labels: torch.Tensor, maps: Any) -> Any:
        seen.append(labels)
        return judge(loss, said, labels, maps)

    monkeypatch.setattr(page, "judge", spy)
    cases = [half_checked(case) for case in discs(3)]
    drain(finetune(make_card(), fresh_net(), cases, QUICK))
    assert all((labels == -1).any() and (labels >= 0).any() for labels in seen)


@pytest.mark.parametrize("loss", ["dice + ce", "focal", "tversky", "lovasz"])
def test_a_gradient_is_nought_where_nothing_was_checked(loss: str) -> None:
    logits = torch.randn(1, 3, 8, 8, requires_grad=True)
    labels = torch.randint(0, 3, (1, 8, 8))
    labels[:, 4:] = -1
    page.loss_by_name(loss)(logits, labels).backward()
    assert logits.grad is not None
    assert not logits.grad[:, :, 4:].any()
    assert logits.grad[:, :, :4].any()


def test_closed_early_the_net_holds_the_best_so_far() -> None:
    net = fresh_net()
    steps = finetune(make_card(), net, discs(3), replace(QUICK, steps=60, checks=6))
    best, before = -1.0, tensors(net)
    for event in steps:
        best = getattr(event, "best", best)
        if isinstance(event, Curve) and len(event.points) == 4:
            break
    steps.close()
    assert not same(before, tensors(net))
    held = hold_out(discs(3)).held
    sampler = PatchSampler(held, (16, 16), page.FOREGROUND, known=True)
    random = np.random.default_rng([0, 1])
    drawn = [sampler.draw(random) for _ in range(page.HELD_PATCHES)]
    patches = [
        (torch.from_numpy(a)[None], torch.from_numpy(b.astype(np.int64)))
        for a, b in drawn
    ]
    # The card's intensities are taken as they are but for the clipping to −1 … 1.
    clipped = [(image.clamp(-1, 1), labels) for image, labels in patches]
    guesses = [guess(net, image) for image, _ in clipped]
    found = pooled_dice(guesses, [labels for _, labels in clipped])
    assert found == pytest.approx(best)


def test_without_a_gain_the_weights_are_what_they_were() -> None:
    net = fresh_net()
    before = tensors(net)
    drain(finetune(make_card(), net, discs(2), replace(QUICK, learning_rate=1e-12)))
    assert same(before, tensors(net))


def test_first_only_the_late_layers_move() -> None:
    net, card = fresh_net(), make_card()
    late = late_parameters(net, card)
    assert {"head.weight", "head.bias"} <= late
    assert not any(name.startswith("stem") for name in late)
    before = tensors(net)
    drain(finetune(card, net, discs(3), replace(QUICK, light=1.0, steps=20)))
    moved = {
        name
        for name, one in net.named_parameters()
        if not torch.equal(one, before[name])
    }
    assert moved
    assert moved <= late


def test_replay_is_drawn_by_its_share() -> None:
    new, old = discs(2), [replace(case, name="old") for case in discs(3, seed=1)]
    chances = [0.25, 0.25, *[0.5 / 3] * 3]
    sampler = PatchSampler([*new, *old], (16, 16), 0.5, chances=chances)
    random = np.random.default_rng(0)
    names = [sampler.case_of(random).name for _ in range(400)]
    assert 160 < names.count("old") < 240


def test_what_the_model_before_was_right_about_is_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only samples of earlier cases, only their labels, at the weight that was asked."""
    old = [replace(case, labels=1 - case.labels) for case in discs(3, seed=1)]
    told: list[torch.Tensor] = []

    def spy(logits: torch.Tensor, earlier: torch.Tensor, labels: torch.Tensor) -> Any:
        assert torch.equal(earlier, before(images.pop()[: len(earlier)]))
        told.append(labels)
        return distil(logits, earlier, labels)

    images: list[torch.Tensor] = []
    before = fresh_net().eval()
    ask = page._earlier

    def ask_and_note(model: torch.nn.Module, seen: torch.Tensor) -> torch.Tensor:
        images.append(seen)
        assert same(tensors(model), tensors(before))  # it does not learn
        return ask(model, seen)

    monkeypatch.setattr(page, "distil", spy)
    monkeypatch.setattr(page, "_earlier", ask_and_note)
    monkeypatch.setattr(page, "computes_half", lambda _: False)
    tuning = replace(QUICK, steps=12, replay=0.5)
    drain(finetune(make_card(), fresh_net(), discs(3), tuning, replay=old))
    shares = [(labels == 1).float().mean().item() for labels in told]
    assert 4 < len(told) <= 12
    assert min(shares) > 0.5  # the labels of earlier cases are mostly 1, here
    told.clear()
    off = replace(tuning, remember=0.0)
    drain(finetune(make_card(), fresh_net(), discs(3), off, replay=old))
    assert told == []


def test_background_that_may_be_new_teaches_only_what_it_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The loss sees none of it; the distance from the model before does."""
    net, card = extend_head(fresh_net(), make_card(), more(2))
    old = [replace(case, blank=True) for case in discs(3, seed=1)]
    seen: dict[str, list[torch.Tensor]] = {"judge": [], "distil": []}
    judge = page.judge

    def spy_judge(loss: Any, said: Any, labels: torch.Tensor, maps: Any) -> Any:
        seen["judge"].append(labels)
        return judge(loss, said, labels, maps)

    def spy_distil(logits: Any, earlier: Any, labels: torch.Tensor) -> Any:
        seen["distil"].append(labels)
        return distil(logits, earlier, labels)

    monkeypatch.setattr(page, "judge", spy_judge)
    monkeypatch.setattr(page, "distil", spy_distil)
    monkeypatch.setattr(page, "computes_half", lambda _: False)
    tuning = replace(QUICK, replay=0.9, batch=1)
    drain(finetune(card, net, discs(3), tuning, replay=old, before=fresh_net()))
    assert seen["distil"]
    assert all((labels == 0).any() for labels in seen["distil"])
    without = [labels for labels in seen["judge"] if not (labels == 0).any()]
    assert len(without) == len(seen["distil"])
    assert all((labels == -1).any() for labels in without)


def test_it_stays_closer_to_the_model_before() -> None:
    before, card, old = fresh_net(), make_card(), discs(3, seed=1)
    images = torch.stack([torch.from_numpy(case.image).float() for case in old])
    said = before.eval()(images).argmax(dim=1)  # it is right everywhere
    old = [
        replace(case, labels=one.numpy()) for case, one in zip(old, said, strict=True)
    ]
    apart = []
    seen: list[torch.nn.Module] = []
    for remember in (0.0, 20.0):
        tuning = replace(QUICK, steps=30, remember=remember, light=0.0, batch=4)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(page, "average_into", lambda _, net, __: seen.append(net))
            steps = finetune(card, deepcopy(before), discs(2), tuning, replay=old)
            drain(steps)
        with torch.no_grad():
            apart.append(distil(seen[-1].eval()(images), before(images), said).item())
    assert apart[1] < 0.5 * apart[0]


def test_a_batch_maker_knows_whose_each_sample_is() -> None:
    cases = [
        replace(case, image=np.full_like(case.image, at), name=str(at))
        for at, case in enumerate(discs(5))
    ]
    maker = BatchMaker(
        sampler=PatchSampler(cases, (8, 8), 0.5),
        augment=mt.Compose([]),
        share=Share(batch=3),
        seed=4,
        classes=2,
    )
    keys = list(maker.share.keys(range(1, 2), 6))
    for key in keys:
        values = [int(image.flatten()[0]) for image in maker.make(key).images]
        assert [int(case.name) for case in maker.drawn(key)] == values


def test_every_patch_has_a_checked_voxel() -> None:
    case = discs(1)[0]
    labels = np.full(case.labels.shape, -1, np.int16)
    labels[3, 4] = 0
    sampler = PatchSampler([replace(case, labels=labels)], (8, 8), 0.7, known=True)
    random = np.random.default_rng(0)
    for _ in range(30):
        assert (sampler.draw(random)[1] >= 0).any()


@pytest.mark.parametrize(
    ("cases", "tuning", "words"),
    [
        ([], QUICK, "nothing was checked"),
        ([half_checked(discs(1)[0], below=0)], QUICK, "nothing was checked"),
        ([half_checked(discs(1)[0], below=2)], QUICK, "no structure is drawn"),
        ([only_structure(discs(1)[0])], QUICK, "all that was checked is label 1"),
        ([replace(discs(1)[0], labels=discs(1)[0].labels * 5)], QUICK, r"\[5\]"),
        (discs(1), replace(QUICK, loss="nonsense"), "no loss 'nonsense'"),
        (discs(1), replace(QUICK, steps=None, budget_seconds=0), "above 0 s"),
    ],
)
def test_what_cannot_be_learnt_from(cases: Any, tuning: Tuning, words: str) -> None:
    with pytest.raises(InputError, match=words):
        drain(finetune(make_card(), fresh_net(), cases, tuning))


def test_a_gradient_that_half_precision_spoils_is_taken_again_in_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The norm is not a number wherever the net has just computed in bfloat16."""
    halves: list[bool] = []
    judge, clip = page.judge, torch.nn.utils.clip_grad_norm_

    def seen(loss: Any, said: torch.Tensor, *more: Any) -> Any:
        halves.append(said.dtype == torch.bfloat16)
        return judge(loss, said.float(), *more)

    def spoilt(*words: Any) -> torch.Tensor:
        return torch.tensor(np.inf) if halves[-1] else clip(*words)

    monkeypatch.setattr(page, "computes_half", lambda _: True)
    monkeypatch.setattr(page, "judge", seen)
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", spoilt)
    drain(finetune(make_card(), fresh_net(), discs(3), replace(QUICK, steps=2)))
    assert halves == [True, False] * 2
    monkeypatch.setattr(page, "computes_half", lambda _: False)
    monkeypatch.setattr(
        torch.nn.utils, "clip_grad_norm_", lambda *_: torch.tensor(np.nan)
    )
    with pytest.raises(InputError, match="not a number at step 1"):
        drain(finetune(make_card(), fresh_net(), discs(3), QUICK))


def test_the_budget_in_seconds_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that jumps 10 s a look, 200 s are over after a handful of steps."""
    now = iter(range(0, 100_000, 10))
    monkeypatch.setattr(page.time, "monotonic", lambda: float(next(now)))
    tuning = replace(QUICK, steps=None, budget_seconds=200)
    events = list(finetune(make_card(), fresh_net(), discs(2), tuning))
    assert len({event.note for event in events}) < 20
    assert events[-1].done == events[-1].total
    assert isinstance(events[-1], Curve)
    looks = 2 + page.HELD_PATCHES  # of one measurement, each 10 s
    assert next(now) < 200 + 10 * looks + 50


def test_measuring_leaves_most_of_the_time_to_learning() -> None:
    clock = page._Clock(replace(QUICK, steps=None, budget_seconds=1e9), began=0)
    clock.began = page.time.monotonic() - 100
    clock.measured(15)
    assert clock.may_measure()
    clock.measured(10)
    assert not clock.may_measure()
    assert replace(
        clock, tuning=QUICK
    ).may_measure()  # steps: the same for all machines


@pytest.mark.parametrize(
    ("guessed", "truth", "dice"),
    [
        ([1, 1, 0, 0], [1, 0, 0, -1], 2 / 3),  # 2·1 / (2 + 1)
        ([1, 2, 0, 0], [1, 1, 2, 2], (2 / 3 + 0) / 2),  # 2·1 / (1 + 2); 2 is missed
        ([0, 1, 1, 1], [0, 0, -1, -1], 0.5),  # no structure: one of two is right
        ([1, 1, 1, 1], [-1, -1, -1, -1], 0.0),
    ],
)
def test_a_pooled_dice_by_hand(
    guessed: list[int], truth: list[int], dice: float
) -> None:
    halves = [
        [torch.tensor(one[:2]), torch.tensor(one[2:])] for one in (guessed, truth)
    ]
    assert pooled_dice(*halves) == pytest.approx(dice)


# ── parts that are kept back ───────────────────────────────────────────────────────


def test_whole_groups_are_kept_back_where_there_are_enough() -> None:
    fold = hold_out(discs(6))
    assert {one.name for one in fold.train} | {one.name for one in fold.held} == {
        case.name for case in discs(6)
    }
    assert len(fold.held) == 1
    assert hold_out(discs(6)[::-1]).held[0].name == fold.held[0].name


def test_no_voxel_is_in_both_and_each_is_held_once() -> None:
    cases = discs(2)
    made = folds(cases, 3)
    assert len(made) == 3
    for at, case in enumerate(cases):
        times = np.zeros(case.labels.shape, int)
        for fold in made:
            held, train = fold.held[at].labels >= 0, fold.train[at].labels >= 0
            assert not (held & train).any()
            assert (held | train).all()
            times += held
        assert (times == 1).all()


def test_checked_slices_are_cut_between_slices() -> None:
    labels = np.full((20, 8, 8), -1, np.int16)
    labels[[4, 9, 14]] = 0
    labels[[4, 9, 14], 2:6, 2:6] = 1
    case = replace(discs(1)[0], image=np.zeros((1, 20, 8, 8), "f4"), labels=labels)
    held = [
        np.flatnonzero((f.held[0].labels > 0).any((1, 2))) for f in folds([case], 5)
    ]
    assert [list(one) for one in held] == [[4], [9], [14]]


def test_a_single_voxel_cannot_be_kept_back() -> None:
    labels = np.zeros((6, 6), np.int16)
    labels[2, 2] = 1
    case = replace(discs(1)[0], labels=labels)
    assert folds([case], 3) == ()
    assert hold_out([case]).held == hold_out([case]).train == (case,)


# ── more classes ───────────────────────────────────────────────────────────────────

ROWS = [(name, ndim) for name, card in CARDS.items() for ndim in card.dims]


def more(*values: int) -> list[LabelRow]:
    return [LabelRow(value=v, name=f"new {v}", color=COLOR) for v in values]


@pytest.mark.parametrize(("system", "ndim"), ROWS)
def test_every_system_takes_new_classes_and_keeps_the_old(
    system: str, ndim: int
) -> None:
    spec = NetSpec(system=system, ndim=ndim, in_channels=1, classes=3)
    card = make_card(ndim=ndim, classes=3, net=spec)
    torch.manual_seed(0)
    net = create_net(spec).eval()
    wider, grown = extend_head(net, card, more(3, 4))
    assert grown.net.classes == 5
    assert [row.value for row in grown.labels] == [1, 2, 3, 4]
    fresh = wider.state_dict()
    for name, one in net.state_dict().items():
        assert torch.equal(fresh[name][tuple(map(slice, one.shape))], one), name
    frames = (2,) * CARDS[system].frames
    image = torch.randn(1, 1, *frames, *(16,) * ndim)
    with torch.no_grad():
        old, new = net(image), wider(image)
    # Another number of channels may take another kernel, and round otherwise.
    torch.testing.assert_close(new[:, :3], old, rtol=1e-5, atol=1e-5)
    # As background: nothing is called new yet.
    torch.testing.assert_close(new[:, 3], old[:, 0], rtol=1e-5, atol=1e-5)


def test_the_tensors_of_the_classes() -> None:
    assert class_tensors(make_card().net) == {"head.weight", "head.bias"}


def test_a_new_class_is_learnt() -> None:
    net, card = extend_head(fresh_net(), make_card(), more(2))
    cases = [replace(case, labels=case.labels * 2) for case in discs(3)]
    tuning = replace(QUICK, steps=60, learning_rate=5e-3, checks=3)
    curve = [e for e in finetune(card, net, cases, tuning) if isinstance(e, Curve)][-1]
    assert curve.points[0].dice == 0
    assert curve.best > 0.3


@pytest.mark.parametrize("values", [(3,), (1,), (2, 4)])
def test_new_values_go_on_where_the_old_end(values: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"new ones must be 2, 3"):
        extend_head(fresh_net(), make_card(), more(*values))


def test_two_labels_of_one_name_are_refused() -> None:
    twice = [LabelRow(value=2, name="part 1", color=COLOR)]
    with pytest.raises(InputError, match="one name"):
        extend_head(fresh_net(), make_card(), twice)


# ── doubt ──────────────────────────────────────────────────────────────────────────


class Same(torch.nn.Module):
    """Logits that are the same everywhere."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(torch.tensor(logits), requires_grad=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        shape = image.shape[0], len(self.logits), *image.shape[2:]
        return self.logits[None, :, None, None].expand(shape)


@pytest.mark.parametrize(
    ("logits", "nats"),
    [((0.0, 0.0), np.log(2)), ((50.0, 0.0), 0), ((np.log(3), 0), 0.5623)],
)
def test_entropy_by_hand(logits: tuple[float, float], nats: float) -> None:
    """−¾ ln ¾ − ¼ ln ¼ = 0.5623."""
    image = np.zeros((2, 1, 20, 30), np.float32)
    steps = entropy(
        Same(*logits), make_card(), image, spacing=(1, 1), options=Options(half=False)
    )
    found = drain(steps)
    assert found.shape == (2, 20, 30)
    assert np.allclose(found, nats, atol=1e-4)
