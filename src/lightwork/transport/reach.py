"""Why somebody could not be reached, in sentences: what, where, and what to do."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence

from lightwork.config.ports import NODE, RELAY, SCHEDULER
from lightwork.config.timers import CONNECT_S
from lightwork.kit.text import listed
from lightwork.model.errors import (
    LightworkError,
    LinkBroken,
    ProtocolError,
    SaysNothing,
    Unreachable,
    UserError,
    VersionMismatch,
)
from lightwork.transport.address import join_host_port, split_host_port
from lightwork.transport.foreign import PORT_HINT
from lightwork.wire.messages import Hello, Refused

Failures = Sequence[tuple[str, OSError]]  # address number, and what was said there

_ROUTE = (errno.ENETUNREACH, errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
_HOST = (errno.EHOSTUNREACH, errno.EHOSTDOWN)
_TRY_AGAIN = getattr(socket, "EAI_AGAIN", None)


def no_such_host(host: str, error: OSError | UnicodeError) -> LightworkError:
    """The name look-up failed."""
    if isinstance(error, UnicodeError):
        return UserError(f"{host!r} is no name of a host")
    if isinstance(error, socket.gaierror) and error.errno == _TRY_AGAIN:
        return Unreachable(f"the name server does not answer for {host}", hint="give its IP address instead")
    return Unreachable(
        f"there is no host named {host}", hint="check the spelling, or give its IP address, such as 192.168.3.4"
    )


def slow_lookup(host: str) -> Unreachable:
    """No answer in time."""
    return Unreachable(f"the look-up of the name {host} took over {CONNECT_S:g} s", hint="give its IP address instead")


def unreachable(where: str, failures: Failures) -> Unreachable:
    """No address of the host took the connection; an error that is a TimeoutError did not answer at all."""
    host, port = split_host_port(where)
    numbers = [number for number, _ in failures]
    shown = "" if numbers == [host] else f" ({listed(numbers)})"
    codes = {_kind(error) for _, error in failures}
    if codes == {"route"}:
        return _no_route(where, host, numbers)
    if len(codes) > 1:
        each = "; ".join(f"{number}: {_brief(error)}" for number, error in failures)
        return Unreachable(f"nobody answers at {where}: {each}", hint=_hint(min(codes), host, port, numbers))
    kind = codes.pop() if codes else "silence"
    sentence = {
        "refused": f"nobody listens at {where}{shown}: connection refused",
        "silence": f"no answer from {where}{shown} within {CONNECT_S:g} s",
        "host": f"{where}{shown} cannot be reached: no route to the host",
    }.get(kind) or f"cannot connect to {where}{shown}: {_brief(failures[0][1])}"
    return Unreachable(sentence, hint=_hint(kind, host, port, numbers))


def no_socket(path: str, error: OSError) -> Unreachable:
    """A unix socket that nobody serves."""
    if isinstance(error, FileNotFoundError):
        return Unreachable(f"nobody listens at unix:{path}: there is no such socket", hint="is the program running?")
    if isinstance(error, ConnectionRefusedError):
        return Unreachable(f"nobody listens at unix:{path} any more", hint="its program has died: start it again")
    return Unreachable(f"nobody answers at unix:{path}: {_brief(error) or 'timeout'}")


def only_asks(hello: Hello) -> Refused | None:
    """The check of who dials to be told why it is turned away, and wants no link."""
    return Refused("role", "this peer has only asked why it was turned away")


def says_nothing(where: str, heard: bool) -> SaysNothing:
    """Connected, and then no hello in time."""
    if heard:
        return SaysNothing(
            f"{where} stopped answering before it said who it is", hint="is the machine overloaded, or the line cut?"
        )
    return SaysNothing(f"something at {where} takes connections but says nothing", hint=PORT_HINT)


def not_up(where: str, heard: bool, error: LightworkError) -> LightworkError:
    """What a link's end before it was up means to its dialler."""
    if isinstance(error, VersionMismatch | ProtocolError) and where not in error.args[0]:
        error.args = (f"{where}: {error.args[0]}",)
    if not isinstance(error, LinkBroken):
        return error
    if heard:
        return SaysNothing(f"{where} ended the connection before it said who it is")
    return SaysNothing(f"something at {where} closed the connection without a word", hint=PORT_HINT)


def _no_route(where: str, host: str, numbers: list[str]) -> Unreachable:
    if all(":" in number for number in numbers):
        has = f"{host} has only IPv6 addresses ({listed(numbers)})" if numbers != [host] else f"{where} is IPv6"
        return Unreachable(
            f"{has}, and this machine has no route there",
            hint="give an IPv4 address of it, if it has one, or set up IPv6 here",
        )
    return Unreachable(
        f"this machine has no route to {where}{'' if numbers == [host] else f' ({listed(numbers)})'}",
        hint="is it connected to the network?",
    )


def _kind(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError) or error.errno == errno.ECONNREFUSED:
        return "refused"
    if isinstance(error, TimeoutError):
        return "silence"
    if error.errno in _ROUTE:
        return "route"
    return "host" if error.errno in _HOST else "other"


def _hint(kind: str, host: str, port: int, numbers: list[str]) -> str:
    from lightwork.security.credential import is_loopback

    if numbers and all(map(is_loopback, numbers)) and not is_loopback(host):
        return f"here, {host} is the name of this machine's own loopback address: see /etc/hosts"
    if kind == "refused":
        if port == SCHEDULER:
            there = "is `lightwork scheduler`, or a program with JobCluster(..., listen=...), running there?"
            return f"{there} a relay has port {RELAY}"
        what = "`lightwork node`" if port == NODE else "the node, relay or scheduler"
        return f"is {what} running there, and does it listen on port {port}? it says so when it starts"
    if kind in ("silence", "host"):
        return f"is it on, and in this network (`ping {host}`)? does its firewall let TCP port {port} in?"
    if any(number.startswith("fe80:") and "%" not in number for number in numbers):
        return f"such an address needs its interface: [{numbers[0]}%eth0]:{port}"
    return "does a firewall of this machine forbid it?"


def _brief(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    return (os.strerror(error.errno) if error.errno else str(error)).lower()  # the loops put more into strerror


def peer_of(sockaddr: object) -> str:
    """HOST:PORT of what the socket module calls an address."""
    if not isinstance(sockaddr, tuple) or len(sockaddr) < 2:
        return ""
    return join_host_port(str(sockaddr[0]), int(sockaddr[1]))
