"""A scheduler that several programs share, as one of them reaches it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightwork.client.launch import NoArenas
from lightwork.client.networking import Network, check_reach
from lightwork.client.waiting import say
from lightwork.config import places, ports
from lightwork.kit.text import listed
from lightwork.model.errors import UserError
from lightwork.transport.address import TCP, network_address, split, split_host_port
from lightwork.transport.blocking import BlockingLink
from lightwork.transport.dial import connect
from lightwork.wire.messages import Hello, Refused, Terms

if TYPE_CHECKING:
    from lightwork.transport.tls import Encryption

_ROLE, _OTHER = "role", "other"  # codes of our refusals


class Shared:
    """`scheduler`: as users write it; None: this user's own. UserError: there is none such, or we have no credential.

    `terms` are said over each link. It is the same scheduler over all of them: another that listens there
    later, or an earlier life of it, is not believed.
    """

    def __init__(
        self, scheduler: str | None, network: Network, session: str, title: str, terms: Terms | None = None
    ) -> None:
        self.arenas = NoArenas()
        self.session = session
        self.title = title
        self.written = f", scheduler={scheduler!r}" if scheduler is not None else ""
        self._address = address_of(scheduler)
        kind, rest = split(self._address)
        self.where = f"the scheduler at {rest if kind == TCP else self._address}"
        self._encryption: Encryption | None = None
        if kind == TCP:
            self._encryption = _encryption_of(scheduler or rest, rest, network)
        self._terms = terms
        self._identity = ""
        self._epoch = 0

    def dial(self, hello: Hello) -> BlockingLink:
        """A link to it."""
        link = connect(self._address, hello, self._check, encryption=self._encryption)
        self._identity, self._epoch = link.peer.session, link.peer.epoch
        if self._terms is not None:
            link.send(self._terms)
        return link

    def _check(self, peer: Hello) -> Refused | None:
        if peer.role != "scheduler":
            hint = f"schedulers listen at port {ports.SCHEDULER}, unless told otherwise"
            return Refused(_ROLE, f"a {peer.role} listens at {self._address}, no scheduler", hint)
        if not peer.epoch:
            return Refused(_ROLE, f"the scheduler at {self._address} is one program's own, and not shared")
        if self._identity and (peer.session != self._identity or peer.epoch < self._epoch):
            what = "another scheduler" if peer.session != self._identity else "an earlier life of the scheduler"
            return Refused(
                _OTHER, f"{what} answers at {self._address} now", "was its state directory moved or restored?"
            )
        return None

    def end(self, *, clean: bool, keep_results: bool = False) -> None:
        """It goes on."""

    def discard(self) -> None:
        """It goes on."""

    def abandon(self) -> None:
        """It goes on."""


def address_of(scheduler: str | None) -> str:
    """Where that is. UserError: it is no address; None, and not exactly one of this user's own is there."""
    if scheduler is not None:
        if not isinstance(scheduler, str):
            raise UserError(f"scheduler={scheduler!r} must be text.", hint='"lab1", "lab1:9700" or "unix:/path"')
        return network_address(scheduler, ports.SCHEDULER)
    found = own_schedulers()
    if len(found) == 1:
        return found[0].address
    if not found:
        raise UserError(
            "No scheduler of yours runs on this machine.",
            hint='`lightwork scheduler` starts one; scheduler="HOST" names one of another machine',
        )
    each = [f"{place.name} ({place.address})" for place in found]
    raise UserError(
        f"{len(found)} schedulers of yours run on this machine: {listed(each, 10)}.",
        hint=f'name one: scheduler="{found[0].address}"',
    )


def own_schedulers() -> list[places.Place]:
    """Those of this user, on this machine, that serve any session."""
    return [place for place in places.find() if not place.session]


def _encryption_of(scheduler: str, where: str, network: Network) -> Encryption:
    host, port = split_host_port(where)
    warning = check_reach(
        network.credential, host, port, weak_secret=network.weak_secret, what=f"scheduler {scheduler!r}"
    )
    if warning:
        say(f"warning: {warning}")
    from lightwork.transport.tls import Encryption

    assert network.credential is not None  # or `check_reach` had refused
    return Encryption(network.credential)
