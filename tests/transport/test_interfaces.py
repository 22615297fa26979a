"""This machine's addresses, whatever it has."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import psutil
import pytest

from lightwork.transport import interfaces as module
from lightwork.transport.interfaces import address_to_tell, interfaces

UP, DOWN = SimpleNamespace(isup=True), SimpleNamespace(isup=False)


def card(address: str, netmask: str | None = None, broadcast: str | None = None) -> SimpleNamespace:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return SimpleNamespace(family=family, address=address, netmask=netmask, broadcast=broadcast, ptp=None)


def machine(monkeypatch: pytest.MonkeyPatch, cards: dict[str, list[SimpleNamespace]], down: str = "") -> None:
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: cards)
    monkeypatch.setattr(psutil, "net_if_stats", lambda: {name: DOWN if name == down else UP for name in cards})
    monkeypatch.setattr(module, "_way_out", lambda: "")


def test_here() -> None:
    loopback = [interface for interface in interfaces() if interface.address == "127.0.0.1"]
    assert [(one.loopback, one.broadcast, one.v6) for one in loopback] == [(True, "127.255.255.255", False)]
    addresses = {interface.address for interface in interfaces()}
    assert all("%" not in address for address in addresses)
    assert address_to_tell() in addresses


def test_what_systems_leave_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows tells no broadcast address, a tunnel has none, a card may be down."""
    machine(
        monkeypatch,
        {
            "Ethernet": [card("10.1.2.3", "255.255.254.0"), card("fe80::1%4", "ffff:ffff:ffff:ffff::")],
            "told": [card("10.9.0.1", "255.255.0.0", "10.9.255.255")],
            "tun0": [card("10.8.0.1", "255.255.255.255"), card("10.8.0.5", None)],
            "off": [card("10.7.0.1", "255.255.255.0")],
            "bare": [SimpleNamespace(family=psutil.AF_LINK, address="02:00:00:00:00:01", netmask=None, broadcast=None)],
        },
        down="off",
    )
    assert [(one.name, one.address, one.broadcast) for one in interfaces()] == [
        ("Ethernet", "10.1.2.3", "10.1.3.255"),
        ("Ethernet", "fe80::1", None),
        ("told", "10.9.0.1", "10.9.255.255"),
        ("tun0", "10.8.0.1", None),
        ("tun0", "10.8.0.5", None),
    ]
    assert [one.link_local for one in interfaces()] == [False, True, False, False, False]


def test_the_address_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    lo = [card("127.0.0.1", "255.0.0.0"), card("::1")]
    machine(monkeypatch, {"lo": lo, "a": [card("fe80::1%a"), card("fd00::1")], "b": [card("10.1.2.3", "255.0.0.0")]})
    assert address_to_tell() == "10.1.2.3"
    monkeypatch.setattr(module, "_way_out", lambda: "fd00::1")
    assert address_to_tell() == "fd00::1"
    machine(monkeypatch, {"lo": lo, "a": [card("fe80::1%a"), card("fd00::1")]})
    assert address_to_tell() == "fd00::1"
    machine(monkeypatch, {"lo": lo, "a": [card("fe80::1%a")]})
    assert address_to_tell() == "fe80::1"
    machine(monkeypatch, {"lo": lo})
    assert address_to_tell() == "127.0.0.1"


def test_a_system_that_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, {})

    def forbidden() -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(psutil, "net_if_stats", forbidden)
    assert interfaces() == []
    assert address_to_tell() == "127.0.0.1"
