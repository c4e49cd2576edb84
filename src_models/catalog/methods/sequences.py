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
        baseline="sequences.course:frame_by_frame",
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
    MethodCard(
        name="whole-sequence",
        title="Frames or visits end to end",
        theme="Sequence",
        paper="Gao, Phillips, Zheng, Min, Fletcher & Gerig, ISBI 2018",
        reference="https://doi.org/10.1109/ISBI.2018.8363764",
        year=2018,
        distinctive="A net with a memory is taught from clips in one piece, without "
        "registration; every frame with labels counts alike, others not at all.",
        fit="sequences.whole:fit",
        options="sequences.options:WholeSequence",
        baseline="sequences.whole:beside",
        frames=True,
        choices=(
            "Any system that reads frames can be taught so; the paper's own is fcslstm.",
            "The blocks' last convolution has no ReLU before the gates, and convolutions "
            "are padded, where the code found crops.",
            "Clips are as long as patches.size says; the memory begins at 0 in each.",
            "How far apart visits lie is not told to the net.",
        ),
    ),
    MethodCard(
        name="slices-in-order",
        title="Blocks of slices, then a BiCLSTM over them",
        theme="Sequence",
        paper="Li, Li, Lin & Qian, arXiv 2019",
        reference="https://arxiv.org/abs/1903.00832",
        year=2019,
        distinctive="SCU-Net learns to segment blocks of slices that change from one to "
        "the next as the labels do; then a BiCLSTM learns, by itself, to repair it.",
        fit="sequences.slices:fit",
        options="sequences.options:SlicesInOrder",
        baseline="sequences.course:frame_by_frame",
        choices=(
            "Blocks of five slices, features of each scored by one layer for all.",
            "The term between slices is the mean absolute difference of the steps from "
            "one slice to the next, in the answer and in the labels, with weight 1; the "
            "paper's constants are not established.",
            "The BiCLSTM reads each slice of the image with each structure's likelihood "
            "against background, 32 channels a direction, slice by slice over all blocks.",
            "It learns by the same loss as SCU-Net; SCU-Net goes on learning beside to "
            "the end, so that the comparison is of equal length.",
            "How far back it learns is the depth of a patch.",
        ),
    ),
)
