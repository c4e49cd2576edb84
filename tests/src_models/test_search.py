"""The search: cells from shares by hand, two optimisers that keep apart, the loop."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from zoo import discs, make_recipe

from src_models.data.splits import side_of
from src_models.errors import InputError
from src_models.nets.nas_cells import Cell, Operations
from src_models.nets.nas_genotype import (
    GENOTYPES,
    NORMAL,
    RESAMPLED,
    RESAMPLING,
    Edge,
    Kind,
    allowed,
)
from src_models.nets.nas_supernet import (
    Alphas,
    MixedCell,
    MixedOp,
    SuperNet,
    derive,
    derive_cell,
    edges,
    nodes_of,
)
from src_models.nets.nas_unet import NASUNet
from src_models.training import search as page
from src_models.training.search import (
    SearchReport,
    Teacher,
    halve,
    make_teacher,
    search,
    turn,
)

if TYPE_CHECKING:
    from src_models.data.cases import Case
    from src_models.nets.nas_genotype import Genotype

Rows = dict[tuple[int, int], dict[str, float]]


def table(names: tuple[str, ...], nodes: int, rows: Rows) -> list[list[float]]:
    """Shares by (node, source) and name; what is not given is 0."""
    return [[rows.get(at, {}).get(name, 0.0) for name in names] for at in edges(nodes)]


def cell(kind: Kind, nodes: int, normal: Rows, resampling: Rows) -> list[list[Edge]]:
    found = derive_cell(
        kind,
        table(NORMAL, nodes, normal),
        table(RESAMPLING[kind], nodes, resampling),
    )
    return [list(node) for node in found]


class TestDerivation:
    def test_edges_are_rows_in_order(self) -> None:
        two = [(2, 0), (2, 1), (3, 0), (3, 1), (3, 2)]
        assert list(edges(2)) == two
        assert [nodes_of(len(list(edges(n)))) for n in range(6)] == list(range(6))

    def test_the_first_node_keeps_both_inputs(self) -> None:
        normal: Rows = {(2, 0): {"conv": 0.01}}
        up: Rows = {(2, 1): {"up_conv": 0.9}}
        assert cell("up", 1, normal, up) == [[Edge("conv", 0), Edge("up_conv", 1)]]
        down: Rows = {(2, 0): {"max_pool": 0.4}, (2, 1): {"down_conv": 0.2}}
        wanted = [[Edge("max_pool", 0), Edge("down_conv", 1)]]
        assert cell("down", 1, {}, down) == wanted

    def test_rescaling_turns_the_winner_of_an_up_cell(self) -> None:
        """0.30 of 4 operations is no more than 0.30 · 4/7 = 0.171 of 7."""
        normal: Rows = {
            (2, 0): {"conv": 0.2},
            (3, 0): {"dep_conv": 0.20},
            (3, 2): {"identity": 0.18},
        }
        up: Rows = {(2, 1): {"up_conv": 0.3}, (3, 1): {"up_cweight": 0.30}}
        won = [Edge("dep_conv", 0), Edge("identity", 2)]
        assert cell("up", 2, normal, up)[1] == won
        up[3, 1] = {"up_cweight": 0.32}  # 0.183
        won = [Edge("up_cweight", 1), Edge("identity", 2)]
        # 0.20 and 0.183 are ahead of 0.18
        assert cell("up", 2, normal, up)[1] == [Edge("dep_conv", 0), won[0]]

    def test_rescaling_turns_the_winner_of_a_down_cell(self) -> None:
        """0.20 of 6 operations is 0.171 of 7."""
        normal: Rows = {(3, 2): {"cweight": 0.18}}
        down: Rows = {
            (2, 0): {"max_pool": 0.2},
            (2, 1): {"max_pool": 0.2},
            (3, 0): {"down_conv": 0.20},
            (3, 1): {"avg_pool": 0.30},
        }
        won = [Edge("avg_pool", 1), Edge("cweight", 2)]
        assert cell("down", 2, normal, down)[1] == won

    def test_none_is_never_chosen_and_does_not_speak_for_its_edge(self) -> None:
        normal: Rows = {
            (2, 0): {"none": 0.99, "dil_conv": 0.01},
            (3, 0): {"none": 0.9, "conv": 0.05},
            (3, 2): {"none": 0.1, "cweight": 0.06},
        }
        up: Rows = {(2, 1): {"up_conv": 0.3}, (3, 1): {"up_conv": 0.3}}
        assert cell("up", 2, normal, up) == [
            [Edge("dil_conv", 0), Edge("up_conv", 1)],
            [Edge("up_conv", 1), Edge("cweight", 2)],
        ]

    def test_rows_of_the_other_kind_are_not_read(self) -> None:
        """Up rows of sources 0 and 2, normal rows of source 1 say nothing."""
        normal: Rows = {
            (2, 0): {"conv": 0.1},
            (2, 1): {"identity": 1.0},
            (3, 0): {"conv": 0.1},
            (3, 1): {"identity": 1.0},
            (3, 2): {"conv": 0.01},
        }
        up: Rows = {at: {"up_dil_conv": 0.9} for at in edges(2)}
        wanted = [Edge("conv", 0), Edge("up_dil_conv", 1)]
        assert cell("up", 2, normal, up) == [wanted, wanted]

    @settings(max_examples=40)
    @given(st.integers(0, 10**6), st.integers(1, 4), st.sampled_from(["down", "up"]))
    def test_no_other_pair_is_worth_more(
        self, seed: int, nodes: int, kind: Kind
    ) -> None:
        """Against all pairs of edges and all operations on them."""
        random = np.random.default_rng(seed)
        rows = list(edges(nodes))
        normal = random.dirichlet([1.0] * 7, len(rows))
        resampling = random.dirichlet([1.0] * len(RESAMPLING[kind]), len(rows))
        worth = {}
        for row, (at, source) in enumerate(rows):
            one = resampling if source in RESAMPLED[kind] else normal
            for name, share in zip(allowed(kind, source), one[row], strict=True):
                if name != "none":  # times the number of operations: 1 is chance
                    worth[at, source, name] = share * one.shape[1]
        found = derive_cell(kind, normal.tolist(), resampling.tolist())
        assert len(found) == nodes
        for at, node in enumerate(found, start=2):
            here = {key[1:]: w for key, w in worth.items() if key[0] == at}
            pairs = [p for p in combinations(here, 2) if p[0][0] != p[1][0]]
            best = max(pairs, key=lambda pair: here[pair[0]] + here[pair[1]])
            assert {(e.source, e.op) for e in node} == set(best)

    def test_of_untouched_alphas_a_net_can_be_built(self) -> None:
        torch.manual_seed(0)
        genes = derive(Alphas(4))
        assert (len(genes.down), len(genes.up)) == (4, 4)


class TestAlphas:
    def test_small_and_shared(self) -> None:
        torch.manual_seed(0)
        alphas = Alphas(3)
        sizes = {name: tuple(a.shape) for name, a in alphas.named_parameters()}
        assert sizes == {"normal": (9, 7), "down": (9, 6), "up": (9, 4)}
        everything = torch.cat([a.detach().flatten() for a in alphas.parameters()])
        assert 0.8e-3 < everything.std() < 1.2e-3
        down, up = alphas()
        assert down.normal is up.normal
        for shares in (*down, *up):
            torch.testing.assert_close(shares.sum(1), torch.ones(9))

    def test_a_super_net_has_none(self) -> None:
        net, alphas = SuperNet(ndim=2, in_channels=1, classes=2, channels=4), Alphas(3)
        assert not {id(w) for w in net.parameters()} & {
            id(a) for a in alphas.parameters()
        }
        assert not [name for name, _ in net.named_parameters() if "alpha" in name]


class TestMixtures:
    @pytest.mark.parametrize(
        ("kind", "source"), [("down", 0), ("down", 2), ("up", 0), ("up", 1)]
    )
    def test_one_hot_it_is_that_operation(self, kind: Kind, source: int) -> None:
        torch.manual_seed(0)
        names = allowed(kind, source)
        mixed = MixedOp(Operations(2, affine=False), names, 16)
        x = torch.randn(1, 16, 7, 6)
        one_hot = torch.eye(len(names))
        for share, op, name in zip(one_hot, mixed.ops, names, strict=True):
            torch.testing.assert_close(mixed(x, share), op(x))
            assert (name == "none") == (not op(x).any())

    def test_halves_are_the_mean(self) -> None:
        mixed = MixedOp(Operations(2), ("identity", "none", "cweight"), 4)
        x = torch.randn(1, 4, 3, 3)
        share = torch.tensor([0.5, 0.2, 0.3])
        torch.testing.assert_close(mixed(x, share), 0.5 * x + 0.3 * mixed.ops[2](x))

    @pytest.mark.parametrize("kind", ["down", "up"])
    def test_saturated_a_cell_is_the_derived_one(self, kind: Kind) -> None:
        """Its alphas say "none" on every normal edge but those of V2, where they say V2.

        Resampling edges have no "none"; V2 uses every one of them.
        """
        torch.manual_seed(0)
        alphas, rows = Alphas(3), list(edges(3))
        nodes = getattr(GENOTYPES["v2"], kind)
        chosen = {
            (at, edge.source): edge.op
            for at, node in enumerate(nodes, start=2)
            for edge in node
        }
        with torch.no_grad():
            for row, (at, source) in enumerate(rows):
                names = allowed(kind, source)
                wanted = names.index(chosen.get((at, source), "none"))
                normal = source not in RESAMPLED[kind]
                side = alphas.normal if normal else getattr(alphas, kind)
                side[row] = torch.eye(len(names))[wanted] * 200
        shares = alphas()[0 if kind == "down" else 1]
        mixed = MixedCell(Operations(2, affine=False), kind, 3, 6, 5, 16)
        plain = Cell(Operations(2), kind, nodes, 6, 5, 16)
        plain.inputs.load_state_dict(mixed.inputs.state_dict(), strict=False)
        places = [(at, e) for at, node in enumerate(nodes, start=2) for e in node]
        for op, (at, edge) in zip(plain.ops, places, strict=True):
            ops = mixed.edges[rows.index((at, edge.source))].ops
            same = ops[allowed(kind, edge.source).index(edge.op)]
            op.load_state_dict(same.state_dict(), strict=False)
        s0, s1 = torch.randn(1, 6, 13, 8), torch.randn(1, 5, 7, 4)
        torch.testing.assert_close(mixed(s0, s1, *shares), plain(s0, s1))
        found = getattr(derive(alphas), kind)
        assert [set(node) for node in found] == [set(node) for node in nodes]

    @pytest.mark.parametrize("ndim", [2, 3])
    def test_a_super_net_takes_any_side_and_teaches_all_it_has(self, ndim: int) -> None:
        torch.manual_seed(0)
        net = SuperNet(
            ndim=ndim, in_channels=2, classes=3, nodes=2, channels=4, depth=1
        )
        alphas = Alphas(2)
        x = torch.randn(1, 2, *(11, 6, 7)[:ndim])
        logits = net(x, *alphas())
        assert logits.shape == (1, 3, *x.shape[2:])
        logits.square().sum().backward()
        for name, weights in net.named_parameters():
            assert weights.grad is not None, name
        for name, one in alphas.named_parameters():
            assert one.grad is not None, name
            # A row teaches what its edge reads: normal ones from 0 and 2, down 0 and 1.
            sources = {"normal": (0, 2), "down": (0, 1), "up": (1,)}[name]
            moves = [row for row, (_, at) in enumerate(edges(2)) if at in sources]
            taught = one.grad.abs().sum(1).nonzero().flatten().tolist()
            assert taught == moves, name


def small_teacher(count: int = 4, **train: object) -> Teacher:
    cases = discs(count)
    half = count // 2
    return make_teacher(
        make_recipe(**train), (cases[:half], cases[half:]), (2, 4, 1), "cpu", 0
    )


def state(module: nn.Module) -> list[Tensor]:
    return [one.detach().clone() for one in module.state_dict().values()]


def same(before: list[Tensor], module: nn.Module) -> list[bool]:
    return [torch.equal(a, b) for a, b in zip(before, state(module), strict=True)]


class TestTeacher:
    def test_a_step_of_the_weights_leaves_the_alphas(self) -> None:
        teacher = small_teacher()
        weights, alphas = state(teacher.net), state(teacher.alphas)
        random = turn(teacher, 1, 2, 0)
        teacher.teach_weights(*teacher.draw(teacher.for_weights, random))
        assert all(same(alphas, teacher.alphas))
        assert all(one.grad is None for one in teacher.alphas.parameters())
        assert not all(same(weights, teacher.net))

    def test_a_step_of_the_alphas_leaves_the_weights(self) -> None:
        teacher = small_teacher()
        weights, alphas = state(teacher.net), state(teacher.alphas)
        random = turn(teacher, 1, 2, 0)
        teacher.teach_alphas(*teacher.draw(teacher.for_alphas, random))
        assert all(same(weights, teacher.net))
        assert all(one.grad is None for one in teacher.net.parameters())
        assert all(one.requires_grad for one in teacher.net.parameters())
        assert not any(same(alphas, teacher.alphas))

    def test_each_optimiser_has_its_own_and_all_of_it(self) -> None:
        teacher = small_teacher()
        for optimizer, module in (
            (teacher.weight_optimizer, teacher.net),
            (teacher.alpha_optimizer, teacher.alphas),
        ):
            held = [w for group in optimizer.param_groups for w in group["params"]]
            assert [id(w) for w in held] == [id(w) for w in module.parameters()]
        (weights,) = teacher.weight_optimizer.param_groups
        assert (weights["momentum"], weights["lr"]) == (0.9, 0.025)
        (alphas,) = teacher.alpha_optimizer.param_groups
        assert (alphas["lr"], alphas["weight_decay"]) == (3e-4, 5e-3)

    def test_the_alphas_go_where_the_loss_is_lower(self) -> None:
        teacher = small_teacher()
        batch = teacher.draw(teacher.for_alphas, turn(teacher, 1, 2, 0))
        teacher.net.eval()  # no dropout
        losses = [teacher.teach_alphas(*batch) for _ in range(12)]
        assert losses == sorted(losses, reverse=True)
        assert losses[-1] < losses[0]

    def test_background_is_not_ignored(self) -> None:
        teacher = small_teacher(loss="ce")
        images, labels = teacher.draw(teacher.for_weights, turn(teacher, 1, 2, 0))
        nothing = torch.zeros_like(labels)
        losses = [teacher.teach_weights(images, nothing) for _ in range(8)]
        assert 0 < losses[-1] < losses[0]

    def test_the_learning_rate_is_a_cosine(self) -> None:
        teacher = small_teacher()
        rates = []
        for epoch in (1, 51, 101):
            turn(teacher, epoch, 100, 0)
            rates.append(teacher.weight_optimizer.param_groups[0]["lr"])
        assert rates == pytest.approx([0.025, 0.013, 0.001])


def quick(cases: list[Case], **options: object) -> tuple[list[SearchReport], Genotype]:
    wish: dict[str, object] = {"epochs": 2, "alpha_begin": 1, "channels": 4}
    wish |= {"depth": 1, "nodes": 2, "accelerator": "cpu", "seed": 3}
    steps = search(make_recipe(), cases, **wish | options)  # type: ignore[arg-type]
    reports = []
    while True:
        try:
            reports.append(next(steps))
        except StopIteration as end:
            return reports, end.value


class TestSearch:
    def test_it_finds_a_net_and_finds_it_again(self) -> None:
        reports, genes = quick(discs(12))
        assert [(r.epoch, r.step) for r in reports] == [
            (epoch, step) for epoch in (1, 2) for step in (1, 2, 3, 4)
        ]
        assert {(r.epochs, r.steps) for r in reports} == {(2, 4)}
        assert all(np.isfinite(r.weight_loss) for r in reports)
        assert [r.alpha_loss is None for r in reports] == [True] * 4 + [False] * 4
        assert reports[-1].genotype == genes
        net = NASUNet(ndim=2, in_channels=1, classes=2, genotype=genes, channels=4)
        with torch.inference_mode():
            assert net(torch.randn(1, 1, 9, 7)).shape == (1, 2, 9, 7)
        assert quick(discs(12)) == (reports, genes)
        assert quick(discs(12), seed=4)[0] != reports

    def test_before_alpha_begin_the_alphas_do_not_move(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made: list[tuple[Alphas, list[Tensor]]] = []

        def remember(nodes: int) -> Alphas:
            alphas = Alphas(nodes)
            made.append((alphas, state(alphas)))
            return alphas

        monkeypatch.setattr(page, "Alphas", remember)
        wish = {"epochs": 3, "alpha_begin": 2, "channels": 4, "depth": 1, "nodes": 2}
        for report in search(make_recipe(), discs(12), accelerator="cpu", **wish):
            ((alphas, before),) = made
            assert all(same(before, alphas)) == (report.epoch <= 2)

    @pytest.mark.parametrize("patience", [1, 3])
    def test_it_ends_when_nothing_changes(
        self, monkeypatch: pytest.MonkeyPatch, patience: int
    ) -> None:
        monkeypatch.setattr(page, "ALPHA_RATE", 0.0)
        reports, genes = quick(discs(12), epochs=9, patience=patience)
        assert reports[-1].epoch == 1 + patience
        assert [r.unchanged for r in reports if r.step == r.steps] == list(
            range(1 + patience)
        )
        assert {r.genotype for r in reports} == {genes}

    def test_a_change_begins_the_count_anew(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        script = iter(["v1", "v1", "v1", "v2", "v2", "v1", "v1", "v1", "v1", "v1"])
        monkeypatch.setattr(page, "derive", lambda _: GENOTYPES[next(script)])
        steps = search(
            make_recipe(steps=1),
            discs(12),
            epochs=9,
            alpha_begin=0,
            patience=3,
            channels=4,
            depth=1,
            nodes=2,
            accelerator="cpu",
        )
        # The first of the script is what there was before the first epoch.
        assert [report.unchanged for report in steps] == [1, 2, 0, 1, 0, 1, 2, 3]

    def test_validation_and_locked_cases_are_not_looked_at(self) -> None:
        data = make_recipe().data
        cases, hidden = [], 0
        for case in discs(12):
            side = side_of(
                case.group,
                salt=data.salt,
                validation=data.validation,
                locked=data.locked,
            )
            if side != "train":
                case = replace(case, image=np.full_like(case.image, np.nan))
                hidden += 1
            cases.append(case)
        assert hidden
        assert quick(cases) == quick(discs(12))

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"epochs": 5, "alpha_begin": 5}, "begins to move after 5 epochs"),
            ({"channels": 0}, "channels must be at least 1, got 0"),
            ({"depth": 0}, "depth must be at least 1, got 0"),
            ({"nodes": 0}, "nodes must be at least 1, got 0"),
        ],
    )
    def test_what_cannot_find_anything_is_refused(
        self, options: dict[str, int], says: str
    ) -> None:
        with pytest.raises(InputError, match=says):
            quick(discs(12), **options)

    def test_a_loss_that_is_no_number_is_told_in_one_line(self) -> None:
        cases = [
            replace(case, image=np.full_like(case.image, np.nan)) for case in discs(12)
        ]
        with pytest.raises(InputError, match="discs: the loss of the search") as caught:
            quick(cases)
        assert "\n" not in str(caught.value)


class TestHalves:
    @settings(max_examples=30)
    @given(st.lists(st.sampled_from("abcdefg"), min_size=2), st.integers(0, 99))
    def test_groups_are_halved_and_never_straddle(
        self, groups: list[str], seed: int
    ) -> None:
        blank = discs(1)[0]
        cases = [
            replace(blank, name=str(i), group=group) for i, group in enumerate(groups)
        ]
        if len(set(groups)) < 2:
            with pytest.raises(InputError, match="at least two groups"):
                halve(cases, seed)
            return
        ours, theirs = halve(cases, seed)
        sides = {case.group for case in ours}, {case.group for case in theirs}
        assert not sides[0] & sides[1]
        assert sides[0] | sides[1] == set(groups)
        assert len(sides[0]) - len(sides[1]) in (0, 1)
        assert len(ours) + len(theirs) == len(cases)
        again = halve(cases[::-1], seed)
        assert {case.name for case in again[0]} == {case.name for case in ours}
