"""NodeAllocate's last word on each node: it holds while nobody is there who could ask again, over restarts, too."""

from __future__ import annotations

from lightwork.scheduler.core.facts import Allotted
from lightwork.scheduler.core.sessions import Session
from lightwork.scheduler.core.state import State
from lightwork.wire.messages import Tailoring


def word_on(state: State, session: Session, node: str) -> Allotted | None:
    """What it was; None: there was none, or nothing is written down."""
    account = state.ledger.sessions.get(session.name) if state.ledger is not None else None
    return account.allotted.get(node) if account is not None else None


def note(state: State, session: Session, node: str, slots: int, tailoring: Tailoring | None) -> None:
    """This is it from now on."""
    word = Allotted(session.name, node, slots, tailoring)
    if state.ledger is not None and session.name in state.ledger.sessions and word_on(state, session, node) != word:
        state.record(word)
