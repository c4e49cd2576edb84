"""DANet.

Fu, Liu, Tian, Li, Bao, Fang & Lu, "Dual Attention Network for Scene Segmentation",
CVPR 2019. https://arxiv.org/abs/1809.02983

Shape letters: B batch, C channels, S spatial axes (Y X, or Z Y X), K classes.
"""

from __future__ import annotations

from torch import Tensor, nn

from src_models.blocks import CONV, check_input, crop_to, rise, to_lattice
from src_models.nets.atrous import Layers, Norm, ResNet
from src_models.nets.dual_attention import ChannelAttention, PositionAttention
from src_models.outputs import Auxiliary, Outputs

DROPOUT = {2: nn.Dropout2d, 3: nn.Dropout3d}


class DualAttentionHead(nn.Module):
    """Two branches, one attends to positions and one to channels; their sum answers.

    Parameters
    ----------
    layers : Layers
    c_in, width, classes : int
        Channels of the features, of the branches (a quarter of `c_in` as published), K.
    pool : int
        Of the keys of `PositionAttention`.
    """

    def __init__(
        self, layers: Layers, c_in: int, width: int, classes: int, *, pool: int = 1
    ) -> None:
        super().__init__()

        def branch(attention: nn.Module) -> nn.Sequential:
            return nn.Sequential(
                layers.conv(c_in, width, 3), attention, layers.conv(width, width, 3)
            )

        def classify() -> nn.Sequential:
            ndim = layers.ndim
            return nn.Sequential(DROPOUT[ndim](0.1), CONV[ndim](width, classes, 1))

        self.position = branch(PositionAttention(layers.ndim, width, pool=pool))
        self.channel = branch(ChannelAttention())
        self.fused = classify()
        self.by_position, self.by_channel = classify(), classify()

    def forward(self, x_BCS: Tensor) -> tuple[Tensor, ...]:
        """x_BCS -> logits_BKS fused, and in training by position and by channel too."""
        position, channel = self.position(x_BCS), self.channel(x_BCS)
        fused = self.fused(position + channel)
        if not self.training:
            return (fused,)
        return fused, self.by_position(position), self.by_channel(channel)


class DANet(nn.Module):
    """Logits for every voxel.

    Parameters
    ----------
    ndim : {2, 3}
    in_channels, classes : int
        C of the input, K of the output.
    blocks, stem : tuple of int, int
        Bottlenecks of the ResNet's stages, channels of its stem.
    output_stride : {4, 8}
        Of the grid that is attended to and classified; 8 as published.
    multi_grid : tuple of int
        Dilation of each bottleneck of the last stage.
    width : int
        Channels of the head's branches.
    pool : int
        Voxels an axis of which the keys and values of the attention over positions are
        averages; 1 as published. In 3D every voxel against every other is too much.
    norm : {"batch", "group"}
        "batch" as published; it needs batches of a dozen images.
    """

    def __init__(
        self,
        *,
        ndim: int,
        in_channels: int,
        classes: int,
        blocks: tuple[int, ...] = (3, 4, 23, 3),
        stem: int = 64,
        output_stride: int = 8,
        multi_grid: tuple[int, ...] = (4, 8, 16),
        width: int = 512,
        pool: int = 1,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.ndim, self.in_channels = ndim, in_channels
        layers = Layers(ndim, norm)
        self.encoder = ResNet(
            layers,
            in_channels,
            output_stride,
            blocks=blocks,
            width=stem,
            multi_grid=multi_grid,
        )
        self.head = DualAttentionHead(
            layers, self.encoder.channels, width, classes, pool=pool
        )

    def forward(self, x_BCS: Tensor) -> Tensor | Outputs:
        """x_BCS -> logits_BKS, for any S; to train, with those of each branch."""
        check_input(x_BCS, self.ndim, self.in_channels)
        x = to_lattice(x_BCS)
        _, y = self.encoder(x)
        fused, *alone = (
            crop_to(rise(logits, x.shape[2:]), x_BCS.shape[2:])
            for logits in self.head(y)
        )
        if not self.training:
            return fused
        return Outputs(fused, tuple(Auxiliary(1.0, logits) for logits in alone))
