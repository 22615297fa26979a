"""Bytes that must lie in our own store before a message that speaks of them is believed.

    client: Define, Submit --> the files and large arguments that they name --> store --> the message     in order
    node:   Ended with files, or with a large value ------> fetched --> store --> the message             each by itself

A client that is gone while its files are on their way repeats what was not accepted. What a node has is asked for again
on its next link, from where it stopped; when its claim is over, it tells all that is not settled again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from msgspec.structs import replace

from lightwork.kit.tasks import spawn
from lightwork.scheduler.core.endings import failure_outcome
from lightwork.store.blobs import Blobs, Writer
from lightwork.transport.fetching import Fetching
from lightwork.transport.link import Link
from lightwork.wire import messages as say
from lightwork.wire.messages import File
from lightwork.wire.outcome import APART, UNSENDABLE

log = logging.getLogger(__name__)

AGAIN_S = 1.0  # until a full disk is tried again


class Outcome(NamedTuple):
    """What became of one stream: the digest under which it lies in the store, or why it does not. `here`: for a reason
    of ours, such as a full disk."""

    digest: str = ""
    problem: str = ""
    here: bool = False


Arrived = Callable[[Outcome], None]


class StoreSink:
    """A stream on its way into the store."""

    def __init__(self, blobs: Blobs, digest: str, arrived: Arrived) -> None:
        self._arrived = arrived
        self._writer: Writer | None = None
        self._problem = ""
        try:
            self._writer = blobs.writer(digest)
        except OSError as error:
            self._problem = str(error)

    def write(self, piece: bytes) -> int:
        """A piece came."""
        if self._writer is not None:
            try:
                self._writer.write(piece)
            except OSError as error:
                self._problem = str(error)
                self._drop()
        return len(piece)

    def finish(self) -> None:
        """All is here: it counts once it is on disk."""
        if self._writer is None:
            self._arrived(Outcome("", self._problem, here=True))
        else:
            spawn(self._store(self._writer), "store a blob")

    async def _store(self, writer: Writer) -> None:
        try:
            digest = await asyncio.get_running_loop().run_in_executor(None, writer.store)
        except ValueError as error:
            self._arrived(Outcome("", str(error)))
        except OSError as error:
            self._arrived(Outcome("", str(error), here=True))
        else:
            self._arrived(Outcome(digest))

    def fail(self, reason: str) -> None:
        """The rest will not come."""
        self._drop()
        self._arrived(Outcome("", reason))

    def _drop(self) -> None:
        if self._writer is not None:
            self._writer.discard()
            self._writer = None


def in_store(blobs: Blobs, digest: str) -> bool:
    """Whether the blob is here; False for what is no digest at all."""
    try:
        return blobs.has(digest)
    except ValueError:
        return False


class Parcel:
    """A message that waits. `stored`: what was fetched for it, by index in its columns; `problem`: what was not."""

    __slots__ = ("asked", "body", "message", "missing", "problem", "stored")

    def __init__(self, message: Any, body: bytes) -> None:
        self.message = message
        self.body = body
        self.missing = 0
        self.problem = ""
        self.asked: list[str] = []  # digests that a node has told
        self.stored: dict[Any, str] = {}


class ClientLanding:
    """Of one client: `deliver` gets its messages in the order in which they came."""

    def __init__(self, blobs: Blobs, link: Link, deliver: Callable[[list[Parcel]], None]) -> None:
        self._blobs = blobs
        self._link = link
        self._deliver = deliver
        self._line: deque[Parcel] = deque()
        self.over = False

    def take(self, batch: list[tuple[Any, bytes]]) -> list[Parcel]:
        """Messages that have come; those that may be believed at once. The others are delivered later."""
        ready: list[Parcel] = []
        for message, body in batch:
            parcel = Parcel(message, body)
            self._fetch(parcel)
            if parcel.missing or self._line:
                self._line.append(parcel)
            else:
                ready.append(parcel)
        return ready

    def digests(self) -> Iterator[str]:
        """Blobs that messages in line speak of."""
        for parcel in self._line:
            yield from parcel.stored.values()
            yield from (file.digest for file in files_of(parcel.message))

    def _fetch(self, parcel: Parcel) -> None:
        message = parcel.message
        for file in files_of(message):
            if not in_store(self._blobs, file.digest):
                self._ask(parcel, "blob", file.digest, None, file.digest)
        if isinstance(message, say.Submit):
            for place in message.apart:
                self._ask(parcel, "argument", str(message.first + place.index), place.index, "")

    def _ask(self, parcel: Parcel, kind: str, name: str, key: Any, digest: str) -> None:
        parcel.missing += 1

        def arrived(outcome: Outcome) -> None:
            parcel.missing -= 1
            if outcome.digest:
                parcel.stored[key] = outcome.digest
            else:
                parcel.problem = parcel.problem or outcome.problem
            self._advance()

        try:
            sink = StoreSink(self._blobs, digest, arrived)
        except ValueError as error:
            asyncio.get_running_loop().call_soon(arrived, Outcome("", str(error)))
        else:
            self._link.fetch(kind, name, sink)

    def _advance(self) -> None:
        if self.over:
            return
        ready: list[Parcel] = []
        while self._line and not self._line[0].missing:
            ready.append(self._line.popleft())
        if ready:
            self._deliver(ready)


class NodeLanding:
    """Of one node's claim: `deliver` gets a message when all that it speaks of is here. An attempt's end waits for the
    files that it sent before."""

    def __init__(self, blobs: Blobs, deliver: Callable[[Parcel], None]) -> None:
        self.fetching = Fetching()
        self._blobs = blobs
        self._deliver = deliver
        self._over = False
        self._waiting: set[Parcel] = set()
        self._sending: dict[int, int] = {}  # files that attempts sent and that are on their way, by token
        self._parked: list[Parcel] = []

    def digests(self) -> Iterator[str]:
        """Blobs that are here for messages that wait for more."""
        for parcel in self._waiting:
            yield from parcel.stored.values()
            yield from parcel.asked

    def concerns(self, message: Any) -> bool:
        """Whether it must be taken here."""
        if isinstance(message, say.AttemptFile):
            return True
        return isinstance(message, say.Ended) and (
            bool(message.files) or (bool(self._sending) and not self._sending.keys().isdisjoint(message.tokens))
        )

    def take(self, message: say.Ended | say.AttemptFile, body: bytes) -> None:
        """Its files are fetched first."""
        parcel = Parcel(message, body)
        self._waiting.add(parcel)
        if isinstance(message, say.AttemptFile):
            self._sending[message.token] = self._sending.get(message.token, 0) + 1
            self._ask(parcel, message.name, (0, 0), message.file)
            return
        parcel.missing = 1  # until all is asked for
        for index, files in message.files:
            token = message.tokens[index]
            for number, file in enumerate(files):
                self._ask(parcel, f"{token}/{number}", (index, number), file)
        parcel.missing -= 1
        self._settle(parcel)

    def _ask(self, parcel: Parcel, name: str, key: tuple[int, int], file: File) -> None:
        parcel.missing += 1

        parcel.asked.append(file.digest)
        if file.digest and in_store(self._blobs, file.digest):
            asyncio.get_running_loop().call_soon(self._arrived, parcel, key, Outcome(file.digest))
        else:
            self._fetch(parcel, name, key, file)

    def _fetch(self, parcel: Parcel, name: str, key: tuple[int, int], file: File) -> None:
        if self._over:
            return

        def arrived(outcome: Outcome) -> None:
            if outcome.here:  # no room: its node keeps it as long as that takes
                log.warning("%s cannot be stored, and is fetched again: %s", name, outcome.problem)
                asyncio.get_running_loop().call_later(AGAIN_S, self._fetch, parcel, name, key, file)
            else:
                self._arrived(parcel, key, outcome)

        try:
            sink = StoreSink(self._blobs, file.digest, arrived)
        except ValueError as error:
            asyncio.get_running_loop().call_soon(self._arrived, parcel, key, Outcome("", str(error)))
        else:
            self.fetching.fetch("spool", name, sink)

    def _arrived(self, parcel: Parcel, key: tuple[int, int], outcome: Outcome) -> None:
        parcel.missing -= 1
        parcel.stored[key] = outcome.digest
        parcel.problem = parcel.problem or outcome.problem
        self._settle(parcel)

    def _settle(self, parcel: Parcel) -> None:
        if parcel.missing or self._over:
            return
        message = parcel.message
        if isinstance(message, say.AttemptFile):
            self._done(parcel)
            self._sending[message.token] -= 1
            if not self._sending[message.token]:
                del self._sending[message.token]
                parked, self._parked = self._parked, []
                for one in parked:
                    self._settle(one)
        elif self._sending.keys().isdisjoint(message.tokens):
            self._done(parcel)
        else:
            self._parked.append(parcel)

    def _done(self, parcel: Parcel) -> None:
        self._waiting.discard(parcel)
        self._deliver(parcel)

    def close(self, reason: str) -> None:
        """Its claim is over: whatever was on its way will be told again."""
        self._over = True
        self.fetching.over(reason)


def landed(parcel: Parcel) -> tuple[say.Ended, bytes]:
    """The message as it is true of our store: a file that could not be had is left out, a value is told as lost."""
    message: say.Ended = parcel.message
    statuses, lengths, parts, files = list(message.statuses), list(message.lengths), cut(parcel), []
    for index, some in message.files:
        here = [
            replace(file, digest=parcel.stored[index, number])
            for number, file in enumerate(some)
            if parcel.stored[index, number]
        ]
        if here:
            files.append((index, here))
        if statuses[index] & APART and not any(not file.path for file in here):
            text = f"the job's result could not be brought to the scheduler: {parcel.problem}"
            statuses[index], parts[index] = failure_outcome(UNSENDABLE, "ResultLost", text)
            lengths[index] = len(parts[index])
    return replace(message, statuses=statuses, lengths=lengths, files=files), b"".join(parts)


def cut(parcel: Parcel) -> list[bytes]:
    """The outcomes of an end, one by one."""
    parts, at = [], 0
    for length in parcel.message.lengths:
        parts.append(parcel.body[at : at + length])
        at += length
    return parts


def files_of(message: Any) -> tuple[File, ...]:
    """The files that jobs need of which a client speaks."""
    if isinstance(message, say.Define | say.Update):
        return message.computation.files
    if isinstance(message, say.Submit):
        return message.options.files
    if isinstance(message, say.Tailor):
        return message.tailoring.files
    return (message.file,) if isinstance(message, say.SendFile) else ()
