"""A little network of real hosts on one machine, for tests: namespaces, veth pairs, a bridge.

                      hub (a namespace of its own)
        ┌────────────── br0: 192.168.3.0/24 ─────────────┐  br1: ...
       p0                 p1                 p2          │   p3
        │ veth             │                  │              │
      eth0               eth0               eth0           eth1
    [client]             [ a ]              [ b ]          [ b ]     a namespace each: network, mounts, hostname

    with Lab("192.168.3.0/24", hosts=["client", "a", "b"]) as lab:
        node = lab["a"].python("-m", "lightwork", "node")
        node.wait_for("listening")
        lab["a"].cut(); ...; lab["a"].heal()

What the subnets say is what there is: without an IPv6 one the interfaces have no IPv6 at all; "fe80::/64" gives them
addresses of the link only. Hosts know each other's names by /etc/hosts, which a test may write anew. Nothing of it is
in the machine's own namespace. Cuts happen at the hub: packets vanish and nobody is told. All processes of a host are
killed at the end; what a killed run left is removed by the next.
"""

from __future__ import annotations

import functools
import ipaddress
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path

import pytest

from tests.support.lab_host import LIMIT_S, Counters, Host, Interface, Program, _nft, _tool, processes_in

__all__ = ["LIMIT_S", "Counters", "Host", "Interface", "Lab", "Program", "needs_lab"]

BASE = Path("/var/lib/lightwork-lab")  # on disk, with short paths, and not below the /tmp that each host has of its own
FIRST = 11  # a host's last number: .11, .12, ...
_OURS = re.compile(r"lwlab(\d+)-\d+-.*")
_labs = count()


class Lab:
    """Hosts on a network. `visible`: paths below /tmp or /var/tmp that all hosts are to see (this checkout is)."""

    def __init__(self, *subnets: str, hosts: Iterable[str], visible: Iterable[Path | str] = ()) -> None:
        _remove_stale()
        number = f"{os.getpid()}-{next(_labs)}"
        self.directory = BASE / number
        self._hub = f"lwlab{number}-hub"
        self._networks = 0
        self._ports = 0
        self.hosts = {name: Host(name, f"lwlab{number}-{name}", self._hub, self.directory / name) for name in hosts}
        root = Path(__file__).resolve().parents[2]
        seen = [root, *map(Path, (sys.prefix, sys.base_prefix)), *map(Path, visible)]
        try:
            self._open([path for path in dict.fromkeys(seen) if path != Path(tempfile.gettempdir())])
            self.network(*subnets)
            self.name_all()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def _open(self, visible: Sequence[Path]) -> None:
        self.directory.mkdir(parents=True)
        for namespace in (self._hub, *(host.namespace for host in self.hosts.values())):
            _tool(["ip", "netns", "add", namespace])
            _tool(["ip", "-n", namespace, "link", "set", "lo", "up"])
            for place in ("all", "default"):  # addresses can be used at once
                _set(namespace, f"net/ipv6/conf/{place}/accept_dad", "0")
        for name in ("iptables", "ip6tables", "arptables"):  # the bridge bridges, and nothing else sees its packets
            _set(self._hub, f"net/bridge/bridge-nf-call-{name}", "0")
        _nft(self._hub, "add table bridge lab")
        _nft(self._hub, "add chain bridge lab forward { type filter hook forward priority -200; }")
        for host in self.hosts.values():
            host.open(visible)

    def network(self, *subnets: str, hosts: Iterable[str] | None = None) -> None:
        """One more network, on which the hosts (all of them) get one more interface: eth1, eth2, ..."""
        bridge = f"br{self._networks}"
        self._networks += 1
        _tool(["ip", "-n", self._hub, "link", "add", bridge, "type", "bridge", "stp_state", "0", "mcast_snooping", "0"])
        _set(self._hub, f"net/ipv6/conf/{bridge}/disable_ipv6", "1")
        _tool(["ip", "-n", self._hub, "link", "set", bridge, "up"])
        networks = [ipaddress.ip_network(subnet) for subnet in subnets]
        for place, host in enumerate(self.hosts.values()):
            if hosts is None or host.name in hosts:
                self._plug(host, bridge, [(net[FIRST + place], net) for net in networks])

    def _plug(self, host: Host, bridge: str, addresses: Sequence[tuple[_Address, _Network]]) -> None:
        port, name = f"p{self._ports}", f"eth{len(host.interfaces)}"
        self._ports += 1
        _tool(
            ["ip", "-n", self._hub, "link", "add", port, "type", "veth", "peer", "name", name, "netns", host.namespace]
        )
        _set(self._hub, f"net/ipv6/conf/{port}/disable_ipv6", "1")
        if not any(address.version == 6 for address, _ in addresses):
            _set(host.namespace, f"net/ipv6/conf/{name}/disable_ipv6", "1")
        _tool(["ip", "-n", self._hub, "link", "set", port, "master", bridge, "up"])
        host.ip("link", "set", name, "up")
        for address, network in addresses:
            more = ["nodad"] if address.version == 6 else ["broadcast", "+"]
            host.ip("address", "add", f"{address}/{network.prefixlen}", "dev", name, *more)
        host.interfaces[name] = Interface(name, port, tuple(str(address) for address, _ in addresses))

    def name_all(self) -> None:
        """Each /etc/hosts names every host by its first address, as a name server of the network would."""
        lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
        lines += [f"{host.address} {host.name}" for host in self.hosts.values() if host.addresses]
        for host in self.hosts.values():
            host.write_etc("hosts", "\n".join(lines) + "\n")

    def close(self) -> None:
        """Kill and remove all; safe to call twice."""
        for host in self.hosts.values():
            host.close()
        for namespace in (self._hub, *(host.namespace for host in self.hosts.values())):
            _delete(namespace)
        _remove_tree(self.directory)


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _set(namespace: str, name: str, value: str) -> None:
    script = f"if test -e /proc/sys/{name}; then echo {value} > /proc/sys/{name}; fi"
    _tool(["nsenter", f"--net=/run/netns/{namespace}", "sh", "-c", script])


def _delete(namespace: str) -> None:
    if Path("/run/netns", namespace).exists():
        _tool(["ip", "netns", "delete", namespace])


def _remove_tree(path: Path) -> None:
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    inside = [place for place in mounts if Path(place).is_relative_to(path)]
    assert not inside, f"{inside} would be emptied"  # the binds of hosts are theirs alone: never seen here
    shutil.rmtree(path, ignore_errors=True)


def _remove_stale() -> None:
    """What runs that are dead have left: their namespaces with all processes, their files."""
    for path in Path("/run/netns").glob("lwlab*") if Path("/run/netns").is_dir() else ():
        match = _OURS.fullmatch(path.name)
        if match and not Path("/proc", match[1]).exists():
            for pid in processes_in(path.name):
                try:
                    os.kill(pid, 9)
                except ProcessLookupError:  # it ended by itself
                    pass
            subprocess.run(
                ["ip", "netns", "delete", path.name], check=False, capture_output=True
            )  # another may be first
    for path in BASE.glob("*-*") if BASE.is_dir() else ():
        if not Path("/proc", path.name.partition("-")[0]).exists():
            _remove_tree(path)


def needs_lab() -> None:
    """Skip the test, with one line that says why, where there can be no lab."""
    why = _why_not()
    if why:
        pytest.skip(f"no lab: {why}")


@functools.cache
def _why_not() -> str:
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    install({"ip": "iproute2", "nft": "nftables", "tcpdump": "tcpdump"})
    missing = [name for name in ("ip", "nft", "tcpdump", "nsenter", "unshare") if shutil.which(name) is None]
    if missing:
        return f"no {', '.join(missing)} here, and apt-get did not bring it"
    try:
        with Lab("10.77.0.0/24", hosts=["a", "b"]) as lab:
            lab["a"].cut(lab["b"])
            lab["a"].heal()
            lab["a"].deny("meta l4proto udp")
    except (AssertionError, OSError) as error:
        return " ".join(str(error).split())
    return ""


PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def install(packages: dict[str, str]) -> None:
    """Bring what is missing, by the system's own means; `packages` by program."""
    missing = [package for program, package in packages.items() if not shutil.which(program, path=PATH)]
    if missing and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "-y", "--no-install-recommends", *missing]):
            subprocess.run(["apt-get", "-q", *command], env=environment, capture_output=True, check=False, timeout=300)
