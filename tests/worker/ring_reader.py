"""The agent's end of a shared file, as plain as can be: the node's own (node/service/ring.py) reads whole columns."""

from __future__ import annotations

from typing import NamedTuple

from lightwork.wire.shared_file import (
    BODY,
    BODY_AT,
    BODY_HEAD,
    RECORD,
    RECORD_HEAD,
    RECORD_TAIL,
    RECORDS,
    RECORDS_AT,
    words_of,
)


class Record(NamedTuple):
    """One attempt's end, as the worker wrote it. `status` as in outcome.py; times in ns of the monotonic clock."""

    token: int
    start_ns: int
    duration_ns: int
    status: int
    outcome: bytes


class RingReader:
    """The agent's end of the ring."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self.words = words_of(view)

    def drain(self, limit: int = RECORDS) -> list[Record]:
        """The next records, oldest first, at most `limit`; their room in the ring is free again."""
        words, view = self.words, self._view
        head, tail = words[RECORD_HEAD], words[RECORD_TAIL]
        if head == tail:
            return []
        records = []
        body_head = words[BODY_HEAD]
        for number in range(head, min(tail, head + limit)):
            at = RECORDS_AT + number % RECORDS * RECORD.size
            token, start, duration, position, length, status = RECORD.unpack_from(view, at)
            skipped = (position - body_head) % BODY if length else 0
            body_head += skipped + length
            begin = BODY_AT + position
            records.append(Record(token, start, duration, status, bytes(view[begin : begin + length])))
        words[BODY_HEAD] = body_head
        words[RECORD_HEAD] = head + len(records)
        return records
