"""Laws that tie losses to each other and to what must not matter."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import draw, loss_of, maps_of

from src_models.losses import LOSSES, loss_by_name

NAMES = st.sampled_from(sorted(LOSSES))
BOUNDED = ["dice", "generalised-dice", "iou", "tversky", "lovasz"]
SEEDS = st.integers(0, 10_000)
CLASSES = st.integers(2, 5)
quick = settings(max_examples=40, deadline=None)


@quick
@given(NAMES, SEEDS, CLASSES, st.permutations(range(12)))
def test_the_order_of_voxels_does_not_matter(
    name: str, seed: int, classes: int, order: list[int]
) -> None:
    logits, truth = draw(seed, classes, (3, 4))
    loss, maps = loss_by_name(name), maps_of(LOSSES[name].maps, truth, classes)
    straight = loss(logits, truth, maps)
    mixed = loss(
        logits.flatten(2)[..., order],
        truth.flatten(1)[..., order],
        {key: one.flatten(one.ndim - 2)[..., order] for key, one in maps.items()},
    )
    torch.testing.assert_close(mixed, straight)


@quick
@given(NAMES, SEEDS, st.permutations([1, 2, 3]))
def test_the_names_of_structures_do_not_matter(
    name: str, seed: int, order: list[int]
) -> None:
    logits, truth = draw(seed, 4, (3, 4))
    places = [0, *order]
    renamed = torch.tensor(places).argsort()[truth]
    torch.testing.assert_close(
        loss_of(name, logits[:, places], renamed), loss_of(name, logits, truth)
    )


@quick
@given(NAMES, SEEDS, CLASSES, st.floats(0, 1))
def test_ignored_is_as_if_it_were_not_there(
    name: str, seed: int, classes: int, share: float
) -> None:
    logits, labels = draw(seed, classes, (1, 20), ignored=share)
    logits, labels = logits[:1], labels[:1]
    loss, maps = loss_by_name(name), maps_of(LOSSES[name].maps, labels, classes)
    kept = labels[0, 0] >= 0
    if not kept.any():
        return
    less = loss(
        logits[..., kept],
        labels[..., kept],
        {key: one[..., kept] for key, one in maps.items()},
    )
    torch.testing.assert_close(loss(logits, labels, maps), less)


@quick
@given(st.sampled_from(BOUNDED), SEEDS, CLASSES, st.booleans())
def test_bounds(name: str, seed: int, classes: int, by_image: bool) -> None:
    logits, truth = draw(seed, classes, (4, 4), ignored=0.2)
    loss = loss_by_name(f"{name}(per_image={by_image})")(logits, truth)
    assert -1e-6 <= loss <= 1 + 1e-6


@quick
@given(SEEDS, CLASSES)
def test_special_cases_meet(seed: int, classes: int) -> None:
    logits, truth = draw(seed, classes, (4, 4), ignored=0.2)

    def value(expression: str) -> torch.Tensor:
        return loss_by_name(expression)(logits, truth)

    same = [
        ("focal(gamma=0)", "ce"),
        ("weighted-ce(weights=(" + "3, " * classes + "))", "ce"),
        ("tversky(alpha=.5, beta=.5, smooth=.5)", "dice"),
        ("tversky(alpha=1, beta=1)", "iou"),
        ("focal-tversky(gamma=1)", f"{classes - 1} * tversky"),  # a sum
        ("exp-log(gamma=1, dice_weight=0, ce_weight=1, frequencies=("
         + "1, " * classes + "))", f"{classes**0.5} * ce"),
    ]  # fmt: skip
    if classes == 2:
        same += [
            ("balanced-ce(floor=.5)", "0.5 * ce"),
        ]
        dice = value("dice")
        torch.testing.assert_close(1 - value("iou(smooth=.5)"), (1 - dice) / (1 + dice))
        torch.testing.assert_close(
            value("combo(alpha=.4)"), 0.2 * value("ce") - 0.6 * (1 - dice)
        )
    for one, other in same:
        torch.testing.assert_close(value(one), value(other), msg=f"{one}, {other}")


@quick
@given(SEEDS, CLASSES, st.floats(-50, 50))
def test_only_differences_of_logits_matter(
    seed: int, classes: int, shift: float
) -> None:
    logits, truth = draw(seed, classes, (4, 4))
    for name in LOSSES:
        torch.testing.assert_close(
            loss_of(name, logits + shift, truth),
            loss_of(name, logits, truth),
            rtol=1e-4,
            atol=1e-4,
        )


def test_an_image_of_nothing_known_is_not_averaged_in() -> None:
    logits, truth = draw(5, 3, (4, 4))
    truth[1] = -1
    for name in ("dice", "iou", "tversky", "lovasz", "lovasz-hinge"):
        loss = loss_by_name(f"{name}(per_image=True)")
        torch.testing.assert_close(loss(logits, truth), loss(logits[:1], truth[:1]))
