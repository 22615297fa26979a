"""What a scheduler program is told, and how it tells its owner what is not for the log."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from msgspec import Struct

from lightwork.security.credential import Credential


class ProgramOptions(Struct, kw_only=True):
    """The command line of `lightwork scheduler`; the last three are for a private scheduler only.

    name      "": the host's
    state     its directory; None: one of this name, of this user
    listen    HOST:PORT; "": all addresses if there is a credential; of a private scheduler: no network
    nodes     HOST[:PORT] of nodes that listen, and that it dials itself
    hosts     a file of such, which is watched
    clients   the credential of clients, if `credential` is that of nodes only; None: one for both
    order     whose job is next (core.policies.ORDERS)
    resources what all nodes share, by name: so many of it
    cooperative  any program may set how many slots of a node are used
    session   the only one that it serves; when that is over, so is the scheduler
    pulse_s   seconds between two heartbeats of a node; 0: as config.timers says
    ask_s     seconds between two questions to the network; 0: as config.timers says
    """

    name: str = ""
    state: Path | None = None
    listen: str = ""
    nodes: tuple[str, ...] = ()
    hosts: Path | None = None
    credential: Credential | None = None
    clients: Credential | None = None
    weak_secret: bool = False
    order: str = "fair"
    resources: dict[str, int] = {}
    cooperative: bool = False
    session: str = ""
    pulse_s: float = 0.0
    ask_s: float = 0.0


class Report(Protocol):
    """The owner."""

    def at_home(self, name: str) -> None:
        """The scheduler has its state, and a name. Nothing else was done yet."""

    def announce(self, line: str) -> None:
        """The one line that says where it is."""

    def hint(self, text: str) -> None:
        """What else its owner should know."""

    def up(self) -> None:
        """It works."""
