"""Links that are cut, programs that sleep: what is noticed, what moves, what waits, and what comes back."""

from __future__ import annotations

import os
import signal
import time

from tests.e2e_net.farm import SHORT, Client, Farm

LONG = """

def long(n, seconds):
    import os, socket, time
    with open(os.path.expanduser("~/starts"), "a") as file:
        file.write("%d\\n" % n)
    time.sleep(seconds)
    return n, socket.gethostname()
"""
BOTH = (
    LONG
    + """
if __name__ == "__main__":
    seconds = float(sys.argv[1])
    with lightwork.JobCluster(long, nodes=["a", "b"], reentrant={"None": None, "False": False}[sys.argv[2]]) as cluster:
        while len(cluster.nodes) < 2:
            time.sleep(0.05)
        jobs = [cluster.submit(n, seconds) for n in range(4)]
        while not all(job.status.name == "RUNNING" for job in jobs):
            time.sleep(0.05)
        say(running={job.id: job.node for job in jobs})
        while all(node.state == "ready" for node in cluster.status().nodes):
            time.sleep(0.1)
        say(noticed=[job.status.name for job in jobs])
        cluster.wait()
        say(ended=[[job.id, job.status.name, job.result, job.node, job.attempts, job.exception] for job in jobs])
        again = [cluster.submit(n, 0.1) for n in range(10, 14)]
        say(later=[job() for job in again])
        if len(sys.argv) > 3:
            while len([node for node in cluster.status().nodes if node.state == "ready"]) < 2:
                time.sleep(0.1)
            pinned = cluster.submit_node("a", 20, 0.1)
            say(healed=pinned())
"""
)


def running(client: Client) -> dict[str, str]:
    found: dict[str, str] = client.wait_for("running")
    return found


def starts(farm: Farm, host: str) -> list[int]:
    path = farm[host].home / "starts"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def test_a_cut_node_is_noticed_and_its_jobs_move_when_the_lease_is_over() -> None:
    with Farm("client", "a", "b") as farm:
        farm.node("a", "--slots", "2")
        farm.node("b", "--slots", "2")
        client = farm.client("client", BOTH, "14", "None", "heal")
        where = running(client)
        assert set(where.values()) == {"a", "b"}
        farm["a"].cut()
        assert client.wait_for("noticed") == ["RUNNING"] * 4, "before the lease is over"
        ended = client.wait_for("ended")
        assert [state for _, state, *_ in ended] == ["FINISHED"] * 4
        assert all(result[1] == "b" for _, _, result, *_ in ended), ended
        moved = [number for number, *_, attempts, _ in ended if attempts == 2]
        assert sorted(moved) == sorted(int(number) for number, node in where.items() if node == "a")
        farm["a"].heal()
        assert client.wait_for("healed") == [20, "a"]
        client.wait()
        assert sorted(number for number in starts(farm, "a") if number < 10) == sorted(moved)
        assert "has not been heard" in client.program.err


def test_jobs_that_must_not_start_twice_wait_and_then_are_lost() -> None:
    with Farm("client", "a", "b", timers="LOST_S=5") as farm:
        farm.node("a", "--slots", "2")
        farm.node("b", "--slots", "2")
        client = farm.client("client", BOTH, "12", "False")
        where = running(client)
        farm["a"].cut()
        ended = {str(number): rest for number, *rest in client.wait_for("ended")}
        for number, node in where.items():
            state, result, *_, error = ended[number]
            if node == "b":
                assert (state, result[1]) == ("FINISHED", "b")
            else:
                assert state == "LOST"
                assert "reentrant=False" in error and "node a" in error
        assert "waiting for node a, unreachable for" in client.program.err
        client.wait()
        both = starts(farm, "a") + starts(farm, "b")
        assert len(both) == len(set(both))


SLEEPER = (
    LONG
    + """
if __name__ == "__main__":
    with lightwork.JobCluster(long, nodes=["a", "local"], reentrant=None) as cluster:
        while len(cluster.nodes) < 2:
            time.sleep(0.05)
        jobs = [cluster.submit(n, 1.5) for n in range(8)]
        while not any(job.node == "a" and job.status.name == "RUNNING" for job in jobs):
            time.sleep(0.05)
        while "keeper" not in cluster.status().pids:
            time.sleep(0.05)
        say(pids=cluster.status().pids, me=os.getpid())
        cluster.wait()
        say(ended=[[job.status.name, job.result] for job in jobs])
"""
)


def _sleeps(farm: Farm, client: Client, who: list[int]) -> None:
    for pid in who:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(4.5)  # more than twice the lease
    for pid in who:
        os.kill(pid, signal.SIGCONT)
    ended = client.wait_for("ended")
    assert [state for state, _ in ended] == ["FINISHED"] * 8
    assert [result[0] for _, result in ended] == list(range(8))
    client.wait()


def test_a_client_that_sleeps_gets_all_its_results() -> None:
    with Farm("client", "a", timers=SHORT) as farm:
        farm.node("a", "--slots", "2")
        client = farm.client("client", SLEEPER)
        client.wait_for("pids")
        _sleeps(farm, client, [client.get("me")])


def test_a_scheduler_that_sleeps_ends_every_job() -> None:
    with Farm("client", "a", timers=SHORT) as farm:
        farm.node("a", "--slots", "2")
        client = farm.client("client", SLEEPER)
        pids = client.wait_for("pids")
        _sleeps(farm, client, [pids["host"]])


def test_a_laptop_that_sleeps_with_all_that_runs_on_it() -> None:
    with Farm("client", "a", timers=SHORT) as farm:
        farm.node("a", "--slots", "2")
        client = farm.client("client", SLEEPER)
        pids = client.wait_for("pids")
        _sleeps(farm, client, [client.get("me"), pids["host"], pids["keeper"]])


def test_a_node_that_sleeps_past_its_lease_is_used_again() -> None:
    with Farm("client", "a", "b", timers=SHORT) as farm:
        node = farm.node("a", "--slots", "2")
        farm.node("b", "--slots", "2")
        client = farm.client("client", BOTH, "3", "None", "heal")
        running(client)
        os.kill(node.pid, signal.SIGSTOP)
        client.wait_for("ended")
        os.kill(node.pid, signal.SIGCONT)
        assert client.wait_for("healed") == [20, "a"]
        client.wait()
        assert all(state == "FINISHED" for _, state, *_ in client.get("ended"))
        assert "was answered" in node.err, node.err


def test_a_job_longer_than_every_timer_completes() -> None:
    with Farm("client", "a", timers=SHORT) as farm:
        farm.node("a", "--slots", "2")
        code = LONG + (
            "\nif __name__ == '__main__':\n"
            "    with lightwork.JobCluster(long, nodes=['a']) as cluster:\n"
            "        first = cluster.submit(1, 12)\n"
            "        say(first=first())\n"
            "        say(then=[cluster.submit(n, 0)() for n in range(2, 5)])\n"
        )
        client = farm.client("client", code)
        client.wait()
        assert client.get("first") == [1, "a"]
        assert client.get("then") == [[2, "a"], [3, "a"], [4, "a"]]
        assert sorted(starts(farm, "a")) == [1, 2, 3, 4]
