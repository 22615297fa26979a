"""The parts of `jobs`, `cancel` and `logs` that need no scheduler."""

from __future__ import annotations

from typing import Any

import pytest

from lightwork.cli import documents, logs_command, status_command
from lightwork.cli.cancel_command import JOBS_MAX, parse
from lightwork.cli.documents import state_name
from lightwork.cli.jobs_command import numbers
from lightwork.cli.logs_command import Reader
from lightwork.model.errors import ClusterError, UserError
from lightwork.model.states import JobState
from lightwork.wire.messages import Logs, Status
from lightwork.wire.outcome import Stream

RUNNING, QUEUED, FINISHED = JobState.RUNNING, JobState.QUEUED, JobState.FINISHED


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (["lab/3"], {"lab": [3]}),
        (["lab/3-5", "lab/9", "night/0"], {"lab": [3, 4, 5, 9], "night": [0]}),
        (["lab", "lab/3"], {"lab": []}),
        (["lab/3", "lab"], {"lab": []}),
        (["lab/x"], {"lab/x": []}),
        (["a/b/7"], {"a/b": [7]}),
        (["12-ab/7"], {"12-ab": [7]}),
        ([f"lab/1-{JOBS_MAX}"], {"lab": list(range(1, JOBS_MAX + 1))}),
    ],
)
def test_which_jobs_are_meant(given: list[str], found: dict[str, list[int]]) -> None:
    assert parse(given) == found


@pytest.mark.parametrize(
    "given", [["lab/5-4"], [f"lab/{1 << 63}"], [f"lab/0-{JOBS_MAX}"], ["a/1-600000", "b/1-600000"]]
)
def test_what_cannot_be_meant(given: list[str]) -> None:
    with pytest.raises(UserError):
        parse(given)


def test_states_by_name() -> None:
    assert numbers([]) == []
    assert numbers(["queued", "failed", "failed"]) == [0, 3]
    assert numbers(["ended"]) == [2, 3, 4, 5, 6, 7]
    assert [state_name(state) for state in (0, 5, 42)] == ["queued", "timed_out", "42"]


def test_a_status_names_slow_jobs(capsys: pytest.CaptureFixture[str]) -> None:
    told = Status(1, [], 0, 1, slow=["job s/0 on a has run for 1 h; others of f take 1 s\x1b[2J"])
    status_command._show(told)
    assert capsys.readouterr().out.splitlines()[-1].startswith("job s/0 on a has run for 1 h; others of f take 1 s\\")
    assert documents.status(told)["slow"] == told.slow


class Played:
    """A watcher whose job writes what a test says; each look is one step on."""

    def __init__(self, *steps: Logs | Stream, piece: int = 4) -> None:
        self._steps = list(steps)
        self._piece = piece
        self._now: Any = Stream()
        self._fresh = True

    def logs(self, session: str, job: int, stdout_from: int = 0, stderr_from: int = 0) -> Logs:
        if self._fresh:
            self._now = self._steps.pop(0) if self._steps else self._now
        if isinstance(self._now, Logs):
            return self._now
        at, data = self._now.piece(stdout_from, self._piece)
        self._fresh = not data
        ended = not self._steps
        return Logs(1, data, b"", not ended, stdout_at=at, state=FINISHED if ended else RUNNING, attempts=1)


class Page:
    """What was written and said."""

    def __init__(self, *steps: Logs | Stream) -> None:
        self.written, self.said = b"", list[str]()
        watcher: Any = Played(*steps)
        self.reader = Reader(watcher, "s", 1, self._write, self.said.append)

    def _write(self, name: str, data: bytes) -> None:
        self.written += data


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs_command, "FOLLOW_S", 0.0)


def test_all_pieces_and_the_gap() -> None:
    page = Page(Stream(b"0123456789", b"xyz", 100))
    assert page.reader.read().state == FINISHED
    assert page.written == b"0123456789xyz"
    assert page.reader.left_out["stdout"] == 100
    assert page.said == ["100 B in the middle of its stdout are left out"]


def test_follow_writes_each_byte_once() -> None:
    waits = Logs(1, running=True, state=QUEUED)
    page = Page(waits, waits, Stream(), Stream(b"one "), Stream(b"one two"), Stream(b"one two three"))
    page.reader.follow()
    assert page.written == b"one two three"
    assert page.said == ["job s/1 has not started; waiting"]


def test_another_attempt_writes_anew() -> None:
    first = Logs(1, b"half", running=True, state=RUNNING, attempts=1)
    again = Logs(1, running=True, state=QUEUED, attempts=1)
    second = Logs(1, b"whole", state=FINISHED, attempts=2)
    page = Page()
    answers = [first, Logs(1, stdout_at=4, running=True, state=RUNNING, attempts=1), again, second, second]

    def logs(session: str, job: int, stdout_from: int = 0, stderr_from: int = 0) -> Logs:
        told = answers.pop(0) if answers else Logs(1, state=FINISHED, attempts=2)
        told.stdout_at = stdout_from
        return told if stdout_from != 5 else Logs(1, state=FINISHED, attempts=2, stdout_at=5)

    page.reader._watcher.logs = logs  # type: ignore[method-assign]
    page.reader.follow()
    assert page.written == b"halfwhole"
    assert "attempt 2 of the job" in page.said


def test_what_is_not_known_now_is_waited_for_by_follow_alone() -> None:
    away = Logs(1, running=True, error="node a cannot be reached at the moment", state=RUNNING)
    with pytest.raises(ClusterError, match="cannot be reached"):
        Page(away).reader.read()
    page = Page(away, away, Stream(b"back"))
    page.reader.follow()
    assert page.written == b"back"
    assert page.said == ["node a cannot be reached at the moment"]


def test_a_job_that_nobody_knows_is_not_followed() -> None:
    with pytest.raises(ClusterError, match="no job 1"):
        Page(Logs(1, error="session s has no job 1")).reader.follow()


def test_an_end_that_is_not_kept_ends_the_following() -> None:
    page = Page(Stream(b"some"), Stream(b"some"), Logs(1, error="job 1 has ended, and nothing is kept"))
    page.reader.follow()
    assert page.written == b"some"
    assert page.said == ["job 1 has ended, and nothing is kept"]


def test_who_writes_without_end_is_read_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs_command, "ENDLESS_S", 0.05)
    page = Page()

    def logs(session: str, job: int, stdout_from: int = 0, stderr_from: int = 0) -> Logs:
        return Logs(1, b"more", running=True, state=RUNNING, attempts=1, stdout_at=stdout_from)

    page.reader._watcher.logs = logs  # type: ignore[method-assign]
    page.reader.read()
    assert len(page.written) > 100
