"""Two nodes, one of them slow: a job that is stuck there gets a twin, and nothing of the loser is left."""

from __future__ import annotations

import time

import psutil
import pytest

from tests.e2e.helpers import wait_until
from tests.e2e_net.farm import Farm
from tests.support.lab_host import processes_in

PROGRAM = """
import socket, subprocess

def work(n):
    slow = bool(os.environ.get("THIS_NODE_IS_SLOW"))
    with open("which", "w") as file:
        file.write(socket.gethostname())
    lightwork.send_file("which")
    lightwork.send_provisional(socket.gethostname())
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    time.sleep(600 if slow else 0.2)
    child.kill()
    child.wait()
    return socket.gethostname()

if __name__ == "__main__":
    with lightwork.JobCluster(work, nodes=["a", "b"], reentrant=True) as cluster:
        while len(cluster.nodes) < 2:
            time.sleep(0.05)
        jobs = [cluster.submit(n) for n in range(6)]
        results = [job() for job in jobs]
        say(ended=time.time())
        twinned = [job for job in jobs if len(job.history) > 1]
        status = cluster.status()
        say(
            results=results,
            histories=[[(one.node, one.how, one.text) for one in job.history] for job in twinned],
            nodes=[job.node for job in twinned],
            files=[[path.read_text() for path in job.files] for job in jobs],
            counts=[status.twins_started, status.twins_won],
        )
        cluster.stats()
"""


def sleepers(namespace: str) -> list[int]:
    found = []
    for pid in processes_in(namespace):
        try:
            process = psutil.Process(pid)
            if process.name() == "sleep" and process.status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
        except psutil.NoSuchProcess:  # it ended while we looked
            continue
    return found


@pytest.mark.slow
def test_the_faster_one_wins_and_the_other_is_gone() -> None:
    with Farm("client", "a", "b") as farm:
        farm.node("a", "--slots", "1", env={"THIS_NODE_IS_SLOW": "1"})
        farm.node("b", "--slots", "1")
        client = farm.client("client", PROGRAM)
        client.wait_for("ended")
        began = time.monotonic()
        wait_until(lambda: not sleepers(farm["a"].namespace), "the loser's processes are gone")
        assert time.monotonic() - began < 3.0
        client.wait()
        assert client.get("results") == ["b"] * 6
        [history] = client.get("histories")
        assert [(node, how) for node, how, _ in history] == [("a", "cancelled"), ("b", "returned")]
        assert "its twin on node b was faster" in history[0][2]
        assert client.get("nodes") == ["b"]
        assert client.get("files") == [["b"]] * 6
        assert client.get("counts") == [1, 1]
        assert "second attempts of slow jobs: 1 (1 were faster)" in client.program.out
