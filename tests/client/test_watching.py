"""Questions of a watcher and what comes back, from a scheduler that a test plays."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lightwork.client import watching
from lightwork.client.watching import Watcher, watch
from lightwork.config import limits
from lightwork.model.errors import ClusterError, LightworkError, PeerError, SchedulerGone, UserError
from lightwork.transport.blocking import BlockingLink
from lightwork.transport.dial import adopt
from lightwork.wire import messages as say
from lightwork.wire.connection import Connection
from lightwork.wire.messages import PROTOCOL, Hello, Refused
from tests.transport.links import Recorder, listening, run

SCHEDULER = Hello(PROTOCOL, "scheduler", "lab")
Answer = Callable[[Any], list[Any]]


class Double:
    """The other end: answers each message with what `answer` makes of it; None among it: it hangs up."""

    def __init__(self, answer: Answer) -> None:
        ours, theirs = socket.socketpair()
        self.asked: list[Any] = []
        self._answer = answer
        self._link = BlockingLink(theirs, Connection(SCHEDULER, listening=True), "watcher")
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        hello = Hello(PROTOCOL, "watcher", "w")
        self.watcher = Watcher(adopt(ours, hello), "here")

    def _serve(self) -> None:
        try:
            while True:
                for message, _ in self._link.receive(30):
                    if isinstance(message, say.Goodbye):
                        return
                    self.asked.append(message)
                    for answer in self._answer(message):
                        self._say(answer)
        except LightworkError:  # either side has left
            return
        finally:
            self._link.abort()

    def _say(self, answer: Any) -> None:
        if answer is None:
            self._link.abort()
        else:
            self._link.send(answer)

    def close(self) -> None:
        self.watcher.close()
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def double() -> Iterator[Callable[[Answer], Double]]:
    made: list[Double] = []

    def make(answer: Answer) -> Double:
        made.append(Double(answer))
        return made[-1]

    yield make
    for one in made:
        one.close()


Make = Callable[[Answer], Double]

# --- lists longer than a message ---

JOBS = {"a": 7, "b": 0, "c": 4}
PAGE = 3


def pages(message: Any) -> list[Any]:
    """A scheduler whose messages hold three jobs."""
    if isinstance(message, say.AskSessions):
        return [say.Sessions(message.number, [say.SessionStatus(name) for name in JOBS])]
    names = [message.session] if message.session else list(JOBS)
    rows = [say.JobStatus(name, number, 0, "f") for name in names for number in range(message.first, JOBS[name])]
    total = -1 if message.first else sum(JOBS[name] for name in names)
    return [say.Jobs(message.number, rows[: min(PAGE, message.limit)], total)]


ALL = [("a", number) for number in range(7)] + [("c", number) for number in range(4)]


@pytest.mark.parametrize("limit", [0, 1, 3, 4, 7, 8, 11, 100])
def test_all_jobs_page_by_page(double: Make, limit: int) -> None:
    rows, total = double(pages).watcher.jobs(limit=limit)
    assert [(row.session, row.number) for row in rows] == ALL[:limit]
    assert total == len(ALL)


@pytest.mark.parametrize("limit", [2, 5, 100])
def test_jobs_of_one_session_page_by_page(double: Make, limit: int) -> None:
    rows, total = double(pages).watcher.jobs("a", limit=limit)
    assert [(row.session, row.number) for row in rows] == ALL[: min(limit, 7)]
    assert total == 7


def test_a_list_that_shrinks_meanwhile_ends(double: Make) -> None:
    def shrinking(message: Any) -> list[Any]:
        if isinstance(message, say.AskSessions):
            return [say.Sessions(message.number, [])]
        rows = [] if message.first else [say.JobStatus("gone", 0, 0, "f")]
        return [say.Jobs(message.number, rows, 100)]

    rows, total = double(shrinking).watcher.jobs()
    assert (len(rows), total) == (1, 100)


def test_many_numbers_go_in_parts(double: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WATCHED_NUMBERS_MAX", 10)
    one = double(lambda message: [say.Answer(message.number, jobs=message.jobs[:1], total=len(message.jobs))])
    found, total = one.watcher.cancel("s", range(25))
    assert [len(message.jobs) for message in one.asked] == [10, 10, 5]
    assert (found, total) == ([0, 10, 20], 25)
    assert one.watcher.cancel("s") == ([], 0)
    assert one.asked[-1].jobs == []


def test_an_unknown_session_is_the_users_error(double: Make) -> None:
    def nobody(message: Any) -> list[Any]:
        if isinstance(message, say.AskSessions):
            return [say.Sessions(message.number, [say.SessionStatus("night"), say.SessionStatus("day")])]
        if isinstance(message, say.CancelJobs):
            return [say.Answer(message.number, "there is no session 'x'")]
        return [say.Jobs(message.number, [], 0, "there is no session 'x'")]

    watcher = double(nobody).watcher
    for call in (lambda: watcher.jobs("x"), lambda: watcher.cancel("x")):
        with pytest.raises(UserError, match="here: there is no session 'x'") as caught:
            call()
        assert caught.value.hint == "the sessions now: night and day"


# --- the line ---


def test_only_the_answer_to_this_question_counts(double: Make) -> None:
    def chatty(message: Any) -> list[Any]:
        number = message.number
        return [
            say.Notice("info", "x"),
            say.Sessions(number - 1, []),
            say.Status(number, [], 1, 2),
            say.Sessions(number, []),
        ]

    watcher = double(chatty).watcher
    assert watcher.sessions() == []
    assert watcher.status().queued == 1


def test_a_goodbye_is_told_with_its_reason(double: Make) -> None:
    one = double(lambda message: [say.Goodbye("256 watchers are here already")])
    with pytest.raises(ClusterError, match="hung up: 256 watchers are here already"):
        one.watcher.status()


def test_a_scheduler_that_dies(double: Make) -> None:
    one = double(lambda message: [None])
    with pytest.raises(SchedulerGone, match="the scheduler at here is gone"):
        one.watcher.status()
    with pytest.raises(SchedulerGone):
        one.watcher.status()


def test_silence_is_told_and_ends(
    double: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(watching, "SAY_WAITING_S", 0.1)
    monkeypatch.setattr(watching, "ANSWER_S", 0.35)
    with pytest.raises(ClusterError, match="has not answered within"):
        double(lambda message: []).watcher.status()
    assert capsys.readouterr().err.count("waiting for an answer of the scheduler at here") == 1


# --- who is there ---


@pytest.mark.parametrize(
    ("hello", "check", "words"),
    [
        (Hello(PROTOCOL, "node", "n"), lambda hello: None, "a node listens there, no scheduler"),
        (SCHEDULER, lambda hello: Refused("role", "nodes may join here, nobody else"), "nobody else"),
    ],
)
def test_not_for_watchers(hello: Hello, check: Any, words: str) -> None:
    async def work() -> None:
        async with listening("unix", Recorder(), check, hello) as address:
            with pytest.raises(PeerError, match=words) as caught:
                await asyncio.to_thread(watch, address)
            assert address in str(caught.value)

    run("asyncio", work)


def test_the_network_needs_a_credential() -> None:
    with pytest.raises(UserError, match="scheduler 'lab1' is on the network, and there is no credential"):
        watch("lab1")
