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
        self._spools: dict[int, str] = {}  # token -> node

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
        if isinstance(command, do.Deliver) and command.files:
            for column, _ in command.files:
                self._spools[command.tokens[column]] = command.node
        elif isinstance(command, do.TellFile):
            self._spools[command.token] = command.node

    def fetch_from_client(self, asker: Link, fetch: say.Fetch) -> None:
        """A node wants a file of a computation."""
        sessions = self._offers.get(fetch.name, set())
        holder = next((self._clients[session] for session in sorted(sessions) if session in self._clients), None)
        self._pass_on(asker, fetch, holder, f"no client here has the file {fetch.name}")

    def fetch_from_node(self, asker: Link, fetch: say.Fetch) -> None:
        """A client wants a file that a job made; its name is TOKEN/NUMBER."""
        token = fetch.name.partition("/")[0]
        node = self._spools.get(int(token) if token.isdecimal() else -1, "")
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
            node = self._spools.pop(token, None)
            if node is not None:
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

    def node_gone(self, node: str) -> None:
        """Its spool went with it."""
        for token in [token for token, name in self._spools.items() if name == node]:
            del self._spools[token]
