"""What `lightwork scheduler` is told about order and resources holds for its jobs, and `lightwork explain` says so."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from lightwork.transport.dial import connect
from lightwork.wire import messages as say
from lightwork.wire.messages import PROTOCOL, Hello
from tests.cli.desk import Actors, Desk, desk
from tests.cli.helpers import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="processes of POSIX")]


@pytest.fixture
def here() -> Iterator[Desk]:
    with desk() as one:
        one.environment["LIGHTWORK_TIMERS"] = "LEASE_S=600"
        yield one


def test_what_all_nodes_share_is_not_lent_twice(here: Desk) -> None:
    here.scheduler("--resource", "licence=1")
    actors = Actors(here.place("keeper")["address"])
    try:
        actors.submit(3, resources=(("licence", 1),))
        assert len(actors.tokens) == 1  # of two slots
        lines = here.json("explain", "nightly/1")["lines"]
        assert any("licence" in line for line in lines), lines
        actors.end(actors.tokens[0])
        (token,) = actors._hear(actors.node, say.Assign).tokens
        assert token != actors.tokens[0]
    finally:
        actors.close()


@pytest.mark.parametrize("order", ["fair", "submitted", "oldest"])
def test_the_order_is_that_of_the_command_line(here: Desk, order: str) -> None:
    here.scheduler("--order", order)
    address = here.place("keeper")["address"]
    first = Actors(address, "first")
    try:
        first.submit(6)
        assert len(first.tokens) == 2
        second = connect(address, Hello(PROTOCOL, "client", "prog", session="second", lasting=True))
        second.send(say.Define(say.Computation("f", "function", "simulate")))
        second.send(say.Submit("f", 0, [1] * 2, say.JobOptions()), b"xx")
        wait_for(lambda: any(one["name"] == "second" and one["queued"] == 2 for one in here.sessions()))
        first.end(first.tokens[0])
        first._hear(first.node, say.Assign)  # a slot is free: who has it now?
        placed = {one["session"] for one in here.json("jobs")["jobs"] if one["node"]}
        assert ("second" in placed) == (order == "fair")
        second.abort()
    finally:
        first.close()


def test_words_that_are_wrong(here: Desk) -> None:
    for given, said in (
        (("--resource", "licence"), "--resource"),
        (("--resource", "licence=x"), "licence"),
        (("--order", "fiar"), "'fiar' is not one of 'fair', 'submitted', 'oldest'"),
    ):
        done = here.run("scheduler", *given)
        assert done.returncode == 2
        assert said in done.stderr
        assert "Traceback" not in done.stderr
