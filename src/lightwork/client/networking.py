"""Which machines a cluster uses and how both sides know each other: the keywords about it, as one frozen group.

nodes=      credential   uses
None        none         this machine
None        found        this machine, and whoever answers on the network
None        guessable    this machine, with a warning; `weak_secret=True`: as above
[...]       found        these; "local" among them is this machine
[...]       none         refused, except for "local" and addresses of this machine
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct

from lightwork.client import allocation
from lightwork.client.allocation import LOCAL, NodeAllocate
from lightwork.client.waiting import say
from lightwork.config import ports
from lightwork.model.errors import UserError

if TYPE_CHECKING:
    from lightwork.security.credential import Credential

PULSE_S = 0.1, 1000.0  # least and most
PING_S = 1.0, 1000.0
EVERYBODY = "*"


class Keywords(NamedTuple):
    """What the user said about all this."""

    nodes: Any = None
    listen: str | None = None
    secret: str | None = None
    secret_file: str | os.PathLike[str] | None = None
    certfile: str | os.PathLike[str] | None = None
    keyfile: str | os.PathLike[str] | None = None
    cafile: str | os.PathLike[str] | None = None
    weak_secret: bool = False
    pulse_interval: float | None = None
    ping_interval: float | None = None
    slots: int | None = None


class Network(Struct, frozen=True):
    """See above. `specs`: nodes to look for; `slots` of this machine, None: what the cluster says.

    `warning`: something that the user should read.
    """

    local: bool = True
    slots: int | None = None
    specs: tuple[NodeAllocate, ...] = ()
    credential: Credential | None = None
    weak_secret: bool = False
    listen: str = ""
    pulse_s: float = 0.0
    ask_s: float = 0.0
    warning: str = ""
    shared: bool = False  # the scheduler is somebody's: it reaches the nodes, by what it knows

    @property
    def beyond(self) -> bool:
        """Whether other machines, with other interpreters, may come into play."""
        return self.shared or self.credential is not None or bool(self.specs)

    def warn(self) -> None:
        """Say what the user should read."""
        if self.warning:
            say(f"warning: {self.warning}")


def network_of(told: Keywords) -> Network:
    """The keywords, checked; raises UserError for what cannot be meant, or needs a credential that is not there."""
    joining = told.listen is not None and isinstance(told.nodes, list | tuple) and not told.nodes  # these alone
    specs = [] if told.nodes is None or joining else allocation.specs_of(told.nodes)
    here = [spec for spec in specs if spec.host == LOCAL]
    wanted = [spec for spec in specs if spec.host != LOCAL]
    slots, listening = _slots_of(told.slots, here), listen_of(told.listen)
    pulse_s = _span("pulse_interval", told.pulse_interval, PULSE_S)
    ask_s = _span("ping_interval", told.ping_interval, PING_S)
    credential = _credential(told)
    warning = ""
    if told.nodes is None and credential is not None:
        if credential.guessable and not told.weak_secret:
            warning = _only_here(credential)
        else:
            wanted = [NodeAllocate(EVERYBODY)]
    words = [check_reach(credential, *allocation.place_of(spec), weak_secret=told.weak_secret) for spec in wanted]
    if listening:
        words.append(_check_listening(credential, listening, told))
    return Network(
        local=told.nodes is None or bool(here),
        slots=slots,
        specs=tuple(wanted),
        credential=credential,
        weak_secret=bool(told.weak_secret),
        listen=listening,
        pulse_s=pulse_s,
        ask_s=ask_s,
        warning=next(filter(None, [warning, *words]), ""),
    )


def shared_network(told: Keywords) -> Network:
    """The same for a cluster on a scheduler that is not its own: `nodes` are for that one to reach."""
    specs = [] if told.nodes is None else allocation.specs_of(told.nodes)
    if any(spec.host == LOCAL for spec in specs):
        raise UserError(
            '"local" would be the machine of the scheduler, which looks after its nodes itself.',
            hint="`lightwork node --join HOST` makes this machine a node of it",
        )
    return Network(
        local=False,
        specs=tuple(specs),
        credential=_credential(told),
        weak_secret=bool(told.weak_secret),
        shared=True,
    )


def listen_of(listen: str | None) -> str:
    """`listen=` as HOST:PORT (port 0: any); "" if nodes cannot join."""
    if listen is None:
        return ""
    from lightwork.transport.address import network_address

    if isinstance(listen, str) and not allocation.is_path(listen.strip()):
        try:
            return network_address(listen, ports.SCHEDULER, listening=True).removeprefix("tcp:")
        except UserError:
            pass  # said below, with the name of the keyword
    raise UserError(f"listen={listen!r} is no address to listen at.", hint='"*:9700" (all of this machine), "10.0.0.4"')


def check_reach(
    credential: Credential | None, host: str, port: int, *, weak_secret: bool = False, what: str = ""
) -> str:
    """Raises UserError unless this host may be dialled, or listened at, with this credential. A warning, or ""."""
    if allocation.is_path(host):
        return ""
    from lightwork.security import credential as credentials

    if credential is None:
        from lightwork.security.secret import NONE_YET, VARIABLE, secret_path

        raise UserError(
            f"{what or f'node {host!r}'} is on the network, and there is no credential: neither secret=, secret_file= "
            f"or certfile=, nor {VARIABLE} in the environment, nor {secret_path()}.",
            hint=NONE_YET,
        )
    from lightwork.transport.address import join_host_port

    return credentials.check_reach(credential, f"tcp:{join_host_port(host, port or ports.NODE)}", weak_secret)


def _check_listening(credential: Credential | None, listening: str, told: Keywords) -> str:
    from lightwork.transport.address import split_host_port

    host, port = split_host_port(listening)
    return check_reach(credential, host, port, weak_secret=told.weak_secret, what=f"listen={told.listen!r}")


def _credential(told: Keywords) -> Credential | None:
    """What was given, or lies in one of the usual places; None if there is none."""
    from lightwork.security import credential as credentials

    if told.secret is not None and not isinstance(told.secret, str):
        raise UserError(f"secret must be text, not {type(told.secret).__name__}.")
    paths = {name: getattr(told, name) for name in ("secret_file", "certfile", "keyfile", "cafile")}
    for name, path in paths.items():
        if path is not None and not isinstance(path, str | os.PathLike):
            raise UserError(f"{name} must be the path of a file, not {path!r}.")
    return credentials.find(secret=told.secret, **{name: path and os.fspath(path) for name, path in paths.items()})


def _only_here(credential: Credential) -> str:
    text = f"the secret from {credential.origin} is a phrase that others may guess, so the network is left alone"
    hint = "`lightwork secret` makes one that nobody can guess; weak_secret=True uses the phrase all the same"
    return f"{text}: the jobs run on this machine only\nhint: {hint}"


def _slots_of(slots: int | None, here: list[NodeAllocate]) -> int | None:
    """Of this machine: as the cluster says, else as `nodes=` does."""
    if slots is not None and (isinstance(slots, bool) or not isinstance(slots, int) or slots < 1):
        raise UserError(f"slots={slots!r} must be at least 1.")
    if slots is None and here and here[0].cpus:
        return allocation.share(here[0].cpus, os.cpu_count() or 1) or 1
    return slots


def _span(name: str, given: float | None, limits: tuple[float, float]) -> float:
    least, most = limits
    if given is None:
        return 0.0
    if isinstance(given, bool) or not isinstance(given, int | float) or not least <= given <= most:
        raise UserError(f"{name}={given!r} must be {least:g} to {most:g} seconds.")
    return float(given)
