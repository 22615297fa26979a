"""Two networks: a scheduler on one, and on the other a relay and nodes, which reach the first only outbound, by NAT.

    A  192.168.3.0/24   s scheduler   u users
                               |
                        g gateway: masquerades         s has no route into B
                               |
    B  10.5.0.0/24      r relay       b0 b1 b2 nodes

The gateway's eth0 is the link: its counters tell what crossed it, `cut_link` takes it away.
"""

from __future__ import annotations

from collections.abc import Iterable

from tests.support.durable import DurableFarm
from tests.support.lab import Lab, Program
from tests.support.lab_host import _nft, _tool

A, B = "192.168.3.0/24", "10.5.0.0/24"
JOINED = "connected with scheduler"


def masquerade(lab: Lab, *inside: str) -> None:
    """Host g, with eth0 on A and eth1 on B, is the way out of B for these hosts; nothing comes in by it."""
    for host in inside:
        lab[host].ip("route", "add", "default", "via", lab["g"].interfaces["eth1"].addresses[0])
    namespace = lab["g"].namespace
    script = "echo 1 > /proc/sys/net/ipv4/ip_forward"
    _tool(["nsenter", f"--net=/run/netns/{namespace}", "sh", "-c", script])
    _nft(namespace, "add table ip lab_nat")
    _nft(namespace, "add chain ip lab_nat out { type nat hook postrouting priority 100; }")
    _nft(namespace, "add rule ip lab_nat out oifname eth0 masquerade")


class TwoNetworks(DurableFarm):
    """See above."""

    def __init__(self, *nodes: str, timers: str = "", hosts: Iterable[str] = ()) -> None:
        self.nodes = nodes
        super().__init__(*nodes, timers=timers, hosts=["g", "r", *hosts])
        masquerade(self, "r", *nodes, *hosts)

    def __enter__(self) -> TwoNetworks:
        return self

    def network(self, *subnets: str, hosts: Iterable[str] | None = None) -> None:
        """Both at once, in place of the one of a lab."""
        inside = [name for name in self.hosts if name not in ("s", "u", "g")]
        super().network(A, hosts=["s", "u", "g"])
        super().network(B, hosts=["g", *inside])

    def relay(self, *options: str, host: str = "r", ready: str = JOINED, secret: str | None = None) -> Program:
        """`lightwork relay` on its host; back when it has reached its scheduler."""
        scheduler = self["s"].address
        command = ["lightwork", "relay", "--scheduler", scheduler, "--name", host, *options]
        started = self[host].start(command, env=self.environment(secret, None))
        if ready:
            started.wait_for(ready)
        return started

    def joins(self, name: str, *options: str, slots: int = 2, ready: str = "joined", via: str = "r") -> Program:
        """A node that joins by the relay."""
        where = f"{self[via].interfaces['eth0'].addresses[0]}:9702"
        return self.node(name, "--join", where, "--name", name, "--slots", str(slots), *options, ready=ready)

    def cut_link(self) -> None:
        """Nothing passes between the networks: packets vanish."""
        self["g"].cut(self["s"])

    def heal_link(self) -> None:
        """It does again."""
        self["g"].heal()

    def slow_link(self, rate: str) -> None:
        """So much passes into B, and no more."""
        tbf = ["tbf", "rate", rate, "burst", "256kb", "latency", "200ms"]
        _tool(["nsenter", f"--net=/run/netns/{self['s'].namespace}", "tc", "qdisc", "add", "dev", "eth0", "root", *tbf])

    def crossed(self) -> tuple[int, int]:
        """Bytes that came into B, and went out of it."""
        return tuple(self["g"].counters("eth0"))  # type: ignore[return-value]
