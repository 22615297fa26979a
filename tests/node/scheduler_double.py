"""A scheduler in the test's own process, behind a memory link: it hands out jobs and notes what it hears."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import cloudpickle

from lightwork.node.service.agent import Agent, AgentOptions
from lightwork.transport.link import Receiver
from lightwork.transport.memory import memory_pair
from lightwork.wire.messages import (
    PROTOCOL,
    Assign,
    AttemptFile,
    AttemptProvisional,
    Computation,
    Died,
    Ended,
    Fetch,
    Free,
    Heartbeat,
    Hello,
    JobOptions,
    NodeReady,
    Place,
    Prepare,
    Prepared,
    Release,
    Released,
    Returned,
    Revoke,
    Started,
    Stop,
)
from lightwork.wire.outcome import ENVELOPE, KIND_MASK, Outcome, decode_outcome

EPOCH = 1 << 40
FAST = JobOptions()


class End:
    """How an attempt ended."""

    def __init__(self, status: int, data: bytes, age_ns: int = 0, duration_ns: int = 0, files: Any = ()) -> None:
        self.status, self.data, self.age_ns, self.duration_ns, self.files = status, data, age_ns, duration_ns, files

    @property
    def kind(self) -> int:
        return self.status & KIND_MASK

    @property
    def outcome(self) -> Outcome:
        return decode_outcome(self.data) if self.status & ENVELOPE else Outcome(self.data)

    @property
    def value(self) -> Any:
        return pickle.loads(self.outcome.value)


class SchedulerDouble(Receiver):
    """Knows nothing but tokens."""

    def __init__(self) -> None:
        self.link: Any = None
        self.ended: dict[int, End] = {}
        self.died: dict[int, tuple[bool, Outcome]] = {}
        self.returned: dict[int, str] = {}
        self.started: dict[int, int] = {}
        self.prepared: list[Prepared] = []
        self.beats: list[Heartbeat] = []
        self.others: list[Any] = []
        self.provisional: list[tuple[int, bytes]] = []
        self.files: list[AttemptFile] = []
        self.released: list[Released] = []
        self.ready: NodeReady | None = None
        self.blobs: dict[str, bytes] = {}
        self.fetches: list[Fetch] = []
        self.stuck: list[Any] = []  # sources that give a part only (lone.Stuck)
        self.source_of: Callable[[Fetch, bytes], Any] = lambda message, data: BytesSource(data)
        self.double_ends = 0
        self._number = 0
        self._changed = asyncio.Event()

    def link_up(self, link: Any) -> None:
        self.link = link

    def received(self, link: Any, batch: Any) -> None:
        for message, body in batch:
            self._take(message, body)
        self._changed.set()

    def _take(self, message: Any, body: bytes) -> None:
        kind = type(message)
        if kind is Ended:
            at, files = 0, dict(message.files)
            rows = zip(message.tokens, message.statuses, message.ages_ns, message.durations_ns, message.lengths)
            for index, (token, status, age, duration, length) in enumerate(rows):
                self.double_ends += token in self.ended or token in self.died
                self.ended[token] = End(status, body[at : at + length], age, duration, files.get(index, ()))
                at += length
        elif kind is Died:
            at = 0
            for token, length in zip(message.tokens, message.lengths):
                self.double_ends += token in self.ended or token in self.died
                self.died[token] = (message.blame, decode_outcome(body[at : at + length]))
                at += length
        elif kind is Returned:
            self.returned.update(dict.fromkeys(message.tokens, message.reason))
        elif kind is Started:
            self.started.update(zip(message.tokens, message.ages_ns))
        elif kind is AttemptProvisional:
            self.provisional.append((message.token, body))
        elif kind is NodeReady:
            self.ready = message
        elif kind is Fetch:
            self.fetches.append(message)
            data = self.blobs[message.name][message.offset :]
            self.link.serve(message.stream, self.source_of(message, data))
        else:
            lists: dict[Any, list[Any]] = {Prepared: self.prepared, Heartbeat: self.beats}
            lists |= {AttemptFile: self.files, Released: self.released}
            lists.get(kind, self.others).append(message)

    # --- orders ---

    def prepare(self, computation: Computation, session: str = "s") -> None:
        self.link.send(Prepare(session, computation))

    def assign(
        self,
        computation: Computation,
        payloads: list[bytes],
        options: JobOptions = FAST,
        batch: int = 256,
        session: str = "s",
    ) -> list[int]:
        first = EPOCH + self._number + 1
        self._number += len(payloads)
        for start in range(0, len(payloads), batch):
            part = payloads[start : start + batch]
            tokens = list(range(first + start, first + start + len(part)))
            message = Assign(session, computation.digest, tokens, list(map(len, part)), options)
            self.link.send(message, b"".join(part))
        return list(range(first, first + len(payloads)))

    def assign_apart(
        self, computation: Computation, payloads: list[bytes], options: JobOptions = FAST, session: str = "s"
    ) -> list[int]:
        """As `assign`, but the node has to fetch the arguments."""
        tokens = list(range(EPOCH + self._number + 1, EPOCH + self._number + 1 + len(payloads)))
        self._number += len(payloads)
        self.blobs.update((str(token), payload) for token, payload in zip(tokens, payloads, strict=True))
        apart = [Place(index, 0, len(payload)) for index, payload in enumerate(payloads)]
        self.link.send(Assign(session, computation.digest, tokens, [0] * len(tokens), options, apart=apart))
        return tokens

    def stop(self, tokens: list[int], now: bool = False) -> None:
        self.link.send(Stop(tokens, now))

    def revoke(self, tokens: list[int]) -> None:
        self.link.send(Revoke(tokens))

    def release(self, session: str = "s") -> None:
        self.link.send(Release(session))

    def free(self, regions: list[int], spooled: list[int]) -> None:
        self.link.send(Free(regions, spooled))

    # --- waiting ---

    async def until(self, condition: Callable[[], Any], patience_s: float = 15.0) -> None:
        deadline = time.monotonic() + patience_s
        while not condition():
            left = deadline - time.monotonic()
            so_far = f"ended {len(self.ended)}, died {self.died}, prepared {self.prepared}, returned {self.returned}"
            assert left > 0, f"waited in vain; {so_far}, others {self.others}"
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), min(left, 0.05))

    async def all_ended(self, tokens: list[int], patience_s: float = 15.0) -> list[End]:
        last = tokens[-1]
        await self.until(lambda: last in self.ended and all(token in self.ended for token in tokens), patience_s)
        return [self.ended[token] for token in tokens]

    async def run(self, computation: Computation, *calls: tuple[Any, ...], options: JobOptions = FAST) -> list[End]:
        tokens = self.assign(computation, [arguments(*call) for call in calls], options)
        return await self.all_ended(tokens)

    async def fetch(self, name: str, kind: str = "spool") -> bytes:
        sink = BytesSink()
        self.link.fetch(kind, name, sink)
        return await sink.done


class BytesSource:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, size: int) -> bytes:
        piece, self.data = self.data[:size], self.data[size:]
        return piece

    def close(self) -> None:
        pass


class BytesSink:
    def __init__(self) -> None:
        self.data = b""
        self.done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def write(self, piece: bytes) -> int:
        self.data += piece
        return len(piece)

    def finish(self) -> None:
        self.done.set_result(self.data)

    def fail(self, reason: str) -> None:
        self.done.set_exception(OSError(reason))


def arguments(*args: Any, **kwargs: Any) -> bytes:
    return pickle.dumps((args, kwargs), 5)


def function(call: Callable[..., Any], **fields: Any) -> Computation:
    """A computation as the payload room packs it."""
    payload = packed(call)
    fields.setdefault("digest", f"d{abs(hash(payload)) % 10**12}")
    return Computation(kind="function", name=getattr(call, "__name__", "f"), payload=payload, **fields)


def packed(call: Callable[..., Any]) -> bytes:
    return by_value(lambda: cloudpickle.dumps((call, {}, None, {}, [])), call)


def setup_of(call: Callable[..., Any], *args: Any) -> bytes:
    return by_value(lambda: cloudpickle.dumps((call, args, {})), call)


def by_value(dump: Callable[[], bytes], call: Callable[..., Any]) -> bytes:
    """Functions of test modules travel by value: workers do not have them."""
    import sys

    module = sys.modules.get(getattr(call, "__module__", ""))
    if module is None or module.__name__ == "__main__":
        return dump()
    cloudpickle.register_pickle_by_value(module)
    try:
        return dump()
    finally:
        cloudpickle.unregister_pickle_by_value(module)


@contextlib.asynccontextmanager
async def node(directory: Path, slots: int = 2, **fields: Any) -> AsyncIterator[tuple[SchedulerDouble, Any]]:
    """An agent (Any: tests put doubles into it) with its scheduler; at the end nothing of it may be left."""
    agent = Agent(AgentOptions("n", slots, directory, **fields))
    await agent.start()
    double = SchedulerDouble()
    try:
        memory_pair((agent, Hello(PROTOCOL, "node", "n")), (double, Hello(PROTOCOL, "scheduler", "s")))
        await double.until(lambda: double.ready)
        yield double, agent
    finally:
        pids = set(pids_of(agent))
        await agent.stop()
        left = [pid for pid in pids if alive(pid)]
    assert not left, f"still there: {left}"
    assert not double.double_ends


def pids_of(agent: Agent) -> list[int]:
    mine = [link.pid for link in agent.hands.crew.links.values() if link.pid]
    helpers = [pid for name, pid in agent.pids.items() if name != "agent"]
    below = [pid for one in (*mine, *helpers) for pid in descendants(one)]
    return [*mine, *helpers, *below]


def descendants(root: int) -> list[int]:
    import psutil

    try:
        return [one.pid for one in psutil.Process(root).children(recursive=True)]
    except psutil.Error:
        return []


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
