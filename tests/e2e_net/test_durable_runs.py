"""A durable scheduler when nothing goes wrong: jobs, data of all sizes, keys, sessions; and nothing is left."""

from __future__ import annotations

import signal

from tests.e2e.helpers import wait_until
from tests.support.durable import DurableFarm

MIXED = """
if __name__ == "__main__":
    def sized(n):
        import lightwork
        with open("note.txt", "w") as file:
            file.write("x" * n)
        lightwork.send_file("note.txt")
        print("o" * 10)
        return bytes(n)

    with shared(recover="mixed", retries=1) as cluster:
        jobs = [submit(cluster, f"small{n}") for n in range(500)]
        jobs += [submit(cluster, f"large{n}", kind="large", argument=bytes(2_000_000)) for n in range(3)]
        jobs += [submit(cluster, "again", kind="again"), submit(cluster, "fails", kind="fails")]
        other = [cluster.options(computation=sized).submit(n) for n in (0, 1000, 3_000_000)]
        mapped = sum(cluster.map(lambda x: x * x, range(1000)))
        cluster.wait()
        say(states=[told(job) for job in jobs], mapped=mapped)
        say(lengths=[len(job.result[4]) for job in jobs[500:503]], digests=[job.result[3] for job in jobs[500:503]])
        say(other=[len(job()) for job in other], out=other[0].stdout.strip(), file=Path("note.txt").stat().st_size)
        say(closed=cluster.close())
"""


def test_jobs_and_data_of_all_kinds() -> None:
    with DurableFarm("a", "b") as farm:
        scheduler = farm.scheduler()
        nodes = [farm.joins("a"), farm.joins("b")]
        user = farm.user(MIXED)
        user.wait()
        ends = {key: rest for key, *rest in user.get("states")}
        fails = ends.pop("fails")
        assert fails[0] == "FAILED" and fails[2] == 2, fails
        assert {state for state, *_ in ends.values()} == {"FINISHED"}
        assert {where for _, where, *_ in ends.values()} == {"a", "b"}
        assert not any(again for *_, again in ends.values())
        assert ends["again"][2] == 2
        assert user.get("mapped") == sum(x * x for x in range(1000))
        assert user.get("lengths") == [1_000_000] * 3
        assert len(set(user.get("digests"))) == 1
        assert (user.get("other"), user.get("out")) == ([0, 1000, 3_000_000], "o" * 10)
        assert user.get("closed") is True
        assert {key for key, count in farm.starts().items() if count > 1} == {"again", "fails"}
        nothing_kept(farm, "a", "b")
        for program in (*nodes, scheduler):
            program.signal(signal.SIGTERM)
        assert [program.wait() for program in (*nodes, scheduler)] == [0, 0, 0]


def nothing_kept(farm: DurableFarm, *nodes: str) -> None:
    """Neither scheduler nor nodes have a file of a job's."""

    def files() -> list[str]:
        places = [farm.state / "blobs", *(farm.node_directory(name) for name in nodes)]
        wanted = {"blobs", "spool", "jobs"}
        found = [path for place in places for path in place.rglob("*") if path.is_file()]
        cache = [farm.node_directory(name) / "blobs" for name in nodes]  # stays, to a limit
        return [str(path) for path in found if wanted & set(path.parts) and path.parent not in cache]

    wait_until(lambda: not files(), f"no file is kept: {files()}")


SESSION = """
if __name__ == "__main__":
    name, seconds = ARGUMENTS
    began = time.monotonic()
    with shared(recover=name) as cluster:
        say(open=time.monotonic() - began)
        job = submit(cluster, f"{name}-{os.getpid()}", float(seconds))
        until(lambda: job.status.name != "QUEUED")
        say(running=True)
        say(ended=told(job))
"""


def test_several_clients_and_one_session_twice() -> None:
    with DurableFarm("a") as farm:
        farm.scheduler()
        farm.joins("a", slots=3)
        first = farm.user(SESSION, "one", "9")
        first.wait_for("running")
        beside = farm.user(SESSION, "two", "0.1")
        beside.wait()
        assert first.get("ended") is None, "both at the same time"
        same = farm.user(SESSION, "one", "0.1")
        same.program.wait_for("session one is in use")
        first.wait()
        same.wait()
        assert same.get("open") > 1.0
        assert same.get("ended")[1] == "FINISHED"


def test_a_second_scheduler_on_one_state_directory_is_refused() -> None:
    with DurableFarm("a") as farm:
        farm.scheduler("--listen", "*:9700")
        second = farm.scheduler("--listen", "*:9799", ready="")
        assert second.wait() == 255
        assert f"another scheduler works in {farm.state}" in second.err
        assert "hint: use that one, stop it, or give this one another directory" in second.err
        farm.joins("a")
        user = farm.user(SESSION, "one", "0")
        user.wait()
        assert user.get("ended")[1] == "FINISHED"


KEYS = """
if __name__ == "__main__":
    with shared(recover="keys") as cluster:
        one = cluster.options(key="k").submit(ORACLE, "k", "plain", 0.0, b"")
        same = cluster.options(key="k").submit(ORACLE, "k", "plain", 0.0, b"")
        try:
            cluster.options(key="k").submit(ORACLE, "k", "plain", 1.0, b"")
        except lightwork.UserError as error:
            say(error=str(error))
        say(same=one is same, ended=one.get(20)[0], uid=one.uid)
    if ARGUMENTS:
        with shared(recover="keys") as cluster:
            job = submit(cluster, "k")
            say(anew=told(job) if job.get(20) else None, uid2=job.uid)
"""


def test_a_key_names_one_job_until_its_session_is_closed() -> None:
    with DurableFarm("a") as farm:
        farm.scheduler()
        farm.joins("a")
        user = farm.user(KEYS, "again")
        user.wait()
        assert (user.get("same"), user.get("ended")) == (True, "a")
        assert "k" in user.get("error") and "arguments" in user.get("error")
        assert user.get("anew") == ["k", "FINISHED", "a", 1, False]
        assert farm.starts() == {"k": 2}, "closed: the session and its keys are gone"
