"""Jobs that do their worst: each ends in time with the right status and a sentence, others are untouched."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import lightwork
from lightwork import JobState
from tests.e2e.helpers import LIMIT_S, alive, said, wait_until

MB = 1 << 20


def divide(n: int) -> float:
    return 1 / n


def leave(code: int) -> None:
    os._exit(code)


def crash() -> None:
    import ctypes

    ctypes.string_at(0)


def exit_politely() -> None:
    sys.exit(7)


def exit_with_text() -> None:
    sys.exit("gave up")


def missing_module() -> None:
    import a_module_that_is_not_there  # type: ignore[import-not-found]  # noqa: F401


def unpicklable() -> dict[str, Any]:
    import threading

    return {"a": [1, 2, threading.Lock()]}


def print_much(how: str, megabytes: int) -> str:
    line = "x" * 1023 + "\n"
    if how == "python":
        for _ in range(megabytes * 1024):
            sys.stdout.write(line)
    elif how == "c":
        import ctypes

        libc = ctypes.CDLL(None)
        for _ in range(megabytes * 1024):
            libc.puts(line[:-1].encode())
    else:
        import subprocess

        code = f"import sys\nfor _ in range({megabytes * 1024}): sys.stdout.write('x' * 1023 + chr(10))"
        subprocess.run([sys.executable, "-c", code], check=True)
    return how


def daemonize() -> list[int]:
    """Three children that leave the group, the session, and their parent."""
    import signal

    pids = []
    for _ in range(3):
        read, write = os.pipe()
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                os.write(write, str(os.getpid()).encode())
                os.closerange(0, 64)
                time.sleep(600)
            os._exit(0)
        os.wait()
        pids.append(int(os.read(read, 20)))
    return pids


def fork_and_return() -> int:
    os.fork()
    return 5


def close_descriptors() -> str:
    os.closerange(0, 21)
    return "closed"


def eat(megabytes: int) -> int:
    held = bytearray(megabytes * MB)
    for at in range(0, len(held), 4096):
        held[at] = 1
    time.sleep(30)
    return len(held)


def sleep(seconds: float) -> str:
    time.sleep(seconds)
    return "slept"


def sleep_with_a_daemon(path: str) -> None:
    import subprocess

    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    with open(path, "w") as file:
        file.write(str(child.pid))
    time.sleep(60)


def poison_process() -> str:
    import signal
    import threading
    import warnings

    os.chdir("/")
    os.environ["POISON"] = "1"
    os.environ.pop("HOME", None)
    sys.path.insert(0, "/poison")
    sys.argv[:] = ["poison"]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, lambda *a: None)
    os.umask(0o777)
    warnings.simplefilter("error")
    sys.stdout = open(os.devnull, "w")
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    return "poisoned"


def look_around() -> dict[str, Any]:
    import signal
    import threading

    mask = os.umask(0o22)
    os.umask(mask)
    print("hello")
    return {
        "cwd": os.getcwd(),
        "poison": os.environ.get("POISON"),
        "home": os.environ.get("HOME"),
        "path": "/poison" in sys.path,
        "argv": sys.argv,
        "int": signal.getsignal(signal.SIGINT) is signal.SIG_IGN,
        "usr1": str(signal.getsignal(signal.SIGUSR1)),
        "mask": mask,
        "threads": threading.active_count(),
    }


def test_each_ends_with_its_status_and_others_are_untouched(way: str) -> None:
    cases: list[tuple[Any, tuple[Any, ...], JobState, list[str]]] = [
        (divide, (0,), JobState.FAILED, ["ZeroDivisionError", "return 1 / n", "divide"]),
        (leave, (3,), JobState.POISONED, ["code 3"]),
        (crash, (), JobState.POISONED, ["SIGSEGV"]),
        (exit_politely, (), JobState.FAILED, ["7"]),
        (exit_with_text, (), JobState.FAILED, ["gave up"]),
        (missing_module, (), JobState.FAILED, ["a_module_that_is_not_there", "hint", "python"]),
        (unpicklable, (), JobState.FAILED, ["lock", "['a'][2]"]),
    ]
    with lightwork.JobCluster(slots=2) as cluster:
        good = cluster.options(computation=divide)
        bystanders = [good.submit(n + 1) for n in range(200)]
        jobs = [cluster.options(computation=function).submit(*arguments) for function, arguments, *_ in cases]
        bystanders += [good.submit(n + 1) for n in range(200)]
        for job, (function, _, state, words) in zip(jobs, cases, strict=True):
            wait_until(job.finish.is_set, f"{function.__name__} ends", 2 * LIMIT_S)
            assert job.status is state, (function.__name__, job.status, job.exception)
            for word in words:
                assert word.lower() in said(job).lower(), (function.__name__, word, job.exception)
            assert job() is None
            with pytest.raises(Exception):
                job.get()
        assert [job.get(LIMIT_S) for job in bystanders] == [1 / (n + 1) for n in range(200)] * 2
        assert sum(node.busy for node in cluster.status().nodes) == 0


@pytest.mark.slow
@pytest.mark.parametrize("how", ["python", "c", "child"])
def test_a_hundred_megabytes_of_output(hosted: str, how: str) -> None:
    with lightwork.JobCluster(print_much, slots=2) as cluster:
        loud = cluster.submit(how, 100)
        others = [cluster.submit("python", 0) for _ in range(50)]
        assert loud.get(60) == how
        assert loud.status is JobState.FINISHED
        assert len(loud.stdout_bytes) < 3 * MB
        assert loud.stdout.startswith("x" * 1023 + "\n") and loud.stdout.endswith("x\n")
        assert f"{100 * MB - 2 * MB:,}" in loud.stdout or "left out" in loud.stdout
        assert [job.get(LIMIT_S) for job in others] == ["python"] * 50
        assert all(job.stdout == "" for job in others)


def test_children_that_outlive_their_job_do_not(hosted: str) -> None:
    with lightwork.JobCluster(daemonize, slots=1) as cluster:
        pids = cluster.submit().get(LIMIT_S)
        assert len(pids) == 3
        wait_until(lambda: not any(map(alive, pids)), "daemons are killed after their job")
        assert len(cluster.submit().get(LIMIT_S)) == 3


def test_a_job_that_forks_and_returns_ends_once(hosted: str) -> None:
    with lightwork.JobCluster(fork_and_return, slots=2) as cluster:
        assert [job.get(LIMIT_S) for job in [cluster.submit() for _ in range(20)]] == [5] * 20


def test_closed_descriptors_harm_nobody(way: str) -> None:
    with lightwork.JobCluster(close_descriptors, slots=1) as cluster:
        jobs = [cluster.submit() for _ in range(3)]
        assert [job.get(LIMIT_S) for job in jobs] == ["closed"] * 3
        after = cluster.options(computation=print_much).submit("python", 0)
        assert after.get(LIMIT_S) == "python"


def test_memory_limit(hosted: str) -> None:
    with lightwork.JobCluster(eat, slots=2, memory="200M") as cluster:
        job, small = cluster.submit(600), cluster.options(computation=divide).submit(4)
        wait_until(job.finish.is_set, "the job over its memory ends")
        assert job.status is JobState.FAILED
        assert "memory" in said(job).lower(), job.exception
        assert small.get(LIMIT_S) == 0.25
        assert cluster.options(computation=divide).submit(2).get(LIMIT_S) == 0.5


def test_timeout(way: str) -> None:
    with lightwork.JobCluster(sleep, slots=1, timeout=0.5) as cluster:
        job = cluster.submit(60)
        wait_until(job.finish.is_set, "the job past its timeout ends")
        assert job.status is JobState.TIMED_OUT
        assert "timeout of 500 ms" in said(job)
        with pytest.raises(lightwork.JobTimeout):
            job.get()
        assert cluster.submit(0.01).get(LIMIT_S) == "slept"


def test_what_a_timed_out_job_has_started_dies_with_it(hosted: str, tmp_path: Path) -> None:
    with lightwork.JobCluster(sleep_with_a_daemon, slots=1, timeout=5.0) as cluster:
        job = cluster.submit(str(tmp_path / "pid"))
        wait_until(job.finish.is_set, "the job past its timeout ends")
        assert job.status is JobState.TIMED_OUT
        pid = int((tmp_path / "pid").read_text())
        wait_until(lambda: not alive(pid), "a session of its own does not save it")


def test_a_poisoned_process_does_not_reach_the_successor(way: str) -> None:
    with lightwork.JobCluster(look_around, slots=1) as cluster:
        before = cluster.submit()
        expected = before.get(LIMIT_S)
        assert cluster.options(computation=poison_process).submit().get(LIMIT_S) == "poisoned"
        after = cluster.submit()
        assert after.get(LIMIT_S) == expected
        assert after.stdout == before.stdout == "hello\n"
