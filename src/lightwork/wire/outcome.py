"""How the end of an attempt is written down by the worker (or agent) and read by the client.

Most jobs return a value and print nothing: then the outcome *is* the payload (a pickle). Everything else is an
envelope, announced by the ENVELOPE bit beside the end kind:

    envelope = 7 x u32/u64 header | value | stdout head | stdout tail | stderr head | stderr tail | failure
    failure  = fields: repeated (u16 key length, u32 value length, key, value)

Output keeps its first and last `output_limit` bytes of each stream; what fell between is counted, never guessed.
Stdlib only, any Python from 3.8: workers of old interpreters import this file.
"""

from __future__ import annotations

import struct
from typing import Dict, NamedTuple, Tuple

# How an attempt ended, as reported by the node. Low byte of `status`.
RETURNED = 0  # value is the function's result, or a program's exit code 0
RAISED = 1  # the job's own exception
EXITED = 2  # sys.exit in a function, or a program's non-zero exit code
TIMED_OUT = 3
OUT_OF_MEMORY = 4
CANCELLED = 5
DIED = 6  # the worker's death, the attempt's own fault
NOT_RUN = 7  # the job could not be started: arguments cannot be loaded, missing file, setup failed
UNSENDABLE = 8  # it ran, but its result cannot travel
REVOKED = 9  # only in a worker's ring: skipped by REVOKE, it never started

KIND_MASK = 0xFF
ENVELOPE = 0x100  # the outcome bytes are an envelope, not the bare value
IN_ARENA = 0x200  # the value lies in the node's arena: the value bytes are an arena reference
APART = 0x400  # the value comes as a stream: it is the one of the attempt's files whose path is ""
VALUE_FILE = "value"  # where a worker puts such a value, beside the files that the attempt sent:
NEW_FILE = "new"  # ... and a number; NAME_SUFFIX: in a file beside it, what it is called (only if that is to last)
NAME_SUFFIX = ".name"

_HEADER = struct.Struct("<QIIIIIQQ")
_FIELD = struct.Struct("<HI")
ARENA_REFERENCE = struct.Struct("<QQ")  # offset, length


class Stream(NamedTuple):
    """One output stream of an attempt: its first bytes, its last bytes, and how many were left out between."""

    head: bytes = b""
    tail: bytes = b""
    dropped: int = 0

    def piece(self, start: int, most: int) -> Tuple[int, bytes]:
        """Where they begin, and up to `most` bytes of all that was written, from `start` or from the next one kept."""
        start = max(0, start)
        if start < len(self.head):
            return start, self.head[start : start + most]
        gone = len(self.head) + self.dropped
        at = max(start, gone)
        return at, self.tail[at - gone :][:most]


EMPTY = Stream()


class Outcome(NamedTuple):
    """An attempt's end, taken apart. `value` is a payload or an arena reference; `failure` has the fields below."""

    value: bytes
    stdout: Stream = EMPTY
    stderr: Stream = EMPTY
    failure: Dict[str, bytes] = {}


# Keys of `failure`, all values UTF-8 but EXCEPTION:
#   type       name of the exception's type, or of the failure
#   message    str(exception), or the sentence for the user
#   traceback  remote traceback with source lines
#   exception  the exception itself, pickled (absent if it cannot travel)
#   hint       what to do
#   signal, exit_code, peak_memory (bytes, decimal), item (index in a map chunk)
#   during     load or setup: what failed before any job (LOAD_FAILED, TEMPLATE_FAILED)


def encode_fields(fields: Dict[str, bytes]) -> bytes:
    """Write fields one after another; keys in the order given."""
    parts: list[bytes] = []
    for key, value in fields.items():
        name = key.encode()
        parts += (_FIELD.pack(len(name), len(value)), name, value)
    return b"".join(parts)


def decode_fields(data: bytes) -> Dict[str, bytes]:
    """Read what `encode_fields` wrote; raises ValueError for anything else."""
    fields = {}
    at = 0
    while at < len(data):
        if at + _FIELD.size > len(data):
            raise ValueError("fields end in the middle of a header")
        name_length, length = _FIELD.unpack_from(data, at)
        at += _FIELD.size
        if at + name_length + length > len(data):
            raise ValueError("fields end in the middle of a value")
        fields[bytes(data[at : at + name_length]).decode()] = bytes(data[at + name_length : at + name_length + length])
        at += name_length + length
    return fields


def encode_outcome(outcome: Outcome) -> bytes:
    """The envelope's bytes."""
    out, err = outcome.stdout, outcome.stderr
    failure = encode_fields(outcome.failure) if outcome.failure else b""
    sizes = (len(outcome.value), len(out.head), len(out.tail), len(err.head), len(err.tail), len(failure))
    header = _HEADER.pack(*sizes, out.dropped, err.dropped)
    return b"".join((header, outcome.value, out.head, out.tail, err.head, err.tail, failure))


def decode_failure(data: bytes) -> Dict[str, bytes]:
    """The failure of an envelope, without a look at the rest; raises ValueError if its size does not add up."""
    if len(data) < _HEADER.size:
        raise ValueError("envelope of %d bytes has no header" % len(data))
    size = _HEADER.unpack_from(data)[5]
    if _HEADER.size + size > len(data):
        raise ValueError("envelope of %d bytes has a failure of %d" % (len(data), size))
    return decode_fields(data[len(data) - size :])


def decode_outcome(data: bytes) -> Outcome:
    """Read an envelope; raises ValueError if its sizes do not add up."""
    if len(data) < _HEADER.size:
        raise ValueError("envelope of %d bytes has no header" % len(data))
    *sizes, out_dropped, err_dropped = _HEADER.unpack_from(data)
    if _HEADER.size + sum(sizes) != len(data):
        raise ValueError("envelope of %d bytes should have %d" % (len(data), _HEADER.size + sum(sizes)))
    parts: list[bytes] = []
    at = _HEADER.size
    for size in sizes:
        parts.append(bytes(data[at : at + size]))
        at += size
    value, out_head, out_tail, err_head, err_tail, failure = parts
    return Outcome(
        value, Stream(out_head, out_tail, out_dropped), Stream(err_head, err_tail, err_dropped), decode_fields(failure)
    )
