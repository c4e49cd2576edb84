"""Which structures the bench clicks on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from src_models.data.click_cache import Entry, open_entry, store
from src_models.training.click_bench_targets import scored_targets

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from src_models.data.click_cache import Planes


def case(
    folder: Path, name: str, labels: npt.NDArray[np.int_], *, instances: bool = False
) -> Planes:
    entry = Entry(name[0], name, "1", (1.0, 1.0, 1.0), instances=instances)
    store(folder, entry, np.zeros((*labels.shape, 1), np.uint8), labels)
    return open_entry(folder, entry)


def two_kinds() -> npt.NDArray[np.int_]:
    """One piece of value 1, largest in slice 2; value 2 in two pieces in slice 0."""
    labels = np.zeros((3, 30, 30), int)
    labels[1, :6, :6] = labels[2, :8, :8] = 1
    labels[0, 20:29, :9] = labels[0, 20:27, 20:27] = 2
    return labels


class TestKinds:
    def test_where_each_is_largest(self, tmp_path: Path) -> None:
        found = list(scored_targets([case(tmp_path, "a1", two_kinds())], 8))
        assert [one.structure for one in found] == [
            "label 1, slice 2",
            "label 2, slice 0",
            "label 2, slice 0, largest part",
        ]
        assert [int(one.truth.sum()) for one in found] == [64, 130, 81]

    def test_cases_in_turn_begin_with_another_kind(self, tmp_path: Path) -> None:
        cases = [case(tmp_path, f"a{n}", two_kinds()) for n in range(3)]
        found = list(scored_targets(cases, 4))
        assert [one.case for one in found] == ["a0", "a1", "a2", "a0"]
        assert len({one.structure for one in found[:3]}) == 3

    def test_most_holds_for_each_set(self, tmp_path: Path) -> None:
        cases = [case(tmp_path, name, two_kinds()) for name in ("a1", "a2", "b1")]
        found = [one.set for one in scored_targets(cases, 2)]
        assert found == ["a", "a", "b", "b"]

    def test_none_of_an_unlabelled_case(self, tmp_path: Path) -> None:
        empty = case(tmp_path, "a1", np.zeros((1, 9, 9), int))
        full = case(tmp_path, "a2", two_kinds())
        assert {one.case for one in scored_targets([empty, full], 8)} == {"a2"}


class TestInstances:
    def test_by_size(self, tmp_path: Path) -> None:
        labels = np.zeros((1, 10, 300), int)
        for number in range(1, 9):  # 10, 20 … 80 pixels; two are too small
            labels[0, :, 30 * number : 31 * number] = number
        found = list(scored_targets([case(tmp_path, "n1", labels, instances=True)], 8))
        assert [int(one.truth.sum()) for one in found] == [50, 80, 70, 40]
        assert found[0].structure == "object 4 of 6 by size"

    def test_a_lone_one_is_asked_for_once(self, tmp_path: Path) -> None:
        labels = np.zeros((1, 9, 9), int)
        labels[0, :6, :6] = 3
        found = list(scored_targets([case(tmp_path, "n1", labels, instances=True)], 8))
        assert [one.structure for one in found] == ["object 1 of 1 by size"]
