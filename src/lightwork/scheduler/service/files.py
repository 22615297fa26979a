"""Who has which bytes: files that computations depend on (clients have them), files and values that jobs made (nodes).

Nothing is kept here: a Fetch is passed on to whoever has the bytes, and the stream back, with its credit. If a client's
link breaks, another one that has the same content goes on. If a node's does, its askers wait until it is back:

    under way --link broke--> waiting --node_back--> under way, from where it stopped
                                 +------node_gone--> failed
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeAlias

from lightwork.scheduler.core import commands as do
from lightwork.transport.files import BytesSource
from lightwork.transport.link import Link
from lightwork.transport.relay import Pipe
from lightwork.wire import messages as say
from lightwork.wire.frames import Buffer

Tell: TypeAlias = Callable[[str, say.Message], None]  # a node


class Arguments(Protocol):
    """The clients' arena, as far as arguments are read from it."""

    def view(self, reference: bytes) -> memoryview:
        """The bytes that an arena reference means."""


class Files:
    """Offers by digest, spooled files by attempt. `tell`: how nodes are told what must not be lost with a link."""

    def __init__(self, clients: Mapping[str, Link], nodes: Mapping[str, Link], tell: Tell | None = None) -> None:
        self._clients = clients
        self._nodes = nodes
        self._tell = tell or self._send
        self._sharing: set[str] = set()  # nodes that share memory with our clients
        self._offers: dict[str, set[str]] = {}  # digest -> sessions that have it
        self._spools: dict[int, tuple[str, str]] = {}  # token -> node, session
        self._waiting: dict[str, list[Pipe]] = {}  # by node

    # --- what is where ---

    def note_offers(self, session: str, message: Any) -> None:
        """A client names files that it can send."""
        files: Iterable[say.File] = ()
        if isinstance(message, say.Define | say.Update):
            files = message.computation.files
        elif isinstance(message, say.Submit):
            files = message.options.files
        elif isinstance(message, say.Tailor):
            files = message.tailoring.files
        elif isinstance(message, say.SendFile):
            files = (message.file,)
        for file in files:
            self._offers.setdefault(file.digest, set()).add(session)

    def note_news(self, command: Any) -> None:
        """A client is told of files in a node's spool."""
        if isinstance(command, do.Deliver):
            for token in filter(None, command.tokens):  # 0: they lie here
                self._spools[token] = command.node, command.session
        elif isinstance(command, do.TellFile) and command.name:
            self._spools[command.token] = command.node, command.session

    def taken(self, message: say.Taken) -> None:
        """A client has what it wanted: nodes may free it."""
        for node in self._sharing if message.regions else ():
            self._tell(node, say.Free(message.regions, []))
        self._free(message.spooled)

    def _free(self, tokens: Iterable[int]) -> None:
        spooled: dict[str, list[int]] = {}
        for token in tokens:
            node, _ = self._spools.pop(token, ("", ""))
            spooled.setdefault(node, []).append(token)
        for node, found in spooled.items():
            if node:
                self._tell(node, say.Free([], found))

    def _send(self, node: str, message: say.Message) -> None:
        link = self._nodes.get(node)
        if link is not None:
            link.send(message)

    # --- being fetched ---

    def fetch_from_client(self, asker: Link, fetch: say.Fetch) -> None:
        """A node wants a file of a computation."""
        self._ask_client(Pipe(fetch, asker, lambda pipe: self._ask_client(pipe, fetch)), fetch)

    def _ask_client(self, pipe: Pipe, fetch: say.Fetch) -> None:
        links = (self._clients.get(session) for session in sorted(self._offers.get(fetch.name, ())))
        holder = next((link for link in links if link is not None and link.up), None)
        if holder is None:
            pipe.give_up(f"no client here has the file {fetch.name}")
        else:
            pipe.go_on(holder)

    def fetch_from_node(self, asker: Link, fetch: say.Fetch) -> None:
        """A client wants a file that a job made, or its value; the name is TOKEN/NUMBER."""
        text = fetch.name.partition("/")[0]
        token = int(text) if text.isdecimal() else -1
        self._ask_node(Pipe(fetch, asker, lambda pipe: self._ask_node(pipe, token)), token)

    def _ask_node(self, pipe: Pipe, token: int) -> None:
        place = self._spools.get(token)
        if place is None:
            pipe.give_up(f"no node here has files of attempt {token}; it may have been lost")
            return
        node, _ = place
        link = self._nodes.get(node)
        if link is not None and link.up:
            pipe.go_on(link)
        else:
            waiting = [one for one in self._waiting.get(node, ()) if not one.ended]
            self._waiting[node] = [*waiting, pipe]

    def serve_argument(self, asker: Link, fetch: say.Fetch, buffer: Buffer) -> None:
        """A node wants the argument of an attempt, which lies here."""
        if 0 <= fetch.offset <= len(buffer):
            asker.serve(fetch.stream, BytesSource(buffer, fetch.offset))
        else:
            asker.refuse(fetch.stream, f"argument {fetch.name} has {len(buffer):,} bytes only")

    # --- who comes and goes ---

    def node_back(self, node: str, link: Link, *, anew: bool = False, shares_memory: bool = False) -> None:
        """A node is there. `anew`: it has let go of all that it had before."""
        if anew:
            self.node_gone(node)
        if shares_memory:
            self._sharing.add(node)
        for pipe in self._waiting.pop(node, ()):
            pipe.go_on(link)

    def node_gone(self, node: str) -> None:
        """It is presumed dead, and its spool with it."""
        self._sharing.discard(node)
        self._spools = {token: place for token, place in self._spools.items() if place[0] != node}
        for pipe in self._waiting.pop(node, ()):
            pipe.give_up(f"node {node} is lost, and with it what was to be fetched from there")

    def session_over(self, session: str) -> None:
        """Its offers are void; nobody will ask for its spooled files."""
        for digest in [digest for digest, sessions in self._offers.items() if session in sessions]:
            self._offers[digest].discard(session)
            if not self._offers[digest]:
                del self._offers[digest]
        self._free([token for token, place in self._spools.items() if place[1] == session])
