"""Computations that are updated more than once: what was submitted between two updates, also after a restart."""

from __future__ import annotations

from typing import Any

from lightwork.scheduler.core import commands as do, events as on
from lightwork.scheduler.core.core import Core
from lightwork.wire.messages import Computation, JobOptions
from tests.scheduler.durable_core import DurableCore


def updated_twice(feed: Any) -> None:
    """f becomes f1, then f2; a job of g was submitted between."""
    feed([on.ClientJoined("s", lasting=True)], 1)
    for digest in ("f", "g"):
        feed([on.ComputationDefined("s", Computation(digest, "function", digest))], 1)
    feed([on.ComputationUpdated("s", 1, "f", Computation("f1", "function", "f"))], 2)
    feed([on.JobsSubmitted("s", "g", 0, [b""], JobOptions())], 3)
    feed([on.ComputationUpdated("s", 2, "f1", Computation("f2", "function", "f"))], 4)


def waits_for_the_second(core: Core, feed: Any) -> None:
    """A node that joins now has neither."""
    said = feed([on.NodeJoined("a", 1, shares_memory=False)], 5)
    assert [command.computation.digest for command in said if isinstance(command, do.Prepare)] == ["f2"]
    assert not [command for command in said if isinstance(command, do.Assign)]
    assert any("is behind" in line for line in core.why("s", 0))
    said = feed([on.ComputationReady("a", "s", "f2", epoch=2)], 6)
    assert [command.numbers for command in said if isinstance(command, do.Assign)] == [[0]]


def test_what_is_between_two_updates_waits_for_the_second() -> None:
    core = Core()
    updated_twice(core.feed)
    waits_for_the_second(core, core.feed)


def test_that_after_a_restart_and_a_compaction() -> None:
    lab = DurableCore()
    updated_twice(lab.feed)
    assert lab.wrong() == []
    lab.crash(0, 5)
    assert lab.core.state.ledger is not None
    assert [step.first for step in lab.core.state.sessions["s"].steps.latest.values()] == [1]
    lab.feed([on.TimePassed()], 5)
    waits_for_the_second(lab.core, lab.feed)


def test_back_to_the_first_version_is_the_same_row_of_updates() -> None:
    core = Core()
    updated_twice(core.feed)
    core.feed([on.ComputationUpdated("s", 3, "f2", Computation("f1", "function", "f"))], 5)
    steps = core.state.sessions["s"].steps
    assert {digest: (step.epoch, step.first) for digest, step in steps.latest.items()} == {"f1": (3, 1)}
