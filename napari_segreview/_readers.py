"""Files of several people's labels → a study, and what is written of it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from napari_segreview.core.labels import LabelMap, LabelTable
from napari_segreview.scans import (
    check_apart,
    check_writable,
    read_labels,
    write_labels,
)
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from pathlib import Path

    from napari_segreview.core.study import Study
    from src_models.progress import Progress

Cases = dict[str, "Callable[[], Mapping[str, LabelMap]]"]


def readers(
    paths: Sequence[Path],
    model: Path | None,
    tolerance: float,
    output: Path | None,
    *,
    with_names: bool = False,
) -> Generator[Progress, None, Study]:
    """Files of one case, or folders with a file a case; see `engine.readers.study`.

    With `output`, a folder: a page, CSV and JSON; of a single case also the labels of
    the readers' majority and of STAPLE, and their disagreement in percent, without the
    model. `with_names`: the page tells the names of the cases too.

    Raises
    ------
    InputError
        Also if files and folders are mixed, the folders have no case in common, or a
        file that is read would be written over.
    """
    from napari_segreview.engine.readers import study
    from napari_segreview.engine.readers_page import write_study

    if output is not None:
        make_folder(output)
    everyone = [*paths, *([model] if model else [])]
    names = names_of(everyone)
    cases = cases_of(dict(zip(names, everyone, strict=True)))
    found = yield from study(
        cases, model=names[-1] if model else "", tolerance=tolerance
    )
    if output is not None:
        if len(cases) == 1:
            maps = dict(next(iter(cases.values()))())
            if model:
                del maps[names[-1]]  # it has no say in what it is judged by
            yield from _write_consensus(maps, output, everyone)
        write_study(found, output / "readers.html", with_names=with_names)
    return found


def names_of(paths: Sequence[Path]) -> list[str]:
    """What tells the paths apart: the last part in which all differ, without suffix."""
    depth = min(len(path.parts) for path in paths)
    for back in range(1, depth + 1):
        names = [path.parts[-back].partition(".")[0] for path in paths]
        if len(set(names)) == len(names):
            return names
    return [f"{path} ({at})" for at, path in enumerate(paths, 1)]


def cases_of(readers: Mapping[str, Path]) -> Cases:
    """Case → what reads all its labels. One file each is one case.

    Raises
    ------
    InputError
    """
    folders = [path.is_dir() for path in readers.values()]
    if not any(folders):
        return {"case": partial(_read, dict(readers))}
    if not all(folders):
        raise InputError(
            "either files of one case or folders of many are wanted, got both"
        )
    held = {name: files_in(path) for name, path in readers.items()}
    common = sorted(set.intersection(*(set(files) for files in held.values())))
    if not common:
        raise InputError(
            "the folders have no file name in common; name the labels of a case alike"
        )
    return {
        case: partial(_read, {name: files[case] for name, files in held.items()})
        for case in common
    }


def files_in(folder: Path) -> dict[str, Path]:
    """Case → file, by name without suffixes; hidden files and sidecars left out."""
    return {
        path.name.partition(".")[0]: path
        for path in sorted(folder.iterdir())
        if path.is_file() and not path.name.startswith(".") and path.suffix != ".json"
    }


def make_folder(folder: Path) -> None:
    """Make the folder that is written to.

    Raises
    ------
    InputError
        If that cannot be.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder}: this folder cannot be made ({error.strerror}); choose another"
        ) from error


def _read(paths: Mapping[str, Path]) -> dict[str, LabelMap]:
    return {name: read_labels(path) for name, path in paths.items()}


def _write_consensus(
    maps: Mapping[str, LabelMap], output: Path, sources: Sequence[Path]
) -> Generator[Progress, None, None]:
    from napari_segreview.engine.readers import consensus

    found = yield from consensus(maps)
    share = np.round(100 * found.disagreement).astype(np.uint8)
    percent = replace(
        found.majority,
        data=share,
        name="disagreement in percent",
        table=LabelTable.of({int(v): f"{v} %" for v in np.unique(share) if v}),
    )
    suffix = ".nii.gz" if found.majority.data.ndim > 2 else ".png"
    written = {
        output / f"{labels.name.replace(' ', '-').lower()}{suffix}": labels
        for labels in (found.majority, found.staple, percent)
    }
    for path, source in product(written, sources):
        check_apart(path, source)
    for path, labels in written.items():
        check_writable(path, labels)
        write_labels(labels, path)
