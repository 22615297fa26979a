"""One worker as the agent sees it: its channel, its shared file, its output pipes.

    channel   LOAD, RUN, QUIT -->     <-- BELL, PROVISIONAL, FILE, RETIRING ...
    ring      words both ways; records of ended attempts, drained on BELL
    pipes     the worker empties them itself after each attempt; we read only what we have claimed

What a worker says about an attempt comes before that attempt's record. So the number of records is read first, then the
channel to its end, and only then are so many records drained.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Protocol

from lightwork.config.timers import TAKE_BACK_S
from lightwork.node.core import events as on
from lightwork.node.service.output import Output
from lightwork.node.service.pipes import Pipes
from lightwork.node.service.regions import Regions
from lightwork.node.service.ring import Records, Ring
from lightwork.wire.channel import (
    BELL,
    FILE,
    LOAD_FAILED,
    OUTPUT_END,
    OUTPUT_LIMIT,
    PROVISIONAL,
    QUIT,
    RETIRING,
    U64,
    WANT_REGION,
    Frame,
    pack_frame,
)
from lightwork.wire.outcome import decode_fields


class Line(Protocol):
    """What carries frames: a socket pair, or a loopback connection."""

    def send(self, data: bytes) -> None:
        """Send a frame."""

    def read(self) -> list[Frame]:
        """All frames that are there."""

    def close(self) -> None:
        """No more."""


class Owner(Protocol):
    """Whom a worker's link tells what it hears."""

    def post(self, event: on.Event) -> None:
        """Give an event to the core."""

    def file_sent(self, fields: dict[str, bytes]) -> None:
        """A running attempt sends a file."""

    def not_started(self, worker: int, errno: int, message: str) -> None:
        """A process could not be started."""

    def heard(self, worker: int, frame: Frame) -> None:
        """What concerns neither attempts nor output."""

    def hold(self, ring: Ring, tokens: list[int], release: Callable[[], None]) -> None:
        """A lasting ring has something that must stay until the ends of these attempts are kept; then `release`."""

    def distrust(self, worker: int, error: Exception) -> None:
        """What this worker says cannot be understood: its memory is no longer its own."""


class WorkerLink:
    """A worker process, from the agent's side."""

    def __init__(
        self, number: int, owner: Owner, loop: asyncio.AbstractEventLoop, ring: Ring, regions: Regions
    ) -> None:
        self.number = number
        self.ring = ring
        self.pid = 0
        self.pipes: Pipes | None = None
        self.line: Line | None = None
        self.dead = False
        self.last_frame = b""  # goes before QUIT
        self._owner = owner
        self._loop = loop
        self._regions = regions
        self._claimed: dict[int, Output] = {}
        self._claiming = False
        self._corrupt = False
        self._handlers = {
            OUTPUT_END: self._output_ended,
            WANT_REGION: self._region_wanted,
            PROVISIONAL: self._provisional,
            FILE: self._file,
            LOAD_FAILED: self._load_failed,
        }

    # --- orders ---

    def send(self, data: bytes) -> None:
        """Send a frame."""
        if self.line is not None:
            self.line.send(data)

    def quit(self) -> None:
        """It shall exit."""
        self.send(self.last_frame + pack_frame(QUIT))

    def expect_output(self, limit: int) -> None:
        """What the attempts to come may keep of their output (the worker knows that itself)."""

    def take_back(self, serial: int) -> None:
        """Set the revoke word; the answer is read when the worker has seen it."""
        self.ring.revoke(serial)
        self._loop.call_later(TAKE_BACK_S, self._taken_back, serial)

    def claim(self, token: int, limit: int) -> None:
        """Read this attempt's output from now on, if it still runs when the worker has seen the word."""
        if not (self._claimed or self._claiming):
            self._claiming = True
            self.ring.claim(token)
            self._loop.call_later(TAKE_BACK_S, self._own, token, limit)

    def written(self, token: int) -> Output | None:
        """What this attempt has written, as far as we have read it; None: it does not run here."""
        if token in self._claimed:
            return self._claimed[token]
        return Output(0) if self.ring.running == token else None

    # --- news ---

    def on_readable(self) -> None:
        """Something came. Again, while bells ring: their records may be younger than the number we read."""
        while not self.dead:
            if not self.take():
                return

    def take(self) -> bool:
        """As `poll`; but a worker whose words make no sense is ended, so that its attempts do not wait for ever."""
        try:
            return self.poll()
        except Exception as error:  # noqa: BLE001  # a job may have written anything into channel and ring
            if self.line is not None:
                self.line.close()
            self._owner.distrust(self.number, error)
            return False

    def poll(self) -> bool:
        """Take what is there; whether a bell rang."""
        tail = self.ring.tail
        rang = False
        for frame in self._read():
            if frame.kind == BELL:
                rang = True
            else:
                self._on_frame(frame)
        self._drain(tail)
        return rang

    def died(self, exit_code: int, peak_bytes: int, with_keeper: bool = False) -> None:
        """Its process is gone: take all it left, then tell."""
        if self.dead:
            return
        self.take()
        self._tell_death(self._claimed.get(self.ring.started), exit_code, peak_bytes, with_keeper)

    def _tell_death(self, output: Output | None, exit_code: int, peak_bytes: int, with_keeper: bool) -> None:
        self.dead = True
        output = output or Output(OUTPUT_LIMIT)
        if self.pipes is not None:
            self.pipes.finish(output)
        stdout, stderr = output.stdout.stream(), output.stderr.stream()
        death = on.Death(max(exit_code, 0), max(-exit_code, 0), peak_bytes, stdout, stderr)
        news = on.WorkerDied(self.number, self.ring.started, self.ring.started_ns, death, with_keeper)
        self._regions.release_all()
        self.close()
        if self.ring.lasting:
            self._owner.hold(self.ring, [news.started], self._remove)
        self._owner.post(news)

    def not_started(self, errno: int, message: str) -> None:
        """There never was a process."""
        self._regions.release_all()
        self.close()
        self._remove()
        self._owner.not_started(self.number, errno, message)

    def close(self) -> None:
        """Let go of everything; but a lasting ring stays as a file, until it is removed."""
        self.dead = True
        if self.line is not None:
            self.line.close()
        if self.pipes is not None:
            self.pipes.close()
        self.ring.close()
        if not self.ring.lasting:
            self._remove()

    def discard(self) -> None:
        """It never ran anything."""
        self.close()
        self._remove()

    def _remove(self) -> None:
        self.ring.path.unlink(missing_ok=True)

    # --- frames ---

    def _read(self) -> list[Frame]:
        if self.line is None:
            return []
        try:
            return self.line.read()
        except ValueError:  # its memory is no longer its own; its death follows
            self.line.close()
            return []

    def _on_frame(self, frame: Frame) -> None:
        if frame.kind == RETIRING:
            self._retiring(frame)
            return
        handler = self._handlers.get(frame.kind)
        if handler is None:
            self._owner.heard(self.number, frame)
        else:
            handler(frame)

    def _retiring(self, frame: Frame) -> None:
        self._drain(self.ring.tail)
        reason = decode_fields(frame.body[U64.size :]).get("reason", b"").decode(errors="replace")
        self._owner.post(on.WorkerRetired(self.number, reason))

    def _region_wanted(self, frame: Frame) -> None:
        (size,) = U64.unpack(frame.body)
        self.send(self._regions.answer(size))

    def _provisional(self, frame: Frame) -> None:
        (token,) = U64.unpack_from(frame.body)
        body = frame.body[U64.size :]
        if frame.count:
            self._regions.used(body)
        self._owner.post(on.ProvisionalSent(token, body, bool(frame.count)))

    def _file(self, frame: Frame) -> None:
        self._owner.file_sent(decode_fields(frame.body))

    def _load_failed(self, frame: Frame) -> None:
        self._owner.post(on.LoadFailed(self.number, frame.slot, decode_fields(frame.body)))

    # --- records and output ---

    def _drain(self, tail: int) -> None:
        """Hand on all records before this one. A job may have written anything into the ring: then it is told once."""
        if self._corrupt:
            return
        try:
            found = self.ring.drain(tail)
        except ValueError:
            self._corrupt = True
            self._owner.post(on.RingCorrupted(self.number))
            return
        for records in found:
            self._drained(records)

    def _drained(self, records: Records) -> None:
        if self._claimed:
            self._merge(records)
        if self._regions.any:
            self._regions.used_by(records)
        self._hand_on(records)

    def _hand_on(self, records: Records) -> None:
        if records.until is not None:
            self._owner.hold(self.ring, records.others + records.tokens, partial(self.ring.free, records.until))
        self._owner.post(
            on.JobsEnded(
                self.number,
                records.tokens,
                records.starts_ns,
                records.durations_ns,
                records.lengths,
                records.statuses,
                records.body,
            )
        )

    def _taken_back(self, serial: int) -> None:
        if not self.dead:
            started = self.ring.started  # before the ring: what ended since then is in there
            self._owner.post(on.TakenBack(self.number, serial, started, self._undrained()))

    def _undrained(self) -> list[int]:
        return self.ring.undrained()

    def begun(self, now_ns: int) -> dict[int, int]:
        """Attempts that have started and whose end was not handed on; each so many ns ago."""
        found = dict.fromkeys(self._undrained(), 0)
        if self.ring.started:
            found[self.ring.started] = max(now_ns - self.ring.started_ns, 0)
        return found

    def _own(self, token: int, limit: int) -> None:
        self._claiming = False
        if self.dead or self.pipes is None:
            return
        if self.ring.running != token:
            self.ring.claim(0)
            return
        self._claimed[token] = output = Output(limit)
        self.pipes.begin(output)

    def _output_ended(self, frame: Frame) -> None:
        (token,) = U64.unpack(frame.body)
        output = self._claimed.get(token)
        if output is not None and self.pipes is not None:
            self.pipes.finish(output)
        self.ring.claim(0)

    def _merge(self, records: Records) -> None:
        for token in self._claimed.keys() & set(records.tokens):
            output = self._claimed.pop(token)
            index = records.tokens.index(token)
            begin = sum(records.lengths[:index])
            end = begin + records.lengths[index]
            status, outcome = output.merged(records.statuses[index], records.body[begin:end])
            records.statuses[index], records.lengths[index] = status, len(outcome)
            records.body = b"".join((records.body[:begin], outcome, records.body[end:]))
