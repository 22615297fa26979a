"""What crosses the wires: each byte of a dependency once for each node, also if a wire is cut in the middle."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.e2e.helpers import wait_until
from tests.e2e_net.farm import Farm

MB = 1 << 20
TIMERS = "HEARTBEAT_S=0.2 LEASE_S=20 RETRY_S=0.3"  # a dead link is noticed within a second or so
READ = """
import hashlib

def read(name):
    import hashlib, socket
    with open(name, "rb") as file:
        return socket.gethostname(), hashlib.file_digest(file, "blake2b").hexdigest()

if __name__ == "__main__":
    with lightwork.JobCluster(read, nodes=["a", "b", "c"], depends=["big.bin"]) as cluster:
        while len([node for node in cluster.status().nodes if node.state == "ready"]) < 3:
            time.sleep(0.05)
        jobs = [cluster.submit_node(name, "big.bin") for name in "abc" for _ in range(3)]
        say(there=True)
        results = [job() for job in jobs]
        with open("big.bin", "rb") as file:
            right = hashlib.file_digest(file, "blake2b").hexdigest()
        say(read=[[host, digest == right] for host, digest in results], attempts=[job.attempts for job in jobs])
"""
BOTH_WAYS = """
def double(data):
    return data + data

if __name__ == "__main__":
    with lightwork.JobCluster(double, nodes=["a"]) as cluster:
        while not cluster.status().nodes:
            time.sleep(0.05)
        size = int(sys.argv[1])
        job = cluster.submit(os.urandom(size))
        say(there=True)
        result = job()
        say(result=[len(result or b""), job.status.name, job.attempts, result == result[:size] * 2])
"""


def made(farm: Farm, size: int) -> None:
    with open(farm["client"].work / "big.bin", "wb") as file:
        for _ in range(size // MB):
            file.write(os.urandom(MB))


def slow(farm: Farm, host: str, rate: str) -> None:
    """Its card sends no faster than this."""
    farm[host].run(
        ["tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", rate, "burst", "512k", "latency", "50ms"]
    )


def received(farm: Farm, host: str) -> int:
    return int(farm[host].counters().rx)


def goes_once(size: int, rate: str, cut_s: float) -> None:
    with Farm("client", "a", "b", "c", timers=TIMERS) as farm:
        made(farm, size)
        nodes = [farm.node(name, "--slots", "2") for name in "abc"]
        slow(farm, "client", rate)
        before = {name: received(farm, name) for name in "abc"}
        client = farm.client("client", READ)
        client.wait_for("there")
        if cut_s:
            wait_until(lambda: received(farm, "a") - before["a"] > size // 3, "a third of it is there", 60)
            farm["a"].cut()
            time.sleep(cut_s)
            farm["a"].heal()
        assert client.wait_for("read") == [[name, True] for name in "abc" for _ in range(3)]
        assert client.get("attempts") == [1] * 9
        assert ("again" in nodes[0].err) == bool(cut_s), "there was a second link"
        for name in "abc":
            came = received(farm, name) - before[name]
            assert size < came < 1.1 * size, f"{name} has received {came / MB:.0f} MB"
        client.wait()


def test_a_dependency_crosses_each_wire_once() -> None:
    goes_once(40 * MB, "2gbit", 0)


def test_a_wire_that_is_cut_in_the_middle_costs_nothing_twice() -> None:
    goes_once(30 * MB, "160mbit", 2.5)


@pytest.mark.soak
def test_a_gigabyte() -> None:
    goes_once(1024 * MB, "2gbit", 2.5)


@pytest.mark.parametrize("way", ["argument", "result"])
def test_large_values_survive_a_cut(way: str) -> None:
    size = 12 * MB
    with Farm("client", "a", timers=TIMERS) as farm:
        node = farm.node("a", "--slots", "2")
        slow(farm, "client" if way == "argument" else "a", "40mbit")
        counted = farm["a" if way == "argument" else "client"]
        before = counted.counters().rx
        client = farm.client("client", BOTH_WAYS, str(size))
        client.wait_for("there")
        wait_until(lambda: counted.counters().rx - before > size // 2, "a part of it has come", 60)
        farm["a"].cut()
        time.sleep(2.5)
        farm["a"].heal()
        assert client.wait_for("result") == [2 * size, "FINISHED", 1, True]
        assert "again" in node.err, "there was a second link"
        came = counted.counters().rx - before
        assert came < (1.15 if way == "argument" else 2.3) * size, f"{came / MB:.0f} MB"
        client.wait()


LOST = """
def make(size):
    return os.urandom(size)

def small(n):
    return n

if __name__ == "__main__":
    with lightwork.JobCluster(make, nodes=["a", "b"]) as cluster:
        while len([node for node in cluster.status().nodes if node.state == "ready"]) < 2:
            time.sleep(0.05)
        job = cluster.submit_node("a", int(sys.argv[1]))
        say(there=True)
        job()
        say(result=[job.status.name, job.exception])
        say(later=[cluster.options(computation=small).submit(n)() for n in range(4)])
"""


def test_a_node_that_dies_before_its_result_was_fetched() -> None:
    with Farm("client", "a", "b", timers="HEARTBEAT_S=0.2 LEASE_S=2 RETRY_S=0.3") as farm:
        node = farm.node("a", "--slots", "2")
        farm.node("b", "--slots", "2")
        slow(farm, "a", "40mbit")
        before = farm["client"].counters().rx
        client = farm.client("client", LOST, str(20 * MB))
        client.wait_for("there")
        wait_until(lambda: farm["client"].counters().rx - before > 5 * MB, "a part of it has come", 60)
        node.signal(signal.SIGKILL)
        state, text = client.wait_for("result")
        assert state == "LOST"
        assert "Its result (20.0 MiB) could not be brought here from node a: node a is lost" in text
        assert client.wait_for("later") == [0, 1, 2, 3]
        client.wait()
