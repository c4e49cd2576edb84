"""Losses that weigh how far a voxel is from the true surface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from src_models.errors import InputError
from src_models.losses.voxels import read

if TYPE_CHECKING:
    from torch import Tensor


def boundary_loss(logits_BKS: Tensor, labels_BS: Tensor, *, distance: Tensor) -> Tensor:
    """Mean of p · φ over voxels and structures, φ the signed distance to the surface.

    In the unit of φ; any sign, lowest where p is 1 inside and 0 outside. It grows with
    the image and says nothing of an absent structure (φ = 0, no gradient): use it beside
    a loss of regions, with weights that move from that to this. Ignored voxels count
    nowhere; a batch of nothing else gives 0.

    Parameters
    ----------
    distance : (B, K, *S) float
        `src_models.data.maps.signed_distances` of each image: negative inside.

    References
    ----------
    Kervadec et al., "Boundary loss", MIDL 2019, section 2.
    """
    voxels = read(logits_BKS, labels_BS)
    if distance.shape != logits_BKS.shape:
        raise InputError(
            "the map 'distance' must have the logits' shape "
            f"{tuple(logits_BKS.shape)}, got {tuple(distance.shape)}"
        )
    p_GCN = voxels.p[:, 1:]
    phi_GCN = distance.flatten(2)[:, 1:].to(p_GCN)
    return voxels.per_voxel((p_GCN * phi_GCN).sum() / p_GCN.shape[1])
