"""Somebody sets the wall clock: a day on, then two days back. Nobody notices, for only monotonic clocks decide."""

from __future__ import annotations

import time

from tests.support.durable import LEASE_S, DurableFarm
from tests.support.wall_clock import WallClock

DAY_S = 86_400
STREAM = """
if __name__ == "__main__":
    with shared(recover="clock") as cluster:
        jobs = [submit(cluster, f"j{n}", 1.0, timeout=30) for n in range(16)]
        say(submitted=time.time())
        cluster.wait()
        say(ended=[told(job) for job in jobs], clock=time.time())
        say(backwards=[job.id for job in jobs if not 0 < job.end_time - job.start_time < 20])
"""


def test_the_wall_clock_is_set() -> None:
    with DurableFarm("a") as farm:
        wall = WallClock(farm.directory)
        for host in farm.hosts.values():
            host.environment.update(wall.environment)
        scheduler = farm.scheduler()
        node = farm.joins("a")
        user = farm.user(STREAM)
        began = user.wait_for("submitted")
        for shift_s in (DAY_S, -DAY_S):
            wall.set(shift_s)
            time.sleep(LEASE_S + 0.5)
        user.wait()
        assert user.get("clock") - began < -DAY_S / 2, "the clock was not set"
        assert [rest for _, *rest in user.get("ended")] == [["FINISHED", "a", 1, False]] * 16, user.told()
        assert user.get("backwards") == []
        assert set(farm.starts().values()) == {1}
        for said in (scheduler.err, node.err):
            assert "lost" not in said and "presumed dead" not in said and "silent" not in said, said
