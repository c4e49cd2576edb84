"""ASDNet: its segmentor.

Nie, Gao, Wang & Shen, "ASDNet: Attention Based Semi-supervised Deep Networks for Medical
Image Segmentation", MICCAI 2018. https://doi.org/10.1007/978-3-030-00937-3_43
Layers as in the authors' release, https://github.com/ginobilinie/asdnet

The paper's attention comes from a confidence network and acts on the loss alone: the
segmentor reads the image and nothing else, in training as in use. The network and what
follows from its map are in `src_models.nets.confidence`.

Shape letters: B batch, C channels, S spatial axes (Y X, or Z Y X), K classes.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from src_models.blocks import CONV, LINEAR, POOL, UP, check_input, crop_to, to_multiple
from src_models.nets.atrous import Layers, Norm
from src_models.outputs import Auxiliary, Outputs

DROPOUT = {2: nn.Dropout2d, 3: nn.Dropout3d}
RATES = (1, 1, 2)  # of the units after each pool
SIDE_WEIGHTS = (0.4, 0.2)  # of the scores at half, then at a quarter of the resolution


class Unit(nn.Module):
    """Narrow to half, convolve, widen; added to the input, or to a projection of it."""

    def __init__(
        self, layers: Layers, c_in: int, c_out: int, *, rate: int = 1, project: bool
    ) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            layers.conv(c_in, c_out // 2),
            layers.conv(c_out // 2, c_out // 2, 3, rate=rate),
            layers.conv(c_out // 2, c_out, relu=False),
        )
        self.shortcut = (
            layers.conv(c_in, c_out, relu=False) if project else nn.Identity()
        )

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> y_BCS."""
        return F.relu(self.convs(x_BCS) + self.shortcut(x_BCS))


class Rise(nn.Module):
    """Twice as large, by a learnt kernel; what the encoder had there is added."""

    def __init__(self, layers: Layers, c_in: int, c_out: int) -> None:
        super().__init__()
        up = UP[layers.ndim](c_in, c_out, 4, stride=2, padding=1, bias=False)
        self.up = nn.Sequential(up, layers.normed(c_out), nn.ReLU(inplace=True))

    def forward(self, x_BCS: Tensor, skip_BCS: Tensor) -> Tensor:
        """x_BCS, skip_BCS of twice its sides -> y_BCS of those sides."""
        return F.relu(self.up(x_BCS) + skip_BCS)


class ASDNet(nn.Module):
    """Logits for every voxel, at the input's size.

    Of the release's nets it is the residual one with deep supervision. Biases before a
    normalisation, which cannot matter, are left out, and so are normalisation and ReLU
    of the scores of deep supervision, which keep a logit from being negative.

    Parameters
    ----------
    ndim : {2, 3}
    in_channels, classes : int
        C of the input, K of the output.
    widths : tuple of int
        Channels of the four levels, finest first; multiples of 16.
    norm : {"batch", "group"}
        After each convolution but those of the scores; "batch" as released.
    dropout : float
        Of whole maps, after each pool.
    """

    stride = 8

    def __init__(
        self,
        *,
        ndim: int,
        in_channels: int,
        classes: int,
        widths: tuple[int, int, int, int] = (32, 64, 128, 256),
        norm: Norm = "batch",
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.ndim, self.in_channels = ndim, in_channels
        layers, finest = Layers(ndim, norm), widths[0]
        self.stem = nn.Sequential(
            layers.conv(in_channels, finest, 3),
            Unit(layers, finest, finest, project=True),
        )
        self.pool = nn.Sequential(
            POOL[ndim](3, stride=2, padding=1), DROPOUT[ndim](dropout)
        )
        self.down = nn.ModuleList(
            Unit(layers, above, below, rate=rate, project=True)
            for (above, below), rate in zip(pairwise(widths), RATES, strict=True)
        )
        self.up, self.join = nn.ModuleList(), nn.ModuleList()
        for below, level in pairwise(reversed(widths)):
            self.up.append(Rise(layers, below, level))
            self.join.append(
                nn.Sequential(
                    Unit(layers, level, level, project=False),
                    Unit(layers, level, level, project=True),
                )
            )
        self.head = CONV[ndim](finest, classes, 1)
        self.side = nn.ModuleList(CONV[ndim](c, classes, 1) for c in widths[1:3])
        for head in (self.head, *self.side):
            nn.init.xavier_uniform_(head.weight, gain=2**0.5)
            nn.init.zeros_(head.bias)

    def forward(self, x_BCS: Tensor) -> Tensor | Outputs:
        """x_BCS -> logits_BKS, for any S; in training with the scores of two levels."""
        check_input(x_BCS, self.ndim, self.in_channels)
        x, spatial = to_multiple(x_BCS, self.stride), x_BCS.shape[2:]
        skips = [self.stem(x)]
        for down in self.down:
            skips.append(down(self.pool(skips[-1])))
        maps = [skips.pop()]
        for up, join in zip(self.up, self.join, strict=True):
            maps.append(join(up(maps[-1], skips.pop())))
        _, quarter, half, y = maps
        logits = crop_to(self.head(y), spatial)
        if not self.training:
            return logits
        sides = (
            F.interpolate(head(seen), x.shape[2:], mode=LINEAR[self.ndim])
            for head, seen in zip(self.side, (half, quarter), strict=True)
        )
        return Outputs(
            logits,
            tuple(
                Auxiliary(weight, crop_to(scores, spatial))
                for weight, scores in zip(SIDE_WEIGHTS, sides, strict=True)
            ),
        )
