"""The flow of lines and jobs, with a stand-in for the cluster: order, window, late lines, errors."""

import itertools
import threading
import time
from dataclasses import dataclass

import pytest

from lightwork.cli import flow


@dataclass
class Job:
    id: int
    text: str


def run(lines, *, ordered):
    """What is shown when each job ends at once."""
    shown: flow.Flow[Job] = flow.Flow(slots=2, ordered=ordered)
    jobs = shown.shown(lines, lambda number, text: shown.ended(Job(number, text)), lambda job: 0)
    return shown, (job for job in jobs if job is not None)


def test_every_line_becomes_a_job():
    shown, jobs = run(map(str, range(1000)), ordered=True)
    assert [(job.id, job.text) for job in jobs] == [(n + 1, str(n)) for n in range(1000)]
    assert (shown.finished, shown.total) == (1000, 1000)


def test_no_lines():
    assert list(run([], ordered=True)[1]) == []


@pytest.mark.parametrize(("ordered", "expected"), [(True, [1, 2, 3, 4]), (False, [4, 3, 2, 1])])
def test_order(ordered, expected):
    shown: flow.Flow[Job] = flow.Flow(slots=2, ordered=ordered)
    waiting: list[Job] = []

    def submit(number, text):
        waiting.append(Job(number, text))
        if len(waiting) == 4:
            for job in reversed(waiting):
                shown.ended(job)

    assert [job.id for job in shown.shown("abcd", submit, lambda job: 0) if job is not None] == expected


def test_the_first_in_order_is_shown_before_the_next_line_comes():
    second = threading.Event()

    def lines():
        yield "a"
        assert second.wait(10)
        yield "b"

    _, jobs = run(lines(), ordered=True)
    assert next(jobs).text == "a"
    second.set()
    assert next(jobs).text == "b"


def test_endless_lines_flow_with_a_window():
    """One job is slow: while the order waits for it, only a window of lines is read. Unordered, the others flow."""
    taken = itertools.count()
    read = 0

    def lines():
        nonlocal read
        for read in taken:
            yield str(read)

    shown: flow.Flow[Job] = flow.Flow(slots=2, ordered=True)

    def submit(number, text):
        if number > 1:
            shown.ended(Job(number, text))

    jobs = (job for job in shown.shown(lines(), submit, lambda job: 0) if job is not None)
    threading.Timer(0.3, lambda: shown.ended(Job(1, "0"))).start()
    first = next(jobs)
    assert first.id == 1
    assert read <= flow.WINDOW_JOBS
    for _ in range(5000):
        next(jobs)
    assert read <= 5001 + flow.WINDOW_JOBS
    jobs.close()


def test_jobs_that_print_much_narrow_the_window():
    window = flow.Window(slots=2)
    assert window.limit() == flow.WINDOW_JOBS
    window.leave(1 << 20)
    assert window.limit() == 64
    window.leave(1 << 30)
    assert window.limit() == 4
    assert flow.Window(slots=100).limit() == 800


def test_an_error_among_the_lines_comes_after_what_went_before():
    def lines():
        yield "a"
        raise OSError("the list is gone")

    _, jobs = run(lines(), ordered=True)
    assert next(jobs).text == "a"
    with pytest.raises(OSError, match="gone"):
        next(jobs)


def test_leaving_early_ends_the_feeder():
    before = threading.active_count()
    _, jobs = run(itertools.repeat("x"), ordered=False)
    next(jobs)
    jobs.close()
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_the_window_grows_with_the_nodes():
    window = flow.Window(2)
    assert window.limit() == flow.WINDOW_JOBS
    window.resize(1000)
    assert window.limit() == 8000
    window.leave(flow.WINDOW_BYTES)
    assert window.limit() == 2000
    window.resize(1)
    assert window.limit() == 2


def test_who_waits_for_room_goes_on_when_nodes_come():
    window = flow.Window(1)
    window.leave(flow.WINDOW_BYTES)
    window.enter()  # as many as have left
    window.enter()
    window.enter()
    entered = threading.Event()

    def enter() -> None:
        if window.enter():
            entered.set()

    threading.Thread(target=enter, daemon=True).start()
    assert not entered.wait(0.05)
    window.resize(2)
    assert entered.wait(10)
