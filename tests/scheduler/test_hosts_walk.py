"""Whatever is said about machines and computations meanwhile: nothing goes where it may not; each job ends once."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from msgspec.structs import replace

from lightwork.scheduler.core import commands as do, events as on
from lightwork.scheduler.core.refusals import behind, excluded
from lightwork.wire.messages import Computation, SetPolicy
from tests.scheduler.test_properties import ACTIONS, WELL, World

WORDS = ("a", "b", "c", "a*", "*", "@g", "@own")


class Lab(World):
    """Somebody looks after the nodes, and clients update their computations."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.versions: dict[str, list[str]] = {}
        self.epochs: dict[str, int] = {}
        self.preparations: list[do.Prepare] = []
        self.unwilling: dict[str, str] = {}
        self.told: dict[str, SetPolicy] = {}

    def obey(self, command: do.Command) -> list[on.Event]:
        state = self.core.state
        if isinstance(command, do.Assign):
            node, session = state.nodes[command.node], state.sessions[command.session]
            assert excluded(node) is None
            for number in command.numbers:
                assert behind(node, session, session.jobs[number].group) is None
        if isinstance(command, do.SetPolicy):
            self.told[command.node] = replace(command.policy, clients=-2, word=0)
            return []
        if isinstance(command, do.Prepare):
            self.preparations.append(command)
            return []
        if isinstance(command, do.Answer) and command.total and not command.nodes:
            self.epochs[command.session] = command.total
        return super().obey(command)

    def things_are_prepared(self) -> None:
        preparing, self.preparations = self.preparations, []
        for one in preparing:
            if one.node in self.up:
                digest = one.computation.digest
                if len(digest) > 1 and self.random.random() < 0.1:
                    self.feed(on.ComputationFailed(one.node, one.session, digest, {"type": b"X"}, one.epoch))
                else:
                    self.feed(on.ComputationReady(one.node, one.session, digest, one.epoch))

    def hosts_change(self) -> None:
        choose = self.random.choice
        action = choose(("add", "remove", "drain", "resume", "resume", "group", "ungroup"))
        group = choose(("g", "own")) if action in ("group", "ungroup") else ""
        hosts = [choose(WORDS) for _ in range(self.random.randint(1, 3))]
        self.feed(on.HostsChanged("", 0, action, hosts, group, self.random.random() < 0.3, "bob"))

    def policy_is_said(self) -> None:
        choose = self.random.choice
        start, stop = choose((-1, 480, 600)), choose((-1, 600))
        policy = SetPolicy(start, stop, choose((-1, 660)), choose((-2, -1, 0, 3)), slots=choose((None, -1, 0, 1, 9)))
        self.feed(on.HostsChanged("", 0, "policy", [choose(WORDS)], by="bob", policy=policy))

    def computation_is_updated(self) -> None:
        session = self.any_session()
        if session is None:
            return
        known = self.versions.setdefault(session, ["f"])
        new = self.random.choice([*known, f"f{len(known)}"])
        if new not in known:
            known.append(new)
        self.asked.append((session, len(self.asked) + 1))
        old = self.random.choice(known[:-1] or known)
        self.feed(on.ComputationUpdated(session, len(self.asked), old, Computation(new, "function", new)))

    def readiness_is_awaited(self) -> None:
        session = self.any_session()
        if session is not None:
            self.asked.append((session, len(self.asked) + 1))
            self.feed(on.ReadyAwaited(session, len(self.asked), ["f"], self.random.choice((0, 1))))

    def node_is_unwilling(self) -> None:
        name = self.any_node()
        if name is not None:
            self.unwilling[name] = self.random.choice(("", "it is night"))
            self.feed(on.NodeBeat(name, list(self.held[name]), load=WELL, unwilling=self.unwilling[name]))

    def node_beats_with_an_old_epoch(self) -> None:
        name, session = self.any_node(), self.any_session()
        if name is not None and session is not None:
            self.feed(on.NodeBeat(name, list(self.held[name]), load=WELL, epochs={session: self.random.randint(0, 2)}))

    def heal(self) -> None:
        """Everybody is welcome again."""
        self.feed(on.HostsChanged("", 0, "add", list(WORDS)), on.HostsChanged("", 0, "resume", ["*"]))
        self.feed(on.HostsChanged("", 0, "policy", ["*"], policy=SetPolicy(0, 0, slots=100)))
        self.things_are_prepared()
        for node in self.core.state.nodes.values():
            assert not node.drained_by and not node.removed_by
        super().heal()
        for name, node in self.core.state.nodes.items():
            assert self.told[name] == SetPolicy(0, 0, -2)
            assert node.slots == node.offered

    def settle(self) -> None:
        for _ in range(100):
            self.things_are_prepared()
            self.beat(WELL)
            for name in sorted(self.up):
                if self.held[name]:
                    self.feed(self.end(name, list(self.held[name])))
            if self.core.state.delays.size:
                self.it_is_time()


SOME = [
    *ACTIONS,
    *[Lab.hosts_change] * 3,
    Lab.policy_is_said,
    *[Lab.computation_is_updated] * 2,
    Lab.readiness_is_awaited,
    Lab.node_is_unwilling,
    Lab.node_beats_with_an_old_epoch,
    World.things_are_prepared,
]


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), steps=st.lists(st.integers(0, len(SOME) - 1), min_size=20, max_size=120))
def test_every_job_ends_once_whatever_is_said_of_machines(seed: int, steps: list[int]) -> None:
    world = Lab(seed)
    world.client_joins()
    world.node_joins()
    for step in steps:
        SOME[step](world)
    world.heal()
    world.settle()
    for session, count in world.submitted.items():
        missing = [number for number in range(count) if (session, number) not in world.delivered]
        assert not missing, f"jobs {missing} of {session} never ended"
    unanswered = [key for key in world.asked if key not in world.answers and key[0] in world.submitted]
    assert not unanswered, f"{unanswered} were never answered"
    for session in world.submitted:
        world.feed(on.CloseAsked(session))
        assert session in world.over
    assert world.core.state.sessions == {} and world.core.state.killing == {}
