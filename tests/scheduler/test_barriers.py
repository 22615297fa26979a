"""Who waits for computations to be ready everywhere, and gives up, or asks for what will never be, slows nobody."""

from __future__ import annotations

from lightwork.config import limits
from lightwork.scheduler.core import commands as do, events as on
from lightwork.scheduler.core.core import Core
from lightwork.wire.messages import Computation, Hardware


def test_of_one_session_few_are_kept_and_the_oldest_is_told() -> None:
    core = Core()
    core.feed([on.NodeJoined("a", 2, "10.0.0.1", Hardware(), "")], 1)
    for name in "st":
        core.feed([on.ClientJoined(name), on.ComputationDefined(name, Computation("f", "function", "f"))], 2)
    core.feed([on.ReadyAwaited("t", 1, ["f"], 99)], 3)
    told = core.feed([on.ReadyAwaited("s", number, ["f"] * 1000, 99) for number in range(1000)], 4)
    answers = [one for one in told if isinstance(one, do.Answer)]
    assert [one.number for one in answers] == list(range(1000 - limits.BARRIERS_MAX))
    assert {(one.session, one.error) for one in answers} == {
        ("s", f"{limits.BARRIERS_MAX} others wait that came later")
    }
    kept = [(one.session, one.number) for one in core.state.barriers]
    assert kept == [("t", 1), *(("s", number) for number in range(1000 - limits.BARRIERS_MAX, 1000))]
    assert {one.computations for one in core.state.barriers} == {("f",)}
