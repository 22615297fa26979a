"""Computations on nodes: ready here, failed there, hopeless everywhere."""

from __future__ import annotations

from collections.abc import Iterable

from lightwork.model.states import JobState
from lightwork.scheduler.core import commands as do, events as on
from lightwork.scheduler.core.endings import Delivery
from lightwork.scheduler.core.explain import failed_everywhere
from lightwork.scheduler.core.jobs import Job
from lightwork.scheduler.core.sessions import ComputationRecord, Session
from lightwork.scheduler.core.state import Commands, State
from lightwork.wire import outcome


def on_computation_ready(state: State, event: on.ComputationReady) -> Commands:
    """Told to the session, which may be waiting for it."""
    session = state.sessions.get(event.session)
    if session is None or event.computation not in session.computations:
        return []
    if event.epoch < session.computations[event.computation].epoch:
        return []  # of before an update: another word follows
    session.computations[event.computation].ready.add(event.node)
    if session.steps.latest:
        state.queue.reconsider(state.nodes[event.node])
    told = do.TellComputation(event.session, event.computation, event.node, True)
    return [told, *prepared_again(session, event.node, event.computation)]


def on_computation_failed(state: State, event: on.ComputationFailed) -> Commands:
    """The node is not used for it; when no node is left, its jobs end with what it said."""
    session = state.sessions.get(event.session)
    if session is None or event.computation not in session.computations:
        return []
    record = session.computations[event.computation]
    if event.epoch < record.epoch:
        return []
    record.failed[event.node] = event.failure
    state.queue.reconsider(state.nodes[event.node])
    told = do.TellComputation(event.session, event.computation, event.node, False, event.failure)
    again = prepared_again(session, event.node, event.computation, failed=True)
    return [told, *again, *fail_if_hopeless(state, session, record)]


def prepared_again(session: Session, node: str, digest: str, *, failed: bool = False) -> Commands:
    """If a re-setup waited for this: it is done when nothing more is awaited."""
    share = session.shares.get(node)
    if share is None or digest not in share.awaited:
        return []
    share.awaited.discard(digest)
    if failed:
        share.awaited.clear()
        return [do.Answer(session.name, share.order, f"setup failed on node {node}")]
    return [] if share.awaited else [do.Answer(session.name, share.order)]


def fail_hopeless(state: State, jobs: Iterable[Job]) -> Commands:
    """Of jobs that wait again: those whose computation has failed on every node meanwhile end with that."""
    commands: Commands = []
    for name, digest in dict.fromkeys((job.group.session, job.group.computation) for job in jobs):
        session = state.sessions.get(name)
        if session is not None and session.computations[digest].failed:
            commands += fail_if_hopeless(state, session, session.computations[digest])
    return commands


def fail_if_hopeless(state: State, session: Session, record: ComputationRecord) -> Commands:
    """If the computation failed on every node there is, its waiting jobs end with the first failure."""
    if not failed_everywhere(state.nodes.values(), session, record):
        return []
    node, failure = next(iter(record.failed.items()))
    body = outcome.encode_outcome(outcome.Outcome(b"", failure=failure))
    delivery = Delivery(session.name, node)
    digest = record.computation.digest
    for job in list(session.jobs.values()):
        if job.group.computation == digest and not job.node:
            delivery.add(job, JobState.FAILED, outcome.NOT_RUN | outcome.ENVELOPE, body)
            state.end(session, job, JobState.FAILED)
    return [*delivery.finish(), *state.release_if_done(session)]
