"""Methods that learn from less than whole masks."""

from __future__ import annotations

from src_models.catalog.card import Result
from src_models.catalog.methods.card import MethodCard

CARDS: tuple[MethodCard, ...] = (
    MethodCard(
        name="scribbles",
        title="Strokes with a regulariser (normalised cut, CRF)",
        theme="Weak supervision",
        paper="Tang et al., CVPR 2018 (normalised cut) and ECCV 2018 (CRF)",
        reference="https://arxiv.org/abs/1804.01346",
        year=2018,
        distinctive="Partial cross entropy on strokes, and beside it a term without "
        "labels: neighbours of one grey should be of one class.",
        fit="supervision.scribbles:fit",
        options="supervision.options:Scribbles",
        choices=(
            "The papers join all pairs of pixels by fast Gaussian filters; here pairs up "
            "to radius voxels apart are joined, in 2D and 3D.",
            "Widths of the kernel are in the unit of the net's own input and in voxels; "
            "the papers' are 15 of 255 and 100 pixels.",
            "The net learns both terms from the start; the first paper trains by partial "
            "cross entropy first.",
            "Every patch holds a marked voxel in its middle half.",
        ),
        results=(
            Result(
                "VOC 2012 val",
                "mIoU",
                "near that of full masks",
                setting="scribbles, DeepLab",
            ),
        ),
    ),
    MethodCard(
        name="scribble-rounds",
        title="Strokes spread by a graph cut in rounds (ScribbleSup)",
        theme="Weak supervision",
        paper="Lin, Dai, Jia, He & Sun, CVPR 2016",
        reference="https://arxiv.org/abs/1604.05144",
        year=2016,
        distinctive="A graph cut over superpixels gives every voxel a label from strokes, "
        "grey and what the net says; the net learns from that, and again.",
        fit="supervision.scribbles:fit_in_rounds",
        options="supervision.options:Propagation",
        choices=(
            "Superpixels are SLIC's, in 2D and 3D; the paper's are of Felzenszwalb and "
            "Huttenlocher.",
            "Squared distances of histograms (25 bins of grey, 10 of slope along each "
            "axis) are divided by their mean over all neighbours of the image, in place "
            "of fixed widths.",
            "A superpixel's own wish is the mean of −log p over its voxels.",
            "More than two labels: expansions until none helps; a minimum cut is SciPy's "
            "maximum flow.",
            "A round begins with the best net of the one before; that of the last round "
            "is given, at its best epoch.",
        ),
        results=(
            Result(
                "VOC 2012 val",
                "mIoU %",
                "63.1",
                setting="scribbles; 68.5 with full masks",
            ),
        ),
    ),
    MethodCard(
        name="points",
        title="Clicks with a prior of objects (What's the Point)",
        theme="Weak supervision",
        paper="Bearman, Russakovsky, Ferrari & Fei-Fei, ECCV 2016",
        reference="https://arxiv.org/abs/1506.02106",
        year=2016,
        distinctive="One click on each object, which classes the image holds, and a prior "
        "of where anything stands out.",
        fit="supervision.points:fit",
        options="supervision.options:Points",
        choices=(
            "The prior, which the paper takes from detectors trained on photographs, is "
            "the geodesic distance from the image's rim across changes of grey (Wei et "
            "al., ECCV 2012).",
            "In a patch the classes with a click count as present, and as absent those "
            "without a click in the whole image; background is always there.",
            "A click is a dot three voxels wide, so that it outlasts the random changes.",
        ),
        results=(
            Result(
                "VOC 2012 val",
                "mIoU %",
                "42.7 – 43",
                setting="one point a class; 29.8 from image labels alone",
            ),
        ),
    ),
)
