"""Two modalities: whose images are which, the translators, and who learns from what."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from synthetic import method_recipe, sides, state
from torch import nn
from zoo import discs

from src_models.data.loader import Key
from src_models.data.splits import Split, blind
from src_models.errors import InputError
from src_models.progress import drain
from src_models.synthesis import shape, synseg
from src_models.synthesis.options import SynSegNet
from src_models.synthesis.translation import (
    CRITICS,
    CYCLE,
    SOURCE_CRITIC,
    TARGET_CRITIC,
    TO_SOURCE,
    TO_TARGET,
    TRANSLATORS,
    Domains,
    Exchange,
    begin,
    domains,
    exchanged,
    hear,
    inverted,
    target_sides,
    teach,
    translating,
    translators_and_critics,
)
from src_models.synthesis.translators import (
    believed,
    lost,
    patch_critic,
    residual_translator,
    skipping_translator,
    told_apart,
)
from src_models.training import checkpoint
from src_models.training.curves import Epoch
from src_models.training.methods import fit_of, sides_of
from src_models.training.run import train
from src_models.training.taught import segmentor_of
from src_models.training.turns import BASELINE, FOR_USE, SYNTHETIC

if TYPE_CHECKING:
    from pathlib import Path

    from src_models.adversaries.game import Game
    from src_models.data.cases import Case
    from src_models.training.config import Recipe
    from src_models.training.turns import Turn

NAME, SHAPED = "synseg-net", "shape-consistency"
ODD = r"disc\d[13579]"


def some(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class TestNets:
    def test_as_released(self) -> None:
        """CycleGAN's counts in colour; an answer for each of 30 × 30 patches."""
        with torch.device("meta"):
            net, critic = (
                residual_translator("paper", 2, 3),
                patch_critic("paper", 2, 3),
            )
            image = torch.empty(1, 3, 256, 256)
            assert net(image).shape == image.shape
            assert critic(image).shape == (1, 1, 30, 30)
        assert sum(one.numel() for one in net.parameters()) == 11_378_179
        assert sum(one.numel() for one in critic.parameters()) == 2_764_737

    @pytest.mark.parametrize("build", [residual_translator, skipping_translator])
    @pytest.mark.parametrize("shape", [(1, 1), (13, 18), (5, 6, 7)])
    def test_every_size(self, build: Any, shape: tuple[int, ...]) -> None:
        x = some(2, 2, *shape)
        made = build("compact", len(shape), 2)(x)
        assert made.shape == x.shape
        assert made.isfinite().all()
        assert patch_critic("compact", len(shape), 2)(x).isfinite().all()

    @pytest.mark.parametrize(("size", "seen"), [("paper", 70), ("compact", 34)])
    def test_a_patch(self, size: Any, seen: int) -> None:
        """How many rows of an image one answer depends on, without the normalisation."""
        critic = patch_critic(size, 2, 1)
        layers = [one for one in critic.layers if not isinstance(one, nn.GroupNorm)]
        x = torch.zeros(1, 1, 128, 128, requires_grad=True)
        said = nn.Sequential(*layers)(x + 1)
        side = said.shape[-1] // 2
        said[0, 0, side, side].backward()
        assert x.grad is not None
        assert int(x.grad[0, 0].any(1).sum()) == seen


class TestLosses:
    def test_critics_by_hand(self) -> None:
        """Answers 0.8 of a real image and 0.3 of a made one."""
        real, made = torch.tensor([0.8]), torch.tensor([0.3])
        assert told_apart(real, made) == pytest.approx((0.2**2 + 0.3**2) / 2)
        assert believed(made) == pytest.approx(0.49)
        assert told_apart(torch.ones(2), torch.zeros(2)) == believed(torch.ones(2)) == 0

    def test_cycle_by_hand(self) -> None:
        image = torch.tensor([1.0, -2.0, 3.0, 0.0])
        assert lost(image, image) == 0
        assert lost(torch.tensor([0.0, -2.0, 5.0, 1.0]), image) == 1

    @given(st.floats(-3, 3), st.floats(0.1, 3))
    @settings(deadline=None)
    def test_a_translation_that_is_undone_loses_nothing(
        self, shift: float, scale: float
    ) -> None:
        image = some(1, 1, 4, 4)
        assert lost(((image * scale + shift) - shift) / scale, image) < 1e-5


class Times(nn.Module):
    """weight · x: a translator or critic whose losses can be told by hand."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight * x


def by_hand(**changed: nn.Module) -> dict[str, nn.Module]:
    """Translators 2x and x / 4, critics that say half of what they read."""
    nets: dict[str, nn.Module] = {
        TO_TARGET: Times(2.0),
        TO_SOURCE: Times(0.25),
        TARGET_CRITIC: Times(0.5),
        SOURCE_CRITIC: Times(0.5),
    }
    return nets | changed


def game(name: str = NAME, **options: Any) -> tuple[Game, Domains]:
    columns = (CYCLE, shape.SHAPE)
    held, parts = begin(method_recipe(name, options), sides(), ("cpu", 1, 1), columns)
    held.referee.begin([])
    return held, parts


SOURCE, TARGET = torch.tensor([[1.0, 3.0]]), torch.tensor([[4.0, -4.0]])


class TestTranslating:
    """SOURCE becomes (2, 6) and comes back as (0.5, 1.5); TARGET (1, −1), then (2, −2)."""

    def test_the_whole_loss_by_hand(self) -> None:
        held, _ = game()
        nets = by_hand()
        both = exchanged(nets, SOURCE, TARGET)
        loss = translating(held, nets, both)
        words = (0**2 + 2**2) / 2 + (0.5**2 + 1.5**2) / 2
        cycles = (0.5 + 1.5) / 2 + (2 + 2) / 2
        assert loss.item() == pytest.approx(words + 10 * cycles)
        assert held.referee.end()[0][CYCLE] == pytest.approx(cycles / 2)

    def test_the_weights(self) -> None:
        nets = by_hand()
        both = exchanged(nets, SOURCE, TARGET)
        assert translating(game(weight=0, cycle=0)[0], nets, both) == 0
        assert translating(game(weight=0, cycle=1)[0], nets, both).item() == 3

    def test_critics_learn_apart_and_move_no_translator(self) -> None:
        held, _ = game()
        nets = by_hand()
        both = exchanged(nets, SOURCE, TARGET)
        turns = list(teach(held, nets, both))
        assert [turn.nets for turn in turns] == [(TARGET_CRITIC,), (SOURCE_CRITIC,)]
        for turn in turns:
            turn.loss.backward()
        assert all(nets[name].weight.grad is None for name in TRANSLATORS)
        assert all(nets[name].weight.grad is not None for name in CRITICS)
        # real (4, −4) → (2, −2), made (2, 6) → (1, 3): squares from 1 and from 0
        assert turns[0].loss.item() == pytest.approx(((1 + 9) / 2 + (1 + 9) / 2) / 2)

    def test_right_answers_are_counted_from_one_half(self) -> None:
        held, _ = game()
        nets = by_hand()
        list(teach(held, nets, exchanged(nets, SOURCE, TARGET)))
        row, _ = held.referee.end()
        assert (
            row[TARGET_CRITIC] == 0.25
        )  # 2 of (2, −2 | 1, 3): real yes no, made no no
        assert row[SOURCE_CRITIC] == 0.5  # (0.5, 1.5) real: no yes; (0.5, −0.5): no yes

    def test_a_critic_of_no_numbers_is_sent_away_and_the_rest_goes_on(self) -> None:
        held, _ = game()
        nets = by_hand(**{TARGET_CRITIC: Times(math.nan)})
        both = exchanged(nets, SOURCE, TARGET)
        assert hear(held, TARGET_CRITIC, nets, both.as_target) == 0
        assert translating(held, nets, both).isfinite()
        assert [turn.nets for turn in teach(held, nets, both)] == [(SOURCE_CRITIC,)]
        assert "target_critic has collapsed (not a number)" in held.referee.end()[1]


def names(cases: Any) -> list[str]:
    return [case.name for case in cases]


class TestDomains:
    def of(self, cases: list[Case], **options: Any) -> tuple[list[str], list[str]]:
        found = domains(method_recipe(NAME), cases, SynSegNet(**options))
        return names(found.source), names(found.target)

    def test_every_other_patient(self) -> None:
        twice = [replace(one, name=f"{one.name}-again") for one in discs(2)]
        found = self.of([*discs(4), *twice])
        assert found == (
            ["disc00", "disc02", "disc00-again"],
            ["disc01", "disc03", "disc01-again"],
        )

    def test_by_name(self) -> None:
        found = self.of(discs(4), source="disc0[01]")
        assert found == (["disc00", "disc01"], ["disc02", "disc03"])

    @given(st.lists(st.sampled_from(["ct", "mr", "both"]), min_size=2, max_size=9))
    def test_no_patient_is_on_both_sides(self, kinds: list[str]) -> None:
        like = discs(1)[0]
        cases = [
            replace(like, name=f"{kind}-{at}", group=str(at))
            for at, has in enumerate(kinds)
            for kind in ("ct", "mr")
            if has in (kind, "both")
        ]
        both = kinds.count("both")
        sources = kinds.count("mr") + (both + 1) // 2
        if not 0 < sources < len(kinds):
            with pytest.raises(InputError, match="one training patient of each"):
                self.of(cases, source="mr")
            return
        source, target = self.of(cases, source="mr")
        assert len(source) == sources
        assert all(name.startswith("mr") for name in source)
        assert all(name.startswith("ct") for name in target)
        patients = [name[3:] for name in (*source, *target)]
        assert sorted(patients) == [str(at) for at in range(len(kinds))]

    def test_inverted_keeps_the_range_and_the_labels(self) -> None:
        case = discs(1)[0]
        two = replace(case, image=np.concatenate([case.image, 3 * case.image + 1]))
        found = inverted(two)
        for before, after in zip(two.image, found.image, strict=True):
            assert after.min() == pytest.approx(before.min(), abs=1e-5)
            assert after.argmax() == before.argmin()
            assert np.corrcoef(before.ravel(), after.ravel())[0, 1] < -0.999
        assert found.labels is two.labels
        np.testing.assert_allclose(inverted(found).image, two.image, atol=1e-5)

    def test_held_out_cases_are_the_targets(self) -> None:
        recipe = method_recipe(NAME, {"source": ODD})
        found = sides_of(recipe, sides())
        assert names(found.train) == names(sides().train)
        assert names(found.validation) == ["disc04"]
        with pytest.raises(InputError, match="no locked case"):
            target_sides(recipe, replace(sides(), locked=sides().train[1:2]))
        every = sides_of(method_recipe(NAME), sides())
        assert names(every.validation) == ["disc04", "disc05"]

    def test_no_regular_expression(self) -> None:
        with pytest.raises(InputError, match="not a regular expression"):
            game(source="(")

    def test_the_source_needs_a_structure(self, tmp_path: Path) -> None:
        held = sides()
        bare = [replace(one, labels=0 * one.labels) for one in held.train[::2]]
        cases = replace(held, train=(bare[0], held.train[1], bare[1], held.train[3]))
        with pytest.raises(InputError, match="none of the 2 training images holds"):
            drain(fit_of(method_recipe(NAME))(method_recipe(NAME), cases, tmp_path))


def batch(parts: Domains) -> Any:
    """Two images with labels, and two without."""

    def stacked(cases: Any) -> torch.Tensor:
        return torch.stack([torch.from_numpy(one.image) for one in cases])

    labels = torch.stack([torch.from_numpy(one.labels).long() for one in parts.source])
    return (stacked(parts.source), labels, {}), stacked(parts.target)


KEY = Key(1, 1, range(2))


def real_nets(
    recipe: Recipe, translator: Any = residual_translator
) -> dict[str, nn.Module]:
    torch.manual_seed(0)
    made = translators_and_critics(recipe, "compact", translator)
    return {FOR_USE: nn.Conv2d(1, 2, 1), **made}


def slopes(turn: Turn, net: nn.Module) -> float:
    """The largest slope of a turn's loss by a net's parameters; 0 if it has no part."""
    found = torch.autograd.grad(
        turn.loss, [*net.parameters()], retain_graph=True, allow_unused=True
    )
    return max(0.0 if one is None else float(one.abs().max()) for one in found)


class TestSynSeg:
    def turns(self, **options: Any) -> tuple[list[Turn], dict[str, nn.Module]]:
        held, parts = game(**options)
        nets = real_nets(held.recipe)
        return list(synseg.together(held, nets, batch(parts), KEY)), nets

    def test_end_to_end_the_segmentation_moves_the_translator(self) -> None:
        turns, nets = self.turns(weight=0, cycle=0)
        assert turns[0].nets == (*TRANSLATORS, FOR_USE)
        assert slopes(turns[0], nets[TO_TARGET]) > 0
        assert slopes(turns[0], nets[FOR_USE]) > 0
        assert slopes(turns[0], nets[TO_SOURCE]) == 0

    def test_its_weight_is_that_of_the_segmentation(self) -> None:
        losses = [self.turns(segment=w)[0][0].loss.item() for w in (0.5, 1, 1.5)]
        assert losses[2] > losses[0] + 1e-3
        assert losses[1] == pytest.approx((losses[0] + losses[2]) / 2, rel=1e-5)

    def test_in_two_steps_it_does_not(self) -> None:
        turns, nets = self.turns(learn="two steps")
        assert [turn.nets for turn in turns[:2]] == [TRANSLATORS, (FOR_USE,)]
        assert slopes(turns[0], nets[FOR_USE]) == slopes(turns[1], nets[TO_TARGET]) == 0
        assert slopes(turns[0], nets[TO_TARGET]) > 0
        assert slopes(turns[1], nets[FOR_USE]) > 0

    def test_it_learns_from_translated_images_with_the_sources_labels(self) -> None:
        held, parts = game(learn="two steps", segment=3)
        nets, made = real_nets(held.recipe), batch(parts)
        images, labels, _ = made[0]
        seen: list[torch.Tensor] = []
        nets[FOR_USE].register_forward_hook(lambda *at: seen.append(at[1][0]))
        turn = list(synseg.together(held, nets, made, KEY))[1]
        assert len(seen) == 1
        torch.testing.assert_close(seen[0], nets[TO_TARGET](images))
        wanted = held.supervised(nets[FOR_USE](seen[0]), (None, labels, {}), KEY)
        assert turn.loss.item() == pytest.approx(wanted.item())

    def test_labels_of_the_target_are_never_read(self, tmp_path: Path) -> None:
        held, recipe = sides(), method_recipe(NAME)
        first, second, third, fourth = held.train
        other = replace(held, train=(first, blind(second), third, blind(fourth)))
        for folder, cases in (("one", held), ("two", other)):
            drain(fit_of(recipe)(recipe, cases, tmp_path / folder, accelerator="cpu"))
        one, two = state(tmp_path / "one"), state(tmp_path / "two")
        assert all(torch.equal(one[k], two[k]) for k in one)

    def test_the_baseline_is_plain_training_on_the_source(self, tmp_path: Path) -> None:
        held = sides()
        recipe = method_recipe(NAME, {"contrast": "inverted"})
        drain(fit_of(recipe)(recipe, held, tmp_path / "by it", accelerator="cpu"))
        real = replace(held, train=tuple(inverted(one) for one in held.train[::2]))
        plain = recipe.model_copy(update={"method": None})
        drain(fit_of(plain)(plain, real, tmp_path / "plain", accelerator="cpu"))
        one = load_file(tmp_path / "by it" / checkpoint.BASELINE)
        two = load_file(tmp_path / "plain" / checkpoint.BEST)
        assert all(torch.equal(one[k], two[k]) for k in one)


def shape_batch(parts: Domains) -> Any:
    """Images with labels of the source, of the target, and of the target again."""
    source, _ = batch(parts)
    target, _ = batch(Domains(parts.target, parts.source))
    return source, target, target


class TestShape:
    def turns(
        self, *, joined: bool = True, **options: Any
    ) -> tuple[dict[str, Turn], dict[str, nn.Module], Any, Game]:
        held, parts = game(SHAPED, **options)
        nets = real_nets(held.recipe, skipping_translator)
        for name in (SYNTHETIC, shape.SOURCE_SEGMENTOR):
            nets[name] = nn.Conv2d(1, 2, 1)
        made = shape_batch(parts)
        turns = shape.alternated(held, nets, made, KEY, joined=joined)
        return {"+".join(turn.nets): turn for turn in turns}, nets, made, held

    def test_whose_turn(self) -> None:
        turns, nets, *_ = self.turns()
        together = "+".join(TRANSLATORS)
        others = [*CRITICS, SYNTHETIC, FOR_USE, shape.SOURCE_SEGMENTOR]
        assert list(turns) == [together, *others]
        for name in others:
            assert slopes(turns[name], nets[name]) > 0
            assert all(slopes(turns[name], nets[one]) == 0 for one in TRANSLATORS)

    def test_shape_reaches_both_translators_through_segmentors_that_stand(self) -> None:
        turns, nets, *_ = self.turns(weight=0, cycle=0)
        turn = turns["+".join(TRANSLATORS)]
        assert turn.nets == TRANSLATORS  # nothing else is moved by it
        assert all(slopes(turn, nets[name]) > 0 for name in TRANSLATORS)
        silent, nets, *_ = self.turns(weight=0, cycle=0, shape=0)
        turn = silent["+".join(TRANSLATORS)]
        assert turn.loss == 0
        assert all(slopes(turn, nets[name]) == 0 for name in TRANSLATORS)

    def test_in_a_step_the_segmentors_do_stand(self) -> None:
        """The optimizer leaves them alone though the loss runs through them."""
        turns, nets, *_ = self.turns(weight=0, cycle=0)
        before = [one.clone() for one in nets[FOR_USE].parameters()]
        moved = [p for name in TRANSLATORS for p in nets[name].parameters()]
        turn = turns["+".join(TRANSLATORS)]
        turn.loss.backward(inputs=moved)
        assert all(p.grad is not None for p in nets[TO_TARGET].parameters())
        assert all(p.grad is None for p in nets[FOR_USE].parameters())
        assert all(
            torch.equal(a, b)
            for a, b in zip(before, nets[FOR_USE].parameters(), strict=True)
        )

    def test_by_hand(self) -> None:
        """One voxel each: translated to 1 and to 0, segmentors that say (0, x)."""

        class Says(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return torch.cat([0 * x, x], 1)

        nets = {FOR_USE: Says(), shape.SOURCE_SEGMENTOR: Says()}
        one, nothing = torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1)
        both = Exchange(nothing, nothing, as_target=one, as_source=nothing)
        yes, unknown = torch.ones(1, 1, 1).long(), -torch.ones(1, 1, 1).long()
        there = math.log(1 + math.e) - 1
        found = shape.shape_kept(nets, both, yes, yes)
        assert found.item() == pytest.approx(there + math.log(2))
        found = shape.shape_kept(nets, both, yes, unknown)
        assert found.item() == pytest.approx(there)

    def test_apart_neither_learns_from_the_other(self) -> None:
        turns, nets, made, held = self.turns(joined=False, weight=0, cycle=0)
        assert turns["+".join(TRANSLATORS)].loss == 0
        assert math.isnan(held.referee.end()[0][shape.SHAPE])
        source, target, _ = made
        for name, real in ((FOR_USE, target), (shape.SOURCE_SEGMENTOR, source)):
            wanted = held.supervised(nets[name](real[0]), real, KEY)
            assert turns[name].loss.item() == pytest.approx(wanted.item())

    def test_joined_real_and_translated_images_teach(self) -> None:
        turns, nets, made, held = self.turns(synthetic=0.5)
        source, target, _ = made
        as_target, as_source = nets[TO_TARGET](source[0]), nets[TO_SOURCE](target[0])
        for name, real, images, labels in (
            (FOR_USE, target, as_target, source[1]),
            (shape.SOURCE_SEGMENTOR, source, as_source, target[1]),
        ):
            wanted = held.supervised(nets[name](real[0]), real, KEY)
            also = held.supervised(nets[name](images), (None, labels, {}), KEY)
            wanted = wanted + 0.5 * also
            assert turns[name].loss.item() == pytest.approx(wanted.item())
        wanted = held.supervised(nets[SYNTHETIC](as_target), (None, source[1], {}), KEY)
        assert turns[SYNTHETIC].loss.item() == pytest.approx(wanted.item())

    def test_labels_that_are_held_back_are_not_read(self, tmp_path: Path) -> None:
        held, recipe = sides(), method_recipe(SHAPED, {"labelled": 0.1})
        first, second, third, fourth = held.train
        other = replace(held, train=(first, second, third, blind(fourth)))
        for folder, cases in (("one", held), ("two", other)):
            drain(fit_of(recipe)(recipe, cases, tmp_path / folder, accelerator="cpu"))
        one, two = state(tmp_path / "one"), state(tmp_path / "two")
        assert all(torch.equal(one[k], two[k]) for k in one)

    def test_what_an_epoch_tells(self, tmp_path: Path) -> None:
        recipe = method_recipe(SHAPED, epochs=2, steps=1)
        steps = fit_of(recipe)(recipe, sides(), tmp_path, accelerator="cpu")
        rows = [one for one in steps if isinstance(one, Epoch)]
        assert list(rows[0].more) == [
            BASELINE,
            SYNTHETIC,
            CYCLE,
            shape.SHAPE,
            *CRITICS,
        ]
        assert math.isfinite(rows[1].more[shape.SHAPE])

    def test_the_sources_segmentor_learns_at_the_recipes_rate(
        self, tmp_path: Path
    ) -> None:
        recipe = method_recipe(SHAPED, {"learning_rate": 1e-30}, epochs=2)
        drain(fit_of(recipe)(recipe, sides(), tmp_path, accelerator="cpu"))
        fresh = segmentor_of(recipe).state_dict()
        held = state(tmp_path)
        head = f"net/{shape.SOURCE_SEGMENTOR}."
        assert (
            held[f"{head}stem.0.weight"] - fresh["stem.0.weight"]
        ).abs().max() > 1e-4
        nets = translators_and_critics(recipe, "compact", skipping_translator)
        for name, net in nets.items():
            for k, v in net.state_dict().items():
                torch.testing.assert_close(
                    held[f"net/{name}.{k}"], v, rtol=0, atol=1e-9
                )

    def test_no_epoch_to_teach_each_other_is_refused(self, tmp_path: Path) -> None:
        recipe = method_recipe(SHAPED, {"apart": 0.9})
        with pytest.raises(InputError, match="leaves none for the nets to teach"):
            drain(fit_of(recipe)(recipe, sides(), tmp_path))


def wild(tmp_path: Path, **options: Any) -> list[Epoch]:
    recipe = method_recipe(NAME, {"patience": 1, **options}, epochs=3)
    steps = fit_of(recipe)(recipe, sides(), tmp_path, accelerator="cpu")
    return [event for event in steps if isinstance(event, Epoch)]


class TestCollapse:
    def test_of_critics_is_reported_and_the_translators_are_kept(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Critics that say 0.25 of everything: half of their answers are right."""

        def mute(size: Any, ndim: int, channels: int) -> nn.Module:
            critic = patch_critic(size, ndim, channels)
            for one in critic.parameters():
                nn.init.zeros_(one)
            nn.init.constant_(critic.layers[-1].bias, 0.25)
            return critic

        monkeypatch.setattr("src_models.synthesis.translation.patch_critic", mute)
        epochs = wild(tmp_path, on_collapse="dismiss", learning_rate=1e-9)
        assert "target_critic has collapsed (no signal)" in epochs[0].note
        assert epochs[0].more[TARGET_CRITIC] == epochs[0].more[SOURCE_CRITIC] == 0.5
        assert math.isnan(epochs[1].more[TARGET_CRITIC])
        assert "dismissed" in epochs[1].note
        assert all(math.isfinite(epoch.more[CYCLE]) for epoch in epochs)
        kept = {k: v for k, v in state(tmp_path).items() if k.startswith("net/to_")}
        assert kept
        assert all(one.isfinite().all() for one in kept.values())


@pytest.mark.slow
def test_labels_of_bright_discs_find_dark_ones(tmp_path: Path) -> None:
    """What was never labelled is learnt; without translation nothing is found."""
    made = discs(14)
    cases = Split(tuple(made[:10]), tuple(made[10:12]), tuple(made[12:]))
    options = {"contrast": "inverted", "learning_rate": 1e-3}
    recipe = method_recipe(NAME, options, steps=30, learning_rate=5e-3, ema=0.9)
    steps = fit_of(recipe)(recipe, cases, tmp_path, accelerator="cpu")
    last = [one for one in steps if isinstance(one, Epoch)][-1]
    assert last.best > 0.6
    assert last.more[BASELINE] < 0.2


@pytest.mark.parametrize("name", [NAME, SHAPED])
def test_all_are_measured_on_the_target_alone(name: str, tmp_path: Path) -> None:
    """Through the same door as `segreview train`."""
    recipe = method_recipe(name, {"source": ODD}, epochs=2, steps=1)
    card = drain(
        train(
            recipe,
            discs(14),
            run=tmp_path / "run",
            out=tmp_path / "model",
            accelerator="cpu",
        )
    )
    beside = [BASELINE, SYNTHETIC][: 1 + (name == SHAPED)]
    assert card is not None
    assert [one for one in (BASELINE, SYNTHETIC) if getattr(card, one)] == beside
    lines = (tmp_path / "model/summary.csv").read_text().splitlines()
    assert {row["side"] for row in csv.DictReader(lines)} == {
        side + rest
        for side in ("validation", "locked")
        for rest in ("", *(f"-{one}" for one in beside))
    }
    for one in beside:
        table = (tmp_path / f"model/locked-{one}.csv").read_text().splitlines()
        assert len(table) == 1 + card.locked.cases
    held = [*card.data.validation, *card.data.locked]
    assert held
    assert not any(int(name[-2:]) % 2 for name in held)
