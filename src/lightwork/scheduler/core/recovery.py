"""A life after a restart: tables out of the ledger, and attempts that ran on meanwhile.

restore: jobs that had not ended wait; granted ones stay with their node; nodes are AWAY, and are awaited
                                 |
NodeTruth of each ---------------+--> what runs or has ended there is adopted, what nobody wants is stopped
or one lease is over             |    what was granted and is not there: had not started (same era), or LOST
                                 v
                         placing goes on
"""

from __future__ import annotations

from itertools import accumulate

from lightwork.model.states import JobState
from lightwork.scheduler.core import commands as do, events as on, facts as fact, retries
from lightwork.scheduler.core.accounts import Account, Entry
from lightwork.scheduler.core.attempts import on_attempts_started
from lightwork.scheduler.core.control import leave_what_was_told
from lightwork.scheduler.core.endings import failure_outcome
from lightwork.scheduler.core.hosts import ask_back, kill_what_was_told, settle
from lightwork.scheduler.core.jobs import Job
from lightwork.scheduler.core.ledger import Ledger
from lightwork.scheduler.core.losses import lose, return_unstarted
from lightwork.scheduler.core.nodes import Node, Standing
from lightwork.scheduler.core.retries import may_retry
from lightwork.scheduler.core.sessions import ComputationRecord, Session
from lightwork.scheduler.core.state import Commands, Deliveries, State
from lightwork.scheduler.core.wishes import address_of, is_pattern
from lightwork.wire import outcome
from lightwork.wire.messages import Hardware
from lightwork.wire.outcome import ARENA_REFERENCE

HELD, STARTED, ENDED = range(3)  # stages of wire Truth
_RANK = {STARTED: 0, HELD: 1, ENDED: 2}  # of several attempts of one job, which is adopted


def restore(state: State, ledger: Ledger, now_ns: int) -> None:
    """Make this empty state one that goes on where the ledger stops. The epoch is a new one."""
    state.ledger, state.now_ns = ledger, now_ns
    ledger.unneeded.clear()  # whoever keeps the blobs begins with `needs`
    state.record(fact.Began(ledger.epoch + 1, ledger.identity))
    for known in ledger.nodes.values():
        node = Node(known.node, 0, "", Hardware(), now_ns)
        node.standing, node.identity, node.era, node.untold = Standing.AWAY, known.identity, known.era, True
        node.lease_ns, node.via = known.lease_ns, known.via
        state.add_node(node)
        if known.via:
            state.prospects.add(known.via, listed=True)
    state.ordinal = ledger.ordinal
    for account in ledger.sessions.values():
        _restore_session(state, account)
    wanting = [account for account in ledger.sessions.values() if account.exclusive and account.since]
    state.exclusive = {account.name: account.since for account in sorted(wanting, key=lambda one: one.since)}
    state.awaited = set(ledger.nodes) if any(session.jobs for session in state.sessions.values()) else set()
    state.restoring = True
    state.hosts = ledger.hosts
    for node in state.nodes.values():
        settle(state, node)
    for wanted in state.hosts.wanted():
        if not is_pattern(wanted.host):
            state.prospects.add(address_of(wanted), listed=True)


def _restore_session(state: State, account: Account) -> None:
    session = state.open_session(account.name, account.user, account.host)
    session.key = account.key
    session.incarnation, session.lasting, session.first = account.incarnation, account.lasting, account.first
    session.next_number, session.away_ns = account.next_number, state.now_ns
    session.closing = account.closing
    session.wishes, session.only = list(account.wishes), account.only
    session.weight, session.exclusive = account.weight, account.exclusive
    for wanted in account.wishes:
        if not is_pattern(wanted.host):
            state.prospects.add(address_of(wanted), listed=True)
    for computation in account.computations.values():
        session.computations[computation.digest] = ComputationRecord(computation)
    for digest, step in account.steps.latest.items():
        session.steps.take(step.old, digest, step.epoch, step.first)
        session.computations[digest].epoch = step.epoch
    for entry in account.entries.values():
        if entry.end is None:
            _restore_job(state, session, entry)


def _restore_job(state: State, session: Session, entry: Entry) -> None:
    failed_on = retries.failed_on(one for one, _, _ in entry.spent)
    group = session.group(entry.computation, entry.options, failed_on, entry.epoch)
    group.shape.judged = True  # the nodes that could run it may not be back yet
    job = Job(entry.number, group, entry.payload, entry.ordinal)
    job.cancelled = entry.cancelled
    retries.restore(job, entry.spent)
    if entry.stored is not None:
        job.payload, job.in_arena = ARENA_REFERENCE.pack(0, entry.stored.size), True
    session.jobs[entry.number] = job
    group.live += 1
    grant = entry.grant
    if grant is not None and grant.node in state.nodes:
        state.nodes[grant.node].adopt(job, grant.token)
        job.state = JobState.RUNNING
    else:
        state.queue.add(group, [job])


def on_node_truth(state: State, event: on.NodeTruth) -> Commands:
    """All that a node has: adopted where its job waits for just that, stopped where nobody does."""
    node = state.nodes[event.node]
    node.untold = False
    state.awaited.discard(node.name)
    state.queue.reconsider(node)
    commands: Commands = []
    adopted: list[tuple[Job, int, int]] = []
    unwanted: list[int] = []
    late: dict[int, Job] = {}
    state.late[node.name] = late
    spare = _spare(state, event)
    rows = zip(event.tokens, event.session, event.jobs, event.stages, event.ages_ns, strict=True)
    for token, index, number, stage, age_ns in rows:
        session = state.sessions.get(event.sessions[index])
        job = session.jobs.get(number) if session is not None else None
        known = node.attempts.get(token)
        if known is not None:
            adopted.append((known, token, age_ns if stage else -1))
        elif job is not None and not job.node and not _is_told(state, job, token) and token not in spare:
            adopted.append((job, token, age_ns if stage else -1))
        else:
            if job is not None and not _is_told(state, job, token):
                late[token] = job  # it has ended, or may end before it is stopped
            if stage != ENDED:
                unwanted.append(token)
    waiting = [job for job, token, _ in adopted if token not in node.attempts]
    state.queue.pull([job for job in waiting if not state.delays.drop(job)])
    commands += _adopt(state, node, adopted)
    commands += _missing(state, node, set(event.tokens), event)
    if unwanted:
        commands.append(do.Stop(node.name, unwanted, True))
    _trace(state, node, event.sessions)
    commands += [do.Release(node.name, name) for name in event.sessions if _is_over(state, name)]
    if node.drained_by or node.removed_by:
        commands += ask_back(state, node) + kill_what_was_told(state, node)
    commands += leave_what_was_told(state, node, event.sessions, event.clearing)
    return commands + (end_hold(state) if state.restoring and not state.awaited else [])


def _trace(state: State, node: Node, names: list[str]) -> None:
    """The node has something of these sessions: it is told when they are over, and awaited if they are just ending."""
    for name in names:
        session = state.sessions.get(name)
        if session is not None:
            session.traces.add(node.name)
            if session.releasing:
                session.releasing.add(node.name)


def _is_over(state: State, name: str) -> bool:
    """Whether nodes are to forget this session."""
    session = state.sessions.get(name)
    return session is None or bool(session.releasing)


def _spare(state: State, event: on.NodeTruth) -> set[int]:
    """Where a node has several attempts of one job: those that are not adopted. One that runs is rather than one that
    has ended, for that end may be a death; if it is a result, it wins as a late one."""
    pairs = list(zip(event.session, event.jobs, strict=True))
    if len(set(pairs)) == len(pairs):
        return set()
    found: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for pair, token, stage in zip(pairs, event.tokens, event.stages, strict=True):
        session = state.sessions.get(event.sessions[pair[0]])
        job = session.jobs.get(pair[1]) if session is not None else None
        if job is not None and not _is_told(state, job, token):
            found.setdefault(pair, []).append((_RANK.get(stage, len(_RANK)), token))
    return {token for several in found.values() for _, token in sorted(several)[1:]}


def _is_told(state: State, job: Job, token: int) -> bool:
    """Whether the end of this attempt came to an earlier life of ours, which had no time to say that it did."""
    account = state.ledger.sessions.get(job.group.session) if state.ledger is not None else None
    entry = account.entries.get(job.number) if account is not None else None
    return entry is not None and token in entry.told


def take_late(state: State, event: on.AttemptsEnded) -> Commands:
    """Ends of attempts that were given up, while their jobs run again elsewhere: the first result wins."""
    late = state.late.get(event.node)
    if not late:
        return []
    node = state.nodes[event.node]
    commands: Commands = []
    for token, status in zip(event.tokens, event.statuses, strict=True):
        job = late.pop(token, None)
        if job is None or job.state >= JobState.FINISHED or job.twin is not None or may_retry(job, status):
            continue
        if status & outcome.KIND_MASK in (outcome.CANCELLED, outcome.NOT_RUN):  # that says nothing of the job
            continue
        if job.node:
            state.nodes[job.node].let_go(job.token)
            commands.append(do.Stop(job.node, [job.token], True))
            job.take_back(unstarted=job.state is JobState.QUEUED)
        elif not state.delays.drop(job):
            state.queue.pull([job])
        retries.unspend(state, job, token)
        node.adopt(job, token)
    return commands


def without_strays(state: State, event: on.AttemptsEnded) -> list[on.Event]:
    """The same end, but for attempts that were stopped as a twin, or because their job went on elsewhere, before we
    lost our memory of that: whoever did not ask for it is not told that the job was cancelled. And but for those that
    could not be started, while the other attempt of their job may be told of: else it is tried once more."""
    strays = {outcome.CANCELLED, outcome.NOT_RUN} if state.restoring else {outcome.CANCELLED}
    if strays.isdisjoint(status & outcome.KIND_MASK for status in set(event.statuses)):
        return [event]
    attempts = state.nodes[event.node].attempts
    events: list[on.Event] = []
    at = 0
    kept: list[int] = []
    for index, (token, status, length) in enumerate(zip(event.tokens, event.statuses, event.lengths, strict=True)):
        job, kind = attempts.get(token), status & outcome.KIND_MASK
        if job is None or job.cancelled or kind not in strays:
            kept.append(index)
        elif kind == outcome.CANCELLED:
            body = event.body[at : at + length]
            events.append(on.AttemptsDied(event.node, [token], False, [event.ages_ns[index]], [len(body)], body))
        elif job.group.options.reentrant is not False and not job.group.options.node:
            events.append(on.AttemptsReturned(event.node, [token], f"node {event.node} could not start it"))
        else:
            kept.append(index)
        at += length
    return [event, *events] if not events else [_only(event, kept), *events]


def _only(event: on.AttemptsEnded, kept: list[int]) -> on.AttemptsEnded:
    """Some rows of it."""
    ends = list(accumulate(event.lengths))
    place = {index: row for row, index in enumerate(kept)}
    return on.AttemptsEnded(
        event.node,
        [event.tokens[index] for index in kept],
        [event.statuses[index] for index in kept],
        [event.ages_ns[index] for index in kept],
        [event.durations_ns[index] for index in kept],
        [event.lengths[index] for index in kept],
        b"".join(event.body[ends[index] - event.lengths[index] : ends[index]] for index in kept),
        [(place[index], files) for index, files in event.files if index in place],
    )


def _adopt(state: State, node: Node, found: list[tuple[Job, int, int]]) -> Commands:
    """Attempts of an earlier life, or of before the node was given up, are ours (again)."""
    commands: Commands = []
    stopped: list[int] = []
    for job, token, age_ns in found:
        if token not in node.attempts:
            retries.unspend(state, job, token)
            node.adopt(job, token)
        if job.cancelled:
            stopped.append(token)
        if age_ns >= 0:
            commands += on_attempts_started(state, on.AttemptsStarted(node.name, [token], [age_ns]))
        elif token == job.token and job.group.options.reentrant is not False:
            job.state = JobState.QUEUED
    if stopped:
        commands.append(do.Stop(node.name, stopped))
    return commands


def _missing(state: State, node: Node, told: set[int], event: on.NodeTruth) -> Commands:
    """Attempts that the node does not have. In the era in which they were given to it, they had not started."""
    missing = [token for token in node.attempts if token not in told]
    if not missing:
        return []
    ledger = state.ledger
    unstarted: list[int] = []
    gone: list[int] = []
    for token in missing:
        job = node.attempts[token]
        account = ledger.sessions.get(job.group.session) if ledger is not None else None
        entry = account.entries.get(job.number) if account is not None else None
        era = entry.grant.era if entry is not None and entry.grant is not None else node.era
        (gone if job.stage(token)[1] or era != node.era else unstarted).append(token)
    why = f"node {node.name} let go of it, or was restarted"
    return return_unstarted(state, node, unstarted, why) + lose(state, node, gone, why)


def hold_is_over(state: State) -> bool:
    """Whether placing may go on: each node that is awaited has told, or has not been heard for a lease."""
    nodes = [state.nodes[name] for name in state.awaited if name in state.nodes]
    return all(node.standing is Standing.DEAD or state.now_ns - node.heard_ns >= state.hold_of(node) for node in nodes)


def end_hold(state: State) -> Commands:
    """Nobody else is waited for. Jobs that were cancelled, and run nowhere, end now."""
    state.restoring = False
    state.awaited.clear()
    state.queue.reconsider()
    deliveries = Deliveries("")
    ended = failure_outcome(outcome.CANCELLED, "JobCancelled", "cancelled; it did not run any more")
    for session in list(state.sessions.values()):
        for job in [job for job in session.jobs.values() if job.cancelled and not job.node]:
            deliveries.of(session.name).add(job, JobState.CANCELLED, *ended)
            state.end(session, job, JobState.CANCELLED)
    return [*deliveries.finish(), *state.release_done()]
