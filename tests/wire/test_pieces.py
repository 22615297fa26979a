"""Output is read piece by piece, whatever was kept of it."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from lightwork.node.service.output import Collector
from lightwork.wire import outcome
from lightwork.wire.outcome import Outcome, Stream

WHOLE = Stream(b"abcdefghij")
CUT = Stream(b"abc", b"xyz", 4)


@pytest.mark.parametrize(
    ("stream", "start", "most", "piece"),
    [
        (WHOLE, 0, 100, (0, b"abcdefghij")),
        (WHOLE, 2, 3, (2, b"cde")),
        (WHOLE, 10, 5, (10, b"")),
        (WHOLE, 99, 5, (99, b"")),
        (WHOLE, -5, 2, (0, b"ab")),
        (CUT, 1, 100, (1, b"bc")),
        (CUT, 3, 100, (7, b"xyz")),
        (CUT, 5, 2, (7, b"xy")),
        (CUT, 9, 2, (9, b"z")),
        (CUT, 1 << 63, 2, (1 << 63, b"")),
        (Stream(b"", b"", 12), 0, 9, (12, b"")),
        (Stream(), 0, 9, (0, b"")),
    ],
)
def test_a_piece(stream: Stream, start: int, most: int, piece: tuple[int, bytes]) -> None:
    assert stream.piece(start, most) == piece


@given(st.lists(st.binary(max_size=40)), st.integers(0, 30), st.integers(1, 20))
def test_pieces_make_the_whole_but_for_what_was_left_out(written: list[bytes], limit: int, most: int) -> None:
    collector = Collector(limit)
    whole = b"".join(written)
    for part in written:
        collector.add(part)
    stream = collector.stream()
    read, at, left_out = b"", 0, 0
    while True:
        start, piece = stream.piece(at, most)
        left_out += start - at
        read += piece
        at = start + len(piece)
        if not piece:
            break
    assert read == stream.head + stream.tail
    assert at == len(whole)
    assert left_out == stream.dropped == len(whole) - len(read)


def test_the_failure_alone_is_that_of_the_whole() -> None:
    failure = {"type": b"ValueError", "message": b"x" * 5000}
    for told in (Outcome(b"v" * 100, CUT, WHOLE, failure), Outcome(b"")):
        assert outcome.decode_failure(outcome.encode_outcome(told)) == told.failure


@pytest.mark.parametrize("data", [b"", b"short", b"\xff" * 60, outcome.encode_outcome(Outcome(b"v"))[:-1] + b""])
def test_a_broken_envelope_has_no_failure(data: bytes) -> None:
    try:
        assert outcome.decode_failure(data) == {}
    except ValueError:
        return
