"""What users wish for, held against addresses, answers and nodes."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from lightwork.config import ports
from lightwork.scheduler.core import events as on
from lightwork.scheduler.core.nodes import Node
from lightwork.wire.messages import Wanted


def is_pattern(host: str) -> bool:
    """Whether it stands for any number of hosts."""
    return "*" in host or "?" in host


def address_of(wanted: Wanted) -> str:
    """What to dial for a wish that is no pattern."""
    if wanted.host.startswith(("unix:", "loopback:", "tcp:")):
        return wanted.host
    return join_address(wanted.host, wanted.port or ports.NODE)


def shown(address: str) -> str:
    """For people."""
    return address.removeprefix("tcp:")


def join_address(host: str, port: int) -> str:
    """Host and port as one address."""
    return f"tcp:[{host}]:{port}" if ":" in host else f"tcp:{host}:{port}"


def host_of(address: str) -> str:
    """The host of an address."""
    return shown(address).rpartition(":")[0].strip("[]")


def names_of(wanted: Iterable[Wanted]) -> list[str]:
    """Hosts that are asked by name, too: not all networks let a broadcast pass."""
    found = (one.host for one in wanted if not one.port and not is_pattern(one.host))
    return sorted({host for host in found if not host.startswith(("unix:", "loopback:"))})


def patterns_of(wanted: Iterable[Wanted]) -> list[str]:
    """Those that stand for any number of hosts."""
    return sorted({one.host for one in wanted if is_pattern(one.host)})


def matches(pattern: str, host: str) -> bool:
    """Whether a pattern, or a host, means this one."""
    return fnmatchcase(host, pattern) if is_pattern(pattern) else host == pattern


def may_be(wanted: Wanted, event: on.NodeHeard) -> bool:
    """Whether an answer may come from a node that is wished for. A pattern of names is known only after a call."""
    if wanted.port and wanted.port != event.port:
        return False
    if is_pattern(wanted.host):
        return matches(wanted.host, event.host) or any(letter.isalpha() for letter in wanted.host)
    if event.port == ports.NODE and wanted.host in event.names:  # it is dialled by its name
        return False
    return wanted.host == event.host or wanted.host in event.names


def fits(wanted: Wanted, node: Node) -> bool:
    """Whether a node is wished for by this."""
    if address_of(wanted) == node.via:
        return True
    hosts = {host_of(node.via), node.address, node.name}
    port = int(node.via.rpartition(":")[2]) if node.via.rpartition(":")[2].isdecimal() else 0
    if wanted.port and wanted.port != port:
        return False
    return any(matches(wanted.host, host) for host in hosts if host)


def wish(wishes: Iterable[Wanted], node: Node) -> Wanted | None:
    """The first wish that this node fulfils; exact ones before patterns."""
    found = [wanted for wanted in wishes if fits(wanted, node)]
    return min(found, key=lambda wanted: is_pattern(wanted.host), default=None)
