"""One job of a durable core in all the situations that it can be in, and what can happen to it there."""

from __future__ import annotations

from collections.abc import Callable

from lightwork.model.states import JobState
from lightwork.scheduler.core import commands as do, events as on
from lightwork.scheduler.core.jobs import Job
from lightwork.scheduler.core.state import State
from lightwork.wire import outcome
from lightwork.wire.messages import Computation, JobOptions
from tests.scheduler.durable_core import DurableCore

SECOND_NS = 1_000_000_000
COMPUTATION = Computation("f", "function", "f")


class World:
    """One job of one session, on a durable core: it can do all that another can."""

    def __init__(self, **options: object) -> None:
        self.durable = DurableCore()
        self.now_ns = 0
        self.said: list[do.Command] = []
        self.feed(on.TimePassed(), on.ClientJoined("s"), on.ComputationDefined("s", COMPUTATION))
        self.feed(on.JobsSubmitted("s", "f", 0, [b"x"], JobOptions(**options)))  # type: ignore[arg-type]
        self.job: Job = self.state.sessions["s"].jobs[0]

    @property
    def state(self) -> State:
        return self.durable.core.state

    def feed(self, *events: on.Event) -> None:
        self.said += self.durable.feed(list(events), self.now_ns)
        assert self.durable.wrong() == []

    def later(self, seconds: float) -> None:
        """Time passes; nodes beat."""
        self.now_ns += int(seconds * SECOND_NS)
        for node in list(self.state.nodes.values()):
            tokens = list(node.attempts)
            self.feed(on.NodeBeat(node.name, held=tokens))

    def restart(self) -> None:
        """The scheduler dies, and another one begins."""
        self.durable.crash(0, self.now_ns)
        self.job = self.state.sessions["s"].jobs[0]

    @property
    def ends(self) -> list[int]:
        """What clients, or the disk, were told of the job's end."""
        facts = [one.fact for one in self.said if isinstance(one, do.Record)]
        return [state for fact in facts for state in getattr(fact, "states", [])]


# --- where the job stands ---


def waits(**options: object) -> World:
    return World(**options)


def handed_out(**options: object) -> World:
    world = World(**options)
    world.feed(on.NodeJoined("a", 1))
    return world


def runs(**options: object) -> World:
    world = handed_out(**options)
    world.feed(on.AttemptsStarted("a", [world.job.token], [0]))
    return world


def delayed(**options: object) -> World:
    world = runs(**{"retries": 1, **options})
    world.feed(ended(world, outcome.RAISED))
    assert world.state.delays.size == 1
    return world


def twinned(**options: object) -> World:
    """Its first attempt is on a, its second one on b."""
    world = runs(**{"reentrant": True, **options})
    world.feed(on.NodeJoined("b", 1))
    world.later(31)
    assert world.job.twin is not None
    return world


def cancelled_while(where: Callable[..., World]) -> Callable[..., World]:
    def cancelled(**options: object) -> World:
        world = where(**options)
        world.feed(on.JobsCancelled("s", [0]))
        return world

    return cancelled


def over(state: JobState) -> World:
    """The job has ended like this."""
    world = waits() if state is JobState.CANCELLED else runs(reentrant=False)
    how = {
        JobState.FINISHED: outcome.RETURNED,
        JobState.FAILED: outcome.RAISED,
        JobState.TIMED_OUT: outcome.TIMED_OUT,
    }
    if state in how:
        world.feed(ended(world, how[state]))
    elif state is JobState.CANCELLED:
        world.feed(on.JobsCancelled("s", [0]))
    else:
        world.feed(died(world, blame=state is JobState.POISONED))
    assert world.job.state is state
    return world


# --- what happens ---


def ended(world: World, kind: int, node: str = "a") -> on.Event:
    token = dict(world.job.live()).get(node) or 1 << 40 | 1
    return on.AttemptsEnded(node, [token], [kind], [5], [5], [1], b"x")


def died(world: World, *, blame: bool, node: str = "a") -> on.Event:
    token = dict(world.job.live()).get(node) or 1 << 40 | 1
    return on.AttemptsDied(node, [token], blame, [5], [0], b"")


def thrice(world: World) -> None:
    for _ in range(3):
        world.feed(died(world, blame=True))


def lease_over(world: World, seconds: float = 20) -> None:
    world.now_ns += int(seconds * SECOND_NS)
    world.feed(on.TimePassed())


def back_with_nothing(world: World) -> None:
    world.feed(on.NodeLost("a"))
    world.feed(on.NodeJoined("a", 1))
    world.feed(on.NodeBeat("a"))


def told_after_restart(world: World, *stages: int) -> None:
    token = world.job.token
    world.restart()
    world.feed(on.NodeJoined("a", 1, adopting=True))
    rows = len(stages)
    world.feed(on.NodeTruth("a", ["s"], [token] * rows, [0] * rows, [0] * rows, list(stages), [5] * rows))


def another_era(world: World) -> None:
    world.restart()
    world.feed(on.NodeJoined("a", 1, era="2", adopting=True))
    world.feed(on.NodeTruth("a", [], [], [], [], [], []))


def stuck(world: World) -> None:
    world.feed(on.ComputationReady("a", "s", "f"), on.NodeJoined("b", 1), on.TimePassed())
    for _ in range(4):
        world.later(9)
    world.feed(on.TimePassed())
    assert world.state.nodes["a"].stuck_ns


def fails_there(world: World) -> None:
    world.feed(on.ComputationFailed("a", "s", "f", {"type": b"X"}))


def closed(world: World, *, cancel: bool = False) -> None:
    world.feed(on.NodeControlled("s", 1, "a", "close", cancel=cancel))


def pinned_and_closed(world: World) -> None:
    closed(world)
    world.feed(on.AttemptsReturned("a", [world.job.token], "revoked"))
    world.feed(on.SessionReleased("a", "s"))
