"""Sessions that want all nodes for themselves: first come, first served.

    jobs of others, submitted before it was opened      go first; it waits until all of them have ended
    its own jobs                                        run, alone
    jobs of others, submitted later                     wait until it is over, or its client is away and no job is left

`State.exclusive` has those that are not over, the first one in charge; by session, the ordinal of the first later job.
"""

from __future__ import annotations

from typing import NamedTuple

from lightwork.model.states import JobState
from lightwork.scheduler.core import events as on
from lightwork.scheduler.core.facts import TermsSet
from lightwork.scheduler.core.queue import LAST
from lightwork.scheduler.core.sessions import Session
from lightwork.scheduler.core.state import Commands, State

WEIGHT_MIN, WEIGHT_MAX = 1e-3, 1e6


class Charge(NamedTuple):
    """Which session is in charge, since which ordinal, and whether it is alone by now."""

    session: str
    since: int
    alone: bool

    def limit(self, session: str) -> int:
        """Jobs of this session may go if their ordinals are below."""
        if session == self.session:
            return LAST if self.alone else 0
        return self.since


def on_terms_told(state: State, event: on.TermsTold) -> Commands:
    """How a session shares nodes with others."""
    session = state.sessions[event.session]
    weight = min(max(event.weight, WEIGHT_MIN), WEIGHT_MAX) if event.weight > 0 else 1.0
    stands = event.exclusive == (session.name in state.exclusive)
    if stands and (weight, event.exclusive) == (session.weight, session.exclusive):
        return []
    session.weight, session.exclusive = weight, event.exclusive
    if not event.exclusive:
        state.exclusive.pop(session.name, None)
    elif not stands:
        state.ordinal += 1  # no two sessions since the same: a restart knows who came first by that alone
        state.exclusive[session.name] = state.ordinal
    state.record(TermsSet(session.name, weight, event.exclusive, state.exclusive.get(session.name, 0)))
    return []


def in_charge(state: State) -> Charge | None:
    """The session that has the nodes for itself, or waits for them; None: nobody does."""
    for name, since in state.exclusive.items():
        session = state.sessions.get(name)
        if session is not None and not _is_over(state, session):
            return Charge(name, since, _earlier(state, name, since) is None)
    return None


def end_those_over(state: State) -> None:
    """Before anything is placed. Who comes back comes after all that was submitted meanwhile, also after a restart."""
    for name in list(state.exclusive):
        session = state.sessions.get(name)
        if session is None or _is_over(state, session):
            del state.exclusive[name]
            if session is not None and state.ledger is not None and name in state.ledger.sessions:
                state.record(TermsSet(name, session.weight, True))


def _is_over(state: State, session: Session) -> bool:
    away = state.ledger is not None and not session.attached and not state.restoring
    return not session.jobs and (session.closing or away)


def _earlier(state: State, name: str, since: int) -> str | None:
    """A session whose job must end first."""
    found = state.waits_for
    if found is not None and found.state < JobState.FINISHED and found.ordinal < since and found.group.session != name:
        return found.group.session
    for session in state.sessions.values():
        first = next(iter(session.jobs.values()), None)
        if first is not None and first.ordinal < since and session.name != name:
            state.waits_for = first
            return session.name
    state.waits_for = None
    return None


def is_alone(state: State, session: Session) -> bool:
    """Whether it has all nodes for itself now."""
    charge = in_charge(state)
    return charge is not None and charge.session == session.name and charge.alone


def why_it_waits(state: State, session: Session, ordinal: int) -> str | None:
    """Why a job of this session with this ordinal may not go now, whatever nodes there are; None if it may."""
    charge = in_charge(state)
    if charge is None or ordinal < charge.limit(session.name):
        return None
    if charge.session == session.name:
        other = _earlier(state, charge.session, charge.since)
        return f"it wants all nodes for itself, and jobs that others submitted before have not ended (session {other})"
    return f"session {_named(state.sessions[charge.session])} wants all nodes for itself, and came before"


def _named(session: Session) -> str:
    who = "@".join(filter(None, (session.user, session.host)))
    return f"{session.name} ({who})" if who else session.name
