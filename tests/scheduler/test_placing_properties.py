"""Whatever is asked for and whoever comes and goes: no placement breaks a constraint or takes what is not there, nobody
starves, and what is told of a waiting job is what placement asked.

The constraints are looked after by a model of its own: no line of the core's predicates is used to judge them.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from lightwork.model.states import JobState
from lightwork.scheduler.core import commands as do, events as on
from lightwork.scheduler.core.check import check
from lightwork.scheduler.core.core import Core
from lightwork.scheduler.core.reasons import ON_ITS_WAY, explain
from lightwork.wire.messages import Computation, Hardware, JobOptions

SECOND_NS = 1_000_000_000
SLOT = 1000
LICENCES = 3
NEEDS: list[tuple[tuple[str, int], ...]] = [
    (),
    (),
    (),
    (("cpus", 250),),
    (("cpus", 2000),),
    (("gpu", 1),),
    (("cpus", 500), ("memory", 3)),
    (("licence", 1),),
    (("cpus", 3000), ("licence", 2)),
    (("gpu", 2), ("memory", 2)),
]
PLACES = {
    "": lambda has: True,
    'group == "red"': lambda has: "red" in has["groups"],
    'group == "red" or gpu >= 1': lambda has: "red" in has["groups"] or has["gpu"] >= 1,
    "slots >= 3": lambda has: has["slots"] >= 3,
    'not name == "a"': lambda has: has["name"] != "a",
}


class Lab:
    """Nodes that hold what they are given until chance ends it, and their books."""

    def __init__(self, seed: int, order: str = "fair", *, watched: bool = True) -> None:
        self.watched = watched
        self.chance = random.Random(seed)
        self.core = Core(order=order, resources={"licence": LICENCES})
        self.now_ns = 0
        self.nodes: dict[str, dict] = {}
        self.held: dict[str, dict[int, tuple[str, int, JobOptions]]] = {}
        self.jobs: dict[str, int] = {}
        self.exclusive: dict[str, int] = {}
        self.submitted: dict[tuple[str, int], int] = {}  # in which order
        self.ended: set[tuple[str, int]] = set()
        self.opened = 0

    def feed(self, *events: on.Event) -> None:
        batch = list(events)
        while batch:
            commands = self.core.feed(batch, self.now_ns)
            batch = [event for command in commands for event in self.obey(command)]
            assert not self.watched or check(self.core.state) == []
        if self.watched:
            self.explained()

    def obey(self, command: do.Command) -> list[on.Event]:
        if isinstance(command, do.Assign):
            self.assigned(command)
        elif isinstance(command, do.Prepare):
            return [on.ComputationReady(command.node, command.session, command.computation.digest)]
        elif isinstance(command, do.Revoke):
            held = self.held[command.node]
            back = [token for token in command.tokens if held.pop(token, None) is not None]
            return [on.AttemptsReturned(command.node, back, "revoked")]
        elif isinstance(command, do.Stop):
            stopped = [token for token in command.tokens if token in self.held.get(command.node, {})]
            return [self.ends(command.node, stopped, 5)] if stopped else []
        elif isinstance(command, do.Deliver):
            self.ended |= {(command.session, number) for number in command.jobs}
        elif isinstance(command, do.Release):
            return [on.SessionReleased(command.node, command.session)] if command.node in self.nodes else []
        elif isinstance(command, do.SetSlots):
            self.nodes[command.node]["slots"] = command.slots
        return []

    def assigned(self, command: do.Assign) -> None:
        """Everything that may not be, by the books."""
        has, held, options = self.nodes[command.node], self.held[command.node], command.options
        assert PLACES[options.where](has), f"{options.where} does not hold on {has}"
        assert not options.node or options.node == command.node
        for token, number in zip(command.tokens, command.numbers, strict=True):
            held[token] = command.session, number, options
            self.alone(command.session, number)
        needs = [dict(one[2].resources) for one in held.values()]
        if any(need for need in needs):  # else jobs may go ahead of free slots
            assert sum(need.get("cpus", SLOT) for need in needs) <= has["slots"] * SLOT, (has, needs)
        for name in ("gpu", "memory"):
            assert sum(need.get(name, 0) for need in needs) <= has[name], (name, has, needs)
        everywhere = [dict(one[2].resources) for node in self.held.values() for one in node.values()]
        assert sum(need.get("licence", 0) for need in everywhere) <= LICENCES

    def alone(self, session: str, number: int) -> None:
        """Who wants all nodes runs when those before have ended, and those after when it is over."""
        mine = self.submitted[session, number]
        for other, since in self.exclusive.items():
            if other != session:
                assert mine < since or not self.first_exclusive(other), f"{session}/{number} beside {other}"
            elif self.first_exclusive(other):
                before = [key for key, at in self.submitted.items() if key[0] != session and at < since]
                assert all(key in self.ended for key in before if key[0] in self.jobs)

    def first_exclusive(self, name: str) -> bool:
        open_ = [one for one in self.exclusive if one in self.jobs]
        return bool(open_) and open_[0] == name

    def explained(self) -> None:
        """Of a job that waits nobody may say that a node would take it."""
        state = self.core.state
        for group, line in state.queue.lines():
            if any(job.state < JobState.FINISHED for job in line) and not state.restoring:
                said = explain(state, state.sessions[group.session], group)
                assert not any(ON_ITS_WAY in line for line in said), said

    # --- what may happen ---

    def client_joins(self) -> None:
        self.opened += 1
        name = f"s{self.opened}"
        self.jobs[name] = 0
        self.feed(on.ClientJoined(name), on.ComputationDefined(name, Computation("f", "function", "f")))
        if self.chance.random() < 0.15:
            self.exclusive[name] = len(self.submitted)
            self.feed(on.TermsTold(name, 1.0, True))
        elif self.chance.random() < 0.5:
            self.feed(on.TermsTold(name, self.chance.choice((0.5, 3.0)), False))

    def client_submits(self) -> None:
        if not self.jobs:
            return
        name = self.chance.choice(sorted(self.jobs))
        count = self.chance.choice((1, 1, 2, 5, 20))
        options = JobOptions(
            reentrant=self.chance.choice((None, None, False)),
            priority=self.chance.choice((0, 0, 0, 1, -2)),
            resources=self.chance.choice(NEEDS),
            where=self.chance.choice([*PLACES, "", ""]),
            wait_for_nodes=True,
            stdin=self.chance.choice((b"", b"x")),
        )
        first = self.jobs[name]
        for number in range(first, first + count):
            self.submitted[name, number] = len(self.submitted)
        self.jobs[name] += count
        self.feed(on.JobsSubmitted(name, "f", first, [b"x"] * count, options))

    def client_cancels(self) -> None:
        for name in sorted(self.jobs)[:2]:
            if self.jobs[name]:
                self.feed(on.JobsCancelled(name, [self.chance.randrange(self.jobs[name]) for _ in range(3)]))

    def client_leaves(self) -> None:
        if len(self.jobs) > 1 and self.chance.random() < 0.3:
            name = self.chance.choice(sorted(self.jobs))
            del self.jobs[name]
            self.feed(on.ClientLost(name))

    def node_joins(self) -> None:
        name = self.chance.choice("abcde")
        if name in self.nodes:
            return
        has = {
            "name": name,
            "slots": self.chance.randint(1, 4),
            "gpu": self.chance.choice((0, 0, 1, 2)),
            "memory": self.chance.choice((0, 2, 8)),
            "groups": self.chance.choice(([], ["red"], ["red", "blue"])),
        }
        self.nodes[name], self.held[name] = has, {}
        self.feed(self.joined(has, self.chance.choice((0, 0, 1))))

    def joined(self, has: dict, weight: int = 0) -> on.Event:
        resources = {"gpu": has["gpu"], "memory": has["memory"]}
        hardware = Hardware("Linux", "x86_64")
        given = {"resources": resources, "groups": has["groups"], "weight": weight}
        return on.NodeJoined(has["name"], has["slots"], hardware=hardware, **given)

    def node_goes(self) -> None:
        if self.nodes and self.chance.random() < 0.4:
            name = self.chance.choice(sorted(self.nodes))
            del self.nodes[name], self.held[name]
            self.feed(on.NodeLost(name, left=True))

    def slots_change(self) -> None:
        session, name = self.any_session(), self.any_node()
        if session and name:
            held = self.held[name].values()
            taken = sum(dict(one[2].resources).get("cpus", SLOT) for one in held)
            self.feed(on.NodeControlled(session, 1, name, "slots", max(self.chance.randint(1, 4), -(-taken // SLOT))))

    def cap_changes(self) -> None:
        session, name = self.any_session(), self.any_node()
        if session and name:
            self.core.state.sessions[session].cap(name, self.chance.choice((0, 1, 2)))
            self.core.state.queue.reconsider()

    def node_works(self) -> None:
        name = self.any_node()
        if name and self.held[name]:
            tokens = list(self.held[name])[: self.chance.randint(1, len(self.held[name]))]
            self.feed(self.ends(name, tokens))

    def ends(self, name: str, tokens: list[int], status: int = 0) -> on.Event:
        for token in tokens:
            del self.held[name][token]
        count = len(tokens)
        took = [self.chance.choice((1_000_000, 40_000_000, 900_000_000))] * count
        return on.AttemptsEnded(name, tokens, [status] * count, took, took, [1] * count, b"x" * count)

    def node_starts(self) -> None:
        name = self.any_node()
        if name and self.held[name]:
            tokens = list(self.held[name])[:2]
            self.feed(on.AttemptsStarted(name, tokens, [0] * len(tokens)))

    def time_passes(self) -> None:
        self.now_ns += self.chance.choice((1, 2)) * SECOND_NS
        self.feed(*(on.NodeBeat(name, list(self.held[name])) for name in sorted(self.nodes)), on.TimePassed())

    def any_node(self) -> str:
        return self.chance.choice(sorted(self.nodes)) if self.nodes else ""

    def any_session(self) -> str:
        return self.chance.choice(sorted(self.jobs)) if self.jobs else ""

    def settle(self) -> None:
        """A node comes that has everything: all jobs must end."""
        has = {"name": "z", "slots": 4, "gpu": 2, "memory": 8, "groups": ["red"]}
        self.nodes["z"], self.held["z"] = has, {}
        self.feed(self.joined(has))
        for _ in range(3000):
            busy = [name for name in sorted(self.nodes) if self.held[name]]
            if not busy:
                for name in list(self.exclusive):  # those behind it wait until it is over
                    if name in self.jobs and not self.core.state.sessions[name].jobs:
                        del self.jobs[name]
                        self.feed(on.CloseAsked(name))
                        break
                else:
                    return
            for name in busy:
                if self.held[name]:
                    self.feed(self.ends(name, list(self.held[name])[:1]))


ACTIONS = [
    Lab.client_joins,
    *[Lab.client_submits] * 6,
    Lab.client_cancels,
    Lab.client_leaves,
    *[Lab.node_joins] * 4,
    Lab.node_goes,
    Lab.slots_change,
    Lab.cap_changes,
    *[Lab.node_works] * 5,
    *[Lab.node_starts] * 2,
    *[Lab.time_passes] * 2,
]


def right_and_explained(seed: int, steps: list[int], order: str) -> None:
    lab = Lab(seed, order)
    lab.client_joins()
    lab.node_joins()
    for step in steps:
        ACTIONS[step](lab)
    for session in lab.core.state.sessions.values():
        for name in session.shares:
            session.cap(name, 0)
    lab.core.state.queue.reconsider()
    lab.settle()
    waiting = {name: len(session.jobs) for name, session in lab.core.state.sessions.items() if session.jobs}
    assert not waiting, f"{waiting} never ended"
    assert all(not taken for taken in lab.core.state.field.floating.taken.values())


WORLDS = {
    "seed": st.integers(0, 2**32),
    "steps": st.lists(st.integers(0, len(ACTIONS) - 1), min_size=20, max_size=60),
    "order": st.sampled_from(["fair", "fair", "submitted", "oldest"]),
}


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(**WORLDS)
def test_every_placement_is_right_and_explained(seed: int, steps: list[int], order: str) -> None:
    right_and_explained(seed, steps, order)


@pytest.mark.soak
@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
@given(**WORLDS)
def test_that_in_many_more_worlds(seed: int, steps: list[int], order: str) -> None:
    right_and_explained(seed, steps, order)


@pytest.mark.parametrize("same", [False, True], ids=["of another session", "of the same session"])
@pytest.mark.parametrize("took_ms", [1, 300])
@pytest.mark.parametrize("victim", [NEEDS[index] for index in (0, 4, 8, 9)], ids=["plain", "wide", "borrows", "gpus"])
def test_nobody_starves(victim: tuple[tuple[str, int], ...], took_ms: int, same: bool) -> None:
    """Others submit without end; each turn ends one attempt on each node. Whoever needs most gets its turn, too."""
    lab = Lab(1, watched=False)
    for name in "ab":
        has = {"name": name, "slots": 4, "gpu": 2, "memory": 6, "groups": []}
        lab.nodes[name], lab.held[name] = has, {}
        lab.feed(lab.joined(has))
    for name in ("crowd", "victim"):
        lab.jobs[name] = 0
        lab.feed(on.ClientJoined(name), on.ComputationDefined(name, Computation("f", "function", "f")))
    small = [need for need in NEEDS if dict(need).get("cpus", SLOT) <= SLOT]

    def submit(name: str, count: int, need: tuple[tuple[str, int], ...]) -> int:
        first = lab.jobs[name]
        lab.jobs[name] += count
        lab.submitted |= {(name, number): len(lab.submitted) + number for number in range(first, first + count)}
        lab.feed(on.JobsSubmitted(name, "f", first, [b""] * count, JobOptions(resources=need)))
        return first

    def one_round() -> None:
        for need in small:
            submit("crowd", 3, need)
        lab.now_ns += took_ms * 1_000_000
        for name in "ab":
            if tokens := list(lab.held[name])[:1]:
                del lab.held[name][tokens[0]]
                took = [took_ms * 1_000_000]
                lab.feed(on.AttemptsEnded(name, tokens, [0], took, took, [1], b"x"))

    for _ in range(10):
        one_round()
    whose = "crowd" if same else "victim"
    number = submit(whose, 1, victim)
    held = sum(map(len, lab.held.values()))
    before = sum(key[0] == whose for key in lab.submitted) - len(lab.ended) if same else 0
    for _ in range(60 + held + 4 * before):
        if any((whose, number) == one[:2] for node in lab.held.values() for one in node.values()):
            return
        one_round()
    raise AssertionError(lab.core.why(whose, number))
