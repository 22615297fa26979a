"""The chain that ties rows together: each has a checksum over its predecessor's, its number and itself.

    row 0: what this file is     row 1            row 2
    chain0 = H(0, 0, body0) ---> H(chain0, 1, body1) ---> H(chain1, 2, body2) ---> ...

Row 0 holds chance, so rows of two files never fit each other. A row that is missing, doubled, swapped or changed breaks
the chain at its number.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from struct import Struct

CHAIN_SIZE = 16
START = bytes(CHAIN_SIZE)  # before row 0
MAGIC = b"lightwork journal 1\n"
HINT = "lightwork doctor --recover"

_NUMBER = Struct("<Q")
_GENESIS = Struct("<Q16s")

Row = tuple[int, bytes, bytes]  # number, body, chain


class Damaged(Exception):
    """What was durable is no longer what was written. `record`: the first that is affected."""

    def __init__(self, record: int, what: str) -> None:
        super().__init__(f"record {record:,} of the journal is damaged: {what}")
        self.record = record


def link(chain: bytes, number: int, body: bytes) -> bytes:
    """The checksum of a row behind one whose checksum is `chain`."""
    return blake2b(chain + _NUMBER.pack(number) + body, digest_size=CHAIN_SIZE).digest()


def chained(chain: bytes, number: int, bodies: Iterable[bytes]) -> list[Row]:
    """Rows from `number` on, behind a row whose checksum is `chain`."""
    rows = []
    for at, body in enumerate(bodies, number):
        chain = link(chain, at, body)
        rows.append((at, body, chain))
    return rows


def verified(rows: Iterable[Row], chain: bytes = START, number: int = 0) -> Iterator[Row]:
    """The same rows; Damaged where they are not consecutive from `number` on, or not the ones that were written."""
    for found, body, stored in rows:
        if found != number:
            raise Damaged(number, f"record {found:,} stands in its place" if found > number else "it is out of order")
        chain = link(chain, number, body)
        if chain != stored:
            raise Damaged(number, "its checksum is wrong")
        yield found, body, stored
        number += 1


def genesis(generation: int) -> bytes:
    """The body of row 0."""
    return MAGIC + _GENESIS.pack(generation, os.urandom(16))


def generation_of(body: bytes) -> int:
    """Which generation's row 0 this is; Damaged if none's."""
    if len(body) != len(MAGIC) + _GENESIS.size or not body.startswith(MAGIC):
        raise Damaged(0, "this is no journal, or one of a later version")
    generation: int = _GENESIS.unpack_from(body, len(MAGIC))[0]
    return generation
