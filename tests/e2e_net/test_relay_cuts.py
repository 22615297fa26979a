"""The link between two networks is cut and comes back; relay, scheduler and nodes die: nothing is lost or run twice."""

from __future__ import annotations

import signal
import time
from collections import Counter

from tests.e2e.helpers import wait_until
from tests.e2e_net.farm import Client
from tests.support.durable import kill
from tests.support.two_networks import TwoNetworks

BIG_BYTES = 100_000_000
CUT_S = 30.0
MANY = 10_000
TASKS = """
BYTES = int(ARGUMENTS[0])

def task(oracle, number, size, seconds):
    import os, socket, time
    line = f"START {number} {socket.gethostname()} {os.getpid()} {time.monotonic_ns()}\\n"
    file = os.open(oracle, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, line.encode())
    os.close(file)
    if os.path.getsize("big.dat") != size:
        raise ValueError("that is not the file")
    time.sleep(seconds)
    return number, socket.gethostname()

if __name__ == "__main__":
    count, seconds = int(ARGUMENTS[1]), float(ARGUMENTS[2])
    with open("big.dat", "wb") as file:
        for piece in range(BYTES // 1_000_000):
            file.write(os.urandom(1_000_000))
    with lightwork.SharedJobCluster(task, scheduler="s", depends=["big.dat"]) as cluster:
        jobs = [cluster.submit(ORACLE, number, BYTES, seconds) for number in range(count)]
        say(submitted=True)
        done = 0
        for job in cluster.as_completed(jobs):
            done += 1
            if done == count // 3:
                say(third=True)
        say(values=sum(job()[0] == number for number, job in enumerate(jobs)))
        say(hosts=sorted({job()[1] for job in jobs}), states=sorted({job.status.name for job in jobs}))
        say(nodes=[[node.name, node.relay] for node in cluster.status().nodes])
"""


def tasks(farm: TwoNetworks, count: int, seconds: float, size: int = BIG_BYTES) -> Client:
    return farm.user(TASKS, str(size), str(count), str(seconds))


def begun(farm: TwoNetworks) -> Counter[str]:
    """How often each job was."""
    return Counter(line.split()[1] for line in farm.oracle.read_text().splitlines() if line.startswith("START"))


def check(farm: TwoNetworks, user: Client, count: int, names: list[str]) -> None:
    """Each job ended well and was begun once, on nodes behind the relay."""
    user.wait(180)
    assert user.get("values") == count
    assert user.get("states") == ["FINISHED"]
    assert user.get("hosts") == names
    assert sorted(user.get("nodes")) == [[name, "r"] for name in names]
    starts = begun(farm)
    assert len(starts) == count
    assert {key: times for key, times in starts.items() if times > 1} == {}


def test_a_dependency_crosses_once_and_a_cut_of_the_link_is_nothing() -> None:
    """10,000 jobs that need 100 MB, on three nodes behind a NAT; the link is cut for 30 s in the middle."""
    with TwoNetworks("b0", "b1", "b2") as farm:
        scheduler = farm.scheduler()
        relay = farm.relay()
        nodes = [farm.joins(name) for name in ("b0", "b1", "b2")]
        before = farm.crossed()
        user = tasks(farm, MANY, 0.008)
        user.wait_for("third", 120)
        assert farm.crossed()[0] - before[0] > BIG_BYTES
        farm.cut_link()
        time.sleep(CUT_S)
        assert all("is lost" not in node.err for node in nodes), "nodes are told nothing"
        farm.heal_link()
        check(farm, user, MANY, ["b0", "b1", "b2"])
        assert farm.crossed()[0] - before[0] < 1.25 * BIG_BYTES, "the file crossed the link once"
        assert "waits for the scheduler" in relay.err
        assert "presumed dead" not in scheduler.err


def test_the_relay_is_killed_and_comes_back() -> None:
    with TwoNetworks("b0", "b1") as farm:
        farm.scheduler()
        relay = farm.relay()
        for name in ("b0", "b1"):
            farm.joins(name)
        before = farm.crossed()
        user = tasks(farm, 600, 0.05, 20_000_000)
        user.wait_for("third", 60)
        for _ in range(2):
            kill(relay)
            time.sleep(2)
            relay = farm.relay()
            wait_until(lambda: relay.err.count("is there") == 2, "both nodes are back", 20)
        check(farm, user, 600, ["b0", "b1"])
        assert farm.crossed()[0] - before[0] < 1.25 * 20_000_000, "it has kept the file"


def test_the_scheduler_is_killed_and_comes_back() -> None:
    with TwoNetworks("b0", "b1") as farm:
        scheduler = farm.scheduler()
        farm.relay()
        for name in ("b0", "b1"):
            farm.joins(name)
        user = tasks(farm, 400, 0.05, 1_000_000)
        user.wait_for("third", 60)
        scheduler = farm.again(scheduler, pause_s=12)  # longer than the lease of others
        check(farm, user, 400, ["b0", "b1"])
        assert "presumed dead" not in scheduler.err


def test_the_link_is_cut_while_the_dependency_crosses_it() -> None:
    """What has come is not asked for again."""
    with TwoNetworks("b0", "b1") as farm:
        farm.scheduler()
        farm.relay()
        for name in ("b0", "b1"):
            farm.joins(name)
        farm.slow_link("80mbit")
        before = farm.crossed()
        user = tasks(farm, 20, 0.0, 40_000_000)
        wait_until(lambda: farm.crossed()[0] - before[0] > 15_000_000, "it is on its way", 60)
        farm.cut_link()
        time.sleep(8)
        farm.heal_link()
        check(farm, user, 20, ["b0", "b1"])
        assert farm.crossed()[0] - before[0] < 1.25 * 40_000_000


def test_a_node_that_is_stopped_holds_up_nobody() -> None:
    with TwoNetworks("b0", "b1") as farm:
        farm.scheduler()
        farm.relay()
        nodes = [farm.joins(name) for name in ("b0", "b1")]
        user = tasks(farm, 300, 0.1, 1_000_000)
        user.wait_for("third", 60)
        nodes[0].signal(signal.SIGSTOP)
        others = len([1 for line in farm.oracle.read_text().splitlines() if " b1 " in line])
        wait_until(
            lambda: len([1 for line in farm.oracle.read_text().splitlines() if " b1 " in line]) >= others + 60,
            "the other one goes on",
            20,
        )
        nodes[0].signal(signal.SIGCONT)
        check(farm, user, 300, ["b0", "b1"])
