"""The architecture, kept by tests: ceilings, forbidden calls, who wakes whom."""

from __future__ import annotations

import ast
import json
import pkgutil
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import grimp
import nibabel as nib
import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(
    path
    for package in ("napari_segreview", "src_models")
    for path in (ROOT / package).rglob("*.py")
)
FILE, PANEL, FUNCTION = 400, 250, 50  # lines

# Reading a pickle runs what its writer put there.
PICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve"}
CALLS = {"print", "torch.load", "torch.save", "pandas.read_pickle", "pd.read_pickle"}


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def too_long(source: str) -> Iterator[str]:
    """Functions above the ceiling, docstrings not counted."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            lines -= len((ast.get_docstring(node, clean=False) or "").splitlines())
            if lines > FUNCTION:
                yield f"line {node.lineno}: {node.name} has {lines} lines"


def forbidden(source: str) -> Iterator[str]:
    """Pickles by any road, and print."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                modules = {alias.name.partition(".")[0] for alias in names}
            case ast.ImportFrom(module=str(module)):
                modules = {module.partition(".")[0]}
                modules |= {f"{module}.{alias.name}" for alias in node.names} & CALLS
            case ast.Call(func=func, keywords=keywords):
                modules = {ast.unparse(func)} & CALLS
                modules |= {k.arg for k in keywords if allows_pickle(k) and k.arg}
            case _:
                continue
        for name in sorted(modules & (PICKLES | CALLS | {"allow_pickle"})):
            yield f"line {node.lineno}: {name}"


def allows_pickle(keyword: ast.keyword) -> bool:
    safe = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
    return keyword.arg == "allow_pickle" and not safe


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import pickle", "pickle"),
        ("from joblib import load", "joblib"),
        ("import torch\ntorch.load(p, weights_only=True)", "torch.load"),
        ("from torch import load", "torch.load"),
        ("import numpy as np\nnp.load(p, allow_pickle=True)", "allow_pickle"),
        ("print(1)", "print"),
    ],
)
def test_the_guard_finds(source: str, found: str) -> None:
    assert [line.partition(": ")[2] for line in forbidden(source)] == [found]


def test_the_guard_lets_pass() -> None:
    assert not list(forbidden("np.load(p, allow_pickle=False)\nconsole.print(1)"))
    assert not list(too_long("def f():\n" + "    x = 1\n" * (FUNCTION - 1)))
    assert list(too_long("def f():\n" + "    x = 1\n" * FUNCTION))


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_files_and_functions_keep_their_ceilings(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    ceiling = PANEL if path.parent.name == "ui" else FILE
    assert len(source.splitlines()) <= ceiling
    assert not list(too_long(source))


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_no_pickle_and_no_print(path: Path) -> None:
    assert not list(forbidden(path.read_text(encoding="utf-8")))


def test_no_module_needs_one_that_needs_it() -> None:
    """Not even for a type: what two of them share is below both."""
    graph = grimp.build_graph("napari_segreview", "src_models", cache_dir=None)
    needs = {
        module: graph.find_modules_directly_imported_by(module)
        for module in graph.modules
    }
    TopologicalSorter(needs).prepare()  # CycleError names the circle


# Import contracts see what is written down; these see what happens.
NET = {"torch", "monai", "lightning_fabric"}
WINDOW = {"napari", "qtpy", "PyQt6", "PySide6", "magicgui", "superqt", "vispy"}
SLEEPERS = {
    "napari_segreview": NET | WINDOW,
    "napari_segreview._plugin": NET,
    "napari_segreview.cli": NET | WINDOW,
    "napari_segreview.scans": NET | WINDOW,
    "src_models.card": NET | WINDOW,
    "src_models.catalog": NET | WINDOW,
    "src_models.errors": NET | WINDOW,
    "src_models.metrics": NET | WINDOW,
} | {
    f"napari_segreview.core.{module.name}": NET | WINDOW | {"SimpleITK", "pydicom"}
    for module in pkgutil.iter_modules([str(ROOT / "napari_segreview" / "core")])
}


def awake(code: str, cwd: Path = ROOT) -> set[str]:
    """The top-level modules that a fresh process has imported once `code` has run."""
    tail = 'import sys, json; sys.stderr.write("\\n" + json.dumps(list(sys.modules)))'
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\n{tail}"],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    names: list[str] = json.loads(run.stderr.splitlines()[-1])
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("module", SLEEPERS)
def test_importing_wakes_nothing_heavy(module: str) -> None:
    assert not awake(f"import {module}") & SLEEPERS[module]


@pytest.mark.parametrize("arguments", [["--help"], ["models"], ["score"]], ids=" ".join)
def test_the_command_wakes_no_torch(arguments: list[str], tmp_path: Path) -> None:
    if arguments == ["score"]:
        arguments = ["score", *two_label_files(tmp_path)]
    code = f"""
import sys
from napari_segreview.cli import main
sys.argv = ["segreview", *{arguments!r}]
try:
    main()
except SystemExit as end:
    if end.code:
        raise
"""
    assert not awake(code, tmp_path) & NET


def two_label_files(folder: Path) -> list[str]:
    for name, first in (("truth", 2), ("guess", 3)):
        data = np.zeros((8, 8, 8), np.uint8)
        data[first : first + 3, 2:6, 2:6] = 1
        nib.Nifti1Image(data, np.eye(4)).to_filename(folder / f"{name}.nii.gz")
    return ["truth.nii.gz", "guess.nii.gz"]
