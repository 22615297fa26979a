"""Large values on their way out: what an attempt returned does not go with the word of its end, but is fetched.

    worker: value in a region of the arena -- IN_ARENA --+--> memory shared with the clients: just so
                                                         +--> else: APART, File("", size), stream TOKEN/N -- Free
    worker: value in a file of the spool ---- APART -----+

N counts on behind the attempt's other files. A region that is just being read is given back when that is over.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from lightwork.config.limits import BODY_MAX
from lightwork.kit.text import size as sized
from lightwork.node.core.endings import envelope
from lightwork.node.core.events import Death
from lightwork.node.service.spool import Spool
from lightwork.store.arena import Arena
from lightwork.transport.files import BytesSource
from lightwork.wire.frames import Buffer
from lightwork.wire.messages import AttemptProvisional, Ended, File, FromNode, NodeNotice
from lightwork.wire.outcome import (
    APART,
    ARENA_REFERENCE,
    ENVELOPE,
    IN_ARENA,
    UNSENDABLE,
    Outcome,
    decode_outcome,
    encode_outcome,
)
from lightwork.wire.streams import Source, SourceFailed

Packed = tuple[FromNode, bytes]
_PROVISIONAL_MAX = BODY_MAX - 4096


class _Value:
    """A region that a result lies in."""

    __slots__ = ("freed", "name", "offset", "readers", "size")

    def __init__(self, name: str, offset: int, size: int) -> None:
        self.name, self.offset, self.size = name, offset, size
        self.readers = 0
        self.freed = False


class _Reading:
    """A source that is counted, and keeps its region, if it has one."""

    def __init__(self, results: Results, source: Source, value: _Value | None = None) -> None:
        self._results = results
        self._source = source
        self._value = value
        if value is not None:
            value.readers += 1

    def read(self, size: int) -> Buffer | None:
        """The next bytes: the arena's own, or those of a file."""
        piece = self._source.read(size)
        self._results.served += len(piece) if piece is not None else 0
        return piece

    def close(self) -> None:
        """All is read, or nobody wants the rest."""
        self._source.close()
        if self._value is not None:
            self._value.readers -= 1
            self._results.settle(self._value)


class Results:
    """Of one node. `shared`: the clients have the arena as well, and read it themselves."""

    def __init__(self, arena: Arena | None, spool: Spool, shared: bool) -> None:
        self._arena = arena
        self._spool = spool
        self._shared = shared
        self._apart = APART if shared else APART | IN_ARENA
        self._values: dict[int, _Value] = {}  # by token
        self.served = 0  # bytes that have been fetched

    # --- going out ---

    def outgoing(self, message: FromNode, body: bytes) -> Packed:
        """The message as the scheduler can use it."""
        if isinstance(message, Ended):
            apart = self._apart
            large = max(message.statuses, default=0) >= IN_ARENA  # the hot path: nearly never
            if large and any(status & apart for status in message.statuses):
                return self._without_values(message, body)
        elif isinstance(message, AttemptProvisional) and message.in_arena and not self._shared:
            return self._inline(message, body)
        return message, body

    def _without_values(self, message: Ended, body: bytes) -> Packed:
        files = dict(message.files)
        statuses, lengths, parts, at = [], [], [], 0
        for index, (token, status, length) in enumerate(
            zip(message.tokens, message.statuses, message.lengths, strict=True)
        ):
            outcome = body[at : at + length]
            at += length
            if status & self._apart:
                status, outcome, files[index] = self._put_apart(token, status, outcome, files.get(index, []))
            statuses.append(status)
            lengths.append(len(outcome))
            parts.append(outcome)
        whole = Ended(message.tokens, statuses, message.ages_ns, message.durations_ns, lengths, list(files.items()))
        return whole, b"".join(parts)

    def _put_apart(self, token: int, status: int, data: bytes, files: list[File]) -> tuple[int, bytes, list[File]]:
        try:
            told = decode_outcome(data) if status & ENVELOPE else Outcome(data)
            name = f"{token}/{len(files)}"
            size = self._keep(token, name, told.value) if status & IN_ARENA else self._spool.adopt_value(token, name)
        except (ValueError, struct.error, OSError) as error:  # a job may have written anything into its ring
            failure = {"type": b"ResultLost", "message": f"the job's result cannot be read: {error}".encode()}
            return UNSENDABLE | ENVELOPE, envelope(Death(), failure), files
        rest = encode_outcome(told._replace(value=b"")) if status & ENVELOPE else b""
        return status & ~IN_ARENA | APART, rest, [*files, File("", "", size)]

    def _keep(self, token: int, name: str, reference: bytes) -> int:
        offset, size = ARENA_REFERENCE.unpack(reference)
        if self._arena is None:
            raise ValueError("there is no shared memory here")
        self._arena.view(offset, size)
        self._values[token] = _Value(name, offset, size)
        return int(size)

    def _inline(self, message: AttemptProvisional, reference: bytes) -> Packed:
        """Provisional results are small, mostly."""
        try:
            offset, size = ARENA_REFERENCE.unpack(reference)
            body = bytes(self._arena.view(offset, min(size, BODY_MAX))) if self._arena is not None else b""
        except (ValueError, struct.error) as error:  # a job has written into its worker's memory
            return NodeNotice("warning", f"an intermediate result cannot be read: {error}"), b""
        self.free_region(offset)
        if size > _PROVISIONAL_MAX:
            text = f"an intermediate result of {sized(size)} was not sent: at most {sized(_PROVISIONAL_MAX)} from here"
            return NodeNotice("warning", text, "write it to a file and send_file() it"), b""
        return AttemptProvisional(message.token), body

    # --- being fetched, and freed ---

    def source(self, name: str, offset: int) -> Source:
        """What a Fetch asks for. SourceFailed: there is no such thing."""
        token, _, _ = name.partition("/")
        value = self._values.get(int(token)) if token.isdecimal() else None
        if value is None or value.name != name or self._arena is None:
            return _Reading(self, self._spool.source(name, offset))
        if offset > value.size:
            raise SourceFailed(f"{name} has {value.size:,} bytes only")
        return _Reading(self, BytesSource(self._arena.view(value.offset, value.size), offset), value)

    def free(self, tokens: Iterable[int]) -> None:
        """Nobody needs the values of these attempts any more. (Their files: see the spool.)"""
        for token in tokens:
            value = self._values.pop(token, None)
            if value is not None:
                value.freed = True
                self.settle(value)

    def free_region(self, offset: int) -> bool:
        """A region is not needed any more; False if it is free already."""
        if self._arena is None:
            return True
        try:
            self._arena.free(offset)
        except KeyError:
            return False
        return True

    def settle(self, value: _Value) -> None:
        """Give its region back if nobody needs it any more."""
        if value.freed and not value.readers:
            value.freed = False
            self.free_region(value.offset)

    def clear(self) -> None:
        """The claim is over: nobody will ask."""
        self.free(list(self._values))

    def tokens(self) -> Iterator[int]:
        """Attempts whose values are kept in the arena."""
        return iter(list(self._values))
