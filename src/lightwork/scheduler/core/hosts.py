"""Machines as everybody's: groups, hosts that are looked for, drained, removed. The rules are in `host_rules`.

drain   no new jobs; what has not started comes back; what runs goes on        "draining by WHO" --> "drained by WHO"
remove  the same; when nothing of it is there any more: goodbye (`parting`), and whoever dials again is turned away
now     what runs there is killed, and starts again elsewhere as after the death of a node
policy  hours, clients to serve: its node is told, also when it comes later, or comes back; slots: those that we use
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from lightwork.config import limits
from lightwork.kit.text import listed
from lightwork.model.states import JobState
from lightwork.scheduler.core import commands as do, events as on
from lightwork.scheduler.core.facts import HostsSaid
from lightwork.scheduler.core.host_policy import PARTS_MAX, UNSAID, wrong_with
from lightwork.scheduler.core.host_rules import (
    ADD,
    DRAIN,
    GROUP,
    POLICY,
    REMOVE,
    RESUME,
    UNGROUP,
    is_address,
    means,
    wanted_of,
    why_removed,
)
from lightwork.scheduler.core.nodes import HERE, Node
from lightwork.scheduler.core.prospects import Stage
from lightwork.scheduler.core.seeking import limit, meet, seek
from lightwork.scheduler.core.state import Commands, State
from lightwork.scheduler.core.wishes import address_of, is_pattern
from lightwork.wire.messages import SetPolicy

ACTIONS = (ADD, REMOVE, DRAIN, RESUME, GROUP, UNGROUP, POLICY)
LIST = "`lightwork hosts list` shows all"


class Problem(NamedTuple):
    """Why something cannot be done."""

    error: str
    hint: str = ""


def problem(state: State, event: on.HostsChanged) -> Problem | None:
    """What is wrong with it; None: it can be done."""
    action, group = event.action, event.group
    if action not in ACTIONS:
        return Problem(f"there is no action {action!r}", f"one of {listed(ACTIONS)}")
    if not event.hosts:
        return Problem(f"{action}: no host is named")
    if action in (GROUP, UNGROUP) and not group:
        return Problem(f"{action}: no group is named")
    wrong = next((host for host in event.hosts if not _is_host(host)), None)
    if wrong is not None:
        return Problem(f"{wrong!r} is no host", "names, addresses, patterns such as 'lab*', or '@group'")
    nested = next((host for host in event.hosts if group and host.startswith("@")), None)
    if nested is not None:
        return Problem(f"a group holds machines, not another group ({nested})", "name its machines")
    wrong_policy = wrong_with(event.policy) if action == POLICY else None
    if wrong_policy is not None:
        return Problem(*wrong_policy)
    if action not in (ADD, GROUP):
        unknown = next((host for host in event.hosts if not _is_known(state, host)), None)
        if unknown is not None:
            what = f"group {unknown[1:]!r}" if unknown.startswith("@") else f"host {unknown!r}"
            return Problem(f"there is no {what}", f"the nodes now: {listed(sorted(state.nodes), 20)}; {LIST}")
    if not state.hosts.has_room((PARTS_MAX if action == POLICY else 2) * len(event.hosts)):
        return Problem(f"at most {limits.HOST_RULES_MAX:,} words about hosts are kept", "patterns and groups need few")
    if not state.hosts.has_room_for(action, event.hosts, group):
        most = limits.HOST_PATTERNS_MAX
        return Problem(f"at most {most} words about patterns and groups are kept", "name the hosts, or fewer patterns")
    return None


def _is_host(host: str) -> bool:
    """Whether this can be meant."""
    name = host.removeprefix("@")
    return bool(name) and len(name) < limits.HOST_NAME_MAX and name.isprintable() and not any(map(str.isspace, name))


def _is_known(state: State, host: str) -> bool:
    if is_pattern(host) or any(means(host, node) for node in state.nodes.values()):
        return True
    groups = state.hosts.groups() if host.startswith("@") else ()
    return state.hosts.names(host) or host[1:] in groups


def meant(state: State, hosts: Iterable[str]) -> list[Node]:
    """The nodes that these words mean now."""
    words = list(hosts)
    return [node for node in state.nodes.values() if any(means(host, node) for host in words)]


def on_hosts_changed(state: State, event: on.HostsChanged) -> Commands:
    """It holds from now on, and at once."""
    wrong = problem(state, event)
    if wrong is not None:
        return [do.Answer(event.session, event.number, *wrong)] if event.session in state.sessions else []
    before = meant(state, event.hosts)
    commands: Commands = []
    policy = UNSAID
    if event.action == POLICY and event.policy is not None:
        policy = replace(event.policy, word=state.tokens.reserve(1))
    _say(state, event, policy)
    if event.action == ADD and event.group:
        _say(state, replace(event, action=GROUP))
    for node in list(state.nodes.values()):
        commands += follow(state, node)
    if event.action == ADD:
        commands += _look_for(state, event.hosts)
    if not policy.clients:  # they shall leave; who comes later need not
        for node in (node for node in before if node.standing in HERE):
            last = replace(node.policy, clients=0, word=policy.word)
            commands.append(do.SetPolicy(node.name, last, state.recorded))
    if event.now and event.action in (DRAIN, REMOVE):
        for node in before:
            commands += _kill(state, node, f"node {node.name} was {_PAST[event.action]} by {event.by or 'its owner'}")
    if event.session in state.sessions:
        names = [node.name for node in (before or meant(state, event.hosts))]
        left = sum(len(node.attempts) for node in before)
        answer = do.Answer(event.session, event.number, nodes=names, after=state.recorded, total=left)
        commands.append(answer)
    return commands


_PAST = {DRAIN: "drained", REMOVE: "removed"}


def _say(state: State, event: on.HostsChanged, policy: SetPolicy = UNSAID) -> None:
    words = policy if event.action == POLICY else None
    if state.ledger is not None:
        state.record(HostsSaid(event.action, list(event.hosts), event.group, event.by, words))
    else:
        state.hosts.take(event.action, event.hosts, event.group, event.by, words)


def _look_for(state: State, hosts: list[str]) -> Commands:
    """At once, also where nobody was wanted until now."""
    added = {host for host, _ in state.hosts.listed()}
    for host in hosts:
        if is_address(host) and host in added:
            state.prospects.add(address_of(wanted_of(host)), listed=True)
    for prospect in state.prospects:
        if prospect.stage is Stage.CLOSED and prospect.text:  # somebody had removed it
            prospect.stage, prospect.next_ns, prospect.text = Stage.TRYING, 0, ""
    state.prospects.asked = 0
    state.prospects.next_ask_ns = 0
    return seek(state)


# --- what holds for one node ---


def settle(state: State, node: Node) -> None:
    """What the rules say of it."""
    node.groups = state.hosts.groups_of(node)
    node.drained_by = state.hosts.drained_by(node)
    node.removed_by = state.hosts.removed_by(node)
    policy = state.hosts.policy_of(node)
    node.policy, node.allowed = replace(policy, slots=None), policy.slots
    if node.removed_by:
        state.parting.add(node.name)
    else:
        state.parting.discard(node.name)


def follow(state: State, node: Node) -> Commands:
    """The rules have changed: what follows for it."""
    was, allowed = (node.groups, node.drained_by, node.removed_by), node.allowed
    settle(state, node)
    commands = instruct(state, node)
    if node.allowed != allowed:
        commands += _allow(state, node)
    if was == (node.groups, node.drained_by, node.removed_by):
        return [*commands, *_for_everybody(state, node)]
    state.queue.reconsider(node)
    _, drained_by, removed_by = was
    if node.removed_by and not removed_by:
        commands += _tell(state, node, f"node {node.name} is being removed by {node.removed_by}: it gets no new jobs")
    elif node.drained_by and not drained_by and not node.removed_by:
        commands += _tell(state, node, f"node {node.name} is drained by {node.drained_by}: it gets no new jobs")
    elif (drained_by or removed_by) and not (node.drained_by or node.removed_by):
        node.oust = ""
        commands += _tell(state, node, f"node {node.name} is in use again")
    if (node.drained_by and not drained_by) or (node.removed_by and not removed_by):
        commands += ask_back(state, node)
    return [*commands, *_for_everybody(state, node)]


def instruct(state: State, node: Node) -> Commands:
    """Its node is told how it is to work, unless it knows."""
    if node.policy == node.told or node.standing not in HERE:
        return []
    node.told = node.policy
    return [do.SetPolicy(node.name, node.policy, state.recorded)]


def _allow(state: State, node: Node) -> Commands:
    """Other slots than before are to be used."""
    state.queue.reconsider(node)
    commands = limit(node, node.offered if node.allowed is None else node.allowed)
    return commands if node.standing in HERE else []


def _for_everybody(state: State, node: Node) -> Commands:
    """One that was dialled for a single session may be added for all."""
    if not node.via or node.standing not in HERE or not state.hosts.is_added(node):
        return []
    return [command for session in state.sessions.values() for command in meet(state, session, node)]


def ask_back(state: State, node: Node) -> Commands:
    """What has not started there need not."""
    tokens = [token for token, job in node.attempts.items() if job.stage(token)[0] is JobState.QUEUED]
    if not tokens or node.standing not in HERE:
        return []
    node.revoking_ns = state.now_ns
    step = limits.COMMAND_JOBS_MAX
    return [do.Revoke(node.name, tokens[at : at + step]) for at in range(0, len(tokens), step)]


def kill_what_was_told(state: State, node: Node) -> Commands:
    """It is back, or it is known by now what it has from before."""
    why, node.oust = node.oust, ""
    return _kill(state, node, why) if why else []


def _kill(state: State, node: Node, why: str) -> Commands:
    if state.ledger is not None and (node.untold or node.standing not in HERE):
        node.oust = why
    tokens = [token for token, job in node.attempts.items() if job.stage(token)[0] is JobState.RUNNING]
    state.killing.update((token, why) for token in tokens if not node.attempts[token].cancelled)
    return [do.Stop(node.name, tokens, now=True)] if tokens else []


def heed(state: State, node: Node, unwilling: str) -> Commands:
    """It says whether it takes jobs now."""
    was, node.unwilling = node.unwilling, unwilling
    if was == unwilling:
        return []
    state.queue.reconsider(node)
    if not unwilling:
        return _tell(state, node, f"node {node.name} takes jobs again")
    told = [] if was else _tell(state, node, f"node {node.name} takes no new jobs: {unwilling}")
    return told + ask_back(state, node)


def turn_away(state: State, node: Node) -> Commands:
    """One that was removed dials again: it is none of ours."""
    state.turned_away[node.name] = node
    while len(state.turned_away) > limits.TURNED_AWAY_MAX:
        del state.turned_away[next(iter(state.turned_away))]
    shut(state, node)
    state.forget_node(node.name)
    return [do.HangUp(node.name, "; ".join(why_removed(node.name, node.removed_by)))]


def shut(state: State, node: Node) -> None:
    """Where it was reached nobody dials any more."""
    for prospect in state.prospects:
        if prospect.node == node.name or prospect.address == node.via:
            prospect.failed(Stage.CLOSED, *why_removed(node.name, node.removed_by), state.now_ns)


def _tell(state: State, node: Node, text: str) -> Commands:
    return [do.Warn(name, "info", text) for name, session in state.sessions.items() if node.name in session.shares]
