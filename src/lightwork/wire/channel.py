"""What an agent says to its workers and keepers over their channels, and what they answer.

    frame = u32 size of body | u16 kind | u16 slot | u32 count | body

All numbers are little-endian. `slot` is the number under which a worker holds a computation; `count` is the number of
jobs in RUN (and a flag where said). Bodies are *fields* (outcome.encode_fields; every value is bytes, numbers are
decimal text, paths are os.fsencode'd, flags b"1") unless the kind says otherwise. A keeper's channel is a unix stream
socket and carries descriptors beside a frame (SCM_RIGHTS, with the frame's first byte; one frame per sendmsg).
Stdlib only, any Python from 3.8.

Serials: a worker counts the jobs it is sent over its channel, from 1. REVOKE and RETIRING speak of serials.

LOAD (agent to worker, also what TEMPLATE carries), answered by LOADED or LOAD_FAILED with the same slot:

    digest, name           of the computation (name: for people)
    kind                   function | module (a module is run as `python -m name`)
    payload | payload_file cloudpickle of (call, injected, init); or the path of a file that holds it
    setup, cleanup         cloudpickle of (function, args, kwargs); absent: none
    python                 the client's minor version ("3.11"); absent: the worker's own
    source | source_file   in place of the four above, for workers of another version: the computation as source
    setup_source           with source: in place of the setup and cleanup in it
    run_setup              b"1": run setup here now (portable workers; a TEMPLATE always runs it)
    directory              the computation's directory: working directory of its jobs, and on sys.path
    module_dir             where shipped modules lie: first on sys.path
    spool                  directory for files that jobs send back; the worker makes `spool/TOKEN/newN`
    lasting                b"1": large results go into files of the spool at once, never into the arena
    file_max               bytes of a file that a job may send; absent: any number
    session, node, address what current_job() tells
    env.NAME               environment of all its jobs, on top of the worker's own
    source.FILENAME        text of a source file that is not here, for tracebacks

RUN options (one set for all jobs of the frame; no options: empty bytes). Jobs with their own directory, stdin or
injected names are best sent one to a frame:

    directory              working directory instead of the computation's
    output_limit           bytes kept at the head, and again at the tail, of each stream (default OUTPUT_LIMIT)
    memory                 bytes; RLIMIT_DATA is set around the job (the agent watches the tree itself)
    stdin                  bytes that the job finds as its descriptor 0
    env.NAME               on top of the computation's
    injected               cloudpickle of a dict: globals for these jobs only; or that and the same as source
    chunk                  b"1": the job's first argument is a list of argument tuples, its result the list of results
    numbers                u64 column of job numbers (current_job().number, .uid), where `shift` cannot tell them
    attempts               u32 column, 1 for a job's first attempt; absent: the first of all
"""

from __future__ import annotations

import struct
from array import array
from typing import Iterator, List, NamedTuple, Sequence, Tuple

HEADER = struct.Struct("<IHHI")
BODY_MAX = 64 << 20
NOT_TOLD = (1 << 64) - 1  # a shift that nobody has
U64 = struct.Struct("<Q")
U32 = struct.Struct("<I")
RUN_HEAD = struct.Struct("<IQ")

# Agent to worker.
LOAD = 1  # slot; fields as above
RUN = 2  # slot, count; body as in pack_run
REGION = 3  # u64 offset in the node's results arena for the region asked for, or REFUSED
QUIT = 4  # finish nothing more, exit. (End of file means the same)
CLEANUP = 5  # slot: run the computation's cleanup (to a worker, or to a template over its keeper channel)
UNLOAD = 6  # slot: forget this computation; not answered
# Worker to agent.
READY = 10  # fields: pid, python ("3.11.7"); on a portable channel also key, as the first frame
LOADED = 11  # slot; fields empty
LOAD_FAILED = 12  # slot; fields of a failure (outcome.py); `during`: load | setup
BELL = 13  # no body: look at RECORD_TAIL
OUTPUT_END = 14  # u64 token: a claimed attempt has ended, read its output to the end, then clear CLAIM
WANT_REGION = 15  # u64 size in bytes; the worker does nothing else until REGION comes
PROVISIONAL = 16  # slot; count 1: the payload is an arena reference (0: inline); body: u64 token, then the payload
FILE = 17  # fields: token, path (as the client shall see it: relative, /), spooled (absolute path of the copy), size
RETIRING = 18  # body: u64 serial of the last job it took, then fields: reason. It takes no more and waits for QUIT
NODE_LOG = 19  # text (UTF-8) for the node's own log; count 1: for its users, too
CLEANED = 20  # slot; fields of a failure; none: cleanup went well (also from a template)
# Agent to keeper (id: decimal text, chosen by the agent, never used twice on one channel).
FORK = 30  # fields: id, shared_file; five descriptors: channel, stdout write, stdout read, stderr write, stderr read
TEMPLATE = 31  # slot; fields: id and all of LOAD; three descriptors: its own keeper channel, stdout write, stderr write
#                or fields: id, init (a file of the node's owner): what all workers and templates are forked from later
SPAWN = 32  # fields: id, token, shared_file, directory, argv.0.. , env.NAME..; descriptors: stdin, stdout, stderr
KILL = 33  # fields: id: the whole tree, at once
SIGNAL = 34  # fields: id, signal (decimal): to the process group of the worker or program
# Keeper to agent.
STARTED_PID = 40  # fields: id, pid. A program's comes once exec has succeeded
DIED = 41  # fields: id, status (wait status, decimal), max_rss (bytes), strays (processes killed with it)
TEMPLATE_READY = 42  # slot; on the template's channel
TEMPLATE_FAILED = 43  # slot; on the template's channel: fields of a failure and `during`; then the template exits
SPAWN_FAILED = 44  # fields: id, errno, message; nothing was started, no DIED follows (FORK and TEMPLATE too)
KEEPER_READY = 45  # fields: pid, python; its first frame

REFUSED = (1 << 64) - 1
IN_ARENA_BIT = 1 << 31  # in a RUN length: the job's payload is an arena reference (outcome.ARENA_REFERENCE)
OUTPUT_LIMIT = 1 << 20

# A portable worker cannot look into its own pipes: the agent reads them freely, and after each attempt the worker
# writes OUTPUT_MARKER and the token (u64) into both, before the attempt's record. What stands before a token's marker
# is that attempt's output; the agent hands an outcome on when it has seen both markers.
OUTPUT_MARKER = b"\x1e\x00lightwork:attempt-ends\x00\x1e"


class Frame(NamedTuple):
    """One frame of a channel."""

    kind: int
    slot: int
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody wants of a frame
    body: bytes


def pack_frame(kind: int, body: bytes = b"", slot: int = 0, count: int = 0) -> bytes:
    """A frame's bytes."""
    return HEADER.pack(len(body), kind, slot, count) + body


def pack_run(
    slot: int,
    tokens: Sequence[int],
    lengths: Sequence[int],
    payloads: Sequence[bytes],
    options: bytes,
    shift: int = NOT_TOLD,
) -> bytes:
    """A RUN frame: u32 options length | u64 shift | options (fields) | tokens u64[] | lengths u32[] | payloads.

    A job's number is its token + shift, modulo 2^64.
    """
    body_size = RUN_HEAD.size + len(options) + 12 * len(tokens) + sum(map(len, payloads))
    head = HEADER.pack(body_size, RUN, slot, len(tokens)) + RUN_HEAD.pack(len(options), shift) + options
    return b"".join((head, array("Q", tokens).tobytes(), array("I", lengths).tobytes(), *payloads))


def unpack_run(body: memoryview, count: int) -> Tuple[bytes, List[int], List[int], int, int]:
    """Options, tokens, lengths, where in `body` the first payload begins, and shift. Numbers are little-endian."""
    size, shift = RUN_HEAD.unpack_from(body)
    at = RUN_HEAD.size + size
    tokens, lengths = array("Q"), array("I")
    tokens.frombytes(body[at : at + 8 * count])
    lengths.frombytes(body[at + 8 * count : at + 12 * count])
    return bytes(body[RUN_HEAD.size : at]), tokens.tolist(), lengths.tolist(), at + 12 * count, shift


class FrameReader:
    """Bytes in, frames out; a frame longer than `body_max` is a ValueError."""

    def __init__(self, body_max: int = BODY_MAX) -> None:
        self._buffer = bytearray()
        self._body_max = body_max

    def feed(self, data: bytes) -> Iterator[Frame]:
        """All frames that `data` completes."""
        buffer = self._buffer
        buffer += data
        at = 0
        try:
            while len(buffer) - at >= HEADER.size:
                size, kind, slot, count = HEADER.unpack_from(buffer, at)
                if size > self._body_max:
                    raise ValueError("channel frame of %d bytes is over %d" % (size, self._body_max))
                end = at + HEADER.size + size
                if len(buffer) < end:
                    break
                body = bytes(memoryview(buffer)[at + HEADER.size : end])
                at = end
                yield Frame(kind, slot, count, body)
        finally:
            if at:
                del buffer[:at]
