"""A net over an image of any size: windows, blended, the argmax streamed.

Shape letters: N images, C channels, S spatial axes (and frames before them, for a net that
reads them together), K classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import chain, combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from src_models.errors import InputError
from src_models.inference.blend import blended, cuts, padded_to
from src_models.inference.intensity import field_of_view, normalise
from src_models.inference.otsu import otsu
from src_models.inference.resample import resample_image, resample_labels, target_shape
from src_models.inference.windows import gaussian, rows_of_windows
from src_models.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from src_models.card import TrainedCard

Labels = npt.NDArray[np.unsignedinteger[Any]]

HALF_ABOVE = 2**30  # bytes of logits in memory from which they are kept in 16 bit


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to run.

    Attributes
    ----------
    device : str
        "cpu", "cuda:0", "mps".
    overlap : float
        Share of a window that neighbours have in common, 0 … <1.
    mirror : bool
        Average over the mirrored views the card allows: slower, a little better.
    half : bool
        Compute in 16 bit where the device is faster in it.
    """

    device: str = "cpu"
    overlap: float = 0.5
    mirror: bool = False
    half: bool = True


def predict(
    net: nn.Module,
    card: TrainedCard,
    images_NCS: npt.NDArray[Any],
    *,
    spacing: tuple[float, ...],
    options: Options | None = None,
) -> Generator[Progress, None, Labels]:
    """Labels (N, *S), each image by itself, on its own grid.

    Parameters
    ----------
    images_NCS : (N, C, *S)
        S as many axes as the net has, oriented as the card says; in the file's units,
        finite. Frames of a sequence, or slices of a volume for a 2D net; sequences, each
        (T, *S), for one that reads frames together.
    spacing : tuple of float
        Of the axes of space, in mm; not looked at where the card has none.

    Yields
    ------
    Progress
        After each window; closing the generator then ends the work.

    Raises
    ------
    InputError
        If channels or axes do not fit, or the device's memory does not suffice.
    """
    options = options or Options()
    want = card.net
    if images_NCS.ndim != want.axes + 2 or images_NCS.shape[1] != want.in_channels:
        came = f"{images_NCS.ndim - 2}D with {images_NCS.shape[1]}"
        raise InputError(
            f"{card.title} reads {want.ndim}D images with {want.in_channels} channel(s)"
            f"{' over time' * want.frames}; got "
            f"{f'the shape {images_NCS.shape}' if want.frames else came}"
        )
    shape = images_NCS.shape[2:]
    out = np.zeros(
        (len(images_NCS), *shape), np.uint8 if want.classes <= 256 else np.uint16
    )
    total = len(images_NCS) * count_windows(card, shape, spacing, options.overlap)
    done = 0
    try:
        net = net.to(options.device).eval()
        for image_CS, target in zip(images_NCS, out, strict=True):
            for _ in _one_image(net, card, image_CS, spacing, options, target):
                done += 1
                yield Progress(done, total, f"window {done} of {total}")
    except torch.OutOfMemoryError:
        raise InputError(
            f"{options.device} has too little free memory for windows of "
            f"{'×'.join(map(str, card.patch))}; close other programs or choose the CPU"
        ) from None
    return out


def count_windows(
    card: TrainedCard,
    shape: tuple[int, ...],
    spacing: tuple[float, ...],
    overlap: float,
) -> int:
    """Windows that one image of that shape takes."""
    inner = target_shape(shape, spacing, card.spacing)
    return len(cuts(card, padded_to(card, inner), overlap))


def _one_image(
    net: nn.Module,
    card: TrainedCard,
    image_CS: npt.NDArray[Any],
    spacing: tuple[float, ...],
    options: Options,
    out: Labels,
) -> Iterator[None]:
    """Fill `out`; yields after each window."""
    inner = target_shape(image_CS.shape[1:], spacing, card.spacing)
    image = resample_image(normalise(image_CS, card.intensity), inner)
    surround = card.intensity.kind == "foreground-zscore"
    seen = field_of_view(image_CS) if surround else np.ones(out.shape, bool)
    if card.binarise == "otsu":
        p = np.zeros(inner, np.float32)
        yield from _fill(net, card, image, options, p)
        p = resample_image(p[None], out.shape)[0]
        out[...] = p > otsu(p[seen])
    else:
        coarse = out if inner == out.shape else np.zeros(inner, out.dtype)
        yield from _fill(net, card, image, options, coarse)
        if coarse is not out:
            out[...] = resample_labels(coarse, out.shape)
    out[~seen] = 0  # nothing is seen there


def _fill(
    net: nn.Module,
    card: TrainedCard,
    image_CS: npt.NDArray[np.float32],
    options: Options,
    out: npt.NDArray[Any],
) -> Iterator[None]:
    """Integers with the argmax, floats with the probability of label 1."""
    if not card.net.frames:
        yield from _stream(net, card, image_CS, options, out)
        return
    asked = partial(said_of, net, card=card, options=options)
    mean_KS = yield from blended(asked, card, image_CS, options.overlap)
    soft = np.issubdtype(out.dtype, np.floating)
    out[...] = (mean_KS.softmax(0)[1] if soft else mean_KS.argmax(0)).numpy()


def _stream(
    net: nn.Module,
    card: TrainedCard,
    image_CS: npt.NDArray[np.float32],
    options: Options,
    out: npt.NDArray[Any],
) -> Iterator[None]:
    """Blend windows row by row along axis 0; a row goes to `out` when it is final.

    Into integers its argmax, into floats the probability of label 1. Only one window's
    depth of logits is held, whatever the image's size. For the argmax the blending
    weights need no dividing: they are the same for all classes of a voxel; else their
    sum is held as one class more.
    """
    window, shape = card.patch, image_CS.shape[1:]
    padded = tuple(max(s, w) for s, w in zip(shape, window, strict=True))
    around = [(0, p - s) for p, s in zip(padded, shape, strict=True)]
    # Mirrored, as patches are in training: replicated edges cost 0.0005 to 0.01 Dice.
    image_CS = np.pad(image_CS, [(0, 0), *around], mode="reflect")
    weights = torch.from_numpy(gaussian(window))
    soft = np.issubdtype(out.dtype, np.floating)
    held = (card.net.classes + soft, window[0], *padded[1:])
    half = 4 * int(np.prod(held)) > HALF_ABOVE
    logits_KS = torch.zeros(held, dtype=torch.float16 if half else torch.float32)
    rows = rows_of_windows(padded, window, options.overlap)
    nexts = [z for z, _ in rows[1:]] + [padded[0]]
    for (z, row), z_next in zip(rows, nexts, strict=True):
        for start in row:
            cut = tuple(slice(a, a + w) for a, w in zip(start, window, strict=True))
            tile = torch.from_numpy(np.ascontiguousarray(image_CS[:, *cut]))
            answer_KS = said_of(net, tile[None], card, options)
            if soft:
                answer_KS = torch.cat([answer_KS, torch.ones(1, *window)])
            logits_KS[:, :, *cut[1:]] += (answer_KS * weights).to(logits_KS.dtype)
            yield
        final = z_next - z
        inside = tuple(slice(0, side) for side in shape[1:])
        done = logits_KS[:, :final, *inside]
        best = (_first(done) if soft else done.argmax(dim=0)).numpy()
        rows_out = out[z : z + final]
        rows_out[...] = best[: len(rows_out)]
        kept = logits_KS[:, final:].clone()
        logits_KS.zero_()[:, : window[0] - final] = kept


def _first(sums_KS: Tensor) -> Tensor:
    """(*S) probability of label 1, from weighted sums of logits and of the weights."""
    *logits, weights = sums_KS.float()
    p_KS: Tensor = (torch.stack(logits) / weights).softmax(0)
    return p_KS[1]


def said_of(
    net: nn.Module, tile: Tensor, card: TrainedCard, options: Options
) -> Tensor:
    """Logits (K, *S) of a tile (1, C, *S), in 32 bit on the CPU."""
    return ask(net, tile, card, options)[0].float().cpu()


@torch.inference_mode()
def ask(nn_: nn.Module, tile: Tensor, card: TrainedCard, options: Options) -> Tensor:
    """Logits of a tile, averaged over its mirrored views if wanted."""
    first = 2 + card.net.frames
    axes = [axis + first for axis in card.mirror_axes] if options.mirror else []
    views = chain.from_iterable(combinations(axes, n) for n in range(len(axes) + 1))
    kind = options.device.partition(":")[0]
    tile = tile.to(options.device)
    total: Tensor | None = None
    with torch.autocast(
        kind, half_type(kind), enabled=options.half and computes_half(kind)
    ):
        for view in views:
            logits: Tensor = nn_(tile.flip(view)).flip(view)
            total = logits if total is None else total + logits
    if total is None:
        raise RuntimeError("the unmirrored view is always there")
    return total


def half_type(kind: str) -> torch.dtype:
    """The 16 bit type of a kind of device."""
    return torch.bfloat16 if kind == "cpu" else torch.float16


def computes_half(kind: str) -> bool:
    """Whether 16 bit is faster there: a GPU, or a CPU with bfloat16 instructions.

    Measured on the CPU: 2.4 × as fast with AMX, far slower without any such instruction.
    """
    if kind != "cpu":
        return kind == "cuda"
    known: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(known.get("amx_bf16") or known.get("avx512_bf16"))
