"""Watchers ask a real scheduler over real links; whatever else they send harms nobody but themselves."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from lightwork.config import limits
from lightwork.model.states import JobState
from lightwork.scheduler.core.check import check
from lightwork.scheduler.service import watchers
from lightwork.scheduler.service.service import Scheduler
from lightwork.wire import messages as say
from lightwork.wire.messages import PROTOCOL, Hello
from tests.transport.links import Recorder, dialled, listening, run, until

WATCHER = Hello(PROTOCOL, "watcher", "watcher")
NODE = Hello(PROTOCOL, "node", "a")


class Peer(Recorder):
    """One end of a link to the scheduler. Asks, and waits for the answer."""

    def __init__(self) -> None:
        super().__init__()
        self._number = 0

    async def ask(self, made: Callable[[int], Any]) -> Any:
        self._number += 1
        number = self._number
        self.links[0].send(made(number))
        return await self.answer(number)

    async def answer(self, number: int) -> Any:
        def found() -> list[Any]:
            return [message for message in self.messages if getattr(message, "number", None) == number]

        await until(found)
        return found()[0]


class House:
    """A scheduler with a client `s`, a node `a` that does nothing by itself, and watchers."""

    def __init__(self, address: str, scheduler: Scheduler) -> None:
        self.address = address
        self.scheduler = scheduler
        self.peers: list[Peer] = []

    async def join(self, hello: Hello) -> Peer:
        peer = Peer()
        self.peers.append(peer)
        await dialled("unix", self.address, peer, hello)
        return peer

    async def furnish(self, jobs: int = 4) -> tuple[Peer, Peer]:
        client = await self.join(Hello(PROTOCOL, "client", "prog", session="s", user="ann", host="ada"))
        node = await self.join(NODE)
        node.links[0].send(say.NodeReady("a", "", 2, say.Hardware(), pid=1, shares_memory=True))
        client.links[0].send(say.Define(say.Computation("f", "function", "simulate")))
        client.links[0].send(say.Submit("f", 0, [1] * jobs, say.JobOptions()), b"x" * jobs)
        await until(lambda: any(isinstance(message, say.Assign) for message in node.messages))
        return client, node

    async def start(self, node: Peer) -> list[int]:
        assign = next(message for message in node.messages if isinstance(message, say.Assign))
        node.links[0].send(say.Prepared("s", "f", True))
        node.links[0].send(say.Started(assign.tokens, [0] * len(assign.tokens)))
        core = self.scheduler._core
        await until(lambda: any(job.state is JobState.RUNNING for job in core.state.sessions["s"].jobs.values()))
        tokens: list[int] = assign.tokens
        return tokens


@contextlib.asynccontextmanager
async def house() -> AsyncIterator[House]:
    faults: list[str] = []
    scheduler = Scheduler(on_fault=lambda: faults.append("a fault of the scheduler"))
    async with listening("unix", scheduler) as address:
        one = House(address, scheduler)
        try:
            yield one
        finally:
            for peer in one.peers:
                for link in peer.links:
                    link.abort()
            await until(lambda: all(len(peer.lost) == len(peer.links) for peer in one.peers))
    assert faults == []
    assert check(scheduler._core.state) == []


def story(work: Callable[[House], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with house() as one:
            await work(one)

    run("asyncio", whole)


def test_a_watcher_sees_what_there_is() -> None:
    async def work(house: House) -> None:
        await house.furnish()
        watcher = await house.join(WATCHER)
        status = await watcher.ask(say.AskStatus)
        assert (status.queued, [node.name for node in status.nodes]) == (4, ["a"])
        (session,) = (await watcher.ask(say.AskSessions)).sessions
        assert (session.name, session.user, session.host, session.queued) == ("s", "ann", "ada", 4)
        jobs = await watcher.ask(say.AskJobs)
        assert [(job.session, job.number) for job in jobs.jobs] == [("s", number) for number in range(4)]

    story(work)


def test_watchers_are_no_sessions() -> None:
    async def work(house: House) -> None:
        watcher = await house.join(WATCHER)
        assert (await watcher.ask(say.AskSessions)).sessions == []
        watcher.links[0].close()
        await until(lambda: watcher.lost)
        other = await house.join(WATCHER)
        assert (await other.ask(say.AskSessions)).sessions == []
        assert house.scheduler._core.state.sessions == {}

    story(work)


def test_cancel_names_those_that_had_not_ended() -> None:
    async def work(house: House) -> None:
        client, node = await house.furnish(6)
        await house.start(node)
        watcher = await house.join(WATCHER)
        answer = await watcher.ask(lambda number: say.CancelJobs(number, "s", [4, 5, 77]))
        assert (answer.jobs, answer.total, answer.error) == ([4, 5], 2, "")
        await until(lambda: any(isinstance(message, say.Results) for message in client.messages))
        answer = await watcher.ask(lambda number: say.CancelJobs(number, "s"))
        assert (answer.jobs, answer.total) == ([0, 1, 2, 3], 4)
        await until(lambda: any(isinstance(message, say.Stop) for message in node.messages))
        answer = await watcher.ask(lambda number: say.CancelJobs(number, "nobody"))
        assert "no session 'nobody'" in answer.error

    story(work)


def test_cancel_of_many_goes_on_without_who_asked() -> None:
    async def work(house: House) -> None:
        await house.furnish(3 * limits.COMMAND_JOBS_MAX)
        watcher = await house.join(WATCHER)
        watcher.links[0].send(say.CancelJobs(1, "s"))
        await until(lambda: house.scheduler._core.state.queue.size < 2 * limits.COMMAND_JOBS_MAX)
        watcher.links[0].abort()
        await until(lambda: house.scheduler._core.state.queue.size == 0)

    story(work)


def test_too_many_numbers_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WATCHED_NUMBERS_MAX", 2)

    async def work(house: House) -> None:
        await house.furnish(6)
        watcher = await house.join(WATCHER)
        answer = await watcher.ask(lambda number: say.CancelJobs(number, "s", [1, 2, 3]))
        assert "at most 2 jobs at a time" in answer.error
        answer = await watcher.ask(lambda number: say.CancelJobs(number, "s"))
        assert (len(answer.jobs), answer.total) == (2, 6)

    story(work)


def test_output_comes_from_the_node() -> None:
    async def work(house: House) -> None:
        _, node = await house.furnish()
        token = (await house.start(node))[0]
        watcher = await house.join(WATCHER)
        asking = asyncio.ensure_future(watcher.ask(lambda number: say.AskLogs(number, "s", 0, 5, -3)))
        await until(lambda: any(isinstance(message, say.AskOutput) for message in node.messages))
        asked = next(message for message in node.messages if isinstance(message, say.AskOutput))
        assert (asked.token, asked.stdout_from, asked.stderr_from) == (token, 5, 0)
        node.links[0].send(say.OutputNow(asked.number + 100, b"of nobody"))
        node.links[0].send(say.OutputNow(asked.number, b"hello", b"oops", stdout_at=5))
        told = await asking
        assert (told.stdout, told.stderr, told.stdout_at, told.running) == (b"hello", b"oops", 5, True)
        assert (told.state, told.attempts) == (JobState.RUNNING, 1)

    story(work)


def test_a_job_that_ends_while_its_node_is_asked_is_told_of_as_ended() -> None:
    async def work(house: House) -> None:
        _, node = await house.furnish(1)
        (token,) = await house.start(node)
        watcher = await house.join(WATCHER)
        asking = asyncio.ensure_future(watcher.ask(lambda number: say.AskLogs(number, "s", 0)))
        await until(lambda: any(isinstance(message, say.AskOutput) for message in node.messages))
        asked = next(message for message in node.messages if isinstance(message, say.AskOutput))
        node.links[0].send(say.Ended([token], [0], [5], [5], [1]), b"r")
        node.links[0].send(say.OutputNow(asked.number, error="it does not run here any more"))
        assert "has ended" in (await asking).error

    story(work)


def test_a_node_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchers, "NODE_S", 0.05)

    async def work(house: House) -> None:
        _, node = await house.furnish()
        await house.start(node)
        watcher = await house.join(WATCHER)
        asking = asyncio.ensure_future(watcher.ask(lambda number: say.AskLogs(number, "s", 0)))
        await until(lambda: any(isinstance(message, say.AskOutput) for message in node.messages))
        while not asking.done():
            house.scheduler.time_passed()
            await asyncio.sleep(0.01)
        assert "has not answered" in (await asking).error
        node.links[0].abort()
        await until(lambda: node.lost)
        told = await watcher.ask(lambda number: say.AskLogs(number, "s", 0))
        assert "cannot be reached" in told.error
        assert told.running

    story(work)


# --- those who do not behave ---


@pytest.mark.parametrize(
    "message",
    [
        say.Define(say.Computation("f", "function", "f")),
        say.Submit("f", 0, [1], say.JobOptions()),
        say.Close(True),
        say.Heartbeat(1, [], [], say.Load()),
        say.Fetch(1, "blob", "x"),
        say.Started([1], [1]),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_watcher_only_asks(message: Any) -> None:
    async def work(house: House) -> None:
        client, _ = await house.furnish()
        watcher = await house.join(WATCHER)
        watcher.links[0].send(message, b"x")
        await until(lambda: watcher.lost)
        assert not client.lost
        assert list(house.scheduler._core.state.sessions) == ["s"]

    story(work)


def test_a_crowd_of_questions_is_too_many() -> None:
    async def work(house: House) -> None:
        await house.furnish()
        greedy, modest = await house.join(WATCHER), await house.join(WATCHER)
        for number in range(10_000):
            greedy.links[0].send(say.AskSessions(number))
        await until(lambda: greedy.lost)
        assert (await modest.ask(say.AskStatus)).queued == 4
        assert not house.scheduler._watchers._line

    story(work)


def test_too_many_watchers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WATCHERS_MAX", 3)

    async def work(house: House) -> None:
        for _ in range(3):
            await (await house.join(WATCHER)).ask(say.AskStatus)
        late = await house.join(WATCHER)
        await until(lambda: late.lost)
        house.peers[0].links[0].abort()
        await until(lambda: len(house.scheduler._watchers._open) == 2)
        await (await house.join(WATCHER)).ask(say.AskStatus)

    story(work)


def test_who_does_not_read_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchers, "UNREAD_MAX", -1)

    async def work(house: House) -> None:
        watcher = await house.join(WATCHER)
        watcher.links[0].send(say.AskStatus(1))
        await until(lambda: watcher.lost)

    story(work)


_NUMBERS = [0, 1, 3, 4, -1, 7, 255, 1 << 31, (1 << 63) - 1, -(1 << 63)]
_NAMES = ["s", "", "nobody", "s" * 255, "s/0", "\0", "\U0001f600"]


def _strange(chance: random.Random) -> Any:
    def number() -> int:
        return chance.choice(_NUMBERS)

    def numbers() -> list[int]:
        return [number() for _ in range(chance.choice([0, 1, 50]))]

    name = chance.choice(_NAMES)
    return chance.choice(
        [
            say.AskStatus(number()),
            say.AskSessions(number()),
            say.AskJobs(number(), name, numbers(), number(), number()),
            say.CancelJobs(number(), name, [*numbers(), 77]),
            say.AskLogs(number(), name, number(), number(), number()),
        ]
    )


@pytest.mark.parametrize("seed", range(5))
def test_strange_values_are_answered_or_refused(seed: int) -> None:
    chance = random.Random(seed)

    async def work(house: House) -> None:
        client, node = await house.furnish()
        await house.start(node)
        watcher = await house.join(WATCHER)
        for _ in range(20):
            asked = [_strange(chance) for _ in range(limits.WATCHER_QUESTIONS_MAX // 2)]
            before = len(watcher.messages)
            waits = sum(isinstance(one, say.AskLogs) for one in asked)  # the node of this house does not answer
            for one in asked:
                watcher.links[0].send(one)
            await until(lambda: len(watcher.messages) - before >= len(asked) - waits)
            await until(lambda: not house.scheduler._watchers._line)
            for order, open_ in list(house.scheduler._watchers._asked.items()):
                node.links[0].send(say.OutputNow(order, b"x"))
            await until(lambda: not house.scheduler._watchers._asked)
        assert not (watcher.lost or client.lost or node.lost)

    story(work)
