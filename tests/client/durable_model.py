"""A durable scheduler, as small as it can be: what is written down survives, everything else dies with it.

told(message, body)   what the client sends; facts wait in `unwritten`
written()             they are on disk: now what depends on them is said (in `said`, for the client)
crash()               what was not on disk is gone
"""

from __future__ import annotations

import copy
from typing import Any

from lightwork.model.states import JobState
from lightwork.wire import outcome
from lightwork.wire.messages import (
    Accepted,
    Cancel,
    Close,
    Computation,
    Define,
    Detach,
    Earlier,
    Goodbye,
    Named,
    Opened,
    Recall,
    RefusedJobs,
    Results,
    Submit,
    Taken,
)

CANCELLED_STATUS = outcome.CANCELLED | outcome.ENVELOPE
FINISHED, CANCELLED = int(JobState.FINISHED), int(JobState.CANCELLED)


class Entry:
    """A job."""

    def __init__(self, number: int, computation: str, arguments: bytes, key: str, label: bytes, mark: bytes) -> None:
        self.number = number
        self.computation = computation
        self.arguments = arguments
        self.key = key
        self.label = label
        self.mark = mark
        self.state = 0
        self.life = 0  # of the client that may have been told
        self.taken = False


class Disk:
    """What survives."""

    def __init__(self) -> None:
        self.incarnation = 0
        self.first = 0
        self.next = 0
        self.lasting = False
        self.computations: set[str] = set()
        self.entries: dict[int, Entry] = {}


class Model:
    """One session of it."""

    def __init__(self) -> None:
        self.disk = Disk()  # what is on disk
        self.now = Disk()  # what will be, once all is written
        self.said: list[tuple[Any, bytes]] = []  # to the client that is connected
        self.waiting: list[tuple[Any, bytes]] = []  # what is said once all is on disk
        self.attached = False
        self.full = False
        self.closed = False
        self.sequence = 0
        self.runs: dict[int, int] = {}
        self.large: dict[int, int] = {}  # arguments that were announced, by number
        self.defined: dict[str, Computation] = {}

    # --- the link ---

    def join(self, incarnation: int) -> None:
        """A client says hello."""
        self.said, self.waiting, self.sequence = [], [], 0
        self.attached = True
        now = self.now
        if not incarnation:
            now.incarnation += 1
            now.first = now.next
            earlier = list(now.entries.values())
            self._say(Opened(now.incarnation, now.next, len(earlier)))
            for at in range(0, len(earlier), 3):
                self._tell_earlier(earlier[at : at + 3])
            return
        assert incarnation == now.incarnation, "a client of an earlier life"
        self._say(Opened(now.incarnation, now.next, 0))
        self._say(Accepted(now.next))
        missing = [n for n in range(now.first, now.next) if n not in now.entries]
        if missing:
            self._say(RefusedJobs(missing, "not here"))
        self._deliver([one for one in now.entries.values() if one.number >= now.first and one.state and not one.taken])

    def _tell_earlier(self, some: list[Entry]) -> None:
        message = Earlier(
            [(one.computation, *self._named(one.computation)) for one in some],
            [one.number for one in some],
            list(range(len(some))),
            [one.state for one in some],
            [one.key for one in some],
            [one.label for one in some],
            [one.mark for one in some],
            [one.life not in (0, self.now.incarnation) for one in some],
            [len(one.arguments) for one in some],
        )
        self._say(message, b"".join(one.arguments for one in some))

    def _named(self, digest: str) -> tuple[str, str]:
        known = self.defined.get(digest)
        return (known.name, known.kind) if known is not None else ("name", "function")

    def leave(self) -> None:
        """The link is gone."""
        self.attached = False
        self.said, self.waiting = [], []

    def _say(self, message: Any, body: bytes = b"") -> None:
        self.waiting.append((message, body))

    # --- what it is told ---

    def told(self, message: Any, body: bytes) -> None:
        """By the client."""
        now = self.now
        match message:
            case Define():
                now.computations.add(message.computation.digest)
                self.defined[message.computation.digest] = message.computation
            case Submit():
                self._submitted(message, body)
            case Cancel():
                self.end([n for n in message.jobs if n in now.entries and not now.entries[n].state], CANCELLED)
            case Taken():
                for number in message.jobs:
                    entry = now.entries.get(number)
                    if entry is not None and entry.state:
                        if entry.key:
                            entry.taken = True
                        else:
                            del now.entries[number]
            case Named():
                for number, label in zip(message.jobs, message.ids, strict=True):
                    if number in now.entries:
                        now.entries[number].label = label
            case Recall():
                self._deliver([now.entries[n] for n in message.jobs if n in now.entries and now.entries[n].state])
            case Close():
                self.end([n for n, one in now.entries.items() if not one.state], CANCELLED)
                self.closed = True
                self._say(Goodbye("closed"))
            case Detach():
                self._say(Goodbye("detached"))
            case _:
                raise AssertionError(message)

    def _submitted(self, message: Submit, body: bytes) -> None:
        now = self.now
        assert message.computation in now.computations, "submitted before it was defined"
        count = len(message.lengths)
        known = max(0, now.next - message.first)
        at = 0
        apart = {row.index: row.size for row in message.apart}
        for column in (message.keys, message.ids, message.prints):
            assert len(column) in (0, count)
        assert set(apart) <= set(range(count))
        new = list(range(message.first + known, message.first + count))
        if new and self.full:
            now.next = new[-1] + 1
            self._say(RefusedJobs(new, "the disk is full"))
            return
        for index, length in enumerate(message.lengths):
            number = message.first + index
            arguments, at = body[at : at + length], at + length
            if index < known:
                continue
            if index in apart:
                assert not length
                self.large[number] = apart[index]
            now.entries[number] = Entry(
                number,
                message.computation,
                arguments,
                message.keys[index] if message.keys else "",
                message.ids[index] if message.ids else b"",
                message.prints[index] if message.prints else b"",
            )
            now.next = number + 1
        self._say(Accepted(now.next))

    # --- what happens ---

    def end(self, numbers: list[int], state: int = FINISHED) -> None:
        """These jobs end."""
        ended = [self.now.entries[number] for number in dict.fromkeys(numbers) if not self.now.entries[number].state]
        for entry in ended:
            entry.state = state
            self.runs[entry.number] = self.runs.get(entry.number, 0) + 1
        if self.attached:
            self._deliver(ended)

    def _deliver(self, entries: list[Entry]) -> None:
        if not entries:
            return
        self.sequence += 1
        count = len(entries)
        again = [index for index, one in enumerate(entries) if one.life not in (0, self.now.incarnation)]
        for one in entries:
            one.life = one.life or self.now.incarnation
        bodies = [self.outcome(one) for one in entries]
        states = [one.state for one in entries]
        statuses = [0 if one.state == FINISHED else CANCELLED_STATUS for one in entries]
        columns = (statuses, [1] * count, [1] * count, [1] * count, list(map(len, bodies)))
        message = Results(self.sequence, "a", [one.number for one in entries], states, *columns, again=again)
        self._say(message, b"".join(bodies))

    def outcome(self, entry: Entry) -> bytes:
        """What a job returned."""
        return b"value %d" % entry.number

    def written(self) -> None:
        """All is on disk."""
        self.disk = copy.deepcopy(self.now)
        self.said += self.waiting
        self.waiting = []

    def crash(self) -> None:
        """It is killed, and starts again from its disk."""
        for number, entry in self.now.entries.items():
            old = self.disk.entries.get(number)
            if entry.state and (old is None or not old.state):
                self.runs[number] -= 1  # that end was never seen: the node tells it again
        self.now = copy.deepcopy(self.disk)
        self.leave()
