"""A node that answers but starts nothing: its jobs go elsewhere, users are told, and it comes back."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

import lightwork
from tests.e2e.helpers import LIMIT_S, wait_until
from tests.support.nodes import NodeProgram, Start


def where(n: int) -> int:
    return os.getpid()


@contextmanager
def hands_tied(node: NodeProgram) -> Iterator[None]:
    """The agent goes on, and all processes below it are stopped."""
    below = [process for process in node.process.children(recursive=True) if process.pid != node.process.pid]
    for process in below:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in below:
            try:
                process.send_signal(signal.SIGCONT)
            except psutil.NoSuchProcess:  # it was killed meanwhile
                pass


@pytest.mark.slow
@pytest.mark.parametrize("reentrant", [None, True])
def test_its_jobs_go_elsewhere(
    start: Start, reentrant: bool | None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LIGHTWORK_TIMERS", "STUCK_S=2 STUCK_MAX_S=2")
    one, two = start("one", slots=1), start("two", slots=1)
    with lightwork.JobCluster(where, nodes=[one.address, two.address], reentrant=reentrant) as cluster:
        wait_until(lambda: len(cluster.nodes) == 2, "both nodes are there")

        def both_work() -> bool:
            some = [cluster.submit(n) for n in range(20)]
            return {job.node for job in some if job.get(LIMIT_S)} == {one.name, two.name}

        wait_until(both_work, "both have worked, and nothing is under way")
        with hands_tied(one):
            jobs = [cluster.submit(n) for n in range(2)]
            assert all(job.get(LIMIT_S) for job in jobs)
            assert [job.node for job in jobs] == [two.name] * 2
            assert all(len(job.history) == job.attempts == 1 for job in jobs), "what never started is no attempt"
            told = capfd.readouterr().err
            assert f"node {one.name}" in told
            assert "has started nothing" in told

        def used_again() -> bool:
            some = [cluster.submit(n) for n in range(4)]
            return one.name in {job.node for job in some if job.get(LIMIT_S)}

        wait_until(used_again, "it is used again")
