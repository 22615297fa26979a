"""Disks that are full, each a small tmpfs: new jobs are refused in a sentence or go elsewhere, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.helpers import wait_until
from tests.e2e_net.farm import LIMIT_S
from tests.support.durable import DurableFarm
from tests.support.lab import Host

FILL = "head -c 1G /dev/zero > {}/filler 2>/dev/null; df --output=avail -k {} | tail -1"


def small_disk(host: Host, path: Path | str, megabytes: int) -> None:
    """From now on this directory of the host has a disk of its own."""
    host.run(["mkdir", "-p", str(path)], check=True)
    host.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "small", str(path)], check=True)


def fill(host: Host, path: Path | str) -> None:
    done = host.run(["sh", "-c", FILL.format(path, path)], check=True)
    assert int(done.stdout) < 64, done.stdout


def empty(host: Host, path: Path | str) -> None:
    host.run(["rm", f"{path}/filler"], check=True)


REFUSED = """
if __name__ == "__main__":
    full, room = map(Path, ARGUMENTS)
    with shared(recover="full") as cluster:
        running = [submit(cluster, f"r{n}", 3) for n in range(2)]
        queued = [submit(cluster, f"q{n}", 0.1) for n in range(20)]
        until(lambda: all(job.status.name == "RUNNING" for job in running))
        say(running=True)
        until(full.exists)
        refused = None
        for n in range(400):
            job = submit(cluster, f"n{n}", 0.01)
            try:
                job.get(20)
            except lightwork.JobNotRun as error:
                refused = job
                say(refused=[error.args[0].splitlines()[0], error.hint])
                break
            time.sleep(0.05)
        say(old=[told(job) for job in running + queued if job() or True])
        until(room.exists)
        for n in range(100):  # until the scheduler has found that there is room again
            job = submit(cluster, f"later{n}", 0.01)
            try:
                say(later=told(job) if job.get(20) else None)
                break
            except lightwork.JobNotRun:
                time.sleep(0.1)
"""


def test_a_scheduler_without_room_refuses_new_jobs_and_keeps_the_others() -> None:
    with DurableFarm("a") as farm:
        small_disk(farm["s"], farm.state, 40)
        scheduler = farm.scheduler()
        farm.joins("a")
        full, room = farm.directory / "full", farm.directory / "room"
        user = farm.user(REFUSED, str(full), str(room))
        user.wait_for("running")
        fill(farm["s"], farm.state)
        full.touch()
        text, hint = user.wait_for("refused")
        assert text == "the scheduler's disk is full: it takes no more jobs; those that it has go on"
        assert hint == "make room where its state directory is; then submit again"
        old = user.wait_for("old")
        assert [rest[0] for _, *rest in old] == ["FINISHED"] * 22, old
        assert f"{farm.state}: the disk is full" in scheduler.err
        scheduler = farm.again(scheduler)  # it can be started there all the same
        empty(farm["s"], farm.state)
        room.touch()
        user.wait()
        assert user.get("later")[1] == "FINISHED"
        assert set(farm.starts().values()) == {1}


ASIDE = """
if __name__ == "__main__":
    full, room = map(Path, ARGUMENTS)
    with shared(reentrant=False) as cluster:
        running = [submit(cluster, f"r{n}", 2.0, kind="large") for n in range(4)]
        until(lambda: all(job.status.name == "RUNNING" for job in running))
        say(running=sorted({job.node for job in running}))
        until(full.exists)
        time.sleep(1.0)
        more = [submit(cluster, f"m{n}", 0.05) for n in range(40)]
        say(more=[told(job) for job in more if job() or True])
        say(why=cluster.status().nodes[0].state)
        until(room.exists)
        say(old=[told(job) for job in running if job() or True])
        again = submit(cluster, "again", node="a")
        say(again=told(again) if again() else None)
"""


def test_a_node_without_room_is_set_aside_and_keeps_what_it_has() -> None:
    with DurableFarm("a", "b") as farm:
        small_disk(farm["a"], "/var/tmp", 300)
        farm.scheduler()
        farm.joins("a")
        farm.joins("b")
        full, room = farm.directory / "full", farm.directory / "room"
        user = farm.user(ASIDE, str(full), str(room))
        assert user.wait_for("running") == ["a", "b"]
        fill(farm["a"], "/var/tmp")
        full.touch()
        more = user.wait_for("more")
        assert {where for _, _, where, *_ in more} == {"b"}, more
        wait_until(lambda: all(run[0].end for key, run in farm.runs().items() if key[0] == "r"), "they end", LIMIT_S)
        empty(farm["a"], "/var/tmp")
        room.touch()
        user.wait()
        assert [rest[0] for _, *rest in user.get("old")] == ["FINISHED"] * 4, user.told()
        assert user.get("again")[1] == "FINISHED"
        assert set(farm.starts().values()) == {1}
