"""A session that has the name of one that is over: on nodes, the two have nothing to do with each other."""

from __future__ import annotations

from typing import Any

from lightwork.model.session_key import name_of
from lightwork.wire import messages as say
from lightwork.wire.messages import PROTOCOL, Hardware, Hello, JobOptions
from tests.scheduler.test_rejoining import Line, joins, leaves, scheduler


class NodeLine(Line):
    """A link to a node, seen from the scheduler."""

    def __init__(self) -> None:
        super().__init__()
        self.peer = Hello(PROTOCOL, "node", "n", "id")
        self.relay, self.lease_ms = "", 0

    def of(self, kind: type) -> list[Any]:
        """What it was told of this kind."""
        return [one for one in self.told if type(one) is kind]


class Lab:
    """A durable scheduler, one node, and a program that runs again."""

    def __init__(self) -> None:
        self.scheduler, self.journal = scheduler()
        self.node, self.client = NodeLine(), Line()

    def hear(self, line: Line, *messages: Any, body: bytes = b"") -> None:
        """One of them speaks, and the disk keeps up."""
        link: Any = line
        self.scheduler.received(link, [(one, body) for one in messages])
        self.scheduler.durable(self.journal.count)

    def node_comes(self, claim: str, truth: say.Truth) -> None:
        """It has let go of everything since its last claim, if that was another one; but for what it tells."""
        self.node = NodeLine()
        link: Any = self.node
        self.scheduler.link_up(link)
        hardware = Hardware()
        self.hear(self.node, say.NodeReady("n", "", 1, hardware, identity="id", claim=claim, era="e"), truth)

    def opens(self) -> None:
        """A program, and its job 0."""
        self.client = Line()
        joins(self.scheduler, self.client)
        self.hear(self.client, say.Define(say.Computation("f", "function", "f")))
        self.hear(self.client, say.Submit("f", 0, [1], JobOptions()), body=b"x")

    def dies(self) -> None:
        """Nobody is there who could want anything of it: its session is over."""
        leaves(self.scheduler, self.client)
        self.scheduler.durable(self.journal.count)


NOTHING = say.Truth([], [], [], [], [], [])


def test_what_a_node_still_runs_of_an_earlier_session_is_not_taken_for_a_job_of_the_next() -> None:
    lab = Lab()
    lab.node_comes("c1", NOTHING)
    lab.opens()
    (old,) = lab.node.of(say.Assign)
    assert name_of(old.session) == "s"
    leaves(lab.scheduler, lab.node)
    lab.dies()
    lab.opens()
    lab.node_comes("c2", say.Truth([old.session], old.tokens, [0], [0], [1], [0]))
    assert [one.tokens for one in lab.node.of(say.Stop)] == [old.tokens]
    assert [one.session for one in lab.node.of(say.Release)] == [old.session]
    (new,) = lab.node.of(say.Assign)
    assert new.session != old.session
    assert name_of(new.session) == "s"


def test_a_session_that_ends_while_a_node_is_away_is_released_there_too_and_not_the_next_one() -> None:
    lab = Lab()
    lab.node_comes("c1", NOTHING)
    lab.opens()
    (old,) = lab.node.of(say.Assign)
    leaves(lab.scheduler, lab.node)
    lab.dies()
    lab.opens()
    lab.node_comes("c1", NOTHING)  # all that it had goes on, and it is told all that it has missed
    *_, released, prepared, new = (
        one for one in lab.node.told if isinstance(one, say.Release | say.Prepare | say.Assign)
    )
    assert (type(released), released.session) == (say.Release, old.session)
    assert (type(prepared), type(new)) == (say.Prepare, say.Assign)
    assert prepared.session == new.session != old.session
    lab.hear(lab.node, say.Prepared(new.session, "f", True), say.Released(old.session))
    record = lab.scheduler._core.state.sessions["s"].computations["f"]
    assert record.ready == {"n"}
    assert lab.client.up
