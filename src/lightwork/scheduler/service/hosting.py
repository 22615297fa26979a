"""Machines as everybody's, for those who come by a link: words about them, lists of them, who may not join."""

from __future__ import annotations

from collections.abc import Callable

from lightwork.scheduler.core import events as on
from lightwork.scheduler.core.core import Core
from lightwork.scheduler.core.host_list import hosts
from lightwork.scheduler.core.host_rules import why_removed
from lightwork.scheduler.core.hosts import meant, problem
from lightwork.scheduler.core.nodes import HERE, Node
from lightwork.scheduler.core.wishes import host_of
from lightwork.scheduler.service.claims import Claims
from lightwork.transport.link import Link
from lightwork.wire import messages as say
from lightwork.wire.messages import Hello

REMOVED = "removed"  # code of a refusal


class Hosting:
    """Of one scheduler. `feed` gives events to the core."""

    def __init__(self, core: Core, claims: Claims, feed: Callable[[list[on.Event]], None]) -> None:
        self._core = core
        self._claims = claims
        self._feed = feed

    def shares(self, *, cooperative: bool) -> None:
        """Any number of users share its nodes; `cooperative`: each of them may change nodes for all."""
        self._core.state.shared, self._core.state.cooperative = True, cooperative

    def change(self, message: say.ChangeHosts, who: str = "") -> say.Answer:
        """Do it, and say what came of it. It is on disk later."""
        state, event = self._core.state, changed("", message, who)
        wrong = problem(state, event)
        if wrong is not None:
            return say.Answer(message.number, *wrong)
        before = [node.name for node in meant(state, event.hosts)]
        self._feed([event])
        nodes = [state.nodes[name] for name in before if name in state.nodes] or meant(state, event.hosts)
        left = sum(len(node.attempts) for node in nodes)
        return say.Answer(message.number, nodes=before or [node.name for node in nodes], total=left)

    def listed(self) -> list[tuple[str, str]]:
        """Hosts that were added (`lightwork hosts add`), and by whom."""
        return self._core.state.hosts.listed()

    def removed_by(self, address: str) -> str:
        """Who removed the host at this address; "": nobody, or it may be one that still has jobs of ours. (Where a node
        of an earlier life of ours is that was not dialled by the core, is known when it is back.)"""
        state, host = self._core.state, host_of(address)
        away = [node for node in state.nodes.values() if not node.via and node.standing not in HERE]
        awaited = any(not node.address or host in (node.name, node.address) for node in away)
        return "" if awaited else state.hosts.unwanted_at(address)

    def answer(self, question: say.AskHosts | say.AskWhy) -> say.Hosts | say.Why:
        """Which machines there are; why a job waits."""
        if isinstance(question, say.AskHosts):
            return hosts(self._core.state, question.number)
        if question.session not in self._core.state.sessions:
            return say.Why(question.number, [], f"there is no session {question.session!r}")
        return say.Why(question.number, self._core.why(question.session, question.job))

    def may_work(self, hello: Hello) -> say.Refused | None:
        """Whether this node may join: one that somebody removed may not, unless it still has jobs of ours."""
        state, name = self._core.state, self._claims.name_of(hello.session, hello.name)
        if not len(state.hosts) or name in state.nodes:
            return None
        known = state.turned_away.get(name)
        if known is None or known.identity != hello.session:
            known = Node(name, 0, hello.host, say.Hardware(), 0)
        by = state.hosts.removed_by(known)
        return say.Refused(REMOVED, *why_removed(name, by)) if by else None


def changed(session: str, message: say.ChangeHosts, who: str) -> on.HostsChanged:
    """A word about machines; `who` sent it, unless it is said for somebody else."""
    by = message.by or who
    return on.HostsChanged(
        session, message.number, message.action, message.hosts, message.group, message.now, by, message.policy
    )


def who(link: Link) -> str:
    """The user at the other end, for people."""
    peer = link.peer
    return f"{peer.user}@{peer.host}" if peer.user else peer.host or peer.name
