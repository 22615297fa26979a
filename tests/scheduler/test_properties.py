"""Whatever nodes and clients do, the tables agree after every event, and when faults stop every job ends once."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, given, settings, strategies as st

from lightwork.scheduler.core import commands as do, events as on
from lightwork.scheduler.core.check import check
from lightwork.scheduler.core.core import Core
from lightwork.wire.messages import Computation, Hardware, JobOptions, Load

SECOND_NS = 1_000_000_000
MACHINE = Hardware(memory_bytes=1 << 30)
WELL = Load(50.0, 1 << 29, 1 << 35, 90.0)
FULL_DISK = Load(50.0, 1 << 29, 1 << 20, 90.0)
FULL_MEMORY = Load(50.0, 1 << 20, 1 << 35, 1.0)


class World:
    """Nodes and clients in a few lines, and the real core between them."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.core = Core()
        self.now_ns = 0
        self.held: dict[str, list[int]] = {}  # node -> attempts in its hands
        self.up: set[str] = set()
        self.submitted: dict[str, int] = {}
        self.delivered: dict[tuple[str, int], int] = {}
        self.over: set[str] = set()
        self.broken: set[str] = set()  # nodes whose link broke, and whose claim goes on
        self.preparing: list[tuple[str, str, str]] = []
        self.answers: dict[tuple[str, int], int] = {}
        self.asked: list[tuple[str, int]] = []
        self.joined = 0

    def feed(self, *events: on.Event) -> None:
        batch = list(events)
        while True:
            pending = [event for command in self.core.feed(batch, self.now_ns) for event in self.obey(command)]
            assert check(self.core.state) == []
            if not pending:
                return
            batch = pending

    def obey(self, command: do.Command) -> list[on.Event]:
        if isinstance(command, do.Assign):
            assert command.node in self.up, "work was handed to a node that is away"
            assert not self.core.state.nodes[command.node].trouble, "work was handed to a node that was set aside"
            self.held[command.node] += command.tokens
        elif isinstance(command, do.Prepare):
            if self.random.random() < 0.5:
                return [on.ComputationReady(command.node, command.session, command.computation.digest)]
            self.preparing.append((command.node, command.session, command.computation.digest))
        elif isinstance(command, do.Stop):
            stopped = [t for t in command.tokens if t in self.held.get(command.node, [])]
            return [self.end(command.node, stopped, 5)] if stopped else []
        elif isinstance(command, do.Revoke):
            back = [token for token in command.tokens if token in self.held[command.node]]
            self.held[command.node] = [token for token in self.held[command.node] if token not in back]
            return [on.AttemptsReturned(command.node, back)]
        elif isinstance(command, do.Release):
            return [on.SessionReleased(command.node, command.session)] if command.node in self.up else []
        elif isinstance(command, do.Deliver):
            for number in command.jobs:
                assert (command.session, number) not in self.delivered, "a job ended twice"
                self.delivered[command.session, number] = 1
        elif isinstance(command, do.Drop | do.HangUp):
            self.broken.discard(command.node)
            if isinstance(command, do.HangUp):
                self.up.discard(command.node)
                self.held[command.node] = []
        elif isinstance(command, do.Answer):
            key = command.session, command.number
            self.answers[key] = self.answers.get(key, 0) + 1
            assert self.answers[key] == 1, f"{key} was answered twice"
        elif isinstance(command, do.OfferNode):
            return [on.NodeAllotted(command.session, command.node.name, self.random.choice((0, 1, 2)))]
        elif isinstance(command, do.EndSession):
            self.over.add(command.session)
        return []

    def end(self, node: str, tokens: list[int], status: int = 0) -> on.Event:
        self.held[node] = [token for token in self.held[node] if token not in tokens]
        count = len(tokens)
        durations = [self.random.choice((1_000, 90_000_000))] * count
        return on.AttemptsEnded(node, tokens, [status] * count, durations, durations, [1] * count, b"x" * count)

    def some(self, node: str) -> list[int]:
        held = self.held[node]
        return held[: self.random.randint(1, len(held))] if held else []

    # --- what may happen ---

    def client_joins(self) -> None:
        self.joined += 1
        name = f"s{self.joined}"
        self.submitted[name] = 0
        computations = [on.ComputationDefined(name, Computation(c, "function", c)) for c in "fg"]
        self.feed(on.ClientJoined(name), *computations)

    def client_submits(self) -> None:
        session = self.any_session()
        if session is None:
            return
        first, count = self.submitted[session], self.random.choice((1, 1, 1, 2, 4, 30))
        self.submitted[session] += count
        reentrant, retries = self.random.choice((None, False, True, True)), self.random.choice((0, 0, 1, 2))
        options = JobOptions(reentrant=reentrant, retries=retries)
        self.feed(on.JobsSubmitted(session, self.random.choice("fg"), first, [b"x"] * count, options))

    def client_cancels(self) -> None:
        session = self.any_session()
        if session is not None and self.submitted[session]:
            numbers = [self.random.randrange(self.submitted[session]) for _ in range(5)]
            self.feed(on.JobsCancelled(session, numbers))

    def client_dies(self) -> None:
        session = self.any_session()
        if session is not None and self.random.random() < 0.2:
            self.feed(on.ClientLost(session))
            del self.submitted[session]
            self.delivered = {key: count for key, count in self.delivered.items() if key[0] != session}

    def node_joins(self) -> None:
        name = self.random.choice("abc")
        if name in self.up:
            return
        self.up.add(name)
        back = self.held.get(name, [])
        if name in self.broken and self.random.random() < 0.5:
            self.feed(on.NodeJoined(name, 2, hardware=MACHINE, resumed=True))
            self.feed(on.NodeBeat(name, held=list(back)))
            return
        self.held[name] = kept = [token for token in back if self.random.random() < 0.5]
        self.feed(on.NodeJoined(name, self.random.randint(1, 3), hardware=MACHINE))
        self.feed(on.NodeBeat(name, held=list(kept) + [t for t in self.held[name] if t not in kept]))

    def node_goes(self) -> None:
        name = self.any_node()
        if name is not None and self.random.random() < 0.3:
            self.up.discard(name)
            left = self.random.random() < 0.2
            if not left:
                self.broken.add(name)
            self.feed(on.NodeLost(name, left=left))

    def node_works(self) -> None:
        name = self.any_node()
        if name is not None and (tokens := self.some(name)):
            self.feed(self.end(name, tokens, self.random.choice((0, 0, 0, 1, 3, 7))))

    def node_starts(self) -> None:
        name = self.any_node()
        if name is not None and (tokens := self.some(name)):
            self.feed(on.AttemptsStarted(name, tokens, [0] * len(tokens)))

    def worker_dies(self) -> None:
        name = self.any_node()
        if name is not None and (tokens := self.some(name)):
            self.held[name] = self.held[name][len(tokens) :]
            blamed, rest = tokens[:1], tokens[1:]
            death = on.AttemptsDied(name, blamed, self.random.random() < 0.7, [1], [0], b"")
            self.feed(death, on.AttemptsReturned(name, rest))

    def setup_fails(self) -> None:
        name, session = self.any_node(), self.any_session()
        if name is not None and session is not None and self.random.random() < 0.2:
            self.feed(on.ComputationFailed(name, session, "g", {"type": b"X"}))

    def node_is_controlled(self) -> None:
        name, session = self.any_node(), self.any_session()
        if name is not None and session is not None:
            self.asked.append((session, len(self.asked) + 1))
            action = self.random.choice(("deallocate", "allocate", "allocate", "slots", "resetup"))
            cancel = self.random.random() < 0.3
            self.feed(on.NodeControlled(session, len(self.asked), name, action, self.random.randint(1, 3), cancel))

    def stale_news(self) -> None:
        name = self.any_node()
        if name is not None:
            token = 1 << 40 | self.random.randint(1, 500)
            if token not in self.held[name] and all(token not in held for held in self.held.values()):
                self.feed(on.AttemptsEnded(name, [token], [0], [1], [1], [1], b"x"))

    def time_passes(self) -> None:
        self.now_ns += self.random.choice((1, 4, 12, 31)) * SECOND_NS
        self.beat()
        self.feed(on.TimePassed())

    def it_is_time(self) -> None:
        """What the core wants to be woken for."""
        if self.core.state.wake_ns > self.now_ns:
            self.now_ns = self.core.state.wake_ns
            self.feed()

    def beat(self, *loads: Load) -> None:
        for name in sorted(self.up):
            load = self.random.choice(loads or (*[WELL] * 12, Load(), FULL_DISK, FULL_MEMORY))
            self.feed(on.NodeBeat(name, held=list(self.held[name]), load=load))

    def things_are_prepared(self) -> None:
        preparing, self.preparing = self.preparing, []
        for node, session, computation in preparing:
            if node in self.broken.difference(self.up):  # it says so when it is back, if its claim goes on
                self.preparing.append((node, session, computation))
            elif node in self.up:
                self.feed(on.ComputationReady(node, session, computation))

    def any_node(self) -> str | None:
        return self.random.choice(sorted(self.up)) if self.up else None

    def any_session(self) -> str | None:
        return self.random.choice(sorted(self.submitted)) if self.submitted else None

    def heal(self) -> None:
        """Faults stop: nodes that are away are given up, one healthy node does all that is left."""
        self.now_ns += 90 * SECOND_NS  # past the lease, and past the time that jobs wait for a word of their node
        self.beat(WELL)
        self.feed(on.TimePassed())
        self.up.add("z")
        self.held["z"] = []
        self.feed(on.NodeJoined("z", 2))
        for _ in range(10_000):
            busy = [name for name in sorted(self.up) if self.held[name]]
            if not busy and not self.core.state.delays.size:
                return
            if not busy:
                self.it_is_time()
            for name in busy:
                if self.held[name]:
                    self.feed(self.end(name, list(self.held[name])))
        raise AssertionError("jobs are handed out for ever")

    def settle(self) -> None:
        """What was being prepared is ready, where the node is still there."""
        for _ in range(100):
            self.things_are_prepared()


ACTIONS = [
    World.client_joins,
    World.client_submits,
    World.client_submits,
    World.client_submits,
    World.client_cancels,
    World.client_dies,
    World.node_joins,
    World.node_joins,
    World.node_goes,
    World.node_works,
    World.node_works,
    World.node_works,
    World.node_starts,
    World.node_starts,
    World.worker_dies,
    World.setup_fails,
    World.node_is_controlled,
    World.stale_news,
    World.time_passes,
    World.time_passes,
    World.it_is_time,
    World.things_are_prepared,
]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), steps=st.lists(st.integers(0, len(ACTIONS) - 1), min_size=20, max_size=120))
def test_every_job_ends_once(seed: int, steps: list[int]) -> None:
    world = World(seed)
    world.client_joins()
    world.node_joins()
    for step in steps:
        ACTIONS[step](world)
    world.heal()
    world.settle()
    for session, count in world.submitted.items():
        missing = [number for number in range(count) if (session, number) not in world.delivered]
        assert not missing, f"jobs {missing} of {session} never ended"
    for session in world.submitted:
        world.feed(on.CloseAsked(session))
        assert session in world.over
    unanswered = [key for key in world.asked if key not in world.answers and key[0] in world.submitted]
    assert not unanswered, f"{unanswered} were never answered"
    assert world.core.state.sessions == {}
    assert all(not node.attempts for node in world.core.state.nodes.values())
