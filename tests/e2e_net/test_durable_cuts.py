"""Links cut for less and for more than the lease, programs that sleep; orphans, and who may have their node."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import psutil
import pytest

from tests.e2e.helpers import alive, wait_until
from tests.e2e_net.farm import LIMIT_S, Client
from tests.e2e_net.test_durable_kills import keeper_of, states
from tests.support.durable import BRISK, LEASE_S, DurableFarm
from tests.support.lab import Program

JOBS = """
if __name__ == "__main__":
    seconds, number, reentrant = float(ARGUMENTS[0]), int(ARGUMENTS[1]), {"None": None, "False": False}[ARGUMENTS[2]]
    prefix = ARGUMENTS[3]
    with shared(reentrant=reentrant, recover="cut" + prefix) as cluster:
        jobs = [submit(cluster, f"{prefix}{n}", seconds) for n in range(number)]
        until(lambda: sum(job.status.name == "RUNNING" for job in jobs) >= min(number, 2))
        say(running=True)
        cluster.wait()
        say(ended=[told(job) for job in jobs], why=[job.exception for job in jobs])
        say(later=[told(job) for job in [submit(cluster, f"later{prefix}{n}") for n in range(4)]])
"""


def jobs(farm: DurableFarm, seconds: float, number: int, reentrant: str = "None", prefix: str = "j") -> Client:
    user = farm.user(JOBS, str(seconds), str(number), reentrant, prefix)
    user.wait_for("running")
    return user


def test_a_cut_shorter_than_the_lease_is_nothing() -> None:
    with DurableFarm("a") as farm:
        farm.scheduler()
        farm.joins("a", slots=4)
        users = [jobs(farm, 1.0, 16, reentrant, reentrant) for reentrant in ("None", "False")]
        for host in ("a", "s", "u"):
            farm[host].cut()
            time.sleep(LEASE_S / 2)
            farm[host].heal()
            time.sleep(0.5)
        for user in users:
            user.wait()
            assert states(user, "ended") == ["FINISHED"] * 16
        assert set(farm.starts().values()) == {1}


def test_a_node_that_was_cut_past_its_lease_and_is_the_only_one_goes_on() -> None:
    """Its jobs wait for another node in vain: when it is back, what it runs is adopted, and what it ended is told."""
    with DurableFarm("a", timers=BRISK + " ORPHAN_S=60") as farm:
        scheduler = farm.scheduler()
        node = farm.joins("a")
        user = jobs(farm, LEASE_S + 4, 2)
        farm["a"].cut()
        wait_until(lambda: "node a is presumed dead" in scheduler.err, "the lease is over", LIMIT_S)
        farm["a"].heal()
        user.wait()
        assert states(user, "ended") == ["FINISHED"] * 2
        assert {key: count for key, count in farm.starts().items() if key[0] == "j"} == {"j0": 1, "j1": 1}
        assert node.popen.poll() is None


def test_a_node_that_was_cut_past_its_lease_while_others_are_there() -> None:
    with DurableFarm("a", "b") as farm:
        farm.scheduler()
        farm.joins("a", slots=1)
        farm.joins("b", slots=1)
        user = jobs(farm, LEASE_S + 3, 2)
        farm.running("j0", "j1")  # they are RUNNING a moment before they say so
        before = farm.runs()
        farm["a"].cut()
        assert states(user, "ended") == ["FINISHED"] * 2
        moved = next(key for key, (run, *_) in before.items() if run.host == "a")
        assert [run.host for run in farm.runs()[moved]] == ["a", "b"]
        farm["a"].heal()
        user.wait()
        assert len([key for key, count in farm.starts().items() if count > 1]) == 1
        wait_until(lambda: not orphans(farm, "a"), "the loser is stopped, though it has nothing to say", LIMIT_S)


def test_jobs_that_may_start_once_are_lost_only_if_their_node_stays_away() -> None:
    """Two seconds after the lease, here."""
    with DurableFarm("a", "b") as farm:
        farm.scheduler()
        farm.joins("a", slots=1)
        farm.joins("b", slots=1)
        user = jobs(farm, 3.0, 2, "False")
        farm["a"].cut()
        assert sorted(states(user, "ended")) == ["FINISHED", "LOST"]
        (why,) = filter(None, user.get("why"))
        assert "node a" in why and "reentrant=False" in why
        user.wait()
        assert set(farm.starts().values()) == {1}


def orphans(farm: DurableFarm, host: str) -> list[int]:
    """Processes there that are in a job which has not ended."""
    busy = {run.pid for runs in farm.runs().values() for run in runs if run.host == host and not run.last}
    return [pid for pid in busy if alive(pid)]


OTHER = """
def other():
    import socket
    return socket.gethostname()

if __name__ == "__main__":
    with lightwork.JobCluster(other, nodes=["a"]) as cluster:
        say(other=cluster.submit()())
"""


def test_orphans_end_when_their_time_is_over_and_kept_results_are_told_later() -> None:
    """j0 ends while nobody can hear it, j1 would run for an hour; meanwhile the node serves somebody else."""
    orphan_s = 3.0
    with DurableFarm("a", timers=f"{BRISK} ORPHAN_S={orphan_s}") as farm:
        farm.scheduler("--nodes", "a")
        node = farm.node("a", "--name", "a", "--slots", "2")
        user = farm.user(TWO, str(LEASE_S))
        user.wait_for("running")
        cut_s = time.monotonic()
        farm["s"].cut()
        other = farm.client("u", OTHER)
        wait_until(lambda: "still runs" in other.program.err + node.err, f"busy: {other.told()} {node.err}", LIMIT_S)
        assert orphans(farm, "a"), "it runs on past the lease"
        assert other.wait_for("other") == "a"
        assert not orphans(farm, "a")
        assert time.monotonic() - cut_s > LEASE_S + orphan_s
        other.wait()
        assert list((farm.node_directory("a") / "kept").rglob("*.kept")), "the end of j0 is kept"
        farm["s"].heal()
        user.wait()
        assert user.get("first")[:4] == ["j0", "FINISHED", "a", 1], "the attempt that was lost is that which came back"
        assert [run.end > 0 for run in farm.runs()["j0"]] == [True], "it is told, and not begun again"
        assert user.get("second")[1] == "FINISHED" and farm.starts()["j1"] == 2


TWO = """
if __name__ == "__main__":
    with shared() as cluster:
        first = submit(cluster, "j0", float(ARGUMENTS[0]) / 2)
        second = submit(cluster, "j1", kind="hour-once")
        until(lambda: first.status.name == second.status.name == "RUNNING")
        say(running=True)
        first()
        say(first=told(first))
        second()
        say(second=told(second))
"""

NOT_DURABLE = """
if __name__ == "__main__":
    with lightwork.JobCluster(work, nodes=["a"]) as cluster:
        job = cluster.submit(ORACLE, "j", "plain", 600.0, b"")
        until(lambda: job.status.name == "RUNNING")
        say(running=True)
        until(lambda: False)
"""


def test_without_a_journal_all_is_gone_with_the_lease() -> None:
    with DurableFarm("a") as farm:
        farm.node("a", "--name", "a")
        user = farm.user(NOT_DURABLE)
        user.wait_for("running")
        farm.running("j")
        farm["a"].cut()
        began = time.monotonic()
        time.sleep(LEASE_S / 2)
        assert orphans(farm, "a"), "within the lease it runs on"
        wait_until(lambda: not orphans(farm, "a"), "gone", LIMIT_S)
        assert time.monotonic() - began < 2 * LEASE_S + 3


CANCELS = """
if __name__ == "__main__":
    with shared() as cluster:
        job = submit(cluster, "j0", 600.0, "child")
        until(lambda: job.status.name == "RUNNING")
        say(running=True)
        until(lambda: [node.state for node in cluster.status().nodes] != ["ready"])
        say(cancelled=job.cancel())
        job()
        say(ended=told(job))
        say(later=told(submit(cluster, "later")))
"""


@pytest.mark.parametrize("past_its_lease", [False, True])
def test_a_cancel_while_the_node_is_cut_off(past_its_lease: bool) -> None:
    """What runs there runs on until the node is back: then it is stopped, with all that it has started."""
    with DurableFarm("a", timers=BRISK + " ORPHAN_S=60") as farm:
        scheduler = farm.scheduler()
        farm.joins("a", slots=1)
        user = farm.user(CANCELS)
        user.wait_for("running")
        farm.running("j0")
        (busy,) = orphans(farm, "a")
        wait_until(lambda: psutil.Process(busy).children(), "it has started something", LIMIT_S)
        both = [busy, psutil.Process(busy).children()[0].pid]
        farm["a"].cut()
        assert user.wait_for("cancelled") is True
        if past_its_lease:
            wait_until(lambda: "node a is presumed dead" in scheduler.err, "the lease is over", LIMIT_S)
        assert all(map(alive, both)), "nobody could tell it"
        farm["a"].heal()
        assert user.wait_for("ended")[:2] == ["j0", "CANCELLED"]
        user.wait()
        wait_until(lambda: not any(map(alive, both)), "it is stopped", LIMIT_S)
        assert user.get("later")[:3] == ["later", "FINISHED", "a"], "its slot is free"
        assert farm.starts() == {"j0": 1, "later": 1}


# --- programs that sleep ---


SLEEPERS: dict[str, Callable[[DurableFarm, Program, Program, Client], list[int]]] = {
    "scheduler": lambda farm, scheduler, node, user: [scheduler.pid],
    "journal": lambda farm, scheduler, node, user: [psutil.Process(scheduler.pid).children()[0].pid],
    "node": lambda farm, scheduler, node, user: [node.pid],
    "keeper and client": lambda farm, scheduler, node, user: [keeper_of(node), user.program.pid],
    "worker": lambda farm, scheduler, node, user: [farm.runs()["j0"][0].pid],
}


@pytest.mark.parametrize("who", SLEEPERS)
def test_whoever_sleeps_past_the_lease(who: str) -> None:
    """Jobs end, none is begun twice: there is no other node, and a stopped process is not a dead one."""
    with DurableFarm("a", timers=BRISK + " ORPHAN_S=60 STUCK_S=60") as farm:
        scheduler = farm.scheduler()
        node = farm.joins("a")
        user = jobs(farm, 1.0, 6)
        farm.running("j0")
        pids = SLEEPERS[who](farm, scheduler, node, user)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(LEASE_S + 1.0)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        user.wait()
        assert states(user, "ended") == ["FINISHED"] * 6
        assert set(farm.starts().values()) == {1}, farm.starts()
