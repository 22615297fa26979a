"""Attempts that end without a word of their own: they come back unstarted, die with their worker, are lost with a node.

unstarted                   --> its job waits again, as if nothing had been
killed its worker           --> tried again; after DEATHS_MAX (reentrant=False: one) POISONED
died or lost without fault  --> tried again; reentrant=False and started: LOST
one of two attempts         --> the other goes on
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from lightwork.kit.text import listed
from lightwork.model.states import JobState
from lightwork.scheduler.core import commands as do, events as on
from lightwork.scheduler.core.endings import Delivery, after_death, failure_outcome, with_message
from lightwork.scheduler.core.jobs import Job
from lightwork.scheduler.core.nodes import Node
from lightwork.scheduler.core.preparing import fail_hopeless
from lightwork.scheduler.core.retries import spend, words
from lightwork.scheduler.core.slot_time import took
from lightwork.scheduler.core.state import Commands, Deliveries, State
from lightwork.scheduler.core.twins import conclude, leave_to_other
from lightwork.wire import outcome
from lightwork.wire.messages import Attempt


def on_attempts_returned(state: State, event: on.AttemptsReturned) -> Commands:
    """Jobs that had not started wait again; those that were cancelled meanwhile end."""
    node = state.nodes[event.node]
    if event.tokens:  # else it had nothing to give: it is not asked again at once, over and over
        node.revoking_ns = -1
    node.moved = node.moved or not node.stuck_ns  # to give things back is no work
    return return_unstarted(state, node, event.tokens, event.reason)


def on_attempts_died(state: State, event: on.AttemptsDied) -> Commands:
    """By its own fault a job is tried again until it is poison; without fault it is tried again, or LOST."""
    node = state.nodes[event.node]
    node.moved = True
    deliveries = Deliveries(node.name)
    before: Commands = []
    again: list[Job] = []
    why = ""  # if they were ended by somebody else's word
    for i, (token, end) in enumerate(zip(event.tokens, accumulate(event.lengths), strict=True)):
        job = node.let_go(token)
        if job is None:
            continue
        job.deaths += event.blame
        took(job.group, event.ages_ns[i])
        why = state.killing.pop(token, why)
        body, age_ns = event.body[end - event.lengths[i] : end], event.ages_ns[i]
        started_ns = state.now_ns - age_ns
        becomes = after_death(job, blame=event.blame, started=True)
        if becomes is JobState.QUEUED or (job.twin is not None and becomes is not JobState.POISONED):
            text = why or words(outcome.DIED | outcome.ENVELOPE, body)
            attempt = Attempt(node.name, started_ns + state.wall_ns, age_ns, outcome.DIED, text)
            spend(state, job, attempt, blame=event.blame, told=token)
            left = leave_to_other(job, token, why or f"its worker on node {node.name} died")
            before += left or []
            if left is None:
                again.append(job)
            continue
        before += conclude(state, job, token)
        session = state.sessions[job.group.session]
        _end_dead(deliveries.of(session.name), job, becomes, node, body, started_ns, age_ns, why)
        state.end(session, job, becomes)
    commands = _tell_requeued(again, why or f"its worker on node {node.name} died")
    state.requeue(again, unstarted=False)
    return before + deliveries.finish() + commands + fail_hopeless(state, again) + state.release_done()


def _end_dead(
    delivery: Delivery, job: Job, state: JobState, node: Node, body: bytes, started_ns: int, age_ns: int, why: str
) -> None:
    if state is JobState.POISONED:
        told = with_message(body, _poison(job, node))
        delivery.add(job, state, outcome.DIED | outcome.ENVELOPE, told, started_ns, age_ns)
    elif state is JobState.CANCELLED:
        ended = failure_outcome(outcome.CANCELLED, "JobCancelled", "cancelled; its worker ended with it")
        delivery.add(job, state, *ended, started_ns, age_ns)
    else:
        ended = _lost(node, why or "its agent or keeper died while it ran")
        delivery.add(job, state, *ended, started_ns, age_ns)


def _poison(job: Job, node: Node) -> str:
    if job.deaths == 1:
        return f"the job killed its worker on node {node.name}"
    tried = dict.fromkeys([*(attempt.node for attempt in job.more().history), node.name])
    return f"the job killed {job.deaths} workers, the last on node {node.name} (nodes tried: {listed(list(tried))})"


def _lost(node: Node, why: str) -> tuple[int, bytes]:
    message = f"the job's end on node {node.name} is unknown ({why}), and reentrant=False forbids a second start"
    return failure_outcome(outcome.DIED, "JobLost", message, "reentrant=None lets such jobs start again")


def return_unstarted(state: State, node: Node, tokens: Iterable[int], why: str) -> Commands:
    """Attempts that have not started, or that their node never had."""
    return _settle(state, node, tokens, why)


def lose(state: State, node: Node, tokens: Iterable[int], why: str) -> Commands:
    """Attempts whose node no longer has them. Without the started word, `reentrant=False` jobs are LOST."""
    return _settle(state, node, sorted(tokens), why, may_have_started=True)


def give_up(state: State, node: Node) -> Commands:
    """The node is presumed dead: its jobs move, but those that must not start twice stay its own. (Cancelled: over.)"""
    moving = [
        token for token, job in node.attempts.items() if job.group.options.reentrant is not False or job.cancelled
    ]
    return _settle(state, node, moving, f"node {node.name} is lost", may_have_started=True)


def shed(state: State, node: Node, session: str) -> Commands:
    """The node is to have nothing of a session: of its jobs with two attempts, the one there is stopped."""
    commands: Commands = []
    for token, job in list(node.attempts.items()):
        if job.group.session == session and job.twin is not None:
            node.let_go(token)
            reason = f"node {node.name} is given back, and it runs elsewhere as well"
            _count(state, node, job, token, reason, may_have_started=True)
            commands.append(do.Stop(node.name, [token], now=True))
            commands += leave_to_other(job, token, reason) or []
    return commands


def lose_waiting(state: State, node: Node, jobs: Iterable[Job], why: str) -> Commands:
    """Waiting jobs that may run on this node alone, which is no more, are LOST."""
    deliveries = Deliveries(node.name)
    for job in list(jobs):
        if job.group.options.node == node.name and job.state < JobState.FINISHED and not job.node:
            message = f"the job may run on node {node.name} only: {why}"
            ended = failure_outcome(outcome.NOT_RUN, "JobLost", message, "submit() lets a job run on any node")
            deliveries.of(job.group.session).add(job, JobState.LOST, *ended)
            state.end(state.sessions[job.group.session], job, JobState.LOST)
    return deliveries.finish() + state.release_done()


def _settle(
    state: State, node: Node, tokens: Iterable[int], reason: str, *, may_have_started: bool = False
) -> Commands:
    """Attempts that are no more: back to the queue, or ended as `after_death` says."""
    deliveries = Deliveries(node.name)
    before: Commands = []
    again: list[Job] = []
    for token in tokens:
        job = node.let_go(token)
        if job is None:
            continue
        becomes = after_death(job, blame=False, started=may_have_started)
        if becomes is JobState.QUEUED or job.twin is not None:
            _count(state, node, job, token, reason, may_have_started)
            left = leave_to_other(job, token, reason)
            before += left or []
            if left is None:
                again.append(job)
            continue
        session = state.sessions[job.group.session]
        cancelled = becomes is JobState.CANCELLED
        ended = failure_outcome(outcome.CANCELLED, "JobCancelled", "cancelled") if cancelled else _lost(node, reason)
        deliveries.of(session.name).add(job, becomes, *ended, job.started_ns)
        state.end(session, job, becomes)
    commands = _tell_requeued(again, reason)
    state.requeue(again, unstarted=not may_have_started)
    return before + deliveries.finish() + commands + fail_hopeless(state, again) + state.release_done()


def _count(state: State, node: Node, job: Job, token: int, reason: str, may_have_started: bool) -> None:
    """An attempt that may have started is one; one that has not is none."""
    if not may_have_started:
        if job.twin is not None:  # else `take_back` says so
            job.attempts -= 1
        return
    stage, started_ns = job.stage(token)
    known = stage is JobState.RUNNING
    start_ns, lasted_ns = (started_ns + state.wall_ns, state.now_ns - started_ns) if known else (0, 0)
    spend(state, job, Attempt(node.name, start_ns, lasted_ns, outcome.DIED, reason), lost=token)


def _tell_requeued(jobs: Iterable[Job], reason: str) -> Commands:
    """Users who saw RUNNING must hear that it is over."""
    news: dict[str, do.TellRequeued] = {}
    for job in jobs:
        if job.state is JobState.RUNNING:
            session = job.group.session
            news.setdefault(session, do.TellRequeued(session, [], reason)).jobs.append(job.number)
    return list(news.values())
