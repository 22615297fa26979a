"""The state machine of a link, without any link: greeting, refusal, queueing, and garbage of every kind."""

import random

import pytest
from hypothesis import given, settings, strategies as st

from lightwork.config.limits import CHUNK, STREAM_CREDIT, STREAMS_ASKED, STREAMS_MAX
from lightwork.config.timers import HELLO_S
from lightwork.model.errors import PeerError, ProtocolError, VersionMismatch, WrongCredential
from lightwork.wire.connection import Connection
from lightwork.wire.frames import FrameReader, encode_frame
from lightwork.wire.messages import (
    PROTOCOL,
    PROTOCOL_OLDEST,
    Chunk,
    Credit,
    Fetch,
    Goodbye,
    Hello,
    Ping,
    Pong,
    Refused,
    Taken,
)
from lightwork.wire.streams import SourceFailed

OURS, THEIRS = Hello(PROTOCOL, "scheduler", "s", software="lightwork 1"), Hello(PROTOCOL, "client", "c")


class Bytes:
    """A source that remembers what became of it."""

    def __init__(self, size: int) -> None:
        self.left = size
        self.closed = 0

    def read(self, size):
        size = min(size, self.left)
        self.left -= size
        return bytes(size)

    def close(self):
        self.closed += 1


def frame(message, body=b"") -> bytes:
    return b"".join(encode_frame(message, body))


def everything(connection: Connection, most: int = 1 << 18) -> bytes:
    out = []
    while data := connection.data_to_send(most):
        out += data
    return b"".join(out)


def listening(**options) -> Connection:
    return Connection(OURS, listening=True, **options)


def up() -> Connection:
    connection = listening()
    assert connection.feed(frame(THEIRS)) == []
    assert connection.peer == THEIRS
    everything(connection)
    return connection


def said(connection: Connection) -> list:
    return cut(everything(connection))


def cut(data: bytes) -> list:
    reader, out = FrameReader(), []
    reader._greeted = True
    while data:
        room = reader.room()
        piece, data = data[: len(room)], data[len(room) :]
        room[: len(piece)] = piece
        out += reader.received(len(piece))
    assert reader.error is None
    return out


def test_both_come_up_and_held_messages_follow():
    dialler, listener = Connection(THEIRS, listening=False), listening()
    dialler.send(Taken(1), b"x")
    listener.send(Taken(2))
    assert everything(listener) == b""  # a stranger learns nothing
    assert listener.feed(everything(dialler)) == []
    assert not dialler.peer
    assert dialler.feed(everything(listener)) == [(Taken(2), b"")]
    assert listener.feed(everything(dialler)) == [(Taken(1), b"x")]
    assert [listener.peer, dialler.peer] == [THEIRS, OURS]
    assert (listener.queued_bytes, dialler.queued_bytes) == (0, 0)


def test_an_older_peer_is_told_both_versions():
    dialler = Connection(Hello(PROTOCOL_OLDEST - 1, "client", "c"), listening=False)
    listener = listening()
    listener.feed(everything(dialler))
    dialler.feed(everything(listener))
    for side in (dialler, listener):
        assert isinstance(side.error, VersionMismatch)
        assert f"client speaks protocol {PROTOCOL_OLDEST - 1}" in str(side.error)
        assert f"(lightwork 1) speaks {PROTOCOL}" in str(side.error)
        assert "same version" in side.error.hint


def test_a_dialler_refuses_an_older_listener():
    dialler = Connection(THEIRS, listening=False)
    dialler.feed(frame(Hello(PROTOCOL_OLDEST - 1, "scheduler", "s")))
    assert isinstance(dialler.error, VersionMismatch)
    assert dialler.peer is None


def test_a_newer_peer_decides_itself():
    listener = listening()
    listener.feed(frame(Hello(PROTOCOL + 1, "client", "c")))
    assert listener.peer is not None


def test_check_refuses_with_its_own_words():
    listener = listening(check=lambda hello: Refused("credential", f"not {hello.name}", "ask"))
    listener.feed(frame(THEIRS) + frame(Taken(1)))
    assert isinstance(listener.error, WrongCredential)
    assert said(listener) == [(Refused("credential", "not c", "ask"), b"")]
    assert listener.peer is None


def test_credential_is_not_kept():
    listener = listening()
    listener.feed(frame(Hello(PROTOCOL, "client", "c", credential="secret")))
    assert listener.peer is not None
    assert listener.peer.credential == ""


def test_hello_has_its_time():
    connection = listening(now=100.0)
    connection.tick(100 + HELLO_S - 0.01)
    assert connection.error is None
    connection.tick(100 + HELLO_S)
    assert isinstance(connection.error, ProtocolError)
    late = up()
    late.tick(1e9)
    assert late.error is None


@pytest.mark.parametrize("first", [Ping(1), Taken(1), Goodbye(), Chunk(1)])
def test_hello_comes_first(first):
    connection = listening()
    assert connection.feed(frame(first) + frame(THEIRS)) == []
    assert isinstance(connection.error, ProtocolError)
    assert type(first).__name__ in str(connection.error)


def test_ping_is_answered_inside():
    connection = up()
    assert connection.feed(frame(Ping(5)) + frame(Taken(1)) + frame(Pong(6))) == [(Taken(1), b""), (Pong(6), b"")]
    assert said(connection) == [(Pong(5), b"")]


def test_goodbye_ends_sending():
    connection = up()
    connection.send(Taken(1))
    connection.close("done")
    connection.send(Taken(2))
    assert [message for message, _ in said(connection)] == [Taken(1), Goodbye("done")]
    other = up()
    assert other.feed(frame(Goodbye("x"))) == [(Goodbye("x"), b"")]
    assert other.left


def test_output_is_cut_exactly_and_counted():
    connection = up()
    body = random.Random(1).randbytes(500_000)
    expected = b""
    for number in range(20):
        connection.send(Taken(number), body[: number * 20_000])
        expected += frame(Taken(number), body[: number * 20_000])
    assert connection.queued_bytes == len(expected)
    out = b""
    while data := b"".join(connection.data_to_send(10_000)):
        assert len(data) <= 10_000
        out += data
        assert connection.queued_bytes == len(expected) - len(out)
    assert out == expected


def test_control_goes_before_bulk_and_streams_take_turns():
    connection = up()
    connection.feed(frame(Fetch(1, "blob", "a")) + frame(Fetch(2, "blob", "b")))
    connection.serve(1, Bytes(10 * CHUNK))
    connection.serve(2, Bytes(10 * CHUNK))
    order = []
    for turn in range(6):
        if turn % 2:
            connection.send(Taken(turn))
        order += [message for message, _ in cut(b"".join(connection.data_to_send()))]
    assert order == [Chunk(1), Taken(1), Chunk(2), Taken(3), Chunk(1), Taken(5)]


def test_a_stream_stops_at_its_credit():
    connection, source = up(), Bytes(10 * STREAM_CREDIT)
    connection.feed(frame(Fetch(1, "blob", "a")))
    connection.serve(1, source)
    assert len(said(connection)) == STREAM_CREDIT // CHUNK
    assert not connection.has_output
    connection.feed(frame(Credit(1, 100)))
    assert [len(body) for _, body in said(connection)] == [100]
    connection.feed(frame(Credit(1, -1)))
    assert source.closed == 1
    connection.feed(frame(Credit(1, 100)))  # late: no error
    assert connection.error is None


def test_a_cancel_may_come_before_the_answer():
    connection, source = up(), Bytes(5)
    connection.feed(frame(Fetch(1, "blob", "a")) + frame(Credit(1, -1)))
    connection.serve(1, source)
    assert source.closed == 1
    assert said(connection) == []


def test_a_failing_source_tells_the_asker():
    class Broken(Bytes):
        def read(self, size):
            raise SourceFailed("no such blob")

    connection, source = up(), Broken(1)
    connection.feed(frame(Fetch(1, "blob", "a")))
    connection.serve(1, source)
    assert said(connection) == [(Chunk(1, True, "no such blob"), b"")]
    assert source.closed == 1


def test_asker_grants_as_it_consumes():
    connection = up()
    number = connection.fetch("blob", "a")
    assert said(connection) == [(Fetch(number, "blob", "a"), b"")]
    piece = bytes(CHUNK)
    for _ in range(STREAM_CREDIT // CHUNK):
        assert connection.feed(frame(Chunk(number), piece)) == [(Chunk(number), piece)]
    connection.consumed(number, STREAM_CREDIT // 2)
    assert said(connection) == [(Credit(number, STREAM_CREDIT // 2), b"")]
    connection.feed(frame(Chunk(number, last=True), piece))
    assert connection.error is None
    connection.feed(frame(Chunk(number), piece))  # after its end: not delivered, and no harm
    assert connection.error is None


def test_asks_beyond_the_limit_stand_in_line():
    connection = up()
    numbers = [connection.fetch("blob", str(n)) for n in range(STREAMS_ASKED + 3)]
    assert len(said(connection)) == STREAMS_ASKED
    connection.cancel(numbers[-2])  # never sent: nothing to say
    assert said(connection) == []
    connection.feed(frame(Chunk(numbers[0], last=True)))
    connection.cancel(numbers[1])
    assert [message for message, _ in said(connection)] == [
        Fetch(numbers[-3], "blob", str(STREAMS_ASKED)),
        Credit(numbers[1], -1),
        Fetch(numbers[-1], "blob", str(STREAMS_ASKED + 2)),
    ]


VIOLATIONS = {
    "unasked": [frame(Chunk(1))],
    "over credit": [frame(Chunk(1), bytes(CHUNK))] * (STREAM_CREDIT // CHUNK + 1),
    "twice the same": [frame(Fetch(1, "blob", "a"))] * 2,
    "too many": [frame(Fetch(n, "blob", "a")) for n in range(STREAMS_MAX + 1)],
    "credit for more than it can be": [frame(Fetch(1, "blob", "a")), frame(Credit(1, 1))],
    "negative credit": [frame(Fetch(1, "blob", "a")), frame(Credit(1, -5))],
    "second hello": [frame(THEIRS)],
}


@pytest.mark.parametrize("case", VIOLATIONS)
def test_violations_end_the_link(case):
    connection = up()
    if case == "over credit":
        connection.fetch("blob", "a")
        everything(connection)
    connection.feed(b"".join(VIOLATIONS[case]))
    assert isinstance(connection.error, ProtocolError)
    (refused, _), *_ = said(connection)
    assert type(refused) is Refused
    assert refused.code == "protocol"


def test_losing_the_line_closes_sources():
    connection, source = up(), Bytes(10 * STREAM_CREDIT)
    connection.feed(frame(Fetch(1, "blob", "a")))
    connection.serve(1, source)
    connection.data_to_send()
    connection.lost()
    assert source.closed == 1
    assert not connection.has_output


# --- garbage ---

MESSAGES = st.sampled_from([Ping(1), Taken(3), Pong(2), Goodbye("x"), Fetch(1, "blob", "n"), Credit(1, -1), Chunk(9)])
BODIES = st.sampled_from([b"", b"x", bytes(5000), bytes(300_000)])
WHOLE = st.builds(frame, MESSAGES, st.just(b"")) | st.builds(frame, st.just(Taken(1)), BODIES)
BROKEN = st.binary(max_size=40) | st.builds(lambda data, cut: data[: max(1, cut)], WHOLE, st.integers(1, 30))
STREAM = st.lists(WHOLE | BROKEN, max_size=8).map(b"".join)


def outcome(data: bytes, sizes: list[int]) -> tuple:
    """What a connection makes of the bytes, fed in pieces of these sizes (the last one repeats)."""
    connection, out, at, turn = listening(), [], 0, 0
    while at < len(data):
        size = sizes[min(turn, len(sizes) - 1)]
        out += connection.feed(data[at : at + size])
        at, turn = at + size, turn + 1
    error = connection.error
    assert error is None or isinstance(error, PeerError)
    return out, type(error), str(error), connection.peer, connection.left, everything(connection)


@settings(max_examples=150, deadline=None)
@given(STREAM, st.booleans(), st.lists(st.integers(1, 70_000), min_size=1, max_size=20))
def test_splits_never_change_the_result(data, hello, sizes):
    data = frame(THEIRS) + data if hello else data
    assert outcome(data, sizes) == outcome(data, [len(data) + 1])


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_random_bytes_do_no_harm(data, hello):
    outcome(frame(THEIRS) + data if hello else data, [7])


@settings(max_examples=400, deadline=None)
@given(MESSAGES, st.integers(0, 60), st.integers(0, 255))
def test_a_flipped_byte_does_no_harm(message, at, value):
    data = bytearray(frame(THEIRS) + frame(message))
    data[at % len(data)] = value
    outcome(bytes(data), [1 << 20])


def test_a_sign_of_life_overtakes_what_waits_but_cuts_no_message():
    connection = up()
    for number in range(40):
        connection.send(Taken(number, list(range(1000))))
    begun = b"".join(bytes(piece) for piece in connection.data_to_send(100))
    connection.send(Ping(7))
    rest = everything(connection)
    reader = FrameReader()
    names = []
    for at in range(0, len(begun + rest), 1000):
        piece = (begun + rest)[at : at + 1000]
        reader.room()[: len(piece)] = piece
        names += [type(message).__name__ for message, _ in reader.received(len(piece))]
    assert names == ["Taken", "Ping"] + ["Taken"] * 39
    assert connection.queued_bytes == 0
