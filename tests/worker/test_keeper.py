"""Keepers: workers come fast, and nothing outlives what started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from lightwork.wire import channel as ch, shared_file as sf
from lightwork.worker.killing import children_of, state_of
from lightwork.worker.process import become_subreaper
from tests.worker.agent_double import BOOT, KeeperDouble, arguments, keeper, processes_of


def be_nasty():
    """Children, a daemon without session, environment and descriptors; then sit there."""
    import subprocess
    import sys
    import time

    subprocess.Popen(["sleep", "63"])
    code = "import os,time\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\n"
    code += "os.closerange(0, 64)\nos.execve('/bin/sleep', ['sleep', '64'], {})"
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code], check=True)
    open("nasty", "w").close()
    time.sleep(65)


def start_nasty(made: KeeperDouble):
    worker = made.worker()
    worker.load(be_nasty)
    worker.run([arguments()])
    deadline = time.monotonic() + 20
    while not (made.directory / "nasty").exists():
        assert time.monotonic() < deadline
        worker.pump(0.01)
    while len(processes_of(made.directory, 0)) < 4:  # the worker, its child, two daemons
        assert time.monotonic() < deadline
    return worker


def gone(directory, *spared: int, patience_s: float = 5.0) -> bool:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if not set(processes_of(directory, 0)) - set(spared):
            return True
        time.sleep(0.01)
    return False


def test_end_of_file_leaves_nothing(tmp_path):
    with keeper(tmp_path) as made:
        start_nasty(made)
        made.close()
        assert gone(tmp_path)


def test_kill_takes_the_whole_tree_and_nothing_else(a_keeper: KeeperDouble, tmp_path):
    other = a_keeper.worker()
    worker = start_nasty(a_keeper)
    a_keeper.kill(worker.id)
    died = a_keeper.expect(ch.DIED, worker.id)
    assert int(died["status"]) & 0x7F == signal.SIGKILL
    assert int(died["strays"]) >= 3
    assert gone(tmp_path, other.pid, patience_s=0.5), "all of it is gone when DIED is told"
    other.load(lambda: "alive")
    assert other.call().value == "alive"


def test_kill_9_of_a_worker_leaves_nothing(a_keeper: KeeperDouble, tmp_path):
    worker = start_nasty(a_keeper)
    os.kill(worker.pid, signal.SIGKILL)
    died = a_keeper.expect(ch.DIED, worker.id)
    assert int(died["strays"]) >= 3
    assert gone(tmp_path, patience_s=0.5)


def test_kill_9_of_the_keeper_takes_its_workers_along_and_a_sweep_the_rest(tmp_path):
    """The agent is a subreaper: what a dead keeper leaves lies below it, and `boot.py sweep` ends that."""
    become_subreaper()
    others = map(str, children_of(os.getpid()))
    with keeper(tmp_path) as made:
        start_nasty(made)
        os.kill(made.pid, signal.SIGKILL)
        assert made.process is not None
        made.process.wait()
        sweep = [sys.executable, str(BOOT), "sweep", "--below", str(os.getpid()), "--spare", *others]
        done = subprocess.run(sweep, check=True, capture_output=True, text=True, timeout=20)
        assert int(done.stdout) >= 2
        assert gone(tmp_path)
        made.channel.close()
    for orphan in children_of(os.getpid()):
        if state_of(orphan) == "Z":
            os.waitpid(orphan, 0)


def test_a_worker_that_stops_everything_is_killed_too(a_keeper: KeeperDouble):
    def stop():
        import os
        import signal

        os.kill(os.getpid(), signal.SIGSTOP)

    worker = a_keeper.worker()
    worker.load(stop)
    worker.run([arguments()])
    worker.wait(lambda: worker.words[sf.STARTED] != 0)
    a_keeper.kill(worker.id)
    a_keeper.expect(ch.DIED, worker.id)


def test_a_fork_storm_inside_the_group_is_ended(a_keeper: KeeperDouble, tmp_path):
    def storm():
        import os

        for _ in range(3):
            if os.fork() == 0:
                while True:
                    if os.fork():
                        os._exit(0)
        while True:
            os.wait()

    worker = a_keeper.worker()
    worker.load(storm)
    worker.run([arguments()])
    time.sleep(0.2)
    a_keeper.kill(worker.id)
    a_keeper.expect(ch.DIED, worker.id)
    assert gone(tmp_path)


def test_further_workers_come_fast_and_share_memory(a_keeper: KeeperDouble):
    a_keeper.worker()
    began = time.monotonic()
    for _ in range(5):
        a_keeper.worker()
    assert (time.monotonic() - began) / 5 < 0.2  # 3 ms on a quiet machine


def test_what_cannot_be_forked_is_told(a_keeper: KeeperDouble):
    first, second = a_keeper.new_id(), a_keeper.new_id()
    fields = {"id": second, "token": b"1", "shared_file": b"/nowhere/x", "directory": b"/", "argv.0": b"true"}
    null = os.open(os.devnull, os.O_RDWR)
    a_keeper.send(ch.FORK, {"id": first, "shared_file": b"/nowhere/x"}, [null] * 5)
    died = a_keeper.expect(ch.DIED, first)
    assert died["status"] != b"0"
    a_keeper.send(ch.SPAWN, fields, [null] * 3)
    assert a_keeper.expect(ch.SPAWN_FAILED, second)["errno"] == b"2"
    os.close(null)


def test_the_environment_of_jobs_has_no_credentials(tmp_path, monkeypatch):
    monkeypatch.setenv("LIGHTWORK_SECRET", "hush")
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "4294967296")

    def look():
        import os
        import sys

        return dict(os.environ), sys.path, sorted(vars(sys.modules["__main__"]))

    with keeper(tmp_path) as made:
        worker = made.worker()
        worker.load(look)
        environ, path, main = worker.call().value
    assert not [name for name in environ if name.startswith(("LIGHTWORK", "MALLOC"))]
    assert not [entry for entry in path if "lightwork" in entry]
    assert "main" not in main


def test_limits_of_open_files_are_respected(tmp_path):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with keeper(tmp_path) as made:
            worker = made.worker()
            worker.load(lambda: print("fine"))
            assert worker.call().stdout == b"fine\n"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
