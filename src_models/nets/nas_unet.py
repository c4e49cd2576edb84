"""NAS-Unet.

Weng, Zhou, Li & Qiu, "NAS-Unet: Neural Architecture Search for Medical Image
Segmentation", IEEE Access 7, 2019. https://doi.org/10.1109/ACCESS.2019.2908991

Shape letters: B batch, C channels, S spatial axes (Y X, or Z Y X), K classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from src_models.nets.nas_cells import Cell, Operations, Skeleton
from src_models.nets.nas_genotype import as_genotype

if TYPE_CHECKING:
    from src_models.nets.nas_genotype import Genotype, Kind

STEM = 4  # times the channels of a node


class NASUNet(Skeleton):
    """Logits for every voxel, by the two cells of a genotype.

    Parameters
    ----------
    ndim : {2, 3}
        Cells found in 2D serve in 3D, with operations of three axes.
    in_channels, classes : int
        C of the input, K of the output.
    genotype : Genotype, {"v1", "v2", "v3"} or dict
        One that a search has found, also as `Genotype.to_dict` gives it (the form of a
        recipe), or one of the published.
    channels : int
        Of each node, the same at every depth.
    depth : int
        Cells on the way down; there is one more on the way up.
    """

    def __init__(
        self,
        *,
        ndim: int,
        in_channels: int,
        classes: int,
        genotype: Genotype | str | dict[str, Any] = "v2",
        channels: int = 32,
        depth: int = 5,
    ) -> None:
        genes = as_genotype(genotype)
        operations = Operations(ndim)

        def make_cell(kind: Kind, c0: int, c1: int) -> Cell:
            nodes = genes.down if kind == "down" else genes.up
            return Cell(operations, kind, nodes, c0, c1, channels)

        super().__init__(
            make_cell,
            ndim=ndim,
            in_channels=in_channels,
            classes=classes,
            depth=depth,
            stem=STEM * channels,
            widths=(len(genes.down) * channels, len(genes.up) * channels),
        )
