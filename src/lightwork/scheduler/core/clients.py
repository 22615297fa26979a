"""What clients tell: sessions come and go, computations, submits, cancels."""

from __future__ import annotations

from collections.abc import Iterable

from lightwork.config import limits
from lightwork.model.errors import ProtocolError
from lightwork.model.states import ClusterEvent, JobState
from lightwork.scheduler.core import attaching, commands as do, events as on, facts as fact, submitting
from lightwork.scheduler.core.endings import failure_outcome
from lightwork.scheduler.core.jobs import Job
from lightwork.scheduler.core.nodes import Standing
from lightwork.scheduler.core.preparing import fail_if_hopeless
from lightwork.scheduler.core.seeking import meet
from lightwork.scheduler.core.sessions import ComputationRecord, Session
from lightwork.scheduler.core.state import Commands, Deliveries, State
from lightwork.wire import outcome


def on_client_joined(state: State, event: on.ClientJoined) -> Commands:
    """A session begins; it is told which nodes there are."""
    if state.ledger is not None:
        return attaching.join(state, state.ledger, event)
    if event.session in state.sessions:
        raise ProtocolError(f"session {event.session} is open already")
    session = state.open_session(event.session, event.user, event.host)
    ready = ClusterEvent.NODE_READY
    commands: Commands = [do.TellNode(event.session, ready, node.status()) for node in state.nodes.values()]
    return commands + [command for node in list(state.nodes.values()) for command in meet(state, session, node)]


def on_client_lost(state: State, event: on.ClientLost) -> Commands:
    """Nobody can fetch the results: all its work ends at once."""
    session = state.sessions.get(event.session)
    if session is None:
        return []
    session.closing = True
    commands = _stop(session.jobs.values(), now=True)
    for job in list(session.jobs.values()):
        for node, token in job.live():
            state.nodes[node].let_go(token)
        state.end(session, job, JobState.CANCELLED)
    if state.ledger is not None and session.name in state.ledger.sessions:
        state.record(fact.SessionEnded(session.name))
    return commands + state.release(session)


def on_client_congested(state: State, event: on.ClientCongested) -> Commands:
    """What runs goes on; nothing more is handed out."""
    if event.session in state.sessions:
        state.sessions[event.session].congested = True
    return []


def on_client_drained(state: State, event: on.ClientDrained) -> Commands:
    """Its jobs are placed again."""
    if event.session in state.sessions:
        state.sessions[event.session].congested = False
        state.queue.reconsider_for(state.sessions[event.session])
    return []


def on_storage_full(state: State, event: on.StorageFull) -> Commands:
    """New jobs are refused as long as there is no room for them."""
    if event.full == state.full:
        return []
    state.full = event.full
    text, hint = (submitting.FULL, submitting.FULL_HINT) if event.full else ("the scheduler's disk has room again", "")
    level = "warning" if event.full else "info"
    return [do.Warn(session, level, text, hint) for session in state.sessions]


def on_close_asked(state: State, event: on.CloseAsked) -> Commands:
    """The session ends when its jobs have."""
    session = state.sessions[event.session]
    if not session.closing:
        session.closing = True
        state.record(fact.Closing(session.name))
    commands = cancel(state, session, list(session.jobs)) if event.cancel else []
    return commands + state.release_if_done(session)


def on_computation_defined(state: State, event: on.ComputationDefined) -> Commands:
    """Jobs may name it from now on; a repetition changes nothing."""
    computations = state.sessions[event.session].computations
    if event.computation.digest not in computations:
        computations[event.computation.digest] = ComputationRecord(event.computation)
        state.record(fact.Defined(event.session, event.computation))
    return []


def on_jobs_submitted(state: State, event: on.JobsSubmitted) -> Commands:
    """New jobs join the queue. Those that came before (the client repeats them after an interrupt) change nothing."""
    session = state.sessions[event.session]
    known = max(0, session.next_number - event.first)
    if state.ledger is not None:
        refused = submitting.refuse(state, session, event, known)
        if refused is not None:
            return refused
    payloads = event.payloads[known:] if known else event.payloads
    if not payloads:
        return []
    group = session.group(event.computation, event.options)
    first, ordinal = event.first + known, state.ordinal
    session.next_number = first + len(payloads)
    jobs = [Job(first + i, group, payload, ordinal + i) for i, payload in enumerate(payloads)]
    for row in event.places:
        if row.index >= known:
            jobs[row.index - known].in_arena = True
    session.jobs.update({job.number: job for job in jobs})
    state.ordinal += len(jobs)
    group.live += len(jobs)
    state.queue.add(group, jobs)
    accepted = submitting.write_down(state, session, event, known, jobs) if state.ledger is not None else []
    record = session.computations[event.computation]
    return accepted + (fail_if_hopeless(state, session, record) if record.failed else [])


def on_jobs_cancelled(state: State, event: on.JobsCancelled) -> Commands:
    """Waiting jobs end at once, handed-out ones when their attempt reports."""
    session = state.sessions[event.session]
    return cancel(state, session, event.jobs) + state.release_if_done(session)


def cancel(state: State, session: Session, numbers: Iterable[int]) -> Commands:
    """Waiting jobs end at once, the others are stopped."""
    deliveries = Deliveries("")
    handed_out: list[Job] = []
    status, body = failure_outcome(outcome.CANCELLED, "JobCancelled", "cancelled before it started")
    again = failure_outcome(outcome.CANCELLED, "JobCancelled", "cancelled while it waited to be tried again")
    unreachable = failure_outcome(outcome.CANCELLED, "JobCancelled", "cancelled; its node is presumed dead")
    for number in numbers:
        job = session.jobs.get(number)
        if job is None or job.cancelled:
            continue
        job.cancelled = True
        if job.node and state.nodes[job.node].standing is Standing.DEAD:  # nobody will ever report
            state.nodes[job.node].let_go(job.token)
            deliveries.of(session.name).add(job, JobState.CANCELLED, *unreachable)
            state.end(session, job, JobState.CANCELLED)
        elif job.node:
            handed_out.append(job)
        else:
            tried = again if job.extra is not None and job.extra.due_ns else (status, body)
            deliveries.of(session.name).add(job, JobState.CANCELLED, *tried)
            state.end(session, job, JobState.CANCELLED)
    if handed_out and state.ledger is not None:
        state.record(fact.CancelAsked(session.name, [job.number for job in handed_out]))
    return _stop(handed_out) + deliveries.finish()


def _stop(jobs: Iterable[Job], *, now: bool = False) -> Commands:
    tokens: dict[str, list[int]] = {}
    for job in jobs:
        for node, token in job.live():
            tokens.setdefault(node, []).append(token)
    step = limits.COMMAND_JOBS_MAX
    return [
        do.Stop(node, found[at : at + step], now) for node, found in tokens.items() for at in range(0, len(found), step)
    ]
