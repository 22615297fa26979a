"""The process that has run the file of a node's owner (`--init`), and from which all else of an interpreter is forked.

    keeper --> ancestor: runs FILE, init() --> workers, and templates with theirs
                 |          ... its channel is closed: all below it is killed, then close()
                 +-- it fails: no worker is ever born

To who asks for workers it is a keeper; what is asked before the file has run waits.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence

from lightwork.config.timers import SAY_WAITING_S
from lightwork.kit.text import span
from lightwork.model.errors import StartFailed
from lightwork.node.service.births import template_ends
from lightwork.node.service.job_user import JobUser
from lightwork.node.service.keeper_link import KeeperLink
from lightwork.node.service.output import Output
from lightwork.node.service.templates import TEMPLATES_FROM
from lightwork.wire.channel import TEMPLATE_FAILED, TEMPLATE_READY, Frame
from lightwork.wire.outcome import decode_fields

NUMBER = 2 * TEMPLATES_FROM
CLOSE_S = 10.0  # so long may close() take
OUTPUT = 64 << 10
Fields = dict[str, bytes]


class Ancestor:
    """Of one keeper. `on_frame`: frames about what it forked; `on_failed`: what waited for it, by number, is never
    born; `on_end`: it died, and so did all below."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        keeper: KeeperLink,
        file: str,
        user: JobUser | None,
        on_frame: Callable[[KeeperLink, Frame], None],
        on_failed: Callable[[list[int], Fields], None],
        on_end: Callable[[], None],
    ) -> None:
        self.settled: asyncio.Future[Fields] = loop.create_future()  # it has run; a failure, or nothing
        self._file = file
        self._on_frame, self._on_failed, self._on_end = on_frame, on_failed, on_end
        self._waiting: dict[int, tuple[Callable[[], None], Sequence[int]]] = {}
        self._ready = self._closing = False
        self._gone = asyncio.Event()
        ours, self._pipes, descriptors = template_ends(loop, user)
        self.output = Output(OUTPUT)
        self._pipes.begin(self.output)
        self._link = KeeperLink(loop, ours, self._heard, self._ended)
        keeper.ancestor(NUMBER, file, descriptors)

    # --- orders, as a KeeperLink takes them ---

    def fork(self, number: int, shared_file: str, descriptors: Sequence[int]) -> None:
        """Fork a worker."""
        self._when_ready(number, lambda: self._link.fork(number, shared_file, descriptors), descriptors)

    def template(self, number: int, slot: int, load: Mapping[str, bytes], descriptors: Sequence[int]) -> None:
        """Fork a template."""
        self._when_ready(number, lambda: self._link.template(number, slot, load, descriptors), descriptors)

    def kill(self, number: int) -> None:
        """End a whole tree."""
        if self._waiting.pop(number, None) is None:
            self._link.kill(number)
        else:
            self._on_failed([number], {"message": b"it was ended before it was born"})

    def signal(self, number: int, signal: int) -> None:
        """Send a signal to a process group."""
        if number not in self._waiting:
            self._link.signal(number, signal)

    def close(self) -> None:
        """The keeper is dead, and so is all below it."""
        self._closing = True
        for _, descriptors in self._waiting.values():
            _close(descriptors)
        self._waiting.clear()
        self._link.close()
        self._pipes.close()
        if not self.settled.done():
            self.settled.set_result({"message": b"its keeper died"})

    # --- life ---

    async def must_run(self, log: Callable[[str], None]) -> None:
        """When the file has run. StartFailed: it cannot."""
        began = asyncio.get_running_loop().time()
        while not (await asyncio.wait([self.settled], timeout=SAY_WAITING_S))[0]:
            log(f"waits for {self._file} since {span(asyncio.get_running_loop().time() - began)}")

        if self.settled.result():
            raise StartFailed(sentence(self._file, self.settled.result()))

    async def end(self, log: Callable[[str], None]) -> None:
        """Let it run close(), and tell what all this has printed."""
        if not self._closing:
            self._closing = True
            self._link.close()
            try:
                await asyncio.wait_for(self._gone.wait(), CLOSE_S)
            except TimeoutError:
                log(f"{self._file} is still at its close() after {span(CLOSE_S)}: ended")
            self._pipes.finish(self.output)
            self._pipes.close()
            for stream in (self.output.stdout.stream(), self.output.stderr.stream()):
                if text := (stream.head + stream.tail).decode(errors="replace").strip():
                    log(f"{self._file} wrote:\n{text}")

    def gone(self) -> None:
        """The keeper says that it is dead."""
        self._gone.set()

    # --- news ---

    def _heard(self, link: KeeperLink, frame: Frame) -> None:
        if frame.kind == TEMPLATE_READY and not self._ready:
            self._ready = True
            waiting, self._waiting = self._waiting, {}
            for order, _ in waiting.values():
                order()
            self.settled.set_result({})
        elif frame.kind == TEMPLATE_FAILED and not self._ready:
            self._failed(decode_fields(frame.body))
        else:
            self._on_frame(link, frame)

    def _ended(self, link: KeeperLink) -> None:
        if self._closing:
            return
        if self._ready:
            self._on_end()
        elif not self.settled.done():
            self._pipes.finish(self.output)
            self._failed({"type": b"InitFailed", "message": b"the process died: " + self.output.last_words()})

    def _failed(self, failure: Fields) -> None:
        waiting, self._waiting = self._waiting, {}
        for _, descriptors in waiting.values():
            _close(descriptors)
        self.settled.set_result(failure)
        self._on_failed(list(waiting), failure)

    def _when_ready(self, number: int, order: Callable[[], None], descriptors: Sequence[int]) -> None:
        if self._ready:
            order()
        else:
            self._waiting[number] = order, descriptors


def sentence(file: str, failure: Fields) -> str:
    """What went wrong with it, for people; then its traceback."""
    kind, text = (failure.get(name, b"").decode(errors="replace") for name in ("type", "message"))
    trace = failure.get("traceback", b"").decode(errors="replace").strip()
    return f"--init {file} failed: {': '.join(filter(None, (kind, text)))}" + (f"\n{trace}" if trace else "")


def _close(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
