"""The loop over the jobs of one frame: the hottest code of the house, about 3.5 us a job beside the job itself.

STARTED word -> REVOKE looked at -> arguments unpickled -> the call -> result pickled
  -> output flushed, ENDED word, CLAIM looked at, own pipe emptied
  -> record into the ring -> bell, now and then -> everything set back (restore.py)
"""

from __future__ import annotations

import sys
import time
import types
from typing import TYPE_CHECKING, Any, Callable, List, Optional, Tuple

from lightwork.wire.channel import IN_ARENA_BIT
from lightwork.wire.outcome import ENVELOPE, RETURNED, REVOKED, Outcome, encode_outcome
from lightwork.wire.shared_file import (
    BODY,
    BODY_AT,
    BODY_HEAD,
    BODY_TAIL,
    CLAIM,
    ENDED,
    RECORD,
    RECORD_HEAD,
    RECORD_TAIL,
    RECORDS,
    RECORDS_AT,
    REVOKE,
    STARTED,
    STARTED_NS,
)
from lightwork.worker import arena as arenas
from lightwork.worker.endings import UNSET, ending_of, place_value
from lightwork.worker.kinds import run_coroutine
from lightwork.worker.output import Streams
from lightwork.worker.restore import FORK_NS_MIN
from lightwork.worker.travel import Parts

if TYPE_CHECKING:
    from lightwork.worker.calls import Frame
    from lightwork.worker.main import Worker

_BELL_NS, _BELL_EVERY_NS, _BELL_RESULTS = 200_000, 1_000_000, 256
_LARGE = 64 * 1024  # arguments up to here are a bare pickle
now = time.monotonic_ns


def run_batch(worker: Worker, frame: Frame, lengths: List[int], body: memoryview, at: int) -> None:
    """Run the jobs of one frame, in order, until one makes the worker retire."""
    words, hand, settle, check = worker.words, worker.hand, settler(worker), worker.check
    call, unpack, pack = frame.call, frame.unpack, worker.packer.pack
    serial, rung, coroutine = worker.serial, now(), types.CoroutineType
    for token, length in zip(frame.tokens, lengths):
        worker.serial = serial = serial + 1
        payload = body[at : at + (length & ~IN_ARENA_BIT)]
        at += length & ~IN_ARENA_BIT
        words[STARTED_NS] = start = now()
        words[STARTED] = token
        if words[REVOKE] >= serial:
            words[STARTED] = 0
            put(worker, token, start, 0, REVOKED, b"")
            continue
        args: Any = UNSET
        value: Any = UNSET
        outcome: Any
        try:
            hand.open = True
            if hand.late == token or frame.broken is not None:
                raise frame.broken or KeyboardInterrupt
            if length <= _LARGE:
                args, kwargs = unpack(payload)
            else:
                args, kwargs = unpack_large(worker, frame, payload, length > IN_ARENA_BIT)
            value = call(*args, **kwargs)
            if type(value) is coroutine:
                value = run_coroutine(value)
            outcome = pack(value)
            status = RETURNED
            hand.open = False
        except BaseException as error:
            hand.open = False
            if worker.forked:
                worker.leave_child(error)
            status, outcome = ending_of(worker, frame, token, error, args, value)
        if worker.forked:
            worker.leave_child(None)
        took = now() - start
        if type(outcome) is Parts:
            status, outcome = place_value(worker, outcome)
        args = value = kwargs = None
        if length > IN_ARENA_BIT:
            worker.arena.release()
        streams = settle(token, took)
        if streams is not None or type(outcome) is not bytes:
            status, outcome = envelope(status, outcome, streams)
        put(worker, token, start, took, status, outcome)
        if took > _BELL_NS or worker.unrung >= _BELL_RESULTS or start + took - rung > _BELL_EVERY_NS:
            worker.bell()
            rung = start + took
        worker.retiring = check(took) or worker.retiring
        if worker.retiring:
            return


def unpack_large(worker: Worker, frame: Frame, payload: memoryview, in_arena: bool) -> Any:
    """Large arguments: segments in the arena or in the frame, or after all a bare pickle."""
    segments = worker.arena.segments(bytes(payload)) if in_arena else arenas.copied(payload)
    return frame.unpack(segments[0]) if len(segments) == 1 else frame.computation.unpack_segments(segments)


def settler(worker: Worker) -> Callable[[int, int], Optional[Streams]]:
    """A function that is called when a job's code is done: what it left running ends, what it wrote is collected."""
    output, words, touched, poll = worker.output, worker.words, worker.output.touched, worker.output.poll
    flush_c = output.flush_c

    def settle(token: int, took_ns: int) -> Optional[Streams]:
        whole = True
        try:
            flush_c(None)
            output.stdout.flush()
            output.stderr.flush()
        except (ValueError, OSError):  # closed, taken apart, or the descriptor is gone
            whole = False
        if sys.stdout is not output.stdout or sys.stderr is not output.stderr:
            output.flush_theirs()
        try:
            if took_ns > FORK_NS_MIN or touched or not whole:
                worker.tidy(whole)
            words[ENDED] = token
            if words[CLAIM] == token:
                output.hand_over(token)
            if poll is None:
                output.mark(token)
                return None
            events = poll(0)
            return worker.collect(events) if events else None
        except OSError as error:
            worker.damaged(error)
            return None

    return settle


def envelope(status: int, outcome: Any, streams: Optional[Streams]) -> Tuple[int, bytes]:
    """An outcome with output or failure, packed."""
    whole = Outcome(outcome) if type(outcome) is bytes else outcome
    if streams is not None:
        whole = whole._replace(stdout=streams[0], stderr=streams[1])
    elif not whole.failure:
        return status, whole.value
    return status | ENVELOPE, encode_outcome(whole)


def put(worker: Worker, token: int, start_ns: int, duration_ns: int, status: int, outcome: bytes) -> None:
    """Append a record to the ring (RingWriter's lines, written out); waits while it is full."""
    words, view = worker.words, worker.view
    length = len(outcome)
    number, tail = words[RECORD_TAIL], words[BODY_TAIL]
    position = tail % BODY
    if position + length > BODY:
        tail += BODY - position
        position = 0
    while number - words[RECORD_HEAD] >= RECORDS or tail + length - words[BODY_HEAD] > BODY:
        worker.wait_for_room()
    view[BODY_AT + position : BODY_AT + position + length] = outcome
    at = RECORDS_AT + number % RECORDS * RECORD.size
    RECORD.pack_into(view, at, token, start_ns, duration_ns, position, length, status)
    words[BODY_TAIL] = tail + length
    words[RECORD_TAIL] = number + 1
    worker.unrung += 1
