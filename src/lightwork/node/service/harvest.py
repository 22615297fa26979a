"""What an agent left in the rings of a durable scheduler's workers, when it ended or was killed: kept from now on.

    ring: record, not kept yet   --> its end, with what the attempt left in its directory and in the spool
    ring: started, no record     --> it died with its agent: nobody's fault
    assigned, and none of these  --> it had not started

Whoever is killed here leaves it to the next one: a ring goes when all of it is kept, and what was moved is found again.
"""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path

from lightwork.node.core.endings import lost, program_end
from lightwork.node.core.events import Death
from lightwork.node.service.blobs import Blobs
from lightwork.node.service.custody import Custody
from lightwork.node.service.directories import Directories, remove_tree
from lightwork.node.service.job_directories import JobDirectories
from lightwork.node.service.ring import Records, Ring
from lightwork.node.service.spool import Spool
from lightwork.wire.messages import AttemptFile, Died, Ended, File
from lightwork.wire.outcome import (
    APART,
    DIED,
    ENVELOPE,
    IN_ARENA,
    KIND_MASK,
    REVOKED,
    Outcome,
    decode_outcome,
    encode_outcome,
)

SIGKILL = 9


class Harvest:
    """Of one scheduler. `now_ns`: by the workers' clock (time.monotonic_ns)."""

    def __init__(self, directories: Directories, custody: Custody, now_ns: int) -> None:
        self._directories = directories
        self._custody = custody
        self._spool = Spool(directories.spool, directories.user)
        self._spool.move(directories.spool)
        self._now_ns = now_ns

    def gather(self) -> None:
        """All rings; then what nobody needs goes. OSError: what is there cannot be read."""
        if not any(self._directories.stale_rings()):
            return
        self._jobs = JobDirectories(self._directories, Blobs(self._directories.blobs, user=self._directories.user))
        self._jobs.noted = True
        for path in self._directories.stale_rings():
            self._gather(path)
        left = set(self._directories.workers.glob("*.ring"))
        for child in () if left else self._directories.jobs.iterdir():
            with contextlib.suppress(OSError):  # what cannot be deleted must not keep the rest
                remove_tree(child)

    def clear_spool(self) -> None:
        """Of attempts whose end is not kept, nobody needs the files."""
        keeping = self._custody.keeping
        self._spool.free([token for token in self._spool.tokens() if not keeping.has_ended(token)])

    def _gather(self, path: Path) -> None:
        try:
            ring = Ring(path, create=False, lasting=True)
        except (OSError, ValueError):  # half made: nothing was ever run with it
            path.unlink(missing_ok=True)
            return
        try:
            tokens = self._of_ring(ring)
        finally:
            ring.close()
        self._custody.bonds.hold(ring, tokens, partial(path.unlink, missing_ok=True))
        self._custody.loosen()

    def _of_ring(self, ring: Ring) -> list[int]:
        started, started_ns = ring.unrecorded, ring.started_ns
        tokens: list[int] = []
        try:
            for records in ring.drain(ring.tail):
                self._of_records(records)
                tokens += records.tokens
        except ValueError:  # a job has written there: what it says cannot be true
            pass
        if started and not self._custody.keeping.has_ended(started):
            self._lost(started, started_ns, "its node agent died")
            tokens.append(started)
        return tokens

    def _of_records(self, records: Records) -> None:
        at = 0
        for index, token in enumerate(records.tokens):
            status, outcome = records.statuses[index], records.body[at : at + records.lengths[index]]
            at += records.lengths[index]
            if status & KIND_MASK != REVOKED and not self._custody.keeping.has_ended(token):
                self._of_record(token, status, outcome, records.starts_ns[index], records.durations_ns[index])

    def _of_record(self, token: int, status: int, outcome: bytes, start_ns: int, duration_ns: int) -> None:
        try:
            files = self._files_of(token)
            if status & KIND_MASK == DIED:
                status, outcome = _program_end(outcome)
            if status & APART:
                files.append(File("", "", self._spool.value_before(token, f"{token}/{len(files)}")))
                outcome = _without_value(status, outcome)
            elif status & IN_ARENA:
                raise OSError("it lay in shared memory")
        except _Killed:
            self._lost(token, start_ns, "its node agent died")
            return
        except (OSError, ValueError) as error:
            self._lost(token, start_ns, f"what it left on its node cannot be had: {error}")
            return
        age = max(self._now_ns - start_ns, duration_ns)
        with_files = [(0, files)] if files else []
        self._custody.note(Ended([token], [status], [age], [duration_ns], [len(outcome)], with_files), outcome)

    def _files_of(self, token: int) -> list[File]:
        """Its outputs; what it has sent is told, unless it was."""
        for name, file in self._spool.sent_before(token):
            if not self._custody.has_file(token, name):
                self._custody.note(AttemptFile(token, name, file), b"")
        return self._spool.collect_again(token, self._jobs, self._jobs.outputs_before(token))

    def _lost(self, token: int, started_ns: int, why: str) -> None:
        outcome = lost(why)
        self._custody.note(Died([token], False, [max(self._now_ns - started_ns, 0)], [len(outcome)]), outcome)


class _Killed(Exception):
    """A program died by the signal that we use ourselves."""


def _program_end(outcome: bytes) -> tuple[int, bytes]:
    """What a holder wrote of a program that was killed. By us, perhaps, as its agent died: then that says nothing."""
    failure = decode_outcome(outcome).failure
    name = failure.get("signal", b"0")
    signal = int(name) if name.isdigit() else 0
    if signal == SIGKILL:
        raise _Killed
    return program_end(None, Death(signal=signal, peak_bytes=int(failure.get("peak_memory", b"0"))))


def _without_value(status: int, outcome: bytes) -> bytes:
    if not status & ENVELOPE:
        return b""
    told: Outcome = decode_outcome(outcome)
    return encode_outcome(told._replace(value=b""))
