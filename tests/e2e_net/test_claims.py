"""Who has a node: one cluster at a time, others in line; and what becomes of it when clients, hosts or nodes die."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tests.e2e.helpers import LIMIT_S, PROMISED_S, wait_until
from tests.e2e_net.farm import SHORT, Client, Farm
from tests.support.lab_host import processes_in

# Jobs write down who they are, then wait for a file (all hosts see the same files there).
WORK = """
def work(name, go=""):
    import os, socket, time
    with open(os.path.expanduser("~/starts"), "a") as file:
        file.write(f"{name}\\n")
    while go and not os.path.exists(go):
        time.sleep(0.01)
    return socket.gethostname()

def running(job):
    while job.status.name not in ("RUNNING", "FINISHED"):
        time.sleep(0.01)

"""
ONE_JOB = (
    WORK
    + """
if __name__ == "__main__":
    name, node, go = sys.argv[1:]
    begun = time.monotonic()
    with lightwork.JobCluster(work, nodes=[node], name=name) as cluster:
        job = cluster.submit(name, go)
        told = ""
        while job.status.name not in ("RUNNING", "FINISHED"):
            for one in cluster.status().attempted:
                if one.state == "busy" and one.text != told:
                    told = one.text
                    say(busy=[one.address, one.text, one.hint], after=time.monotonic() - begun)
            time.sleep(0.02)
        say(pids=cluster.status().pids, running=time.monotonic() - begun)
        say(ended=job(), took=time.monotonic() - begun)
"""
)
QUICK = {"LIGHTWORK_TIMERS": SHORT}


def one_job(farm: Farm, host: str, name: str, node: str, go: Path | str = "", timers: str = SHORT) -> Client:
    return farm.client(host, ONE_JOB, name, node, str(go), env={"LIGHTWORK_TIMERS": timers} if timers else None)


def starts(farm: Farm, host: str) -> list[str]:
    path = farm[host].home / "starts"
    return path.read_text().split() if path.exists() else []


IN_SERIES = (
    WORK
    + """
if __name__ == "__main__":
    for number in range(2):
        begun = time.monotonic()
        with lightwork.JobCluster(work, nodes=["b"]) as cluster:
            job = cluster.submit(f"series{number}", sys.argv[1])
            running(job)
            say(running=number)
            job()
        say(took=time.monotonic() - begun)
    say(done=True)
"""
)


def test_one_has_it_others_wait_in_line_and_other_nodes_are_free() -> None:
    with Farm("client", "a", "b") as farm:
        go = farm["client"].work / "go"
        node, _ = farm.node("a", ready=""), farm.node("b", ready="")
        node.wait_for("listens")
        first = one_job(farm, "client", "first", "a", go)
        beside = farm.client("client", IN_SERIES, str(go), env=QUICK)
        first.wait_for("running")
        beside.wait_for("running")
        assert first.get("ended") is None, "both run at once"

        began = time.monotonic()
        second = one_job(farm, "client", "second", "a", timers="")
        address, text, hint = second.wait_for("busy")
        assert address == "a:9701"
        assert text.startswith("a:9701 is in use by first of root@client since ")
        assert hint == "it is asked again until it is free"
        third = one_job(farm, "b", "third", "a")
        assert "in use by first of root@client since" in third.wait_for("busy")[1]
        assert third.get("busy")[1].endswith(", with 1 other before you in line")
        wait_until(lambda: f"  {text}\n    hint: {hint}" in second.program.err, f"told: {second.told()}")
        told = time.monotonic() - began
        assert starts(farm, "a") == ["first"]

        go.touch()
        for client in (first, second, third, beside):
            client.wait()
        assert [client.get("ended") for client in (first, second, third)] == ["a"] * 3
        assert starts(farm, "a") == ["first", "second", "third"]
        assert starts(farm, "b") == ["series0", "series1"]
        print(f"the second was told after {second.get('after'):.1f} s, on stderr within {told:.1f} s")
        assert told < LIMIT_S, f"{PROMISED_S} s are promised"
        for name in ("second of root@client", "third of root@b"):
            assert f"{name} waits: this node is in use by first of root@client since" in node.err


def test_a_client_that_is_killed_leaves_its_node_to_the_next() -> None:
    """Its scheduler still says goodbye; if that is killed, too, the lease ends it."""
    with Farm("client", "a", timers=SHORT) as farm:
        never = farm["client"].work / "never"
        node = farm.node("a")
        alone = set(processes_in(farm["a"].namespace))
        first = one_job(farm, "client", "first", "a", never, timers="LEASE_S=60 HEARTBEAT_S=0.2")
        first.wait_for("running")
        os.kill(first.program.pid, signal.SIGKILL)
        killed = time.monotonic()
        second = one_job(farm, "client", "second", "a", never)
        pids = second.wait_for("pids")
        print(f"client killed: the next was served after {time.monotonic() - killed:.1f} s")
        assert time.monotonic() - killed < LIMIT_S, "not by the lease"
        assert "the claim of first of root@client is over: the scheduler has left" in node.err

        for pid in (second.program.pid, pids["host"]):
            os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        third = one_job(farm, "client", "third", "a")
        third.wait()
        print(f"client and host killed: the next had ended after {time.monotonic() - killed:.1f} s")
        assert third.get("ended") == "a"
        assert "the connection with second of root@client is lost" in node.err
        assert "the claim of second of root@client is over: nothing that this node has said for 2 s" in node.err
        assert starts(farm, "a") == ["first", "second", "third"]
        wait_until(lambda: len(processes_in(farm["a"].namespace)) <= len(alone), "the jobs of the killed are gone")


DRAINED = (
    WORK
    + """
if __name__ == "__main__":
    with lightwork.JobCluster(work, nodes=["a", "b"]) as cluster:
        say(tiny=[cluster.submit("tiny")() for n in range(20)])
        jobs = [cluster.submit(n, sys.argv[1]) for n in range(12)]
        while len({job.node for job in jobs if job.status.name == "RUNNING"}) < 2:
            time.sleep(0.01)
        say(running={job.node: n for n, job in enumerate(jobs) if job.status.name == "RUNNING"})
        say(ended=[[job(), job.node, job.attempts] for job in jobs])
        while len(cluster.status().nodes) > 1:
            time.sleep(0.01)
        cluster.submit("last")()
"""
)


def test_a_node_that_comes_late_is_used_and_one_that_gets_term_lets_its_job_end() -> None:
    with Farm("client", "a", "b", timers=SHORT) as farm:
        go = farm["client"].work / "go"
        client = farm.client("client", DRAINED, str(go))
        client.program.wait_for("nobody listens at a:9701")
        node = farm.node("a", "--slots", "1")
        assert client.wait_for("tiny") == ["a"] * 20
        farm.node("b", "--slots", "1")
        running = client.wait_for("running")
        assert set(running) == {"a", "b"}
        node.signal(signal.SIGTERM)
        client.program.wait_for("node a is leaving")
        assert node.popen.poll() is None, "its job runs"
        go.touch()
        assert node.wait() == 0, node.err
        ended = client.wait_for("ended")
        client.wait()
        assert [number for number, (host, *_) in enumerate(ended) if host == "a"] == [running["a"]]
        assert [host for host, *_ in ended].count("b") == 11
        assert all(attempts == 1 for *_, attempts in ended), "what had not begun was not tried twice"
        assert "node a is leaving: its owner has stopped it; its running jobs end first" in client.program.err
        assert starts(farm, "b")[-1] == "last"


KILLED = (
    WORK
    + """
if __name__ == "__main__":
    with lightwork.JobCluster(work, nodes=["a", "b"], reentrant=None) as cluster:
        while len(cluster.nodes) < 2:
            time.sleep(0.01)
        jobs = [cluster.submit(n, sys.argv[1]) for n in range(4)]
        for job in jobs:
            running(job)
        say(running={job.id: job.node for job in jobs})
        say(ended=[[job(), job.attempts] for job in jobs])
        while "a" not in [node.name for node in cluster.nodes]:
            time.sleep(0.01)
        say(again=cluster.submit_node("a", "again")())
"""
)


def test_a_node_program_that_is_killed_leaves_nothing_and_serves_again_under_its_name() -> None:
    with Farm("client", "a", "b", timers=SHORT) as farm:
        go = farm["client"].work / "go"
        empty = processes_in(farm["a"].namespace)
        node = farm.node("a", "--slots", "2")
        farm.node("b", "--slots", "2")
        client = farm.client("client", KILLED, str(go))
        where = client.wait_for("running")
        assert sorted(where.values()) == ["a", "a", "b", "b"]
        assert len(processes_in(farm["a"].namespace)) > len(empty) + 3
        node.signal(signal.SIGKILL)
        wait_until(lambda: processes_in(farm["a"].namespace) == empty, "nothing is left of it")
        go.touch()
        ended = client.wait_for("ended")
        assert ended == [["b", 1 if where[str(number)] == "b" else 2] for number in range(4)]
        farm.node("a", "--slots", "2")
        assert client.wait_for("again") == "a"
        client.wait()
        assert starts(farm, "a").count("again") == 1
        lost = "the connection with node a (192.168.3.12) is lost; unless it is back within 2.4 s, 2 jobs from there"
        assert lost in client.program.err
