"""Small programs for tests that need a process of their own; a scheduler in a thread of theirs answers.

python -m tests.client.programs NAME
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from lightwork.client import launch, opening
from lightwork.client.cluster import JobCluster
from lightwork.model.errors import ForkedCluster
from lightwork.wire.messages import Cancel, Close
from tests.client import fake_scheduler
from tests.client.fake_scheduler import FakePrivate


def double(n):
    return 2 * n


def make(**how):
    options = how.pop("options", {})

    class Private(FakePrivate):
        def __init__(self, name, session):
            super().__init__(name, session, **how)

    def open_fake(server, reporting):
        return opening.join(fake_scheduler.dial(server), server, reporting)

    vars(launch)["Private"] = Private
    vars(opening)["open_private"] = open_fake
    cluster = JobCluster(double, **options)
    return cluster, FakePrivate.made[-1].fake


def no_close():
    """A normal exit without a close waits as close does."""
    cluster, fake = make(hold=True, options={"callback": lambda job: print("ended", job.result, flush=True)})
    cluster.submit(21)
    threading.Timer(0.3, lambda: fake.end(0)).start()
    print("main is over", flush=True)


def uncaught():
    """An uncaught exception cancels."""
    cluster, fake = make(hold=True, options={"callback": lambda job: print(job.status.name, flush=True)})
    cluster.submit(21)
    fake.wait_jobs(1)
    raise KeyError("mine")


def leaves():
    """sys.exit is a normal exit."""
    cluster, fake = make(hold=True, options={"callback": lambda job: print(job.status.name, flush=True)})
    cluster.submit(21)
    threading.Timer(0.2, lambda: fake.end(0)).start()
    sys.exit(7)


def interrupted():
    """Ctrl-C in a block cancels all, and KeyboardInterrupt goes on."""
    with make(hold=True)[0] as cluster:
        job = cluster.submit(1)
        threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        try:
            job()
        finally:
            print("interrupted", flush=True)


def interrupted_at_exit():
    """Ctrl-C while the exit waits cancels all."""
    cluster, _ = make(hold=True, options={"callback": lambda job: print(job.status.name, flush=True)})
    cluster.submit(1)
    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.daemon = True  # or the interpreter would wait for it before it comes to us
    timer.start()


def forks():
    """The child cannot use the cluster, says so, and does not end it."""
    cluster, fake = make(hold=True)
    job = cluster.submit(21)
    fake.wait_jobs(1)
    child = os.fork()
    if child == 0:
        told = 0
        for call in (lambda: cluster.submit(1), job, job.get, job.cancel, cluster.wait, lambda: cluster.options(id=1)):
            try:
                call()
            except ForkedCluster:
                told += 1
        cluster.close()
        sys.exit(40 + told)
    _, status = os.waitpid(child, 0)
    print(
        "child", os.waitstatus_to_exitcode(status), "closed", len(fake.told(Close)), len(fake.told(Cancel)), flush=True
    )
    fake.end(0)
    print(job(), flush=True)
    cluster.close()


def forks_while_busy():
    """Threads hold locks at the moment of the fork; the child must not hang on them."""
    cluster, _ = make()
    stop = threading.Event()

    def work():
        while not stop.is_set():
            cluster.submit(1)()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        child = os.fork()
        if child == 0:
            try:
                cluster.submit(1)
            except ForkedCluster:
                os._exit(0)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), end=" ", flush=True)
    stop.set()
    for thread in threads:
        thread.join()
    cluster.close()


def many_clusters():
    """Several clusters at once, closed at the exit."""
    jobs = [make()[0].submit(n) for n in range(4)]
    print(sum(job() for job in jobs), flush=True)


if __name__ == "__main__":
    began = time.monotonic()
    globals()[sys.argv[1]]()
