"""Methods that learn something else beside the masks."""

from __future__ import annotations

from src_models.catalog.card import Result
from src_models.catalog.methods.card import MethodCard

BALANCED = (
    "The losses' weights are fixed, learnt by uncertainty (Kendall, Gal & Cipolla, CVPR "
    "2018; one form for all tasks) or by GradNorm (Chen et al., ICML 2018; its weights "
    "learn at the net's own rate)."
)

CARDS: tuple[MethodCard, ...] = (
    MethodCard(
        name="region-and-contour",
        title="Regions and contours (DCAN)",
        theme="Multi-task",
        paper="Chen, Qi, Yu & Heng, CVPR 2016",
        reference="https://arxiv.org/abs/1604.02677",
        year=2016,
        distinctive="One trunk scores regions and contours; what lies on a contour is "
        "background, so objects that touch come apart.",
        fit="supervision.multitask:fit_contours",
        options="supervision.options:Contours",
        choices=(
            "The net is the catalogue's dcan, whose answer is made of both.",
            "A contour is what lies within radius of an object's outermost voxels; where "
            "a hidden one could be, next to unknown voxels, nothing is asked.",
            "Each level's own scores count with a weight that falls tenfold after each "
            "third of the epochs, to 0.01; the paper's falls every ten thousand steps.",
            "Objects come from the recipe (data.instances), or are the connected pieces "
            "of each structure.",
            BALANCED,
        ),
        results=(
            Result(
                "GlaS 2015 (MICCAI gland challenge)",
                "rank",
                "1 of 13",
                setting="by F1, object Dice and Hausdorff distance",
                source="second hand",
            ),
        ),
    ),
    MethodCard(
        name="distance-map",
        title="Regions and distance maps",
        theme="Multi-task",
        paper="Dangi, Linte & Yaniv, Medical Physics 46(12), 2019",
        reference="https://arxiv.org/abs/1901.01238",
        year=2019,
        distinctive="A decoder of its own begins at the bottom of the net and says how "
        "far each voxel is from each structure's surface; it is gone in use.",
        fit="supervision.multitask:fit_distances",
        options="supervision.options:Distances",
        choices=(
            "Any net of the catalogue that comes down to a coarser grid; the branch "
            "begins at the last layer there.",
            "Distances are signed, in voxels, the same beyond truncate, and divided by "
            "it; their loss is the mean absolute error.",
            "Where an unknown voxel is nearer than the known surface, no distance is "
            "asked for.",
            BALANCED,
        ),
        results=(
            Result(
                "Cardiac cine MR, two public sets",
                "mean Dice",
                "0.84 ± 0.03 / 0.91 ± 0.04",
                setting="over several trunks, each better than without",
                source="second hand",
            ),
        ),
    ),
    MethodCard(
        name="diagnosis-branch",
        title="Masks and a diagnosis (Y-Net)",
        theme="Multi-task",
        paper="Mehta, Mercan, Bartlett, Weaver, Elmore & Shapiro, MICCAI 2018",
        reference="https://arxiv.org/abs/1806.01313",
        year=2018,
        distinctive="A third branch from the bottom of the net says the diagnosis of the "
        "whole image; masks are learnt first, then both.",
        fit="supervision.diagnosis:fit",
        options="supervision.options:Diagnoses",
        choices=(
            "Any net of the catalogue that comes down to a coarser grid, in place of one "
            "of efficient spatial pyramids; the branch is a convolution, the mean over "
            "the grid and two layers.",
            "A patch has the diagnosis of its case; a case's is that of the mean over "
            "its windows.",
            "A case without a diagnosis teaches its masks alone, one without masks its "
            "diagnosis alone.",
            "In use the net gives masks; what the branch says of the validation and "
            "locked cases is in diagnoses.csv.",
            BALANCED,
        ),
    ),
)
