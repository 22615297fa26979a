"""The core is fed when it wants to be: never early, and only at the last time that it said."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from lightwork.scheduler.core.core import Core
from lightwork.scheduler.service.alarm import Alarm, Timer
from lightwork.scheduler.service.service import Scheduler
from lightwork.wire import messages as say
from lightwork.wire.messages import JobOptions
from tests.e2e.helpers import LIMIT_S


class Hand:
    """A clock whose timers are a little early."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.timers: list[tuple[int, Callable[[], None], list[bool]]] = []

    def later(self, delay_s: float, call: Callable[[], None]) -> Timer:
        off = [False]
        self.timers.append((self.now_ns + int(delay_s * 1e9), call, off))

        class Made:
            def cancel(self) -> None:
                off[0] = True

        return Made()

    def turn(self, now_ns: int) -> None:
        self.now_ns = now_ns
        due = [timer for timer in self.timers if timer[0] <= now_ns + 1_000]
        self.timers = [timer for timer in self.timers if timer[0] > now_ns + 1_000]
        for _, call, off in due:
            if not off[0]:
                call()


def test_it_rings_once_and_not_early() -> None:
    hand, rung = Hand(), list[int]()
    alarm = Alarm(lambda: hand.now_ns, lambda: rung.append(hand.now_ns), hand.later)
    alarm.set(1_000_000)
    hand.turn(999_500)
    assert rung == []
    hand.turn(1_000_000)
    hand.turn(2_000_000)
    assert rung == [1_000_000]


def test_the_last_word_counts() -> None:
    hand, rung = Hand(), list[int]()
    alarm = Alarm(lambda: hand.now_ns, lambda: rung.append(hand.now_ns), hand.later)
    alarm.set(5_000_000)
    alarm.set(3_000_000)
    for now_ns in range(0, 9_000_000, 1_000_000):
        hand.turn(now_ns)
    assert rung == [3_000_000]


class Line:
    """A link that only notes what is sent."""

    def __init__(self, role: str, session: str = "") -> None:
        self.peer = say.Hello(say.PROTOCOL, role, role, session)
        self.address, self.congested, self.up, self.left = "memory:", False, True, False
        self.relay, self.lease_ms = "", 0
        self.said: list[Any] = []

    def send(self, message: Any, body: Any = b"") -> None:
        self.said.append(message)

    def close(self, reason: str = "") -> None:
        pass


def test_a_retry_does_not_wait_for_the_next_tick() -> None:
    async def tried_again() -> float:
        scheduler = Scheduler(core=Core())
        client: Any = Line("client", "s")
        node: Any = Line("node")
        scheduler.link_up(client)
        scheduler.received(node, [(say.NodeReady("a", "", 1, say.Hardware()), b"")])
        computation = say.Computation("f", "function", "f")
        submit = say.Submit("f", 0, [1], JobOptions(retries=1))
        scheduler.received(client, [(say.Define(computation), b""), (submit, b"x")])
        token = next(one for one in node.said if isinstance(one, say.Assign)).tokens[0]
        began = time.monotonic()
        scheduler.received(node, [(say.Ended([token], [1], [5], [5], [0]), b"")])
        while sum(isinstance(one, say.Assign) for one in node.said) < 2:  # nothing but the alarm can do that
            assert time.monotonic() < began + LIMIT_S
            await asyncio.sleep(0.005)
        return time.monotonic() - began

    assert asyncio.run(tried_again()) > 0.37
