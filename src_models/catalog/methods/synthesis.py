"""Methods that make images to learn from."""

from __future__ import annotations

from src_models.catalog.methods.card import MethodCard

CARDS: tuple[MethodCard, ...] = (
    MethodCard(
        name="random-contrasts",
        title="Images painted from labels (SynthSeg)",
        theme="Synthesis",
        paper="Billot et al., Medical Image Analysis 86, 2023",
        reference="https://arxiv.org/abs/2107.09559",
        year=2023,
        distinctive="Learns from label maps alone, deformed and painted in a contrast of "
        "their own at every step, so that no contrast is foreign.",
        fit="synthesis.painted:fit",
        options="synthesis.options:RandomContrasts",
        choices=(
            "The background, which the paper has as many labels, is divided into up to "
            "twelve made-up parts by the highest of smooth random fields.",
            "Every region of every patch has a mean from 0 … 1 and a spread up to 0.14, "
            "35 of 255 as published; structures are not divided.",
            "Patches are painted, not whole heads; their grey values are normalised in "
            "the patch, those of real images in the whole image.",
            "A coarse scan is played along one axis or all, up to 2.5 voxels: the sets "
            "here are small crops.",
        ),
    ),
)
