"""Scoring a folder of cases: pairs of files, what is done already, where it runs."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_segreview import __version__
from napari_segreview._readers import files_in, make_folder
from napari_segreview.core.cohort import CaseFiles, CaseScore, CasesDone
from napari_segreview.core.errors import InputError, reason
from napari_segreview.scans.label_table import sidecar
from src_models.metrics import Report
from src_models.metrics.report import FORMAT
from src_models.progress import Progress, drain

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from napari_segreview.core.labels import LabelMap

DONE = "scores.jsonl"
WANTED, FURTHER = ("case", "prediction", "reference"), ("second", "image")


@dataclass(frozen=True, slots=True)
class Task:
    """What is scored, under the key that tells whether it is done already."""

    key: str
    files: CaseFiles
    tolerance: float
    resample: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """Reports as JSON, or what went wrong."""

    key: str
    case: str
    report: str = ""
    second: str = ""
    error: str = ""


def score_cohort(
    cases: Sequence[CaseFiles],
    folder: Path,
    *,
    tolerance: float,
    resample: bool = False,
    scheduler: str = "",
) -> Generator[CasesDone, None, tuple[CaseScore, ...]]:
    """Score all cases; those that were finished before, of the same content, are not.

    Parameters
    ----------
    folder : Path
        Keeps the finished cases (`DONE`); made if it is not there.
    scheduler : str
        Address of a dask scheduler, whose workers see the same files; "": here.

    Yields
    ------
    CasesDone
        With all that are finished: of quick steps not all are told.

    Raises
    ------
    InputError
        If the folder cannot be written or the scheduler cannot be reached. What goes
        wrong with one case is told in its score and does not stop the others.
    """
    make_folder(folder)
    done = _finished(folder / DONE)
    answers: dict[str, Answer] = {}
    tasks = []
    for files in cases:
        try:
            key = key_of(files, tolerance, resample)
        except OSError as error:
            said = f"{_role(files, error.filename)}: {error.strerror}"
            answers[files.case] = Answer("", files.case, error=said)
            continue
        if key in done:
            answers[files.case] = replace(done[key], case=files.case)
        else:
            tasks.append(Task(key, files, tolerance, resample))
    scores = [_score(one) for one in answers.values()]
    if scores:
        yield CasesDone(len(scores), len(cases), "finished before", tuple(scores))
    for told in _on_dask(tasks, scheduler) if scheduler else _here(tasks):
        if isinstance(told, str):
            yield CasesDone(len(scores), len(cases), told, tuple(scores))
            continue
        if not told.error:
            _keep(folder / DONE, told)
        scores.append(_score(told))
        yield CasesDone(len(scores), len(cases), told.case, tuple(scores))
    named = {one.case: one for one in scores}
    return tuple(named[files.case] for files in cases)


def _here(tasks: Sequence[Task]) -> Iterator[str | Answer]:
    """One case after the other; between them what is being done, so that one may stop."""
    for task in tasks:
        steps = answering(task)
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                yield end.value
                break
            yield f"{task.files.case}, {step.note}" if step.note else task.files.case


def answer(task: Task) -> Answer:
    """`answering` run to its end, on a worker."""
    return drain(answering(task))


def answering(task: Task) -> Generator[Progress, None, Answer]:
    """Read and score one case. Never raises."""
    from napari_segreview.engine.evaluate import compare

    files = task.files
    try:
        yield Progress(0, 1, "reading")
        reference = _read(files, files.reference)
        reports = []
        for path in filter(None, (files.prediction, files.second)):
            mine = _read(files, path)
            report = yield from compare(
                mine, reference, task.tolerance, resample=task.resample
            )
            reports.append(report.to_json())
    except InputError as error:
        return Answer(task.key, files.case, error=" ".join(str(error).split()))
    except Exception as error:  # noqa: BLE001  one bad case does not stop the rest
        said = f"the program failed ({type(error).__name__}: {error})"
        return Answer(task.key, files.case, error=" ".join(said.split()))
    return Answer(task.key, files.case, *reports)


def _read(files: CaseFiles, path: Path) -> LabelMap:
    """Labels, and what is wrong with them, under what they are for.

    Both files of a case are often named alike; and what is kept must name nobody.
    """
    from napari_segreview.scans import read_labels

    name = _role(files, path)
    try:
        return replace(read_labels(path), name=name)
    except InputError as error:
        raise InputError(str(error).replace(path.name, name)) from error
    except OSError as error:
        raise InputError(f"{name}: {reason(error)}") from error


def _role(files: CaseFiles, path: str | Path) -> str:
    """What a file of a case is for, in words."""
    roles = {
        files.reference: "the reference",
        files.second: "the second prediction",
        files.prediction: "the prediction",
    }
    return roles.get(Path(path), "a file")


def key_of(files: CaseFiles, tolerance: float, resample: bool = False) -> str:
    """SHA-256 of all that decides the scores: contents, tables, settings, version."""
    settings = f"{__version__} {FORMAT} {tolerance!r} {resample}"
    found = hashlib.sha256(settings.encode())
    for path in (files.prediction, files.reference, files.second):
        for part in _with_table(path) if path else ():
            found.update(hashlib.sha256(part.read_bytes()).digest())
        found.update(b"|")
    return found.hexdigest()


def cases_in(
    predictions: Path,
    references: Path | None,
    second: Path | None = None,
    images: Path | None = None,
) -> list[CaseFiles]:
    """Pairs of two folders by file name, or the rows of a CSV file.

    A CSV has the columns case, prediction, reference; for a second model second, for
    what they were drawn on image. Paths in it count from where it lies.

    Raises
    ------
    InputError
        If there are no pairs, or a column or a folder is missing.
    """
    if references is None:
        return _from_csv(predictions)
    for folder in filter(None, (predictions, references, second, images)):
        if not folder.is_dir():
            raise InputError(f"{folder}: a folder of label files is wanted")
    mine, theirs = files_in(predictions), files_in(references)
    others, scans = (files_in(one) if one else {} for one in (second, images))
    common = sorted(mine.keys() & theirs.keys())
    if not common:
        raise InputError(
            f"{predictions} and {references} have no file name in common; name the "
            "labels of a case alike, or list the pairs in a CSV file"
        )
    return [
        CaseFiles(one, mine[one], theirs[one], others.get(one), scans.get(one))
        for one in common
    ]


def _from_csv(path: Path) -> list[CaseFiles]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error, IsADirectoryError) as error:
        raise InputError(
            f"{path}: a CSV file, or two folders, are wanted ({error})"
        ) from error
    if not rows or not all(row.get(name) for row in rows for name in WANTED):
        raise InputError(
            f"{path}: rows with the columns {', '.join(WANTED)}, all filled, are wanted; "
            "mend the file"
        )
    if len({row["case"] for row in rows}) < len(rows):
        raise InputError(f"{path}: a case is there twice; give each a name of its own")

    def file_of(row: dict[str, str], name: str) -> Path:
        return path.parent / row[name]

    return [
        CaseFiles(
            row["case"],
            file_of(row, "prediction"),
            file_of(row, "reference"),
            *(file_of(row, name) if row.get(name) else None for name in FURTHER),
        )
        for row in rows
    ]


def _on_dask(tasks: Sequence[Task], address: str) -> Iterator[Answer]:
    """The same on the workers of a dask cluster, as they finish."""
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise InputError(
            '--scheduler needs dask.distributed: pip install "napari-segreview[cluster]"'
        ) from error
    try:
        client = Client(address, timeout=10)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{address}: no dask scheduler answers there ({error}); start one with "
            "`dask scheduler`, or leave --scheduler out"
        ) from error
    with client:
        waiting = {client.submit(answer, task, pure=False): task for task in tasks}
        for future in as_completed(waiting):
            task = waiting[future]
            lost = future.exception()
            if lost is None:
                yield future.result()
            else:
                said = f"the worker failed ({type(lost).__name__}: {lost})"
                yield Answer(task.key, task.files.case, error=said)


def _with_table(path: Path) -> Iterable[Path]:
    """The file, and the label table beside it where there is one."""
    beside = sidecar(path)
    return (path, beside) if beside.is_file() else (path,)


def _finished(path: Path) -> dict[str, Answer]:
    """What is kept, by key. A line that was cut off counts as none."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            one = Answer(**json.loads(line))
        except (ValueError, TypeError):
            continue
        found[one.key] = one
    return found


def _keep(path: Path, one: Answer) -> None:
    facts: dict[str, Any] = {
        "key": one.key,
        "case": "",  # it may name a patient; the key finds it again
        "report": one.report,
        "second": one.second,
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(facts, ensure_ascii=False) + "\n")


def _score(one: Answer) -> CaseScore:
    if one.error:
        return CaseScore(one.case, error=one.error)
    second = Report.from_json(one.second) if one.second else None
    return CaseScore(one.case, Report.from_json(one.report), second)
