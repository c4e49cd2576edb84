"""A threshold between two kinds of values, found from the values themselves.

Otsu, "A threshold selection method from gray-level histograms", IEEE Transactions on
Systems, Man and Cybernetics 9, 1979, 62-66. https://doi.org/10.1109/TSMC.1979.4310076
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

BINS = 256


def otsu(p: npt.NDArray[Any]) -> float:
    """The threshold above which probabilities count as the structure.

    The edge between two of 256 bins in [0, 1] where the two sides' means differ most,
    their squared difference weighed by the product of their shares; where several edges
    do as well, since nothing lies between them, the middle of these.

    Parameters
    ----------
    p : array of any shape
        In [0, 1].

    Returns
    -------
    float
        In (0, 1); 0.5 where there are no values, or all lie in one bin: then there are
        no two kinds to tell apart.
    """
    counts, edges = np.histogram(p, BINS, (0, 1))
    if np.count_nonzero(counts) < 2:
        return 0.5
    middles = (edges[:-1] + edges[1:]) / 2
    below, total = np.cumsum(counts), counts.sum()
    above = total - below
    sums = np.cumsum(counts * middles)
    # The last bin has nothing above it.
    low = sums[:-1] / np.maximum(below[:-1], 1)
    high = (sums[-1] - sums[:-1]) / np.maximum(above[:-1], 1)
    between = below[:-1] * above[:-1] * (high - low) ** 2.0
    best = edges[1:-1][between == between.max()]
    return float((best[0] + best[-1]) / 2)
