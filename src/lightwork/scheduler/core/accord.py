"""The ledger and the tables of a durable scheduler speak of the same jobs: part of `check`."""

from __future__ import annotations

from lightwork.scheduler.core.accounts import Account
from lightwork.scheduler.core.sessions import Session
from lightwork.scheduler.core.state import State


def accord(state: State) -> list[str]:
    """Sentences about where they differ."""
    if state.ledger is None:
        return []
    wrong = []
    for name, account in state.ledger.sessions.items():
        session = state.sessions.get(name)
        if session is None:
            wrong.append(f"session {name} is written down, and not here")
        else:
            wrong += _of_session(session, account)
    for name, session in state.sessions.items():
        if name not in state.ledger.sessions and session.jobs:
            wrong.append(f"session {name} has jobs and is not written down")
    return wrong


def _of_session(session: Session, account: Account) -> list[str]:
    wrong = []
    unended = {number for number, entry in account.entries.items() if entry.end is None}
    if unended != session.jobs.keys():
        wrong.append(
            f"session {session.name}: jobs {sorted(unended ^ session.jobs.keys())} are written down or here only"
        )
    if len(unended) != account.unended:
        wrong.append(f"session {session.name} counts {account.unended} jobs that have not ended")
    if account.next_number != session.next_number:
        wrong.append(f"session {session.name} counts to {session.next_number}, on disk to {account.next_number}")
    if account.closing != session.closing:
        wrong.append(f"session {session.name} is being closed {'here' if session.closing else 'on disk'} alone")
    for number in unended & session.jobs.keys():
        job, grant = session.jobs[number], account.entries[number].grant
        if job.group.options.reentrant is False and bool(job.node) != (grant is not None):
            wrong.append(f"job {number} is on {job.node or 'no node'}, and its grant is {grant}")
        if grant is not None and grant.token != job.token:
            wrong.append(f"job {number} has token {job.token}, and its grant {grant.token}")
        if account.entries[number].cancelled and not job.cancelled:
            wrong.append(f"job {number} is cancelled on disk alone")
    return wrong
