"""Nodes of an earlier life that fewer sessions wish for than have jobs there."""

from __future__ import annotations

from lightwork.scheduler.core import commands as do, events as on
from lightwork.scheduler.core.check import check
from lightwork.scheduler.core.core import Core
from lightwork.wire.messages import Computation, Hardware, JobOptions, Wanted
from tests.scheduler.durable_core import DurableCore

FUNCTION = Computation("f", "function", "f")
ONCE = JobOptions(reentrant=False)
VIA = "tcp:a:9701"
JOINED = on.NodeJoined("a", 2, "", Hardware(), VIA, shares_memory=False, identity="A", era="1", adopting=True)
NOTHING: tuple[list[str], list[int], list[int], list[int], list[int], list[int]] = ([], [], [], [], [], [])


def test_a_node_that_is_closed_stays_until_the_jobs_of_others_have_ended_there() -> None:
    """The other session wishes for another node meanwhile, so after the restart it has no share of this one."""
    durable = DurableCore()
    durable.core.state.shared = True
    durable.feed([on.TimePassed()], 0)
    for name in ("s", "t"):
        durable.feed([on.ClientJoined(name, lasting=True), on.NodesWanted(name, 1, [Wanted("a")])], 0)
        durable.feed([on.ComputationDefined(name, FUNCTION)], 0)
    durable.feed([JOINED, on.NodeTruth("a", *NOTHING)], 0)
    (given,) = [one for one in durable.feed([on.JobsSubmitted("t", "f", 0, [b""], ONCE)], 0) if type(one) is do.Assign]
    durable.feed([on.ClientAway("t")], 0)
    durable.feed([on.ClientJoined("t", lasting=True), on.NodesWanted("t", 1, [Wanted("b")])], 0)
    durable.crash(0, 0)
    durable.core.state.shared = True
    durable.feed([on.ClientJoined("s", incarnation=1, lasting=True), JOINED], 0)
    durable.feed([on.NodeTruth("a", ["t"], given.tokens, [0], [0], [1], [5])], 0)
    durable.feed([on.NodeControlled("s", 2, "a", "close"), on.SessionReleased("a", "s", [])], 0)
    said = durable.feed([on.TimePassed()], 0)
    assert durable.wrong() == []
    assert not any(isinstance(one, do.HangUp) for one in said)
    assert durable.core.state.sessions["t"].jobs[0].node == "a"
    durable.feed([on.AttemptsEnded("a", given.tokens, [0], [5], [5], [0], b"")], 0)
    assert do.HangUp("a", "it is not among the nodes that are wanted") in durable.feed([on.TimePassed()], 0)
    assert durable.wrong() == []


def test_a_job_on_a_node_that_is_not_there_is_found() -> None:
    core = Core()
    core.feed([on.NodeJoined("a", 1, "", Hardware()), on.ClientJoined("s"), on.ComputationDefined("s", FUNCTION)], 0)
    core.feed([on.JobsSubmitted("s", "f", 0, [b""])], 0)
    assert check(core.state) == []
    core.state.forget_node("a")
    assert "job 0 believes it is on a" in check(core.state)
