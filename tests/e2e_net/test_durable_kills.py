"""kill -9 of each part, one at a time: what goes on, what begins again, what may not; clients need do nothing."""

from __future__ import annotations

import os
import signal
import time

import psutil
import pytest

from tests.e2e.helpers import alive, wait_until
from tests.e2e_net.farm import LIMIT_S, Client
from tests.support.durable import BRISK, DurableFarm, kill
from tests.support.lab import Program

REENTRANT = ("None", "True", "False")
STREAM = """
if __name__ == "__main__":
    reentrant = {"None": None, "True": True, "False": False}[ARGUMENTS[0]]
    with shared(reentrant=reentrant) as cluster:
        jobs = [submit(cluster, f"{reentrant}{n}", 0.8 if n % 5 == 0 else 0.02) for n in range(100)]
        say(submitted=True)
        cluster.wait()
        say(ended=[told(job) for job in jobs])
"""


def test_the_scheduler_again_and_again() -> None:
    """Nothing runs twice, and nobody but its log tells that it was away."""
    with DurableFarm("a", "b") as farm:
        scheduler = farm.scheduler()
        nodes = [farm.joins("a", slots=3), farm.joins("b", slots=3)]
        users = [farm.user(STREAM, reentrant) for reentrant in REENTRANT]
        for user in users:
            user.wait_for("submitted")
        for pause_s in (0.0, 0.7, 0.2):
            time.sleep(1.0)
            assert any(user.get("ended") is None for user in users), "all was over before the scheduler was killed"
            scheduler = farm.again(scheduler, pause_s=pause_s)
        for user in users:
            user.wait()
            assert [rest for _, *rest in user.get("ended") if rest[0] != "FINISHED" or rest[2] != 1 or rest[3]] == []
        assert set(farm.starts().values()) == {1}, "a restart of the scheduler has begun a job again"
        assert len(farm.starts()) == 300
        assert all(node.popen.poll() is None for node in nodes)
        assert "took up" in scheduler.err


WAVES = """
if __name__ == "__main__":
    name, reentrant = ARGUMENTS[0], {"None": None, "False": False}[ARGUMENTS[0]]
    with shared(reentrant=reentrant) as cluster:
        early = [submit(cluster, f"{name}-early{n}") for n in range(20)]
        until(lambda: all(job.status.name == "FINISHED" for job in early))
        long = [submit(cluster, f"{name}-long{n}", 8) for n in range(2)]
        late = [submit(cluster, f"{name}-late{n}", 0.01) for n in range(20)]
        until(lambda: all(job.status.name == "RUNNING" for job in long))
        say(running=True)
        cluster.wait()
        say(early=[told(job) for job in early], long=[told(job) for job in long], late=[told(job) for job in late])
        say(why=[job.exception for job in long])
"""


@pytest.mark.parametrize("victim", ["node", "keeper", "worker"])
def test_a_part_of_a_node(victim: str) -> None:
    with DurableFarm("a") as farm:
        farm.scheduler()
        node = farm.joins("a", slots=4)
        users = {name: farm.user(WAVES, name) for name in ("None", "False")}
        for user in users.values():
            user.wait_for("running")
        farm.running(*(f"{name}-long{n}" for name in users for n in range(2)))
        if victim == "node":
            kill(node)
            farm.joins("a")
        else:
            pids = [farm.runs()[f"{name}-long0"][0].pid for name in users]
            for pid in pids if victim == "worker" else [keeper_of(node)]:
                os.kill(pid, signal.SIGKILL)
        for user in users.values():
            user.wait()
        hit = {"node": 2, "keeper": 2, "worker": 1}[victim]
        again, once = users["None"], users["False"]
        assert states(again) == ["FINISHED"] * 2, again.told()
        ends = "POISONED" if victim == "worker" else "LOST"
        assert sorted(states(once)) == sorted([ends] * hit + ["FINISHED"] * (2 - hit)), once.told()
        assert victim == "worker" or all("reentrant=False" in why for why in once.get("why"))
        starts = farm.starts()
        assert sum(starts.pop(f"None-long{n}") for n in range(2)) == 2 + hit
        assert set(starts.values()) == {1}
        assert all(states(user, kind) == ["FINISHED"] * 20 for user in users.values() for kind in ("early", "late"))


def states(user: Client, what: str = "long") -> list[str]:
    """How jobs ended."""
    return [state for _, state, *_ in user.wait_for(what)]


def keeper_of(node: Program) -> int:
    """The process that has the workers."""
    found = [one for one in psutil.Process(node.pid).children() if "keeper" in one.cmdline()]
    return found[0].pid


def test_the_journal() -> None:
    """Without it the scheduler promises nothing more, and ends with a sentence; started again, it has everything."""
    with DurableFarm("a") as farm:
        scheduler = farm.scheduler()
        farm.joins("a", slots=4)
        user = farm.user(STREAM, "False")
        user.wait_for("submitted")
        os.kill(psutil.Process(scheduler.pid).children()[0].pid, signal.SIGKILL)
        assert scheduler.wait() not in (0, None)
        assert "the journal" in scheduler.err, scheduler.err
        farm.scheduler()
        user.wait()
        assert [rest for _, *rest in user.get("ended") if rest[0] != "FINISHED" or rest[2] != 1] == []
        assert set(farm.starts().values()) == {1}


def test_a_client_that_is_not_to_be_recovered() -> None:
    """Its jobs end when its lease is over, for nobody could ever take their results."""
    with DurableFarm("a", timers=BRISK + " CLIENT_LEASE_S=2") as farm:
        scheduler = farm.scheduler()
        farm.joins("a")
        user = farm.user(WAVES.replace('", 8)', '", 600)'), "None")
        user.wait_for("running")
        farm.running("None-long0", "None-long1")  # they are RUNNING a moment before they say so
        kill(user.program)
        pids = [run.pid for key, (run, *_) in farm.runs().items() if "long" in key]
        assert any(map(alive, pids))
        wait_until(lambda: not any(map(alive, pids)), "its jobs are killed", LIMIT_S)
        scheduler.wait_for("is over")
        assert farm["s"].run(["lightwork", "sessions"]).stderr.strip() == "no sessions"


END_ALONE = """
if __name__ == "__main__":
    with shared(reentrant=False) as cluster:
        jobs = [submit(cluster, f"j{n}", 1.0, kind="large") for n in range(2)]
        cluster.wait()
        say(ended=[told(job) for job in jobs], lengths=[len(job.result[4]) for job in jobs])
"""


def test_ends_outlive_node_and_scheduler_together() -> None:
    """Jobs that may never start twice end while nobody is there to be told, and then the node is killed, too."""
    with DurableFarm("a") as farm:
        scheduler = farm.scheduler()
        node = farm.joins("a")
        user = farm.user(END_ALONE)
        farm.running("j0", "j1")
        kill(scheduler)
        wait_until(lambda: all(run.end for runs in farm.runs().values() for run in runs), "both have ended")
        time.sleep(3.0)  # from the last line of a job to the end of its process
        kill(node)
        farm.joins("a", ready="")
        farm.scheduler()
        user.wait()
        assert [rest[0] for _, *rest in user.get("ended")] == ["FINISHED"] * 2, user.told()
        assert user.get("lengths") == [1_000_000] * 2
        assert farm.starts() == {"j0": 1, "j1": 1}


RESTARTABLE = """
if __name__ == "__main__":
    with shared(recover="mine", name="mine") as cluster:
        say(recovered=len(cluster.recovered))
        jobs = [submit(cluster, f"j{n}", 0.05) for n in range(200)]
        say(submitted=True)
        for job in jobs:
            job()
            with open(ARGUMENTS[0], "a") as file:
                file.write(f"{os.getpid()} {job.id} {job.status.name} {int(job.redelivered)}\\n")
        say(all=True)
"""


def test_a_client_that_is_run_again() -> None:
    with DurableFarm("a") as farm:
        farm.scheduler()
        farm.joins("a", slots=4)
        seen = farm.directory / "seen"
        first = farm.user(RESTARTABLE, str(seen))
        wait_until(lambda: seen.exists() and seen.read_text().count("\n") > 50, "some results were seen", LIMIT_S)
        kill(first.program)
        second = farm.user(RESTARTABLE, str(seen))
        second.wait()
        assert second.get("recovered") == 200
        lives: dict[str, dict[str, tuple[str, str]]] = {}
        for line in seen.read_text().splitlines():
            pid, key, *rest = line.split()
            assert key not in lives.setdefault(pid, {}), f"{key} twice in one life"
            lives[pid][key] = (rest[0], rest[1])
        earlier, later = lives.values()
        assert {state for state, _ in (*earlier.values(), *later.values())} == {"FINISHED"}
        assert len(later) == 200
        assert {again for _, again in earlier.values()} == {"0"}
        assert {later[key][1] for key in earlier} == {"1"}, "what two lives have seen is marked in the second"
        assert len(earlier) < 200 and "0" in {again for _, again in later.values()}
        assert set(farm.starts().values()) == {1}
