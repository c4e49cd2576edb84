"""How good a segmentation is, in numbers that say their unit and their empty cases.

>>> report = score_all(prediction, reference, spacing=(2.5, 0.8, 0.8))  # z, y, x in mm
>>> report.rows[0].dice, report.mean["hd95"]

or piece by piece: `dice(counts(a, b))`, `hd95(surface_distances(a, b, spacing))`.
Nothing here needs torch; scipy is imported when the first score is taken.
"""

from src_models.metrics.agreement import BlandAltman, Paired, bland_altman, paired
from src_models.metrics.boundary import boundary_counts
from src_models.metrics.columns import COLUMNS, DEFINITIONS, Column
from src_models.metrics.interval import Interval, bootstrap
from src_models.metrics.maps import false_labels, surface_map
from src_models.metrics.objects import Detection, Match, detect, objects
from src_models.metrics.overlap import (
    Case,
    Counts,
    counts,
    dice,
    iou,
    precision,
    sensitivity,
    specificity,
)
from src_models.metrics.report import LabelScore, Report
from src_models.metrics.scoring import score, score_all
from src_models.metrics.slices import SliceScores, slice_scores, slice_scores_all
from src_models.metrics.surface import (
    SurfaceDistances,
    assd,
    hausdorff,
    hd95,
    nsd,
    pooled,
    surface_distances,
)

__all__ = [
    "COLUMNS",
    "DEFINITIONS",
    "BlandAltman",
    "Case",
    "Column",
    "Counts",
    "Detection",
    "Interval",
    "LabelScore",
    "Match",
    "Paired",
    "Report",
    "SliceScores",
    "SurfaceDistances",
    "assd",
    "bland_altman",
    "bootstrap",
    "boundary_counts",
    "counts",
    "detect",
    "dice",
    "false_labels",
    "hausdorff",
    "hd95",
    "iou",
    "nsd",
    "objects",
    "paired",
    "pooled",
    "precision",
    "score",
    "score_all",
    "sensitivity",
    "slice_scores",
    "slice_scores_all",
    "specificity",
    "surface_distances",
    "surface_map",
]
