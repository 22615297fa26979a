"""What a scheduler program says of itself: what it took up, whom it waits for, who comes and goes."""

from __future__ import annotations

from lightwork.config import timers
from lightwork.kit.owner_log import OwnerLog
from lightwork.kit.text import count, listed, span
from lightwork.model.errors import LightworkError, LinkBroken, PeerError
from lightwork.scheduler.core.ledger import Ledger
from lightwork.transport.address import host_of
from lightwork.wire.messages import Hello

CLIENT, NODE, WATCHER, RELAY = "client", "node", "watcher", "relay"


class Words:
    """Its log, in sentences."""

    def __init__(self, log: OwnerLog) -> None:
        self.log = log
        self._awaited: dict[str, str] = {}  # identity -> name, of nodes that an earlier life of ours had
        self._known: dict[str, str] = {}  # all that were here in this life

    def took_up(self, ledger: Ledger, state: object) -> None:
        """Where the life before this one stopped."""
        if ledger.epoch:
            self.log.say(f"took up {amount(ledger)} from {state}")
        jobs = any(account.unended for account in ledger.sessions.values())
        self._awaited = {node.identity: node.node for node in ledger.nodes.values()}
        if self._awaited and jobs:
            names = listed(sorted(self._awaited.values()), 10)
            noun = "node" if len(self._awaited) == 1 else "nodes"
            most_s = max(timers.LEASE_S, *(node.lease_ns / 1e9 for node in ledger.nodes.values()))
            self.log.say(f"waits for {noun} {names} (at most {span(most_s)}) before it hands out jobs")

    def came(self, peer: Hello, address: str, relay: str = "") -> None:
        """Somebody is there."""
        if peer.role == CLIENT:
            self.log.say(f"{_client(peer)} is there{_from(address)}")
        elif peer.role == NODE:
            name = self._awaited.pop(peer.session, "")
            back = name or peer.session in self._known
            self._known[peer.session] = name or peer.name
            self.log.say(f"node {name or peer.name} is {'back' if back else 'there'}{_from(address, relay)}")
        elif peer.role == RELAY:
            self.log.say(f"relay {peer.name} is there{_from(address)}")

    def went(self, peer: Hello, error: LightworkError | None, *, left: bool) -> None:
        """Somebody is gone, with a goodbye, or perhaps not for long. What we ended ourselves is no news."""
        if peer.role not in (CLIENT, NODE, RELAY):
            return
        name = self._known.get(peer.session, peer.name)
        who = _client(peer) if peer.role == CLIENT else f"{peer.role} {name}"
        if left:
            self.log.say(f"{who} has left")
        elif error is not None:
            self.log.say(f"the connection with {who} is lost{f': {error.args[0]}' if error.args else ''}")

    def over(self, session: str) -> None:
        """A session is."""
        self.log.say(f"session {session} is over")

    def gone(self, node: str) -> None:
        """A node is presumed dead."""
        self.log.say(f"node {node} is presumed dead: it said nothing for longer than its lease")

    def refused(self, address: str, error: LightworkError) -> None:
        """A stranger, or one with another secret. (Who left without a word wants nothing.)"""
        if isinstance(error, LinkBroken):
            return
        host, text = address.rpartition(":")[0], str(error.args[0] if error.args else error)
        if isinstance(error, PeerError) and host:
            text = text.replace(address, host)  # its port is another each time
        who = host or "somebody on this machine"
        self.log.say(f"{who} was turned away: {text}", who, stranger=True)


def amount(ledger: Ledger) -> str:
    """How much is in it."""
    accounts = ledger.sessions.values()
    jobs = sum(account.unended for account in accounts)
    kept = sum(len(account.entries) for account in accounts) - jobs
    results = f" and {count(kept, 'result')}" if kept else ""
    return f"{count(jobs, 'job')}{results} of {count(len(ledger.sessions), 'session')}"


def _client(peer: Hello) -> str:
    user = f" of {peer.user}@{peer.host}" if peer.user and peer.host else ""
    return f"session {peer.session}{user}"


def _from(address: str, relay: str = "") -> str:
    host = host_of(address)
    told = ", ".join(filter(None, (host, f"via relay {relay}" if relay else "")))
    return f" ({told})" if told else ""
