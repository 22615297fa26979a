"""What a node owes a durable scheduler: whose each attempt is, and every end until that has it for good.

    assigned --> in hand --ended(entry)--> kept --settled--> forgotten
                    |                        ^
                    +---- returned ----------|--------------> forgotten

An *entry* is what the service knows a record by that it has written down: of an assignment (whose these attempts are),
of a file that a running attempt has sent, of an end. Entries are told again, in order, to every scheduler that adopts
us, and each may be deleted once nothing that it speaks of is owed any more. Only `settled` and `returned` ever say so,
and never of an attempt whose end is still to come.

The same calls, in the order in which the records were written, make the same tables again after a crash; `restarted`
then drops what had not started. All that is here is bounded by the work in hand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any

from msgspec import Struct

from lightwork.wire.messages import Truth

HELD, STARTED, ENDED = 0, 1, 2  # stages of a Truth


class Note(Struct, eq=False):
    """One assignment: `left` of its attempts are in hand or kept."""

    entry: Any
    session: str
    left: int


class Kept(Struct, eq=False):
    """An end, or a file, that was written down: `left` of its attempts are not settled."""

    entry: Any
    tokens: Sequence[int]
    left: int
    place: int = 0  # in the order of all


class Share(Struct):
    """What an assignment, an end or a file is needed for: attempts, and (of an assignment) their jobs' numbers."""

    one: Note | Kept
    tokens: list[int]
    numbers: list[int]


class Due(Struct):
    """What is to be told, and of which of its attempts."""

    one: Kept
    tokens: list[int]

    @property
    def entry(self) -> Any:
        """By which the service knows it now."""
        return self.one.entry


class Forgotten(Struct):
    """What nobody needs any more: attempts (their files in the spool), and entries."""

    tokens: list[int]
    entries: list[Any]


class Keeping:
    """Of one scheduler, whatever its life. Tokens of different lives never meet."""

    def __init__(self) -> None:
        self._jobs: dict[int, tuple[Note, int]] = {}  # whose each attempt is: its assignment and its job's number
        self._ends: dict[int, Kept] = {}  # by attempt, in order
        self._files: dict[int, list[Kept]] = {}
        self._order: dict[int, Kept] = {}  # all that is kept, by its place
        self._places = 0

    # --- what comes ---

    def assigned(self, session: str, tokens: Sequence[int], numbers: Sequence[int], entry: Any = None) -> Note:
        """These attempts are ours to make. `numbers` are the jobs'; a single one: they follow each other."""
        if len(numbers) == 1:
            numbers = range(numbers[0], numbers[0] + len(tokens))
        elif not numbers:
            numbers = [0] * len(tokens)
        note = Note(entry, session, len(tokens))
        self._jobs.update(zip(tokens, zip(repeat(note), numbers), strict=False))
        return note

    def sent(self, token: int, entry: Any) -> Kept:
        """A running attempt has left something (a file) that goes with its end."""
        kept = self._keep(Kept(entry, [token], 1))
        self._files.setdefault(token, []).append(kept)
        return kept

    def ended(self, tokens: Sequence[int], entry: Any) -> Kept:
        """These ended, as `entry` tells. Of an attempt that had ended before, the first end stays; with `left` 0 the
        entry is of no use."""
        ends = self._ends
        if not ends.keys().isdisjoint(tokens):
            tokens = [token for token in tokens if token not in ends]
        kept = Kept(entry, tokens, len(tokens))
        if tokens:
            self._keep(kept)
            ends.update(dict.fromkeys(tokens, kept))
        return kept

    def returned(self, tokens: Iterable[int]) -> Forgotten:
        """These went back without having started."""
        gone = Forgotten([], [])
        for token in tokens:
            if token not in self._ends:
                self._forget(token, gone)
        return gone

    def settled(self, tokens: Iterable[int]) -> Forgotten:
        """The scheduler has the ends of these for good. One that has no end yet will be owed all the same."""
        gone = Forgotten([], [])
        for token in tokens:
            if token in self._ends:
                self._forget(token, gone)
            elif token not in self._jobs:
                gone.tokens.append(token)  # settled before; said twice does no harm
        return gone

    def only(self, here: Collection[int]) -> Forgotten:
        """Of what has no end, these alone are still here: the rest went with its session."""
        return self.returned([token for token in self._jobs if token not in here])

    def restarted(self) -> Forgotten:
        """What has no end by now had not started, or its records would have told."""
        gone = self.only(())
        for token in [token for token in self._files if token not in self._jobs and token not in self._ends]:
            self._forget(token, gone)
        return gone

    def nameless(self) -> list[int]:
        """Attempts whose end is kept, and nobody knows whose they are."""
        return [token for token in self._ends if token not in self._jobs]

    # --- what is owed ---

    def has_ended(self, token: int) -> bool:
        """Whether its end is kept."""
        return token in self._ends

    def knows(self, token: int) -> bool:
        """Whether it is known whose this attempt is."""
        return token in self._jobs

    def is_due(self, token: int, kept: Kept) -> bool:
        """Whether the end of this attempt, or its file, is kept by that."""
        return self._ends.get(token) is kept or kept in self._files.get(token, ())

    def count(self) -> int:
        """How many ends are kept."""
        return len(self._ends)

    def unsettled(self) -> list[Due]:
        """All that is to be told to whoever adopts us, in order."""
        due = []
        for kept in self._order.values():
            tokens = [token for token in kept.tokens if self.is_due(token, kept)]
            if tokens:
                due.append(Due(kept, tokens))
        return due

    def truth(self, started: Mapping[int, int], sessions: Iterable[str] = (), clearing: Iterable[str] = ()) -> Truth:
        """All attempts: in hand, those that have `started` (so many ns ago), and those whose end is kept. `sessions`:
        others that have something here; `clearing`: those of which all is about to go."""
        names: dict[str, int] = {}
        truth = Truth([], [], [], [], [], [])
        for token, (note, number) in self._jobs.items():
            truth.tokens.append(token)
            truth.session.append(names.setdefault(note.session, len(names)))
            truth.jobs.append(number)
            truth.stages.append(ENDED if token in self._ends else STARTED if token in started else HELD)
            truth.ages_ns.append(started.get(token, 0))
        for name in sessions:
            names.setdefault(name, len(names))
        truth.sessions.extend(names)
        truth.clearing.extend(clearing)
        return truth

    def shares(self, ones: Iterable[Note | Kept]) -> list[Share]:
        """Of these entries: what they are still needed for. Who copies one elsewhere sets its `entry`."""
        shares = {id(one): Share(one, [], []) for one in ones}
        for token, (note, number) in self._jobs.items():
            share = shares.get(id(note))
            if share is not None:
                share.tokens.append(token)
                share.numbers.append(number)
        for share in shares.values():
            if isinstance(share.one, Kept):
                share.tokens += [token for token in share.one.tokens if self.is_due(token, share.one)]
        return list(shares.values())

    # --- steps ---

    def _keep(self, kept: Kept) -> Kept:
        self._places += 1
        kept.place = self._places
        self._order[kept.place] = kept
        return kept

    def _forget(self, token: int, gone: Forgotten) -> None:
        gone.tokens.append(token)
        job = self._jobs.pop(token, None)
        if job is not None:
            note = job[0]
            note.left -= 1
            if not note.left and note.entry is not None:
                gone.entries.append(note.entry)
        end = self._ends.pop(token, None)
        if end is not None:
            self._less(end, gone)
        if self._files:
            for file in self._files.pop(token, ()):
                self._less(file, gone)

    def _less(self, kept: Kept, gone: Forgotten) -> None:
        kept.left -= 1
        if not kept.left:
            del self._order[kept.place]
            gone.entries.append(kept.entry)
