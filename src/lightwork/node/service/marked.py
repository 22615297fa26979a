"""Output of portable workers: a stream in which a marker ends what one attempt wrote.

    ...output of 17... MARKER 17 ...output of 18... MARKER 18 ...

An outcome goes on when the markers of its attempt have come on both streams; so records wait in a line here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from lightwork.node.service.output import Collector, Output
from lightwork.node.service.regions import Regions
from lightwork.node.service.ring import Records, Ring
from lightwork.node.service.worker_link import Owner, WorkerLink
from lightwork.wire.channel import OUTPUT_LIMIT, OUTPUT_MARKER, U64, Frame
from lightwork.wire.outcome import KIND_MASK, REVOKED

_MARK = len(OUTPUT_MARKER)
END_WAIT_S = 1.0


class MarkedOutput:
    """Cuts one stream at its markers."""

    def __init__(self, on_marked: Callable[[], None]) -> None:
        self.limit = OUTPUT_LIMIT
        self._on_marked = on_marked
        self._buffer = b""
        self._current = Collector(self.limit)
        self._done: dict[int, Collector] = {}

    def add(self, data: bytes) -> None:
        """The next bytes."""
        buffer = self._buffer + data if self._buffer else data
        marked = False
        while (at := buffer.find(OUTPUT_MARKER)) >= 0 and len(buffer) >= at + _MARK + U64.size:
            self._current.add(buffer[:at])
            (token,) = U64.unpack_from(buffer, at + _MARK)
            self._done[token] = self._current
            self._current = Collector(self.limit)
            buffer = buffer[at + _MARK + U64.size :]
            marked = True
        keep = len(buffer) - at if at >= 0 else _possible(buffer)
        if self._current.empty and self._current.limit != self.limit:
            self._current = Collector(self.limit)
        self._current.add(buffer[: len(buffer) - keep])
        self._buffer = buffer[len(buffer) - keep :]
        if marked:
            self._on_marked()

    def has(self, token: int) -> bool:
        """Whether all output of this attempt is here."""
        return token in self._done

    @property
    def current(self) -> Collector:
        """What came after the last marker, but for what may be the begin of the next."""
        return self._current

    def take(self, token: int) -> Collector:
        """It."""
        return self._done.pop(token)

    def rest(self) -> Collector:
        """What came after the last marker: written by an attempt that did not get to its end."""
        self._current.add(self._buffer)
        self._buffer = b""
        return self._current


def _possible(buffer: bytes) -> int:
    """How many bytes at the end may be the begin of a marker."""
    for size in range(min(_MARK - 1, len(buffer)), 0, -1):
        if buffer.endswith(OUTPUT_MARKER[:size]):
            return size
    return 0


class PortableLink(WorkerLink):
    """A worker whose output is read here, all of it."""

    def __init__(
        self, number: int, owner: Owner, loop: asyncio.AbstractEventLoop, ring: Ring, regions: Regions
    ) -> None:
        super().__init__(number, owner, loop, ring, regions)
        self.marked = (MarkedOutput(self._release), MarkedOutput(self._release))
        self._line_of_records: deque[Records] = deque()
        self._retired: Frame | None = None

    def expect_output(self, limit: int) -> None:
        """What the attempts to come may keep of their output."""
        for part in self.marked:
            part.limit = limit

    def claim(self, token: int, limit: int) -> None:
        """Its output is read here anyway."""

    def written(self, token: int) -> Output | None:
        """What came since the last attempt, if that one is done with."""
        if self.ring.running != token:
            return None
        output = Output(0)
        if not self._line_of_records:
            output.stdout, output.stderr = (part.current for part in self.marked)
        return output

    async def heard_out(self) -> None:
        """Its process is gone; wait for the last words on its channel."""
        ended: asyncio.Event | None = getattr(self.line, "ended", None)
        if ended is not None and getattr(self.line, "_transport", None) is not None:
            try:
                await asyncio.wait_for(ended.wait(), END_WAIT_S)
            except TimeoutError:
                return  # something it left holds the connection open

    def died(self, exit_code: int, peak_bytes: int, with_keeper: bool = False) -> None:
        """All that can come has come: records go on with or without markers."""
        if self.dead:
            return
        self.poll()
        self._release_all()
        output = Output(OUTPUT_LIMIT)
        output.stdout, output.stderr = (part.rest() for part in self.marked)
        self._tell_death(output, exit_code, peak_bytes, with_keeper)

    def _hand_on(self, records: Records) -> None:
        self._line_of_records += _singles(records)
        self._release()

    def _retiring(self, frame: Frame) -> None:
        """Told only when no record waits here: what has ended would be taken for unstarted, and run again."""
        self._drain(self.ring.tail)
        if self._line_of_records:
            self._retired = frame
            self._loop.call_later(END_WAIT_S, self._release_all)  # a closed stream has no markers
        else:
            super()._retiring(frame)

    def _release_all(self) -> None:
        """Hand on all that waits, with or without markers."""
        while self._line_of_records and not self.dead:
            super()._hand_on(self._line_of_records.popleft())
        self._told_all()

    def _told_all(self) -> None:
        frame, self._retired = self._retired, None
        if frame is not None and not self.dead:
            super()._retiring(frame)

    def _release(self) -> None:
        """Hand on, in order, what is complete."""
        line, stdout, stderr = self._line_of_records, *self.marked
        while line and not self.dead:
            records = line[0]
            token, status = records.tokens[0], records.statuses[0]
            if status & KIND_MASK != REVOKED:
                if not (stdout.has(token) and stderr.has(token)):
                    return
                output = Output(0)
                output.stdout, output.stderr = stdout.take(token), stderr.take(token)
                records.statuses[0], records.body = output.merged(status, records.body)
                records.lengths[0] = len(records.body)
            line.popleft()
            super()._hand_on(records)
        if not line:
            self._told_all()

    def _undrained(self) -> list[int]:
        waiting = [one.tokens[0] for one in self._line_of_records if one.statuses[0] & KIND_MASK != REVOKED]
        return waiting + self.ring.undrained()


def _singles(records: Records) -> list[Records]:
    """One by one: each waits for its own markers."""
    found, at = [], 0
    for index, length in enumerate(records.lengths):
        one = Records([records.tokens[index]], [records.starts_ns[index]], [records.durations_ns[index]], [], [], b"")
        one.lengths, one.statuses = [length], [records.statuses[index]]
        one.body = records.body[at : at + length]
        found.append(one)
        at += length
    if found:
        found[-1].until, found[-1].others = records.until, records.tokens[:-1]
    return found
