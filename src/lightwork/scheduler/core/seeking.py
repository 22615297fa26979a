"""The search for nodes: whom users wish for, who was heard, who may be used, and what users are told of it.

wishes --+--> addresses to dial --Dial--> NodeJoined --meet--> a share of the node (offered to NodeAllocate first)
         +--> patterns ----AskNetwork--> NodeHeard --> more addresses to dial
"""

from __future__ import annotations

from lightwork.config import timers
from lightwork.model.states import ClusterEvent
from lightwork.scheduler.core import commands as do, events as on
from lightwork.scheduler.core.allotting import note, word_on
from lightwork.scheduler.core.explain import refusal
from lightwork.scheduler.core.facts import Wished
from lightwork.scheduler.core.host_rules import why_removed
from lightwork.scheduler.core.nodes import HERE, SECOND_NS, Node
from lightwork.scheduler.core.orders import Order
from lightwork.scheduler.core.prospects import Prospect, Stage
from lightwork.scheduler.core.sessions import Session
from lightwork.scheduler.core.shares import Share, Use
from lightwork.scheduler.core.state import Commands, State
from lightwork.scheduler.core.step import synchronise
from lightwork.scheduler.core.tried import attempted, no_node, sentence
from lightwork.scheduler.core.wishes import (
    address_of,
    fits,
    host_of,
    is_pattern,
    join_address,
    matches,
    may_be,
    names_of,
    patterns_of,
    shown,
    wish,
)
from lightwork.wire.messages import Wanted

FIRST_ASKS, FIRST_ASK_NS = 5, SECOND_NS  # a datagram may be lost: at first we ask more often
BUSY_TRIES = 3  # who has just left is still being cleared away: that is told if it lasts
TOLD_MAX = 1000  # sentences that one session hears
DISCOVER_NS = 2 * SECOND_NS  # so long a search on demand takes
AGAIN_NS = 30 * SECOND_NS  # what changed is told no more often, while nothing runs
NO_NODE_NS = int(timers.NO_NODE_S * SECOND_NS)
UNANSWERED_NS = 3 * SECOND_NS // 2  # more than a try takes (CONNECT_S), less than the 5 s in which users hear of it
STATES = {"busy": Stage.BUSY, "refused": Stage.REFUSED, "connected": Stage.ALIAS}


# --- events ---


def on_nodes_wanted(state: State, event: on.NodesWanted) -> Commands:
    """More wishes, or a search at once."""
    session = state.sessions[event.session]
    if event.now:
        state.prospects.next_ask_ns = state.now_ns + FIRST_ASK_NS
        for prospect in state.prospects:
            prospect.next_ns = 0
        order = Order(session.name, event.number, "", state.now_ns + DISCOVER_NS, tuple(event.wanted))
        state.orders.add(order)
        return [do.AskNetwork(names_of(event.wanted), patterns_of(event.wanted)), *_dial(state)]
    session.seeking.well_ns = state.now_ns
    _add(state, session, event.wanted, only=event.only)
    for wanted in event.wanted:
        if not is_pattern(wanted.host):
            state.prospects.add(address_of(wanted), listed=True)
        state.prospects.reopen(lambda address, wanted=wanted: matches(wanted.host, host_of(address)))  # type: ignore[misc]
    _meet_anew(state, session, event)
    state.prospects.asked = 0
    state.prospects.next_ask_ns = 0
    commands: Commands = []
    for node in list(state.nodes.values()):
        commands += meet(state, session, node)
    names = [node.name for node in state.nodes.values() if node.name in session.shares]
    after = state.recorded  # an answered wish is not said again
    return [*commands, do.Answer(session.name, event.number, nodes=names, after=after), *seek(state)]


def _meet_anew(state: State, session: Session, event: on.NodesWanted) -> None:
    """Nodes that a new wish is about: those that were closed, or are used because they are there."""
    for name, share in list(session.shares.items()):
        node = state.nodes.get(name, share.closed)
        if node is None or node.shares_memory:
            continue
        fit = any(fits(wanted, node) for wanted in event.wanted)
        if fit and (
            share.closed is not None or share.use is Use.OUTSIDE or (share.use is Use.USED and not share.wished)
        ):
            del session.shares[name]
        elif session.only and not share.wished and share.use is Use.USED:
            share.use = Use.OUTSIDE
            state.queue.reconsider_for(session)


def _add(state: State, session: Session, wanted: list[Wanted], *, only: bool) -> None:
    """To what it wishes for. Where that is written down, a client may repeat itself, and its next life begins anew."""
    account = state.ledger.sessions[session.name] if state.ledger is not None else None
    if account is None:
        session.wishes += wanted
        session.only |= only
        return
    anew = account.wisher != session.incarnation
    new = wanted if anew else [one for one in wanted if one not in session.wishes]
    if new:
        state.record(Wished(session.name, new, session.incarnation, only))
        session.wishes, session.only = list(account.wishes), account.only


def on_node_heard(state: State, event: on.NodeHeard) -> Commands:
    """Somebody answers: worth a try, if anybody wishes for such a one."""
    if not any(may_be(wanted, event) for wanted in _wishes(state)):
        if not any(order.wanted for order in state.orders.open()):
            return []
    state.prospects.add(join_address(event.host, event.port), listed=False)
    return _dial(state)


def on_node_unreached(state: State, event: on.NodeUnreached) -> Commands:
    """It was tried in vain. If all have been tried now, users hear of it; else with the next look at the clock."""
    prospect = state.prospects.get(event.address)
    if prospect is None or not prospect.dialling:
        return []
    stage = STATES.get(event.state, Stage.UNREACHABLE)
    if stage is Stage.ALIAS and any(node.standing not in HERE for node in state.nodes.values()):
        stage = Stage.TRYING  # a node whose link broke has not noticed yet: it will
    prospect.failed(stage, event.text, event.hint, state.now_ns)
    return all_tried(state) if prospect.tries == 1 else []


def on_stranger_refused(state: State, event: on.StrangerRefused) -> Commands:
    """Once for each host and sentence: whoever reaches the port could repeat it for ever."""
    commands: Commands = []
    text = f"{event.address} wanted to join and was turned away: {event.text}"
    for session in state.sessions.values():
        told = session.seeking.told
        if text not in told and len(told) < TOLD_MAX:
            told.add(text)
            commands.append(do.Warn(session.name, "warning", text, event.hint))
    return commands


def on_node_allotted(state: State, event: on.NodeAllotted) -> Commands:
    """NodeAllocate has decided."""
    session, node = state.sessions[event.session], state.nodes.get(event.node)
    share = session.shares.get(event.node)
    if share is None or node is None:
        return []
    note(state, session, node.name, event.slots, share.tailoring)
    return _decided(state, session, share, node, event.slots)


# --- what follows ---


def meet(state: State, session: Session, node: Node) -> Commands:
    """A node is there: may the session use it?"""
    if node.name in session.shares or not node.offered:  # it is expected back, and nobody knows yet what it has
        return []
    wanted = wish(session.wishes, node)
    if wanted is None and (session.only or (node.via and not state.hosts.is_added(node))) and not node.shares_memory:
        return []
    share = session.shares[node.name] = Share(Use.USED)
    share.wished = wanted is not None
    if session.stakes:  # else it has no jobs that the node could run
        state.queue.reconsider(node)
    if wanted is None:
        return []
    if wanted.spec >= 0:
        return offer(state, session, share, node, wanted.spec)
    return allot(state, session, share, node, wanted.slots) if wanted.slots else []


def offer(state: State, session: Session, share: Share, node: Node, spec: int) -> Commands:
    """NodeAllocate is to decide; if nobody is there who could ask it, its last word holds."""
    share.use = Use.OFFERED
    if session.attached or state.ledger is None:
        return [do.OfferNode(session.name, spec, node.status())]
    word = word_on(state, session, node.name)
    if word is None:
        return []
    share.tailoring = word.tailoring
    return _decided(state, session, share, node, word.slots)


def _decided(state: State, session: Session, share: Share, node: Node, slots: int) -> Commands:
    share.use = Use.USED if slots else Use.DECLINED
    state.queue.reconsider_for(session)
    return [*allot(state, session, share, node, slots), *synchronise(state, session, node)] if slots else []


def all_tried(state: State) -> Commands:
    """What users should know by now, if there was an answer from each address."""
    if state.prospects.unanswered():
        return []
    return [command for session in state.sessions.values() for command in _tell(state, session)]


def unwanted(state: State, node: Node) -> Commands:
    """A node that was dialled and that nobody wishes for goes free again, when nothing of an earlier life is there."""
    if not node.via or node.removed_by or state.hosts.is_added(node):  # (`parting` lets go of those that were removed)
        return []
    shares = [session.shares.get(node.name) for session in state.sessions.values()]
    if any(share is not None and share.use is not Use.CLOSED for share in shares):
        return []
    if node.bound:
        state.may_free = True
        return []
    prospect = state.prospects.get(node.via)
    if prospect is not None:
        prospect.stage = Stage.CLOSED
    state.forget_node(node.name)
    return [do.HangUp(node.name, "it is not among the nodes that are wanted")]


def _free_unused(state: State) -> Commands:
    """Nodes that sessions had named which are over now; and those that an earlier life of ours had."""
    if not state.may_free:
        return []
    state.may_free = False
    commands: Commands = []
    for node in [node for node in state.nodes.values() if node.standing in HERE]:
        if hung_up := unwanted(state, node):
            commands += [*state.tell_all(ClusterEvent.NODE_CLOSED, node), *hung_up]
    return commands


def allot(state: State, session: Session, share: Share, node: Node, slots: int) -> Commands:
    """The session wants so many of its slots (negative: all but so many): of a node that others use, too, no more."""
    if not state.shared:
        state.queue.reconsider(node)
        return limit(node, slots)
    session.cap(node.name, max(0, min(node.offered, slots if slots >= 0 else node.offered + slots)))
    if not share.cap:
        share.use = Use.DECLINED
    state.queue.reconsider_for(session)
    return []


def limit(node: Node, slots: int) -> Commands:
    """Use so many slots (negative: leave so many free)."""
    before = node.slots
    node.limit(slots)
    return [do.SetSlots(node.name, node.slots)] if node.slots != before else []


def seek(state: State) -> Commands:
    """What the clock makes due: questions, tries, answers; and what users should know by now."""
    commands = [*_free_unused(state), *_dial(state)]
    wishes = _wishes(state)
    if state.prospects.next_ask_ns <= state.now_ns and _should_ask(state, wishes):
        state.prospects.asked += 1
        early = state.prospects.asked < FIRST_ASKS
        state.prospects.next_ask_ns = state.now_ns + (min(FIRST_ASK_NS, state.ask_ns) if early else state.ask_ns)
        commands.append(do.AskNetwork(names_of(wishes), patterns_of(wishes)))
    for order in state.orders.due(state.now_ns):
        names = [node.name for node in state.nodes.values() if wish(order.wanted, node) is not None]
        commands.append(do.Answer(order.session, order.number, nodes=names))
    for session in state.sessions.values():
        commands += _tell(state, session)
    return commands


def _wishes(state: State) -> list[Wanted]:
    """Of all sessions, and of those who look after the machines."""
    return [*state.hosts.wanted(), *(wanted for session in state.sessions.values() for wanted in session.wishes)]


def _should_ask(state: State, wishes: list[Wanted]) -> bool:
    """For patterns always, as nodes may come at any time; for hosts at first, and while they are not there."""
    if any(is_pattern(wanted.host) for wanted in wishes):
        return True
    early = state.prospects.asked < FIRST_ASKS
    open_wishes = (
        wanted for wanted in wishes if not wanted.port and not wanted.host.startswith(("unix:", "loopback:"))
    )
    return any(early or not any(fits(wanted, node) for node in state.nodes.values()) for wanted in open_wishes)


def _dial(state: State) -> Commands:
    due = state.prospects.due(state.now_ns)
    commands: Commands = []
    ours = {node.via for node in state.nodes.values()} if due and len(state.hosts) else set()  # until they have told
    for prospect in _wished_still(state, due) if due else ():
        if by := _removed_by(state, prospect) if len(state.hosts) and prospect.address not in ours else "":
            told = why_removed(prospect.node or shown(prospect.address), by)
            prospect.failed(Stage.CLOSED, *told, state.now_ns)
        else:
            prospect.dialling = True
            commands.append(do.Dial(prospect.address))
    return commands


def _wished_still(state: State, due: list[Prospect]) -> list[Prospect]:
    """Who wished for the others is gone: they are forgotten. Where a node of ours was, it is looked for."""
    wishes = _wishes(state)
    named = {address_of(wanted) for wanted in wishes if not is_pattern(wanted.host)}
    named.update(node.via for node in state.nodes.values())
    asking = bool(wishes or state.orders.open())
    wished = [one for one in due if one.address in named or (asking and not one.listed)]
    state.prospects.forget(set(due).difference(wished))
    return wished


def _removed_by(state: State, prospect: Prospect) -> str:
    """Who does not want what is there; "": nobody."""
    known = state.turned_away.get(prospect.node)
    return state.hosts.removed_by(known) if known is not None else state.hosts.unwanted_at(prospect.address)


def _tell(state: State, session: Session) -> Commands:
    """Jobs that no node may run: what was tried. Else, what went wrong anywhere, each sentence once."""
    seeking = session.seeking
    if state.restoring:
        return []
    if not session.wishes and not state.listening:
        return []
    if not _starving(state, session):
        seeking.since_ns, seeking.well_ns, seeking.told_none = -1, state.now_ns, ""
        news = [one for one in attempted(state, session) if one.text and one.text not in seeking.told]
        passing = {
            one.report().address for one in state.prospects if one.stage is Stage.BUSY and one.tries < BUSY_TRIES
        }
        if state.shared:  # nobody needs to join if all is well without
            passing.add(state.listening)
        news = [one for one in news if one.address not in passing]
        seeking.told.update(one.text for one in news)
        return [do.Warn(session.name, "warning", sentence(one), one.hint) for one in news]
    if seeking.since_ns < 0:
        seeking.since_ns = max(seeking.well_ns, state.now_ns - SECOND_NS)
    patience_ns = NO_NODE_NS + (UNANSWERED_NS if state.prospects.unanswered() else 0)
    if state.now_ns - seeking.since_ns < patience_ns:
        return []
    if seeking.told_none and state.now_ns - seeking.told_ns < AGAIN_NS:
        return []
    tried = attempted(state, session)
    text = no_node(state, session, tried)
    seeking.told.update(one.text for one in tried)
    if text == seeking.told_none:
        return []
    seeking.told_none, seeking.told_ns = text, state.now_ns
    return [do.Warn(session.name, "warning", text, "")]


def _starving(state: State, session: Session) -> bool:
    waiting = [group for group, _ in state.queue.lines() if group.session == session.name]
    nodes = [node for node in state.nodes.values() if node.name in session.shares]
    return any(all(refusal(node, session, group) for node in nodes) for group in waiting)
