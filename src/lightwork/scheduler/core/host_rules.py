"""What was said about machines, for all sessions: who is looked for, not wanted, at rest, in which groups, and how
their nodes are to work.

Each word is a rule; rules stand in the order in which they were said, and the last one that means a machine holds:
`drain lab*` and then `resume lab3` leaves lab3 in use. So rules may name machines that come later; they survive us.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import product
from typing import NamedTuple, TypeAlias

from lightwork.config import limits
from lightwork.scheduler.core.host_policy import UNSAID, merged, parts
from lightwork.scheduler.core.nodes import Node
from lightwork.scheduler.core.wishes import address_of, fits, host_of, is_pattern, matches
from lightwork.wire.messages import SetPolicy, Wanted

ADD, REMOVE, DRAIN, RESUME, GROUP, UNGROUP = "add", "remove", "drain", "resume", "group", "ungroup"
POLICY = "policy"
SCHEMES = "unix:", "loopback:", "tcp:"
ADMIT = "admit"  # takes a removal back, and no more: the node joins by itself
_FAMILIES = {ADD: (ADD, REMOVE, ADMIT), DRAIN: (DRAIN, RESUME), GROUP: (GROUP, UNGROUP), POLICY: (POLICY,)}
_FAMILY = {action: family for family, actions in _FAMILIES.items() for action in actions}
_Key: TypeAlias = tuple[tuple[str, str], str, str]  # kind, host, action


class Rule(NamedTuple):
    """One word about one host. `host`: name, address, pattern or "@group"; `policy`: only this `part` of one."""

    action: str
    host: str
    group: str = ""
    by: str = ""
    policy: SetPolicy | None = None
    part: str = ""

    @property
    def kind(self) -> tuple[str, str]:
        """Rules of one kind overrule each other."""
        return _FAMILY[self.action], self.group or self.part


class HostRules:
    """All of them, in order. Rules of exact hosts are found by their text; patterns and groups, which each node is held
    against, are few."""

    def __init__(self) -> None:
        self._rules: dict[_Key, tuple[int, Rule]] = {}
        self._exact: dict[str, set[_Key]] = {}
        self._loose: set[_Key] = set()
        self._last = 0
        self._count: Counter[str] = Counter()  # by action

    def __iter__(self) -> Iterator[Rule]:
        return (rule for _, rule in self._rules.values())

    def __len__(self) -> int:
        return len(self._rules)

    def take(
        self, action: str, hosts: Iterable[str], group: str = "", by: str = "", policy: SetPolicy | None = None
    ) -> None:
        """One more word. What it makes needless goes. To add what was removed and never added is to take that back."""
        said = list(parts(policy)) if action == POLICY and policy is not None else [("", None)]
        for host, (part, words) in product(dict.fromkeys(hosts), said):
            rule = Rule(action, host, group if action in (GROUP, UNGROUP) else "", by, words, part)
            gone = [one for one in _FAMILIES[_FAMILY[action]] if self._drop((rule.kind, host, one), action)]
            self._append(rule._replace(action=ADMIT) if action == ADD and gone == [REMOVE] else rule)
        self._drop_needless(DRAIN, RESUME)
        self._drop_needless(REMOVE, ADMIT)

    def _drop(self, key: _Key, action: str) -> bool:
        """What is said about the same host no longer holds; but that it was added is kept, if it is removed now."""
        if key not in self._rules:
            return False
        if (key[2], action) != (ADD, REMOVE):
            del self._rules[key]
            self._count[key[2]] -= 1
            known = self._index(key)
            known.discard(key)
            if not known:
                self._exact.pop(key[1], None)
        return True

    def _append(self, rule: Rule) -> None:
        key = rule.kind, rule.host, rule.action
        self._last += 1
        self._count[rule.action] += 1
        self._rules[key] = self._last, rule
        self._index(key).add(key)

    def _index(self, key: _Key) -> set[_Key]:
        return self._exact.setdefault(key[1], set()) if is_address(key[1]) else self._loose

    def _drop_needless(self, doing: str, undoing: str) -> None:
        """Nothing was done before it: what does it take back?"""
        needless = []
        for key in self._rules if self._count[undoing] else ():
            if key[2] == doing:
                break
            if key[2] == undoing:
                needless.append(key)
        for key in needless:
            self._drop(key, undoing)

    def has_room(self, more: int) -> bool:
        """Whether so many further rules may be kept."""
        return len(self._rules) + more <= limits.HOST_RULES_MAX

    def has_room_for(self, action: str, hosts: Iterable[str], group: str = "") -> bool:
        """Whether this may be said of those of them that are patterns or groups. What was said of them is unsaid."""
        kind = Rule(action, "", group if action in (GROUP, UNGROUP) else "").kind
        new = {host for host in hosts if not is_address(host)}
        new -= {host for known, host, _ in self._loose if known == kind}
        return not new or len(self._loose) + len(new) <= limits.HOST_PATTERNS_MAX

    # --- what they say of a machine ---

    def _about(self, node: Node) -> Iterator[Rule]:
        """Those that mean it, in order."""
        texts = _texts({node.name, node.address, host_of(node.via)}, node.via)
        return (rule for rule in self._found(texts) if means(rule.host, node))

    def _found(self, texts: Iterable[str]) -> list[Rule]:
        """Those that may mean what these texts name, in order."""
        keys = self._loose.union(*(self._exact.get(text, ()) for text in texts))
        return [rule for _, rule in sorted(self._rules[key] for key in keys)]

    def groups_of(self, node: Node) -> tuple[str, ...]:
        """Its own groups and those that it was put into, without those that it was taken out of."""
        found = dict.fromkeys(node.own_groups)
        for rule in self._about(node):
            if rule.action == GROUP:
                found[rule.group] = None
            elif rule.action == UNGROUP:
                found.pop(rule.group, None)
        return tuple(sorted(found))

    def drained_by(self, node: Node) -> str:
        """Who wants it to have no new jobs; "": nobody."""
        return _last(DRAIN, self._about(node))

    def removed_by(self, node: Node) -> str:
        """Who does not want it at all; "": nobody."""
        return _last(REMOVE, self._about(node))

    def policy_of(self, node: Node) -> SetPolicy:
        """How it is to work."""
        if not self._count[POLICY]:
            return UNSAID
        return merged(rule.policy for rule in self._about(node) if rule.policy is not None)

    def is_added(self, node: Node) -> bool:
        """Whether it is looked for, for everybody."""
        found = [rule for rule in self._about(node) if rule.action == ADD]
        return bool(found) and not self.removed_by(node)

    def unwanted_at(self, address: str) -> str:
        """Who removed what is at this address; "": nobody."""
        found = self._found(_texts({host_of(address)}, address))
        return _last(REMOVE, (rule for rule in found if _is_at(rule.host, address)))

    # --- lists ---

    def wanted(self) -> list[Wanted]:
        """Who is looked for."""
        return [wanted_of(host) for host, _ in self.listed() if not host.startswith("@")]

    def listed(self) -> list[tuple[str, str]]:
        """Hosts that were added (and not removed since), and by whom."""
        last = {rule.host: rule for rule in self if rule.action in (ADD, REMOVE)}
        return [(rule.host, rule.by) for rule in last.values() if rule.action == ADD]

    def policies(self) -> dict[str, tuple[SetPolicy, str]]:
        """What was said of how nodes are to work, by the host that was named, and by whom (last)."""
        found: dict[str, tuple[SetPolicy, str]] = {}
        for rule in self:
            if rule.policy is not None:
                before, _ = found.get(rule.host, (UNSAID, ""))
                found[rule.host] = merged((before, rule.policy)), rule.by
        return found

    def names(self, host: str) -> bool:
        """Whether some rule names just this host."""
        return any(rule.host == host for rule in self)

    def groups(self) -> set[str]:
        """Groups that rules speak of."""
        return {rule.group for rule in self if rule.action == GROUP}

    def groups_named(self, host: str) -> tuple[str, ...]:
        """Groups that a host which is not connected was put into by this name."""
        return tuple(sorted(rule.group for rule in self if rule.action == GROUP and rule.host == host))


def _last(doing: str, rules: Iterable[Rule]) -> str:
    """Whose word was the last of this family, if it is `doing`."""
    found = ""
    for rule in rules:
        if rule.action in _FAMILIES[_FAMILY[doing]]:
            found = (rule.by or "its owner") if rule.action == doing else ""
    return found


def _texts(names: set[str], address: str) -> set[str]:
    """How people may write a machine of these names that is reached at this address."""
    port = address.rpartition(":")[2]
    either = names | {f"[{name}]" for name in names}
    return either | {f"{name}:{port}" for name in either} | {address}


def means(host: str, node: Node) -> bool:
    """Whether a word means this node. The groups that it is in must be known."""
    return host[1:] in node.groups if host.startswith("@") else fits(wanted_of(host), node)


@functools.lru_cache(maxsize=4096)
def wanted_of(host: str) -> Wanted:
    """`HOST`, `HOST:PORT`, `[ADDRESS]:PORT`, a pattern, or an address such as `unix:/path`."""
    if host.startswith(SCHEMES):
        return Wanted(host)
    name, colon, port = host.rpartition(":")
    if not colon or not port.isdecimal() or (":" in name and not name.startswith("[")):
        return Wanted(host.strip("[]"))
    return Wanted(name.strip("[]"), int(port))


def is_address(host: str) -> bool:
    """Whether it can be dialled: neither a pattern nor a group."""
    return not host.startswith("@") and not is_pattern(host)


def why_removed(name: str, by: str) -> tuple[str, str]:
    """For whoever runs it, and whoever wishes for it: a sentence, and what to do."""
    return f"{name} was removed by {by}", f"`lightwork hosts add {name}` takes it back"


def _is_at(host: str, address: str) -> bool:
    if host.startswith("@"):
        return False
    wanted = wanted_of(host)
    if is_address(host) and (address_of(wanted) == address or wanted.port):
        return address_of(wanted) == address
    return matches(wanted.host, host_of(address))
