"""What a turn costs by the number of sessions, and of kinds of jobs, that wait: in looks, not in seconds. And that
nothing stays of what nobody waits for any more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from lightwork.scheduler.core import commands as do, events as on, placement
from lightwork.scheduler.core.check import check
from lightwork.scheduler.core.core import Core
from lightwork.scheduler.core.keeping import KEPT_MAX
from lightwork.scheduler.core.nodes import Node
from lightwork.wire.messages import Computation, JobOptions

MS_NS = 1_000_000
NODES, SLOTS, MANY = 20, 2, 400  # more than there are rooms in `Field`
FEW = 10  # looks in a turn that moves one job


class Lab:
    """Nodes without a free slot, and counted looks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.core = Core()
        self.now_ns = 1
        self.next: Counter[str] = Counter()
        self.out: list[tuple[str, int]] = []
        self.looks: Counter[str] = Counter()
        for number in range(NODES):
            given: dict[str, Any] = {"resources": {"memory": 1 << 30}, "groups": ["red"]}
            self.feed(on.NodeJoined(f"n{number}", SLOTS, shares_memory=False, **given))
        self.joins("s")
        self.submits("s", NODES * SLOTS)
        assert len(self.out) == NODES * SLOTS
        owners: dict[str, Any] = {"_find": placement.Turn, "refusal": placement, "count": Node, "refresh": placement}
        for name, owner in owners.items():
            monkeypatch.setattr(owner, name, self.counted(name, getattr(owner, name)))

    def counted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def look(*given: Any, **named: Any) -> Any:
            self.looks[name] += 1
            return function(*given, **named)

        return look

    def feed(self, *events: on.Event) -> None:
        batch = list(events)
        while batch:
            commands = self.core.feed(batch, self.now_ns)
            batch = []
            for command in commands:
                if isinstance(command, do.Assign):
                    self.out += [(command.node, token) for token in command.tokens]
                elif isinstance(command, do.Prepare):
                    batch.append(on.ComputationReady(command.node, command.session, command.computation.digest))
                elif isinstance(command, do.Release):
                    batch.append(on.SessionReleased(command.node, command.session))

    def joins(self, session: str) -> None:
        self.feed(on.ClientJoined(session), on.ComputationDefined(session, Computation("f", "function", "f")))

    def submits(self, session: str, count: int = 1, **options: Any) -> None:
        first, self.next[session] = self.next[session], self.next[session] + count
        self.feed(on.JobsSubmitted(session, "f", first, [b""] * count, JobOptions(**options)))

    def one_ends(self) -> None:
        self.now_ns += 300 * MS_NS
        node, token = self.out.pop(0)
        times = [300 * MS_NS]
        self.feed(on.AttemptsEnded(node, [token], [0], times, times, [1], b"x"))

    def fill(self, kind: str) -> None:
        for number in range(MANY):
            if kind == "sessions":
                self.joins(f"t{number}")
            self.submits(f"t{number}" if kind == "sessions" else "s", 2, **KINDS[kind](number))


KINDS: dict[str, Callable[[int], dict[str, Any]]] = {
    "sessions": lambda number: {},
    "where": lambda number: {"where": f'memory >= {number} and group == "red"', "wait_for_nodes": True},
    "resources": lambda number: {"resources": (("memory", number + 1),)},
    "priorities": lambda number: {"priority": number},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_turn_costs_what_it_moves_whatever_waits(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(monkeypatch)
    lab.fill(kind)
    for _ in range(2 * NODES):
        lab.one_ends()
    lab.looks.clear()
    turns = 10
    for _ in range(turns):
        before = len(lab.out)
        lab.one_ends()
        assert len(lab.out) == before, "the slot is used again"
    most = max(lab.looks.values(), default=0)
    assert most <= turns * (KEPT_MAX if kind == "resources" else FEW), lab.looks
    assert check(lab.core.state) == []


def test_what_concerns_one_session_is_not_asked_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that comes, and one that reads its results again, make nobody look at the jobs of others."""
    lab = Lab(monkeypatch)
    lab.fill("where")
    lab.one_ends()
    lab.looks.clear()
    lab.joins("new")
    lab.feed(on.ClientCongested("new"))
    lab.feed(on.ClientDrained("new"))
    lab.one_ends()
    assert lab.looks["refusal"] <= FEW, lab.looks


def test_so_many_nodes_are_kept_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(monkeypatch)
    for number in range(2 * KEPT_MAX):
        lab.feed(on.NodeJoined(f"m{number}", SLOTS, shares_memory=False, resources={"memory": 1 << 30}))
    lab.submits("s", 2 * KEPT_MAX * SLOTS)
    for number in range(2 * KEPT_MAX):
        lab.submits("s", node=f"m{number}", resources=(("cpus", SLOTS * 1000),))
    first = {node: (node, token) for node, token in reversed(lab.out) if node.startswith("m")}
    lab.out = [*first.values(), *(one for one in lab.out if one not in first.values())]
    most = 0
    for _ in first:  # one of two slots of each becomes free
        lab.one_ends()
        most = max(most, len(lab.core.state.field.kept))
    assert most == KEPT_MAX
    while lab.out:
        lab.one_ends()
    assert not lab.core.state.sessions["s"].jobs, "all had their turn"


def test_jobs_that_were_cancelled_leave_nothing_where_no_node_may_run_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing ever comes to look at their shapes; others wait, too."""
    lab = Lab(monkeypatch)
    lab.submits("s", 5)
    queue = lab.core.state.queue
    for number in range(MANY):
        lab.submits("s", 3, where=f'name == "none{number % 7}"', priority=number % 7, wait_for_nodes=True)
        lab.feed(on.JobsCancelled("s", [lab.next["s"] - one for one in (1, 2, 3)]))
        lab.submits("s", 1, where='name == "never"', wait_for_nodes=True)
        if number:
            lab.feed(on.JobsCancelled("s", [lab.next["s"] - 5]))
    assert len(list(queue.shapes())) == 2
    assert sum(len(line) for _, line in queue.lines()) <= 5 + 2
    assert sum(len(shape.heap) for shape in queue.shapes()) <= 4
    assert len(queue.levels()) == 1
    assert check(lab.core.state) == []


def test_nothing_stays_of_sessions_that_are_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Months of clients, each with computations, needs and questions of its own: no table grows."""
    lab = Lab(monkeypatch)
    lab.submits("s", 5)
    state = lab.core.state
    sizes: list[int] = []
    for number in range(30):
        name, digest = f"t{number}", f"g{number}"
        lab.joins(name)
        lab.feed(on.ComputationDefined(name, Computation(digest, "function", "g")))
        lab.submits(name, 3, where=f"memory >= {number}", priority=number)
        lab.feed(on.JobsSubmitted(name, digest, lab.next[name], [b""], JobOptions(priority=40)))
        lab.feed(on.ReadyAwaited(name, 1, [digest], 10 * NODES), on.NodeJobsAsked(name, 2, "n1", True))
        for _ in range(2 * NODES):
            lab.one_ends()
        lab.feed(on.ClientLost(name))
        lab.out = [one for one in lab.out if one[1] in state.nodes[one[0]].attempts]
        lab.submits("s", NODES * SLOTS)
        tables = (*vars(state).values(), *vars(state.queue).values(), *vars(state.orders).values())
        tables += tuple(table for node in state.nodes.values() for table in vars(node).values())
        sizes.append(sum(len(table) for table in tables if isinstance(table, dict | list | set)))
        assert check(state) == []
    levels = 30 + 1  # one for each priority that there ever was
    assert sizes[-1] <= sizes[5] + levels, sizes
