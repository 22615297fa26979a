"""Helpers for tests with real clusters: who is alive below us, and waiting with a limit."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from lightwork import Job, JobCluster

PROMISED_S = 5.0
LIMIT_S = 3 * PROMISED_S  # limits on waiting are three times what is promised


def wait_until(condition: Callable[[], object], what: str, limit_s: float = LIMIT_S) -> None:
    """Poll until it is so; AssertionError names what did not come."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, f"after {limit_s} s still not: {what}"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie, which a weak init may leave, does not)."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def said(job: Job) -> str:
    """What a failed job's error says."""
    return job.exception or ""


def marked(mark: str) -> list[int]:
    """Processes that carry this mark in their environment."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdecimal() and int(path.name) != os.getpid():
            try:
                if mark.encode() in (path / "environ").read_bytes() and alive(int(path.name)):
                    found.append(int(path.name))
            except OSError:  # it ended while we looked
                continue
    return found


@contextmanager
def nothing_left(monkeypatch_environment: dict[str, str]) -> Iterator[str]:
    """Whatever is started inside carries a mark; at the end no process with it is left, within the promised time."""
    mark = f"LIGHTWORK_TEST_MARK={os.urandom(8).hex()}"
    name, _, value = mark.partition("=")
    os.environ[name] = value
    os.environ.update(monkeypatch_environment)
    try:
        yield mark
    finally:
        for key in (name, *monkeypatch_environment):
            os.environ.pop(key, None)
        try:
            wait_until(lambda: not marked(mark), f"no process is left, but {[_command(p) for p in marked(mark)]}")
        finally:
            for pid in marked(mark):  # they would be in the way of other tests
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _command(pid: int) -> str:
    try:
        return f"{pid} {' '.join(psutil.Process(pid).cmdline())[:200]}"
    except psutil.NoSuchProcess:
        return str(pid)


def there(cluster: JobCluster, *names: str) -> None:
    """Wait until the cluster has these nodes."""

    def known() -> bool:
        cluster.status()
        return set(names) <= {node.name for node in cluster.nodes}

    wait_until(known, f"nodes {names} are connected")
