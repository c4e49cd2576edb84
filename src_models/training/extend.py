"""A net that knows some classes, made ready for more: the old ones stay as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from src_models.catalog import create_net
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from src_models.card import LabelRow, NetSpec, TrainedCard


NEW_RATE = 2e-3  # a learning rate, at least: what is new begins as background


def extend_head(
    net: nn.Module, card: TrainedCard, new_labels: Sequence[LabelRow]
) -> tuple[nn.Module, TrainedCard]:
    """A net with more classes, and its card; the logits of the old classes are the same.

    Every tensor whose size hangs on the number of classes grows. A new class begins as a
    copy of background, so that nothing is called by its name before it is learnt; what
    is new is kept from flowing into what is old.

    Parameters
    ----------
    net : nn.Module
        Not changed.
    new_labels : sequence of LabelRow
        Values K, K+1, …; empty: a copy is returned.

    Raises
    ------
    InputError
        If values or names do not go on where the card's end, or the net has a tensor
        that does not grow with the classes as a convolution, a normalisation or an
        activation does.
    """
    spec, rows = card.net, tuple(new_labels)
    wanted = list(range(spec.classes, spec.classes + len(rows)))
    if [row.value for row in rows] != wanted:
        raise InputError(
            f"{card.title} knows the labels 0 … {spec.classes - 1}; new ones must be "
            f"{spec.classes}, {spec.classes + 1} …, got {[row.value for row in rows]}"
        )
    names = [row.name for row in (*card.labels, *rows)]
    if len(set(names)) < len(names):
        raise InputError(f"{card.title}: two labels have one name ({', '.join(names)})")
    wider = spec.model_copy(update={"classes": spec.classes + len(rows)})
    grown = create_net(wider)
    fresh = grown.state_dict()
    state = {
        name: _grown(name, old, fresh.get(name), spec.classes, len(rows), card.title)
        for name, old in net.state_dict().items()
    }
    grown.load_state_dict(state)
    device = next(net.parameters()).device
    known = {"net": wider, "labels": (*card.labels, *rows)}
    if rows:
        known["binarise"] = "likeliest"  # a threshold tells only two apart
    return grown.to(device).train(net.training), card.model_copy(update=known)


def class_tensors(spec: NetSpec) -> frozenset[str]:
    """Names in the net's ``state_dict`` whose shape hangs on the number of classes."""
    wider = spec.model_copy(update={"classes": spec.classes + 1})
    with torch.device("meta"):
        one, other = create_net(spec).state_dict(), create_net(wider).state_dict()
    return frozenset(
        name
        for name in one
        if name not in other or one[name].shape != other[name].shape
    )


def _grown(
    name: str, old: Tensor, like: Tensor | None, classes: int, more: int, title: str
) -> Tensor:
    """The tensor with `more` classes on each axis that has `classes` of them."""
    if like is None or like.ndim != old.ndim:
        raise _cannot(title, name)
    axes = [at for at in range(old.ndim) if like.shape[at] != old.shape[at]]
    sides = {(old.shape[at], like.shape[at]) for at in axes}
    if not axes:
        return old.clone()
    if axes == [1] and all(more == new - had for had, new in sides):
        # What is said of the classes is read again, the new ones last: not looked at.
        return F.pad(old, (0, 0) * (old.ndim - 2) + (0, more))
    # Axis 0 is what comes out, here and in every layer of the catalogue that has classes.
    if 0 not in axes or sides != {(classes, classes + more)}:
        raise _cannot(title, name)
    new = torch.zeros(like.shape, dtype=old.dtype, device=old.device)
    inner = tuple(slice(0, side) for side in old.shape[1:])
    new[(slice(0, classes), *inner)] = old
    new[(slice(classes, None), *inner)] = old[:1]
    return new


def _cannot(title: str, name: str) -> InputError:
    return InputError(
        f"{title} cannot be given further labels: {name} does not grow with the classes; "
        "train a recipe with all of them"
    )
