"""What NodeAllocate said of a node, in a life of the scheduler in which nobody is there to say it again."""

from __future__ import annotations

import pytest

from lightwork.scheduler.core import commands as do, events as on
from lightwork.wire.messages import Computation, File, Hardware, Tailoring, Wanted
from tests.scheduler.durable_core import DurableCore

FIRST, SECOND = (Tailoring(name, b"setup", files=(File("data", name, 1),)) for name in ("first", "second"))


def joined(durable: DurableCore) -> None:
    """The node is there, and has nothing of ours."""
    node = on.NodeJoined("a", 4, "", Hardware(), identity="ia", era="e1", adopting=True)
    durable.feed([node, on.NodeTruth("a", [], [], [], [], [], [])], 0)


def left_alone(*words: on.Event, shared: bool = False) -> DurableCore:
    """A node is offered, the client says this, and leaves without having submitted anything but computations."""
    durable = DurableCore()
    durable.core.state.shared = shared
    durable.feed([on.TimePassed(), on.ClientJoined("s", lasting=True)], 0)
    durable.feed([on.NodesWanted("s", 1, [Wanted("a", spec=0)])], 0)
    joined(durable)
    durable.feed([*words, on.ComputationDefined("s", Computation("f", "function", "f"))], 0)
    durable.feed([on.ClientDetached("s")], 0)
    return durable


def restarted(durable: DurableCore, *, shared: bool = False) -> None:
    """Another life of the scheduler has the node."""
    durable.crash(0, 0)
    durable.core.state.shared = shared
    durable.feed([on.TimePassed()], 0)
    joined(durable)
    assert durable.wrong() == []


def prepared(durable: DurableCore) -> Computation:
    """The computation as the node gets it for the session's next job."""
    durable.feed([on.ClientJoined("s", incarnation=1, lasting=True)], 0)
    commands = durable.feed([on.JobsSubmitted("s", "f", 0, [b""])], 0)
    (found,) = [command.computation for command in commands if isinstance(command, do.Prepare)]
    assert isinstance(found, Computation)
    return found


@pytest.mark.parametrize(
    "words",
    [
        [on.NodeTailored("s", "a", SECOND), on.NodeAllotted("s", "a", 2)],
        [on.NodeTailored("s", "a", FIRST), on.NodeAllotted("s", "a", 2), on.NodeTailored("s", "a", SECOND)],
    ],
    ids=["at first", "set up again"],
)
def test_a_node_has_what_is_its_own(words: list[on.Event]) -> None:
    """And the files of that are kept, and no others."""
    durable = left_alone(*words)
    restarted(durable)
    ledger = durable.core.state.ledger
    assert ledger is not None
    assert ledger.needs == {"second": 1}
    computation = prepared(durable)
    assert (computation.environment, computation.files) == ("second", SECOND.files)


def test_a_node_has_nothing_of_its_own_if_nothing_was_said() -> None:
    durable = left_alone(on.NodeAllotted("s", "a", 2))
    restarted(durable)
    assert prepared(durable) == Computation("f", "function", "f")


def test_of_a_shared_node_the_session_has_no_more_than_its_part() -> None:
    durable = left_alone(on.NodeAllotted("s", "a", 2), shared=True)
    restarted(durable, shared=True)
    durable.feed([on.ClientJoined("s", incarnation=1, lasting=True)], 0)
    commands = durable.feed([on.JobsSubmitted("s", "f", 0, [b""] * 4)], 0)
    assert [len(command.numbers) for command in commands if isinstance(command, do.Assign)] == [2]
