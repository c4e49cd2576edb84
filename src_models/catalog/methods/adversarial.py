"""Methods with a second net that judges the first one's answers."""

from __future__ import annotations

from src_models.catalog.card import Result
from src_models.catalog.methods.card import MethodCard

RECALLED = "recalled, to be checked before it is quoted"

CARDS: tuple[MethodCard, ...] = (
    MethodCard(
        name="luc-critic",
        title="Adversarial segmentation with an image-and-map critic",
        theme="Adversarial",
        paper="Luc, Couprie, Chintala & Verbeek, NIPS workshop 2016",
        reference="https://arxiv.org/abs/1611.08408",
        year=2016,
        distinctive="A critic reads the image with a label map and says whether the map "
        "is manual; the segmentor learns to be taken for manual beside its usual loss.",
        fit="adversaries.luc:fit",
        options="adversaries.options:Luc",
        choices=(
            "The critic is the published one that sees 34 pixels at once (2,387,458 "
            "parameters for 21 classes in colour), or a quarter of its widths.",
            "Any system of the catalogue is the segmentor, in 2D or 3D.",
            "The critic's weight is 0.1 beside a loss that is averaged over voxels; the "
            "paper's 2 is beside one that is summed.",
            "The segmentor learns alone for a quarter of the epochs; the paper starts "
            "from a trained one.",
            "The product is taken with the image as the net sees it, after its intensity "
            "recipe; voxels without a label are 0 in all that the critic reads.",
            "The critic learns by Adam with 2e-4 and β₁ 0.5; its optimizer in the paper "
            "is not established.",
        ),
        results=(
            Result("Stanford Background", "mIoU", "51.3 → 54.3", RECALLED),
            Result("PASCAL VOC 2012 test", "mIoU", "73.1 → 73.3", RECALLED),
        ),
    ),
    MethodCard(
        name="vgan-critic",
        title="V-GAN: whole epochs in turn, by Otsu's threshold",
        theme="Adversarial",
        paper="Son, Park & Jung, arXiv 2017",
        reference="https://arxiv.org/abs/1706.09318",
        year=2017,
        distinctive="A critic of image and vessel map, for a pixel, a patch or the whole "
        "image, learns for a whole epoch, then the generator for the next.",
        fit="adversaries.vgan:fit",
        options="adversaries.options:VGan",
        choices=(
            "The critics are those of the release (32 to 512 channels), or a quarter of "
            "their widths with group normalisation.",
            "The weight 0.1 is the release's 1/λ with λ = 10, beside a mean over voxels.",
            "One epoch of a recipe is a round: train.steps steps of the critic with the "
            "generator at rest, then as many of the generator and its baseline.",
            "Real and made pairs are normalised apart, where the release puts both into "
            "one batch.",
            'The threshold is Otsu\'s in each image with binarise = "otsu" in the recipe, '
            "inside the field of view that the intensity recipe knows.",
            "The epoch with the best Dice on the validation cases is kept; the paper "
            "looks at the area under the curves.",
            "Patches of a photograph are learnt, not the padded whole.",
        ),
        results=(
            Result("DRIVE", "Dice", "0.829", "image critic", source="second hand"),
            Result("STARE", "Dice", "0.834", "image critic", source="second hand"),
            Result("DRIVE", "AUC of ROC / PR", "0.9803 / 0.9149", RECALLED),
        ),
    ),
    MethodCard(
        name="segan-critic",
        title="SegAN: multi-scale L1 distance of masked images",
        theme="Adversarial",
        paper="Xue, Xu, Zhang, Long & Huang, Neuroinformatics 16, 2018",
        reference="https://arxiv.org/abs/1706.01805",
        year=2018,
        distinctive="The critic gives no verdict: it learns features in which the image "
        "masked by the answer and by the labels lie far apart, the segmentor to bring "
        "them together.",
        fit="adversaries.segan:fit",
        options="adversaries.options:SegAN",
        choices=(
            "The critic has the six levels that the release calls (9,393,088 parameters "
            "in colour), or a quarter of their widths with group normalisation.",
            "One critic for each structure (S1-1C where there is one); their distances "
            "are averaged.",
            "The distance is the mean of the levels' means as in the paper; the release's "
            "mean over all features is an option.",
            "The recipe's loss stands beside the distance, as the release's Dice does; "
            "supervised = 0 leaves the distance alone, as in the paper.",
            "All parameters of the critic are clamped, those of its normalisation too, "
            "as in the release.",
            "Any system of the catalogue is the segmentor, in 2D or 3D; the released one "
            "is segan.",
            "The learning rates follow the recipe's schedule, where the release halves "
            "them every 25 epochs.",
        ),
        results=(
            Result("BraTS 2013 leaderboard", "Dice", "0.84 / 0.70 / 0.65", RECALLED),
            Result("BraTS 2015 test", "Dice", "0.85 / 0.70 / 0.66", RECALLED),
        ),
    ),
    MethodCard(
        name="asdnet-confidence",
        title="ASDNet: unlabelled voxels teach where a second net believes",
        theme="Adversarial",
        paper="Nie, Gao, Wang & Shen, MICCAI 2018",
        reference="https://doi.org/10.1007/978-3-030-00937-3_43",
        year=2018,
        distinctive="A confidence network says of every voxel whether the label map looks "
        "manual; where it believes the segmentor's answer for an unlabelled scan, that "
        "answer teaches, and images done badly weigh more.",
        fit="adversaries.asdnet:fit",
        options="adversaries.options:ASDNet",
        choices=(
            "The threshold of belief, which the paper does not give, is 1 − the last "
            "validation Dice, one of the release's two rules.",
            "Weights are the release's: 0.05 of the adversarial term, 0.5 of the "
            "unlabelled.",
            "The order is the segmentor alone, then with the critic after a quarter of "
            "the epochs, then with the unlabelled after a half.",
            "Images are weighed by (1 − Dice)^1 times the recipe's loss; with "
            "generalised-dice that is the paper's.",
            "The paper sums over believed voxels; here the sum is divided by all voxels.",
            "The critic judges answers for labelled images; those for unlabelled ones "
            "teach, and are not set against it.",
            "The baseline learns from the labelled cases by the recipe's loss, unweighed.",
        ),
        results=(
            Result("Pelvic MR, bladder", "Dice", "about 0.970", RECALLED),
            Result("Pelvic MR, prostate", "Dice", "about 0.911", RECALLED),
            Result("Pelvic MR, rectum", "Dice", "about 0.906", RECALLED),
        ),
    ),
    MethodCard(
        name="projective-critics",
        title="Projective adversarial network (PAN)",
        theme="Adversarial",
        paper="Khosravan, Mortazi, Wallace & Bagci, MICCAI 2019",
        reference="https://arxiv.org/abs/1906.04378",
        year=2019,
        distinctive="A 2D segmentor is judged on its slices and on projections of the "
        "whole volume it makes of them; the critics are given attended features of its "
        "deepest level.",
        fit="adversaries.projective:fit",
        options="adversaries.options:Projective",
        choices=(
            "Neither code nor layers are public. The segmentor is slice-unet; each critic "
            "has five strided convolutions of 4 × 4 (64 to 512 channels, or an eighth).",
            "The projection is the mean along z, or 1 − Π(1 − p); along y and x too if "
            "wished, with a critic for each axis.",
            "Attention is a softmax over the places of the segmentor's deepest level; the "
            "weighted sum is tiled before the critic's fourth convolution. For a "
            "projection those of all slices are averaged.",
            "No gradient goes through the features into the segmentor, so it cannot "
            "please a critic but by its answer.",
            "A step takes whole volumes: patches.size should hold one. Slices pass in "
            "groups whose activations are made anew on the way back.",
            "Both weights are 0.01 beside a mean over voxels, and the segmentor learns "
            "alone for a quarter of the epochs; the paper's are not known, and with 0.1 "
            "from the start ours learnt nothing for half of a short run.",
        ),
        results=(
            Result(
                "NIH pancreas CT, four folds", "Dice", "85.53", source="second hand"
            ),
            Result(
                "NIH pancreas CT, Attention U-Net beside it", "Dice", "83.1", RECALLED
            ),
        ),
    ),
)
