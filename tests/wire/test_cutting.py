"""Frames passed on unread: whatever the network makes of the bytes, all of them come, whole, and in a good order."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, strategies as some

from lightwork.config.limits import BODY_MAX, CHUNK, HELLO_MAX
from lightwork.wire.connection import Connection
from lightwork.wire.cutting import BULK, CONTROL, CREDIT, FETCH, URGENT, WHOLE_MAX, Cut, FrameCutter, Lanes
from lightwork.wire.frames import PREFIX, Frame, encode_frame
from lightwork.wire.messages import (
    PROTOCOL,
    Chunk,
    Credit,
    Ended,
    Fetch,
    Goodbye,
    Heartbeat,
    Hello,
    Load,
    Message,
    Ping,
    Pong,
    Started,
)

HELLO = Hello(PROTOCOL, "node", "a")
LANES = {Ping: URGENT, Pong: URGENT, Chunk: BULK}

bodies = some.integers(0, 300).map(bytes) | some.sampled_from([bytes(CHUNK), bytes(WHOLE_MAX + 10)])
frames = some.one_of(
    some.builds(lambda number: (Ping(number), b""), some.integers(0, 1 << 40)),
    some.builds(lambda number: (Pong(number), b""), some.integers(0, 9)),
    some.builds(lambda stream, size: (Chunk(stream), bytes(size)), some.integers(1, 9), some.integers(0, 5000)),
    some.builds(lambda stream: (Fetch(stream, "blob", "d" * 32), b""), some.integers(1, 9)),
    some.builds(lambda stream: (Credit(stream, 1 << 17), b""), some.integers(1, 9)),
    some.builds(lambda body: (Ended([1], [0], [0], [0], [len(body)]), body), bodies),
    some.just((Heartbeat(1, [1, 2], [3], Load()), b"")),
    some.just((Started(list(range(1000)), list(range(1000))), b"")),
)


def packed(message: Message, body: bytes = b"") -> bytes:
    return b"".join(bytes(piece) for piece in encode_frame(message, body))


@given(some.lists(frames, max_size=12), some.lists(some.integers(1, 200_000), max_size=30))
def test_cuts_are_the_same_bytes_and_end_where_frames_end(said: list[tuple[Message, bytes]], cuts: list[int]) -> None:
    data = b"".join(packed(*frame) for frame in said)
    ends = {0}
    for frame in said:
        ends.add(max(ends) + len(packed(*frame)))
    cutter = FrameCutter(greeted=True)
    out: list[Cut] = []
    at = 0
    for size in [*cuts, len(data)]:
        out += cutter.cut(data[at : at + size])
        at += size
    assert cutter.error is None
    assert b"".join(bytes(cut.data) for cut in out) == data
    at = 0
    for cut in out:
        at += len(cut.data)
        assert (at in ends) is cut.ends
    alone = [message for message, _ in said if type(message) in (Fetch, Credit)]
    assert [cut.tag for cut in out if cut.tag in (FETCH, CREDIT)] == [
        FETCH if type(message) is Fetch else CREDIT for message in alone
    ]


@given(some.lists(frames, max_size=12), some.lists(some.integers(1, 200_000), max_size=30), some.randoms())
def test_lanes_overtake_between_frames_only(said: list[tuple[Message, bytes]], cuts: list[int], dice: object) -> None:
    """A reader gets all of it, each lane in order, however taking and coming alternate."""
    data = b"".join(packed(*frame) for frame in said)
    cutter, lanes, reader = FrameCutter(greeted=True), Lanes(), Connection(HELLO, listening=True)
    reader.feed(packed(HELLO))
    got: list[Message] = []

    def take(frames: Iterable[Frame]) -> list[Frame]:
        got.extend(message for message, _ in frames)
        return []

    reader.take = take  # type: ignore[method-assign]
    at = 0
    for size in [*cuts, len(data)]:
        for cut in cutter.cut(data[at : at + size]):
            lanes.put(cut)
        at += size
        while lanes.best() is not None and dice.random() < 0.5:  # type: ignore[attr-defined]
            reader.feed(bytes(lanes.take()))
    while lanes.best() is not None:
        reader.feed(bytes(lanes.take()))
    assert lanes.size == 0 and not lanes.midst
    for lane in (URGENT, CONTROL, BULK):
        mine = [message for message, _ in said if LANES.get(type(message), CONTROL) == lane]
        assert [message for message in got if LANES.get(type(message), CONTROL) == lane] == mine


def test_urgent_goes_first_and_bulk_last() -> None:
    cutter, lanes = FrameCutter(greeted=True), Lanes()
    for frame in ((Chunk(1), b"bulk"), (Heartbeat(1, [], [], Load()), b""), (Ping(1), b"")):
        for cut in cutter.cut(packed(*frame)):
            lanes.put(cut)
    taken = [bytes(lanes.take()) for _ in range(3)]
    assert taken == [packed(Ping(1)), packed(Heartbeat(1, [], [], Load())), packed(Chunk(1), b"bulk")]


GARBAGE = {
    "not a message": PREFIX.pack(14, 0) + b"GET / HTTP/1.1",
    "a header beyond all limits": PREFIX.pack(1 << 31, 0),
    "a body beyond all limits": PREFIX.pack(4, BODY_MAX + 1),
    "a chunk that is too long": packed(Chunk(1))[:0] + PREFIX.pack(4, CHUNK + 1) + packed(Chunk(1))[8:] + bytes(99),
    "nothing where a header should be": PREFIX.pack(0, 5) + b"12345",
}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_is_refused_and_what_came_before_is_not(what: str) -> None:
    cutter = FrameCutter(greeted=True)
    out = cutter.cut(packed(Goodbye("so long")) + GARBAGE[what])
    assert cutter.error is not None
    assert b"".join(bytes(cut.data) for cut in out) in (packed(Goodbye("so long")), b"")
    assert cutter.cut(packed(Goodbye())) == []


def test_strangers_have_narrow_limits() -> None:
    assert FrameCutter().cut(PREFIX.pack(HELLO_MAX, 0)) == []
    for prefix in (PREFIX.pack(HELLO_MAX + 1, 0), PREFIX.pack(10, 1)):
        cutter = FrameCutter()
        assert cutter.cut(prefix) == [] and cutter.error is not None
