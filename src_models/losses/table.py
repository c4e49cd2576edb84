"""The losses of the review, as a table."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from src_models.losses import options as o
from src_models.losses.boundary import boundary_loss
from src_models.losses.compound import combo_loss, exp_log_loss
from src_models.losses.lovasz import lovasz_hinge, lovasz_softmax
from src_models.losses.overlap import (
    dice_loss,
    focal_tversky_loss,
    generalised_dice_loss,
    iou_loss,
    tversky_loss,
)
from src_models.losses.pixel import (
    balanced_cross_entropy,
    border_cross_entropy,
    cross_entropy,
    focal_loss,
    weighted_cross_entropy,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from src_models.losses.options import Option


@dataclass(frozen=True, slots=True, kw_only=True)
class LossCard:
    """One published loss.

    Attributes
    ----------
    function : callable
        (logits (B, K, *S), labels (B, *S), *, one keyword for each map and option) → a
        number.
    when : str
        One sentence: what it is good for.
    options : mapping
        Keyword → what it may be.
    maps : tuple of str
        Keys of `src_models.data.maps.MAPS` that the data loader must make for it.
    lowest : float or None
        The least value it can take with its default options, whatever the batch; None:
        there is none.
    """

    name: str
    title: str
    paper: str
    reference: str
    when: str
    function: Callable[..., Tensor]
    options: Mapping[str, Option]
    maps: tuple[str, ...] = ()
    lowest: float | None = 0.0


PLACE = {"per_image": o.FLAG, "background": o.FLAG}
REGION = {"smooth": o.NOT_NEGATIVE, **PLACE}
TVERSKY = {"alpha": o.NOT_NEGATIVE, "beta": o.NOT_NEGATIVE, **REGION}
WEIGHTED_BY = o.one_of("weights", "voxels")

LOSSES: Mapping[str, LossCard] = MappingProxyType(
    {
        card.name: card
        for card in (
            LossCard(
                name="ce",
                title="Cross entropy",
                paper="Long, Shelhamer & Darrell, CVPR 2015, section 4",
                reference="https://arxiv.org/abs/1411.4038",
                when="The first choice where classes are about equally frequent, and a "
                "steady partner of the losses of regions.",
                function=cross_entropy,
                options={},
            ),
            LossCard(
                name="weighted-ce",
                title="Weighted cross entropy",
                paper="Ronneberger, Fischer & Brox, MICCAI 2015, section 3",
                reference="https://arxiv.org/abs/1505.04597",
                when="Some classes are rare, or some mistakes cost more than others.",
                function=weighted_cross_entropy,
                options={"weights": o.WEIGHTS, "normalise": WEIGHTED_BY},
            ),
            LossCard(
                name="balanced-ce",
                title="Class-balanced cross entropy (HED)",
                paper="Xie & Tu, ICCV 2015, section 2.2",
                reference="https://arxiv.org/abs/1504.06375",
                when="Thin things such as edges or vessels, whose share differs much "
                "from image to image.",
                function=balanced_cross_entropy,
                options={"normalise": o.one_of("voxels", "sum"), "floor": o.HALF},
            ),
            LossCard(
                name="border-ce",
                title="Border-weighted cross entropy (U-Net)",
                paper="Ronneberger, Fischer & Brox, MICCAI 2015, section 3",
                reference="https://arxiv.org/abs/1505.04597",
                when="Objects that touch, such as cells, must come out apart.",
                function=border_cross_entropy,
                options={"normalise": WEIGHTED_BY},
                maps=("border",),
            ),
            LossCard(
                name="focal",
                title="Focal loss",
                paper="Lin, Goyal, Girshick, He & Dollár, ICCV 2017, section 3",
                reference="https://arxiv.org/abs/1708.02002",
                when="Most voxels are easy and drown the hard ones; for tiny lesions "
                "with alpha above 0.5.",
                function=focal_loss,
                options={
                    "gamma": o.NOT_NEGATIVE,
                    "alpha": o.SHARE_OR_NONE,
                    "normalise": o.one_of("voxels", "foreground"),
                },
            ),
            LossCard(
                name="dice",
                title="Dice",
                paper="Milletari, Navab & Ahmadi, 3DV 2016, section 3 (squared); "
                "Drozdzal et al., DLMIA 2016 (plain)",
                reference="https://arxiv.org/abs/1606.04797",
                when="The first choice for small structures on much background; best "
                "together with ce.",
                function=dice_loss,
                options={**REGION, "squared": o.FLAG},
            ),
            LossCard(
                name="generalised-dice",
                title="Generalised Dice",
                paper="Sudre, Li, Vercauteren, Ourselin & Cardoso, DLMIA 2017, "
                "section 2.1",
                reference="https://arxiv.org/abs/1707.03237",
                when="More than three classes of very different volumes.",
                function=generalised_dice_loss,
                options={"per_image": o.FLAG},
            ),
            LossCard(
                name="iou",
                title="Soft Jaccard",
                paper="Rahman & Wang, ISVC 2016",
                reference="https://doi.org/10.1007/978-3-319-50835-1_22",
                when="Results are ranked by IoU; it orders results as dice does, with a "
                "steeper slope near the goal.",
                function=iou_loss,
                options=REGION,
            ),
            LossCard(
                name="tversky",
                title="Tversky",
                paper="Salehi, Erdogmus & Gholipour, MLMI 2017, section 2",
                reference="https://arxiv.org/abs/1706.05721",
                when="Missing a lesion is worse than marking too much (beta above "
                "alpha), or the other way round.",
                function=tversky_loss,
                options=TVERSKY,
            ),
            LossCard(
                name="focal-tversky",
                title="Focal Tversky",
                paper="Abraham & Khan, ISBI 2019, section 2",
                reference="https://arxiv.org/abs/1810.07842",
                when="As tversky, where it stalls on small lesions; change to plain "
                "tversky for the last epochs.",
                function=focal_tversky_loss,
                options={**TVERSKY, "gamma": o.POSITIVE},
            ),
            LossCard(
                name="exp-log",
                title="Exponential logarithmic loss",
                paper="Wong, Moradi, Tang & Syeda-Mahmood, MICCAI 2018, section 2",
                reference="https://arxiv.org/abs/1809.00076",
                when="Many structures from very small to very large; gamma=1 if the "
                "start is unstable.",
                function=exp_log_loss,
                options={
                    "gamma": o.POSITIVE,
                    "dice_weight": o.NOT_NEGATIVE,
                    "ce_weight": o.NOT_NEGATIVE,
                    "frequencies": o.FREQUENCIES,
                },
            ),
            LossCard(
                name="lovasz-hinge",
                title="Lovász hinge",
                paper="Yu & Blaschko, ICML 2015; Berman, Rannen Triki & Blaschko, "
                "CVPR 2018",
                reference="https://arxiv.org/abs/1705.08790",
                when="Fine-tuning for the IoU of one structure, after ce.",
                function=lovasz_hinge,
                options={"per_image": o.FLAG},
            ),
            LossCard(
                name="lovasz",
                title="Lovász-softmax",
                paper="Berman, Rannen Triki & Blaschko, CVPR 2018",
                reference="https://arxiv.org/abs/1705.08790",
                when="Fine-tuning for the mean IoU, after ce or beside it.",
                function=lovasz_softmax,
                options={
                    "classes": o.one_of("present", "all"),
                    "per_image": o.FLAG,
                },
            ),
            LossCard(
                name="boundary",
                title="Boundary loss",
                paper="Kervadec et al., MIDL 2019, section 2",
                reference="https://arxiv.org/abs/1812.07032",
                when="The surface must be right and the structure is small; only "
                "beside a loss of regions: fall*generalised-dice + rise*boundary.",
                function=boundary_loss,
                options={},
                maps=("distance",),
                lowest=None,
            ),
            LossCard(
                name="combo",
                title="Combo loss",
                paper="Taghanaki et al., Comput. Med. Imaging Graph. 75, 2019",
                reference="https://arxiv.org/abs/1805.02798",
                when="As dice + ce, with one knob for their shares and one for missed "
                "against false voxels.",
                function=combo_loss,
                options={
                    "alpha": o.SHARE,
                    "beta": o.SHARE,
                    "smooth": o.NOT_NEGATIVE,
                },
                lowest=-0.5,
            ),
        )
    }
)
