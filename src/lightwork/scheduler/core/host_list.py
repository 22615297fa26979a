"""Machines as `lightwork hosts` lists them: nodes, hosts that are looked for, hosts that were removed."""

from __future__ import annotations

from collections.abc import Iterator

from lightwork.scheduler.core.host_policy import shown as shown_policy
from lightwork.scheduler.core.host_rules import REMOVE, means, wanted_of
from lightwork.scheduler.core.nodes import Node, Standing
from lightwork.scheduler.core.state import State
from lightwork.scheduler.core.wishes import address_of, is_pattern, shown
from lightwork.wire.messages import Hosts, HostStatus


def hosts(state: State, number: int) -> Hosts:
    """The answer to AskHosts."""
    rows = [_of_node(state, node) for node in state.nodes.values()]
    rows += [*_absent(state), *_removed(state)]
    _add_policies(state, rows)
    return Hosts(number, rows, [node.status() for node in state.nodes.values()])


def _of_node(state: State, node: Node) -> HostStatus:
    by = node.removed_by or node.drained_by
    address = shown(node.via) if node.via else node.address
    policy = shown_policy(state.hosts.policy_of(node))
    return HostStatus(node.name, address, node.shown(), node.groups, by, "; ".join(_wrong(state, node)), policy)


def _wrong(state: State, node: Node) -> Iterator[str]:
    """What its owner should know."""
    if node.trouble:
        yield node.trouble
    if node.unwilling and node.standing is Standing.JOINED:
        yield node.unwilling
    for session in state.sessions.values():
        for digest, step in session.steps.latest.items():
            record = session.computations[digest]
            what = f"{record.computation.name} of session {session.name} (epoch {step.epoch})"
            if node.name in record.failed:
                yield f"set aside for {what}: it could not be prepared"
            elif node.name in session.shares and node.name not in record.ready:
                yield f"behind: it has not prepared {what} yet"


def _absent(state: State) -> Iterator[HostStatus]:
    """Hosts that are looked for, and no node is there."""
    for host, by in state.hosts.listed():
        if host.startswith("@") or any(means(host, node) for node in state.nodes.values()):
            continue
        if is_pattern(host):
            yield HostStatus(host, "", "looked for", state.hosts.groups_named(host), by)
            continue
        address = address_of(wanted_of(host))
        prospect = state.prospects.get(address)
        text = prospect.text if prospect is not None else ""
        yield HostStatus(host, shown(address), "not connected", state.hosts.groups_named(host), by, text)


def _removed(state: State) -> Iterator[HostStatus]:
    """Hosts that are turned away."""
    present = {name for node in state.nodes.values() if node.removed_by for name in (node.name, node.address)}
    added = {host for host, _ in state.hosts.listed()}
    for rule in state.hosts:
        if rule.action == REMOVE and rule.host not in added and rule.host not in present:
            yield HostStatus(rule.host, "", "removed", (), rule.by)


def _add_policies(state: State, rows: list[HostStatus]) -> None:
    """What was said of hosts (patterns, groups) that no node is there of."""
    named = {row.name: row for row in rows}
    for host, (policy, by) in state.hosts.policies().items():
        if any(means(host, node) for node in state.nodes.values()):
            continue
        if host not in named:
            rows.append(HostStatus(host, "", "not connected", state.hosts.groups_named(host), by))
            named[host] = rows[-1]
        named[host].policy = shown_policy(policy)
