"""Votes, the spread of the readers, limits of agreement: by hand."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_segreview.core.agreement import plots
from napari_segreview.core.charts import agreement_chart
from napari_segreview.core.readers import (
    pair_table,
    spread,
    spread_table,
    votes,
)
from napari_segreview.core.study import Agreement, Study
from src_models.errors import InputError
from src_models.metrics import bland_altman


def test_votes_by_hand() -> None:
    a, b, c, d = (
        np.array(x, np.uint8)
        for x in ([1, 1, 1, 1], [1, 1, 1, 2], [1, 1, 2, 3], [1, 2, 2, 4])
    )
    majority, share = votes([a, b, c, d])
    assert majority.tolist() == [1, 1, 0, 0]  # two of four are no majority
    assert share.tolist() == [0, 0.25, 0.5, 0.75]


@given(hnp.arrays("u1", (3, 5, 4), elements=st.integers(0, 3)))
def test_votes_against_counting(maps: np.ndarray) -> None:
    majority, share = votes(list(maps))
    count = np.stack([(maps == value).sum(0) for value in range(4)])
    most = count.max(0)
    assert share == pytest.approx(1 - most / 3)
    assert (majority == np.where(most > 1.5, count.argmax(0), 0)).all()


def test_one_reader_is_no_vote() -> None:
    with pytest.raises(InputError, match="two or more readers"):
        votes([np.zeros(3, np.uint8)])


def study(*rows: tuple[str, str, str, float, float, float], model: str = "m") -> Study:
    readers = tuple(dict.fromkeys(name for row in rows for name in row[1:3]))
    return Study(
        readers=readers,
        model=model,
        unit="mm",
        volume_unit="ml",
        tolerance=2.0,
        pairs=tuple(
            Agreement(
                case=case,
                structure="cup",
                first=a,
                second=b,
                dice=dice,
                nsd=dice,
                hd95=1.0,
                volume_first=va,
                volume_second=vb,
            )
            for case, a, b, dice, va, vb in rows
        ),
    )


ROWS = (
    ("1", "a", "b", 0.80, 10.0, 12.0),
    ("1", "a", "m", 0.90, 10.0, 11.0),
    ("1", "b", "m", 0.76, 12.0, 11.0),
    ("2", "a", "b", 0.84, 20.0, 20.0),
    ("2", "a", "m", 0.90, 20.0, 23.0),
    ("2", "b", "m", 0.76, 20.0, 23.0),
)


def test_within_the_spread() -> None:
    (one,) = spread(study(*ROWS))
    assert one.among == one.lowest == pytest.approx(0.82)
    assert one.model == pytest.approx(0.83)
    assert one.within
    assert one.williams == pytest.approx(0.83 / 0.82)
    assert (one.volume_inside, one.cases) == (1, 2)
    assert spread_table(study(*ROWS)).rows[0][1].text == "within the spread"


def test_outside_the_spread() -> None:
    worse = [(*row[:3], row[3] - (row[2] == "m") * 0.1, *row[4:]) for row in ROWS]
    (one,) = spread(study(*worse))
    assert not one.within
    assert one.williams < 1


def test_people_only() -> None:
    assert spread(study(*ROWS, model="")) == ()
    with pytest.raises(InputError, match="two readers beside the model"):
        spread(study(*(row for row in ROWS if row[1:3] == ("a", "m"))))


def test_readers_who_never_agree() -> None:
    none = [(*row[:3], 0.0, *row[4:]) for row in ROWS]
    assert spread(study(*none))[0].williams == float("inf")


def test_limits_and_table() -> None:
    plot = plots(study(*ROWS))[0]
    assert plot.title == "a − b, cup"
    assert (plot.found.bias, plot.found.cases) == (-1.0, 2)
    assert plot.points == ((11.0, -2.0), (20.0, 0.0))
    assert plot.words == "a − b, cup: bias −1.00 ml, limits −3.77 to +1.77"
    table = pair_table(study(*ROWS))
    assert [row[0].text for row in table.rows] == ["a – b", "a – m", "b – m"]
    assert [cell.text for cell in table.rows[0]][2:4] == ["0.820", "0.820"]
    assert "mm" in table.headers[4]
    assert table.rows[0][5].text == "−1.00 (−3.77 to +1.77)"


def two_structures() -> Study:
    """A large one that both see alike, a small one of which b sees half."""
    cup = study(*ROWS, model="").pairs
    rim = [
        replace(one, structure="rim", volume_first=2.0, volume_second=1.0)
        for one in cup
    ]
    return replace(study(*ROWS, model=""), pairs=(*cup, *rim))


def test_limits_do_not_mix_structures() -> None:
    both = two_structures()
    titles = [plot.title for plot in plots(both)]
    assert titles[:2] == ["a − b, cup", "a − b, rim"]
    rim = plots(both)[1].found
    assert (rim.bias, rim.sd) == (1.0, 0.0)
    assert pair_table(both).rows[1][5].text == "+1.00 (+1.00 to +1.00)"


def test_of_one_case_the_structures_are_drawn() -> None:
    both = two_structures()
    single = replace(both, pairs=tuple(one for one in both.pairs if one.case == "1"))
    plot = plots(single)[0]
    assert plot.title == "a − b, all structures"
    assert plot.points == ((11.0, -2.0), (1.5, 1.0))
    # one measurement of a structure has no limits
    assert pair_table(single).rows[0][5].text == "−2.00"


def test_words_beside_the_lines_do_not_cover_each_other() -> None:
    found = bland_altman([1.0, 2.0], [1.0, 2.0])  # all lines at zero
    svg = agreement_chart([(1.0, 0.0), (2.0, 0.0)], found, "a − b", 400)
    tops = sorted(
        float(top)
        for top, text in re.findall(r'y="([-\d.]+)">([^<]+)</text>', svg)
        if "sd" in text or "bias" in text
    )
    assert len(tops) == 3
    assert min(np.diff(tops)) >= 12
    assert 'width="400"' in svg


def test_every_number_says_what_it_is() -> None:
    """Formula and rule for empty labels, where a number rests on one."""
    one = study(*ROWS)
    for table in (pair_table(one), spread_table(one)):
        for row, cells in enumerate(table.rows):
            assert all(table.hover(row, column) for column in range(len(cells)))
    pairs = pair_table(one)
    assert "2 TP / (2 TP + FP + FN). Both empty: 1." in pairs.hover(0, 2)
    assert "the diagonal of the image" in pairs.hover(0, 4)
