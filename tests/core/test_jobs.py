"""A job tells what it does, ends once, and always cleans up."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest

from napari_segreview.core import jobs
from napari_segreview.core.jobs import Job
from src_models.errors import InputError
from src_models.progress import Curve, Point, Progress

if TYPE_CHECKING:
    from collections.abc import Generator

ENDS = ("finished", "cancelled", "failed")


class Work:
    """Steps that note what became of them."""

    def __init__(self, steps: int = 3, error: Exception | None = None) -> None:
        self.steps, self.error = steps, error
        self.did: list[str] = []

    def __call__(self) -> Generator[Progress, None, str]:
        try:
            for step in range(1, self.steps + 1):
                self.did.append(f"step {step}")
                yield Progress(step, self.steps)
            if self.error is not None:
                raise self.error
            return "answer"
        finally:
            self.did.append("cleaned up")


def listen(job: Job[Any]) -> list[Any]:
    """All that a job says, in order."""
    heard: list[Any] = []
    job.progressed.connect(lambda progress: heard.append(progress.done))
    job.finished.connect(lambda answer: heard.append(("finished", answer)))
    job.cancelled.connect(lambda: heard.append(("cancelled", None)))
    job.failed.connect(lambda error: heard.append(("failed", error)))
    return heard


def ends(heard: list[Any]) -> list[str]:
    return [one[0] for one in heard if isinstance(one, tuple)]


def test_steps_are_told_in_order_and_the_answer_last() -> None:
    work = Work()
    job = Job(work())
    heard = listen(job)
    job.run()
    assert heard == [1, 2, 3, ("finished", "answer")]
    assert work.did[-1] == "cleaned up"


def test_work_without_steps_finishes() -> None:
    job = Job(Work(0)())
    heard = listen(job)
    job.run()
    assert heard == [("finished", "answer")]


def test_cancelled_before_it_began_no_step_is_done() -> None:
    work = Work()
    job = Job(work())
    heard = listen(job)
    job.cancel()
    job.run()
    assert heard == [("cancelled", None)]
    assert work.did == []


def test_cancel_takes_effect_between_two_steps() -> None:
    work = Work()
    job = Job(work())
    heard = listen(job)
    job.progressed.connect(lambda progress: job.cancel() if progress.done == 2 else 0)
    job.run()
    assert heard == [1, 2, ("cancelled", None)]
    assert work.did == ["step 1", "step 2", "cleaned up"]


def test_a_fault_ends_it() -> None:
    fault = RuntimeError("broken")
    work = Work(1, fault)
    job = Job(work())
    heard = listen(job)
    job.run()
    assert heard == [1, ("failed", fault)]
    assert work.did[-1] == "cleaned up"


def test_a_fault_while_cleaning_up_after_cancel_is_told() -> None:
    fault = RuntimeError("cannot clean")

    def steps() -> Generator[Progress, None, None]:
        try:
            yield Progress(1, 2)
        finally:
            raise fault

    job = Job(steps())
    heard = listen(job)
    job.progressed.connect(lambda _: job.cancel())
    job.run()
    assert heard == [1, ("failed", fault)]


def test_a_listener_that_breaks_ends_the_job_once() -> None:
    work = Work()
    job = Job(work())
    heard = listen(job)
    job.progressed.connect(lambda _: 1 / 0)
    job.run()
    assert ends(heard) == ["failed"]
    assert work.did == ["step 1", "cleaned up"]


@pytest.mark.parametrize(
    ("error", "logged"),
    [
        (InputError("wanted a scan"), False),
        (FileNotFoundError(2, "no such file", "x.nii"), False),
        (ZeroDivisionError("division"), True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_the_programs_own_faults_are_logged(
    error: Exception, logged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        Job(Work(1, error)()).run()
    assert bool(caplog.records) is logged
    if logged:
        assert caplog.records[0].exc_info is not None


def test_quick_steps_are_not_all_told(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1, 100))  # a tick of 10 ms each time one looks
    monkeypatch.setattr(jobs, "QUIET_S", 0.05)
    monkeypatch.setattr(jobs.time, "monotonic", lambda: next(clock) / 100 + 1)
    job = Job(Work(20)())
    heard = listen(job)
    job.run()
    told = [one for one in heard if isinstance(one, int)]
    assert told[0] == 1
    assert 3 <= len(told) <= 6
    assert ends(heard) == ["finished"]


def test_every_measurement_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "QUIET_S", 3600.0)

    def steps() -> Generator[Progress, None, None]:
        for number in range(3):
            yield Progress(number, 3)
            yield Curve(number, 3, "", (Point(number, 1.0, 0.5),))

    job, told = Job(steps()), list[Progress]()
    job.progressed.connect(told.append)
    job.run()
    assert [one.done for one in told if isinstance(one, Curve)] == [0, 1, 2]


def test_what_was_held_back_is_told_before_it_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "QUIET_S", 3600.0)
    monkeypatch.setattr(jobs.time, "monotonic", lambda: 3600.0)

    def steps() -> Generator[Progress, None, None]:
        for step in (1, 2, 3, 4):
            if step == 3:
                job.cancel()
            yield Progress(step, 4)

    job = Job(steps())
    heard = listen(job)
    job.run()
    assert heard == [1, 3, ("cancelled", None)]


def test_another_thread_may_run_and_cancel_it() -> None:
    at_work, go_on = threading.Event(), threading.Event()
    ran_on: list[int] = []

    def steps() -> Generator[Progress, None, None]:
        try:
            yield Progress(1, 2)
            at_work.set()
            assert go_on.wait(10)
            yield Progress(2, 2)
        finally:
            ran_on.append(threading.get_ident())

    job = Job(steps())
    heard = listen(job)
    thread = threading.Thread(target=job.run)
    thread.start()
    assert at_work.wait(10)
    job.cancel()
    go_on.set()
    thread.join(10)
    assert ends(heard) == ["cancelled"]
    assert ran_on == [thread.ident]
