"""Programs with a session that outlives them, for tests that need a process of their own; the scheduler is the test's.

python -m tests.client.durable_programs NAME ADDRESS
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

from lightwork.client.shared import SharedJobCluster
from lightwork.model.errors import ForkedCluster


def double(n: int) -> int:
    return 2 * n


def ended(job: Any) -> None:
    print(f"ended {job.id} {job.status.name}\n", end="", flush=True)


def make(address: str, **options: Any) -> SharedJobCluster:
    return SharedJobCluster(double, scheduler=address, recover="ours", **options)


def interrupted(address: str) -> None:
    """Ctrl-C in a block detaches, and KeyboardInterrupt goes on."""
    with make(address) as cluster:
        jobs = [cluster.submit(n) for n in range(3)]
        threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        jobs[0]()


def interrupted_without_link(address: str) -> None:
    """The same while the scheduler cannot be reached; the test takes it away at "go"."""
    with make(address) as cluster:
        cluster.submit(1)
        while cluster._session.core.upto < 1:  # type: ignore[attr-defined]
            threading.Event().wait(0.01)
        print("go", flush=True)
        sys.stdin.readline()
        late = cluster.submit(2)
        threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        late()


def uncaught(address: str) -> None:
    """An uncaught exception detaches, too."""
    cluster = make(address, callback=ended)
    cluster.submit(21)
    raise KeyError("mine")


def no_close(address: str) -> None:
    """A normal exit waits, and ends the session."""
    cluster = make(address, callback=ended)
    print("main is over", flush=True)
    cluster.submit(21)


def interrupted_at_exit(address: str) -> None:
    """Ctrl-C while the exit waits detaches."""
    make(address).submit(1)
    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.daemon = True
    timer.start()


def killed(address: str) -> None:
    """Gone in the middle."""
    cluster = make(address)
    jobs = [cluster.options(key=f"k{n}").submit(n) for n in range(20)]
    while cluster._session.core.upto < 20:  # type: ignore[attr-defined]
        cluster.status()
    print(jobs[3](), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def forks(address: str) -> None:
    """A forked child cannot use the session, and leaves it alone."""
    with make(address) as cluster:
        job = cluster.submit(1)
        child = os.fork()
        if not child:
            try:
                cluster.submit(2)
            except ForkedCluster:
                os._exit(46)
            os._exit(1)
        print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), job(), flush=True)


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
