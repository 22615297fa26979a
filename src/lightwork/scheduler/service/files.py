"""Who has which bytes: files that computations depend on (clients have them), files that jobs made (nodes have them).

Nothing is kept here: a Fetch is passed on to whoever has the bytes, and the stream back, with its credit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightwork.scheduler.core import commands as do
from lightwork.transport.link import Link, Refusal
from lightwork.transport.relay import relay
from lightwork.wire import messages as say


class Files:
    """Offers by digest, spooled files by attempt."""

    def __init__(self, clients: Mapping[str, Link], nodes: Mapping[str, Link]) -> None:
        self._clients = clients
        self._nodes = nodes
        self._offers: dict[str, set[str]] = {}  # digest -> sessions that have it
        self._spools: dict[int, tuple[str, str]] = {}  # token -> node, session

    def note_offers(self, session: str, message: Any) -> None:
        """A client names files that it can send."""
        if isinstance(message, say.Define):
            files = message.computation.files
        elif isinstance(message, say.Submit):
            files = message.options.files
        else:
            return
        for file in files:
            self._offers.setdefault(file.digest, set()).add(session)

    def note_news(self, command: Any) -> None:
        """A client is told of files in a node's spool."""
        if isinstance(command, do.Deliver):
            for token in command.tokens:
                self._spools[token] = command.node, command.session
        elif isinstance(command, do.TellFile):
            self._spools[command.token] = command.node, command.session

    def fetch_from_client(self, asker: Link, fetch: say.Fetch) -> None:
        """A node wants a file of a computation."""
        sessions = self._offers.get(fetch.name, set())
        holder = next((self._clients[session] for session in sorted(sessions) if session in self._clients), None)
        self._pass_on(asker, fetch, holder, f"no client here has the file {fetch.name}")

    def fetch_from_node(self, asker: Link, fetch: say.Fetch) -> None:
        """A client wants a file that a job made; its name is TOKEN/NUMBER."""
        token = fetch.name.partition("/")[0]
        node, _ = self._spools.get(int(token) if token.isdecimal() else -1, ("", ""))
        self._pass_on(asker, fetch, self._nodes.get(node), f"no node here has the file {fetch.name}")

    def _pass_on(self, asker: Link, fetch: say.Fetch, holder: Link | None, refusal: str) -> None:
        if holder is None:
            asker.serve(fetch.stream, Refusal(refusal))
        else:
            relay(fetch, asker, holder)

    def taken(self, message: say.Taken) -> None:
        """A client has what it wanted: nodes may free it. (Only a node of this machine has an arena.)"""
        spooled: dict[str, list[int]] = {}
        for token in message.spooled:
            node, _ = self._spools.pop(token, ("", ""))
            spooled.setdefault(node, []).append(token)
        for name, link in self._nodes.items():
            tokens = spooled.get(name, [])
            if message.regions or tokens:
                link.send(say.Free(message.regions, tokens))

    def session_over(self, session: str) -> None:
        """Its offers are void; its spooled files go with the session on each node."""
        for digest in [digest for digest, sessions in self._offers.items() if session in sessions]:
            self._offers[digest].discard(session)
            if not self._offers[digest]:
                del self._offers[digest]
        self._spools = {token: place for token, place in self._spools.items() if place[1] != session}

    def node_gone(self, node: str) -> None:
        """It is presumed dead, and its spool with it."""
        self._spools = {token: place for token, place in self._spools.items() if place[0] != node}
