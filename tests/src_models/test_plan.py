"""What a set is like, worked by hand; what is proposed, measured."""

from __future__ import annotations

import math
import tomllib

import numpy as np
import pytest
import torch
from zoo import discs

from src_models.card import NetSpec
from src_models.catalog import create_model
from src_models.data.cases import Case
from src_models.errors import InputError
from src_models.training.fingerprint import Fingerprint, fingerprint
from src_models.training.memory import empty_net, stored_bytes, training_bytes
from src_models.training.plan import lines, propose, target_spacing

SPEC = NetSpec(system="unet", ndim=3, in_channels=1, classes=3)


def like(
    shapes: list[tuple[int, ...]],
    spacings: list[tuple[float, ...]] | None = None,
    unit: str = "mm",
    **case_share: float,
) -> Fingerprint:
    shares = {int(name[1:]): share for name, share in case_share.items()} or {1: 1.0}
    given = spacings or [(1.0,) * len(shapes[0])] * len(shapes)
    one = fingerprint(discs(1)).grey
    return Fingerprint(
        shapes=tuple(shapes),
        spacings=tuple(given),
        unit=unit,  # type: ignore[arg-type]
        grey=one,
        grey_inside=one,
        voxel_share={0: 0.9, **dict.fromkeys(shares, 0.1 / len(shares))},
        case_share=shares,
    )


class TestFingerprint:
    def test_by_hand(self) -> None:
        first, second = np.zeros((2, 4), np.int8), np.zeros((4, 4), np.int8)
        first[0] = [1, 1, 2, -1]
        image = np.stack([first * 10.0, first * 0.0 + 3])
        blank = np.stack([second * 1.0, second * 0.0 + 3])
        found = fingerprint(
            [
                Case("a", "a", image, first, (2.0, 1.0)),
                Case("b", "b", blank, second, (4.0, 1.0)),
            ]
        )
        assert found.shapes == ((2, 4), (4, 4))
        assert found.spacings == ((2.0, 1.0), (4.0, 1.0))
        assert (found.ndim, found.channels, found.classes) == (2, 2, 3)
        # 24 voxels, one of them unknown
        assert found.voxel_share == {0: 20 / 23, 1: 2 / 23, 2: 1 / 23}
        assert found.case_share == {1: 0.5, 2: 0.5}
        assert found.grey[1].median == found.grey[1].high == 3
        inside = found.grey_inside[0]
        assert inside.median == 10  # 10, 10, 20
        assert inside.mean == pytest.approx(40 / 3)
        assert inside.sd == pytest.approx(np.std([10, 10, 20]))

    def test_no_structure_has_no_grey_values(self) -> None:
        blank = np.zeros((4, 4), np.uint8)
        found = fingerprint([Case("a", "a", blank[None], blank, (1.0, 1.0))])
        assert found.grey_inside == ()
        assert found.case_share == {}
        assert found.classes == 2  # a net has at least two
        assert propose(found, memory_mb=500).net.classes == 2

    def test_what_cannot_be_one_set(self) -> None:
        with pytest.raises(InputError, match="no case to look at"):
            fingerprint([])
        flat, deep = np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8)
        cases = [
            Case("a", "a", flat[None], flat, (1.0, 1.0)),
            Case("b", "b", deep[None], deep, (1.0, 1.0, 1.0)),
        ]
        with pytest.raises(InputError, match="case b has 3 axes"):
            fingerprint(cases)


class TestMemory:
    @pytest.mark.parametrize("ndim", [2, 3])
    @pytest.mark.parametrize("system", ["unet", "vnet", "segnet", "fc-densenet"])
    def test_what_is_kept_is_counted_without_a_number(
        self, system: str, ndim: int
    ) -> None:
        spec = NetSpec(system=system, ndim=ndim, in_channels=1, classes=3)
        shape = (2, 1, *((32,) * ndim if ndim == 2 else (16,) * ndim))
        net = create_model(system, ndim=ndim, in_channels=1, classes=3).train()
        measured = stored_bytes(net, torch.zeros(shape))
        assert stored_bytes(empty_net(spec), torch.zeros(shape, device="meta")) == (
            measured
        )

    def test_the_step_of_a_compact_unet_takes_about_that(self) -> None:
        """Against PyTorch's own book of its allocations."""
        net = create_model("unet", ndim=3, in_channels=1, classes=3).train()
        image = torch.zeros(2, 1, 32, 32, 32)
        truth = torch.zeros(2, 32, 32, 32, dtype=torch.long)
        activities = [torch.profiler.ProfilerActivity.CPU]
        with torch.profiler.profile(activities=activities, profile_memory=True) as book:
            torch.nn.functional.cross_entropy(net(image), truth).backward()
        held = peak = 0
        for event in book.profiler.kineto_results.events():  # type: ignore[union-attr]
            if event.name() == "[memory]":
                held += event.nbytes()
                peak = max(peak, held)
        parameters = sum(one.numel() for one in net.parameters())
        # The profile holds activations and gradients; not the weights and the averages.
        peak += 4 * 4 * parameters
        estimate = training_bytes(SPEC, (32, 32, 32), 2)
        assert 0.8 * peak < estimate < 1.6 * peak

    def test_it_grows_as_it_should(self) -> None:
        one, two = (training_bytes(SPEC, (32, 32, 32), n) for n in (1, 2))
        four = training_bytes(SPEC, (32, 32, 32), 4)
        assert four - two == pytest.approx(2 * (two - one), rel=1e-3)
        assert training_bytes(SPEC, (32, 32, 32), 2, half=True) < two


class TestSpacing:
    @pytest.mark.parametrize(
        ("spacings", "wanted"),
        [
            ([(1, 1, 1), (2, 1, 1), (3, 1, 1)], (2, 1, 1)),  # the median
            ([(1, 1, 1)] + [(5, 1, 1)] * 9, (4.6, 1, 1)),  # thick: 10th percentile
            ([(0.2, 1, 1), (9, 1, 1)], (1.08, 1, 1)),
            ([(0.5, 0.25, 0.25)] * 3, (0.5, 0.25, 0.25)),
        ],
    )
    def test_by_hand(
        self, spacings: list[tuple[float, ...]], wanted: tuple[float, ...]
    ) -> None:
        found = like([(9, 9, 9)] * len(spacings), spacings)
        assert target_spacing(found) == pytest.approx(wanted)

    def test_never_finer_than_within_the_slices(self) -> None:
        spacings = [(0.1, 1.0, 1.0)] * 2 + [(9.0, 1.0, 1.0)] * 8
        assert target_spacing(like([(9, 9, 9)] * 10, spacings)) == (1.0, 1.0, 1.0)

    def test_pixels_have_none(self) -> None:
        assert target_spacing(like([(9, 9)], unit="px")) is None


class TestProposal:
    @pytest.mark.parametrize("memory_mb", [300, 1000, 4000, 16000])
    @pytest.mark.parametrize("shape", [(64, 300, 300), (40, 50, 36), (512, 512)])
    def test_it_fits_the_memory_and_the_net(
        self, memory_mb: int, shape: tuple[int, ...]
    ) -> None:
        made = propose(like([shape] * 40), memory_mb=memory_mb, preset="compact")
        half = training_bytes(made.net, made.patch, made.batch) / 2**20
        assert half <= memory_mb
        assert made.memory_mb == round(half)
        assert all(side % 2**made.depth == 0 for side in made.patch)
        assert 0 < made.cover <= 1

    def test_a_larger_memory_never_shows_less(self) -> None:
        found = like([(64, 300, 300)] * 40)
        voxels = [
            math.prod(made.patch) * made.batch
            for made in (
                propose(found, memory_mb=mb, preset="compact")
                for mb in (400, 1000, 4000, 16000)
            )
        ]
        assert voxels == sorted(voxels)
        assert voxels[0] < voxels[-1]

    def test_small_images_are_seen_whole_by_larger_batches(self) -> None:
        found = like([(36, 50, 35)] * 200)
        made = propose(found, memory_mb=4000)
        assert made.patch == (40, 56, 40)
        assert made.cover == 1
        assert made.batch > 2
        assert made.net.preset == "compact"  # the paper's would see half of it
        # … but no batch shows more than a twentieth of a small set
        assert propose(like([(36, 50, 35)] * 10), memory_mb=4000).batch == 2

    def test_the_largest_preset_that_sees_enough(self) -> None:
        found = like([(512, 512)] * 40)
        assert propose(found, memory_mb=16000).net.preset == "paper"
        assert propose(found, memory_mb=1000).net.preset == "compact"

    def test_the_patch_is_as_long_in_mm_on_all_sides(self) -> None:
        found = like([(100, 400, 400)] * 9, [(2.0, 0.5, 0.5)] * 9)
        made = propose(found, memory_mb=1500, preset="compact")
        mm = [side * s for side, s in zip(made.patch, (2.0, 0.5, 0.5), strict=True)]
        assert max(mm) - min(mm) <= 16  # a stride of the thickest axis

    def test_rare_structures_are_to_be_drawn_on_purpose(self) -> None:
        shapes = [(64, 64)] * 20
        assert propose(like(shapes, a1=1.0, a2=0.1), memory_mb=900).class_balance
        assert not propose(like(shapes, a1=1.0, a2=0.5), memory_mb=900).class_balance

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"memory_mb": 5}, "unet does not fit into 5 MB"),
            ({"memory_mb": 500, "system": "deeplabv3-plus"}, "does not exist in 3D"),
            ({"memory_mb": 500, "system": "unett"}, "did you mean 'unet'"),
            ({"memory_mb": 500, "preset": "large"}, "no preset 'large'"),
        ],
    )
    def test_what_cannot_be(self, options: dict[str, object], says: str) -> None:
        with pytest.raises(InputError, match=says):
            propose(like([(40, 40, 40)]), **options)  # type: ignore[arg-type]

    def test_the_lines_are_a_part_of_a_recipe(self) -> None:
        found = like([(40, 50, 40)] * 40, a1=1.0, a2=0.1)
        made = propose(found, memory_mb=2000)
        told = lines(found, made)
        assert "label 2: 5 % of the voxels, in 10 % of the cases" in told
        start = next(i for i, line in enumerate(told) if line.startswith("spacing ="))
        part = tomllib.loads("\n".join(told[start:]))
        assert part["spacing"] == [1.0, 1.0, 1.0]
        assert NetSpec.model_validate(part["net"]) == made.net
        assert part["patches"] == {
            "size": list(made.patch),
            "batch": made.batch,
            "class_balance": True,
        }


def test_frames_are_not_planned_for() -> None:
    with pytest.raises(InputError, match="reads frames together, which is not planned"):
        propose(like([(36, 50, 35)]), memory_mb=1000, system="unet-convlstm")
