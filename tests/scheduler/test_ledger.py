"""A ledger made of facts says the same facts again, whatever they were, in fewer of them."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings, strategies as st

from lightwork.scheduler.core import facts as fact
from lightwork.scheduler.core.ledger import Ledger
from lightwork.wire.messages import Attempt, Computation, File, JobOptions, Tailoring, Wanted

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(fact.Fact).decode

OPTIONS = [JobOptions(), JobOptions(reentrant=False), JobOptions(retries=3)]


class Writer:
    """Makes facts that follow from those before."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.count = 0
        self._say(fact.Began(1, "lab"))

    def _say(self, one: fact.Fact) -> None:
        self.ledger.apply(_decode(_encode(one)))
        self.count += 1

    def step(self, choice: int, pick: int) -> None:
        """One more."""
        accounts = list(self.ledger.sessions.values())
        if choice == 0 or not accounts:
            name = f"s{pick % 3}"
            known = self.ledger.sessions.get(name)
            life = known.incarnation + 1 if known is not None else 1
            self._say(fact.SessionOpened(name, life, True, "u", "h", known.next_number if known is not None else 0))
            self._say(fact.Defined(name, Computation(f"c{pick % 2}", "function", "f")))
            return
        account = accounts[pick % len(accounts)]
        unended = [entry for entry in account.entries.values() if entry.end is None]
        ended = [entry for entry in account.entries.values() if entry.end is not None]
        if choice == 1:
            self._submit(account.name, account.next_number, next(iter(account.computations)), pick)
        elif choice == 2 and unended:
            self._end(account.name, unended[pick % len(unended)].number, pick)
        elif choice == 3 and ended:
            self._say(fact.Taken(account.name, [ended[pick % len(ended)].number]))
        elif choice == 4 and unended:
            self._say(fact.Granted(account.name, "a", "e", [unended[0].number], [self.count]))
        elif choice == 5 and unended:
            attempt = Attempt("a", self.count, 1, 1, "no")
            lost = self.count if pick % 3 == 0 else 0
            self._say(fact.Spent(account.name, unended[0].number, attempt, bool(pick % 2), not pick % 2, 0, lost))
        elif choice == 6 and unended:
            self._say(fact.CancelAsked(account.name, [unended[-1].number]))
        elif choice == 7 and account.entries:
            self._say(fact.Named(account.name, [next(iter(account.entries))], [b"n%d" % self.count]))
        elif choice == 8:
            self._say(fact.NodeKnown(f"n{pick % 3}", "i", f"e{self.count}", ""))
        elif choice == 9:
            self._say(fact.NodeGone(f"n{pick % 3}"))
        elif choice == 11:
            self._say(fact.Wished(account.name, [Wanted(f"w{pick % 5}")], pick % 3))
        elif choice == 12 and (back := [(entry.number, lost) for entry in unended for lost in entry.lost if lost]):
            self._say(fact.Unspent(account.name, *back[pick % len(back)]))
        elif choice == 13:
            self._say(fact.Closing(account.name))
        elif choice == 14:
            own = Tailoring(f"e{pick % 4}", files=(File("x", f"{pick % 3}" * 32, 7),)) if pick % 4 else None
            self._say(fact.Allotted(account.name, f"n{pick % 2}", pick % 5, own))
        elif choice == 10 and pick % 4 == 0:
            self._say(fact.SessionEnded(account.name))

    def _submit(self, session: str, first: int, computation: str, pick: int) -> None:
        count = 1 + pick % 4
        numbers = list(range(first, first + count))
        keys = [f"k{number}" if number % 2 else "" for number in numbers] if pick % 3 else []
        stored = [(0, File("", "d" * 32, 9))] if pick % 5 == 0 else []
        payloads = [b"" if stored and not index else b"p%d" % number for index, number in enumerate(numbers)]
        self._say(fact.Submitted(session, computation, OPTIONS[pick % 3], numbers, payloads, keys, [], [], stored))

    def _end(self, session: str, number: int, pick: int) -> None:
        files = [(0, [File("out", "f" * 32, 3)])] if pick % 3 == 0 else []
        columns = ([number], [2 + pick % 3], [0], [1], [1], [1], [2])
        self._say(fact.Ended(session, "a", *columns, b"ok", [pick % 3], files))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 14), st.integers(0, 1000)), max_size=60))
def test_said_again(steps: list[tuple[int, int]]) -> None:
    writer = Writer()
    for choice, pick in steps:
        writer.step(choice, pick)
    again = Ledger()
    facts = list(writer.ledger.facts())
    for one in facts:
        again.apply(_decode(_encode(one)))
    assert [_encode(one) for one in again.facts()] == [_encode(one) for one in facts]
    for name, account in writer.ledger.sessions.items():
        other = again.sessions[name]
        assert other.entries == account.entries
        assert (other.keys, other.unended, other.next_number) == (account.keys, account.unended, account.next_number)
        assert (other.wishes, other.wisher) == (account.wishes, account.wisher)
        assert (other.closing, other.allotted) == (account.closing, account.allotted)
    assert {file.digest for file in again.files()} == {file.digest for file in writer.ledger.files()}
    assert again.needs == writer.ledger.needs
