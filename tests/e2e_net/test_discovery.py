"""Nodes are found on real networks: IPv4, IPv6, several cards, firewalls, cards that come later."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import pytest

from tests.e2e.helpers import wait_until
from tests.support.lab import Host, Lab, Program

ANSWER = textwrap.dedent("""
    import asyncio, sys
    from lightwork.transport.beacon import Answerer

    async def main():
        answerer = Answerer(int(sys.argv[1]), host="".join(sys.argv[2:]))
        await answerer.start()
        print("answering", flush=True)
        said = []
        while True:
            if said != answerer.problems:
                said = answerer.problems
                print("problems:", said, flush=True)
            await asyncio.sleep(0.05)

    asyncio.run(main())
""")
ASK = textwrap.dedent("""
    import asyncio, sys
    from lightwork.transport.beacon import Asker

    async def main():
        wish = sys.argv[1]
        hear = lambda host, port, protocol: print("heard", host, port, protocol, flush=True)
        asker = Asker(hear, wanted=lambda host: host.startswith(wish))
        await asker.start()
        said = []
        while True:
            asker.ask(sys.argv[2:])
            for _ in range(10):
                if said != asker.problems:
                    said = asker.problems
                    print("problems:", said, flush=True)
                await asyncio.sleep(0.05)

    asyncio.run(main())
""")
TIMERS = {"LIGHTWORK_TIMERS": "LOOK_INTERFACES_S=0.2 ASK_AGAIN_S=0.25"}
HOSTS = ["client", "a", "b", "c"]


def answer(host: Host, port: int = 9701, *more: str) -> Program:
    program = host.python("-c", ANSWER, str(port), *more, env=TIMERS)
    program.wait_for("answering")
    return program


def ask(host: Host, *extra: str, wanted: str = "") -> Program:
    return host.python("-c", ASK, wanted, *extra, env=TIMERS)


def heard(asker: Program) -> set[str]:
    """Hosts and ports so far."""
    return {" ".join(line.split()[1:3]) for line in asker.out.splitlines() if line.startswith("heard")}


def hears(asker: Program, *expected: str) -> None:
    """These places, and no others."""
    wait_until(lambda: heard(asker) >= set(expected) or asker.popen.poll() is not None, f"{expected} {asker.out}")
    assert heard(asker) == set(expected), asker.err


def asks_twice(asker: Program, node: str) -> None:
    """Two further questions were answered by this node: whoever else would answer has done so."""
    count = asker.out.count(node)
    wait_until(lambda: asker.out.count(node) >= count + 2, f"{node} answers: {asker.out}{asker.err}")


def last_problems(program: Program) -> str:
    return next((line for line in reversed(program.out.splitlines()) if line.startswith("problems")), "")


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab("192.168.3.0/24", hosts=HOSTS) as lab:
        yield lab


@pytest.mark.parametrize("dead", ["ip daddr 239.0.0.0/8", "fib daddr type broadcast"], ids=["broadcast", "multicast"])
def test_each_way_is_enough_over_ipv4(lab: Lab, dead: str) -> None:
    lab["client"].deny(dead)
    for host in HOSTS[1:]:
        lab[host].deny(dead)
        answer(lab[host])
    asker = ask(lab["client"])
    hears(asker, "192.168.3.12 9701", "192.168.3.13 9701", "192.168.3.14 9701")
    assert last_problems(asker) == ""


@pytest.mark.parametrize(
    ("subnet", "expected"),
    [("fd00:3::/64", ["fd00:3::c 9701", "fd00:3::d 9701"]), ("fe80::/64", ["%eth0 9701", "%eth0 9701"])],
    ids=["routed", "of-the-link"],
)
def test_over_ipv6_alone(subnet: str, expected: list[str]) -> None:
    with Lab(subnet, hosts=["client", "a", "b"]) as lab:
        answer(lab["a"])
        answer(lab["b"])
        asker = ask(lab["client"])
        wait_until(lambda: len(heard(asker)) >= 2, f"both answer: {asker.out}{asker.err}")
        asks_twice(asker, sorted(heard(asker))[0])
        found = sorted(heard(asker))
        assert all(place.endswith(wanted) for place, wanted in zip(found, expected, strict=True)), found
        assert last_problems(asker) == ""


def test_a_node_with_many_addresses_is_one_place() -> None:
    """By IPv4, or by the address that is wanted; one that listens at a single address is told by that one."""
    with Lab("192.168.3.0/24", "fd00:3::/64", hosts=["client", "a", "b"]) as lab:
        lab.network("10.5.0.0/24", "fd00:5::/64")
        answer(lab["a"])
        answer(lab["b"], 9705, "192.168.3.13")
        asker = ask(lab["client"])
        wait_until(lambda: len(heard(asker)) >= 2, f"both answer: {asker.out}{asker.err}")
        asks_twice(asker, "192.168.3.13 9705")
        assert heard(asker) == {"10.5.0.12 9701", "192.168.3.13 9705"}
        hears(ask(lab["client"], wanted="fd00:5:"), "fd00:5::c 9701", "192.168.3.13 9705")


def test_on_the_second_card(lab: Lab) -> None:
    lab.network("10.5.0.0/24", hosts=["client", "b"])
    answer(lab["a"])
    answer(lab["b"])
    lab["client"].ip("link", "set", "eth0", "down")
    asker = ask(lab["client"])
    hears(asker, "10.5.0.13 9701")
    lab["client"].ip("link", "set", "eth0", "up")
    wait_until(lambda: "192.168.3.12 9701" in heard(asker), f"the first card is used again: {asker.out}{asker.err}")


def test_a_network_that_comes_later(lab: Lab) -> None:
    node = answer(lab["a"])
    asker = ask(lab["client"])
    hears(asker, "192.168.3.12 9701")
    lab["client"].cut(lab["a"])
    for host in ("client", "a"):  # multicasts only: the node must have noticed the new card to hear them
        lab[host].deny("fib daddr type broadcast")
    lab.network("10.5.0.0/24", "fd00:5::/64", hosts=["client", "a"])
    wait_until(lambda: "10.5.0.12 9701" in heard(asker), f"found on the new network: {asker.out}{asker.err}{node.out}")


def test_firewalls(lab: Lab) -> None:
    """Whoever cannot be heard is not found, and everybody else is; a firewall of one's own is called one."""
    lab["a"].deny("meta l4proto udp", outgoing=False)
    lab["b"].deny("meta l4proto udp", incoming=False)
    silent = answer(lab["b"])
    for host in ("a", "c"):
        answer(lab[host])
    asker = ask(lab["client"], "192.168.3.12", "192.168.9.9")
    hears(asker, "192.168.3.14 9701")
    asks_twice(asker, "192.168.3.14")
    assert heard(asker) == {"192.168.3.14 9701"}
    assert "from 192.168.3.11 cannot be answered: a firewall of this machine forbids it" in silent.out
    assert "192.168.9.9 cannot be asked: Network is unreachable" in last_problems(asker)
    lab["client"].deny("meta l4proto udp", incoming=False)
    wait_until(lambda: "eth0" in last_problems(asker), "the asker says it")
    assert "sent on eth0 (192.168.3.11): a firewall of this machine forbids it" in last_problems(asker)
    assert asker.out.count("eth0 (192.168.3.11)") == 1, "once"
    lab["client"].allow()
    wait_until(lambda: "eth0" not in last_problems(asker), "and that it is over")


def test_across_networks_by_address(lab: Lab) -> None:
    """A broadcast does not cross a router, a question to one address does; several nodes of a machine answer alike."""
    lab.network("10.5.0.0/24", hosts=["b", "c"])
    lab["b"].run(["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"], check=True)
    lab["client"].ip("route", "add", "10.5.0.0/24", "via", "192.168.3.13")
    lab["c"].ip("link", "set", "eth0", "down")
    lab["c"].ip("route", "add", "192.168.3.0/24", "via", "10.5.0.13")
    answer(lab["c"])
    for port in (9701, 9702, 9703):
        answer(lab["a"], port)
    asker = ask(lab["client"], "10.5.0.14")
    hears(asker, "10.5.0.14 9701", *(f"192.168.3.12 {port}" for port in (9701, 9702, 9703)))


def test_nothing_but_our_datagrams_is_sent(lab: Lab, tmp_path: object) -> None:
    """The capture of a question and its answer: under a hundred bytes each, and the answer the shorter."""
    answer(lab["a"])
    path = f"{tmp_path}/beacon.pcap"
    with lab["client"].capture(path, what="udp"):
        asker = ask(lab["client"])
        asks_twice(asker, "192.168.3.12 9701")
    lines = lab["client"].run(["tcpdump", "-n", "-q", "-r", "/dev/stdin"], input=None, stdin=open(path, "rb")).stdout
    lengths = {(">" in line and ".9700:" in line.split(">")[1]): int(line.split()[-1]) for line in lines.splitlines()}
    assert lengths == {True: 64, False: 35}, lines
