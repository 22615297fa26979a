"""What was tried so that jobs may run, and what was said there: for users, in words."""

from __future__ import annotations

from lightwork.config import ports
from lightwork.kit.text import count
from lightwork.scheduler.core.explain import refusal
from lightwork.scheduler.core.prospects import Prospect, Stage
from lightwork.scheduler.core.sessions import Session
from lightwork.scheduler.core.state import State
from lightwork.scheduler.core.wishes import address_of, fits, host_of, is_pattern, matches, shown
from lightwork.wire.messages import Attempted

ASKS_BEFORE_SILENCE = 3  # then it is said that nobody answers
FIREWALL = (
    "start `lightwork node` there with the same secret; a firewall must let TCP port "
    f"{ports.NODE} and UDP port {ports.DISCOVERY} pass; or list hosts: nodes=['host', 'host:port']"
)


def no_node(state: State, session: Session, tried: list[Attempted]) -> str:
    """Why no node runs the waiting jobs: a line for each address and each node, each with what to do."""
    said: dict[str, list[str]] = {}  # by what to do, for that is often the same
    for one in tried:
        if one.state != Stage.JOINED.value:
            said.setdefault(one.hint, []).append(sentence(one))
    groups = [group for group, _ in state.queue.lines() if group.session == session.name][:1]
    for node in state.nodes.values():
        whys = [why for group in groups if (why := refusal(node, session, group)) and node.name in session.shares]
        said.setdefault("", []).extend(whys)
    waiting = sum(not job.node for job in session.jobs.values())
    lines = [f"{count(waiting, 'job')} cannot start: no node can run {'it' if waiting == 1 else 'them'}. Tried:"]
    for hint, sentences in said.items():
        lines += [*sentences, f"  hint: {hint}"] if hint else sentences
    return "\n  ".join(lines)


def attempted(state: State, session: Session) -> list[Attempted]:
    """What was tried for this session: listed and heard addresses, and patterns that nobody answered to."""
    found = [one.report() for one in _concerning(state, session) if one.stage is not Stage.ALIAS]
    for wanted in session.wishes:
        heard = any(not one.listed and matches(wanted.host, host_of(one.address)) for one in state.prospects)
        heard = heard or any(fits(wanted, node) for node in state.nodes.values() if not node.shares_memory)
        if is_pattern(wanted.host) and not heard and state.prospects.asked >= ASKS_BEFORE_SILENCE:
            what = "this network" if wanted.host == "*" else wanted.host
            found.append(Attempted(wanted.host, "silent", f"{what}: nobody has answered", FIREWALL))
    if state.listening and not any(not node.via and not node.shares_memory for node in state.nodes.values()):
        join = f"on the machine that is to join: `lightwork node --join {state.listening}`"
        found.append(Attempted(state.listening, "silent", f"no node has joined at {state.listening}", join))
    return found


def _concerning(state: State, session: Session) -> list[Prospect]:
    """Addresses that it, or whoever looks after the machines, has named, and those that were heard."""
    if not state.shared:
        return list(state.prospects)
    wishes = session.wishes if session.only else [*state.hosts.wanted(), *session.wishes]
    named = {address_of(wanted) for wanted in wishes if not is_pattern(wanted.host)}
    return [one for one in state.prospects if one.address in named or (wishes and not one.listed)]


def sentence(one: Attempted) -> str:
    return one.text or f"{shown(one.address)}: {one.state}"
