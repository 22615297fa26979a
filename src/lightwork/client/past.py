"""Jobs of earlier lives of the program, as the scheduler tells of them."""

from __future__ import annotations

from msgspec import Struct

from lightwork.model.errors import ProtocolError
from lightwork.wire.messages import Earlier


class Past(Struct, gc=False):
    """A job that an earlier life of the program submitted, and that this one has not asked for."""

    number: int
    digest: str  # of its computation
    name: str  # of the same
    kind: str  # of the same: function, program, module
    state: int
    key: str
    label: bytes  # what the user calls it, packed
    print: bytes  # of its arguments
    again: bool  # an earlier life may have seen its result
    arguments: bytes  # b"": they are too large to be told


def read(message: Earlier, body: bytes) -> list[Past]:
    """What one message tells."""
    if sum(message.lengths) != len(body):
        raise ProtocolError(f"arguments of {sum(message.lengths)} bytes came with {len(body)}")
    rows = zip(
        message.jobs,
        [message.computations[index] for index in message.computation],
        message.states,
        message.keys,
        message.ids,
        message.prints,
        message.again,
        message.lengths,
        strict=True,
    )
    found = []
    at = 0
    for number, (digest, name, kind), state, key, label, mark, again, length in rows:
        arguments = body[at : at + length]
        found.append(Past(number, digest, name, kind, state, key, label, mark, again, arguments))
        at += length
    return found
