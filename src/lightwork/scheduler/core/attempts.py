"""What attempts say: they have started, they have ended, they have something for their user.

ended --+--> all of one session, and nothing special: the hot path, one Deliver as it came
        +--> one by one: an end, a failure that is tried again (`retries`), one of two attempts (`twins`), nobody's

News of a dead token changes nothing: `Node.let_go` knows only live ones.
"""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple

from lightwork.config import limits
from lightwork.model.states import JobState
from lightwork.scheduler.core import commands as do, events as on
from lightwork.scheduler.core.endings import STATE_AFTER, region_of
from lightwork.scheduler.core.jobs import Group, Job
from lightwork.scheduler.core.nodes import Node
from lightwork.scheduler.core.preparing import fail_hopeless
from lightwork.scheduler.core.retries import OWN_ENDS, delay, may_retry, spend, words
from lightwork.scheduler.core.sessions import Session
from lightwork.scheduler.core.slot_time import each_took, took
from lightwork.scheduler.core.state import Commands, Deliveries, State
from lightwork.scheduler.core.twins import conclude, leave_to_other, note_started
from lightwork.wire import outcome
from lightwork.wire.messages import Attempt, File

NOT_TELLING = frozenset((outcome.CANCELLED, outcome.NOT_RUN))  # these ends say nothing of how long such jobs take


class End(NamedTuple):
    """How one attempt ended."""

    token: int
    status: int
    body: bytes
    started_ns: int
    duration_ns: int
    files: list[File] | None


def on_attempts_started(state: State, event: on.AttemptsStarted) -> Commands:
    """Jobs are RUNNING from their started word. (Of a second attempt nobody is told.)"""
    node = state.nodes[event.node]
    node.moved = True
    news: dict[str, do.TellRunning] = {}
    for token, age_ns in zip(event.tokens, event.ages_ns, strict=True):
        job = node.attempts.get(token)
        if job is None or token in state.running:
            continue
        note_started(state, job, token)
        if token != job.token:
            job.start_twin(state.now_ns - age_ns)
            continue
        job.start(state.now_ns - age_ns)
        session = job.group.session
        told = news.setdefault(session, do.TellRunning(session, event.node, [], []))
        told.jobs.append(job.number)
        told.starts_ns.append(job.started_ns)
    return list(news.values())


def on_attempts_ended(state: State, event: on.AttemptsEnded) -> Commands:
    """Jobs end. Mostly they are all of one session, and then their bodies pass through in one piece."""
    node = state.nodes[event.node]
    node.moved = True
    node.jobs_done += len(event.tokens)
    node.job_time_ns += sum(event.durations_ns)
    node.bytes_out += len(event.body)
    found = node.let_all_go(event.tokens)
    jobs = [job for job in found if job is not None and job.extra is None]
    if len(jobs) == len(found) <= limits.COMMAND_JOBS_MAX and not event.files:
        groups = {job.group for job in jobs}
        kinds = {status & outcome.KIND_MASK for status in set(event.statuses)}
        again = not kinds.isdisjoint(OWN_ENDS) and any(group.options.retries for group in groups)
        if len({group.session for group in groups}) == 1 and not again:
            return _all_ended(state, node, jobs, groups, kinds, event)
    return _some_ended(state, node, found, event)


def _all_ended(
    state: State, node: Node, jobs: list[Job], groups: set[Group], kinds: set[int], event: on.AttemptsEnded
) -> Commands:
    """The hot path: every attempt of the batch lives, none has a past, and all are of one session."""
    session = state.sessions[jobs[0].group.session]
    if len(kinds) == 1:
        states = [STATE_AFTER[next(iter(kinds))]] * len(jobs)
    else:
        states = [STATE_AFTER[status & outcome.KIND_MASK] for status in event.statuses]
    now_ns = state.now_ns
    delivery = do.Deliver(
        session.name,
        node.name,
        [job.number for job in jobs],
        states,  # type: ignore[arg-type]  # an IntEnum is an int
        event.statuses,
        [now_ns - age_ns for age_ns in event.ages_ns],
        event.durations_ns,
        [job.attempts for job in jobs],
        event.lengths,
        event.body,
    )
    for job, ended in zip(jobs, states, strict=True):
        job.state = ended
    session.all_ended(jobs)
    computations = {group.computation for group in groups}
    if len(groups) == 1:
        took(jobs[0].group, sum(event.durations_ns), len(jobs))
    else:
        each_took(jobs, event.durations_ns)
    if len(computations) == 1 and kinds.isdisjoint(NOT_TELLING):
        _measure(node, session, computations.pop(), event.durations_ns)
    else:
        for job, status, duration_ns in zip(jobs, event.statuses, event.durations_ns, strict=True):
            _measure_one(node, session, job, status, duration_ns)
    return [delivery, *state.release_if_done(session)]


def _measure(node: Node, session: Session, computation: str, durations_ns: list[int]) -> None:
    """Learn how long jobs take, so that the right number is handed out ahead."""
    session.computations[computation].measured(node.name, durations_ns)


def _measure_one(node: Node, session: Session, job: Job, status: int, duration_ns: int) -> None:
    if status & outcome.KIND_MASK not in NOT_TELLING:
        _measure(node, session, job.group.computation, [duration_ns])


def _some_ended(state: State, node: Node, jobs: list[Job | None], event: on.AttemptsEnded) -> Commands:
    """Some attempts are dead to us, or of several sessions, or left files, or are not their job's end."""
    deliveries = Deliveries(node.name)
    files = dict(event.files)
    free = do.Free(node.name, [], [])
    before: Commands = []
    failed: list[Job] = []
    for i, (job, at) in enumerate(zip(jobs, accumulate(event.lengths), strict=True)):
        token, status, duration_ns = event.tokens[i], event.statuses[i], event.durations_ns[i]
        body = event.body[at - event.lengths[i] : at]
        end = End(token, status, body, state.now_ns - event.ages_ns[i], duration_ns, files.get(i))
        if job is None:
            _forget(free, end)
            continue
        session = state.sessions[job.group.session]
        took(job.group, duration_ns)
        _measure_one(node, session, job, status, duration_ns)
        if job.twin is not None and status & outcome.KIND_MASK == outcome.NOT_RUN:
            _forget(free, end)
            before += _not_for_this_node(state, node, job, end)
            continue
        if may_retry(job, status):
            _forget(free, end, sent=job.stage(token)[0] is JobState.RUNNING)
            before += _failed(state, node, job, end)
            failed.append(job)
            continue
        before += conclude(state, job, token, won=True)
        ended = STATE_AFTER[status & outcome.KIND_MASK]
        deliveries.of(session.name).add(job, ended, status, body, end.started_ns, duration_ns, end.files)
        if end.files and state.ledger is None:  # else they lie in our own store
            node.kept[token] = session.name
        state.end(session, job, ended)
    freed = [free] if free.regions or free.spooled else []
    ends = deliveries.finish() + fail_hopeless(state, failed)
    return [*freed, *before, *ends, *state.release_done()]


def _forget(free: do.Free, end: End, *, sent: bool = False) -> None:
    """Nobody will ask for what this attempt left. `sent`: it may have sent files while it ran."""
    free.regions += region_of(end.status, end.body)
    if end.files or sent:
        free.spooled.append(end.token)


def _failed(state: State, node: Node, job: Job, end: End) -> Commands:
    """It is tried again after a while, unless another attempt of it still runs."""
    kind = end.status & outcome.KIND_MASK
    text = words(end.status, end.body)
    start_ns = 0 if kind == outcome.NOT_RUN else end.started_ns + state.wall_ns
    spend(state, job, Attempt(node.name, start_ns, end.duration_ns, kind, text), retry=True, told=end.token)
    reason = f"failed on node {node.name}: {text}"
    left = leave_to_other(job, end.token, reason)
    if left is not None:
        return left
    told = [do.TellRequeued(job.group.session, [job.number], reason)] if job.state is JobState.RUNNING else []
    delay(state, job)
    return [*told]


def _not_for_this_node(state: State, node: Node, job: Job, end: End) -> Commands:
    """One of two attempts could not even be started: that says nothing of the job, which runs elsewhere."""
    job.attempts -= 1
    state.sessions[job.group.session].regroup(job, job.group.avoid | {node.name})
    return leave_to_other(job, end.token, f"node {node.name} could not start it") or []


def on_attempt_spoke(state: State, event: on.AttemptSpoke) -> Commands:
    """An intermediate result passes to its client."""
    job = state.nodes[event.node].attempts.get(event.token)
    started = _speaks(state, event.node, event.token) if job is not None else []
    if job is None or job.token != event.token:
        freed = [do.Free(event.node, region_of(outcome.IN_ARENA, event.body))] if event.in_arena else []
        return [*started, *freed]
    return [*started, do.TellProvisional(job.group.session, job.number, event.body, event.in_arena)]


def on_attempt_sent_file(state: State, event: on.AttemptSentFile) -> Commands:
    """A file passes to its client, which fetches it. A second attempt's waits for what becomes of that."""
    job = state.nodes[event.node].attempts.get(event.token)
    if job is None:
        return [do.Free(event.node, spooled=[event.token])]
    started = _speaks(state, event.node, event.token)
    told = do.TellFile(job.group.session, event.node, job.number, event.token, event.name, event.file)
    twin = job.twin
    if twin is not None and twin.token == event.token:
        twin.files.append(told)
        return started
    return [*started, told]


def _speaks(state: State, node: str, token: int) -> Commands:
    """An attempt that has something to say has started, though its started word was not looked at yet."""
    return on_attempts_started(state, on.AttemptsStarted(node, [token], [0]))
