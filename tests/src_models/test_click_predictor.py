"""What a prediction guarantees, whatever the net says; and the bench that drives it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src_models.errors import InputError
from src_models.interactive import bench_predictor, click_predictor
from src_models.interactive.choice import expected_iou
from src_models.interactive.fallback import WalkPredictor
from src_models.interactive.focus import Window
from src_models.interactive.looks import Look, scales, widened
from src_models.interactive.mistakes import mistaken
from src_models.interactive.net import ClickNet
from src_models.interactive.predictor import (
    ClickPredictor,
    Manner,
    obeyed,
)
from src_models.interactive.prompt_maps import CHANNELS, Click, Region, Stroke, box
from src_models.interactive.weights import ClickCard, load_click_net, save_click_net
from src_models.progress import drain
from src_models.training.click_bench import (
    CAP,
    Target,
    Trial,
    bench,
    iou,
    load_predictor,
    summary,
)

if TYPE_CHECKING:
    from pathlib import Path

TINY: dict[str, Any] = {"widths": (8, 16), "depth": (1, 1), "attention": 1}


def tiny_net(seed: int = 0) -> ClickNet:
    torch.manual_seed(seed)
    return ClickNet(in_channels=CHANNELS, **TINY).eval()


def tiny_predictor() -> ClickPredictor:
    return ClickPredictor(tiny_net(), Manner(size=32))


IMAGES = st.sampled_from(
    [
        np.zeros((1, 1)),
        np.full((12, 9), 3.5),
        np.full((5, 7), np.nan),
        np.arange(13, dtype=np.uint16)[None] * 5000,
        np.arange(13.0)[:, None],
        np.random.default_rng(0).integers(0, 255, (20, 31, 3), dtype=np.uint8),
        np.random.default_rng(1).normal(size=(70, 40)),
    ]
)


@st.composite
def clicked(draw: st.DrawFn) -> tuple[np.ndarray, list[tuple[int, int, bool]]]:
    image = draw(IMAGES)
    rows, columns = image.shape[:2]
    places = st.tuples(
        st.integers(0, rows - 1), st.integers(0, columns - 1), st.booleans()
    )
    return image, draw(st.lists(places, max_size=6))


class TestNet:
    @pytest.mark.parametrize("shape", [(1, 1), (5, 9), (32, 32)])
    def test_any_size(self, shape: tuple[int, int]) -> None:
        assert tiny_net()(torch.zeros(2, CHANNELS, *shape)).shape == (2, *shape)

    def test_a_click_is_felt_everywhere(self) -> None:
        x = torch.zeros(1, CHANNELS, 64, 64)
        before = tiny_net()(x)
        x[0, 4, 2, 2] = 1
        assert (tiny_net()(x) != before).all()

    def test_every_parameter_learns(self) -> None:
        net = tiny_net()
        x = torch.rand(2, CHANNELS, 16, 16)
        net(x).square().sum().backward()
        assert all(p.grad is not None and p.grad.any() for p in net.parameters())


def answer(mask: np.ndarray, window: Window) -> Look:
    """A look at the image's own resolution that is sure of a mask."""
    rows, columns = window.inside(mask.shape)
    seen, valid = torch.zeros(2, window.side, window.side, dtype=torch.bool)
    there = (
        slice(rows.start - window.y, rows.stop - window.y),
        slice(columns.start - window.x, columns.stop - window.x),
    )
    seen[there], valid[there] = torch.from_numpy(mask[rows, columns]), True
    return Look(window, mask.shape, 40.0 * seen - 20, valid, torch.zeros(3))


class TestWindows:
    def test_a_structure_cut_off_reaches_out(self) -> None:
        mask = np.zeros((20, 20), bool)
        mask[8:12, 5:15] = True
        assert answer(mask, Window(5, 5, 8)).reaches_out()
        assert not answer(mask, Window(3, 3, 14)).reaches_out()
        assert not answer(mask, Window(40, 40, 4)).reaches_out()

    def test_the_rim_of_the_image_is_no_end(self) -> None:
        mask = np.zeros((20, 20), bool)
        mask[:6, :6] = True
        assert not answer(mask, Window(-3, -3, 12)).reaches_out()

    def test_on_the_image_again(self) -> None:
        mask = np.random.default_rng(0).random((20, 20)) > 0.5
        seen = answer(mask, Window(-3, 4, 12))
        kept = np.zeros_like(mask)
        kept[:9, 4:16] = mask[:9, 4:16]
        np.testing.assert_array_equal(seen.mask(), kept)
        assert (seen.logits()[kept] == 20).all()
        assert (seen.logits()[~kept] == -20).all()

    def test_scales_halve_down_to_the_least(self) -> None:
        found = scales((30, 40), (30, 40), (100, 60), margin=1.3, least=24)
        assert found == [Window(0, -20, 100), Window(6, 16, 50), Window(18, 28, 25)]
        wide = scales((10, 10), (80, 40), (100, 60), margin=1.3, least=24)
        assert [one.side for one in wide] == [100]

    def test_expected_iou_by_hand(self) -> None:
        def expected(*probabilities: float) -> float:
            logits = torch.logit(torch.tensor(probabilities).double())
            return expected_iou(logits, torch.ones_like(logits, dtype=torch.bool))

        assert expected(0.9, 0.7, 0.2) == pytest.approx(1.6 / 2.2)
        assert expected(0.4, 0.2) == 0

    def test_widened_never_beyond_the_image(self) -> None:
        assert widened(Window(10, 10, 8), (100, 60)) == Window(6, 6, 16)
        assert widened(Window(10, 10, 50), (100, 60)) == Window(0, -20, 100)


class TestMistaken:
    """A wide blob round (30, 30), of radius 20; and a ball."""

    @pytest.fixture
    def blob(self) -> np.ndarray:
        y, x = np.ogrid[:100, :100]
        mask: np.ndarray = (y - 30) ** 2 + (x - 30) ** 2 <= 400
        return mask

    @pytest.mark.parametrize(
        ("first", "last", "positive", "wanted"),
        [
            ((22, 30), (32, 30), False, 2.5 * 10),  # deep inside: no wider than that
            ((12, 30), (32, 30), False, 0),  # deep inside: it may well be so wide
            ((30, 30), (46, 30), False, 0),  # at the rim
            ((30, 30), (80, 80), False, 0),  # beside it
            ((30, 30), (90, 90), True, np.inf),  # far away: any larger
            ((30, 30), (54, 30), True, 0),  # near
        ],
    )
    def test_in_a_picture(
        self, blob: np.ndarray, first: Any, last: Any, positive: bool, wanted: float
    ) -> None:
        places = np.array([first, last], float)
        assert mistaken(places, [True, positive], blob) == pytest.approx(wanted)

    def test_without_a_click_on_it(self, blob: np.ndarray) -> None:
        assert mistaken(np.array([[30.0, 30.0]]), [False], blob) == 0

    def test_in_a_volume_the_way_is_in_mm(self) -> None:
        steps = np.indices((20, 60, 60)) * np.array([3, 1, 1]).reshape(3, 1, 1, 1)
        ball = ((steps - 30) ** 2).sum(0) <= 400
        places = np.array([(8, 30, 30), (11, 30, 30)], float)
        found = mistaken(places, [True, False], ball, (3, 1, 1))
        assert found == pytest.approx(2.5 * 9)
        assert mistaken(places, [True, True], ball, (3, 1, 1)) == 0

    def test_after_a_drawing_the_mask_is_mended(self) -> None:
        predictor = Watched(tiny_net(), Manner(size=32))
        predictor.answer([Click(9, 9), box(0, 0, 50, 50)], BEFORE)
        assert not predictor.anew
        predictor.answer([Click(9, 9), Click(20, 20, positive=False)], BEFORE)
        assert predictor.anew

    def test_clicks_away_tell_the_scale_and_nothing_else(self) -> None:
        predictor = Watched(tiny_net(), Manner(size=32))
        away = Click(20, 20, positive=False)
        mask = predictor.answer([Click(9, 9), away], BEFORE)
        assert predictor.anew == [[Click(9, 9)]]
        assert not mask[20, 20]
        predictor.answer([Click(9, 9), away, Click(59, 59)], BEFORE & (MIDDLE < 10))
        assert predictor.anew[1:] == [[Click(9, 9), away, Click(59, 59)]]

    @pytest.mark.parametrize("agrees", [True, False])
    def test_anew_only_what_agrees_with_all_clicks(self, agrees: bool) -> None:
        found = np.zeros((60, 60), bool)
        found[5:15, 5:15] = True

        class Other(Watched):
            def _found(self, *_: Any) -> np.ndarray:
                return found

        predictor = Other(tiny_net(), Manner(size=32))
        earlier = Click(9, 12) if agrees else Click(12, 16)
        clicks = [Click(9, 9), earlier, Click(20, 20, positive=False)]
        mask = predictor.answer(clicks, BEFORE)
        assert np.array_equal(mask, found) == agrees

    def test_a_click_is_looked_at_from_nearer_too(self) -> None:
        predictor = Watched(tiny_net(), Manner(size=32))
        predictor.answer([Click(9, 9), Click(48, 48)], BEFORE)
        first, *_, last = predictor.windows
        assert last.side == first.side // 2
        assert last.y + last.side / 2 == pytest.approx(48.5, abs=1)
        predictor.windows.clear()
        predictor.answer([Click(9, 9), Stroke(((48, 48), (48, 50)))], BEFORE)
        assert all(window.side >= first.side for window in predictor.windows)


BEFORE = np.zeros((60, 60), bool)
BEFORE[5:50, 5:50] = True
MIDDLE = np.arange(60)


class Watched(ClickPredictor):
    """With a picture of noise; remembers what it looked at."""

    def __init__(self, net: ClickNet, manner: Manner) -> None:
        super().__init__(net, manner)
        self.anew: list[Any] = []  # prompts of looks at all scales
        self.windows: list[Window] = []
        self.set_image(np.random.default_rng(0).random((60, 60)))

    def first_looks(self, prompts: Any, *rest: Any) -> Any:
        self.anew.append(list(prompts))
        return super().first_looks(prompts, *rest)

    def _looks(self, questions: Any) -> Any:
        self.windows += [one.window for one in questions]
        return super()._looks(questions)


class TestGuarantees:
    @settings(max_examples=40)
    @given(clicked(), st.sampled_from([tiny_predictor, WalkPredictor]))
    def test_clicked_pixels_are_on_their_side(self, given_: Any, make: Any) -> None:
        image, clicks = given_
        predictor = make()
        predictor.set_image(image)
        mask = None
        for n in range(len(clicks) + 1):
            mask = predictor.predict(clicks[:n], mask)
            assert mask.dtype == bool
            assert mask.shape == image.shape[:2]
            for y, x, positive in {c[:2]: c for c in clicks[:n]}.values():
                assert mask[y, x] == positive

    def test_far_pixels_stay_unless_the_net_is_sure(self) -> None:
        class Unsure(ClickNet):
            def forward(self, x_BCYX: torch.Tensor) -> torch.Tensor:
                return torch.full(x_BCYX[:, 0].shape, 0.1)

        manner = Manner(size=32, near=0.3)
        predictor = ClickPredictor(Unsure(in_channels=CHANNELS, **TINY), manner)
        predictor.set_image(np.random.default_rng(0).random((100, 100)))
        before = np.zeros((100, 100), bool)
        before[20:60, 20:60] = True
        after = predictor.predict([(30, 30, True), (10, 65, True)], before)
        changed = np.argwhere(after != before)
        assert len(changed) > 50
        assert np.hypot(*(changed - (10, 65)).T).max() < 25

    def test_strokes_hold_too(self) -> None:
        nothing = np.zeros((9, 9), bool)
        found = obeyed(nothing, [Stroke(((1, 1), (1, 7))), Click(1, 4, positive=False)])
        assert found[1].tolist() == [False, *[True] * 3, False, *[True] * 3, False]
        assert not obeyed(nothing, [box(1, 1, 5, 5)]).any()

    def test_what_was_given_is_not_changed(self) -> None:
        predictor = tiny_predictor()
        predictor.set_image(np.random.default_rng(0).random((20, 20)))
        before = np.eye(20, dtype=bool)
        kept = before.copy()
        predictor.predict([(3, 9, True)], before)
        np.testing.assert_array_equal(before, kept)

    def test_no_click_keeps_the_mask(self) -> None:
        for predictor in (tiny_predictor(), WalkPredictor()):
            predictor.set_image(np.eye(6))
            assert not predictor.predict([]).any()
            before = np.eye(6, dtype=bool)
            np.testing.assert_array_equal(predictor.predict([], before), before)

    @pytest.mark.parametrize("make", [tiny_predictor, WalkPredictor])
    def test_what_cannot_be(self, make: Any) -> None:
        predictor = make()
        with pytest.raises(InputError, match="set_image"):
            predictor.predict([(0, 0, True)])
        predictor.set_image(np.eye(6))
        for at in ((6, 0), (-1, 2), (0, 99)):
            with pytest.raises(InputError, match="outside"):
                predictor.predict([(*at, True)])
        with pytest.raises(InputError, match="previous mask"):
            predictor.predict([(0, 0, True)], np.zeros((3, 3), bool))

    def test_a_region_alone(self) -> None:
        for predictor in (tiny_predictor(), WalkPredictor()):
            predictor.set_image(np.random.default_rng(0).random((30, 30)))
            assert predictor.answer([box(5, 5, 20, 20)]).shape == (30, 30)

    def test_drawings_beyond_the_image_or_of_nothing(self) -> None:
        for predictor in (tiny_predictor(), WalkPredictor()):
            predictor.set_image(np.random.default_rng(0).random((30, 20)))
            mask = predictor.answer([box(-9, -9, 50, 60), Stroke(((3, -7), (3, 40)))])
            assert mask[3].all()
            assert predictor.answer([Stroke(()), Region(())], mask).sum() == mask.sum()


def test_a_walk_stops_at_an_edge() -> None:
    y, x = np.ogrid[:60, :60]
    disc = (y - 28) ** 2 + (x - 33) ** 2 < 15**2
    image = disc + np.random.default_rng(0).normal(0, 0.05, disc.shape)
    walk = WalkPredictor()
    walk.set_image(image)
    assert iou(disc, walk.predict([(28, 33, True)])) > 0.9


class Perfect:
    """Knows the truth."""

    def __init__(self, truth: np.ndarray) -> None:
        self.truth = truth

    def set_image(self, image: np.ndarray) -> None:
        self.image = image

    def predict(self, clicks: Any, previous_mask: Any) -> np.ndarray:
        return self.truth


class Useless(Perfect):
    def predict(self, clicks: Any, previous_mask: Any) -> np.ndarray:
        assert (previous_mask is None) == (len(clicks) == 1)
        return np.zeros_like(self.truth)


class TestBench:
    @pytest.fixture
    def target(self) -> Target:
        truth = np.zeros((12, 12), bool)
        truth[3:9, 2:8] = True
        return Target("set", "case", "square", truth.astype(float), truth)

    def test_the_perfect_one_needs_one_click(self, target: Target) -> None:
        one, total = drain(bench(Perfect(target.truth), [target]))
        assert one.name == "set"
        assert total.name == "mean of sets"
        assert total.clicks == (1, 1)
        assert total.failures == (0, 0)
        assert total.ious == (1, 1, 1, 1)

    def test_the_useless_one_fails(self, target: Target) -> None:
        total = drain(bench(Useless(target.truth), [target]))[-1]
        assert total.clicks == (CAP, CAP)
        assert total.failures == (1, 1)
        assert total.ious == (0, 0, 0, 0)

    def test_sets_count_alike(self) -> None:
        def trial(name: str, *ious: float) -> Trial:
            return Trial(name, "c", "s", ious, 0.5, (0.1,) * len(ious))

        trials = [trial("a", 0.86, 0.95)] * 3 + [trial("b", *[0.5] * CAP)]
        a, b, total = summary(trials)
        assert a.clicks == (1, 2)
        assert b.clicks == (CAP, CAP)
        assert total.clicks == (10.5, 11)
        assert total.ious[0] == pytest.approx((0.86 + 0.5) / 2)
        assert total.failures == (0.5, 0.5)
        assert summary([]) == []

    def test_an_answer_must_be_a_mask(self, target: Target) -> None:
        with pytest.raises(InputError, match="bool mask"):
            drain(bench(Perfect(target.truth.astype(int)), [target]))

    def test_by_name(self) -> None:
        made = load_predictor("src_models.interactive.fallback:WalkPredictor")
        assert isinstance(made, WalkPredictor)
        for wrong in ("nothing", "no.such.module:f", "src_models.interactive:nope"):
            with pytest.raises(InputError, match="predictor"):
                load_predictor(wrong)

    def test_ours(self, target: Target) -> None:
        lines = drain(bench(bench_predictor(), [target]))
        assert lines[-1].targets == 1


class TestWeights:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        card = ClickCard(
            name="tiny", title="Tiny", steps=0, sets=(), versions={}, recipe={}, **TINY
        )
        save_click_net(tiny_net(), card, tmp_path)
        return tmp_path

    def test_there_and_back(self, folder: Path) -> None:
        net, card = load_click_net(folder)
        assert card.precision == "float16"
        for a, b in zip(net.parameters(), tiny_net().parameters(), strict=True):
            torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3)
        assert not net.training

    def test_changed_weights_are_refused(self, folder: Path) -> None:
        with (folder / "weights.safetensors").open("ab") as file:
            file.write(b" ")
        with pytest.raises(InputError, match="not those of the card"):
            load_click_net(folder)

    def test_another_nets_weights_are_refused(self, folder: Path) -> None:
        path = folder / "card.json"
        values = json.loads(path.read_text())
        path.write_text(json.dumps({**values, "widths": [8, 24]}))
        with pytest.raises(InputError, match="not the weights"):
            load_click_net(folder)

    @pytest.mark.parametrize("text", ["", "{}", '{"kind": "other"}'])
    def test_another_card_is_refused(self, folder: Path, text: str) -> None:
        (folder / "card.json").write_text(text)
        with pytest.raises(InputError, match="card"):
            load_click_net(folder)

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no readable click net"):
            load_click_net(tmp_path)


def test_the_bundled_net_finds_a_disc() -> None:
    y, x = np.ogrid[:120, :150]
    disc = (y - 60) ** 2 + (x - 80) ** 2 < 20**2
    image = 100 * disc + np.random.default_rng(0).normal(0, 8, disc.shape)
    predictor = click_predictor()
    predictor.set_image(image)
    assert iou(disc, predictor.predict([(60, 80, True)])) > 0.8
