"""Layout of the one file that an agent and a worker share: a few words and a ring of results.

Named, in the node's machine-local directory, mapped by both: it outlives either, so that a death never takes a
finished result along, and the started word says exactly which attempt to blame. The agent makes it (FILE_SIZE bytes,
zeros, then MAGIC) before it sends FORK or SPAWN.

    0        words (u64 each, one writer each)                                     WORDS_SIZE
    4096     RECORDS records of RECORD.size bytes: token, start, duration, position, length, status
    ...      BODY bytes of outcomes; a record's outcome is contiguous (it skips the end of the body if need be)

    worker writes            agent writes
    STARTED   token          REVOKE        serial: jobs sent up to here and not yet started are given back
    STARTED_NS monotonic     CANCEL        token to interrupt
    ENDED     token          CLAIM         token whose output the agent reads itself (attempts over 20 ms)
    RECORD_TAIL              RECORD_HEAD
    BODY_TAIL                BODY_HEAD

Tails and heads only ever grow: record n lies at n % RECORDS, byte n of the bodies at n % BODY.

Take-back: the worker stores STARTED, then loads REVOKE; the agent stores REVOKE, waits 1 ms, loads STARTED: never do
both believe that the job is theirs (without the wait, 4 double runs in 1,628; with it none in 3,060). A job that the
worker skips gets a record with status REVOKED: the agent drops it for tokens that it gave back already, and gives back
the token that it took for started but was not.

Output: the worker stores ENDED, then loads CLAIM; the agent stores CLAIM, waits 1 ms, and owns the output only
if then STARTED == token and ENDED != token (else it stores CLAIM = 0, reads nothing). An owner reads what comes; at
OUTPUT_END it reads what is left and stores CLAIM = 0. The worker holds the record back until CLAIM != token, and puts
into it what it still finds in the pipes itself.

The worker's output pipes keep their default size: what it reads itself must fit into the ring beside the rest.

Blame: when a worker has died, drain the ring; if STARTED is a token without a record, that attempt alone is to blame.
Stdlib only, any Python from 3.8.
"""

from __future__ import annotations

import struct

MAGIC = 0x314B524F57544C  # "LTWORK1"
# Word indices (u64).
(
    WORD_MAGIC,
    STARTED,
    STARTED_NS,
    ENDED,
    RECORD_TAIL,
    BODY_TAIL,
    REVOKE,
    CANCEL,
    CLAIM,
    RECORD_HEAD,
    BODY_HEAD,
) = range(11)
WORDS_SIZE = 4096
RECORDS = 4096
RECORD = struct.Struct("<QQQIII4x")  # token, start_ns (monotonic), duration_ns, position in body, length, status
RECORDS_AT = WORDS_SIZE
BODY_AT = RECORDS_AT + RECORDS * RECORD.size
BODY = 1 << 20
FILE_SIZE = BODY_AT + BODY
INLINE_MAX = 256 * 1024  # larger outcomes go to the arena


def words_of(view: memoryview) -> memoryview:
    """The words of a mapped file, to be indexed by the names above."""
    return view[:WORDS_SIZE].cast("Q")


class RingWriter:
    """The worker's end of the ring (the worker's own loop has these lines written out)."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self.words = words_of(view)

    def put(self, token: int, start_ns: int, duration_ns: int, status: int, outcome: bytes) -> bool:
        """Append a record; False if there is no room for it now."""
        words, view = self.words, self._view
        length = len(outcome)
        number, body_tail = words[RECORD_TAIL], words[BODY_TAIL]
        position = body_tail % BODY
        if position + length > BODY:
            body_tail += BODY - position
            position = 0
        if number - words[RECORD_HEAD] >= RECORDS or body_tail + length - words[BODY_HEAD] > BODY:
            return False
        view[BODY_AT + position : BODY_AT + position + length] = outcome
        at = RECORDS_AT + number % RECORDS * RECORD.size
        RECORD.pack_into(view, at, token, start_ns, duration_ns, position, length, status)
        words[BODY_TAIL] = body_tail + length
        words[RECORD_TAIL] = number + 1
        return True
