"""What every kind of link promises, on every kind of loop."""

import asyncio
import contextlib
import random

import pytest

from lightwork.config.limits import BODY_MAX, CHUNK, STREAM_CREDIT
from lightwork.model.errors import LinkBroken, PeerError, VersionMismatch
from lightwork.transport import link as link_module
from lightwork.transport.memory import memory_pair
from lightwork.wire.messages import PROTOCOL_OLDEST, AskStatus, Fetch, Goodbye, Hello, Ping, Pong, Refused, Taken
from tests.transport.links import (
    CLIENT,
    KINDS,
    LOOPS,
    SCHEDULER,
    SOCKETS,
    Gather,
    Pair,
    Recorder,
    Zeros,
    dialled,
    encryption,
    listening,
    run,
    until,
)

each_kind = pytest.mark.parametrize("kind", KINDS)
each_socket = pytest.mark.parametrize("kind", SOCKETS)
each_loop = pytest.mark.parametrize("loop", LOOPS)


@each_loop
@each_kind
def test_both_know_each_other(kind, loop):
    async def work():
        async with Pair(kind) as pair:
            assert pair.client.peer == SCHEDULER
            assert pair.server.peer == CLIENT
            assert pair.client.address

    run(loop, work)


@each_loop
@each_kind
def test_messages_arrive_whole_and_in_order(kind, loop):
    chance = random.Random(1)
    frames = [(Taken(n, list(range(n % 7))), chance.randbytes(chance.choice([0, 3, 5000, 70_000]))) for n in range(800)]

    async def work():
        async with Pair(kind) as pair:
            for number, (message, body) in enumerate(frames):
                pair.client.send(message, body)
                pair.server.send(message, body)
                if number % 50 == 0:
                    await asyncio.sleep(0)
            await until(lambda: len(pair.client_side.got) == len(pair.server_side.got) == len(frames))
            assert pair.client_side.got == pair.server_side.got == frames
            assert pair.client.queued_bytes == pair.server.queued_bytes == 0

    run(loop, work)


@each_loop
@each_kind
def test_one_turn_is_one_batch(kind, loop):
    async def work():
        async with Pair(kind) as pair:
            for number in range(100):
                pair.server.send(Taken(number), b"x" * 20)
            await until(lambda: len(pair.client_side.got) == 100)
            assert len(pair.client_side.batches) == 1

    run(loop, work)


@each_loop
@each_kind
def test_a_large_body(kind, loop):
    body = random.Random(2).randbytes(20 << 20)

    async def work():
        async with Pair(kind) as pair:
            pair.client.send(Taken(1), body)
            pair.server.send(Taken(2), memoryview(body))
            await until(lambda: pair.client_side.got and pair.server_side.got)
            assert pair.server_side.got == [(Taken(1), body)]
            assert pair.client_side.got == [(Taken(2), body)]

    run(loop, work)


@each_socket
def test_too_long_a_message_is_the_callers_error(kind):
    async def work():
        async with Pair(kind) as pair:
            with pytest.raises(ValueError, match="too long"):
                pair.client.send(Taken(1), memoryview(bytearray(BODY_MAX + 1)))
            pair.client.send(Taken(2))
            await until(lambda: pair.server_side.got)

    run("asyncio", work)


@each_loop
@each_kind
def test_ping_is_answered(kind, loop):
    async def work():
        async with Pair(kind) as pair:
            pair.client.send(Ping(1))
            pair.server.send(Ping(2))
            await until(lambda: pair.client_side.got and pair.server_side.got)
            assert pair.client_side.messages == [Pong(1)]
            assert pair.server_side.messages == [Pong(2)]

    run(loop, work)


# --- hello ---


@each_loop
@each_socket
def test_an_older_program_is_refused_with_both_versions(kind, loop):
    old = Hello(PROTOCOL_OLDEST - 1, "client", "old")

    async def work():
        server, client = Recorder(), Recorder()
        async with listening(kind, server) as address:
            with pytest.raises(VersionMismatch, match=rf"protocol {old.protocol}, the scheduler speaks") as caught:
                await dialled(kind, address, client, old)
            assert "same version" in caught.value.hint
            await until(lambda: server.refused)
        assert isinstance(server.refused[0], VersionMismatch)
        assert not server.links and not client.links and not client.refused

    run(loop, work)


@each_loop
@each_socket
def test_an_older_listener_is_refused_too(kind, loop):
    async def work():
        server = Recorder()
        async with listening(kind, server, hello=Hello(PROTOCOL_OLDEST - 1, "scheduler", "old")) as address:
            with pytest.raises(VersionMismatch):
                await dialled(kind, address, Recorder())
            await until(lambda: server.lost)
            assert isinstance(server.lost[0], VersionMismatch), server.lost

    run(loop, work)


@each_loop
@each_socket
def test_a_service_refuses_with_its_own_words(kind, loop):
    async def work():
        server = Recorder()
        refusal = Refused("busy", "serves lab1 since noon", "wait")
        async with listening(kind, server, lambda hello: refusal if hello.role == "client" else None) as address:
            with pytest.raises(PeerError, match="serves lab1") as caught:
                await dialled(kind, address, Recorder())
            assert caught.value.hint == "wait"
            (await dialled(kind, address, Recorder(), SCHEDULER)).abort()
            await until(lambda: server.lost)
            assert len(server.refused) == len(server.links) == 1

    run(loop, work)


@pytest.mark.parametrize("loop", LOOPS)
def test_memory_refuses_as_well(loop):
    async def work():
        server, client = Recorder(), Recorder()
        memory_pair((client, CLIENT), (server, SCHEDULER), check=lambda hello: Refused("busy", "serves another"))
        await until(lambda: server.refused and client.refused)
        assert "serves another" in str(client.refused[0])
        assert not server.links and not client.links

    run(loop, work)


# --- streams ---


@each_loop
@each_kind
def test_streams_go_both_ways_at_once(kind, loop):
    data = random.Random(3).randbytes(3_000_000)

    async def work():
        from lightwork.transport.files import BytesSource

        async with Pair(kind, *(Recorder(lambda fetch: BytesSource(data, fetch.offset)) for _ in range(2))) as pair:
            sinks = [Gather(keep=True) for _ in range(6)]
            for offset, sink in enumerate(sinks):
                (pair.client, pair.server)[offset % 2].fetch("blob", "x", sink, offset * 1000)
            await until(lambda: all(sink.end == "" for sink in sinks))
            for offset, sink in enumerate(sinks):
                assert sink.data == data[offset * 1000 :]

    run(loop, work)


@each_loop
@each_kind
def test_a_refused_fetch_says_why(kind, loop):
    def refuse(link, fetch):
        link.refuse(fetch.stream, f"no {fetch.kind} {fetch.name}")

    async def work():
        async with Pair(
            kind, server_side=Recorder(on_message=lambda link, message, body: refuse(link, message))
        ) as pair:
            sink = Gather()
            pair.client.fetch("spool", "7/0", sink)
            await until(lambda: sink.end)
            assert (sink.end, sink.size) == ("no spool 7/0", 0)

    run(loop, work)


@each_loop
@each_kind
def test_credit_bounds_what_is_under_way(kind, loop):
    source = Zeros(10 * STREAM_CREDIT)

    async def work():
        async with Pair(kind, server_side=Recorder(lambda fetch: source)) as pair:
            sink = Gather(consume=False)
            stream = pair.client.fetch("blob", "x", sink)
            await until(lambda: sink.size == STREAM_CREDIT)
            pair.client.send(Ping(1))
            await until(lambda: pair.client_side.got)
            assert source.given == sink.size == STREAM_CREDIT
            pair.client.consumed(stream, 3 * CHUNK)
            await until(lambda: sink.size == STREAM_CREDIT + 3 * CHUNK)
            pair.client.cancel(stream)
            await until(lambda: source.closed)
            assert source.closed == 1
            assert sink.end is None
            assert source.given == STREAM_CREDIT + 3 * CHUNK

    run(loop, work)


@each_loop
@each_kind
def test_control_overtakes_bulk_that_comes(kind, loop):
    """A ping while 200 MB come is answered within the stream's credit and one or two chunks, however fast they are."""
    source = Zeros(200 << 20)

    async def work():
        sink, asked, answered = Gather(), [], []
        client = Recorder(on_message=lambda link, message, body: answered.append(sink.pieces))
        async with Pair(kind, client, Recorder(lambda fetch: source)) as pair:
            pair.client.fetch("blob", "x", sink)
            for number in range(5):
                await until(lambda: sink.pieces >= 50 + 100 * number)
                asked.append(sink.pieces)
                pair.client.send(Ping(number))
                await until(lambda: len(answered) > number)
            assert source.left > 0
        assert max(after - before for before, after in zip(asked, answered)) <= STREAM_CREDIT // CHUNK + 16

    run(loop, work)


@each_loop
@each_kind
def test_control_overtakes_our_own_bulk(kind, loop):
    """A message that is sent while 200 MB go out waits for what the kernel has, not for the stream."""
    source = Zeros(200 << 20)

    async def work():
        sink, sent, arrived = Gather(), [], []
        server = Recorder(on_message=lambda link, message, body: arrived.append(sink.pieces))
        async with Pair(kind, Recorder(lambda fetch: source), server) as pair:
            pair.server.fetch("blob", "x", sink)
            for number in range(5):
                await until(lambda: sink.pieces >= 50 + 100 * number)
                with getattr(pair.client, "_lock", contextlib.nullcontext()):  # a thread reads the source meanwhile
                    sent.append(source.given // CHUNK)
                    pair.client.send(Taken(number))
                await until(lambda: len(arrived) > number)
            assert source.left > 0
        assert max(after - before for before, after in zip(sent, arrived)) <= 9  # one read's or turn's worth

    run(loop, work)


# --- slow readers ---


@each_loop
@pytest.mark.parametrize("kind", ["unix", "loopback", "tls"])
def test_a_reader_that_stops(kind, loop, monkeypatch):
    """Messages wait up to the limit that the sender heeds, bulk is not even read; when it reads again, all is told."""
    limit = 1 << 20
    monkeypatch.setattr(link_module, "SEND_QUEUE_MAX", limit)
    source = Zeros(100 * STREAM_CREDIT)

    async def work():
        from lightwork.transport import dial

        server = Recorder(lambda fetch: source)
        async with listening(kind, server) as address:
            cipher = encryption() if kind == "tls" else None
            client = await asyncio.to_thread(dial.connect, address, CLIENT, encryption=cipher)
            sink, sent = Gather(), 0
            client.fetch("blob", "x", sink)
            await until(lambda: server.links and source.given)
            link = server.links[0]
            for _ in range(1000):
                while not link.congested:
                    link.send(Taken(sent), bytes(10_000))
                    sent += 1
                await asyncio.sleep(0)
            assert limit < link.queued_bytes < limit + 10_100
            assert source.given <= STREAM_CREDIT
            assert server.drained == 0
            got = 0
            while got < sent:
                got += len(await asyncio.to_thread(client.receive, 5))
            await until(lambda: server.drained == 1)
            await asyncio.to_thread(client.close)

    run(loop, work)


# --- ends ---


@each_loop
@each_kind
@pytest.mark.parametrize("who", ["client", "server"])
def test_close_delivers_what_was_sent(kind, loop, who):
    async def work():
        async with Pair(kind) as pair:
            ours, theirs = (pair.client, pair.server_side) if who == "client" else (pair.server, pair.client_side)
            for number in range(50):
                ours.send(Taken(number), bytes(20_000))
            if kind.startswith("blocking"):
                await asyncio.to_thread(ours.close, "done") if who == "client" else ours.close("done")
            else:
                ours.close("done")
            ours.send(Taken(99))
            ours.close("again")
            await until(lambda: pair.client_side.lost and pair.server_side.lost)
            assert theirs.messages == [Taken(number) for number in range(50)] + [Goodbye("done")]
            assert pair.client_side.lost == pair.server_side.lost == [None]
            assert not ours.up

    run(loop, work)


@each_loop
@each_kind
@pytest.mark.parametrize("who", ["client", "server"])
def test_abort_breaks_the_link_and_its_streams(kind, loop, who):
    async def work():
        sources = [Zeros(10 * STREAM_CREDIT), Zeros(10 * STREAM_CREDIT)]
        sinks = [Gather(consume=False), Gather(consume=False)]
        async with Pair(kind, Recorder(lambda _: sources[0]), Recorder(lambda _: sources[1])) as pair:
            pair.client.fetch("blob", "x", sinks[0])
            pair.server.fetch("blob", "x", sinks[1])
            await until(lambda: all(sink.size == STREAM_CREDIT for sink in sinks))
            (pair.client if who == "client" else pair.server).abort()
            await until(lambda: pair.client_side.lost and pair.server_side.lost)
            theirs = pair.server_side if who == "client" else pair.client_side
            assert isinstance(theirs.lost[0], LinkBroken)
            await until(lambda: all(source.closed == 1 for source in sources))
            await until(lambda: all(sink.end for sink in sinks))
            pair.client.send(Taken(1))  # no error: the loss was told
            pair.server.send(Taken(1))

    run(loop, work)


@each_loop
@each_kind
def test_nothing_is_received_after_close(kind, loop):
    async def work():
        client = Recorder(on_message=lambda link, message, body: link.close() if message == Taken(1) else None)
        if kind.startswith("blocking"):
            return  # its reader is the caller's: it stops when it likes
        async with Pair(kind, client) as pair:
            for number in range(3):
                pair.server.send(Taken(number))
                await asyncio.sleep(0.01)
            await until(lambda: client.lost)
            assert client.messages == [Taken(0), Taken(1)]

    run(loop, work)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("kind", ["memory", "unix", "loopback", "tls"])
def test_a_receiver_that_fails_loses_its_link_and_is_told_of(kind, loop):
    def fail(link, message, body):
        raise ZeroDivisionError

    async def work():
        complaints = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        async with Pair(kind, server_side=Recorder(on_message=fail)) as pair:
            pair.client.send(Taken(1))
            await until(lambda: pair.client_side.lost and pair.server_side.lost)
            assert isinstance(pair.server_side.lost[0], LinkBroken)
        assert isinstance(complaints[0]["exception"], ZeroDivisionError)

    run(loop, work)


@each_loop
@each_kind
def test_status_goes_to_and_fro_many_times(kind, loop):
    async def work():
        server = Recorder(on_message=lambda link, message, body: link.send(message, body))
        async with Pair(kind, server_side=server) as pair:
            for number in range(50):
                pair.client.send(AskStatus(number), b"%d" % number)
                await until(lambda: len(pair.client_side.got) == number + 1)
            assert pair.client_side.got == [(AskStatus(number), b"%d" % number) for number in range(50)]

    run(loop, work)


def test_fetch_is_seen_by_the_service():
    async def work():
        async with Pair("memory") as pair:
            pair.client.fetch("blob", "digest", Gather(), 5)
            await until(lambda: pair.server_side.got)
            assert pair.server_side.messages == [Fetch(1, "blob", "digest", 5)]

    run("asyncio", work)


@each_loop
@pytest.mark.parametrize("kind", ["memory", "unix", "loopback", "tls"])
def test_nothing_is_received_by_who_closes_as_it_comes_up(kind, loop):
    class Greeter(Recorder):
        def link_up(self, link):
            super().link_up(link)
            link.send(Taken(1))

    class Shy(Recorder):
        def link_up(self, link):
            super().link_up(link)
            link.close("no")

    async def work():
        server, client = Greeter(), Shy()
        if kind == "memory":
            memory_pair((client, CLIENT), (server, SCHEDULER))
            await until(lambda: client.lost and server.lost)
        else:
            async with listening(kind, server) as address:
                with pytest.raises(LinkBroken):
                    await dialled(kind, address, client)
                await until(lambda: client.lost and server.lost)
        assert client.got == []
        assert server.messages == [Goodbye("no")]

    run(loop, work)
