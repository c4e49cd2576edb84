"""FCN-32s, FCN-16s and FCN-8s."""

from __future__ import annotations

from src_models.catalog.card import ModelCard, Result, Source, options

CVPR, PAMI = "weights of the CVPR paper", "weights of the PAMI release; SBD to train on"
READ: Source = "the authors' release"


def _fcn(
    stride: int, count: int, compact: dict[int, int], results: tuple[Result, ...]
) -> ModelCard:
    """One of the three published nets, by the stride of its finest scored map."""
    return ModelCard(
        name=f"fcn{stride}s",
        title=f"FCN-{stride}s",
        family="Fully convolutional",
        paper="Long, Shelhamer & Darrell, CVPR 2015",
        reference="https://arxiv.org/abs/1411.4038",
        year=2015,
        distinctive="A classifier (VGG-16) made convolutional; its class scores are "
        f"enlarged by a fixed kernel, the finest from every {stride} voxels.",
        build="fcn:FCN",
        dims=(2, 3),
        presets={
            ("paper", 2): options(stride=stride),
            ("paper", 3): options(stride=stride, fc_kernel=3),
            ("compact", 2): options(
                stride=stride, widths=(16, 32, 64, 128, 128), fc_width=256
            ),
            ("compact", 3): options(
                stride=stride, widths=(8, 16, 32, 64, 64), fc_width=128, fc_kernel=3
            ),
        },
        published_parameters={("paper", 2): (3, 21, count)},
        compact_parameters=compact,
        evidence="Counted from the released layer list, without the fixed kernels.",
        results=results,
    )


def _voc(
    value: str, setting: str, source: Source, split: str = "2011 validation"
) -> Result:
    return Result(f"VOC {split}", "mIoU %", value, setting, source)


CARDS = (
    _fcn(
        32,
        134_346_581,
        {2: 2_592_690, 3: 928_298},
        (_voc("63.6", PAMI, READ), _voc("59.4", CVPR, "recalled")),
    ),
    _fcn(
        16,
        134_357_354,
        {2: 2_592_948, 3: 928_428},
        (_voc("65.0", PAMI, READ), _voc("62.4", CVPR, "recalled")),
    ),
    _fcn(
        8,
        134_362_751,
        {2: 2_593_078, 3: 928_494},
        (
            _voc("67.2", PAMI, READ, "2012 test"),
            _voc("62.2", CVPR, "second hand", "2012 test"),
            _voc("65.5", PAMI, READ),
            _voc("62.7", CVPR, "recalled"),
        ),
    ),
)
