"""Nets that read frames together: windows in time, changes, cases, scores, recipes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from zoo import make_card, make_recipe

from src_models.card import NetSpec
from src_models.catalog import create_net
from src_models.data.augment import augmentation
from src_models.data.cases import Case, check_cases, prepare
from src_models.data.options import Augment
from src_models.errors import InputError
from src_models.inference import Options, count_windows, predict
from src_models.inference.uncertainty import entropy
from src_models.inference.windows import clips, time_weights
from src_models.progress import Progress, drain
from src_models.training.config import read_recipe
from src_models.training.evaluate import case_dices, reports
from src_models.training.extend import class_tensors

if TYPE_CHECKING:
    from pathlib import Path

    from src_models.card import TrainedCard

EXACT = Options(half=False)
SPEC = NetSpec(
    system="unet-convlstm",
    ndim=2,
    in_channels=1,
    classes=2,
    options={"widths": (3, 4), "hidden": 2, "norm": "instance"},
)


def cine(**changed: Any) -> TrainedCard:
    """Of a net that reads 3 frames of 8 × 8."""
    return make_card(net=SPEC, patch=(3, 8, 8), **changed)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, shape).astype("f4")


def net_of(**options: Any) -> nn.Module:
    torch.manual_seed(0)
    spec = SPEC.model_copy(update={"options": {**SPEC.options, **options}})
    return create_net(spec).eval()


def run(
    net: nn.Module, card: TrainedCard, images: np.ndarray, options: Options = EXACT
) -> np.ndarray:
    steps = predict(net, card, images, spacing=(1.0, 1.0), options=options)
    found: np.ndarray = drain(steps)
    return found


class Brighter(nn.Module):
    """Class 1 where a frame is brighter than the frame before it in the window."""

    def forward(self, x_BCTS: Tensor) -> Tensor:
        rise = x_BCTS - x_BCTS.roll(1, 2)
        return torch.cat([-rise, rise], 1)


class Above(nn.Module):
    """Class 1 wherever the image is above 0."""

    def forward(self, x_BCTS: Tensor) -> Tensor:
        return torch.cat([-x_BCTS, x_BCTS], 1)


class TestClips:
    @pytest.mark.parametrize(
        ("frames", "window", "overlap", "cyclic", "wanted"),
        [
            (5, 3, 0.5, False, [[0, 1, 2], [1, 2, 3], [2, 3, 4]]),
            (6, 4, 0.5, True, [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 0, 1]]),
            (4, 4, 0.5, True, [[0, 1, 2, 3], [2, 3, 0, 1]]),
            (2, 9, 0, True, [[0, 1]]),
            (2, 9, 0.5, False, [[0, 1]]),
            (1, 9, 0.5, True, [[0]]),
        ],
    )
    def test_by_hand(
        self,
        frames: int,
        window: int,
        overlap: float,
        cyclic: bool,
        wanted: list[list[int]],
    ) -> None:
        found = clips(frames, window, overlap, cyclic=cyclic)
        assert [clip.tolist() for clip in found] == wanted

    @given(st.integers(1, 30), st.integers(1, 12), st.floats(0, 0.9), st.booleans())
    def test_every_frame_is_seen_and_none_twice_in_a_window(
        self, frames: int, window: int, overlap: float, cyclic: bool
    ) -> None:
        found = clips(frames, window, overlap, cyclic=cyclic)
        assert {t for clip in found for t in clip} == set(range(frames))
        for clip in found:
            assert len(set(clip)) == len(clip) == min(frames, window)
            assert (np.diff(clip) % frames == 1 % frames).all()

    @given(st.integers(1, 6), st.integers(2, 5))
    def test_in_a_beat_no_frame_is_special(self, step: int, count: int) -> None:
        """Each is as often at each place of a window as every `step`-th other."""
        frames, window = step * count, 2 * step
        places: dict[int, list[int]] = {t: [] for t in range(frames)}
        for clip in clips(frames, window, 0.5, cyclic=True):
            for place, t in enumerate(clip):
                places[int(t)].append(place)
        for t, found in places.items():
            assert sorted(found) == sorted(places[(t + step) % frames])


class TestTimeWeights:
    def test_those_of_the_released_model(self) -> None:
        half = [0.851, 0.912, 0.950, 0.978]
        wanted = [*half, 1, *half[::-1]]
        np.testing.assert_allclose(time_weights(9), wanted, atol=5e-4)

    @pytest.mark.parametrize(
        ("length", "power", "wanted"),
        [
            (5, 0, [1, 1, 1, 1, 1]),
            (5, 1, [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3]),
            (1, 0.1, [1]),
            (2, 1, [2 / 3, 2 / 3]),
        ],
    )
    def test_by_hand(self, length: int, power: float, wanted: list[float]) -> None:
        np.testing.assert_allclose(time_weights(length, power), wanted, rtol=1e-6)


class TestPredict:
    @pytest.mark.parametrize("cyclic", [True, False])
    @pytest.mark.parametrize("frames", [1, 2, 3, 7])
    def test_it_is_the_argmax_whatever_the_windows(
        self, frames: int, cyclic: bool
    ) -> None:
        image = noise(2, 1, frames, 11, 5)
        found = run(Above(), cine(cyclic=cyclic), image)
        np.testing.assert_array_equal(found, image[:, 0] > 0)

    def test_a_beat_has_no_beginning(self) -> None:
        """Turned by the step between windows, the answer is the answer turned."""
        net, card = net_of(), cine(cyclic=True)
        image = noise(1, 1, 6, 8, 8)
        found = run(net, card, image)
        assert 0 < found.mean() < 1
        for turn in (1, 4):  # windows of 3 begin at every frame
            turned = run(net, card, np.roll(image, turn, axis=2))
            np.testing.assert_array_equal(turned, np.roll(found, turn, axis=1))

    def test_the_window_runs_past_the_end_only_in_a_beat(self) -> None:
        """Frame 0 against the last frame: known in a beat, not in a course."""
        card = make_card(net=SPEC, patch=(2, 8, 8))
        image = np.zeros((1, 1, 4, 8, 8), np.float32)
        image[:, :, 0] = 1
        options = Options(half=False, overlap=0.5)
        weak = Options(half=False, overlap=0)
        course = run(Brighter(), card, image, options)
        assert [bool(one.all()) for one in course[0]] == [True, False, False, False]
        beat = cine(cyclic=True).model_copy(update={"patch": (2, 8, 8)})
        dark = 1 - image  # brighter than the last frame nowhere but after frame 0
        assert run(Brighter(), beat, dark, options)[0, 1].all()
        assert count_windows(card, (4, 8, 8), (1, 1), 0.5) == 3
        assert count_windows(beat, (4, 8, 8), (1, 1), 0.5) == 4
        assert count_windows(beat, (4, 8, 8), (1, 1), weak.overlap) == 2

    def test_progress_counts_all_windows(self) -> None:
        card, image = cine(cyclic=True), noise(2, 1, 5, 20, 8)
        steps = list(predict(Above(), card, image, spacing=(1, 1), options=EXACT))
        assert all(isinstance(step, Progress) for step in steps)
        total = 2 * count_windows(card, (5, 20, 8), (1, 1), 0.5)
        assert [(s.done, s.total) for s in steps] == [
            (i, total) for i in range(1, total + 1)
        ]

    def test_space_is_resampled_and_time_is_not(self) -> None:
        card = cine(spacing=(2.0, 2.0))
        image = np.zeros((1, 1, 5, 16, 16), np.float32) - 1
        image[:, :, 3, 4:12, 4:12] = 1
        found = run(Above(), card, image)
        assert found.shape == (1, 5, 16, 16)
        assert found.any(axis=(0, 2, 3)).tolist() == [False, False, False, True, False]
        assert found[0, 3, 5:11, 5:11].all()

    def test_mirrored_views_are_those_of_space(self) -> None:
        seen: list[Tensor] = []

        class Note(Above):
            def forward(self, x_BCTS: Tensor) -> Tensor:
                seen.append(x_BCTS.clone())
                return super().forward(x_BCTS)

        image = noise(1, 1, 3, 8, 8)
        run(Note(), cine(mirror_axes=(1,)), image, Options(mirror=True, half=False))
        assert torch.equal(seen[1], seen[0].flip(4))

    def test_doubt_of_every_frame(self) -> None:
        image = noise(2, 1, 5, 9, 9)
        image[:, :, 2] = 0
        steps = entropy(Above(), cine(), image, spacing=(1, 1), options=EXACT)
        found = drain(steps)
        assert found.shape == (2, 5, 9, 9)
        np.testing.assert_allclose(found[:, 2], np.log(2), rtol=1e-5)
        assert (found[:, 1] < np.log(2)).any()

    @pytest.mark.parametrize("shape", [(1, 1, 8, 8), (1, 2, 3, 8, 8)])
    def test_other_images_are_refused_in_words(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(
            InputError, match=r"reads 2D images with 1 .* over time; got"
        ):
            run(Above(), cine(), noise(*shape))


class TestCases:
    def test_all_frames_are_changed_alike(self) -> None:
        wish = Augment(rotate=90, scale=0.3, elastic=2, mirror_axes=(0, 1), noise=0)
        steps = augmentation(wish, 2, frames=True)
        frame = torch.from_numpy(noise(2, 1, 16, 16))
        image, known = frame.expand(2, 4, 16, 16), (frame[:1] > 0).float()
        changed = 0
        for seed in range(8):
            steps.set_random_state(seed)
            found = steps({"image": image, "labels": known.expand(1, 4, 16, 16)})
            assert found["image"].shape == image.shape
            assert found["labels"].shape == (1, 4, 16, 16)
            for one in found.values():
                assert all(torch.equal(one[:, t], one[:, 0]) for t in range(4))
            changed += not torch.equal(found["labels"][:, 0], known)
        assert changed > 2

    def test_space_is_resampled_and_time_is_not(self) -> None:
        truth = np.full((5, 8, 8), -1, np.int16)
        truth[2, 2:6, 2:6] = 1
        case = Case("a", "a", noise(1, 5, 8, 8), truth, (1.0, 1.0))
        ready = prepare(case, make_card().intensity, (0.5, 0.5))
        assert ready.image.shape == (1, 5, 16, 16)
        assert ready.labels.shape == (5, 16, 16)
        known = (ready.labels >= 0).any(axis=(1, 2))
        assert known.tolist() == [False, False, True, False, False]
        assert (ready.labels[2, 5:11, 5:11] == 1).all()

    def test_an_image_without_frames_is_refused(self) -> None:
        flat = Case("a", "a", noise(1, 8, 8), np.zeros((8, 8), np.uint8), (1, 1))
        with pytest.raises(InputError, match=r"case a: a 2D image \(C, T, \*S\)"):
            check_cases([flat], SPEC)

    def test_scores_pool_the_frames_that_are_known(self) -> None:
        """Of frame 0 half is found; frame 1 is all wrong, but nobody looked at it."""
        truth = np.zeros((2, 8, 8), np.int16)
        truth[0, :4] = 1
        truth[1] = -1
        image = np.full((1, 2, 8, 8), -1.0, np.float32)
        image[0, 0, :2] = 1
        image[0, 1] = 1
        case = Case("a", "a", image, truth, (1.0, 1.0))
        card = cine()
        wanted = 2 * 16 / (16 + 32)
        assert case_dices(Above(), card, [case], torch.device("cpu")) == [
            pytest.approx(wanted)
        ]
        [(_, report)] = reports(Above(), card, [case], tolerance=1, options=EXACT)
        assert report.rows[0].dice == pytest.approx(wanted)
        assert report.rows[0].hd95 == pytest.approx(2)

    def test_its_class_tensors_are_those_of_the_last_layer(self) -> None:
        assert class_tensors(SPEC) == {"head.weight", "head.bias"}


RECIPE = """
name = "beats"
{top}

[about]
title = "Beats"
task = "a beat"
wants = "a cine"
modalities = []

[data]
folder = "set"
images = "*.nii.gz"
labels = "labels/{{name}}"
name = "made up"
licence = "CC0"
credit = "nobody"
validation = 0.3
locked = 0.3
{data}

[net]
system = "{system}"
ndim = 2
in_channels = 1
classes = 2

[[labels]]
value = 1
name = "square"
color = [1.0, 0.0, 0.0]

[intensity]
kind = "zscore"

[patches]
size = {size}
batch = 1

[train]
epochs = 1
steps = 1
learning_rate = 1e-3
{train}
{method}
"""


def recipe_text(**parts: str) -> str:
    given_ = {
        "top": "cyclic = true",
        "data": "",
        "system": "unet-convlstm",
        "size": "[3, 16, 16]",
        "train": "",
        "method": "",
    }
    return RECIPE.format(**{**given_, **parts})


class TestRecipe:
    def test_it_is_read(self, tmp_path: Path) -> None:
        (tmp_path / "r.toml").write_text(recipe_text())
        recipe = read_recipe(tmp_path / "r.toml")
        assert recipe.cyclic
        assert (recipe.net.axes, recipe.net.frames) == (3, True)
        plain = make_recipe()
        assert (plain.net.axes, plain.net.frames, plain.cyclic) == (2, False, False)

    @pytest.mark.parametrize(
        ("parts", "says"),
        [
            ({"size": "[16, 16]"}, "patches.size needs 3 sides, frames first, got 2"),
            (
                {"system": "unet", "size": "[16, 16]"},
                "data.split_slices and cyclic are for nets that read frames together; "
                "unet is none",
            ),
            (
                {"train": "channels_last = true"},
                "train.channels_last are for nets of single images",
            ),
            ({"train": 'loss = "dice + boundary"'}, "reads maps of single images"),
            ({"data": "instances = true"}, "are for nets of single images"),
            (
                {"method": '[method]\nname = "luc-critic"'},
                "method 'luc-critic' teaches nets of single images, unet-convlstm is "
                "one of nets that read frames together",
            ),
            (  # before what follows from it: patches of one side too many
                {"system": "unet", "method": '[method]\nname = "sparse-sequence"'},
                "method 'sparse-sequence' teaches nets that read frames together, unet "
                "is one of nets of single images",
            ),
        ],
    )
    def test_what_does_not_fit_is_said(
        self, parts: dict[str, str], says: str, tmp_path: Path
    ) -> None:
        (tmp_path / "r.toml").write_text(recipe_text(**parts))
        with pytest.raises(InputError) as caught:
            read_recipe(tmp_path / "r.toml")
        assert says in str(caught.value)
