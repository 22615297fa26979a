"""This machine's own addresses. They come and go: nothing here is remembered."""

from __future__ import annotations

import ipaddress
import socket
from typing import NamedTuple


class Interface(NamedTuple):
    """One address of a network card that is up; a card with several addresses is there several times."""

    name: str
    number: int  # 0 where the system does not tell
    address: str  # without %scope
    broadcast: str | None  # IPv4 only
    loopback: bool

    @property
    def v6(self) -> bool:
        """Whether the address is an IPv6 one."""
        return ":" in self.address

    @property
    def link_local(self) -> bool:
        """Whether the address means something on this one network only."""
        return ipaddress.ip_address(self.address).is_link_local


def interfaces() -> list[Interface]:
    """All of them that are up; none where the system does not tell."""
    import psutil

    try:
        cards, states = psutil.net_if_addrs(), psutil.net_if_stats()
    except OSError:  # some sandboxes forbid the question
        return []
    found = []
    for name, addresses in cards.items():
        state = states.get(name)
        if state is not None and not state.isup:
            continue
        for given in addresses:
            if given.family in (socket.AF_INET, socket.AF_INET6):
                address = given.address.partition("%")[0]
                wide = _broadcast(address, given.netmask, given.broadcast)
                found.append(Interface(name, _number(name), address, wide, ipaddress.ip_address(address).is_loopback))
    return found


def reachable(here: list[Interface]) -> list[str]:
    """The addresses by which others may reach us; IPv4 first, for it is shorter to write."""
    found = [one for one in here if not one.loopback and not one.link_local]
    found.sort(key=lambda one: one.v6)
    return list(dict.fromkeys(one.address for one in found)) or ["127.0.0.1"]


def share_network(first: str, second: str) -> bool:
    """Whether both addresses are on one network that this machine is on, too: they reach each other without it."""
    import psutil

    try:
        numbers = [ipaddress.ip_address(one.partition("%")[0]) for one in (first, second)]
        cards = psutil.net_if_addrs()
    except (ValueError, OSError):  # names, or a sandbox
        return False
    for given in (one for card in cards.values() for one in card):
        if given.family in (socket.AF_INET, socket.AF_INET6) and given.netmask:
            network = _network(given.address.partition("%")[0], given.netmask)
            if network is not None and all(number in network for number in numbers):
                return True
    return False


def _network(address: str, netmask: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        if ":" in netmask:  # ipaddress wants IPv6 masks as numbers of bits
            netmask = str(int(ipaddress.IPv6Address(netmask)).bit_count())
        return ipaddress.ip_network(f"{address}/{netmask}", strict=False)
    except ValueError:  # no mask, or a strange one
        return None


def address_to_tell() -> str:
    """The address by which others probably reach this machine: that of its way out, else the first that is not its
    loopback. 127.0.0.1 if there is no network.
    """
    here = interfaces()
    out = _way_out()
    if any(interface.address == out and not interface.loopback for interface in here):
        return out
    for v6, link_local in ((False, False), (True, False), (False, True), (True, True)):
        for interface in here:
            if not interface.loopback and (interface.v6, interface.link_local) == (v6, link_local):
                return interface.address
    return "127.0.0.1"


def _way_out() -> str:
    """The address that packets to the outside would carry; empty without a default route. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))  # an address for documentation: nobody's
            return str(sock.getsockname()[0])
        except OSError:  # no way out: a network of its own
            return ""


def _broadcast(address: str, netmask: str | None, told: str | None) -> str | None:
    """Where to send what everybody on the network is to hear; some systems do not tell it."""
    if ":" in address:
        return None
    if told:
        return told
    try:
        network = ipaddress.IPv4Network(f"{address}/{netmask}", strict=False)
    except ValueError:  # no mask, or a strange one
        return None
    return str(network.broadcast_address) if network.prefixlen < 31 else None


def _number(name: str) -> int:
    try:
        return socket.if_nametoindex(name)
    except OSError:  # gone in this moment, or a system that names cards in two ways
        return 0
