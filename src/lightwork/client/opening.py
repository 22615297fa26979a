"""From a started scheduler to a session on it."""

from __future__ import annotations

import os
from typing import Protocol

from lightwork.client.launch import Private
from lightwork.client.options import Reporting
from lightwork.client.payloads import Payloads
from lightwork.client.reaching import Way
from lightwork.client.session import Session
from lightwork.kit.version import __version__
from lightwork.model.errors import LightworkError, StartFailed
from lightwork.transport.blocking import BlockingLink
from lightwork.transport.dial import connect
from lightwork.wire.messages import PROTOCOL, Hello


class DurableServer(Way, Protocol):
    """A durable scheduler as we use it: the name of our session there, and what we are called, for people."""

    session: str
    title: str


def open_private(server: Private, reporting: Reporting) -> Session:
    """Connect to a scheduler of our own; raises StartFailed if that cannot be done."""
    address = server.address()
    session = server.options.session
    try:
        link = dial(address, session, server.options.name)
    except LightworkError as error:
        raise StartFailed(f"The scheduler was started at {address}, but: {error}\n{server.obituary()}") from error
    return join(link, server, reporting)


def dial(address: str, session: str, name: str) -> BlockingLink:
    """A line to the scheduler at this address."""
    return connect(address, hello_of(session, name))


def hello_of(session: str, name: str) -> Hello:
    """How a client greets."""
    return Hello(PROTOCOL, "client", name[:255], session=session, software=f"lightwork {__version__}", pid=os.getpid())


def open_durable(
    server: DurableServer, reporting: Reporting, *, lasting: bool, timeout: float | None = None
) -> Session:
    """The session on a scheduler that outlives links; waits for it, and says so. Errors as in `open_patiently`."""
    from lightwork.client.durable_session import DurableSession
    from lightwork.client.reaching import hello_of, open_patiently

    link, frames = open_patiently(server, hello_of(server.session, server.title, lasting=lasting), timeout)
    link.put_back(frames)
    session = DurableSession(link, server.session, server, reporting, title=server.title, lasting=lasting)
    try:
        session.open()
    except BaseException:
        session.sever()
        raise
    return session


def join(link: BlockingLink, server: Private, reporting: Reporting) -> Session:
    """The session over a line that is up."""
    freed: list[Session] = []  # the payloads need the session's ear, and the session needs the payloads

    def released(offset: int) -> None:
        freed[0].core.free(offset)

    payloads = Payloads(server.arenas.arguments, server.arenas.results, released)
    session = Session(
        link,
        server.options.session,
        payloads,
        callback=reporting.callback,
        cluster_status=reporting.cluster_status,
        base=reporting.directory,
        obituary=server.obituary,
    )
    freed.append(session)
    return session
