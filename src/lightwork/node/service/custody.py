"""What this node has of a durable scheduler beyond links, agents and programs.

    Assign ----> assigned ---> record, keeping          Settled ---> settled ---> a note of that; forgotten
    an end ----> note -------> record, keeping, and only then it is told and its room in the ring is free
                                 |
                      a full disk: it waits in memory and in its ring, and is tried again

The tables are core.keeping, the files kept.py; this binds them. A scheduler that adopts us is told all that is due.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from msgspec import Struct

from lightwork.node.core.endings import lost
from lightwork.node.core.keeping import Due, Forgotten, Keeping, Kept as End, Note
from lightwork.node.service import kept_records as records
from lightwork.node.service.bonds import Bonds, Waits
from lightwork.node.service.kept import Kept
from lightwork.node.service.kept_records import Damage
from lightwork.node.service.telling import Told, again, tokens_in
from lightwork.wire.frames import Buffer
from lightwork.wire.messages import Assign, AttemptFile, Died, Ended, FromNode, Message, Returned

Owner = Note | End
TROUBLE_NS = 60 * 10**9  # a full disk is told of once in so long a time


class _Unwritten(Struct):
    record: list[Buffer]
    owner: Owner
    tokens: Sequence[int]  # whose end it is


class Custody:
    """Of one scheduler. `clock`: ns that count suspend."""

    def __init__(self, directory: Path, clock: Callable[[], int], on_trouble: Callable[[str], None]) -> None:
        self.keeping = Keeping()
        self.bonds = Bonds()
        self.unwritten: set[int] = set()  # attempts whose end is not on the disk
        self._clock = clock
        self._on_trouble = on_trouble
        self._kept = Kept(directory)
        self._owners: dict[int, Owner] = {}  # by the number of their record
        self._waiting: dict[int, _Unwritten] = {}  # by a number below 0
        self._numbers = 0
        self._told_ns = -TROUBLE_NS
        self._files: set[tuple[int, str]] = set()  # that a predecessor has told of

    # --- an earlier life ---

    def load(self) -> str:
        """All that is there; what was damaged. OSError: it cannot be read."""
        damage = ""
        for number, found in self._kept.replay():
            try:
                if not self._load(number, found):
                    self._kept.forget([number])
            except (Damage, ValueError) as error:  # msgspec's errors are ValueErrors
                self._kept.forget([number])
                damage = damage or str(error)
        return self._kept.damage or damage

    def _load(self, number: int, found: records.Record) -> bool:
        """Whether this record is needed."""
        keeping = self.keeping
        if found.kind == records.ASSIGNED:
            session, tokens, numbers = records.read_assigned(found.payload)
            if len(numbers) == 1:
                numbers = list(range(numbers[0], numbers[0] + len(tokens)))
            numbers = numbers or [0] * len(tokens)
            rows = [row for row in zip(tokens, numbers, strict=False) if not keeping.knows(row[0])]
            if rows:
                self._owners[number] = keeping.assigned(
                    session, [one for one, _ in rows], [one for _, one in rows], number
                )
            return bool(rows)
        if found.kind == records.TOLD:
            message, _, _ = records.read_told(found.payload)
            if isinstance(message, AttemptFile):
                self._files.add((message.token, message.name))
            end = self._told(message, number)
            if end.left:
                self._owners[number] = end
            return end.left > 0
        if found.kind == records.SETTLED:
            self._forget(keeping.settled(records.read_settled(found.payload)))
        return False

    def restarted(self) -> bool:
        """All that our predecessor left has been told to `note`: the rest had not started. False: of some ends nobody
        knows any more whose they are."""
        nameless = self.keeping.nameless()
        if nameless:
            self.keeping.assigned("", nameless, [0] * len(nameless))
        self._forget(self.keeping.restarted())
        self._files.clear()
        return not nameless

    def has_file(self, token: int, name: str) -> bool:
        """Whether it was noted that an attempt has sent this file."""
        return (token, name) in self._files

    # --- what comes ---

    def assigned(self, message: Assign) -> bool:
        """These attempts are ours. False: they are not, for there is no room to write down whose they are.

        Whoever comes after us would have their ends, and not know whose they are.
        """
        session, tokens, numbers = message.session, message.tokens, message.numbers
        if self._waiting:
            return False
        note = self.keeping.assigned(session, tokens, numbers)
        try:
            self._own(self._kept.append(records.assigned(session, tokens, numbers)), note)
        except OSError as error:
            self._tell_trouble(error)
            self.keeping.returned(tokens)
            return False
        return True

    def note(self, message: FromNode, body: Buffer) -> None:
        """This is about to be told."""
        if isinstance(message, Ended | Died | AttemptFile):
            end = self._told(message, 0)
            tokens = end.tokens if not isinstance(message, AttemptFile) else ()
            self._write(records.told(message, body, self._clock()), end, tokens)
        elif isinstance(message, Returned):
            self._forget(self.keeping.returned(message.tokens))

    def settled(self, tokens: list[int]) -> list[int]:
        """The scheduler has the ends of these; of which attempts nothing is needed any more."""
        ended = [token for token in tokens if self.keeping.has_ended(token)]
        if ended:
            try:
                self._kept.append(records.settled(ended), needed=False)
            except OSError:  # then it is told again after a restart, and settled again
                pass
        gone = self.keeping.settled(tokens)
        self._forget(gone)
        return gone.tokens

    def only(self, here: Collection[int]) -> None:
        """Of what has no end, these attempts alone are still here."""
        self._forget(self.keeping.only(here))

    # --- what is due ---

    def again(self, due: Due) -> Told | None:
        """What is to be said, unless it is settled by now."""
        if not due.one.left:
            return None
        try:
            message, body, told_ns = records.read_told(self._payload(due.entry))
            return again(message, body, self._still(due), self._clock() - told_ns)
        except (OSError, Damage) as error:  # the disk has lost it: that it ended is all that is known
            outcome = lost(f"what was kept of its end cannot be read: {error}")
            tokens = sorted(self._still(due))
            return Died(tokens, False, [0] * len(tokens), [len(outcome)] * len(tokens)), outcome * len(tokens)

    def _still(self, due: Due) -> set[int]:
        return {token for token in due.tokens if self.keeping.is_due(token, due.one)}

    def _payload(self, number: int) -> bytes:
        waiting = self._waiting.get(number)
        return b"".join(waiting.record[1:]) if waiting is not None else self._kept.payload(number)

    # --- the disk ---

    @property
    def waits(self) -> bool:
        """Whether there is something to be written, for which there was no room."""
        return bool(self._waiting)

    @property
    def empty(self) -> bool:
        """Whether nothing is needed of all that is here."""
        return self._kept.empty and not self._waiting

    def retry(self) -> None:
        """Try again to write what waits."""
        for number, one in list(self._waiting.items()):
            try:
                written = self._kept.append(one.record)
            except OSError:  # still full
                return
            del self._waiting[number]
            self._own(written, one.owner)
            self.unwritten.difference_update(one.tokens)

    def loosen(self, waits: Waits = lambda tokens: False) -> None:
        """Let go of what needed to stay only until the ends of these were kept."""
        unwritten = self.unwritten
        self.bonds.loosen(lambda tokens: not unwritten.isdisjoint(tokens) or waits(tokens))

    def close(self) -> None:
        """Write no more."""
        self._kept.close()

    def _write(self, record: list[Buffer], owner: Owner, tokens: Sequence[int] = ()) -> None:
        if not self._waiting:
            try:
                self._own(self._kept.append(record), owner)
                return
            except OSError as error:
                self._tell_trouble(error)
        self._numbers -= 1
        owner.entry = self._numbers
        self._waiting[self._numbers] = _Unwritten(record, owner, tokens)
        self.unwritten.update(tokens)

    def _tell_trouble(self, error: OSError) -> None:
        now = self._clock()
        if now - self._told_ns >= TROUBLE_NS:
            self._told_ns = now
            why = error.strerror or str(error)
            self._on_trouble(f"what its jobs return cannot be written down: {why}. Nothing is lost; it is tried again")

    def _own(self, number: int, owner: Owner) -> None:
        owner.entry = number
        self._owners[number] = owner

    def _told(self, message: Message, number: int) -> End:
        tokens = tokens_in(message)
        if isinstance(message, AttemptFile):
            return self.keeping.sent(message.token, number)
        return self.keeping.ended(tokens, number)

    def _forget(self, gone: Forgotten) -> None:
        for number in gone.entries:
            self._owners.pop(number, None)
            waiting = self._waiting.pop(number, None)
            if waiting is not None:
                self.unwritten.difference_update(waiting.tokens)
        self._kept.forget(gone.entries)
        if gone.entries and not self._waiting:
            stale = self._kept.stale()
            if stale:
                self._tidy(stale)

    def _tidy(self, numbers: list[int]) -> None:
        """Write these once more, as far as they are needed, so that their segment can go."""
        for share in self.keeping.shares(self._owners[number] for number in numbers):
            try:
                old, number = share.one.entry, self._kept.append(self._fresh(share.one, share.tokens, share.numbers))
            except (OSError, Damage):  # another time
                return
            self._owners.pop(old)
            self._own(number, share.one)
            self._kept.forget([old])

    def _fresh(self, owner: Owner, tokens: list[int], numbers: list[int]) -> list[Buffer]:
        if isinstance(owner, Note):
            return records.assigned(owner.session, tokens, numbers)
        message, body, told_ns = records.read_told(self._payload(owner.entry))
        return records.told(*again(message, body, set(tokens), 0), told_ns)
