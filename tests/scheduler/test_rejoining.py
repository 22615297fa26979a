"""Who may come in again, and what an older link or an older session of that name has to do with it."""

from __future__ import annotations

from typing import Any

import pytest

from lightwork.model.errors import LightworkError
from lightwork.scheduler.core.facts import Fact
from lightwork.scheduler.core.ledger import Ledger
from lightwork.scheduler.service.durable import BUSY, GONE, DurableScheduler
from lightwork.scheduler.service.landing import Parcel
from lightwork.wire import messages as say
from lightwork.wire.messages import PROTOCOL, Hello, Opened


class Line:
    """A link to a client on this machine, seen from the scheduler."""

    def __init__(self, incarnation: int = 0) -> None:
        self.peer = Hello(PROTOCOL, "client", "s", "s", incarnation=incarnation, lasting=False)
        self.address = self.local_address = ""
        self.left = self.heard = self.congested = False
        self.up = True
        self.queued_bytes = 0
        self.told: list[Any] = []

    def send(self, message: Any, body: bytes = b"") -> None:
        self.told.append(message)

    def close(self, reason: str = "") -> None:
        self.up = False

    def abort(self) -> None:
        self.up = False


class Recording:
    """A journal whose disk waits."""

    def __init__(self) -> None:
        self.count = 0

    def record(self, number: int, fact: Fact) -> None:
        self.count = number


def scheduler() -> tuple[DurableScheduler, Recording]:
    journal = Recording()
    nothing: Any = None
    return DurableScheduler(Ledger(), journal, nothing, lambda: 10**9, on_fault=again, later=lambda *_: None), journal


def again() -> None:
    raise  # noqa: PLE0704


def joins(one: DurableScheduler, line: Line) -> None:
    link: Any = line
    assert one.may_join(line.peer) is None
    one.link_up(link)


def leaves(one: DurableScheduler, line: Line) -> None:
    link: Any = line
    one.link_lost(link, LightworkError("end of file"))


def test_the_same_life_over_another_link_is_no_death() -> None:
    one, journal = scheduler()
    first, second = Line(), Line(incarnation=1)
    joins(one, first)
    one.durable(journal.count)
    joins(one, second)  # before the end of file of the first was read
    one.durable(journal.count)
    assert not first.up
    assert [message.incarnation for message in second.told if isinstance(message, Opened)] == [1]
    leaves(one, first)  # late
    assert second.up
    leaves(one, second)  # that is its death: end of file on this machine
    refused = one.may_join(Line(incarnation=1).peer)
    assert refused is not None
    assert refused.code == BUSY, "a crash may bring it back"
    one.durable(journal.count)
    refused = one.may_join(Line(incarnation=1).peer)
    assert refused is not None
    assert refused.code == GONE


def test_a_session_that_is_not_over_yet_on_disk_is_waited_for() -> None:
    one, journal = scheduler()
    first = Line()
    joins(one, first)
    one.durable(journal.count)
    leaves(one, first)
    refused = one.may_join(Line().peer)
    assert refused is not None
    assert refused.code == BUSY
    one.durable(journal.count)
    second = Line()
    joins(one, second)
    one.durable(journal.count)
    assert second.up  # the end of the session before it is not its own
    assert [type(message) for message in second.told] == [Opened]


def test_who_takes_the_name_of_a_session_gets_no_answer_to_what_that_one_asked() -> None:
    one, journal = scheduler()
    first, second = Line(), Line()
    link: Any = first
    joins(one, first)
    one.durable(journal.count)
    one.received(link, [(say.Close(cancel=False), b""), (say.ChangeHosts(1, "drain", ["lab*"]), b"")])
    one.durable(journal.count - 1)  # the session is over, and only the word about hosts is not on disk yet
    assert not first.up
    joins(one, second)
    one.durable(journal.count)
    assert [type(message) for message in second.told] == [Opened]


@pytest.mark.parametrize(
    "message",
    [
        say.AskStatus(1),
        say.Fetch(1, "argument", "0"),
        say.Fetch(1, "blob", "f" * 64),
        say.AskNodeJobs(1, "a", from_node=False),
        say.AskHosts(1),
        say.ChangeHosts(1, "add", ["a"]),
        say.Taken(1, [], [7], [0]),
        say.Define(say.Computation("f", "function", "f")),
        say.Submit("f", 0, [1], say.JobOptions()),
        say.Detach(),
        say.Goodbye(""),
    ],
    ids=lambda message: type(message).__name__,
)
def test_what_comes_from_a_client_whose_session_is_over_but_not_on_disk_changes_nothing(message: Any) -> None:
    one, journal = scheduler()
    line: Any = Line()
    joins(one, line)
    one.durable(journal.count)
    one.received(line, [(say.Close(cancel=False), b"")])
    before, told = journal.count, len(line.told)
    body = b"x" if isinstance(message, say.Submit) else b""
    one.received(line, [(message, body)])
    one._landed(line, [Parcel(message, body)])  # it had to wait for one before it
    assert (journal.count, len(line.told)) == (before, told)
    assert one._files._offers == {}
    assert line.up
    one.durable(journal.count)
    assert not line.up
