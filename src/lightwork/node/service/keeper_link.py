"""A keeper, or a template (which is a keeper with a computation loaded), from the agent's side."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence

from lightwork.node.service.channel import Channel
from lightwork.transport.descriptors import Socket
from lightwork.wire.channel import CLEANUP, FORK, KILL, SIGNAL, SPAWN, TEMPLATE, Frame, pack_frame
from lightwork.wire.outcome import encode_fields


class KeeperLink:
    """One keeper's channel. `on_frame` hears its frames, `on_end` of its death."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: Socket,
        on_frame: Callable[[KeeperLink, Frame], None],
        on_end: Callable[[KeeperLink], None],
    ) -> None:
        self._channel = Channel(loop, sock, self._readable)
        self._on_frame = on_frame
        self._on_end = on_end

    def fork(self, number: int, shared_file: str, descriptors: Sequence[int]) -> None:
        """Fork a worker; descriptors: channel, stdout write and read, stderr write and read."""
        self._say(FORK, {"id": b"%d" % number, "shared_file": os.fsencode(shared_file)}, descriptors)

    def template(self, number: int, slot: int, load: Mapping[str, bytes], descriptors: Sequence[int]) -> None:
        """Fork a template; descriptors: its channel, stdout write, stderr write."""
        self._say(TEMPLATE, {"id": b"%d" % number, **load}, descriptors, slot)

    def ancestor(self, number: int, file: str, descriptors: Sequence[int]) -> None:
        """Fork a process that runs this file of the node's owner; descriptors as of a template."""
        self._say(TEMPLATE, {"id": b"%d" % number, "init": os.fsencode(file)}, descriptors)

    def spawn(self, number: int, fields: Mapping[str, bytes], descriptors: Sequence[int]) -> None:
        """Start a program; descriptors: stdin, stdout, stderr."""
        self._say(SPAWN, {"id": b"%d" % number, **fields}, descriptors)

    def kill(self, number: int) -> None:
        """End a worker's or program's whole tree."""
        self._say(KILL, {"id": b"%d" % number})

    def signal(self, number: int, signal: int) -> None:
        """Send a signal to its process group."""
        self._say(SIGNAL, {"id": b"%d" % number, "signal": b"%d" % signal})

    def cleanup(self, slot: int) -> None:
        """Run a computation's cleanup (templates only)."""
        self._channel.send(pack_frame(CLEANUP, b"", slot))

    def close(self) -> None:
        """End of file: it kills everything below it and exits."""
        self._channel.close()

    def _say(self, kind: int, fields: Mapping[str, bytes], descriptors: Sequence[int] = (), slot: int = 0) -> None:
        self._channel.send(pack_frame(kind, encode_fields(dict(fields)), slot), descriptors)

    def _readable(self) -> None:
        try:
            frames = self._channel.read()
        except ValueError:  # its memory is no longer its own: without its channel it dies, and all below it
            self._channel.close()
            self._on_end(self)
            return
        for frame in frames:
            self._on_frame(self, frame)
        if self._channel.ended and not self._channel.closed:
            self._channel.close()
            self._on_end(self)
