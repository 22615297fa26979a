"""What becomes of attempts. News of a dead token changes nothing: `Node.let_go` knows only live ones."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from lightwork.config import limits
from lightwork.model.states import JobState
from lightwork.scheduler.core import commands as do, events as on
from lightwork.scheduler.core.endings import (
    STATE_AFTER,
    Delivery,
    after_death,
    failure_outcome,
    region_of,
    with_message,
)
from lightwork.scheduler.core.jobs import Job
from lightwork.scheduler.core.nodes import Node
from lightwork.scheduler.core.preparing import fail_hopeless
from lightwork.scheduler.core.sessions import Session
from lightwork.scheduler.core.state import Commands, Deliveries, State
from lightwork.wire import outcome


def on_attempts_started(state: State, event: on.AttemptsStarted) -> Commands:
    """Jobs are RUNNING from their started word."""
    node = state.nodes[event.node]
    news: dict[str, do.TellRunning] = {}
    for token, age_ns in zip(event.tokens, event.ages_ns, strict=True):
        job = node.attempts.get(token)
        if job is None or job.state is JobState.RUNNING:
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
    node.jobs_done += len(event.tokens)
    node.job_time_ns += sum(event.durations_ns)
    node.bytes_out += len(event.body)
    jobs = [node.let_go(token) for token in event.tokens]
    sessions = {job.group.session for job in jobs if job is not None}
    plain = len(sessions) == 1 and None not in jobs and not event.files
    if plain and len(jobs) <= limits.COMMAND_JOBS_MAX:
        session = state.sessions[sessions.pop()]
        return _all_ended(state, node, session, jobs, event)  # type: ignore[arg-type]  # None is not in jobs
    return _some_ended(state, node, jobs, event)


def _all_ended(state: State, node: Node, session: Session, jobs: list[Job], event: on.AttemptsEnded) -> Commands:
    """The hot path: every attempt of the batch lives, and all are of this session."""
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
        session.ended(job)
    _measure(node, session, jobs, event.durations_ns)
    return [delivery, *state.release_if_done(session)]


def _measure(node: Node, session: Session, jobs: list[Job], durations_ns: list[int]) -> None:
    """Learn how long jobs take, so that the right number is handed out ahead."""
    computation = jobs[0].group.computation
    if all(job.group.computation == computation for job in jobs):
        session.computations[computation].measured(durations_ns)
        node.widen(computation)
        return
    for job, duration_ns in zip(jobs, durations_ns, strict=True):
        _measure(node, session, [job], [duration_ns])


def _some_ended(state: State, node: Node, jobs: list[Job | None], event: on.AttemptsEnded) -> Commands:
    """Some attempts are dead to us, or of several sessions, or left files."""
    deliveries = Deliveries(node.name)
    files = dict(event.files)
    free = do.Free(node.name, [], [])
    for i, (job, end) in enumerate(zip(jobs, accumulate(event.lengths), strict=True)):
        body = event.body[end - event.lengths[i] : end]
        if job is None:
            free.regions += region_of(event.statuses[i], body)
            free.spooled += [event.tokens[i]] if i in files else []
            continue
        session = state.sessions[job.group.session]
        ended = STATE_AFTER[event.statuses[i] & outcome.KIND_MASK]
        started_ns, duration_ns = state.now_ns - event.ages_ns[i], event.durations_ns[i]
        delivery = deliveries.of(session.name)
        delivery.add(job, ended, event.statuses[i], body, started_ns, duration_ns, files.get(i))
        if i in files:
            node.kept[event.tokens[i]] = session.name
        state.end(session, job, ended)
        _measure(node, session, [job], [duration_ns])
    freed = [free] if free.regions or free.spooled else []
    return [*freed, *deliveries.finish(), *_release_done(state)]


def on_attempts_returned(state: State, event: on.AttemptsReturned) -> Commands:
    """Jobs that had not started wait again; those that were cancelled meanwhile end."""
    node = state.nodes[event.node]
    node.revoking_ns = -1
    return _settle(state, node, event.tokens, event.reason)


def on_attempts_died(state: State, event: on.AttemptsDied) -> Commands:
    """By its own fault a job is tried again until it is poison; without fault it is tried again, or LOST."""
    node = state.nodes[event.node]
    deliveries = Deliveries(node.name)
    again: list[Job] = []
    for i, (token, end) in enumerate(zip(event.tokens, accumulate(event.lengths), strict=True)):
        job = node.let_go(token)
        if job is None:
            continue
        job.deaths += event.blame
        becomes = after_death(job, blame=event.blame, started=True)
        if becomes is JobState.QUEUED:
            again.append(job)
            continue
        body = event.body[end - event.lengths[i] : end]
        session = state.sessions[job.group.session]
        started_ns = state.now_ns - event.ages_ns[i]
        _end_dead(deliveries.of(session.name), job, becomes, node, body, started_ns, event.ages_ns[i])
        state.end(session, job, becomes)
    commands = _tell_requeued(again, f"its worker on node {node.name} died")
    state.requeue(again, unstarted=False)
    return deliveries.finish() + commands + fail_hopeless(state, again) + _release_done(state)


def _end_dead(
    delivery: Delivery, job: Job, state: JobState, node: Node, body: bytes, started_ns: int, age_ns: int
) -> None:
    if state is JobState.POISONED:
        times = "its worker" if job.deaths == 1 else f"{job.deaths} workers"
        told = with_message(body, f"the job killed {times}, the last on node {node.name}")
        delivery.add(job, state, outcome.DIED | outcome.ENVELOPE, told, started_ns, age_ns)
    elif state is JobState.CANCELLED:
        ended = failure_outcome(outcome.CANCELLED, "JobCancelled", "cancelled; its worker ended with it")
        delivery.add(job, state, *ended, started_ns, age_ns)
    else:
        ended = _lost(node, "its agent or keeper died while it ran")
        delivery.add(job, state, *ended, started_ns, age_ns)


def _lost(node: Node, why: str) -> tuple[int, bytes]:
    message = f"the job's end on node {node.name} is unknown ({why}), and reentrant=False forbids a second start"
    return failure_outcome(outcome.DIED, "JobLost", message, "reentrant=None lets such jobs start again")


def lose(state: State, node: Node, tokens: Iterable[int], why: str) -> Commands:
    """Attempts whose node no longer has them. Without the started word, `reentrant=False` jobs are LOST."""
    return _settle(state, node, sorted(tokens), why, may_have_started=True)


def give_up(state: State, node: Node) -> Commands:
    """The node is presumed dead: its jobs move, but those that must not start twice stay its own. (Cancelled: over.)"""
    moving = [
        token for token, job in node.attempts.items() if job.group.options.reentrant is not False or job.cancelled
    ]
    return _settle(state, node, moving, f"node {node.name} is lost", may_have_started=True)


def lose_waiting(state: State, node: Node, jobs: Iterable[Job], why: str) -> Commands:
    """Waiting jobs that may run on this node alone, which is no more, are LOST."""
    deliveries = Deliveries(node.name)
    for job in list(jobs):
        if job.group.options.node == node.name and job.state < JobState.FINISHED and not job.node:
            message = f"the job may run on node {node.name} only: {why}"
            ended = failure_outcome(outcome.NOT_RUN, "JobLost", message, "submit() lets a job run on any node")
            deliveries.of(job.group.session).add(job, JobState.LOST, *ended)
            state.end(state.sessions[job.group.session], job, JobState.LOST)
    return deliveries.finish() + _release_done(state)


def _settle(
    state: State, node: Node, tokens: Iterable[int], reason: str, *, may_have_started: bool = False
) -> Commands:
    """Attempts that are no more: back to the queue, or ended as `after_death` says."""
    deliveries = Deliveries(node.name)
    again: list[Job] = []
    for token in tokens:
        job = node.let_go(token)
        if job is None:
            continue
        becomes = after_death(job, blame=False, started=may_have_started)
        if becomes is JobState.QUEUED:
            again.append(job)
            continue
        session = state.sessions[job.group.session]
        cancelled = becomes is JobState.CANCELLED
        ended = failure_outcome(outcome.CANCELLED, "JobCancelled", "cancelled") if cancelled else _lost(node, reason)
        deliveries.of(session.name).add(job, becomes, *ended, job.started_ns)
        state.end(session, job, becomes)
    commands = _tell_requeued(again, reason)
    state.requeue(again, unstarted=not may_have_started)
    return deliveries.finish() + commands + fail_hopeless(state, again) + _release_done(state)


def _tell_requeued(jobs: Iterable[Job], reason: str) -> Commands:
    """Users who saw RUNNING must hear that it is over."""
    news: dict[str, do.TellRequeued] = {}
    for job in jobs:
        if job.state is JobState.RUNNING:
            session = job.group.session
            news.setdefault(session, do.TellRequeued(session, [], reason)).jobs.append(job.number)
    return list(news.values())


def _release_done(state: State) -> Commands:
    commands: Commands = []
    for session in list(state.sessions.values()):
        commands += state.release_if_done(session)
    return commands


def on_attempt_spoke(state: State, event: on.AttemptSpoke) -> Commands:
    """An intermediate result passes to its client."""
    job = state.nodes[event.node].attempts.get(event.token)
    if job is None:
        return [do.Free(event.node, region_of(outcome.IN_ARENA, event.body))] if event.in_arena else []
    told = do.TellProvisional(job.group.session, job.number, event.body, event.in_arena)
    return [*_speaks(state, event.node, event.token), told]


def on_attempt_sent_file(state: State, event: on.AttemptSentFile) -> Commands:
    """A file passes to its client, which fetches it."""
    job = state.nodes[event.node].attempts.get(event.token)
    if job is None:
        return [do.Free(event.node, spooled=[event.token])]
    told = do.TellFile(job.group.session, event.node, job.number, event.token, event.name, event.file)
    return [*_speaks(state, event.node, event.token), told]


def _speaks(state: State, node: str, token: int) -> Commands:
    """An attempt that has something to say has started, though its started word was not looked at yet."""
    return on_attempts_started(state, on.AttemptsStarted(node, [token], [0]))
