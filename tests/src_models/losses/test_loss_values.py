"""Losses worked by hand, and what they do where they could break."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from toys import EMPTY, RARE_G, RARE_P, G, P, logits_of

from src_models.errors import InputError
from src_models.losses import loss_by_name
from src_models.losses.boundary import boundary_loss
from src_models.losses.lovasz import lovasz_hinge
from src_models.losses.overlap import dice_loss
from src_models.losses.pixel import border_cross_entropy

TOY = logits_of(P), G
RARE = logits_of(RARE_P), RARE_G
NOTHING = logits_of(P), EMPTY


@pytest.mark.parametrize(
    ("expression", "batch", "wanted"),
    [
        ("ce", TOY, 0.29900),  # −(ln .9 + ln .6 + ln .7 + ln .8) / 4
        ('weighted-ce(weights=(1, 3), normalise="voxels")', TOY, 0.60709),
        ("weighted-ce(weights=(1, 3))", TOY, 0.30355),
        ('balanced-ce(normalise="sum")', RARE, 0.55441),
        ("balanced-ce", RARE, 0.13860),
        ("focal(gamma=0)", TOY, 0.29900),
        ("focal(gamma=1)", TOY, 0.09162),
        ("focal", TOY, 0.030953),
        ("focal(gamma=5)", TOY, 0.001543),
        ("focal(alpha=.25)", TOY, 0.012867),
        ('focal(normalise="foreground")', TOY, 2 * 0.030953),  # 2 of 4 pixels
        ("dice(smooth=0)", TOY, 0.25),  # 1 − 2·1.5 / (2 + 2)
        ("dice", TOY, 0.2),  # 1 − (3 + 1) / (4 + 1)
        ("dice(squared=True, smooth=0)", TOY, 0.09091),  # 1 − 3 / (1.3 + 2)
        ("dice(background=True, smooth=0)", RARE, 0.31348),
        ("generalised-dice", TOY, 0.25),
        ("generalised-dice", RARE, 0.390625),
        ("iou(smooth=0)", TOY, 0.4),  # 1 − 1.5 / 2.5
        ("tversky(smooth=0)", RARE, 0.43396),
        ("tversky(alpha=.7, beta=.3, smooth=0)", RARE, 0.47368),
        ("tversky(alpha=.5, beta=.5, smooth=0)", RARE, 0.45455),
        ("focal-tversky(smooth=0)", RARE, 0.53467),
        ("focal-tversky(gamma=.75, smooth=0)", RARE, 0.32855),
        ("exp-log", TOY, 0.70090),
        ("exp-log(ce_weight=0, dice_weight=1)", TOY, 0.63764),
        ("exp-log(ce_weight=1, dice_weight=0)", TOY, 0.95396),
        ("exp-log", RARE, 0.71872),
        ("exp-log(frequencies=(75, 25))", RARE, 0.71872),
        ("lovasz", TOY, 0.29583),
        ("combo", TOY, -0.32525),
    ],
)
def test_by_hand(expression: str, batch: tuple[Tensor, Tensor], wanted: float) -> None:
    assert loss_by_name(expression)(*batch).item() == pytest.approx(wanted, abs=1e-5)


MARGINS = torch.tensor([[[0.0] * 4, [2, -0.5, 0.5, -1]]])


def test_lovasz_hinge_by_hand() -> None:
    assert lovasz_hinge(MARGINS, G).item() == pytest.approx(1.0)


BAND = torch.tensor([[0, 0, 1, 1, 1, 0, 0, 0]])
BAND_P = torch.tensor([0, 0.1, 0.8, 0.9, 0.7, 0.4, 0.1, 0])


@pytest.mark.parametrize(
    ("phi", "wanted", "perfect"),
    [
        ([2, 1, 0, -1, 0, 1, 2, 3], -0.025, -0.125),  # the paper's code
        ([2, 1, -1, -2, -1, 1, 2, 3], -0.325, -0.5),  # between voxel centres
    ],
)
def test_boundary_by_hand(phi: list[float], wanted: float, perfect: float) -> None:
    distance = torch.tensor([[[math.nan] * 8, phi]])  # the background's is not read
    found = boundary_loss(logits_of(BAND_P), BAND, distance=distance)
    assert found.item() == pytest.approx(wanted, abs=1e-6)
    found = boundary_loss(logits_of(BAND[0].float()), BAND, distance=distance)
    assert found.item() == pytest.approx(perfect, abs=1e-6)


def test_border_weights_by_hand() -> None:
    border = torch.tensor([[2.0, 1, 1, 4]])
    terms = 2 * 0.10536 + 0.51083 + 0.35667 + 4 * 0.22314
    found = border_cross_entropy(*TOY, border=border)
    assert found.item() == pytest.approx(terms / 4, abs=1e-5)
    found = border_cross_entropy(*TOY, border=border, normalise="weights")
    assert found.item() == pytest.approx(terms / 8, abs=1e-5)


def test_automatic_weights_are_inverse_frequencies() -> None:
    both = [
        loss_by_name(f"weighted-ce({options})")(*RARE)
        for options in ('normalise="voxels"', "", "weights=(4, 12)")
    ]
    for other in both[1:]:
        torch.testing.assert_close(other, both[0])


def test_sums_run_over_the_batch_or_over_each_image() -> None:
    logits = torch.cat(
        [logits_of(torch.tensor([0.9, 0.8])), logits_of(torch.tensor([0.1, 0.1]))]
    )
    truth = torch.tensor([[1, 1], [0, 0]])
    # 1 − 2·1.7 / (1.9 + 2)
    loss = dice_loss(logits, truth, smooth=1e-9)
    assert loss.item() == pytest.approx(0.12820, abs=1e-5)
    loss = dice_loss(logits, truth, smooth=1e-5, per_image=True)
    assert loss.item() == pytest.approx(0.54052, abs=1e-5)


class TestNothingThere:
    """No pixel of the structure, and p = .9 .6 .3 .2 for it."""

    @pytest.mark.parametrize(
        ("expression", "wanted"),
        [
            ("dice(smooth=1e-5)", 0.999995),
            ("dice", 0.66667),  # 1 − 1 / (2 + 1)
            ("iou", 0.66667),
            ("tversky", 0.375),  # 1 − 1 / (.3·2 + 1)
            ("generalised-dice", 0.5),  # both classes weigh the same
            ("balanced-ce", 0.01 * 3.798695 / 4),  # β is held at .99
            ("balanced-ce(floor=0)", 0),
            # Σ −p² ln(1 − p), for want of voxels of the structure not divided
            ('focal(normalise="foreground")', 2.235985),
            ("lovasz", 0.5),  # of the background alone
            ('lovasz(classes="all")', 0.7),  # (.5 + .9) / 2
        ],
    )
    def test_value(self, expression: str, wanted: float) -> None:
        found = loss_by_name(expression)(*NOTHING).item()
        assert found == pytest.approx(wanted, abs=1e-5)

    @pytest.mark.parametrize(
        ("smooth", "wanted"), [(1.0, 1 / 9), (1e-5, 2.5e-6), (0.0, 0.0)]
    )
    def test_only_smoothing_teaches_it(self, smooth: float, wanted: float) -> None:
        p = P.clone().requires_grad_()
        dice_loss(logits_of(p), EMPTY, smooth=smooth).backward()
        assert torch.allclose(p.grad, torch.full((4,), wanted), rtol=1e-3, atol=1e-7)

    def test_lovasz_hinge_pushes_the_worst_alone(self) -> None:
        logits = MARGINS.clone().requires_grad_()
        loss = lovasz_hinge(logits, EMPTY)
        loss.backward()
        assert loss.item() == 3.0
        assert logits.grad[0, 1].tolist() == [1, 0, 0, 0]

    def test_boundary_has_no_say(self) -> None:
        logits = logits_of(P).requires_grad_()
        loss = boundary_loss(logits, EMPTY, distance=torch.zeros(1, 2, 4))
        loss.backward()
        assert loss.item() == 0
        assert not logits.grad.any()

    @pytest.mark.parametrize(
        "expression",
        [
            *("dice", "dice(smooth=0)", "dice(squared=True)", "generalised-dice"),
            *("iou", "iou(smooth=0)", "tversky", "focal-tversky", "exp-log", "lovasz"),
            *("ce", "weighted-ce", "balanced-ce", "focal", "lovasz-hinge"),
        ],
    )
    def test_and_nothing_found_is_no_loss(self, expression: str) -> None:
        loss = loss_by_name(expression)(logits_of(torch.zeros(4)), EMPTY)
        assert loss.item() == pytest.approx(0, abs=1e-6)

    def test_combo_is_at_its_lowest(self) -> None:
        loss = loss_by_name("combo")(logits_of(torch.zeros(4)), EMPTY)
        assert loss.item() == pytest.approx(-0.5, abs=1e-6)


def test_combo_of_a_perfect_answer_is_its_bound() -> None:
    for alpha in (0, 0.3, 1):
        loss = loss_by_name(f"combo(alpha={alpha})")(logits_of(G[0].float()), G)
        assert loss.item() == pytest.approx(alpha - 1, abs=1e-6)


def test_a_steep_curve_is_a_straight_line_at_its_foot() -> None:
    p = torch.tensor([1 - 1e-7, 1.0, 1.0, 1.0])
    logits = logits_of(p).requires_grad_()
    loss = loss_by_name("exp-log + focal(gamma=.3)")(logits, torch.ones_like(G))
    loss.backward()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize(
    ("logits", "labels", "says"),
    [
        (torch.zeros(1, 1, 4), G, "K ≥ 2"),
        (torch.zeros(1, 2, 5), G, r"got \(1, 2, 5\) and torch.int64 \(1, 4\)"),
        (torch.zeros(2, 2, 4), G[:, None], "labels"),
        (torch.zeros(1, 2, 4), G.float(), "integer labels"),
        (torch.zeros(1, 2, 4), G + 1, "0 … 1, or -1 where ignored, got 2"),
        (torch.zeros(1, 2, 4), G - 3, "0 … 1, or -1 where ignored, got -3"),
    ],
)
def test_what_does_not_fit_is_refused(
    logits: Tensor, labels: Tensor, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        loss_by_name("dice")(logits, labels)


@pytest.mark.parametrize(
    "expression", ["weighted-ce(weights=(1, 2, 3))", "exp-log(frequencies=(1, 2, 3))"]
)
def test_one_number_for_each_class(expression: str) -> None:
    with pytest.raises(InputError, match=r"each of 2 classes.* got 3"):
        loss_by_name(expression)(*TOY)


@pytest.mark.parametrize(
    ("expression", "maps"),
    [
        ("border-ce", {"border": torch.zeros(1, 5)}),
        ("boundary", {"distance": torch.zeros(1, 4)}),
    ],
)
def test_maps_of_another_shape_are_refused(
    expression: str, maps: dict[str, Tensor]
) -> None:
    with pytest.raises(InputError, match=f"{expression}: the map .* must have"):
        loss_by_name(expression)(*TOY, maps)
