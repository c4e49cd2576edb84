"""Sums of losses as text: what they mean, and what a wrong one is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import draw, maps_of

from src_models.errors import InputError
from src_models.losses import LOSSES, Loss, loss_by_name
from src_models.losses.boundary import boundary_loss
from src_models.losses.overlap import dice_loss, generalised_dice_loss, tversky_loss
from src_models.losses.pixel import cross_entropy
from src_models.training.config import read_recipe

ROOT = Path(__file__).parents[3]
LOGITS, LABELS = draw(0, 3, (5, 5))
MAPS = maps_of(["border", "distance"], LABELS, 3)


def value(expression: str, epoch: int = 0) -> float:
    return loss_by_name(expression)(LOGITS, LABELS, MAPS, epoch).item()


DICE, CE = dice_loss(LOGITS, LABELS).item(), cross_entropy(LOGITS, LABELS).item()


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("dice + ce", DICE + CE),
        (" dice+ce\n", DICE + CE),
        ("dice + ce + dice", 2 * DICE + CE),
        ("0.25*dice + ce*2", 0.25 * DICE + 2 * CE),
        ("2 * .5 * dice", DICE),
        ("0.5*(dice + 3*ce)", 0.5 * DICE + 1.5 * CE),
        ("(dice)", DICE),
        (
            "dice(smooth=1e-3, squared=True)",
            dice_loss(LOGITS, LABELS, smooth=1e-3, squared=True).item(),
        ),
        (
            "tversky(alpha=1, beta=.25)",
            tversky_loss(LOGITS, LABELS, alpha=1, beta=0.25).item(),
        ),
        ("generalised_dice", generalised_dice_loss(LOGITS, LABELS).item()),
        ("generalised-dice()", generalised_dice_loss(LOGITS, LABELS).item()),
    ],
)
def test_sums(expression: str, wanted: float) -> None:
    assert value(expression) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("dice+ce", "dice + ce"),
        ("dice(smooth=1)", "dice"),
        ("2*.5*focal_tversky(gamma=2)", "focal-tversky(gamma=2)"),
        ("0.5*(dice+ce)", "0.5*dice + 0.5*ce"),
        ("dice(background=True, smooth=.1)", "dice(smooth=0.1, background=True)"),
        ("weighted-ce(weights=(1,2.5))", "weighted-ce(weights=(1, 2.5))"),
        ("weighted-ce(weights='auto')", "weighted-ce"),
        ('lovasz(classes="all")', 'lovasz(classes="all")'),
        ("rise(low=.1)*boundary*3", "3*rise(low=0.1)*boundary"),
        ("1e-3*fall*fall(step=.05)*ce", "0.001*fall*fall(step=0.05)*ce"),
    ],
)
def test_the_text_is_canonical(expression: str, text: str) -> None:
    loss = loss_by_name(expression)
    assert str(loss) == text
    assert loss_by_name(text) == loss
    assert hash(loss_by_name(text)) == hash(loss)


WEIGHTS = st.one_of(
    st.floats(1e-6, 1e6).map(repr),
    st.integers(1, 99).map(str),
    st.sampled_from(["fall", "rise", "fall(step=.1)", "rise(step=.02, low=0)"]),
)
TERMS = st.tuples(st.lists(WEIGHTS, max_size=3), st.sampled_from(sorted(LOSSES)))


@settings(max_examples=100, deadline=None)
@given(st.lists(TERMS, min_size=1, max_size=4))
def test_the_text_reads_back(terms: list[tuple[list[str], str]]) -> None:
    loss = loss_by_name(" + ".join("*".join([*w, name]) for w, name in terms))
    assert loss_by_name(str(loss)) == loss
    assert loss.maps == {one for _, name in terms for one in LOSSES[name].maps}


class TestSchedule:
    """The weight a of the region: 1 at first, .01 less each epoch, at least .01."""

    @pytest.mark.parametrize(
        ("epoch", "a"), [(0, 1), (1, 0.99), (50, 0.5), (99, 0.01), (500, 0.01)]
    )
    def test_as_published(self, epoch: int, a: float) -> None:
        region = generalised_dice_loss(LOGITS, LABELS).item()
        surface = boundary_loss(LOGITS, LABELS, distance=MAPS["distance"]).item()
        found = value("fall*generalised-dice + rise*boundary", epoch)
        assert found == pytest.approx(a * region + (1 - a) * surface, rel=1e-5)

    def test_options(self) -> None:
        assert value("fall(step=.1, low=.3)*ce", 4) == pytest.approx(0.6 * CE)
        assert value("fall(step=.1, low=.3)*ce", 9) == pytest.approx(0.3 * CE)
        assert value("rise(step=.1, low=.3)*ce", 9) == pytest.approx(0.7 * CE)
        assert value("2*fall*fall*ce", 50) == pytest.approx(0.5 * CE)
        assert value("ce", 50) == pytest.approx(CE)


SUM = "is not a sum of losses such as 'dice + 0.5*focal(gamma=2)'"


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("dcie", "no loss 'dcie'; did you mean 'dice'?"),
        ("dice + focal-tverski", "no loss 'focal-tverski'; did you mean 'focal-tv"),
        ("dice-ce", "no loss 'dice-ce'; did you mean 'dice'?"),
        ("fal*dice", "no loss 'fal'; did you mean 'fall'?"),
        ("xyzzy", "no loss 'xyzzy'; there are ce, weighted-ce, "),
        ("dice(smoth=1)", "dice has no option 'smoth'; there are smooth, per_image, "),
        ("ce(smooth=1)", "ce has no option 'smooth'; it has none"),
        ("fall(stop=1)*ce", "fall has no option 'stop'; there are step, low"),
        ("dice(**x)", "dice has no option '**'; there are"),
        ("dice(1)", "options of dice go by name, as in dice(smooth=1)"),
        ("dice(smooth=1, smooth=2)", "dice: smooth is given twice"),
        ("dice(smooth=-1)", "dice: smooth must be a number of at least 0, got -1"),
        ("dice(smooth=True)", "smooth must be a number of at least 0, got True"),
        ("dice(smooth=1e999)", "smooth must be a number of at least 0, got 1e"),
        ("dice(smooth=ce)", "smooth must be a number of at least 0, got ce"),
        ("dice(squared=1)", "dice: squared must be True or False, got 1"),
        ("dice(squared={[]: 1})", "squared must be True or False, got {[]: 1}"),
        ("combo(alpha=1.1)", "combo: alpha must be a number from 0 to 1, got 1.1"),
        ("focal(alpha=2)", "focal: alpha must be a number from 0 to 1, or None"),
        ("exp-log(gamma=0)", "exp-log: gamma must be a number above 0, got 0"),
        ("balanced-ce(floor=.6)", "floor must be a number from 0 to 0.5, got 0.6"),
        ("lovasz(classes='al')", 'lovasz: classes must be "present" or "all", got'),
        ("weighted-ce(weights=(1, -1))", "weights must be \"auto\" or a number of at"),
        ("weighted-ce(weights=1)", "at least 0 for each class, e.g. (1, 3), got 1"),
        ("exp-log(frequencies=(1, 0))", "or a number above 0 for each class, e.g."),
        ("0*dice", "a weight must be finite and above 0, got 0"),
        ("-1*dice", "a weight must be finite and above 0, got -1"),
        ("1e999*dice", "a weight must be finite and above 0, got inf"),
        ("1e-200*1e-200*dice", "a weight must be finite and above 0, got 0.0"),
        ("9" * 400 + "*dice", "a weight must be finite and above 0, got 999"),
        ("", f"'' {SUM}"),
        ("dice + ", f"'dice +' {SUM}"),
        ("dice, ce", f"'dice, ce' {SUM}"),
        ("dice - ce", f"'dice - ce' {SUM}"),
        ("-dice", SUM),
        ("dice*ce", SUM),
        ("dice + 1", SUM),
        ("0.5", SUM),
        ("fall", SUM),
        ("True*dice", SUM),
        ("'dice'", SUM),
        ("2**3*dice", SUM),
        ("dice/2", SUM),
        ("dice if ce else dice", SUM),
        ("[dice]", SUM),
        ("dice.x", SUM),
        ("__import__('os').system('true')", SUM),
        ("(lambda: 0)()", SUM),
        ("dice ce", SUM),
        ("\0", SUM),
        ("(" * 400 + "dice" + ")" * 400, SUM),
        ("-" * 990 + "1*dice", SUM),
        ("*".join(["(ce+ce)"] * 50), SUM),
        ("(1 + 2)*(dice + ce)", SUM),
        ("+".join(["ce"] * 340), SUM),  # 1019 characters
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(expression: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        loss_by_name(expression)
    assert says in str(caught.value)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_a_missing_map_is_named() -> None:
    loss = loss_by_name("dice + boundary")
    assert loss.maps == {"distance"}
    with pytest.raises(InputError, match="'boundary' needs the map 'distance'"):
        loss(LOGITS, LABELS)


def test_a_loss_is_a_frozen_value() -> None:
    loss = loss_by_name("dice + ce")
    assert isinstance(loss, Loss)
    assert loss == loss_by_name("dice+ce") != loss_by_name("ce + dice")
    with pytest.raises(AttributeError):
        loss.terms = ()  # type: ignore[misc]


@pytest.mark.parametrize("expression", [*LOSSES, "weighted-ce(weights=(1, 2, 0))"])
def test_check_lets_pass_what_fits(expression: str) -> None:
    loss_by_name(expression).check(3)


def test_check_refuses_what_does_not() -> None:
    loss = loss_by_name("dice + weighted-ce(weights=(1, 2, 0))")
    with pytest.raises(InputError, match="weighted-ce: one number for each of 2"):
        loss.check(2)


class TestRecipe:
    """A recipe is refused before any work."""

    @pytest.fixture
    def recipe(self, tmp_path: Path) -> Path:
        text = (ROOT / "recipes" / "retina-vessels-unet2d.toml").read_text("utf-8")
        assert text.count('"dice + ce"') == 1
        path = tmp_path / "r.toml"
        path.write_text(text, encoding="utf-8")
        return path

    @pytest.mark.parametrize(
        ("loss", "says"),
        [
            ("dcie", "train.loss: no loss 'dcie'; did you mean 'dice'?"),
            (
                "weighted-ce(weights=(1, 2, 3))",
                "train.loss: weighted-ce: one number for each of 2 classes",
            ),
        ],
    )
    def test_for_its_loss(self, recipe: Path, loss: str, says: str) -> None:
        text = recipe.read_text("utf-8").replace('"dice + ce"', f'"{loss}"')
        recipe.write_text(text, encoding="utf-8")
        with pytest.raises(InputError) as caught:
            read_recipe(recipe)
        assert str(caught.value).startswith(f"{recipe}: {says}")

    def test_not_for_a_good_one(self, recipe: Path) -> None:
        text = recipe.read_text("utf-8").replace('"dice + ce"', '"fall*dice + ce"')
        recipe.write_text(text, encoding="utf-8")
        assert read_recipe(recipe).train.loss == "fall*dice + ce"


class TestPage:
    """docs/losses.md says what the table says."""

    PAGE = (ROOT / "docs" / "losses.md").read_text("utf-8")

    def test_each_loss_has_its_row(self) -> None:
        table, _, _ = self.PAGE.partition("## Expressions")
        rows = dict(re.findall(r"^\| `([a-z-]+)` \|(.*)$", table, flags=re.MULTILINE))
        assert list(rows) == list(LOSSES)
        for name, card in LOSSES.items():
            assert card.when in rows[name]
            assert card.reference in rows[name]

    def test_each_example_reads(self) -> None:
        examples = re.findall(r"^loss = '([^']+)'", self.PAGE, flags=re.MULTILINE)
        assert len(examples) >= 3
        for example in examples:
            loss_by_name(example).check(2)

    def test_each_option_is_named(self) -> None:
        for card in LOSSES.values():
            for option in card.options:
                assert re.search(rf"\b{option}\b", self.PAGE.partition("## Expr")[2])
