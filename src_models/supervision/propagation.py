"""Strokes spread over the image by a graph cut over superpixels.

Lin, Dai, Jia, He & Sun, "ScribbleSup: Scribble-Supervised Convolutional Networks for
Semantic Segmentation", CVPR 2016, section 3. https://arxiv.org/abs/1604.05144
Boykov, Veksler & Zabih, "Fast approximate energy minimization via graph cuts", IEEE TPAMI
23(11), 2001: one expansion a label, until none helps; exact for two labels.

Shape letters: C channels, K labels, S spatial axes, N superpixels, E pairs of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow
from skimage.segmentation import slic

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
GREYS, SLOPES = 25, 10  # bins of the histograms, as in the paper
COMPACT = 0.1  # SLIC's weight of nearness against grey in −1 … 1
NEVER = 1e3  # a cost that no saving outweighs
FINE = 1e4  # whole numbers to one unit of cost


def superpixels(image_CS: npt.NDArray[np.floating[Any]], voxels: int) -> Ints:
    """(*S) numbers from 0: pieces of about so many voxels that are of one grey."""
    low, high = np.percentile(image_CS, [1, 99])
    scaled = np.clip((image_CS - low) / max(high - low, 1e-6), 0, 1) * 2 - 1
    pieces = slic(
        scaled,
        n_segments=max(1, image_CS[0].size // voxels),
        compactness=COMPACT,
        channel_axis=0,
        start_label=0,
        convert2lab=False,
    )
    _, whole = np.unique(pieces, return_inverse=True)
    found: Ints = whole.reshape(pieces.shape).astype(np.int64)
    return found


def likeness(
    image_CS: npt.NDArray[np.floating[Any]], pieces_S: Ints
) -> tuple[Ints, Floats]:
    """Neighbouring superpixels (E, 2), and how alike each two are (E,), in (0, 1].

    exp(−d_grey / mean − d_slope / mean) of squared distances of their histograms of grey
    and of its slope along each axis; a mean is over all neighbours of the image.
    """
    edges = _neighbours(pieces_S)
    if not len(edges):
        return edges, np.zeros(0)
    total = np.zeros(len(edges))
    grey = np.concatenate([_histograms(one, pieces_S, GREYS) for one in image_CS], 1)
    slopes = np.concatenate(
        [
            _histograms(ndimage.sobel(one, axis), pieces_S, SLOPES)
            for one in image_CS.astype(float)
            for axis in range(one.ndim)
        ],
        1,
    )
    for features in (grey, slopes):
        apart = np.square(features[edges[:, 0]] - features[edges[:, 1]]).sum(1)
        total += apart / max(apart.mean(), 1e-9)
    alike: Floats = np.exp(-total)
    return edges, alike


def _neighbours(pieces_S: Ints) -> Ints:
    found = []
    for axis in range(pieces_S.ndim):
        moved = np.moveaxis(pieces_S, axis, 0)
        pair = np.stack([moved[:-1].ravel(), moved[1:].ravel()], 1)
        found.append(np.sort(pair[pair[:, 0] != pair[:, 1]], 1))
    edges: Ints = np.unique(np.concatenate(found), axis=0)
    return edges


def _histograms(values_S: npt.NDArray[Any], pieces_S: Ints, bins: int) -> Floats:
    """(N, bins), each row of sum 1; bins of equal width from the 1st to the 99th %."""
    low, high = np.percentile(values_S, [1, 99])
    at = ((values_S - low) / max(high - low, 1e-9) * bins).clip(0, bins - 1).astype(int)
    count = int(pieces_S.max()) + 1
    flat = np.bincount((pieces_S * bins + at).ravel(), minlength=count * bins)
    rows: Floats = flat.reshape(count, bins) / flat.reshape(count, bins).sum(1)[:, None]
    return rows


def cut(costs_NK: Floats, edges: Ints, weights: Floats) -> Ints:
    """(N,) labels of low cost: Σ costs[i, y_i] + Σ weights over edges of unlike ends.

    Weights must be ≥ 0. The least cost for two labels; else no single label's expansion
    lowers it.
    """
    labels: Ints = costs_NK.argmin(1)
    best = energy(labels, costs_NK, edges, weights)
    while True:
        before = best
        for alpha in range(costs_NK.shape[1]):
            tried = _expanded(labels, alpha, costs_NK, edges, weights)
            reached = energy(tried, costs_NK, edges, weights)
            if reached < best - 1 / FINE:
                labels, best = tried, reached
        if best == before:
            return labels


def energy(labels: Ints, costs_NK: Floats, edges: Ints, weights: Floats) -> float:
    """What `cut` makes small."""
    own = costs_NK[np.arange(len(labels)), labels].sum()
    return float(own + weights[labels[edges[:, 0]] != labels[edges[:, 1]]].sum())


def _expanded(
    labels: Ints, alpha: int, costs_NK: Floats, edges: Ints, weights: Floats
) -> Ints:
    """The cheapest of all ways to change any labels to alpha: one minimum cut.

    Source side keeps its label. Pairs are split as in Kolmogorov & Zabih, "What energy
    functions can be minimized via graph cuts?", IEEE TPAMI 26(2), 2004, theorem 4.1.
    """
    count = len(labels)
    one, other = edges[:, 0], edges[:, 1]
    keep_both = weights * (labels[one] != labels[other])
    keep_one = weights * (labels[one] != alpha)
    keep_other = weights * (labels[other] != alpha)
    # Cost of becoming alpha, less that of staying.
    change = costs_NK[:, alpha] - costs_NK[np.arange(count), labels]
    np.add.at(change, one, keep_other - keep_both)
    np.add.at(change, other, -keep_other)
    source, sink = count, count + 1
    nodes = np.arange(count)
    ends = [
        (np.full(count, source), nodes, np.maximum(change, 0)),
        (nodes, np.full(count, sink), np.maximum(-change, 0)),
        (one, other, keep_one + keep_other - keep_both),
    ]
    tails, heads, sizes = (np.concatenate(part) for part in zip(*ends, strict=True))
    whole = np.round(sizes * FINE).astype(np.int32)
    graph = csr_array(coo_array((whole, (tails, heads)), shape=(count + 2, count + 2)))
    flow = maximum_flow(graph, source, sink).flow
    left = csr_array(graph - flow)
    left.data = np.maximum(left.data, 0)
    left.eliminate_zeros()
    stays = breadth_first_order(left, source, return_predecessors=False)
    found = np.full(count, alpha, dtype=np.int64)
    kept = stays[stays < count]
    found[kept] = labels[kept]
    return found


def spread(
    marks_S: npt.NDArray[Any],
    image_CS: npt.NDArray[np.floating[Any]],
    log_p_KS: npt.NDArray[np.floating[Any]] | None,
    *,
    voxels: int,
    smooth: float,
) -> npt.NDArray[np.int16]:
    """(*S) a label for every voxel, of those that are marked; marks stay.

    `log_p_KS`: what a net says; None before there is one. Without any mark all stays
    unknown.
    """
    kinds = np.unique(marks_S[marks_S >= 0])
    if not len(kinds):
        return marks_S.astype(np.int16)
    pieces = superpixels(image_CS, voxels)
    costs = np.zeros((int(pieces.max()) + 1, len(kinds)))
    sizes = np.bincount(pieces.ravel())
    if log_p_KS is not None:
        for at, kind in enumerate(kinds):
            said = np.bincount(pieces.ravel(), -log_p_KS[kind].ravel().astype(float))
            costs[:, at] = said / sizes
    marked = np.stack(
        [np.bincount(pieces[marks_S == kind], minlength=len(sizes)) for kind in kinds],
        1,
    )
    held = marked.max(1) > 0
    costs[held] = NEVER
    costs[held, marked[held].argmax(1)] = 0
    edges, alike = likeness(image_CS, pieces)
    found = kinds[cut(costs, edges, smooth * alike)][pieces]
    labels: npt.NDArray[np.int16] = np.where(marks_S >= 0, marks_S, found)
    return labels.astype(np.int16)
