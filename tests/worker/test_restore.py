"""What one job does to its worker, the next one does not see."""

from __future__ import annotations

import time

import pytest

from lightwork.wire import channel as ch, outcome as oc
from tests.worker.agent_double import KeeperDouble, WorkerDouble, arguments, processes_of


def look():
    import os
    import signal
    import sys
    import threading
    import warnings

    mask = os.umask(0o22)
    os.umask(mask)
    return {
        "cwd": os.getcwd(),
        "environ": sorted(os.environ.items()),
        "child environ": sorted(os.popen("env").read().replace("_=/usr/bin/env", "").splitlines()),
        "path": list(sys.path),
        "argv": list(sys.argv),
        "filters": [str(f) for f in warnings.filters],
        "handlers": [str(signal.getsignal(n)) for n in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGALRM)],
        "timer": signal.getitimer(signal.ITIMER_REAL),
        "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "umask": mask,
        "threads": threading.active_count(),
        "streams": [sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__, sys.stdin.read()],
        "limit": sys.getrecursionlimit(),
        "trace": sys.gettrace() is None,
    }


def poison(how):
    import os
    import signal
    import sys
    import warnings

    os.environ["LANG_OF_JOB"] = "x" if how == "environ" else os.environ.get("LANG_OF_JOB", "")
    if how != "environ":
        del os.environ["LANG_OF_JOB"]
    if how == "cwd":
        os.chdir("/")
    elif how == "environ":
        os.environ["PATH"] = "/nowhere"
        os.environ.pop("HOME", None)
    elif how == "environ replaced":
        os.environ = {"A": "1"}  # type: ignore[assignment]
    elif how == "putenv":
        os.putenv("SNEAKED", "in")
    elif how == "path":
        sys.path[:] = ["/nowhere"]
    elif how == "path replaced":
        sys.path = []
        sys.argv = ["other", "words"]
    elif how == "argv":
        sys.argv.append("more")
    elif how == "warnings":
        warnings.simplefilter("error")
    elif how == "signals":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGUSR1, lambda *_: None)
        signal.alarm(1)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    elif how == "umask":
        os.umask(0)
    elif how == "stdin":
        sys.stdin.close()
        os.close(0)
    elif how == "streams":
        sys.stdout, sys.stderr = sys.stderr, sys.stdout
    elif how == "limit":
        sys.setrecursionlimit(10_000)
        sys.settrace(lambda *_: None)
    elif how == "descriptors":
        os.closerange(0, 21)


EVERY_WAY = [
    *("cwd", "environ", "environ replaced", "putenv", "path", "path replaced", "argv", "warnings", "signals", "umask"),
    *("stdin", "streams", "descriptors"),
]


@pytest.mark.parametrize("how", EVERY_WAY)
def test_the_successor_finds_everything_as_it_was(worker: WorkerDouble, how: str):
    worker.load(poison, slot=1)
    worker.load(look, slot=2)
    before = worker.call(slot=2).value
    for _ in range(2):
        assert worker.call(how).kind == oc.RETURNED
        assert worker.call(slot=2).value == before
    if how == "signals":
        time.sleep(1.1)
        assert worker.call(slot=2).value == before, "an alarm of a job that has ended"


def leave_behind(how):
    import os
    import subprocess
    import sys
    import threading
    import time

    if how == "thread":
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    elif how == "child":
        return subprocess.Popen(["sleep", "60"]).pid
    elif how == "fork":
        pid = os.fork()
        if pid == 0:
            time.sleep(60)
        return pid
    elif how == "daemon":
        code = "import os,time\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\n"
        code += "os.closerange(0, 64)\nos.execve('/bin/sleep', ['sleep', '61'], {})"
        subprocess.run([sys.executable, "-c", code], check=True)
        time.sleep(0.1)
    elif how == "nice":
        os.nice(1)
    elif how == "all descriptors":
        os.closerange(0, 4096)
    return None


@pytest.mark.parametrize("how", ["thread", "child", "fork", "daemon", "nice"])
def test_a_worker_that_cannot_be_set_back_retires(worker: WorkerDouble, tmp_path, how: str):
    worker.load(leave_behind)
    first, second = worker.run([arguments(how), arguments("nothing")])
    retiring = worker.expect(ch.RETIRING)
    assert ch.U64.unpack_from(retiring.body)[0] == worker.sent[first]
    assert oc.decode_fields(retiring.body[8:])["reason"].startswith(b"a job ")
    assert worker.ends[first].kind == oc.RETURNED
    assert second not in worker.ends
    assert [pid for pid in processes_of(tmp_path, 0.5) if pid not in (worker.pid,)] == []


def test_no_descriptor_left_at_all(a_keeper: KeeperDouble):
    worker = a_keeper.worker()
    worker.load(leave_behind)
    (token,) = worker.run([arguments("all descriptors")])
    a_keeper.expect(ch.DIED, worker.id)
    worker.drain()
    assert worker.ends[token].kind == oc.RETURNED


def test_zombies_are_no_reason_to_retire(worker: WorkerDouble):
    def forget():
        import subprocess
        import time

        subprocess.Popen(["true"])
        time.sleep(0.1)

    worker.load(forget)
    for _ in range(3):
        assert worker.call().kind == oc.RETURNED
    assert not worker.frames


def test_module_globals_persist(worker: WorkerDouble):
    def count():
        globals().setdefault("counted", []).append(1)
        return len(globals()["counted"])

    worker.load(count)
    assert [worker.call().value for _ in range(3)] == [1, 2, 3]


def test_the_directory_of_a_computation_was_removed_by_a_job(worker: WorkerDouble, tmp_path):
    own = tmp_path / "own"
    own.mkdir()

    def remove():
        import os
        import shutil

        shutil.rmtree(os.getcwd())

    worker.load(remove, directory=bytes(own))
    assert worker.call().kind == oc.RETURNED
    worker.expect(ch.RETIRING)
