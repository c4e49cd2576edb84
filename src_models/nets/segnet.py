"""SegNet and SegNet-Basic.

Badrinarayanan, Kendall & Cipolla, "SegNet: A Deep Convolutional Encoder-Decoder
Architecture for Image Segmentation", PAMI 2017. https://arxiv.org/abs/1511.00561

Shape letters: B batch, C channels, S spatial axes (Y X, or Z Y X), K classes.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.conv import _ConvNd

from src_models.blocks import BATCH_NORM, CONV, POOL, check_input

UNPOOL = {2: F.max_unpool2d, 3: F.max_unpool3d}


def group_norm(channels: int) -> nn.Module:
    """Over four groups of channels: where all is pooled to one voxel, it says something.

    Instance normalisation would leave nothing of that voxel, and no skip goes round it.
    """
    return nn.GroupNorm(4, channels)


class SegNet(nn.Module):
    """Logits for every voxel.

    Each pool remembers where its maxima were; the decoder puts its values back to those
    places, zeros between them, and convolves. No feature map crosses over.

    Parameters
    ----------
    ndim : {2, 3}
    in_channels, classes : int
        C of the input, K of the output.
    widths : tuples of int
        Channels after each convolution of each level, finest first; those of one level
        are equal, since what is unpooled has the channels of what was pooled.
    basic : bool
        SegNet-Basic: kernels of 7 instead of 3, the input normalised over its channels,
        no ReLU in the decoder, and a 1-wide last convolution of its own.
    batch_norm : bool
        After each convolution, as published; else group normalisation.
    """

    def __init__(
        self,
        *,
        ndim: int,
        in_channels: int,
        classes: int,
        widths: tuple[tuple[int, ...], ...],
        basic: bool = False,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        self.ndim, self.in_channels = ndim, in_channels
        conv, norm = CONV[ndim], BATCH_NORM[ndim] if batch_norm else group_norm
        kernel = 7 if basic else 3

        def convs(channels: tuple[int, ...], *, relu: bool) -> nn.Sequential:
            layers: list[nn.Module] = []
            for a, b in pairwise(channels):
                layers += [conv(a, b, kernel, padding=kernel // 2), norm(b)]
                layers += [nn.ReLU(inplace=True)] * relu
            return nn.Sequential(*layers)

        self.halves = (2,) * ndim
        self.normalise = nn.LocalResponseNorm(5) if basic else nn.Identity()
        self.pool = POOL[ndim](2, ceil_mode=True, return_indices=True)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        above = in_channels
        for level in widths:
            self.down.append(convs((above, *level), relu=True))
            # The last convolution before the next unpool goes to that level's channels;
            # at the finest level it is the head, or SegNet-Basic's one more.
            last = (above,) if self.up else (level[-1],) * basic
            self.up.append(convs((*level, *last), relu=not basic))
            above = level[-1]
        finest = widths[0][-1]
        head = 1 if basic else 3
        self.head = conv(finest, classes, head, padding=head // 2)
        for layer in self.modules():
            if isinstance(layer, _ConvNd):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> logits_BKS, for any S."""
        check_input(x_BCS, self.ndim, self.in_channels)
        y = self.normalise(x_BCS)
        pooled: list[tuple[Tensor, list[int]]] = []
        for down in self.down:
            y = down(y)
            shape = list(y.shape[2:])  # 45 and 46 are both pooled to 23
            y, places = self.pool(y)
            pooled.append((places, shape))
        for up in reversed(self.up):
            places, shape = pooled.pop()
            y = up(UNPOOL[self.ndim](y, places, self.halves, output_size=shape))
        logits_BKS: Tensor = self.head(y)
        return logits_BKS
