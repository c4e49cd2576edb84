"""Scans ↔ napari layers, without a window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import Label, LabelMap, LabelTable
from napari_segreview.core.scan import Scan
from napari_segreview.core.terms import total
from napari_segreview.layers.conversion import (
    add_to_table,
    image_layers,
    labels_layer,
    origin_of,
    table_of,
    to_label_map,
    to_scan,
)
from napari_segreview.layers.placing import placement, transform_of
from napari_segreview.layers.shelf import NapariShelf
from napari_segreview.scans import read_one
from src_models.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (4, 5, 6)


def rotation(angles: tuple[float, float, float]) -> Any:
    x, y, z = angles
    about_x = [[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]]
    about_y = [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]
    about_z = [[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]]
    return np.array(about_z) @ np.array(about_y) @ np.array(about_x)


def grid(angles: tuple[float, float, float], spacing: tuple[float, ...]) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = rotation(angles) * np.array(spacing[::-1])
    affine[:3, 3] = (10.0, -20.0, 30.0)
    return Grid(SHAPE, affine)


angle = st.floats(-np.pi, np.pi)
length = st.floats(0.2, 8.0)


@given(st.tuples(angle, angle, angle), st.tuples(length, length, length))
def test_a_millimetre_is_a_millimetre_whatever_the_orientation(
    angles: tuple[float, float, float], spacing: tuple[float, float, float]
) -> None:
    lies = grid(angles, spacing)
    (layer,) = image_layers(Scan(data=np.zeros(SHAPE), grid=lies, name="scan"))
    matrix = transform_of(layer)
    assert np.allclose(np.linalg.norm(matrix[:3, :3], axis=0), lies.spacing)
    off_axis = matrix[:3, :3] - np.diag(np.diag(matrix[:3, :3]))
    assert np.allclose(off_axis, 0)  # what napari can slice
    back = to_scan(layer)
    assert back.grid.difference(lies) == ""  # the patient's place is kept


@pytest.mark.parametrize(
    ("letters", "signs"),
    [
        ("LPI", (1, 1, 1)),
        ("RAS", (-1, -1, -1)),
        ("LPS", (-1, 1, 1)),
        ("LAI", (1, -1, 1)),
    ],
)
def test_left_back_and_feet_are_to_the_right_and_down(
    letters: str, signs: tuple[int, ...]
) -> None:
    ends = {"L": 1.0, "R": -1.0, "P": 1.0, "A": -1.0, "S": 1.0, "I": -1.0}
    affine = np.diag([*(ends[letter] for letter in letters), 1.0])
    lies = Grid(SHAPE, affine)
    assert lies.orientation == letters
    place = placement(lies, has_time=False, frame_ms=None)
    assert tuple(np.diag(place["affine"])[:3]) == signs  # z, y, x


def test_sliders_have_names() -> None:
    viewer = ViewerModel()
    lies = grid((0, 0, 0), (2.0, 1.0, 1.0))
    beats = Scan(data=np.zeros((3, *SHAPE)), grid=lies, name="heart", has_time=True)
    named = ("time", "slice", "row", "column")
    for layer in image_layers(beats):
        viewer.add_layer(layer)
    assert tuple(viewer.dims.axis_labels) == named
    labels = LabelMap(data=np.zeros(SHAPE, np.uint8), grid=lies, name="one frame")
    viewer.add_layer(labels_layer(labels))
    viewer.add_layer(Labels(np.zeros((3, *SHAPE), np.uint8), name="napari's own"))
    assert tuple(viewer.dims.axis_labels) == named


def test_series_of_one_examination_lie_over_each_other() -> None:
    turn = grid((0.2, -0.1, 0.3), (1.0, 1.0, 1.0)).affine[:3, :3]
    fine, coarse = np.eye(4), np.eye(4)
    fine[:3, :3], coarse[:3, :3] = turn, turn * 2.0
    fine[:3, 3] = (5.0, 6.0, 7.0)
    coarse[:3, 3] = fine[:3, 3] + turn @ (1.0, 1.0, 1.0)  # its first voxel is (1, 1, 1)
    layers = [
        image_layers(Scan(data=np.zeros(SHAPE), grid=Grid(SHAPE, one), name="s"))[0]
        for one in (fine, coarse)
    ]
    first_of_coarse = layers[1].data_to_world((0, 0, 0))
    assert np.allclose(layers[0].world_to_data(first_of_coarse), (1, 1, 1))


def test_a_layer_moved_by_hand_is_where_it_was_moved_to() -> None:
    (layer,) = image_layers(
        Scan(data=np.zeros(SHAPE), grid=grid((0, 0, 0), (2.0, 1.0, 1.0)), name="s")
    )
    assert origin_of(layer) is not None
    layer.translate = (100, 0, 0)
    assert origin_of(layer) is None
    assert to_scan(layer).grid.spacing == pytest.approx((2.0, 1.0, 1.0))


@given(st.tuples(angle, angle, angle), st.tuples(length, length, length))
def test_moving_a_layer_moves_it_along_the_axes_of_its_scan(
    angles: tuple[float, float, float], spacing: tuple[float, float, float]
) -> None:
    lies = grid(angles, spacing)
    (layer,) = image_layers(Scan(data=np.zeros(SHAPE), grid=lies, name="scan"))
    layer.translate = np.asarray(layer.translate) + 3 * np.asarray(layer.scale)
    moved = to_scan(layer).grid
    three_on = lies.array_affine @ (3, 3, 3, 1)
    assert np.allclose(moved.array_affine @ (0, 0, 0, 1), three_on)
    assert np.allclose(moved.affine[:3, :3], lies.affine[:3, :3])


def test_a_layer_of_another_reader_brings_its_own_transform() -> None:
    layer = Image(
        np.zeros(SHAPE), scale=(2500, 800, 800), units=("um", "um", "um"), name="other"
    )
    scan = to_scan(layer)
    assert scan.grid.unit == "mm"
    assert scan.grid.spacing == pytest.approx((2.5, 0.8, 0.8))
    assert to_scan(Image(np.zeros((7, 8)))).grid.unit == "px"


def test_channels_time_and_colour() -> None:
    space = Grid.from_spacing((8, 9), (1.0, 1.0))
    colour = Scan(
        data=np.zeros((8, 9, 3), np.uint8), grid=space, name="c", has_channels=True
    )
    (layer,) = image_layers(colour)
    assert layer.rgb
    assert to_scan(layer).channels == 3
    five = Scan(data=np.zeros((8, 9, 5)), grid=space, name="c", has_channels=True)
    assert [one.name for one in image_layers(five)][-1] == "c · channel 5"
    cine = Scan(
        data=np.zeros((3, *SHAPE)),
        grid=grid((0, 0, 0), (1.0, 1.0, 1.0)),
        name="cine",
        has_time=True,
        frame_ms=30.0,
    )
    (layer,) = image_layers(cine)
    assert layer.scale[0] == 30.0
    back = to_scan(layer)
    assert (back.has_time, back.frames, back.frame_ms) == (True, 3, 30.0)


def test_five_axes_are_refused_in_words() -> None:
    with pytest.raises(InputError, match="this layer has 5 axes"):
        to_scan(Image(np.zeros((2, 2, 2, 2, 2)), name="five"))


def test_the_file_of_a_scan_travels_with_its_layer(tmp_path: Path) -> None:
    scan = Scan(
        data=np.zeros(SHAPE), grid=grid((0, 0, 0), (1, 1, 1)), name="s", source=tmp_path
    )
    assert to_scan(image_layers(scan)[0]).source == tmp_path


def test_other_voxels_are_not_on_the_old_grid() -> None:
    data = np.zeros(SHAPE, np.uint8)
    lies = grid((0, 0, 0), (1, 1, 1))
    layer = labels_layer(LabelMap(data=data, grid=lies))
    layer.data = np.zeros((2, 5, 6), np.uint8)
    assert origin_of(layer) is None
    assert to_label_map(layer).grid.shape == (2, 5, 6)


class TestLabels:
    lies = grid((0.1, 0.2, 0.3), (2.5, 1.0, 1.0))
    table = LabelTable.of({1: "liver", 4: "spleen"})

    def layer(self) -> Labels:
        data = np.zeros(SHAPE, np.uint8)
        data[1:3, 2:4, 2:5] = 4
        return labels_layer(LabelMap(data=data, grid=self.lies, table=self.table))

    def test_names_and_colours_come_and_go(self) -> None:
        layer = self.layer()
        back = to_label_map(layer)
        assert back.table[4].name == "spleen"
        assert back.table[4].color == pytest.approx(self.table[4].color, abs=0.01)
        assert back.grid.difference(self.lies) == ""
        assert list(layer.features["name"]) == ["background", "liver", "spleen"]

    def test_labels_without_a_name_are_told_apart(self) -> None:
        layer = Labels(np.arange(4).reshape(2, 2))
        add_to_table(layer, Label(1, "liver", (1.0, 0.0, 0.0)))
        colours = {tuple(layer.get_color(value)) for value in (1, 2, 3, 4)}
        assert len(colours) == 4
        assert set(table_of(layer)) == {1}

    def test_codes_travel_with_the_layer(self) -> None:
        table = LabelTable((*total().rows[:2], Label(9, "odd", (1.0, 0.0, 0.0))))
        data = np.zeros(SHAPE, np.uint8)
        made = labels_layer(LabelMap(data=data, grid=self.lies, table=table))
        copied = Labels(
            *made.as_layer_data_tuple()[:1], **made.as_layer_data_tuple()[1]
        )
        for layer in (made, copied):
            back = to_label_map(layer).table
            assert [back[v].coding for v in (1, 2, 9)] == [
                table[v].coding for v in (1, 2, 9)
            ]
        codes = made.features["code"].tolist()
        assert codes[1:3] == ["SCT 78961009", "SCT 64033007"]

    def test_what_is_handed_out_is_a_copy(self) -> None:
        layer = self.layer()
        taken = to_label_map(layer)
        layer.paint((0, 0, 0), 1)
        assert not taken.data[0, 0, 0]

    def test_negative_labels_are_refused(self) -> None:
        with pytest.raises(InputError, match=r"bad: labels must be ≥ 0, got -3"):
            to_label_map(Labels(np.full(SHAPE, -3, np.int16), name="bad"))

    def test_a_new_labels_layer_takes_the_grid_of_the_scan_below_it(self) -> None:
        viewer = ViewerModel()
        shelf = NapariShelf(viewer)
        shelf.add(Scan(data=np.zeros(SHAPE), grid=self.lies, name="scan"))
        image = viewer.layers[0]
        drawn = Labels(
            np.ones(SHAPE, np.uint8),
            scale=image.scale,
            translate=image.translate,
            affine=image.affine,
        )
        viewer.add_layer(drawn)
        key = shelf.label_layers()[0].key
        assert shelf.label_map(key).grid.difference(self.lies) == ""

    def test_a_new_labels_layer_over_part_of_a_scan_lies_where_it_is_seen(self) -> None:
        viewer = ViewerModel()
        shelf = NapariShelf(viewer)
        shelf.add(Scan(data=np.zeros(SHAPE), grid=self.lies, name="scan"))
        image = viewer.layers[0]
        for name in ("first", "second"):  # neither is a scan to the other
            viewer.add_labels(
                np.ones((2, 2, 3), np.uint8),
                name=name,
                scale=image.scale,
                translate=image.translate + image.scale * (1, 2, 3),
                affine=image.affine,
                units=image.units,
            )
        viewer.add_shapes([[[0, 0, 0], [0, 1, 1]]], shape_type="line", ndim=3)
        for ref in shelf.label_layers():
            found = shelf.label_map(ref.key).grid
            inside = self.lies.array_affine @ (1, 2, 3, 1)
            assert np.allclose(found.array_affine @ (0, 0, 0, 1), inside)
            assert np.allclose(found.affine[:3, :3], self.lies.affine[:3, :3])

    def test_labels_over_an_image_of_another_reader_share_its_place(self) -> None:
        viewer = ViewerModel()
        shelf = NapariShelf(viewer)
        shelf.add(Scan(data=np.zeros(SHAPE), grid=self.lies, name="scan"))
        place = {"scale": (2.0, 1.0, 1.0), "translate": (5.0, 0.0, 0.0)}
        image = viewer.add_image(np.zeros((3, 5, 6)), name="theirs", **place)
        viewer.add_labels(np.ones((3, 5, 6), np.uint8), name="drawn", **place)
        drawn = shelf.label_map(shelf.label_layers()[0].key)
        assert drawn.grid.difference(to_scan(image).grid) == ""

    def test_placed_as_the_layer_beside_it(self) -> None:
        beside = Image(
            np.zeros(SHAPE), affine=grid((0, 0, 0.4), (2, 1, 1)).array_affine
        )
        layer = labels_layer(
            LabelMap(data=np.zeros(SHAPE, np.uint8), grid=self.lies), beside
        )
        assert np.allclose(transform_of(layer), transform_of(beside))


class TestShelf:
    def test_keys_outlive_renaming_and_gone_layers_say_so(self) -> None:
        viewer = ViewerModel()
        shelf = NapariShelf(viewer)
        seen: list[str] = []
        shelf.on_change(lambda: seen.append("changed"))
        ref = shelf.add(
            Scan(
                data=np.zeros((4, 4)), grid=Grid.from_spacing((4, 4), (1, 1)), name="a"
            )
        )
        viewer.layers[0].name = "b"
        assert shelf.images()[0].key == ref.key
        assert shelf.images()[0].name == "b"
        assert len(seen) >= 2
        viewer.layers.clear()
        with pytest.raises(InputError, match="was closed"):
            shelf.scan(ref.key)

    def test_a_result_whose_scan_is_gone_is_still_shown(self) -> None:
        viewer = ViewerModel()
        shelf = NapariShelf(viewer)
        labels = LabelMap(
            data=np.ones((4, 4), np.uint8), grid=Grid.from_spacing((4, 4), (1, 1))
        )
        shelf.show(labels, "no such key")
        assert len(viewer.layers) == 1


@pytest.mark.parametrize(
    "name",
    [
        "spinalcord_gm_sct/images/t2.nii.gz",  # sagittal: its axes are swapped
        "cine_sunnybrook/images/SC-HF-I-2_ed.nii.gz",  # oblique in all three axes
        "ct_headneck_openkbp/images/pt_13.nii.gz",  # runs head to foot
    ],
)
def test_real_scans_are_shown_upright_and_keep_their_place(
    data_dir: Path, name: str
) -> None:
    scan = read_one(data_dir / name)
    viewer = ViewerModel()
    shelf = NapariShelf(viewer)
    key = shelf.add(scan).key
    assert shelf.scan(key).grid is scan.grid
    assert np.shares_memory(shelf.scan(key).data, scan.data)
    corner = np.array(viewer.layers[0].data_to_world((0, 0, 0)))
    far = np.array(viewer.layers[0].data_to_world(np.array(scan.grid.shape) - 1))
    lengths = (np.array(scan.grid.shape) - 1) * scan.grid.spacing
    assert np.allclose(np.abs(far - corner), lengths, rtol=1e-4)
