"""PASCAL VOC 2012, the test set on which most systems of the review were compared.

One mean intersection over union of one 21 × 21 confusion matrix, the void label left out.
Rows with and without extra training data must not be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from src_models.catalog.card import Source


@dataclass(frozen=True, slots=True)
class VocRow:
    """A published figure.

    Attributes
    ----------
    miou : float
        In per cent.
    extra_data : str
        What it was trained on besides VOC and ImageNet; "none" if it is said that
        there was nothing, "–" if nothing is said.
    afterwards : str
        What was done to the net's answer, e.g. "CRF".
    system : str
        Name in the catalogue; "" for what the catalogue does not hold.
    """

    method: str
    miou: float
    extra_data: str
    afterwards: str = ""
    source: Source = "second hand"
    system: str = ""


VOC2012 = (
    VocRow("FCN-8s, CVPR 2015", 62.2, "–", system="fcn8s"),
    VocRow("FCN-8s, PAMI release", 67.2, "SBD", "", "the authors' release", "fcn8s"),
    VocRow("SegNet, leaderboard", 59.9, "–", "", "recalled", "segnet"),
    VocRow("SegNet, later paper", 59.1, "–", "", "recalled", "segnet"),
    VocRow("DeepLab", 71.6, "–", "CRF"),
    VocRow("DeepLab", 72.7, "COCO", "CRF"),
    VocRow("Dilated convolutions, front end", 71.3, "COCO"),
    VocRow("Dilated convolutions, with context", 73.5, "COCO"),
    VocRow("Dilated convolutions, with context", 74.7, "COCO", "CRF"),
    VocRow("Dilated convolutions, with context", 75.3, "COCO", "CRF-RNN"),
    VocRow("CRF-RNN", 72.0, "–", "CRF"),
    VocRow("CRF-RNN", 74.7, "COCO", "CRF"),
    VocRow("DeconvNet, with FCN", 72.5, "–", "CRF"),
    VocRow("DeconvNet, later entry", 74.8, "–", "CRF"),
    VocRow("DPN", 74.1, "–"),
    VocRow("DPN", 77.5, "COCO"),
    VocRow("BoxSup", 75.2, "COCO boxes"),
    VocRow("Attention to Scale", 75.7, "COCO", "CRF", system="attention-to-scale"),
    # Another system: with a learnt domain transform.
    VocRow("Attention to Scale, DT", 76.3, "COCO", "domain transform"),
    VocRow("DeepLabv2, ResNet-101", 79.7, "COCO", "CRF"),
    VocRow("G-FRNet", 79.3, "–"),
    VocRow("GCN", 82.2, "COCO"),
    VocRow("GCN, later entry", 83.6, "COCO"),
    VocRow("DANet", 82.6, "none", system="danet"),
    VocRow("PSPNet", 82.6, "none"),
    VocRow("PSPNet", 85.4, "COCO"),
    VocRow("RefineNet", 83.4, "COCO"),
    VocRow("RefineNet, later entry", 84.2, "COCO"),
    VocRow("PAN", 84.0, "none", system="pan"),
    VocRow("DeepLabv3", 85.7, "COCO"),
    VocRow("DeepLabv3", 86.9, "COCO, JFT-300M"),
    VocRow("SDN", 86.6, "COCO"),
    VocRow("DIS", 86.8, "COCO"),
    VocRow("DeepLabv3+, Xception", 87.8, "COCO", system="deeplabv3-plus"),
    VocRow("DeepLabv3+, Xception", 89.0, "COCO, JFT-300M", system="deeplabv3-plus"),
)
