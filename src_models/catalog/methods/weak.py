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
            "al., ECCV 2012), changes up to the median left out, 1 from half of its 99th "
            "percentile on.",
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
    MethodCard(
        name="boxes",
        title="Boxes whose content is cut out in rounds (DeepCut)",
        theme="Weak supervision",
        paper="Rajchl et al., IEEE TMI 36(2), 2017",
        reference="https://arxiv.org/abs/1605.07866",
        year=2017,
        distinctive="A box is learnt as if it were the object; what the net says, smoothed "
        "within what is of one grey, replaces it inside the box, and again.",
        fit="supervision.boxes:fit",
        options="supervision.options:Boxes",
        choices=(
            "Any net of the catalogue, in place of one that classifies patches.",
            "The CRF is a mean field over neighbours up to radius voxels apart, with the "
            "kernel of grey and place alone; the paper's is over all pairs.",
            "Several structures: inside a box are only its own and background.",
            "Each box keeps a least share of the structure, so that none vanishes.",
            "A round begins with the best net of the one before, by the validation "
            "cases' masks; that of the last round is given.",
        ),
    ),
    MethodCard(
        name="size-constraints",
        title="Strokes and sizes (constrained-CNN loss)",
        theme="Weak supervision",
        paper="Kervadec et al., Medical Image Analysis 54, 2019",
        reference="https://arxiv.org/abs/1805.04628",
        year=2019,
        distinctive="Partial cross entropy on a few strokes, and a penalty once a "
        "structure is smaller or larger than it is known to be.",
        fit="supervision.sizes:fit",
        options="supervision.options:Sizes",
        choices=(
            "A size is that of the whole image, in 3D of the whole volume; the paper's "
            "is that of a slice.",
            "Each patch is one whole image; random changes of scale must be off.",
            "A structure without a stroke in an image may be absent there: only its most "
            "counts.",
            "The squared voxels are divided by the image's number of voxels.",
        ),
    ),
    MethodCard(
        name="mean-teacher",
        title="Unlabelled scans by a mean teacher",
        theme="Weak supervision",
        paper="Perone & Cohen-Adad, DLMIA 2018; Tarvainen & Valpola, NeurIPS 2017",
        reference="https://arxiv.org/abs/1807.04657",
        year=2018,
        distinctive="The student should say of a changed scan what its own average says "
        "of the scan, changed in the same way afterwards.",
        fit="supervision.teacher:fit",
        options="supervision.options:Teacher",
        choices=(
            "Student and teacher differ by a turn and a change of scale (the recipe's "
            "ranges) and by the student's changes of grey; mirrors and elastic changes "
            "are left to the labelled patches.",
            "The difference is the mean square of probabilities, where the changed patch "
            "has a source; its weight rises by exp(−5 (1 − t)²).",
            "Each step has as many unlabelled patches as labelled ones.",
            "What is given is the average of the student by the recipe's own decay.",
        ),
    ),
)
