"""Critics and who learns from what; what is true of every adversarial method."""

from __future__ import annotations

import csv
import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from synthetic import method_recipe, sides, state
from torch import nn
from zoo import discs, labels

from src_models.adversaries import asdnet, luc, projective, segan, vgan
from src_models.adversaries.collapse import Referee, right_answers, symptom
from src_models.adversaries.game import (
    CRITIC,
    Game,
    believed,
    known_of,
    one_hot,
    told_apart,
)
from src_models.adversaries.luc import LargeFov, channels_of, product, softened
from src_models.adversaries.options import Adversarial
from src_models.adversaries.projective import (
    AttendedCritic,
    Attention,
    ShadowCritic,
    projected,
)
from src_models.adversaries.segan import MultiScaleCritic, apart
from src_models.adversaries.vgan import critic_of
from src_models.card import LabelRow, NetSpec
from src_models.catalog.methods.adversarial import CARDS
from src_models.data.loader import Key
from src_models.data.options import Augment
from src_models.data.splits import Split, shared_out
from src_models.errors import InputError
from src_models.progress import Progress, drain
from src_models.training import checkpoint
from src_models.training.config import Patches
from src_models.training.curves import Epoch
from src_models.training.methods import fit_of
from src_models.training.run import train
from src_models.training.turns import BASELINE, FOR_USE

if TYPE_CHECKING:
    from pathlib import Path

    from src_models.data.cases import Case
    from src_models.training.config import Recipe

METHODS = tuple(card.name for card in CARDS)
LABELS = torch.tensor([[[0, 1], [-1, 1]]])


def logit(p: float) -> torch.Tensor:
    return torch.tensor([math.log(p / (1 - p))])


class TestLosses:
    def test_by_hand(self) -> None:
        """D(real) = 0.8, D(made) = 0.3."""
        assert told_apart(logit(0.8), logit(0.3)) == pytest.approx(0.57982, abs=1e-5)
        assert 0.29900 + 2 * believed(logit(0.3)) == pytest.approx(2.70695, abs=1e-5)
        assert 0.29900 + 0.1 * believed(logit(0.3)) == pytest.approx(0.41940, abs=1e-5)

    def test_a_sure_critic_still_leaves_a_slope(self) -> None:
        made = torch.tensor([-50.0], requires_grad=True)
        believed(made).backward()
        assert made.grad == pytest.approx(-1)

    def test_unknown_voxels_are_nothing(self) -> None:
        assert known_of(LABELS)[0, 0].tolist() == [[True, True], [False, True]]
        assert one_hot(LABELS, 2)[0].tolist() == [
            [[1, 0], [0, 0]],
            [[0, 1], [0, 1]],
        ]


class TestSymptom:
    @pytest.mark.parametrize(
        ("shares", "found"),
        [
            ([], ""),
            ([1, 1], ""),
            ([0.2, 0.995, 1, 1], "saturated"),
            ([1, 1, 0.98], ""),
            ([1, 0.5, 0.51, 0.49], "no signal"),
            ([0.5, 0.6, 0.5], ""),
            ([0.7, 0.8, 0.75], ""),
        ],
    )
    def test_by_hand(self, shares: list[float], found: str) -> None:
        assert symptom(shares, 3) == found

    def test_right_answers(self) -> None:
        real, made = torch.tensor([1.0, -1.0]), torch.tensor([-1.0, -2.0])
        assert right_answers(real, made) == 0.75
        assert math.isnan(right_answers(real, torch.tensor([math.inf])))


class TestReferee:
    def rows(self, *shares: float) -> list[dict[str, float]]:
        return [{CRITIC: math.nan}, *({CRITIC: share} for share in shares)]

    def referee(self, **options: Any) -> Referee:
        return Referee((CRITIC,), Adversarial(patience=2, **options), alone=1)

    def test_first_the_segmentor_is_alone(self) -> None:
        referee = self.referee()
        referee.begin([])
        assert not referee.judges(CRITIC)
        assert math.isnan(referee.end()[0][CRITIC])
        referee.begin(self.rows())
        assert referee.judges(CRITIC)

    def test_a_mean_of_the_epoch_and_a_word_when_it_collapses(self) -> None:
        referee = self.referee()
        referee.begin(self.rows(1.0))
        for share in (1.0, 0.99):
            referee.saw(CRITIC, share)
        row, note = referee.end()
        assert row == {CRITIC: pytest.approx(0.995)}
        assert "critic has collapsed (saturated): it is always right" in note
        assert "lower method.options.learning_rate" in note
        referee.begin(self.rows(1.0, 0.995))
        assert referee.judges(CRITIC)  # reported, and heard

    def test_dismissed_for_good_if_wished(self) -> None:
        referee = self.referee(on_collapse="dismiss")
        referee.begin(self.rows(0.5))
        assert referee.judges(CRITIC)
        referee.begin(self.rows(0.5, 0.5))
        assert not referee.judges(CRITIC)
        assert "goes on without it" in referee.end()[1]
        referee.begin(self.rows(0.5, 0.5, math.nan))
        assert not referee.judges(CRITIC)

    def test_no_number_sends_it_away_at_once_and_for_good(self) -> None:
        referee = self.referee()
        referee.begin(self.rows(0.7))
        referee.saw(CRITIC, 0.7)
        referee.saw(CRITIC, math.nan)
        assert not referee.judges(CRITIC)
        row, note = referee.end()
        assert math.isnan(row[CRITIC])
        assert "not a number" in note
        referee.begin(self.rows(0.7, row[CRITIC]))
        assert not referee.judges(CRITIC)


def game(tmp_path: Path, name: str = "luc-critic", **options: Any) -> Game:
    recipe = method_recipe(name, {"alone": 0, **options})
    made = Game.of(recipe, sides(), ("cpu", 1, 1), also=(asdnet.BELIEVED,))
    made.referee.begin([])
    return made


class TestTeachAndHear:
    """A critic that adds up what it reads, times a weight."""

    def critic(self, weight: float = 1.0) -> nn.Module:
        critic = nn.Linear(2, 1, bias=False)
        nn.init.constant_(critic.weight, weight)
        return critic

    def test_gradients_go_only_where_they_should(self, tmp_path: Path) -> None:
        held, nets = game(tmp_path), {CRITIC: self.critic()}
        made = torch.tensor([[-1.0, 0.5]], requires_grad=True)
        real = torch.ones(1, 2, requires_grad=True)
        turns = list(held.teach(CRITIC, nets, real, made))
        assert [turn.nets for turn in turns] == [(CRITIC,)]
        turns[0].loss.backward()
        assert made.grad is real.grad is None
        assert next(nets[CRITIC].parameters()).grad is not None
        assert held.referee.end()[0][CRITIC] == 1
        held.hear(CRITIC, nets, made).backward()
        assert made.grad is not None
        assert (made.grad < 0).all()  # more of it would look more real

    def test_no_numbers_no_turn_no_word(self, tmp_path: Path) -> None:
        held, nets = game(tmp_path), {CRITIC: self.critic(math.nan)}
        one = torch.ones(1, 2)
        assert not list(held.teach(CRITIC, nets, one, one))
        assert held.hear(CRITIC, {CRITIC: self.critic()}, one) == 0

    def test_a_word_that_is_no_number_is_not_heard(self, tmp_path: Path) -> None:
        held = game(tmp_path)
        assert held.hear(CRITIC, {CRITIC: self.critic(math.nan)}, torch.ones(1, 2)) == 0
        assert not held.referee.judges(CRITIC)


class TestLuc:
    def test_product_by_hand(self) -> None:
        image = torch.tensor([2.0, 3.0]).view(1, 2, 1)
        maps = torch.tensor([0.25, 0.75]).view(1, 2, 1)
        assert product(image, maps).flatten().tolist() == [0.5, 0.75, 1.5, 2.25]
        assert channels_of("product", 3, 21) == 63
        assert channels_of("basic", 3, 21) == channels_of("scaling", 3, 21) == 24

    def test_parameters_as_published(self) -> None:
        net = LargeFov(ndim=2, in_channels=63, widths=(96, 128, 128, 256, 256, 512))
        assert sum(one.numel() for one in net.parameters()) == 2_387_458

    @pytest.mark.parametrize("ndim", [2, 3])
    def test_it_sees_34_voxels(self, ndim: int) -> None:
        net = LargeFov(ndim=ndim, in_channels=1, widths=(1,) * 6)
        for name, one in net.named_parameters():
            nn.init.constant_(one, 0.0 if name.endswith("bias") else 1.0)
        shape = (48, *(8,) * (ndim - 1))
        x = torch.zeros(48, 1, *shape)
        for at in range(48):
            x[at, 0, at] = 1
        middle = net.layers(x)[(slice(None), 0, 6, *(1,) * (ndim - 1))]
        assert int((middle > 0).sum()) == 34
        assert net(x).shape == (48,)

    def test_softened_by_hand(self) -> None:
        p = torch.tensor([0.5, 0.3, 0.2]).view(1, 3, 1)
        found = softened(torch.tensor([[0]]), p, 0.9).flatten()
        torch.testing.assert_close(found, torch.tensor([0.9, 0.06, 0.04]))
        sure = torch.tensor([0.95, 0.05, 0.0]).view(1, 3, 1)
        found = softened(torch.tensor([[0]]), sure, 0.9).flatten()
        torch.testing.assert_close(found, sure.flatten())
        alone = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1)
        found = softened(torch.tensor([[0]]), alone, 0.9).flatten()
        torch.testing.assert_close(found, alone.flatten())
        assert not softened(torch.tensor([[-1]]), p, 0.9).any()

    @given(st.integers(2, 5), st.floats(0.1, 1), st.integers(0, 999))
    def test_softened_is_a_distribution(
        self, classes: int, tau: float, seed: int
    ) -> None:
        random = torch.Generator().manual_seed(seed)
        p = torch.randn(1, classes, 7, generator=random).softmax(1)
        labels = torch.randint(0, classes, (1, 7), generator=random)
        found = softened(labels, p, tau)
        torch.testing.assert_close(found.sum(1), torch.ones(1, 7))
        assert (found.gather(1, labels[:, None]) >= tau - 1e-6).all()


class TestVGan:
    @pytest.mark.parametrize(
        ("kind", "count", "answers"),
        [
            ("pixel", 93_665, 640 * 640),
            ("patch-1", 287_873, 80 * 80),
            ("patch-2", 4_715_009, 10 * 10),
            ("image", 4_715_009, 1),
        ],
    )
    def test_critics_as_released(self, kind: str, count: int, answers: int) -> None:
        with torch.device("meta"):
            net = critic_of(kind, "paper", 2, 4)
            said = net(torch.empty(1, 4, 640, 640))
        assert sum(one.numel() for one in net.parameters()) == count
        assert said.numel() == answers

    @pytest.mark.parametrize("kind", ["pixel", "patch-1", "patch-2", "image"])
    @pytest.mark.parametrize("shape", [(1, 1), (16, 17), (5, 6, 7)])
    def test_every_size(self, kind: str, shape: tuple[int, ...]) -> None:
        net = critic_of(kind, "compact", len(shape), 2)
        assert net(torch.randn(2, 2, *shape)).isfinite().all()

    def test_whole_epochs_in_turn(self, tmp_path: Path) -> None:
        recipe = method_recipe("vgan-critic", {"critic": "patch-1"}, epochs=1, steps=3)
        steps = fit_of(recipe)(recipe, sides(), tmp_path, accelerator="cpu")
        notes = [one.note for one in steps if isinstance(one, Progress)]
        learns = [
            "".join(re.findall("critic|baseline|segmentor", one)) for one in notes
        ]
        assert learns == ["critic"] * 3 + ["baselinesegmentor"] * 3


class TestSegAN:
    image = torch.tensor([[0.5, 1.0], [2.0, 4.0]])[None, None]
    made = torch.tensor([[1.0, 0.5], [0.25, 1.0]])
    truth = torch.tensor([[1.0, 0.0], [0.0, 1.0]])

    def test_distance_by_hand(self) -> None:
        """Two levels: the masked image, and its sum."""
        levels = [
            [masked, masked.sum().view(1, 1, 1, 1)]
            for masked in (self.image * self.made, self.image * self.truth)
        ]
        assert apart(*levels) == pytest.approx((0.25 + 1) / 2)

    def test_distance_as_released(self) -> None:
        """Seven levels of one and two numbers; the later weigh 1, 1, 2, 2, 2, 2, 4."""
        zero = [torch.zeros(1, 2)] * 2 + [torch.zeros(1, 1)] * 5
        ones = [one + 1 for one in zero]
        wanted = (2 + 2 + 2 + 2 + 2 + 2 + 4) / 9
        assert apart(ones, zero, "features") == pytest.approx(wanted)
        assert apart(zero, zero, "features") == apart(zero, zero) == 0

    def test_critic_as_released(self) -> None:
        with torch.device("meta"):
            net = MultiScaleCritic(ndim=2, in_channels=3)
            seen = net(torch.empty(1, 3, 128, 128))
        assert sum(one.numel() for one in net.parameters()) == 9_393_088
        assert sum(one.numel() for one in seen) == 550_912

    @pytest.mark.parametrize("shape", [(1, 1), (40, 33), (5, 16, 9)])
    def test_every_size(self, shape: tuple[int, ...]) -> None:
        net = MultiScaleCritic(ndim=len(shape), in_channels=1, width=4, norm="group")
        x = torch.randn(2, 1, *shape)
        seen = net(x)
        assert torch.equal(seen[0], x)
        assert len(seen) == 7
        assert all(one.isfinite().all() for one in seen)

    def nets(self) -> dict[str, nn.Module]:
        torch.manual_seed(0)
        return {CRITIC: MultiScaleCritic(ndim=2, in_channels=1, width=4, norm="group")}

    def test_gradients_go_only_where_they_should(self, tmp_path: Path) -> None:
        held, nets = game(tmp_path, name="segan-critic"), self.nets()
        made = (self.image * self.made).requires_grad_()
        real = (self.image * self.truth).requires_grad_()
        turns = segan.teach(held, CRITIC, nets, real, made)
        turn = next(turns)
        assert turn.nets == (CRITIC,)
        assert turn.loss < 0
        turn.loss.backward()
        assert made.grad is real.grad is None
        assert all(one.grad is not None for one in nets[CRITIC].parameters())
        assert max(one.abs().max() for one in nets[CRITIC].parameters()) > 0.05
        assert not list(turns)
        for weights in nets[CRITIC].parameters():
            assert weights.abs().max() <= 0.05
        word = segan.hear(held, CRITIC, nets, real, made)
        word.backward()
        assert real.grad is None
        assert made.grad is not None
        assert made.grad.any()

    def test_the_same_masks_are_nowhere_apart(self, tmp_path: Path) -> None:
        held, nets = game(tmp_path, name="segan-critic"), self.nets()
        one = self.image * self.truth
        assert segan.hear(held, CRITIC, nets, one, one) == 0
        assert segan.silence([0.1, 0, 0], 2) == "no signal"
        assert segan.silence([0, 0.1], 2) == segan.silence([0], 2) == ""

    def test_a_critic_for_each_structure(self, tmp_path: Path) -> None:
        recipe = method_recipe("segan-critic", epochs=1)
        net = recipe.net.model_copy(update={"classes": 3})
        rows = tuple(map(LabelRow.model_validate, labels(3)))
        recipe = recipe.model_copy(update={"net": net, "labels": rows})
        steps = fit_of(recipe)(recipe, sides(), tmp_path, accelerator="cpu")
        epoch = next(one for one in steps if isinstance(one, Epoch))
        assert list(epoch.more) == [BASELINE, "critic-1", "critic-2"]

    def test_the_clamp_holds_in_a_run(self, tmp_path: Path) -> None:
        played("segan-critic", tmp_path, {"limit": 0.01, "learning_rate": 1.0})
        for weights in net_of(CRITIC, tmp_path).values():
            assert weights.abs().max() <= 0.01


class TestASDNet:
    def batch(self) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
        random = torch.Generator().manual_seed(0)
        images = torch.randn(2, 1, 8, 8, generator=random)
        return images, (images[:, 0] > 0).long(), {}

    def test_images_done_badly_weigh_more(self, tmp_path: Path) -> None:
        """One image is right, one wrong: their losses weighed by 1 − Dice, by hand."""
        held = game(tmp_path, name="asdnet-confidence", beta=2)
        batch, key = self.batch(), Key(1, 1, range(2))
        sure = 4.0 * (2 * batch[1] - 1) * torch.tensor([1.0, -1.0])[:, None, None]
        said = torch.stack([-sure, sure], 1)
        terms = []
        for b in range(2):
            one = said[b : b + 1]
            badly = 1 - float(soft_dice(one, batch[1][b]))
            loss = held.supervised(one, (None, batch[1][b : b + 1], {}), key)
            terms.append(badly**2 * float(loss))
        assert terms[1] > 100 * terms[0]
        assert asdnet.attended(held, said, batch, key) == pytest.approx(
            sum(terms) / 2, rel=1e-5
        )
        plain = game(tmp_path, name="asdnet-confidence", beta=0)
        wanted = plain.supervised(said, batch, key)
        assert asdnet.attended(plain, said, batch, key) == wanted

    def believing(self, tmp_path: Path, threshold: float | str) -> Any:
        """A critic that believes the left half; a segmentor of one convolution."""
        held = game(tmp_path, name="asdnet-confidence", threshold=threshold)

        class Left(nn.Module):
            def forward(self, map_BKS: torch.Tensor) -> torch.Tensor:
                said = torch.full_like(map_BKS[:, :1], -3.0)
                said[..., :4] = 3.0
                return said + 0 * map_BKS.sum()

        torch.manual_seed(0)
        nets = {FOR_USE: nn.Conv2d(1, 2, 1), CRITIC: Left()}
        return held, nets, asdnet.believed_labels(held, nets, self.batch()[0])

    def test_only_what_is_believed_teaches(self, tmp_path: Path) -> None:
        held, nets, loss = self.believing(tmp_path, 0.5)
        logits = nets[FOR_USE](self.batch()[0])
        own = -logits.log_softmax(1).amax(1)  # with its own likeliest class
        wanted = own[..., :4].sum() / own.numel()
        assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)
        assert held.referee.end()[0][asdnet.BELIEVED] == 0.5
        loss.backward()
        assert nets[FOR_USE].weight.grad.any()

    def test_nothing_believed_teaches_nothing(self, tmp_path: Path) -> None:
        assert self.believing(tmp_path, 0.99)[2] == 0
        # No epoch yet: nothing is known of the Dice, so the threshold is 1.
        assert self.believing(tmp_path, "adaptive")[2] == 0

    def test_the_threshold_follows_the_dice(self, tmp_path: Path) -> None:
        held, nets, _ = self.believing(tmp_path, "adaptive")
        for dice, share in ((0.9, 0.5), (0.99, 1.0)):  # the right half's is 0.047
            held.referee.begin([{"dice": dice, CRITIC: 0.7}])
            asdnet.believed_labels(held, nets, self.batch()[0])
            assert held.referee.end()[0][asdnet.BELIEVED] == share

    def test_labels_that_are_held_back_are_not_read(self, tmp_path: Path) -> None:
        half, whole = (
            method_recipe("asdnet-confidence", {"labelled": share, "alone": 0})
            for share in (0.5, 1)
        )
        held = sides()
        first, second, *rest = held.train
        changed = [replace(one, labels=1 - one.labels) for one in rest]
        bare = [replace(one, labels=np.full_like(one.labels, -1, "i2")) for one in rest]
        for folder, recipe, others in (
            ("one", half, rest),
            ("two", half, changed),
            ("three", whole, bare),
        ):
            cases = replace(held, train=(first, second, *others))
            drain(fit_of(recipe)(recipe, cases, tmp_path / folder, accelerator="cpu"))
        assert same(state(tmp_path / "one"), state(tmp_path / "two"))
        assert same(state(tmp_path / "one"), state(tmp_path / "three"))
        rows = (tmp_path / "one/history.csv").read_text().splitlines()
        assert rows[0].endswith(",baseline,believed,critic")
        assert [row.split(",")[-2] == "nan" for row in rows[1:]] == [True, False]

    def test_shared_out(self) -> None:
        cases = sides().train
        assert shared_out(cases, 1) == (cases, ())
        labelled, bare = shared_out(cases, 0.1)
        assert [case.name for case in labelled] == ["disc00"]
        assert all((case.labels == -1).all() for case in bare)
        assert [case.name for case in bare] == [case.name for case in cases[1:]]


class TestProjective:
    @pytest.mark.parametrize("how", ["mean", "soft maximum"])
    def test_an_empty_volume_casts_no_shadow(self, how: str) -> None:
        maps = torch.zeros(1, 2, 4, 5, 6, requires_grad=True)
        for axis, shape in (("z", (5, 6)), ("y", (4, 6)), ("x", (4, 5))):
            shadow = projected(maps, axis, how)
            assert shadow.shape == (1, 2, *shape)
            assert not shadow.any()
        shadow.sum().backward()
        assert maps.grad is not None
        assert (maps.grad > 0).all()  # every voxel can cast one

    def test_by_hand(self) -> None:
        maps = torch.tensor([0.5, 0.5, 0.0, 1.0]).view(1, 1, 2, 1, 2)
        assert projected(maps, "z", "mean").flatten().tolist() == [0.25, 0.75]
        soft = projected(maps, "z", "soft maximum").flatten()
        torch.testing.assert_close(soft, torch.tensor([0.5, 1.0]))
        soft = projected(maps, "x", "soft maximum").flatten()
        torch.testing.assert_close(soft, torch.tensor([0.75, 1.0]))

    @given(st.integers(0, 99))
    def test_a_soft_maximum_is_no_less_than_the_hard_one(self, seed: int) -> None:
        maps = torch.rand(1, 1, 4, 3, 3, generator=torch.Generator().manual_seed(seed))
        soft = projected(maps, "z", "soft maximum")
        assert (soft >= maps.amax(2) - 1e-5).all()
        assert (soft <= 1).all()
        assert (soft >= projected(maps, "z", "mean") - 1e-5).all()

    def test_attention_sums_to_one(self) -> None:
        """Equal everywhere: the mean; drawn to one place: that place."""
        look = Attention(2)
        seen = torch.randn(3, 2, 4, 5)
        nn.init.zeros_(look.where.weight)
        torch.testing.assert_close(look(seen), seen.mean((2, 3)))
        nn.init.constant_(look.where.weight, 100.0)
        seen[:, :, 1, 2] = 9
        torch.testing.assert_close(look(seen), seen[:, :, 1, 2])

    @pytest.mark.parametrize("shape", [(1, 1), (33, 20)])
    def test_what_was_seen_has_a_say(self, shape: tuple[int, int]) -> None:
        torch.manual_seed(0)
        net = AttendedCritic(in_channels=2, features=3, widths=(4, 4, 4, 4, 4))
        x, seen = torch.randn(2, 2, *shape), torch.randn(2, 3, 2, 2)
        one, other = net(x, seen), net(x, seen + 1)
        assert one.shape == (2,)
        assert not torch.equal(one, other)
        pairs = torch.stack([seen - 1, seen + 1], 1).flatten(0, 1)
        flat = Attention(3)  # of slices of one picture the vectors are averaged
        net.attention = flat
        nn.init.zeros_(flat.where.weight)
        torch.testing.assert_close(net(x, pairs), net(x, seen))

    def test_each_axis_has_a_critic(self) -> None:
        net = ShadowCritic(
            ("z", "x"), "mean", in_channels=1, features=3, widths=(4, 4, 4, 4, 4)
        )
        assert net(torch.rand(2, 1, 4, 5, 6), torch.randn(8, 3, 2, 2)).shape == (2, 2)

    def test_another_net_is_refused(self, tmp_path: Path) -> None:
        recipe = method_recipe("projective-critics")
        with pytest.raises(InputError, match="what a net of slices has seen"):
            drain(fit_of(recipe)(recipe, sides(), tmp_path))


def soft_dice(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Of label 1, with a voxel added above and below."""
    p = logits.softmax(1)[0, 1]
    return (2 * (p * truth).sum() + 1) / (p.sum() + truth.sum() + 1)


# What makes a run without the critic's weight plain training.
PLAIN = {"asdnet-confidence": {"beta": 0}, "projective-critics": {"projected": 0}}


def recipe_of(name: str, options: dict[str, Any] | None = None, **train: Any) -> Recipe:
    """The discs' recipe; of volumes, by a net of slices, where the method wants them."""
    recipe = method_recipe(name, options, **train)
    if name != "projective-critics":
        return recipe
    spec = NetSpec(
        system="slice-unet",
        ndim=3,
        in_channels=1,
        classes=2,
        options={"widths": ((4, 4), (8, 8)), "at_once": 4},
    )
    return recipe.model_copy(
        update={
            "net": spec,
            "patches": Patches(size=(6, 16, 16), batch=1),
            "augment": Augment(mirror_axes=(2,)),
        }
    )


def cases_of(name: str) -> Split:
    """Discs, or the same as one slice after another."""
    if name != "projective-critics":
        return sides()

    def stacked(case: Case) -> Case:
        image = np.stack([case.image] * 6, 1)
        volume = np.stack([case.labels] * 6)
        volume[:2] = 0
        return replace(case, image=image, labels=volume, spacing=(1.0,) * 3)

    held = sides()
    return Split(
        *(tuple(map(stacked, side)) for side in (held.train, held.validation)), ()
    )


def played(name: str, run: Path, options: dict[str, Any] | None = None) -> list[Epoch]:
    """The epochs of a whole run."""
    recipe = recipe_of(name, options)
    steps = fit_of(recipe)(recipe, cases_of(name), run, accelerator="cpu")
    return [event for event in steps if isinstance(event, Epoch)]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(one[k], other[k]) for k in one
    )


def net_of(name: str, run: Path) -> dict[str, torch.Tensor]:
    """The last weights of one net of a run."""
    head = f"net/{name}."
    return {
        k.removeprefix(head): v for k, v in state(run).items() if k.startswith(head)
    }


@pytest.mark.parametrize("name", METHODS)
class TestEveryMethod:
    def test_an_interrupted_run_goes_on_to_the_same_end(
        self, name: str, tmp_path: Path
    ) -> None:
        recipe = recipe_of(name)
        played(name, tmp_path / "whole")
        going = fit_of(recipe)(
            recipe, cases_of(name), tmp_path / "part", accelerator="cpu"
        )
        next(event for event in going if isinstance(event, Epoch))
        going.close()
        played(name, tmp_path / "part")
        assert same(state(tmp_path / "whole"), state(tmp_path / "part"))

    def test_the_baseline_is_plain_training(self, name: str, tmp_path: Path) -> None:
        epochs = played(name, tmp_path / "by it")
        plain = recipe_of(name).model_copy(update={"method": None})
        steps = fit_of(plain)(
            plain, cases_of(name), tmp_path / "plain", accelerator="cpu"
        )
        wanted = [event for event in steps if isinstance(event, Epoch)]
        found = [epoch.more[BASELINE] for epoch in epochs]
        assert found == pytest.approx([epoch.dice for epoch in wanted])
        one = load_file(tmp_path / "by it" / checkpoint.BASELINE)
        assert same(one, load_file(tmp_path / "plain" / checkpoint.BEST))

    def test_a_critic_without_weight_changes_nothing(
        self, name: str, tmp_path: Path
    ) -> None:
        played(name, tmp_path / "silent", {"weight": 0, **PLAIN.get(name, {})})
        kept = net_of(FOR_USE, tmp_path / "silent")
        assert kept
        assert same(kept, net_of(BASELINE, tmp_path / "silent"))
        played(name, tmp_path / "heard", {"weight": 1, **PLAIN.get(name, {})})
        assert not same(kept, net_of(FOR_USE, tmp_path / "heard"))
        assert same(kept, net_of(BASELINE, tmp_path / "heard"))

    def test_held_out_cases_are_never_learnt_from(
        self, name: str, tmp_path: Path
    ) -> None:
        recipe, held = recipe_of(name), cases_of(name)
        swapped = tuple(
            replace(case, image=-case.image, labels=case.labels[::-1].copy())
            for case in held.validation
        )
        other = replace(held, validation=swapped, locked=())
        played(name, tmp_path / "one")
        drain(fit_of(recipe)(recipe, other, tmp_path / "two", accelerator="cpu"))
        assert same(state(tmp_path / "one"), state(tmp_path / "two"))

    def test_a_critic_of_no_numbers_leaves_the_segmentor(
        self, name: str, tmp_path: Path
    ) -> None:
        epochs = played(name, tmp_path / "wild", {"learning_rate": 1e30})
        if name != "segan-critic":  # the clamp keeps its numbers
            assert "not a number" in epochs[0].note + epochs[1].note
        kept = net_of(FOR_USE, tmp_path / "wild")
        assert all(one.isfinite().all() for one in kept.values())

    @pytest.mark.parametrize("value", [0, -1])
    def test_labels_without_structures_are_refused(
        self, name: str, value: int, tmp_path: Path
    ) -> None:
        recipe, held = recipe_of(name), cases_of(name)
        blank = tuple(
            replace(case, labels=np.full(case.labels.shape, value))
            for case in held.train
        )
        with pytest.raises(InputError, match="structure"):
            drain(fit_of(recipe)(recipe, replace(held, train=blank), tmp_path))

    def test_unknown_voxels_are_learnt_around(self, name: str, tmp_path: Path) -> None:
        recipe, held = recipe_of(name), cases_of(name)
        holed = []
        for case in held.train:
            labels = case.labels.astype(int)
            labels[..., :6] = -1
            holed.append(replace(case, labels=labels))
        steps = fit_of(recipe)(
            recipe, replace(held, train=tuple(holed)), tmp_path, accelerator="cpu"
        )
        assert not [e.note for e in steps if isinstance(e, Epoch) and e.note]

    def test_critics_read_nothing_where_nothing_is_known(
        self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        known: list[torch.Tensor] = []
        read: list[tuple[torch.Tensor, ...]] = []

        def note_known(labels: torch.Tensor) -> torch.Tensor:
            known.append(known_of(labels))
            return known[-1]

        def noted(teach: Any) -> Any:
            def note(game: Any, critic: str, nets: Any, *maps: Any) -> Any:
                read.append((known[-1], *maps[:2]))
                return teach(game, critic, nets, *maps)

            return note

        for module in (luc, vgan, segan, asdnet, projective):
            monkeypatch.setattr(module, "known_of", note_known)
        monkeypatch.setattr(segan, "teach", noted(segan.teach))
        monkeypatch.setattr(Game, "teach", noted(Game.teach))
        held = cases_of(name)
        holed = tuple(
            replace(
                case, labels=np.where(np.arange(24) < 9, -1, case.labels.astype(int))
            )
            for case in held.train
        )
        # A product with an empty map would be 0 all the same.
        options = {"input": "basic"} if name == "luc-critic" else {}
        recipe = recipe_of(name, {"alone": 0, **options}, epochs=1)
        cases = replace(held, train=holed)
        drain(fit_of(recipe)(recipe, cases, tmp_path, accelerator="cpu"))
        assert read
        for inside, *maps in read:
            for one in maps:
                where = inside
                if one.ndim < inside.ndim:  # slice by slice
                    where = inside.movedim(2, 1).flatten(0, 1)
                assert not where.all()
                assert not (one * ~where).any()
                assert (one * where).any()

    def test_no_epoch_for_the_critic_is_refused(
        self, name: str, tmp_path: Path
    ) -> None:
        with pytest.raises(InputError, match="leaves none for the critic"):
            played(name, tmp_path, {"alone": 0.9})


# Beside the weight that all have.
WEIGHTS = {
    "segan-critic": ({}, "supervised"),
    "asdnet-confidence": ({"labelled": 0.5, "later": 0, "threshold": 0}, "semi"),
    "projective-critics": ({}, "projected"),
}


@pytest.mark.parametrize(
    ("name", "options", "weight"),
    [
        *((name, {}, "weight") for name in METHODS),
        *((name, *one) for name, one in WEIGHTS.items()),
    ],
)
def test_a_weight_is_that_of_its_own_term(
    name: str, options: dict[str, Any], weight: str, tmp_path: Path
) -> None:
    """The loss of a run's first step is a line in it, and rises."""
    losses = []
    for value in (0.0, 0.5, 1.0):
        wanted = {**options, "alone": 0, weight: value}
        recipe = recipe_of(name, wanted, epochs=1, steps=1)
        run = tmp_path / str(value)
        going = fit_of(recipe)(recipe, cases_of(name), run, accelerator="cpu")
        (epoch,) = (event for event in going if isinstance(event, Epoch))
        losses.append(epoch.loss)
    assert losses[2] > losses[0] + 1e-5
    assert losses[1] == pytest.approx((losses[0] + losses[2]) / 2, rel=1e-5)


def test_both_are_measured_on_the_locked_cases(tmp_path: Path) -> None:
    recipe = method_recipe("luc-critic")
    held = discs(12)
    card = drain(
        train(
            recipe,
            held,
            run=tmp_path / "run",
            out=tmp_path / "model",
            accelerator="cpu",
        )
    )
    assert card is not None
    assert card.baseline is not None
    assert card.baseline.cases == card.locked.cases
    rows = list(
        csv.DictReader((tmp_path / "model/summary.csv").read_text().splitlines())
    )
    found = {row["side"]: row["mean"] for row in rows if row["metric"] == "dice"}
    assert set(found) == {
        *(
            side + rest
            for side in ("validation", "locked")
            for rest in ("", "-baseline")
        )
    }
    assert float(found["locked-baseline"]) == pytest.approx(
        card.baseline.mean_dice, abs=1e-4
    )
    table = (tmp_path / "model/locked-baseline.csv").read_text().splitlines()
    assert len(table) == 1 + card.locked.cases
    history = (tmp_path / "run/history.csv").read_text().splitlines()
    assert history[0].endswith(",rate,baseline,critic")
