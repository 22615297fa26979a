"""What users are told of retries, twins, slow jobs and nodes that were set aside: status, reasons, histories."""

from __future__ import annotations

from lightwork.config import limits
from lightwork.scheduler.core import commands as do, events as on
from lightwork.scheduler.core.check import check
from lightwork.scheduler.core.core import Core
from lightwork.scheduler.core.endings import failure_outcome
from lightwork.wire import outcome
from lightwork.wire.messages import Computation, Hardware, JobOptions, Load
from tests.scheduler.durable_core import DurableCore

SECOND_NS = 1_000_000_000


class World:
    """A session s with jobs of f."""

    def __init__(self, count: int, *nodes: str, slots: int = 1, **options: object) -> None:
        self.core = Core()
        self.now_ns = 0
        self.feed(on.ClientJoined("s"), on.ComputationDefined("s", Computation("f", "function", "f")))
        for node in nodes:
            self.feed(on.NodeJoined(node, slots, hardware=Hardware(memory_bytes=1 << 30)))
        self.feed(on.JobsSubmitted("s", "f", 0, [b"x"] * count, JobOptions(**options)))  # type: ignore[arg-type]

    def feed(self, *events: on.Event) -> list[do.Command]:
        commands = self.core.feed(list(events), self.now_ns)
        assert check(self.core.state) == []
        return commands

    def token(self, number: int) -> int:
        return self.core.state.sessions["s"].jobs[number].token

    def fail(self, node: str, *numbers: int, message: str = "no") -> list[do.Command]:
        status, body = failure_outcome(outcome.RAISED, "ValueError", message)
        tokens, count = [self.token(number) for number in numbers], len(numbers)
        return self.feed(
            on.AttemptsEnded(
                node, tokens, [status] * count, [5] * count, [5] * count, [len(body)] * count, body * count
            )
        )

    def waiting(self) -> list[str]:
        return self.core.status("s", 1).waiting


def test_why_a_job_waits_for_its_next_try() -> None:
    world = World(2, "a", "b", retries=2)
    world.fail("a", 0, message="no\nsuch   thing")
    [told] = world.waiting()
    assert told.startswith("job 0 waits ")
    assert told.endswith(" ms before its 2nd try; failed on a: ValueError: no such thing")
    world.now_ns = SECOND_NS
    world.feed()
    assert world.waiting() == [
        "the job failed on node a, and another one may run it",
        "node b is preparing f",
    ]
    assert world.core.status("s", 1).retried == 1


def test_only_the_first_waiting_ones_are_told() -> None:
    world = World(50, "a", slots=50, retries=1)
    world.fail("a", *range(50))
    assert len(world.waiting()) == 10


def test_texts_are_bounded() -> None:
    world = World(1, "a", retries=1)
    world.fail("a", 0, message="x" * 100_000)
    extra = world.core.state.sessions["s"].jobs[0].extra
    assert extra is not None
    assert len(extra.history[0].text) == 200


def test_what_a_node_says_in_a_wrong_form_does_no_harm() -> None:
    world = World(1, "a", retries=1)
    token = world.token(0)
    world.feed(on.AttemptsEnded("a", [token], [outcome.RAISED | outcome.ENVELOPE], [5], [5], [3], b"???"))
    assert "failed on a: an exception" in world.waiting()[0]
    world.now_ns = SECOND_NS
    world.feed()
    for _ in range(3):
        world.feed(on.AttemptsDied("a", [world.token(0)], True, [5], [3], b"???"))
        if not world.core.state.sessions["s"].jobs:
            return
    raise AssertionError("three deaths are poison")


def test_histories_fit_into_messages() -> None:
    count = 600
    world = World(count, "a", slots=count, retries=3)
    for turn in range(1, 4):
        world.fail("a", *range(count))
        world.now_ns = turn * 100 * SECOND_NS
        world.feed(on.NodeBeat("a"))
    delivers = [one for one in world.fail("a", *range(count)) if isinstance(one, do.Deliver)]
    assert sum(len(one.jobs) for one in delivers) == count
    for one in delivers:
        assert [len(history) for _, history in one.histories] == [3] * len(one.jobs)
        assert sum(len(history) for _, history in one.histories) <= limits.HISTORY_MAX


def test_a_long_history_is_told_from_its_end() -> None:
    count = limits.HISTORY_MAX + 5
    world = World(1, "a")
    for _ in range(count):
        world.feed(on.AttemptsDied("a", [world.token(0)], False, [5], [0], b""))
    [told] = world.feed(on.AttemptsEnded("a", [world.token(0)], [0], [5], [5], [1], b"x"))
    assert isinstance(told, do.Deliver)
    assert told.attempts == [count + 1]
    assert [len(history) for _, history in told.histories] == [limits.HISTORY_MAX]


def test_histories_that_come_out_of_the_ledger_fit_into_messages_too() -> None:
    count, tries = 700, 3
    durable = DurableCore()
    durable.feed([on.ClientJoined("s", 0, True), on.ComputationDefined("s", Computation("f", "function", "f"))], 0)
    durable.feed([on.TimePassed(), on.NodeJoined("a", count)], 0)
    durable.feed([on.JobsSubmitted("s", "f", 0, [b"x"] * count, JobOptions())], 0)
    jobs = durable.core.state.sessions["s"].jobs
    for turn in range(limits.HISTORY_MAX + 5):
        most = count if turn < tries else 1  # and one job has more than a message tells
        tokens = [jobs[number].token for number in range(most)]
        durable.feed([on.AttemptsDied("a", tokens, False, [5] * most, [0] * most, b"")], 0)
    durable.feed([on.ClientAway("s")], 0)
    tokens = [jobs[number].token for number in range(count)]
    durable.feed([on.AttemptsEnded("a", tokens, [0] * count, [5] * count, [5] * count, [1] * count, b"x" * count)], 0)
    told = [one for one in durable.feed([on.ClientJoined("s", 1, True)], 0) if isinstance(one, do.Deliver)]
    assert [number for one in told for number in one.jobs] == list(range(count))
    histories = {one.jobs[index]: history for one in told for index, history in one.histories}
    assert [len(histories[number]) for number in range(count)] == [limits.HISTORY_MAX, *[tries] * (count - 1)]
    assert max(sum(len(history) for _, history in one.histories) for one in told) <= limits.HISTORY_MAX


def test_twins_are_counted_for_their_session() -> None:
    world = World(1, "a", "b", reentrant=True)
    world.feed(on.ClientJoined("t"), on.AttemptsStarted("a", [world.token(0)], [0]))
    world.now_ns = 31 * SECOND_NS
    world.feed()
    status = world.core.status("s", 1)
    assert (status.twins_started, status.twins_won) == (1, 0)
    twin = world.core.state.sessions["s"].jobs[0].twin
    assert twin is not None
    world.feed(on.AttemptsEnded(twin.node, [twin.token], [0], [5], [5], [1], b"x"))
    assert world.core.status("s", 1).twins_won == world.core.state.twins_won == 1
    assert world.core.status("t", 1).twins_started == 0


def test_slow_jobs_are_in_the_status_as_long_as_they_run() -> None:
    world = World(2, "a", slots=2)
    tokens = [world.token(0), world.token(1)]
    world.feed(on.AttemptsStarted("a", tokens, [0, 0]))
    world.feed(on.AttemptsEnded("a", tokens[1:], [0], [5], [SECOND_NS], [1], b"x"))
    world.now_ns = 65 * SECOND_NS
    world.feed(on.NodeBeat("a", running=tokens[:1]), on.TimePassed())
    assert world.core.status("s", 1).slow == ["job 0 on a has run for 1 min 5 s; others of f take 1 s"]
    world.feed(on.AttemptsEnded("a", tokens[:1], [0], [5], [5], [1], b"x"))
    assert world.core.status("s", 1).slow == []


def test_many_slow_jobs_are_one_sentence() -> None:
    world = World(4, "a", slots=4)
    tokens = [world.token(number) for number in range(4)]
    world.feed(on.AttemptsStarted("a", tokens, [0] * 4))
    world.feed(on.AttemptsEnded("a", tokens[3:], [0], [5], [SECOND_NS], [1], b"x"))
    world.now_ns = 65 * SECOND_NS
    world.feed(on.NodeBeat("a", running=tokens[:3]))
    warned = [one.text for one in world.feed(on.TimePassed()) if isinstance(one, do.Warn)]
    assert warned == ["job 0 on a has run for 1 min 5 s; others of f take 1 s; 2 more jobs like that"]


def test_a_node_that_was_set_aside_is_not_ready_and_says_why() -> None:
    world = World(0, "a")
    world.feed(on.NodeBeat("a", load=Load(50.0, 1 << 29, 1 << 20, 90.0)))
    world.feed(on.JobsSubmitted("s", "f", 0, [b"x"]))
    assert world.core.status("s", 1).nodes[0].state == "set aside"
    assert world.waiting() == ["node a is set aside: its disk is full, 1.0 MiB are free"]
    world.feed(on.NodeBeat("a", load=Load(50.0, 1 << 29, 1 << 30, 90.0)))
    assert world.core.status("s", 1).nodes[0].state == "ready"


def quiet_for(world: World, seconds: int) -> list[str]:
    """Seconds pass; the node beats. What users hear."""
    said: list[str] = []
    for _ in range(seconds):
        world.now_ns += SECOND_NS
        beat = on.NodeBeat("a", held=list(world.core.state.nodes["a"].attempts))
        said += [one.text for one in world.feed(beat, on.TimePassed()) if isinstance(one, do.Warn)]
    return said


def test_a_node_that_cannot_start_more_is_not_stuck() -> None:
    world = World(3, "a", slots=2)
    tokens = list(world.core.state.nodes["a"].attempts)
    assert quiet_for(world, 60) == [], "it is getting the computation ready"
    world.feed(on.ComputationReady("a", "s", "f"), on.AttemptsStarted("a", tokens, [0] * len(tokens)))
    assert quiet_for(world, 60) == [], "all its slots are busy"
    world.feed(on.AttemptsEnded("a", tokens, [0] * 2, [5] * 2, [5] * 2, [1] * 2, b"xx"))
    assert any("has started nothing for 30 s" in text for text in quiet_for(world, 32))


def test_a_node_that_waits_for_large_arguments_is_not_stuck() -> None:
    world = World(0, "a")
    world.feed(on.NodeLost("a", left=True))
    world.feed(on.NodeJoined("a", 1, shares_memory=False))
    world.feed(on.JobsSubmitted("s", "f", 0, [b"x" * (limits.INLINE_MAX + 1)]))
    world.feed(on.ComputationReady("a", "s", "f"))
    assert quiet_for(world, 60) == []


def test_a_node_that_is_stuck_again_and_again_is_tried_less_and_less() -> None:
    world = World(1, "a")
    world.feed(on.ComputationReady("a", "s", "f"))
    said = quiet_for(world, 600)
    assert [text.partition(" set aside for ")[2] for text in said if "set aside" in text] == [
        "30 s",
        "1 min",
        "2 min",
        "4 min",
        "8 min",
    ]
    world.feed(on.AttemptsStarted("a", [world.token(0)], [0]))
    assert any("is at work again" in text for text in quiet_for(world, 2))
    assert world.core.state.nodes["a"].stuck_times == 0


def test_time_that_we_slept_is_nobodys_fault() -> None:
    world = World(1, "a")
    world.feed(on.ComputationReady("a", "s", "f"))
    quiet_for(world, 5)
    world.now_ns += 3600 * SECOND_NS
    world.feed(on.WeSlept(3600 * SECOND_NS), on.NodesSpoke(["a"]))
    assert quiet_for(world, 20) == []
