"""Large arguments and results: in shared memory if there is any, else in the messages themselves."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from lightwork.config.limits import BODY_MAX
from lightwork.kit.text import size as sized
from lightwork.model.errors import ArenaFull, ResultCannotTravel
from lightwork.model.states import JobState
from lightwork.payload.gather import LargePayload
from lightwork.payload.reading import ArenaReader, Mapped, unpack_value
from lightwork.payload.results import Ended, unpack_outcome
from lightwork.wire.messages import Place
from lightwork.wire.outcome import ARENA_REFERENCE, ENVELOPE, IN_ARENA, decode_outcome

if TYPE_CHECKING:
    from lightwork.client.job import Job

_BODY_ROOM = BODY_MAX - (1 << 20)


class Arena(Mapped, Protocol):
    """Shared memory in which we allocate (`lightwork.store.arena.Arena`)."""

    def allocate(self, size: int) -> int | None:
        """A region's offset; None: no room."""

    def free(self, offset: int) -> None:
        """Give a region back."""


class Payloads:
    """`arguments` is written by us; `results` by workers, and each region of it is told to `released` once."""

    def __init__(self, arguments: Arena | None, results: Mapped | None, released: Callable[[int], None]) -> None:
        self._arguments = arguments
        self._reader = ArenaReader(results, released) if results is not None else None
        self._released = released
        self._lock = threading.Lock()
        self._guarded = 0
        self._forgotten: deque[bytes] = deque()
        self._opening = threading.RLock()  # a result in shared memory is read once; reading it may run users' code

    def store(self, payload: LargePayload, wait_for_room: Callable[[], bool]) -> tuple[bytes, Place | None]:
        """What travels, and where it lies if that is a reference. Waits for room while jobs end that may make some."""
        arena, size = self._arguments, payload.size
        if arena is not None and size <= arena.capacity:
            while (offset := self._allocate(arena, size)) is None:
                if not wait_for_room():
                    break
            if offset is not None:
                payload.write_into(arena.view(offset, size))
                return ARENA_REFERENCE.pack(offset, size), Place(0, offset, size)
        if size > _BODY_ROOM:
            raise ArenaFull(f"There is no room in shared memory for arguments of {sized(size)}.")
        return payload.to_bytes(), None

    def _allocate(self, arena: Arena, size: int) -> int | None:
        with self._lock:
            return arena.allocate(size)

    def release(self, place: Place) -> None:
        """The arguments at this place are not needed any longer."""
        if self._arguments is not None:
            with self._lock:
                self._arguments.free(place.offset)

    def loads(self, payload: bytes, in_arena: bool = False) -> Any:
        """Open a value; raises whatever unpickling raises."""
        if not in_arena:
            return unpack_value(payload)
        if self._reader is None:
            raise ArenaFull("The value lies in shared memory that this process does not have.")
        return self._reader.read(*ARENA_REFERENCE.unpack(payload))

    def open_outcome(
        self, state: JobState, status: int, raw: bytes, program: bool, value: memoryview | None = None
    ) -> Ended:
        """Open a job's end; `value`: what came of it as a stream."""
        try:
            return unpack_outcome(state, status, raw, program=program, arena=self._reader, apart=value)
        except ValueError as error:  # from an envelope; what a value's unpickling raises is in the `Ended`
            cannot = ResultCannotTravel(f"the job's outcome cannot be read: {error}")
            return Ended(None, cannot, str(cannot))

    def open_once(self, job: Job) -> Any:
        """Open the end of a job that is more than a small value; if another thread has, give what that one made."""
        with self._opening:
            if type(job.raw) is not bytes:
                return job.raw
            if job.extra is not None and job.extra.guard is not None:
                job.extra.guard.spent = True
                self._guarded -= 1
            job.raw = job.peek()
            if job.extra is not None:
                job.extra.value = None  # from now on it lives as long as what was made of it
            return job.raw

    def guard(self, job: Job) -> None:
        """A job has ended: if its result lies in shared memory, that is given back even if nobody ever opens it."""
        status = job.status_word
        if status > 0 and status & IN_ARENA:
            with self._opening:
                if type(job.raw) is bytes:
                    job.more().guard = ArenaGuard(self, status, job.raw)
                    self._guarded += 1

    def unopened(self) -> int:
        """How many results that somebody may still ask for lie in shared memory."""
        return self._guarded - len(self._forgotten)

    def forget(self, reference: bytes) -> None:
        """A value in shared memory that will never be opened. Called by finalizers: no lock is taken."""
        self._released(ARENA_REFERENCE.unpack(reference)[0])

    def note_forgotten(self, reference: bytes) -> None:
        """As `forget`, for a result that was guarded."""
        self._forgotten.append(reference)
        self.forget(reference)


class ArenaGuard:
    """Held by a job whose result lies in shared memory."""

    __slots__ = ("_payloads", "_raw", "_status", "spent")

    def __init__(self, payloads: Payloads, status: int, raw: bytes) -> None:
        self._payloads = payloads
        self._status = status
        self._raw = raw
        self.spent = False

    def __del__(self) -> None:
        if not self.spent:
            raw = self._raw
            self._payloads.note_forgotten(decode_outcome(raw).value if self._status & ENVELOPE else raw)


class Lazy:
    """A provisional result, opened when somebody looks."""

    __slots__ = ("_error", "_in_arena", "_lock", "_made", "_payloads", "_raw")

    def __init__(self, payloads: Payloads, raw: bytes, in_arena: bool) -> None:
        self._payloads = payloads
        self._raw = raw
        self._in_arena = in_arena
        self._lock = threading.RLock()
        self._made: tuple[Any] | None = None
        self._error: BaseException | None = None

    def __call__(self) -> Any:
        with self._lock:
            if self._error is not None:
                raise self._error  # once only: what lay in shared memory is given back
            if self._made is None:
                try:
                    self._made = (self._payloads.loads(self._raw, self._in_arena),)
                except BaseException as error:
                    self._error = error
                    raise
            return self._made[0]

    def __del__(self) -> None:
        if self._in_arena and self._made is None and self._error is None:
            self._payloads.forget(self._raw)
