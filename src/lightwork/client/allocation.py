"""Which nodes a cluster wants, as its user writes it.

"lab1"  "lab1:9701"  "[fe80::1]:9701"  "192.168.3.*"  "lab*"  "*"      names, addresses, patterns
("lab1", 9701, -2, ["data.csv"], (7,))   {"host": "lab1", "cpus": 4}   with port, cpus, depends, setup_args
NodeAllocate("lab*")                                                   the same; a subclass decides node by node
"local"                                                                this machine, without the network
"unix:/path"                                                           a node program of this user, on this machine
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from lightwork.client.options import depends_of
from lightwork.model.errors import UserError
from lightwork.wire.messages import NodeStatus

LOCAL = "local"
_PATHS = ("unix:", "loopback:")
_FIELDS = ("host", "port", "cpus", "depends", "setup_args")
_PATTERN = re.compile(r"[\w.:*?-]{1,253}")
_HINT = '"lab1", "lab1:9701", "192.168.3.4", "[fe80::1]:9701", or a pattern such as "192.168.3.*"'


class NodeAvailInfo(NamedTuple):
    """What a node has left: `cpu` and `swap` in percent, `memory` and `disk` in bytes."""

    cpu: float
    memory: int
    disk: int
    swap: float


class NodeAllocate:
    """Nodes that a cluster shall use, and what they have of their own.

    host        name, address, or a pattern with `*` and `?`
    port        where the node listens; None: the default port
    cpus        use so many of its slots; negative: leave so many free; 0: use all
    depends     files and directories for these nodes, beside the cluster's
    setup_args  for `setup` and `cleanup` there, instead of the cluster's

    A subclass that overrides `allocate` decides about each node when it is there.
    """

    port: int | None = None
    cpus: int = 0
    depends: Any = ()
    setup_args: Any = ()

    def __init__(
        self, host: str, port: int | None = None, cpus: int = 0, depends: Any = (), setup_args: Iterable[Any] = ()
    ) -> None:
        self.host = host
        self.port = port
        self.cpus = cpus
        self.depends = list(depends_of(depends))
        self.setup_args = arguments_of(setup_args, host)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({getattr(self, 'host', None)!r})"

    def allocate(
        self, cluster: Any, ip_addr: str, name: str, cpus: int, avail_info: NodeAvailInfo | None, platform: str
    ) -> int:
        """How many of the node's `cpus` slots to use; 0: do not use it.

        Called in a thread of its own, one node after another. It may set `self.depends` and `self.setup_args` for this
        node; before the next one they are again as they were given.
        """
        return share(self.cpus, cpus)


def arguments_of(setup_args: Any, host: object) -> tuple[Any, ...]:
    """Arguments for `setup` on a node."""
    if isinstance(setup_args, str | bytes) or not isinstance(setup_args, Iterable):
        raise UserError(f"setup_args of node {host!r} must be a tuple of arguments, not {setup_args!r}.")
    return tuple(setup_args)


def files_of(depends: Any, host: str) -> tuple[Any, ...]:
    """What a node alone depends on."""
    found = depends_of(depends)
    if wrong := [item for item in found if not isinstance(item, str | bytes | os.PathLike)]:
        raise UserError(
            f"depends of node {host!r}: {wrong[0]!r} is no file or directory.",
            hint="functions, classes and modules go to all nodes: give them to the cluster's depends=",
        )
    return found


def share(wanted: int, slots: int) -> int:
    """How many of a node's slots are used if `wanted` is what its user said: 0 all, negative leaves some free."""
    return slots if not wanted else max(0, min(slots, wanted if wanted > 0 else slots + wanted))


def decides(spec: NodeAllocate) -> bool:
    """Whether the node must be offered before it is used."""
    return type(spec).allocate is not NodeAllocate.allocate or bool(spec.depends) or bool(spec.setup_args)


# --- from what users write ---


def specs_of(nodes: Any) -> list[NodeAllocate]:
    """`nodes=` as a flat list, each of them checked; raises UserError for what cannot be meant."""
    found = list(_flat(nodes))
    if not found:
        raise UserError(
            f"nodes={nodes!r} names no node.",
            hint="leave it out for this machine, or name some: nodes=['lab1', '192.168.3.*', 'local']",
        )
    return found


def _flat(nodes: Any) -> Iterator[NodeAllocate]:
    if isinstance(nodes, str | NodeAllocate | NodeStatus | dict) or _is_one(nodes):
        yield _spec_of(nodes)
    elif isinstance(nodes, Iterable) and not isinstance(nodes, bytes):
        for node in nodes:
            yield from _flat(node)
    else:
        raise UserError(f"nodes: {nodes!r} is no node.", hint=f"{_HINT}, a tuple, a dict or a NodeAllocate")


def _is_one(nodes: Any) -> bool:
    """Whether a tuple is one node with its port and more, rather than several nodes."""
    return (
        isinstance(nodes, tuple) and len(nodes) > 1 and (nodes[1] is None or isinstance(nodes[1], int | float | bool))
    )


def _spec_of(node: Any) -> NodeAllocate:
    if isinstance(node, NodeStatus):
        node = node.address or node.name
    if isinstance(node, tuple):
        if len(node) > len(_FIELDS):
            raise UserError(f"nodes: {node!r} has more than {', '.join(_FIELDS)}.")
        node = NodeAllocate(*node)
    elif isinstance(node, dict):
        if unknown := [key for key in node if key not in _FIELDS]:
            raise UserError(f"nodes: {node!r} has {unknown[0]!r}.", hint=f"its keys may be {', '.join(_FIELDS)}")
        if "host" not in node:
            raise UserError(f"nodes: {node!r} has no 'host'.")
        node = NodeAllocate(**node)
    elif isinstance(node, str):
        node = NodeAllocate(node)
    check(node)
    assert isinstance(node, NodeAllocate)
    return node


def check(spec: NodeAllocate) -> None:
    """Raises UserError if a field has no meaning."""
    host = getattr(spec, "host", None)
    if not isinstance(host, str):
        raise UserError(f"nodes: {host!r} is no host.", hint=_HINT)
    _, port = place_of(spec)
    for name, value in (("port", 1 if spec.port is None else spec.port), ("cpus", spec.cpus)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise UserError(f"nodes: {name}={value!r} of {host!r} is no whole number.")
    if not 0 <= port < 1 << 16 or spec.port == 0:
        raise UserError(f"nodes: {port} is no port of {host!r}: ports are 1 to 65535.")
    files_of(spec.depends, host)
    if host == LOCAL and (decides(spec) or spec.port):
        raise UserError(
            "'local' is this machine without the network: it has no port, and nothing of its own.",
            hint="run `lightwork node` here and name it 'localhost', or give it to the cluster as a whole",
        )


def place_of(spec: NodeAllocate) -> tuple[str, int]:
    """Host (or pattern, or local address) and port; 0: the default one."""
    host, port = split_host(spec.host)
    if isinstance(spec.port, int) and port and spec.port != port:
        raise UserError(f"nodes: {spec.host!r} has a port, and port={spec.port} is another one.")
    return host, port or spec.port or 0


def is_path(host: str) -> bool:
    """Whether this is an address of this machine that files guard, so that no credential is needed."""
    return host.startswith(_PATHS)


def split_host(text: str) -> tuple[str, int]:
    """Host (or pattern) and port of what a user writes for a node; port 0: none was given."""
    text = text.strip()
    if is_path(text):
        return text, 0
    try:
        if "*" in text or "?" in text:
            return _split_pattern(text)
        from lightwork.transport.address import network_address, split_host_port

        return split_host_port(network_address(text, 0).removeprefix("tcp:"))
    except UserError:
        raise UserError(f"nodes: {text!r} is no host.", hint=_hint_for(text)) from None


def _split_pattern(text: str) -> tuple[str, int]:
    """The same for a pattern; one with several colons is of IPv6 addresses, and its port must be given apart."""
    host, _, port = text.partition(":") if text.count(":") == 1 else (text, "", "")
    known = port.isascii() and port.isdecimal() and 0 < int(port) < 1 << 16
    if not _PATTERN.fullmatch(host) or (port and not known):
        raise UserError(f"{text!r} is no pattern")
    return host, int(port or 0)


def _hint_for(text: str) -> str:
    if "," in text or " " in text:
        return "several nodes are a list: nodes=['lab1', 'lab2']"
    if "://" in text:
        return "the host alone, and perhaps its port: 'lab1:9701'"
    if "/" in text:
        return "a pattern instead of a network's mask: '192.168.3.*'"
    return _HINT
