"""What people who look in are told, from tables and ledger, and what it costs."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, TypeVar

import pytest

from lightwork.config import limits
from lightwork.model.states import JobState
from lightwork.scheduler.core import events as on
from lightwork.scheduler.core.core import Core
from lightwork.scheduler.core.listing import how_it_ended, jobs
from lightwork.scheduler.core.views import Running, logs, not_ended, sessions, status
from lightwork.wire import outcome
from lightwork.wire.messages import AskJobs, AskLogs, Computation, Hardware, JobOptions, Jobs, Logs
from tests.scheduler.durable_core import DurableCore

SECOND_NS = 1_000_000_000
QUEUED, RUNNING, FINISHED, FAILED = JobState.QUEUED, JobState.RUNNING, JobState.FINISHED, JobState.FAILED
T = TypeVar("T")


class Lab:
    """A core with a node `a` of two slots, told in few words."""

    def __init__(self, *, durable: bool = False) -> None:
        self.told: Any = DurableCore() if durable else Core()
        self.now_ns = 0
        self.feed(on.TimePassed(), on.NodeJoined("a", 2, "10.0.0.1", Hardware()))

    @property
    def core(self) -> Core:
        core = self.told.core if isinstance(self.told, DurableCore) else self.told
        assert isinstance(core, Core)
        return core

    def feed(self, *events: Any) -> None:
        self.told.feed(list(events), self.now_ns)

    def session(self, name: str = "s", *, lasting: bool = False) -> None:
        self.feed(
            on.ClientJoined(name, 0, lasting, "ann", "ada"),
            on.ComputationDefined(name, Computation("f", "function", "simulate")),
        )

    def submit(self, count: int, name: str = "s", options: JobOptions = JobOptions(), **more: Any) -> None:
        first = self.core.state.sessions[name].next_number
        self.feed(on.JobsSubmitted(name, "f", first, [b"x"] * count, options, **more))

    def start(self) -> list[int]:
        """Whatever the node has runs now; the tokens."""
        node = self.core.state.nodes["a"]
        held = [token for token, job in node.attempts.items() if job.state is QUEUED]
        self.feed(on.ComputationReady("a", "s", "f"), on.AttemptsStarted("a", held, [0] * len(held)))
        return held

    def end(self, tokens: list[int], status: int = 0, body: bytes = b"r", took_ns: int = SECOND_NS) -> None:
        count = len(tokens)
        took, sizes = [took_ns] * count, [len(body)] * count
        self.feed(on.AttemptsEnded("a", tokens, [status] * count, took, took, sizes, body * count))

    def ask(self, session: str = "", states: Any = (), limit: int = 1000, first: int = 0) -> Jobs:
        return done(jobs(self.core.state, AskJobs(7, session, list(states), limit, first), self.now_ns))

    def rows(self, *given: Any, **named: Any) -> list[tuple[int, int]]:
        return [(row.number, row.state) for row in self.ask(*given, **named).jobs]


def done(work: Generator[None, None, T]) -> T:
    """Its result, however often it gives way."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result


def failure(kind: int, **fields: bytes) -> tuple[int, bytes]:
    return kind | outcome.ENVELOPE, outcome.encode_outcome(outcome.Outcome(b"", failure=fields))


# --- the whole ---


def test_status_counts_all_sessions_and_says_why_the_oldest_wait() -> None:
    lab = Lab()
    lab.session("s")
    lab.session("t")
    lab.submit(3, "s")
    lab.submit(2, "t", JobOptions(node="b"))
    lab.start()
    told = done(status(lab.core.state, 9))
    assert (told.number, told.queued, told.running, [node.name for node in told.nodes]) == (9, 3, 2, ["a"])
    assert told.waiting == [
        "job s/2 (simulate) waits: all 2 slots of node a are busy",
        "job t/0 (simulate) waits: the job may run on node b only",
    ]


def test_status_names_jobs_that_run_far_longer_than_their_like() -> None:
    lab = Lab()
    for name in ("s", "t"):
        lab.session(name)
        lab.submit(2, name)
        lab.end(lab.start()[-1:])  # one of two; then the other one is handed out, or runs already
        lab.start()
    lab.now_ns = 65 * SECOND_NS
    lab.feed(on.NodeBeat("a"), on.TimePassed())
    text = "on a has run for 1 min 5 s; others of simulate take 1 s"
    assert done(status(lab.core.state, 1)).slow == [f"job s/0 {text}", f"job t/1 {text}"]


def test_status_of_nothing() -> None:
    told = done(status(Core().state, 1))
    assert (told.queued, told.running, told.nodes, told.waiting) == (0, 0, [], [])


def test_many_nodes_do_not_make_a_long_reason() -> None:
    lab = Lab()
    for number in range(50):
        lab.feed(on.NodeJoined(f"n{number}", 1, "", Hardware()))
    lab.session()
    lab.submit(1, options=JobOptions(node="elsewhere"))
    (reason,) = done(status(lab.core.state, 1)).waiting
    assert reason == "job s/0 (simulate) waits: the job may run on node elsewhere only"
    lab.submit(200)
    reason = done(status(lab.core.state, 1)).waiting[1]
    assert reason.endswith("; and 48 more nodes cannot take it either")
    assert len(reason) < 300


def test_sessions_say_who_they_are() -> None:
    lab = Lab(durable=True)
    lab.session("s", lasting=True)
    lab.submit(3)
    lab.end(lab.start()[:1])
    lab.now_ns = 90 * SECOND_NS
    lab.feed(on.ClientAway("s"))
    (told,) = done(sessions(lab.core.state, 100 * SECOND_NS))
    assert (told.name, told.user, told.host, told.lasting) == ("s", "ann", "ada", True)
    assert (told.queued, told.running, told.ended, told.finished) == (1, 1, 1, 1)
    assert (told.attached, told.age_s, told.away_s) == (False, 100.0, 10.0)


def test_without_a_journal_a_session_is_attached_and_keeps_nothing() -> None:
    lab = Lab()
    lab.session()
    lab.submit(3)
    lab.end(lab.start()[:1])
    (told,) = done(sessions(lab.core.state, 5 * SECOND_NS))
    assert (told.attached, told.lasting, told.away_s, told.age_s) == (True, False, 0.0, 5.0)
    assert (told.queued, told.running, told.ended, told.finished) == (1, 1, 0, 1)


def test_after_a_restart_the_users_of_sessions_are_known() -> None:
    lab = Lab(durable=True)
    lab.session("s", lasting=True)
    lab.submit(2)
    lab.told.crash(0, 5 * SECOND_NS)
    (told,) = done(sessions(lab.core.state, 8 * SECOND_NS))
    assert (told.user, told.host, told.attached, told.queued, told.age_s, told.away_s) == (
        "ann", "ada", False, 2, 3.0, 3.0,
    )  # fmt: skip
    assert lab.rows() == [(0, QUEUED), (1, QUEUED)]
    assert "was restarted" in lab.ask().jobs[0].text


# --- jobs ---


def test_jobs_come_oldest_first_with_what_is_to_be_said_of_them() -> None:
    lab = Lab(durable=True)
    lab.session()
    lab.submit(5, keys=["one", "", "", "", ""])
    lab.now_ns = SECOND_NS
    first, second = lab.start()
    lab.end([first], *failure(outcome.RAISED, type=b"ValueError", message=b"no\nmore", traceback=b"..."))
    lab.now_ns = 3 * SECOND_NS
    rows = lab.ask("s").jobs
    assert [row.number for row in rows] == [0, 1, 2, 3, 4]
    assert (rows[0].state, rows[0].key, rows[0].text, rows[0].node) == (FAILED, "one", "ValueError: no", "a")
    assert (rows[1].state, rows[1].node, rows[1].duration_ns, rows[1].attempts) == (RUNNING, "a", 2 * SECOND_NS, 1)
    assert (rows[2].state, rows[2].text) == (QUEUED, "handed to node a, not started yet")
    assert (rows[4].state, rows[4].text) == (QUEUED, "all 2 slots of node a are busy")
    assert {row.computation for row in rows} == {"simulate"}
    lab.feed(on.JobsCancelled("s", [1]))
    assert lab.ask("s").jobs[1].text == "is being cancelled"
    assert second


@pytest.mark.parametrize("durable", [False, True])
def test_states_and_limit(durable: bool) -> None:
    lab = Lab(durable=durable)
    lab.session()
    lab.submit(10)
    tokens = lab.start()
    lab.end(tokens[:1])
    lab.end(tokens[1:], *failure(outcome.DIED, type=b"Died"))
    running = lab.start()
    assert len(running) == 2
    ended = 2 if durable else 0
    assert lab.ask().total == 8 + ended
    assert lab.rows(states=[RUNNING]) == [(2, RUNNING), (3, RUNNING)]
    assert lab.rows(states=[QUEUED]) == [(number, QUEUED) for number in range(4, 10)]
    assert lab.rows(states=[QUEUED, RUNNING], limit=3) == [(2, RUNNING), (3, RUNNING), (4, QUEUED)]
    assert lab.rows(states=[FINISHED]) == ([(0, FINISHED)] if durable else [])
    assert lab.ask(states=[FINISHED, QUEUED], limit=2).total == (7 if durable else 6)
    assert lab.ask(states=range(2, 8)).total == ended
    assert lab.ask(limit=0).total == 8 + ended
    assert lab.ask(limit=0).jobs == []


def test_the_list_goes_on_from_a_number() -> None:
    lab = Lab(durable=True)
    lab.session("s")
    lab.session("t")
    lab.submit(10, "s")
    lab.submit(3, "t")
    answer = lab.ask("s", first=7)
    assert ([row.number for row in answer.jobs], answer.total) == ([7, 8, 9], -1)
    assert [(row.session, row.number) for row in lab.ask(first=2).jobs][-1] == ("t", 2)
    assert lab.ask("s", first=10).jobs == []


@pytest.mark.parametrize(
    ("given", "rows"),
    [
        ({"limit": -5}, 0),
        ({"limit": 1 << 62}, 4),
        ({"first": -(1 << 62)}, 4),
        ({"first": 1 << 62}, 0),
        ({"states": [99, -1]}, 0),
        ({"states": [99, 0]}, 2),
    ],
)
def test_strange_questions(given: dict[str, Any], rows: int) -> None:
    lab = Lab(durable=True)
    lab.session()
    lab.submit(4)
    lab.start()
    assert len(lab.ask(**given).jobs) == rows
    assert lab.ask("nobody", **given).error == "there is no session 'nobody'"


def test_an_answer_fits_into_a_message() -> None:
    lab = Lab(durable=True)
    lab.session()
    count = 5 * limits.WATCHED_BYTES_MAX // 4000
    lab.submit(count, keys=[f"{number:1000}" for number in range(count)])
    answer = lab.ask()
    assert 0 < len(answer.jobs) < count
    assert answer.total == count
    assert sum(len(row.key) for row in answer.jobs) < limits.HEADER_MAX // 2
    rest = lab.ask(first=answer.jobs[-1].number + 1).jobs
    assert rest[0].number == answer.jobs[-1].number + 1


@pytest.fixture(scope="module")
def crowd() -> Lab:
    """Half of a million jobs have ended."""
    lab = Lab(durable=True)
    lab.told.feed = lab.core.feed  # nobody looks at this disk
    lab.session()
    for _ in range(0, 1_000_000, 50_000):
        lab.submit(50_000)
    node, session = lab.core.state.nodes["a"], lab.core.state.sessions["s"]
    while session.finished < 500_000:
        tokens = list(node.attempts)[: 500_000 - session.finished]
        lab.feed(on.ComputationReady("a", "s", "f"))
        lab.end(tokens, took_ns=1000)
    lab.feed(on.AttemptsStarted("a", list(node.attempts)[:2], [0, 0]))
    return lab


@pytest.mark.slow
@pytest.mark.parametrize("states", [[], [QUEUED], [RUNNING], [FINISHED], [FAILED], [FINISHED, QUEUED]])
def test_a_million_jobs_do_not_hold_up_anybody(crowd: Lab, states: list[int]) -> None:
    work = jobs(crowd.core.state, AskJobs(1, "s", states, 1000), 0)
    longest, steps = 0.0, 0
    while True:
        began = time.thread_time()
        try:
            next(work)
        except StopIteration as end:
            answer = end.value
            break
        finally:
            longest = max(longest, time.thread_time() - began)
            steps += 1
    counts = {FINISHED: 500_000, QUEUED: 499_998, RUNNING: 2, FAILED: 0}
    assert answer.total == sum(counts[JobState(state)] for state in states or counts)
    assert longest < 0.25, f"{longest:.3f} s in one of {steps} steps"
    if states in ([], [QUEUED], [RUNNING]):
        assert steps < 10


# --- cancel and logs ---


def test_who_can_be_cancelled() -> None:
    lab = Lab(durable=True)
    lab.session()
    lab.submit(4)
    lab.end(lab.start()[:1])
    state = lab.core.state
    assert not_ended(state, "s", [0, 1, 3, 3, 77, -1]) == [1, 3]
    assert not_ended(state, "s", []) == [1, 2, 3]
    assert not_ended(state, "nobody", []) == []


def test_logs_of_an_ended_job_come_in_pieces() -> None:
    lab = Lab(durable=True)
    lab.session()
    lab.submit(2)
    written = outcome.Stream(b"a" * limits.OUTPUT_PIECE + b"b" * 10, b"tail", 100)
    body = outcome.encode_outcome(outcome.Outcome(b"v", written, outcome.Stream(b"oops")))
    first, second = lab.start()
    lab.end([first], outcome.RETURNED | outcome.ENVELOPE, body)
    told = _logs(lab, 0)
    assert (told.state, told.running, told.attempts, told.stderr) == (FINISHED, False, 1, b"oops")
    assert told.stdout == b"a" * limits.OUTPUT_PIECE
    told = _logs(lab, 0, limits.OUTPUT_PIECE)
    assert (told.stdout_at, told.stdout) == (limits.OUTPUT_PIECE, b"b" * 10)
    told = _logs(lab, 0, limits.OUTPUT_PIECE + 10)
    assert (told.stdout_at, told.stdout) == (limits.OUTPUT_PIECE + 110, b"tail")
    lab.end([second])
    assert (_logs(lab, 1).stdout, _logs(lab, 1).error) == (b"", "")


def _logs(lab: Lab, job: int, stdout_from: int = 0) -> Logs:
    found = logs(lab.core.state, AskLogs(3, "s", job, stdout_from))
    assert isinstance(found, Logs)
    assert found.number == 3
    return found


def test_logs_of_a_running_job_are_the_nodes() -> None:
    lab = Lab()
    lab.session()
    lab.submit(3)
    first, _ = lab.start()
    assert logs(lab.core.state, AskLogs(1, "s", 0)) == Running("a", first, 1, True)
    lab.feed(on.NodeLost("a"))
    found = logs(lab.core.state, AskLogs(1, "s", 0))
    assert isinstance(found, Running)
    assert not found.reachable
    told = _logs(lab, 2)
    assert (told.state, told.running, told.error) == (QUEUED, True, "")


def test_logs_that_are_not_there_say_why() -> None:
    lab = Lab()
    lab.session()
    lab.submit(1)
    lab.end(lab.start())
    assert "keeps nothing of ended jobs" in _logs(lab, 0).error
    assert _logs(lab, 1).error == _logs(lab, -1).error.replace("-1", "1") == "session s has no job 1"
    found = logs(lab.core.state, AskLogs(1, "nobody", 0))
    assert isinstance(found, Logs)
    assert found.error == "there is no session 'nobody'"
    durable = Lab(durable=True)
    durable.session()
    durable.submit(1)
    durable.end(durable.start())
    durable.feed(on.ResultsTaken("s", [0]))
    assert "its result was taken" in _logs(durable, 0).error


def test_how_it_ended_is_one_line_and_never_fails() -> None:
    status, body = failure(outcome.NOT_RUN, type=b"NotRun", message=b"the file is missing\nsecond line")
    assert how_it_ended(FAILED, status, body) == "the file is missing"
    assert how_it_ended(FAILED, status, b"garbage") == ""
    assert how_it_ended(FINISHED, status, body) == ""
    assert how_it_ended(FAILED, outcome.RAISED, b"bare") == ""
    status, body = failure(outcome.RAISED, type=b"\xff\xfe", message=b"m" * 5000)
    assert len(how_it_ended(FAILED, status, body)) == 200
