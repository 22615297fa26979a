"""Clients of a durable scheduler: their sessions are on disk, and outlive links, and clients if they are lasting.

ClientJoined(0) --> a new life: Open(incarnation, next number), then all retained jobs of earlier lives
ClientJoined(n) --> the same life over a new link: what has ended and is not taken comes again
ClientAway      --> jobs go on, results are kept: for a lease, or, if the session is lasting, for days
"""

from __future__ import annotations

from collections.abc import Iterable

from lightwork.config import limits, timers
from lightwork.model.errors import ProtocolError
from lightwork.model.session_key import key_of
from lightwork.model.states import ClusterEvent, JobState
from lightwork.scheduler.core import commands as do, events as on, facts as fact, submitting
from lightwork.scheduler.core.accounts import Account, Entry
from lightwork.scheduler.core.ledger import Ledger
from lightwork.scheduler.core.nodes import SECOND_NS
from lightwork.scheduler.core.seeking import meet, offer
from lightwork.scheduler.core.sessions import Session
from lightwork.scheduler.core.shares import Seeking, Use
from lightwork.scheduler.core.state import Commands, State
from lightwork.scheduler.core.wishes import wish
from lightwork.wire.messages import Attempt

KEEP_NS = int(timers.KEEP_S * SECOND_NS)
CLIENT_LEASE_NS = int(timers.CLIENT_LEASE_S * SECOND_NS)
EARLIER_JOBS = 1024  # in one message


def join(state: State, ledger: Ledger, event: on.ClientJoined) -> Commands:
    """A client opens its session, or is back."""
    session = state.sessions.get(event.session)
    if session is not None and session.attached:
        raise ProtocolError(f"session {event.session} is open already")
    if event.incarnation:
        return _back(state, ledger, session, event)
    if session is None:
        session = state.open_session(event.session, event.user, event.host)
        session.key = key_of(session.name, ledger.epoch, state.recorded + 1)
    session.incarnation += 1
    _forget_questions(state, session)
    session.lasting = event.lasting
    session.first = session.next_number
    state.record(_opened(session, event.user, event.host))
    _attach(state, session)
    account = ledger.sessions[session.name]
    earlier = list(account.entries.values())
    open_ = do.Open(session.name, session.incarnation, session.next_number, len(earlier), state.recorded)
    return [open_, *_tell_earlier(state, account, earlier), *_tell_nodes(state, session)]


def _back(state: State, ledger: Ledger, session: Session | None, event: on.ClientJoined) -> Commands:
    """The same life, over another link: whatever the last one lost comes again."""
    if session is None or session.incarnation != event.incarnation:
        raise ProtocolError(f"session {event.session} is not open for life {event.incarnation} of its client")
    _attach(state, session)
    account = ledger.sessions[session.name]
    ours = [entry for entry in account.entries.values() if entry.number >= session.first]
    again = [entry for entry in ours if entry.end is not None and not entry.end.taken]
    if any(entry.end is not None and not entry.end.life for entry in account.entries.values()):
        state.record(_opened(session, account.user, account.host))  # what ended meanwhile may be seen by this life
    open_ = do.Open(session.name, session.incarnation, session.next_number, 0, state.recorded)
    accept = do.Accept(session.name, session.next_number, state.recorded)
    refused = submitting.refused_before(ledger, session)
    return [
        open_,
        *refused,
        accept,
        *deliver(state, account, again),
        *_tell_running(session),
        *_tell_nodes(state, session),
    ]


def _opened(session: Session, user: str, host: str) -> fact.SessionOpened:
    known = session.incarnation, session.lasting, user, host, session.first, session.key
    return fact.SessionOpened(session.name, *known)


def _forget_questions(state: State, session: Session) -> None:
    """An earlier life asked, and nobody is there who waits for the answer: the new one counts its own from 1."""
    state.barriers = [barrier for barrier in state.barriers if barrier.session != session.name]
    state.orders.forget(session.name)
    for share in session.shares.values():
        share.order = 0


def _tell_running(session: Session) -> Commands:
    told: dict[str, do.TellRunning] = {}
    for job in session.jobs.values():
        if job.state is JobState.RUNNING and job.node:
            one = told.setdefault(job.node, do.TellRunning(session.name, job.node, [], []))
            one.jobs.append(job.number)
            one.starts_ns.append(job.started_ns)
    return list(told.values())


def _attach(state: State, session: Session) -> None:
    session.attached, session.congested = True, False
    session.seeking = Seeking()  # it has been told nothing yet
    state.attached[session.name] = session.incarnation
    state.queue.reconsider_for(session)


def _tell_nodes(state: State, session: Session) -> Commands:
    ready = ClusterEvent.NODE_READY
    commands: Commands = [do.TellNode(session.name, ready, node.status()) for node in state.nodes.values()]
    commands += _offer_again(state, session)
    for node in list(state.nodes.values()):
        commands += meet(state, session, node)
    return commands


def _offer_again(state: State, session: Session) -> Commands:
    """Nodes of which no client has said anything since they were offered."""
    commands: Commands = []
    for node in state.nodes.values():
        share = session.shares.get(node.name)
        if share is not None and share.use is Use.OFFERED and (wanted := wish(session.wishes, node)) is not None:
            commands += offer(state, session, share, node, wanted.spec)
    return commands


def _tell_earlier(state: State, account: Account, entries: list[Entry]) -> Commands:
    commands: Commands = []
    jobs = state.sessions[account.name].jobs
    for at in range(0, len(entries), EARLIER_JOBS):
        some = entries[at : at + EARLIER_JOBS]
        digests = {entry.computation: None for entry in some}
        index = {digest: number for number, digest in enumerate(digests)}
        told = do.TellEarlier(
            account.name,
            [(known.digest, known.name, known.kind) for known in map(account.computations.__getitem__, digests)],
            [entry.number for entry in some],
            [index[entry.computation] for entry in some],
            [int(jobs[entry.number].state if entry.end is None else entry.end.state) for entry in some],
            [entry.key for entry in some],
            [entry.id for entry in some],
            [entry.print for entry in some],
            [entry.end is not None and _seen(account, entry) for entry in some],
            [entry.payload for entry in some],
            state.recorded,
        )
        commands.append(told)
    return commands


def _seen(account: Account, entry: Entry) -> bool:
    """Whether an earlier life of the client may have had this result."""
    return entry.end is not None and entry.end.life not in (0, account.incarnation)


def deliver(state: State, account: Account, entries: Iterable[Entry]) -> Commands:
    """Results that are kept, as if they had just come."""
    by_node: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.end is not None:
            by_node.setdefault(entry.end.node, []).append(entry)
    commands: Commands = []
    for some in by_node.values():
        at = 0
        while at < len(some):
            stop, size, past = at, 0, 0
            while stop < len(some) and stop - at < limits.COMMAND_JOBS_MAX and size <= limits.COMMAND_BYTES_MAX:
                history = min(len(some[stop].spent), limits.HISTORY_MAX)
                if past + history > limits.HISTORY_MAX:
                    break
                past += history
                size += len(some[stop].end.outcome)  # type: ignore[union-attr]  # all have ended
                stop += 1
            commands.append(_deliver(state, account, some[at:stop]))
            at = stop
    return commands


def _deliver(state: State, account: Account, entries: list[Entry]) -> do.Deliver:
    ends = [entry.end for entry in entries if entry.end is not None]
    files = [(index, list(end.files)) for index, end in enumerate(ends) if end.files]
    return do.Deliver(
        account.name,
        ends[0].node,
        [entry.number for entry in entries],
        [end.state for end in ends],
        [end.status for end in ends],
        [end.start_ns and end.start_ns - state.wall_ns for end in ends],
        [end.duration_ns for end in ends],
        [end.attempts for end in ends],
        [len(end.outcome) for end in ends],
        b"".join(end.outcome for end in ends),
        files,
        [0] * len(files),
        [index for index, entry in enumerate(entries) if _seen(account, entry)],
        [(index, _history(entry)) for index, entry in enumerate(entries) if entry.spent],
        state.recorded,
    )


def _history(entry: Entry) -> list[Attempt]:
    return [attempt for attempt, _, _ in entry.spent[-limits.HISTORY_MAX :]]


def on_client_away(state: State, event: on.ClientAway) -> Commands:
    """Its link is gone."""
    return _leave(state, state.sessions[event.session])


def on_client_detached(state: State, event: on.ClientDetached) -> Commands:
    """It said so."""
    return _leave(state, state.sessions[event.session])


def _leave(state: State, session: Session) -> Commands:
    session.attached = session.congested = False
    session.away_ns = state.now_ns
    state.attached.pop(session.name, None)
    state.queue.reconsider_for(session)
    return _offer_again(state, session)


def overdue(state: State) -> list[str]:
    """Sessions whose clients have been away for too long."""
    if state.ledger is None:
        return []
    return [
        session.name
        for session in state.sessions.values()
        if not session.attached
        and not session.closing
        and state.now_ns - session.away_ns > (KEEP_NS if session.lasting else CLIENT_LEASE_NS)
    ]


def on_results_taken(state: State, event: on.ResultsTaken) -> Commands:
    """They need not be kept any more, unless they have a key."""
    account = state.ledger.sessions.get(event.session) if state.ledger is not None else None
    if account is not None:
        known = [number for number in event.jobs if (entry := account.entries.get(number)) and entry.end is not None]
        fresh = [number for number in known if not account.entries[number].end.taken]  # type: ignore[union-attr]
        if fresh:
            state.record(fact.Taken(event.session, fresh))
    return []


def on_results_recalled(state: State, event: on.ResultsRecalled) -> Commands:
    """Those that have ended; the others will."""
    account = state.ledger.sessions.get(event.session) if state.ledger is not None else None
    if account is None:
        return []
    entries = [entry for number in event.jobs if (entry := account.entries.get(number)) is not None]
    return deliver(state, account, entries)


def on_jobs_named(state: State, event: on.JobsNamed) -> Commands:
    """For another life of the client."""
    if state.ledger is not None and len(event.jobs) == len(event.ids):
        state.record(fact.Named(event.session, event.jobs, event.ids))
    return []
