"""Large arguments of a node that does not share memory with the clients: each is fetched into our own arena.

    FetchArgument --> line --(room in the arena, few at once)--> stream --> region --> ArgumentFetched
                        ^                                                     |
                        +---- room again <---- region free <---- FreeArgument-+

They are fetched in the order in which they were asked for: one that waits for room is not overtaken, or a large one
would wait for ever. Regions become free as attempts end, so there is room some day for all that fit into the arena.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lightwork.config.limits import BODY_MAX
from lightwork.kit.text import size as sized
from lightwork.node.core import commands as do, events as on
from lightwork.store.arena import Arena
from lightwork.transport.fetching import Download, Fetching
from lightwork.wire.outcome import ARENA_REFERENCE

KIND = "argument"  # of streams; their names are tokens
AT_ONCE = 3  # further ones would only make the first come later


class _Incoming:
    """The sink of one argument: memory of exactly its size."""

    def __init__(self, memory: memoryview, ended: Callable[[str], None]) -> None:
        self._memory = memory
        self._ended = ended
        self._at = 0

    def write(self, piece: bytes) -> int:
        """The next bytes; what is too much is only counted."""
        end = self._at + len(piece)
        if end <= len(self._memory):
            self._memory[self._at : end] = piece
        self._at = end
        return len(piece)

    def finish(self) -> None:
        """All has come."""
        right = self._at == len(self._memory)
        self.fail("" if right else f"{self._at:,} bytes came of {len(self._memory):,}")

    def fail(self, reason: str) -> None:
        """The rest will not come."""
        self._memory = memoryview(b"")
        self._ended(reason)


class Arguments:
    """All of this node. Without an arena they come into memory of ours, and travel on in frames."""

    def __init__(self, arena: Arena | None, fetching: Fetching, post: Callable[[on.Event], None]) -> None:
        self._arena = arena
        self._fetching = fetching
        self._post = post
        self._line: dict[int, do.FetchArgument] = {}  # by token
        self._coming: dict[int, Download] = {}
        self._regions: dict[int, int] = {}  # token -> offset

    def fetch(self, command: do.FetchArgument) -> None:
        """Have it here as soon as it can be."""
        most = self._arena.capacity if self._arena is not None else BODY_MAX // 2
        if command.size > most:
            self._fail(command.batch, *_too_large(command.size, most))
            return
        self._line[command.token] = command
        self._go_on()

    def free(self, token: int) -> None:
        """Its attempt is no more."""
        self._line.pop(token, None)
        download = self._coming.pop(token, None)
        if download is not None:
            download.cancel()
        offset = self._regions.pop(token, None)
        if offset is not None and self._arena is not None:
            self._arena.free(offset)
        if self._line:
            asyncio.get_running_loop().call_soon(self._go_on)  # the next in line may be freed as well

    def clear(self) -> None:
        """All attempts are no more."""
        self._line.clear()
        for token in [*self._coming, *self._regions]:
            self.free(token)

    def _go_on(self) -> None:
        while self._line and len(self._coming) < AT_ONCE:
            command = next(iter(self._line.values()))
            memory = self._room(command)
            if memory is None:
                return
            del self._line[command.token]
            self._start(command, memory)

    def _room(self, command: do.FetchArgument) -> memoryview | None:
        if self._arena is None:
            return memoryview(bytearray(command.size))
        offset = self._arena.allocate(command.size)
        if offset is None:
            return None
        self._regions[command.token] = offset
        return self._arena.view(offset, command.size)

    def _start(self, command: do.FetchArgument, memory: memoryview) -> None:
        def ended(reason: str) -> None:
            del self._coming[command.token]
            if reason:
                self._fail(command.batch, f"the job's arguments ({sized(command.size)}) could not be fetched: {reason}")
            else:
                self._post(self._arrived(command, memory))
            self._go_on()

        self._coming[command.token] = self._fetching.fetch(KIND, str(command.token), _Incoming(memory, ended))

    def _arrived(self, command: do.FetchArgument, memory: memoryview) -> on.ArgumentFetched:
        offset = self._regions.get(command.token)
        if offset is None:
            return on.ArgumentFetched(command.batch, bytes(memory))
        return on.ArgumentFetched(command.batch, ARENA_REFERENCE.pack(offset, command.size), True)

    def _fail(self, batch: int, message: str, hint: str = "") -> None:
        failure = {"type": b"ArgumentsNotHere", "message": message.encode()}
        if hint:
            failure["hint"] = hint.encode()
        self._post(on.ArgumentFetched(batch, failure=failure))


def _too_large(size: int, most: int) -> tuple[str, str]:
    message = f"the job's arguments have {sized(size)}; this node has room for {sized(most)} of arguments in all"
    return message, "send large data as files (depends=), or let such jobs run on nodes with more memory"
