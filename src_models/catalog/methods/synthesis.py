"""Methods that make images to learn from."""

from __future__ import annotations

from src_models.catalog.card import Result
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
    MethodCard(
        name="learned-transforms",
        title="Learned spatial and appearance transforms",
        theme="Synthesis",
        paper="Zhao, Balakrishnan, Durand, Guttag & Dalca, CVPR 2019",
        reference="https://arxiv.org/abs/1902.09383",
        year=2019,
        distinctive="One labelled atlas: how it moves into one unlabelled scan and takes "
        "the colour of another, drawn apart, makes as many labelled images as there are "
        "pairs of scans.",
        fit="synthesis.atlas:fit",
        options="synthesis.options:LearnedTransforms",
        choices=(
            "One flow net learns both directions, atlas to scan and back; the paper "
            "trains one for each.",
            "Scans are taken as aligned: each is cut or mirrored to patches.size round "
            "its centre, where the paper aligns brains affinely first.",
            "The atlas is named by the user, else the first training case by name with "
            "every structure; labels of the others are never read.",
            "Colour changes are smooth but across the atlas's label borders, with the "
            "paper's weight 0.02; flows with VoxelMorph's weight 1 and windows of 9.",
            "The made pairs are learnt beside the atlas under the recipe's ordinary "
            "changes, half and half.",
            "Losses that read maps of the labels cannot be used with it.",
        ),
    ),
    MethodCard(
        name="synseg-net",
        title="Labels of another modality, end to end (SynSeg-Net)",
        theme="Synthesis",
        paper="Huo, Xu, Moon, Bao, Assad, Moyo, Savona, Abramson & Landman, IEEE TMI "
        "38(4), 2019",
        reference="https://arxiv.org/abs/1810.06498",
        year=2019,
        distinctive="Two translators and their critics learn from unpaired images of two "
        "modalities; a segmentor learns the labels of the one on its images in the look "
        "of the other, and its loss teaches the translator too.",
        fit="synthesis.synseg:fit",
        options="synthesis.options:SynSegNet",
        sides="synthesis.translation:target_sides",
        choices=(
            "Any system of the catalogue is the segmentor, in 2D or 3D; the paper's, a "
            "ResNet-50 with global convolutions on 2D slices, is none of them.",
            "The translators are CycleGAN's with nine residual blocks (11,378,179 "
            "parameters in colour) and its 70-voxel critics (2,764,737), or an eighth of "
            "their widths with three blocks and 34 voxels. Their answer is linear, not a "
            "tanh; edges are repeated, not mirrored.",
            "Critics judge the translations of the step, not of a store of 50 earlier "
            "ones, so that an interrupted run goes on to the same end.",
            "The segmentor learns at the recipe's rate and by its loss; the paper's "
            "weighted cross entropy is weighted-ce.",
            "The epoch is kept that has the best Dice on the target's validation cases: "
            "the only labels of the target that are read, and not for learning.",
            "The baseline learns from the source's images as they are. The two-step form, "
            "in which the segmentation's loss leaves the translator alone, is an option; "
            "it takes a step of each in turn, where the paper trains one after the other.",
            'contrast = "inverted" plays a second modality where a set has one.',
        ),
        results=(
            Result(
                "Spleen, MR labels for CT",
                "median Dice",
                "0.8801 → 0.9188",
                "two steps → end to end; the conference form (EssNet)",
                source="second hand",
            ),
        ),
    ),
    MethodCard(
        name="shape-consistency",
        title="Volumetric translation that keeps the shape",
        theme="Synthesis",
        paper="Zhang, Yang & Zheng, CVPR 2018",
        reference="https://arxiv.org/abs/1802.09655",
        year=2018,
        distinctive="Translators between two modalities learn, beside the way there and "
        "back, that a segmentor must find the labels of an image in its translation; the "
        "segmentors learn from the translations, and each helps the other.",
        fit="synthesis.shape:fit",
        options="synthesis.options:ShapeConsistent",
        sides="synthesis.translation:target_sides",
        choices=(
            "No code is public. The translators are U-Nets with instance normalisation, "
            "whose long skip connections the paper found to be quicker and smoother than "
            "none (recalled): four levels of 32 to 256 channels, or three of 6 to 24.",
            "The critics are CycleGAN's, in 3D; any system of the catalogue is the "
            "segmentor, one for each modality. All of it runs in 2D too.",
            "The weights are 1 of the critics, 10 of the way back and 1 of the shape "
            "(the paper's, recalled). Shapes are compared by cross entropy, segmentors "
            "learn by the recipe's loss.",
            "For the first quarter of the epochs translators and segmentors learn apart, "
            "in the same run, where the paper trains them before.",
            "A step has a turn of the translators, of the critics, then of the "
            "segmentors; each while the others stand still.",
            "Critics judge the translations of the step, not of a store of earlier ones.",
            "The net for use is the target's segmentor. Beside it the same net learns "
            "from real images of the target alone (the baseline), and from the translated "
            "ones alone (synthetic).",
            'contrast = "inverted" plays a second modality where a set has one.',
        ),
        results=(
            Result("Heart, CT", "Dice", "74.4", source="second hand"),
            Result("Heart, MR", "Dice", "73.2", source="second hand"),
        ),
    ),
)
