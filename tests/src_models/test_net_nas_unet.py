"""NAS-Unet: its operations, the published cells by hand, the U, genotypes on disk."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from src_models.errors import InputError
from src_models.nets.nas_cells import Cell, Gate, Operations, Shuffle, match
from src_models.nets.nas_genotype import (
    GENOTYPES,
    NORMAL,
    RESAMPLING,
    Edge,
    Genotype,
    Kind,
    Node,
    allowed,
    find_genotype,
    genotype_from_dict,
    read_genotype,
    write_genotype,
)
from src_models.nets.nas_unet import NASUNet

if TYPE_CHECKING:
    from pathlib import Path

V2 = GENOTYPES["v2"]


def small(ndim: int = 2, **options: object) -> NASUNet:
    torch.manual_seed(0)
    wish = {"ndim": ndim, "in_channels": 1, "classes": 2, "channels": 8, "depth": 2}
    return NASUNet(**wish | options).eval()  # type: ignore[arg-type]


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@st.composite
def genotypes(draw: st.DrawFn) -> Genotype:
    """Any that may be: all operations, one to four nodes."""

    def cell(kind: Kind) -> tuple[Node, ...]:
        def edge(source: int) -> Edge:
            names = [name for name in allowed(kind, source) if name != "none"]
            return Edge(draw(st.sampled_from(names)), source)

        nodes = [(edge(0), edge(1))]  # so that both inputs are read
        for at in range(3, 2 + draw(st.integers(1, 4))):
            sources = draw(st.tuples(*[st.integers(0, at - 1)] * 2))
            nodes.append((edge(sources[0]), edge(sources[1])))
        return tuple(nodes)

    return Genotype(cell("down"), cell("up"))


class TestOperations:
    @pytest.mark.parametrize("ndim", [2, 3])
    @pytest.mark.parametrize("side", [2, 3, 7, 8])
    @pytest.mark.parametrize("name", [*NORMAL, *RESAMPLING["down"], *RESAMPLING["up"]])
    def test_down_halves_upwards_and_up_gives_all_but_one(
        self, name: str, side: int, ndim: int
    ) -> None:
        x = noise(2, 16, *(side, 5, 4)[:ndim])
        kind = "down" if name in RESAMPLING["down"] else name[:3]
        sides = [
            {"down": -(-n // 2), "up_": 2 * n - 1}.get(kind, n) for n in x.shape[2:]
        ]
        y = Operations(ndim).make(name, 16)(x)
        assert list(y.shape) == [2, 16, *sides]

    @pytest.mark.parametrize(
        ("name", "wide"),
        [  # stride, dilation, groups, whether transposed
            ("conv", (1, 1, 1, False)),
            ("dil_conv", (1, 2, 1, False)),
            ("dep_conv", (1, 1, 32, False)),
            ("shuffle_conv", (1, 1, 4, False)),
            ("down_conv", (2, 1, 1, False)),
            ("down_dil_conv", (2, 2, 1, False)),
            ("down_dep_conv", (2, 1, 32, False)),
            ("down_cweight", (2, 1, 1, False)),
            ("up_conv", (2, 1, 1, True)),
            ("up_dil_conv", (2, 2, 1, True)),
            ("up_dep_conv", (2, 1, 32, True)),
            ("up_cweight", (2, 1, 1, True)),
        ],
    )
    def test_each_is_three_wide_then_normalised(
        self, name: str, wide: tuple[int, int, int, bool]
    ) -> None:
        layers = list(Operations(2).make(name, 32).modules())
        kinds = (nn.Conv2d, nn.ConvTranspose2d)
        convs = [layer for layer in layers if isinstance(layer, kinds)]
        first = convs[0]
        assert first.kernel_size == (3, 3)
        transposed = isinstance(first, nn.ConvTranspose2d)
        assert (first.stride[0], first.dilation[0], first.groups, transposed) == wide
        assert all(conv.bias is None for conv in convs)
        assert len(convs) == (2 if "dep" in name else 1)
        (norm,) = [layer for layer in layers if isinstance(layer, nn.GroupNorm)]
        assert norm.num_groups == 2  # of 16 channels
        # A gate's answer is signed.
        ends_in_relu = isinstance(layers[-1], nn.ReLU)
        assert ends_in_relu == ("cweight" not in name)

    @pytest.mark.parametrize(
        ("channels", "groups"), [(16, 1), (48, 3), (8, 1), (24, 1)]
    )
    def test_groups_of_sixteen_or_one_of_all(self, channels: int, groups: int) -> None:
        assert Operations(2).norm(channels).num_groups == groups

    def test_a_gate_by_hand(self) -> None:
        gate, x = Gate(32), noise(2, 32, 3, 4)
        assert gate.squeeze.out_features == 2
        hidden = F.relu(gate.squeeze(x.mean((2, 3))))
        share = torch.sigmoid(gate.excite(hidden))
        torch.testing.assert_close(gate(x), x * share.view(2, 32, 1, 1))

    def test_a_shuffle_by_hand(self) -> None:
        x = torch.arange(6.0).view(1, 6, 1, 1)
        assert Shuffle(2)(x).flatten().tolist() == [0, 3, 1, 4, 2, 5]

    def test_pools_by_hand(self) -> None:
        x = torch.tensor([[1.0, 2, 3], [5, 6, 7], [0, 4, 9]]).view(1, 1, 3, 3)
        make = Operations(2).make
        assert make("max_pool", 1)(x).flatten().tolist() == [6, 7, 4, 9]
        # The last row and column stand alone: means of what there is.
        assert make("avg_pool", 1)(x).flatten().tolist() == [3.5, 5, 2, 9]


def test_the_published_cells() -> None:
    assert V2.to_dict() == {
        "down": [
            [["down_conv", 1], ["down_dep_conv", 0]],
            [["down_cweight", 1], ["down_dil_conv", 0]],
            [["down_dil_conv", 1], ["down_conv", 0]],
        ],
        "up": [
            [["identity", 0], ["up_cweight", 1]],
            [["identity", 2], ["up_cweight", 1]],
            [["cweight", 3], ["up_conv", 1]],
        ],
    }
    assert [len(genes.down) for genes in GENOTYPES.values()] == [2, 3, 4]
    assert [len(genes.up) for genes in GENOTYPES.values()] == [2, 3, 4]
    assert GENOTYPES["v3"].to_dict()["down"] == [
        [["down_dil_conv", 1], ["down_cweight", 0]],
        [["down_cweight", 0], ["down_cweight", 1]],
        [["down_cweight", 0], ["conv", 3]],
        [["down_cweight", 0], ["conv", 4]],
    ]
    assert GENOTYPES["v3"].to_dict()["up"] == [
        [["cweight", 0], ["up_cweight", 1]],
        [["conv", 2], ["up_cweight", 1]],
        [["up_cweight", 1], ["conv", 3]],
        [["up_cweight", 1], ["conv", 4]],
    ]


class TestCells:
    def test_the_down_cell_by_hand(self) -> None:
        torch.manual_seed(0)
        cell = Cell(Operations(2), "down", V2.down, 6, 5, 8)
        s0, s1 = noise(1, 6, 13, 8), noise(1, 5, 7, 4)
        conv, norm = cell.inputs.enter0[1:]
        a = norm(F.conv2d(s0.relu(), conv.weight, stride=2))
        conv, norm = cell.inputs.enter1[1:]
        b = norm(F.conv2d(s1.relu(), conv.weight))
        o = cell.ops
        nodes = [o[0](b) + o[1](a), o[2](b) + o[3](a), o[4](b) + o[5](a)]
        y = cell(s0, s1)
        assert y.shape == (1, 24, 4, 2)
        torch.testing.assert_close(y, torch.cat(nodes, 1))

    def test_the_up_cell_by_hand(self) -> None:
        torch.manual_seed(0)
        cell = Cell(Operations(2), "up", V2.up, 6, 5, 8)
        s0, s1 = noise(1, 6, 13, 8), noise(1, 5, 7, 4)
        a, b = cell.inputs.enter0(s0), cell.inputs.enter1(s1)
        assert a.shape == (1, 8, 13, 8)
        o = cell.ops

        def risen(at: int) -> Tensor:
            y = o[at](b)
            assert y.shape[2:] == (13, 7)
            return F.interpolate(y, (13, 8), mode="nearest")

        n2 = a + risen(1)
        n3 = n2 + risen(3)
        n4 = o[4](n3) + risen(5)
        torch.testing.assert_close(cell(s0, s1), torch.cat([n2, n3, n4], 1))

    def test_what_fits_is_left_as_it_is(self) -> None:
        x = noise(1, 1, 3, 3)
        assert match(x, (3, 3)) is x
        assert match(x, (3, 4))[0, 0, :, 0].equal(x[0, 0, :, 0])


class TestTheU:
    @pytest.mark.parametrize("sides", [(64, 64), (37, 50), (33, 17), (9, 10)])
    def test_odd_sides_go_down_rounded_up_and_come_back(
        self, sides: tuple[int, int]
    ) -> None:
        net, seen = small(depth=2), []
        for cell in [*net.down_cells, *net.up_cells]:
            cell.register_forward_hook(
                lambda _, args, out: seen.append(tuple(out.shape[2:]))
            )
        with torch.inference_mode():
            assert net(noise(1, 1, *sides)).shape == (1, 2, *sides)

        def halved(times: int) -> tuple[int, ...]:
            y, x = (max(net.least, side) for side in sides)
            for _ in range(times):
                y, x = -(-y // 2), -(-x // 2)
            return y, x

        assert seen == [halved(n) for n in (2, 3, 2, 1, 0)]

    def test_input_0_of_an_up_cell_is_the_matching_output_on_the_way_down(self) -> None:
        net = small(depth=2)
        outputs: list[Tensor] = []
        skips: list[Tensor] = []
        below: list[Tensor] = []
        down = [net.stem0, net.stem1, *net.down_cells]
        for module in down:
            module.register_forward_hook(lambda *args: outputs.append(args[2]))
        for cell in net.up_cells:
            cell.register_forward_hook(lambda *args: skips.append(args[1][0]))
            cell.register_forward_hook(lambda *args: below.append(args[1][1]))
        with torch.inference_mode():
            net(noise(1, 1, 20, 20))
        assert len(skips) == 3
        for skip, at in zip(skips, (2, 1, 0), strict=True):  # a cell, stem1, stem0
            assert skip is outputs[at]
        assert below[0] is outputs[3]

    def test_skips_come_through_input_0_alone(self) -> None:
        net, x = small(depth=2), noise(1, 1, 20, 20)

        def answer(*, other_skips: bool) -> Tensor:
            handles = [
                cell.register_forward_pre_hook(
                    lambda _, args: (torch.randn_like(args[0]), args[1])
                )
                for cell in net.up_cells
                if other_skips
            ]
            with torch.inference_mode():
                logits: Tensor = net(x)
            for handle in handles:
                handle.remove()
            return logits

        assert not torch.equal(answer(other_skips=False), answer(other_skips=True))
        with torch.no_grad():
            for cell in net.up_cells:
                cell.inputs.enter0[2].weight.zero_()
                cell.inputs.enter0[2].bias.zero_()
        assert torch.equal(answer(other_skips=False), answer(other_skips=True))

    def test_stems_are_four_times_and_every_cell_as_wide(self) -> None:
        net = small(depth=3, genotype="v3")
        assert [stem[0].out_channels for stem in (net.stem0, net.stem1)] == [32, 32]
        assert net.stem0[0].kernel_size == (1, 1)
        assert (net.stem1[0].kernel_size, net.stem1[0].stride) == ((3, 3), (2, 2))
        wanted = [[32, 32]] * 7  # four nodes of 8
        cells = [*net.down_cells, *net.up_cells]
        entries = [(c.inputs.enter0[1], c.inputs.enter1[1]) for c in cells]
        assert [[conv.in_channels for conv in pair] for pair in entries] == wanted
        assert (len(net.down_cells), len(net.up_cells)) == (3, 4)
        assert net.head.bias is None

    def test_a_name_is_its_genotype(self) -> None:
        x = noise(1, 1, 12, 12)
        with torch.inference_mode():
            assert torch.equal(
                small(genotype="v3")(x), small(genotype=GENOTYPES["v3"])(x)
            )

    @settings(max_examples=10, deadline=None)
    @given(genotypes(), st.sampled_from([2, 3]))
    def test_any_genotype_is_a_net(self, genes: Genotype, ndim: int) -> None:
        net = small(ndim, genotype=genes, channels=4, depth=1)
        x = noise(1, 1, *(7, 10, 3)[:ndim])
        logits = net(x)
        assert logits.shape == (1, 2, *x.shape[2:])
        logits.square().sum().backward()
        assert all(w.grad is not None for w in net.parameters())


class TestGenotypes:
    @settings(max_examples=50)
    @given(genotypes())
    def test_through_a_dict_and_back(self, genes: Genotype) -> None:
        assert genotype_from_dict(json.loads(json.dumps(genes.to_dict()))) == genes

    @pytest.mark.parametrize("name", GENOTYPES)
    def test_written_and_read(self, name: str, tmp_path: Path) -> None:
        path = tmp_path / "genotype.json"
        write_genotype(GENOTYPES[name], path)
        assert read_genotype(path) == GENOTYPES[name]
        nodes = 2 * len(GENOTYPES[name].down)
        assert len(path.read_text().splitlines()) == nodes + 6  # a node a line

    @pytest.mark.parametrize(
        ("down", "up", "says"),
        [
            (
                [[["down_conf", 0], ["down_conv", 1]]],
                None,
                "no operation 'down_conf' from 0 in the down cell; "
                "did you mean 'down_conv'?",
            ),
            (
                None,
                [[["conv", 0], ["conv", 1]]],
                "no operation 'conv' from 1 in the up cell; did you mean 'up_conv'?",
            ),
            (
                None,
                [[["none", 0], ["up_conv", 1]]],
                "no operation 'none' from 0 in the up cell; there are identity, cweight",
            ),
            (
                None,
                [[["zzzz", 0], ["up_conv", 1]]],
                "there are identity, cweight, dil_conv, dep_conv, shuffle_conv, conv",
            ),
            (
                [[["max_pool", 0], ["conv", 2]]],
                None,
                "node 2 of the down cell reads 2; it may read 0 … 1",
            ),
            (
                [[["max_pool", -1], ["max_pool", 0]]],
                None,
                "node 2 of the down cell reads -1; it may read 0 … 1",
            ),
            (
                None,
                [[["conv", 0], ["identity", 0]]],
                "the up cell must read both its inputs",
            ),
            ([], None, "the down cell must read both its inputs"),
            ([[["max_pool", 0]]], None, "a node of the down cell is two pairs"),
            ("down_conv", None, "a node of the down cell is two pairs"),
            ([[["max_pool", "0"], ["max_pool", 1]]], None, "two pairs [operation, inp"),
        ],
    )
    def test_what_cannot_be_is_refused_in_one_line(
        self, down: object, up: object, says: str
    ) -> None:
        values = V2.to_dict()
        values["down"] = values["down"] if down is None else down
        values["up"] = values["up"] if up is None else up
        with pytest.raises(InputError) as caught:
            genotype_from_dict(values, "cells.json")
        assert str(caught.value).startswith("cells.json: ")
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_three_edges_are_refused(self) -> None:
        node = (Edge("max_pool", 0), Edge("max_pool", 1), Edge("max_pool", 1))
        with pytest.raises(InputError, match="node 2 of the down cell has 3 edges"):
            Genotype((node,), V2.up)  # type: ignore[arg-type]

    @pytest.mark.parametrize("values", [[], {"down": []}, {**V2.to_dict(), "x": 1}])
    def test_other_keys_are_refused(self, values: object) -> None:
        with pytest.raises(InputError, match='wanted the two keys "down" and "up"'):
            genotype_from_dict(values)

    def test_files_that_are_none_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="cannot be read"):
            read_genotype(tmp_path / "absent.json")
        path = tmp_path / "cells.json"
        for text in (b"{", b"\xff\xfe"):
            path.write_bytes(text)
            with pytest.raises(InputError, match=r"cells\.json: not a JSON file"):
                read_genotype(path)

    def test_names(self) -> None:
        assert find_genotype("v2") is V2
        with pytest.raises(InputError, match="no genotype 'v9'; there are v1, v2, v3"):
            small(genotype="v9")
