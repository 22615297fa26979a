"""Sessions that want all nodes for themselves: who comes first after a restart, and who gets nothing more meanwhile."""

from __future__ import annotations

import pytest

from lightwork.scheduler.core import commands as do, events as on
from lightwork.scheduler.core.core import Core
from lightwork.wire.messages import Computation, Hardware, JobOptions
from tests.scheduler.durable_core import DurableCore
from tests.scheduler.virtual import SECOND_NS

FUNCTION = Computation("f", "function", "f")


def test_who_wanted_all_nodes_first_has_them_first_after_a_restart() -> None:
    """Also if no job came in between, and the other session is the older one."""
    durable = DurableCore()
    durable.feed([on.TimePassed()], 0)
    durable.feed([on.ClientJoined(name, lasting=True) for name in ("second", "first")], 0)
    for name in ("first", "second", "first"):
        durable.feed([on.TermsTold(name, 1.0, True), on.ComputationDefined(name, FUNCTION)], 0)
    for name in ("second", "first"):
        durable.feed([on.JobsSubmitted(name, "f", 0, [b""])], 0)
    before = list(durable.core.state.exclusive.items())
    durable.crash(0, 0)
    durable.feed([on.TimePassed()], 0)
    assert durable.wrong() == []
    assert list(durable.core.state.exclusive.items()) == before == [("first", 1), ("second", 2)]


def test_who_was_away_without_jobs_comes_after_what_was_submitted_meanwhile() -> None:
    """Whether or not the scheduler was restarted in between."""
    durable = DurableCore()
    durable.feed([on.TimePassed()], 0)
    for name in ("e", "t"):
        durable.feed([on.ClientJoined(name, lasting=True), on.TermsTold(name, 1.0, name == "e")], 0)
    durable.feed([on.ClientAway("e")], 0)
    durable.feed([on.ComputationDefined("t", FUNCTION), on.JobsSubmitted("t", "f", 0, [b""])], 0)
    (job,) = durable.core.state.sessions["t"].jobs.values()
    durable.crash(0, 0)
    durable.feed([on.ClientJoined("e", incarnation=1, lasting=True), on.TermsTold("e", 1.0, True)], 0)
    assert durable.wrong() == []
    assert durable.core.state.exclusive["e"] > job.ordinal


def test_a_session_that_takes_the_name_of_one_that_is_over_comes_after_what_was_submitted_meanwhile() -> None:
    """Also if nothing was placed in between, as after a restart that waits for a node."""
    durable = DurableCore()
    durable.feed([on.TimePassed(), on.NodeJoined("a", 1, "", Hardware(), adopting=True)], 0)
    durable.feed([on.ClientJoined("t", lasting=True), on.ComputationDefined("t", FUNCTION)], 0)
    durable.feed([on.JobsSubmitted("t", "f", 0, [b""])], 0)
    durable.crash(0, 0)
    durable.feed([on.ClientJoined("e", lasting=True), on.TermsTold("e", 1.0, True), on.CloseAsked("e")], 0)
    durable.feed([on.ClientJoined("t", incarnation=1, lasting=True), on.JobsSubmitted("t", "f", 1, [b""])], 0)
    durable.feed([on.ClientJoined("e", lasting=True), on.TermsTold("e", 1.0, True)], 0)
    state = durable.core.state
    assert durable.wrong() == []
    assert state.restoring
    assert state.exclusive["e"] > state.sessions["t"].jobs[1].ordinal


def test_who_is_in_charge_next_does_not_wait_for_its_own_job() -> None:
    """The session before it had waited for that one, and was closed meanwhile."""
    core = Core()
    core.feed([on.ClientJoined(name) for name in ("one", "two")], 0)
    core.feed([on.ComputationDefined("two", FUNCTION), on.JobsSubmitted("two", "f", 0, [b""])], 0)
    for name in ("one", "two"):
        core.feed([on.TermsTold(name, 1.0, True)], 0)
    core.feed([on.CloseAsked("one")], 0)
    commands = core.feed([on.NodeJoined("a", 1, "", Hardware())], 0)
    assert [one.numbers for one in commands if isinstance(one, do.Assign)] == [[0]]


@pytest.mark.parametrize("exclusive", [False, True])
def test_no_twin_goes_out_while_its_session_has_to_wait(exclusive: bool) -> None:
    """It wants all nodes for itself, and is not alone yet: what runs goes on, nothing more goes out."""
    core, twins = Core(), 0
    core.feed([on.NodeJoined(name, 1, "", Hardware()) for name in ("a", "b", "c")], 0)
    given: list[do.Assign] = []
    for name, options in (("t", JobOptions(reentrant=False)), ("s", JobOptions(reentrant=True))):
        core.feed([on.ClientJoined(name), on.ComputationDefined(name, FUNCTION)], 0)
        jobs = [b""] if name == "t" else [b"", b""]
        commands = core.feed([on.JobsSubmitted(name, "f", 0, jobs, options)], 0)
        given += [command for command in commands if isinstance(command, do.Assign)]
    assert len(given) == 3
    core.feed([on.AttemptsStarted(one.node, one.tokens, [0]) for one in given], 0)
    core.feed([on.TermsTold("s", 1.0, exclusive)], 0)
    last, took = given[-1], [2 * SECOND_NS]
    core.feed([on.AttemptsEnded(last.node, last.tokens, [0], took, took, [0], b"")], 2 * SECOND_NS)
    for second in (5, 6):
        commands = core.feed([on.NodeBeat(last.node)], second * SECOND_NS)
        twins += sum(isinstance(command, do.Assign) for command in commands)
    assert twins == (0 if exclusive else 1)
