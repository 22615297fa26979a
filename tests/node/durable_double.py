"""A durable scheduler in the test's own process: it has lives, adopts what it finds, and settles ends, or not."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from lightwork.model.tokens import make_token
from lightwork.transport.outbox import Outbox, Received
from lightwork.wire.messages import (
    AskOutput,
    Assign,
    Computation,
    Died,
    Ended,
    JobOptions,
    NodeReady,
    OutputNow,
    Settled,
    Truth,
    Welcome,
)
from tests.node.scheduler_double import FAST
from tests.node.station_double import RemoteScheduler

HELD, STARTED, ENDED = 0, 1, 2


class DurableScheduler(RemoteScheduler):
    """One life of it. `settles`: it says so of each end at once."""

    def __init__(self, session: str = "d1", epoch: int = 1, *, settles: bool = True, **timers: float) -> None:
        super().__init__(session, **timers)
        self.epoch, self.settles = epoch, settles
        self.hello = replace(self.hello, epoch=epoch)
        self.truths: list[Truth] = []
        self.outputs: list[OutputNow] = []
        self.told: list[int] = []  # tokens of ends, in the order in which they came
        self.numbers = 0
        self.deaf = False  # its welcomes do not arrive

    def next_life(self, **more: Any) -> DurableScheduler:
        """It was restarted, and remembers nothing."""
        lease_s, beat_s = self.hello.lease_ms / 1e3, self.hello.beat_ms / 1e3
        more = {"settles": self.settles, **more}
        return DurableScheduler(self.session, self.epoch + 1, lease_s=lease_s, beat_s=beat_s, **more)

    def _hear(self, message: Any, body: bytes) -> None:
        if isinstance(message, NodeReady):
            self._meet(message)
            return
        if isinstance(message, Truth):
            self.truths.append(message)
        elif isinstance(message, OutputNow):
            self.outputs.append(message)
        elif isinstance(message, Ended | Died):
            self.told += message.tokens
        super()._hear(message, body)
        if isinstance(message, Ended | Died) and self.settles:
            self.settle(message.tokens)

    def _meet(self, ready: NodeReady) -> None:
        resumed = ready.claim == self.claim
        if not resumed:
            self._out, self._in, self.claim = Outbox(), Received(), ready.claim
        if not self.deaf:
            self._line.send(Welcome(resumed, self._in.count, not resumed, self.epoch))
        self.ready = ready
        self.readies.append(ready)
        self.resumed.append(resumed)
        if resumed:
            self._out.resume(self._line, ready.received)

    def settle(self, tokens: list[int]) -> None:
        self.link.send(Settled(list(tokens)))

    def ask_output(self, token: int, **start: int) -> None:
        self.link.send(AskOutput(len(self.outputs) + 1, token, **start))

    def assign(
        self,
        computation: Computation,
        payloads: list[bytes],
        options: JobOptions = FAST,
        batch: int = 256,
        session: str = "s",
    ) -> list[int]:
        tokens = []
        for start in range(0, len(payloads), batch):
            part = payloads[start : start + batch]
            first, self.numbers = self.numbers + 1, self.numbers + len(part)
            mine = [make_token(self.epoch, number) for number in range(first, first + len(part))]
            message = Assign(session, computation.digest, mine, list(map(len, part)), options, numbers=[1000 + first])
            self.link.send(message, b"".join(part))
            tokens += mine
        return tokens

    async def truth(self, number: int = 1) -> dict[int, tuple[str, int, int]]:
        """What the node has told last: session, job and stage by token."""
        await self.until(lambda: len(self.truths) >= number)
        told = self.truths[-1]
        rows = zip(told.tokens, told.session, told.jobs, told.stages, strict=True)
        return {token: (told.sessions[session], job, stage) for token, session, job, stage in rows}
