"""Losses against MONAI, against SciPy, and against definitions spelled out in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.losses import DiceLoss, FocalLoss, GeneralizedDiceLoss, TverskyLoss
from scipy.special import expit, log_softmax, logit, softmax
from torch.nn import functional as F
from toys import draw

from src_models.losses import loss_by_name
from src_models.losses.lovasz import lovasz
from src_models.metrics import counts, dice, iou

SHAPES = [(7,), (6, 5), (4, 3, 5)]
BATCH = {"to_onehot_y": True, "softmax": True, "batch": True}
STRUCTURES = {**BATCH, "include_background": False}
MONAI = {
    "dice": DiceLoss(smooth_nr=1, smooth_dr=1, **STRUCTURES),
    "dice(smooth=.01, background=True)": DiceLoss(
        smooth_nr=0.01, smooth_dr=0.01, **BATCH
    ),
    "dice(squared=True)": DiceLoss(
        smooth_nr=1, smooth_dr=1, squared_pred=True, **STRUCTURES
    ),
    "dice(per_image=True)": DiceLoss(
        smooth_nr=1, smooth_dr=1, **{**STRUCTURES, "batch": False}
    ),
    # Theirs is doubled above and below before smoothing.
    "iou": DiceLoss(smooth_nr=2, smooth_dr=2, jaccard=True, **STRUCTURES),
    "generalised-dice": GeneralizedDiceLoss(smooth_nr=0, smooth_dr=0, **BATCH),
    "tversky": TverskyLoss(alpha=0.3, beta=0.7, smooth_nr=1, smooth_dr=1, **STRUCTURES),
    "tversky(alpha=.6, beta=.1, per_image=True)": TverskyLoss(
        alpha=0.6, beta=0.1, smooth_nr=1, smooth_dr=1, **{**STRUCTURES, "batch": False}
    ),
}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("expression", MONAI)
def test_as_monai(expression: str, classes: int, shape: tuple[int, ...]) -> None:
    logits, truth = draw(0, classes, shape)
    known = MONAI[expression](logits, truth[:, None])
    torch.testing.assert_close(loss_by_name(expression)(logits, truth), known)


@pytest.mark.parametrize("options", [{"gamma": 2.0}, {"gamma": 0.5, "alpha": 0.25}])
@pytest.mark.parametrize("classes", [2, 5])
def test_focal_is_monais(classes: int, options: dict[str, float]) -> None:
    logits, truth = draw(1, classes, (6, 5))
    oracle = FocalLoss(to_onehot_y=True, use_softmax=True, **options)
    text = ", ".join(f"{key}={value}" for key, value in options.items())
    torch.testing.assert_close(
        loss_by_name(f"focal({text})")(logits, truth),
        classes * oracle(logits, truth[:, None]),  # theirs averages over classes too
    )


def test_cross_entropy_is_scipys() -> None:
    logits, truth = draw(2, 4, (6, 5))
    log_p = log_softmax(logits.double().numpy(), axis=1)
    wanted = -np.take_along_axis(log_p, truth.numpy()[:, None], axis=1).mean()
    assert loss_by_name("ce")(logits, truth).item() == pytest.approx(wanted, rel=1e-6)


def test_weighted_cross_entropy_is_pytorchs() -> None:
    logits, truth = draw(3, 3, (6, 5))
    torch.testing.assert_close(
        loss_by_name("weighted-ce(weights=(1, 2.5, 0))")(logits, truth),
        F.cross_entropy(logits, truth, weight=torch.tensor([1, 2.5, 0])),
    )


@pytest.mark.parametrize("classes", [2, 4])
def test_binary_formulas_take_each_structure_against_the_rest(classes: int) -> None:
    logits, truth = draw(4, classes, (6, 5))
    p = softmax(logits.double().numpy(), axis=1)
    hed, combo, hinge = [], [], []
    for c in range(1, classes):
        one, y = p[:, c], (truth == c).numpy()
        beta = 1 - y.mean(axis=(1, 2), keepdims=True)
        hed.append(-(np.where(y, beta * np.log(one), (1 - beta) * np.log1p(-one))))
        entropy = -np.where(y, 0.6 * np.log(one), 0.4 * np.log1p(-one)).mean()
        overlap = (2 * (one * y).sum() + 1) / (one.sum() + y.sum() + 1)
        combo.append(0.7 * entropy - 0.3 * overlap)
        margins = np.maximum(0, 1 - np.where(y, 1, -1) * logit(one))
        hinge.append(naive_lovasz(margins.ravel(), y.ravel()))
    for expression, wanted in (
        ("balanced-ce", np.mean(hed)),
        ("combo(alpha=.7, beta=.6)", np.mean(combo)),
        ("lovasz-hinge", np.mean(hinge)),
    ):
        found = loss_by_name(expression)(logits, truth).item()
        assert found == pytest.approx(float(wanted), rel=1e-5), expression


def test_boundary_is_a_mean_over_voxels_and_structures() -> None:
    logits, truth = draw(5, 4, (6, 5))
    phi = torch.from_numpy(np.random.default_rng(5).normal(size=(2, 4, 6, 5)))
    p = softmax(logits.double().numpy(), axis=1)
    found = loss_by_name("boundary")(logits, truth, {"distance": phi})
    assert found.item() == pytest.approx((p * phi.numpy())[:, 1:].mean(), rel=1e-5)


def naive_lovasz(errors: np.ndarray, truth: np.ndarray) -> float:
    """Σ e_i (J(first i wrong) − J(first i − 1 wrong)), J from sets of voxels."""

    def jaccard_loss(wrong: set[int]) -> float:
        here = set(np.flatnonzero(truth))
        return 1 - len(here - wrong) / len(here | wrong) if here | wrong else 0.0

    order = [int(i) for i in np.argsort(-errors, kind="stable")]
    return sum(
        errors[i] * (jaccard_loss({*order[:k], i}) - jaccard_loss(set(order[:k])))
        for k, i in enumerate(order)
    )


@pytest.mark.parametrize("seed", range(5))
def test_lovasz_softmax_is_its_definition(seed: int) -> None:
    logits, truth = draw(seed, 3, (5, 4))
    truth[0][truth[0] == 2] = 0
    p = softmax(logits.double().numpy(), axis=1)
    errors = np.abs((truth[:, None].numpy() == np.arange(3)[:, None, None]) - p)
    by_image = [
        [
            naive_lovasz(errors[b, c].ravel(), (truth[b] == c).numpy().ravel())
            for c in range(3)
            if (truth[b] == c).any()
        ]
        for b in range(2)
    ]
    whole = [
        naive_lovasz(errors[:, c].ravel(), (truth == c).numpy().ravel())
        for c in range(3)
    ]
    for options, wanted in (
        ("(per_image=True)", np.mean([np.mean(one) for one in by_image])),
        ("", np.mean(whole)),
    ):
        found = loss_by_name(f"lovasz{options}")(logits, truth).item()
        assert found == pytest.approx(float(wanted), rel=1e-5)


def test_lovasz_keeps_its_digits_in_large_volumes() -> None:
    random = np.random.default_rng(0)
    truth = random.random(2**21) < 0.4
    errors = random.random(2**21)
    sorted_truth = truth[np.argsort(-errors)].astype(np.float64)
    held = truth.sum() - np.cumsum(sorted_truth)
    union = truth.sum() + np.cumsum(1 - sorted_truth)
    steps = np.diff(1 - held / union, prepend=0)
    wanted = float(np.sort(errors)[::-1] @ steps)
    found = lovasz(
        torch.from_numpy(errors.astype(np.float32))[None],
        torch.from_numpy(truth)[None],
    )
    assert found.item() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_hard_answers_score_as_the_metrics_do(seed: int) -> None:
    logits, truth = draw(seed, 2, (8, 8))
    guess = logits.argmax(1)
    certain = torch.stack([1e4 * (guess == 0), 1e4 * (guess == 1)], dim=1)
    found = counts((guess == 1).numpy(), (truth == 1).numpy())
    for expression, wanted in (
        ("dice(smooth=0)", 1 - dice(found)),
        ("iou(smooth=0)", 1 - iou(found)),
        ("tversky(alpha=1, beta=1, smooth=0)", 1 - iou(found)),
    ):
        loss = loss_by_name(expression)(certain, truth).item()
        assert loss == pytest.approx(wanted, abs=1e-6)
    # Of whole labels, the Lovász extension is the Jaccard loss it extends.
    wrong = (guess != truth).flatten()[None].float()
    assert lovasz(wrong, (truth == 1).flatten()[None]).item() == pytest.approx(
        1 - iou(found), abs=1e-6
    )


def test_an_extreme_logit_is_its_own_hinge_error() -> None:
    logits = torch.tensor([[[0.0, 0.0], [40.0, -40.0]]])
    loss = loss_by_name("lovasz-hinge")(logits, torch.tensor([[0, 0]]))
    assert loss.item() == 41  # p is 1 to the last digit of float32
    assert expit(np.float32(40)) == 1
