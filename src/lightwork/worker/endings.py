"""How an attempt ended, where it is not simply a small value: status and outcome for every other way."""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING, Any, Optional, Tuple

from lightwork.wire.channel import NODE_LOG
from lightwork.wire.outcome import (
    APART,
    CANCELLED,
    EXITED,
    IN_ARENA,
    NOT_RUN,
    RAISED,
    RETURNED,
    UNSENDABLE,
    VALUE_FILE,
    Outcome,
)
from lightwork.wire.shared_file import BODY, CANCEL, STARTED
from lightwork.worker import failure
from lightwork.worker.arena import ArenaError, NoRoom
from lightwork.worker.kinds import ModuleExit
from lightwork.worker.link import Gone
from lightwork.worker.travel import Parts

if TYPE_CHECKING:
    from lightwork.worker.calls import Frame
    from lightwork.worker.main import Worker

ROOM_WAIT_S = 10.0  # for room in the arena
_AGAIN_S = 0.05
_DISK_AGAIN_S = 0.5
_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
UNSET: Any = object()  # in the place of arguments or a value that there are not yet


def ending_of(
    worker: Worker, frame: Frame, token: int, error: BaseException, args: Any, value: Any
) -> Tuple[int, Outcome]:
    """Status and outcome of a job that did not come to a result that can be sent."""
    if isinstance(error, ModuleExit):
        return _module_ended(error.code)
    if isinstance(error, KeyboardInterrupt) and worker.words[CANCEL] == token:
        return CANCELLED, Outcome(b"", failure=failure.simple("Cancelled", "the job was cancelled"))
    if args is UNSET:
        return NOT_RUN, Outcome(b"", failure=failure.not_run(error, frame.broken is None))
    if value is not UNSET:
        return UNSENDABLE, Outcome(b"", failure=failure.unsendable(value, error))
    exited = isinstance(error, SystemExit)
    fields = failure.exited(error) if isinstance(error, SystemExit) else failure.describe(error)
    fields.update(frame.item_field())
    if isinstance(error, MemoryError) and "memory" in frame.options:
        fields.setdefault("hint", b"the job's memory= is %s bytes" % frame.options["memory"])
    return EXITED if exited else RAISED, Outcome(b"", failure=fields)


def _module_ended(code: int) -> Tuple[int, Outcome]:
    if code == 0:
        return RETURNED, Outcome(b"")
    fields = failure.simple("SystemExit", "the module ended with exit code %d" % code)
    fields["exit_code"] = b"%d" % code
    return EXITED, Outcome(b"", failure=fields)


def place_value(worker: Worker, payload: Parts) -> Tuple[int, Any]:
    """A large payload goes to the arena; returns the status and the bytes for the ring, or an Outcome.

    Finished work is not lost for a reader that is slow: what the arena has no room for goes into the ring if it fits
    there, or waits for the client to take other results, and in the end goes into a file.
    """
    if worker.frame is not None and worker.frame.computation.lasting:
        return _place_in_file(worker, payload)
    try:
        if worker.arena.writable:
            try:
                return RETURNED | IN_ARENA, worker.arena.store(worker.link, payload)
            except NoRoom:
                reference = _store_later(worker, payload) if payload.size > BODY // 2 else None
                if reference is not None:
                    return RETURNED | IN_ARENA, reference
        if payload.size <= BODY // 2:
            return RETURNED, payload.join()
        _save(worker, payload)
        return RETURNED | APART, b""
    except (ArenaError, OSError) as error:
        return _too_large(payload, error)


def _too_large(payload: Parts, error: Exception) -> Tuple[int, Outcome]:
    message = "the result has %d bytes, and %s" % (payload.size, error)
    hint = "return less at once, write it to a file and send_file() it, or use fewer such jobs at a time"
    return UNSENDABLE, Outcome(b"", failure=failure.simple("ResultTooLarge", message, hint))


def _place_in_file(worker: Worker, payload: Parts) -> Tuple[int, Any]:
    """Into a file, which outlives us all; on a full disk when there is room again, unless the ring has some."""
    told = False
    while True:
        try:
            _save(worker, payload)
            return RETURNED | APART, b""
        except (ArenaError, OSError) as error:
            if payload.size <= BODY // 2:
                return RETURNED, payload.join()
            if not _may_fit_later(worker, payload, error):
                return _too_large(payload, error)
        if not told:
            told = True
            worker.bell()  # others get their results meanwhile
            text = "a result of %d bytes waits for room on the disk of this node" % payload.size
            worker.link.send(NODE_LOG, text.encode(), count=1)
        time.sleep(_DISK_AGAIN_S)
        if worker.link.ended():
            raise Gone("agent gone while a result waited for room on the disk")


def _may_fit_later(worker: Worker, payload: Parts, error: Exception) -> bool:
    if not isinstance(error, OSError) or error.errno not in _FULL or worker.frame is None:
        return False
    if not hasattr(os, "statvfs"):
        return True
    disk = os.statvfs(worker.frame.computation.spool)
    room: int = disk.f_blocks * disk.f_frsize
    return payload.size < room


def _save(worker: Worker, payload: Parts) -> None:
    """Write the payload to a file, which the agent serves to the client. Raises ArenaError, OSError."""
    spool = worker.frame.computation.spool if worker.frame is not None else ""
    if not spool:
        raise ArenaError("this node has no shared memory for results")
    directory = os.path.join(spool, str(worker.words[STARTED]))
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, VALUE_FILE)
    try:
        with open(path, "wb") as file:
            payload.save(file)
    except OSError:  # the disk is full: what is there of it is in the way of others
        if os.path.exists(path):
            os.unlink(path)
        raise


def _store_later(worker: Worker, payload: Parts) -> Optional[bytes]:
    """Try again until there is room; None if there cannot be, or not in time."""
    if payload.size > worker.arena.capacity():
        return None
    worker.bell()  # results that lie in the ring may be those whose room we need
    text = "a result of %d bytes waits for room in shared memory: the client has not taken others yet" % payload.size
    worker.link.send(NODE_LOG, text.encode())
    deadline = time.monotonic() + ROOM_WAIT_S
    while time.monotonic() < deadline:
        time.sleep(_AGAIN_S)
        if worker.link.ended():
            raise Gone("agent gone while a result waited for room")
        try:
            return worker.arena.store(worker.link, payload)
        except NoRoom:
            continue
    return None
