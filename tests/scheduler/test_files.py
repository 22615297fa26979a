"""Who has which bytes: streams through the scheduler, from clients and nodes that come and go."""

from __future__ import annotations

import asyncio
import random

import pytest

from lightwork.config.limits import STREAM_CREDIT
from lightwork.scheduler.core import commands as do
from lightwork.scheduler.service.files import Files
from lightwork.transport.files import BytesSource
from lightwork.transport.link import Link
from lightwork.wire import messages as say
from lightwork.wire.streams import Refusal
from tests.transport.links import Gather, Pair, Recorder, run, until

DATA = random.Random(3).randbytes(4 * STREAM_CREDIT)
FILE = say.File("a.txt", "d1", len(DATA))


class Peer(Recorder):
    """A client or node that serves DATA, from any offset, and notes what it was asked for."""

    def __init__(self, files_of_scheduler, asks) -> None:
        super().__init__(on_fetch=self._serve)
        self.fetches: list[say.Fetch] = []
        self.server_side = Recorder(on_message=lambda link, message, body: asks(link, message))
        self.files = files_of_scheduler
        self.pair = Pair("unix", self, self.server_side)
        self.has = True

    def _serve(self, fetch):
        self.fetches.append(fetch)
        return BytesSource(DATA, fetch.offset) if self.has else Refusal("it is gone")

    @property
    def link(self) -> Link:
        return self.pair.client

    def freed(self):
        return [(message.regions, message.spooled) for message in self.messages if isinstance(message, say.Free)]


class Hub:
    """A scheduler's files, with clients c1, c2 and nodes n1, n2."""

    def __init__(self) -> None:
        self.clients: dict[str, Link] = {}
        self.nodes: dict[str, Link] = {}
        self.files = Files(self.clients, self.nodes)
        self.peers: dict[str, Peer] = {}

    async def __aenter__(self) -> Hub:
        for name in ("c1", "c2", "n1", "n2"):
            await self.connect(name)
        return self

    async def connect(self, name: str) -> None:
        asks = self.files.fetch_from_node if name[0] == "c" else self.files.fetch_from_client
        peer = self.peers[name] = Peer(self.files, lambda link, message: self._hear(asks, link, message))
        await peer.pair.__aenter__()
        (self.clients if name[0] == "c" else self.nodes)[name] = peer.pair.server
        if name[0] == "n":
            self.files.node_back(name, peer.pair.server, shares_memory=name == "n2")

    @staticmethod
    def _hear(asks, link, message):
        if isinstance(message, say.Fetch):
            asks(link, message)

    async def cut(self, name: str) -> None:
        peer = self.peers[name]
        peer.link.abort()
        await until(lambda: peer.server_side.lost)
        (self.clients if name[0] == "c" else self.nodes).pop(name)
        await peer.pair.__aexit__(None, None, None)

    async def __aexit__(self, *exception) -> None:
        for name in [*self.clients, *self.nodes]:
            await self.cut(name)

    def fetch(self, name: str, what: str, consume: bool = True, offset: int = 0) -> tuple[Gather, int]:
        sink = Gather(consume=consume, keep=True)
        kind = "spool" if name[0] == "c" else "blob"
        return sink, self.peers[name].link.fetch(kind, what, sink, offset)

    def deliver(self, token: int, node: str = "n1", session: str = "c1") -> None:
        self.files.note_news(do.Deliver(session, node, [1], [2], [0], [1], [1], [1], [0], b"", [(0, [FILE])], [token]))


def story(work):
    async def whole():
        async with Hub() as hub:
            await work(hub)

    run("asyncio", whole)


def define(files=(FILE,)):
    return say.Define(say.Computation("f", "function", "f", files=files))


@pytest.mark.parametrize(
    "offer",
    [
        define(),
        say.Submit("f", 1, [0], say.JobOptions(files=(FILE,))),
        say.Tailor("n1", say.Tailoring(files=(FILE,))),
        say.SendFile(1, "n1", "f", FILE),
    ],
    ids=lambda offer: type(offer).__name__,
)
def test_nodes_get_what_clients_offer(offer):
    async def work(hub):
        none, _ = hub.fetch("n1", "d1")
        await until(lambda: none.end)
        assert "no client" in none.end
        hub.files.note_offers("c2", offer)
        sink, _ = hub.fetch("n1", "d1", offset=7)
        await until(lambda: sink.end is not None)
        assert sink.data == DATA[7:]
        hub.files.session_over("c2")
        gone, _ = hub.fetch("n1", "d1")
        await until(lambda: gone.end)

    story(work)


def test_another_client_that_has_the_same_goes_on():
    async def work(hub):
        for session in ("c1", "c2"):
            hub.files.note_offers(session, define())
        sink, stream = hub.fetch("n1", "d1", consume=False)
        await until(lambda: sink.size == STREAM_CREDIT)
        await hub.cut("c1")
        sink.consume = True
        hub.peers["n1"].link.consumed(stream, STREAM_CREDIT)
        await until(lambda: sink.end is not None)
        assert (sink.end, sink.data == DATA) == ("", True)
        assert hub.peers["c2"].fetches[0].offset >= STREAM_CREDIT

    story(work)


def test_a_client_waits_for_a_node_that_comes_back():
    async def work(hub):
        hub.deliver(9)
        sink, stream = hub.fetch("c1", "9/0", consume=False)
        await until(lambda: sink.size == STREAM_CREDIT)
        await hub.cut("n1")
        later, _ = hub.fetch("c1", "9/0")  # asked for while it is away
        sink.consume = True
        hub.peers["c1"].link.consumed(stream, STREAM_CREDIT)
        await asyncio.sleep(0.02)
        assert sink.end is later.end is None
        await hub.connect("n1")
        await until(lambda: sink.end is not None and later.end is not None)
        for one in (sink, later):
            assert not one.end
            assert one.data == DATA
        assert sorted(fetch.offset > 0 for fetch in hub.peers["n1"].fetches) == [False, True]

    story(work)


@pytest.mark.parametrize("how", ["given up", "anew"])
def test_a_node_that_is_given_up_fails_what_waits_for_it(how):
    async def work(hub):
        hub.deliver(9)
        sink, _ = hub.fetch("c1", "9/0", consume=False)
        await until(lambda: sink.size == STREAM_CREDIT)
        await hub.cut("n1")
        if how == "given up":
            hub.files.node_gone("n1")
        else:
            await hub.connect("n1")
            hub.files.node_back("n1", hub.nodes["n1"], anew=True)
            hub.peers["n1"].has = False
        await until(lambda: sink.end)
        after, _ = hub.fetch("c1", "9/0")
        await until(lambda: after.end)
        assert "lost" in after.end

    story(work)


def test_a_link_that_is_dropped_for_good_fails_its_streams():
    async def work(hub):
        hub.deliver(9)
        sink, _ = hub.fetch("c1", "9/0", consume=False)
        await until(lambda: sink.size == STREAM_CREDIT)
        hub.files.node_gone("n1")  # as the service does it: first this, then the link goes
        await hub.cut("n1")
        await until(lambda: sink.end)
        assert "lost" in sink.end

    story(work)


def test_what_was_taken_is_freed_where_it_is():
    async def work(hub):
        for token, node in ((1, "n1"), (2, "n2"), (3, "n1")):
            hub.deliver(token, node)
        hub.files.taken(say.Taken(5, [4096], [1, 2, 77]))
        hub.files.taken(say.Taken(6, [8192], []))
        n1, n2 = hub.peers["n1"], hub.peers["n2"]
        await until(lambda: n1.freed() and len(n2.freed()) == 3)
        assert n1.freed() == [([], [1])]
        assert n2.freed() == [([4096], []), ([], [2]), ([8192], [])]
        hub.files.session_over("c1")
        await until(lambda: len(n1.freed()) == 2)
        assert n1.freed()[-1] == ([], [3])
        assert n2.freed()[3:] == []

    story(work)


def test_arguments_are_served_from_where_they_lie():
    async def work(hub):
        memory = memoryview(bytearray(DATA))
        n1 = hub.peers["n1"]
        n1.server_side.on_message = lambda link, message, body: hub.files.serve_argument(link, message, memory)
        for offset in (0, 5, len(DATA), len(DATA) + 1):
            sink = Gather(keep=True)
            n1.link.fetch("argument", "9", sink, offset)
            await until(lambda sink=sink: sink.end is not None)
            assert bytes(sink.data) == DATA[offset:]
            assert bool(sink.end) == (offset > len(DATA))

    story(work)
