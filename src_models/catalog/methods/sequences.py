"""Methods that read slices or frames in their order."""

from __future__ import annotations

from src_models.catalog.card import Result
from src_models.catalog.methods.card import MethodCard

CARDS: tuple[MethodCard, ...] = (
    MethodCard(
        name="sparse-sequence",
        title="A memory for a U-Net, from a few annotated frames",
        theme="Sequence",
        paper="Bai et al., MICCAI 2018",
        reference="https://arxiv.org/abs/1808.00273",
        year=2018,
        distinctive="Labels of a few frames are carried to the others by registration, "
        "round the beat; a U-Net taught frame by frame is then given a memory over time.",
        fit="sequences.sparse:fit",
        options="sequences.options:SparseSequence",
        baseline="sequences.sparse:frame_by_frame",
        frames=True,
        choices=(
            "Frames are registered by SimpleITK: cubic B-splines every 10 mm, Mattes' "
            "mutual information instead of the normalised one, no bending energy.",
            "Both stages have the recipe's epochs in two halves; the U-Net goes on "
            "learning beside to the end, so that the comparison is of equal length.",
            "In the second stage all layers learn, as in the release.",
            "The recipe's loss is taken of each frame, then weighed over time.",
            "In use the windows' answers weigh with r = 0.1, whatever r they were taught "
            "with, and overlap by half.",
        ),
        results=(
            Result(
                "UK Biobank aortic cine",
                "Dice, ascending / descending",
                "0.953 / 0.944 → 0.960 / 0.953",
                "the U-Net alone → with memory; the first pair to be checked",
            ),
        ),
    ),
)
