"""The journal as the service sees it: facts go out, numbers of what is durable come back.

    record, record, ... --(one turn of the loop)--> one write --> journal process --> on_durable(number)

The process owns the files (`lightwork.store.journal_process`); here facts are only encoded, counted and waited for. It
is spoken to by a protocol, not by streams: a number that comes back costs no further turn of the loop.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import msgspec

from lightwork.model.errors import StartFailed
from lightwork.scheduler.core.facts import Fact
from lightwork.scheduler.service.journal_compacting import Compacting
from lightwork.store import journal_frames as frames
from lightwork.store.journal_frames import NUMBERS
from lightwork.store.state_directory import StateDirectory

log = logging.getLogger(__name__)

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Fact)


class Journal:
    """One that is open. Made by `open`."""

    def __init__(
        self,
        directory: Path,
        on_durable: Callable[[int], None],
        on_full: Callable[[bool], None],
        on_failed: Callable[[str], None],
    ) -> None:
        self.torn = ""  # what the last life's end has cost, a sentence
        self.durable = 0  # the last number that is
        self._on_durable, self._on_full, self._on_failed = on_durable, on_full, on_failed
        self._directory = directory
        self._loop = asyncio.get_running_loop()
        self._rows: list[bytes] = []
        self._bodies: list[bytes] = []
        self._last = 0
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._closing = False
        self._failure = ""
        self._transport: asyncio.SubprocessTransport
        self._pipe: asyncio.WriteTransport
        self._compacting = Compacting(directory, self._adopt)

    @classmethod
    async def open(
        cls,
        state: StateDirectory,
        *,
        on_durable: Callable[[int], None],
        on_full: Callable[[bool], None],
        on_failed: Callable[[str], None],
    ) -> Journal:
        """StartFailed: it is damaged, or cannot be written. `on_failed`: it can no longer, later on: nothing that is
        recorded from then on will be durable."""
        journal = cls(state.path, on_durable, on_full, on_failed)
        await journal._start()
        return journal

    async def _start(self) -> None:
        command = [sys.executable, "-P", "-m", "lightwork.store.journal_process", str(self._directory)]
        try:
            await self._loop.subprocess_exec(lambda: _Listener(self), *command, stderr=None, start_new_session=True)
        except OSError as error:
            raise StartFailed(f"the journal process could not be started: {error}") from error
        try:
            await self._opened
        except BaseException:
            self._closing = True
            self._pipe.close()
            await self._ended
            self._transport.close()
            raise

    def connected(self, transport: asyncio.SubprocessTransport) -> None:
        """The process is there."""
        self._transport = transport
        self._pipe = cast(asyncio.WriteTransport, transport.get_pipe_transport(0))

    def facts(self) -> Iterator[Fact]:
        """All that earlier lives have recorded; once. StartFailed: it is of a later version."""
        rows, self._rows = self._rows, []
        for number, row in enumerate(rows, 1):
            try:
                yield _decoder.decode(row)
            except msgspec.MsgspecError as error:
                raise StartFailed(
                    f"record {number:,} of the journal in {self._directory} cannot be read: {error}",
                    hint="a later version of Lightwork may have written it",
                ) from error

    def record(self, number: int, fact: Fact) -> None:
        """It becomes durable; numbers ascend, and `on_durable` says how far it has come."""
        if not self._bodies:
            self._loop.call_soon(self._flush)
        self._bodies.append(_encoder.encode(fact))
        self._last = number

    async def close(self) -> None:
        """All that was recorded is durable, or `on_failed` has said why not."""
        self._flush()
        self._closing = True
        await self._compacting.stop()
        self._pipe.close()
        await self._ended
        self._transport.close()

    def _flush(self) -> None:
        if self._bodies and not self._pipe.is_closing():
            self._pipe.write(frames.batch(frames.BATCH, self._last, self._bodies))
        self._bodies = []

    def _adopt(self, name: str, upto: int) -> None:
        """A compacted file is complete."""
        if not self._closing:
            self._pipe.write(frames.frame(frames.ADOPT, NUMBERS.pack(upto, 0, 0) + name.encode()))

    # --- what the process says ---

    def heard(self, kind: int, content: bytes) -> None:
        """One frame."""
        if kind == frames.DURABLE:
            self.durable, row, size = NUMBERS.unpack(content)
            self._compacting.look(row, size)
            self._on_durable(self.durable)
        elif kind == frames.ROWS:
            self._rows += frames.unpack_batch(content)[1]
        elif kind == frames.OPENED:
            row, size, left = NUMBERS.unpack_from(content)
            self.torn = content[NUMBERS.size :].decode()
            self._compacting.begin(left)
            self._opened.set_result(None)
        elif kind in {frames.FULL, frames.ROOM}:
            self._on_full(kind == frames.FULL)
        elif kind == frames.ADOPTED:
            _, size, left = NUMBERS.unpack(content)
            self._compacting.adopted(left)
        elif kind == frames.ABANDONED:
            self._compacting.abandoned(content.decode())
        elif kind == frames.FAILED:
            self._failure = content.decode()

    def ended(self) -> None:
        """The process has ended, and all that it said was heard."""
        code = self._transport.get_returncode()
        message, _, hint = (self._failure or f"the journal process ended with code {code}\0").partition("\0")
        if not self._opened.done():
            self._opened.set_exception(StartFailed(message, hint=hint))
        elif self._failure or not self._closing or code:
            log.error("%s", message)
            self._on_failed(f"{message}\nhint: {hint}" if hint else message)
        self._ended.set_result(None)


class _Listener(asyncio.SubprocessProtocol):
    """Brings what the process says to its journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._parser = frames.Parser()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """(asyncio)"""
        self._journal.connected(cast(asyncio.SubprocessTransport, transport))  # uvloop's is no subclass

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        """(asyncio)"""
        assert isinstance(data, bytes)
        for kind, content in self._parser.feed(data):
            self._journal.heard(kind, content)

    def connection_lost(self, exc: Exception | None) -> None:
        """(asyncio) All pipes are at their end and the process has been waited for."""
        self._journal.ended()
