"""Machines of a shared scheduler: drained, removed, put into groups, under load; and over a restart."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import lightwork
from tests.e2e.helpers import there, wait_until
from tests.support.jobs import sleep
from tests.support.shared_lab import SharedLab, cluster_of, listens_at, shared_lab

SHORT_S = 0.03


pytestmark = pytest.mark.slow


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SharedLab]:
    with shared_lab(tmp_path, monkeypatch) as made:
        made.begin()
        yield made


def until_told(path: str) -> str:
    """Runs until the file is there."""
    import os
    import time

    while not os.path.exists(path):
        time.sleep(0.02)
    return path


class Load:
    """Short jobs without end, until it is enough."""

    def __init__(self, cluster: lightwork.JobCluster) -> None:
        self.jobs: list[lightwork.Job] = []
        self._cluster = cluster
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._enough.is_set():
            self.jobs += [self._cluster.submit(SHORT_S) for _ in range(3)]  # two nodes have four slots
            time.sleep(2 * SHORT_S)

    def next(self) -> int:
        """The first in `jobs` of those that are submitted from now on: three may just be on their way."""
        return len(self.jobs) + 3

    def runs_on(self, *names: str) -> None:
        """Jobs that are submitted from now on run there."""
        first = self.next()
        wait_until(lambda: set(names) <= self.seen(first), f"jobs run on {names}: {self.seen(first)}")

    def seen(self, first: int) -> set[str]:
        return {str(job.node) for job in self.jobs[first:] if job.status is lightwork.JobState.FINISHED}

    def since(self, moment: float) -> set[str]:
        """Where jobs have started since then (by the scheduler's clock, which is ours)."""
        return {str(job.node) for job in self.jobs if job.start_time is not None and job.start_time > moment}

    def end(self) -> None:
        self._enough.set()
        self._thread.join()
        assert [job.get(60) for job in self.jobs] == [SHORT_S] * len(self.jobs)
        assert {job.attempts for job in self.jobs} == {1}, "each was begun once"


def state_of(cluster: lightwork.JobCluster, name: str) -> str:
    return next((host.state for host in cluster.hosts() if host.name == name), "")


def test_a_node_is_drained_and_used_again_under_load(lab: SharedLab) -> None:
    lab.node("one")
    lab.node("two")
    one, two = lab.name("one"), lab.name("two")
    with cluster_of(lab, sleep) as cluster, cluster_of(lab, sleep) as other:
        there(cluster, one, two)
        load = Load(other)
        load.runs_on(one, two)
        long = cluster.submit_node(one, 4.0)
        wait_until(lambda: long.status is lightwork.JobState.RUNNING, "the long job runs")
        assert cluster.drain("one-*") == [one]
        assert state_of(cluster, one).startswith("draining by ")
        first = load.next()
        assert long.get(30) == 4.0
        wait_until(lambda: state_of(cluster, one).startswith("drained by "), "nothing runs there any more")
        pinned = cluster.submit_node(one, 0.0)
        load.runs_on(two)
        assert load.seen(first) == {two}
        assert any("drained by" in line for line in cluster.explain(pinned))
        assert cluster.resume(one) == [one]
        assert pinned.get(30) == 0.0
        load.runs_on(one, two)
        load.end()
        with pytest.raises(lightwork.ClusterError, match="no host 'nowhere'"):
            cluster.drain("nowhere")


def test_what_runs_moves_at_once_if_need_be(lab: SharedLab, tmp_path: Path) -> None:
    lab.node("one")
    one, two, told = lab.name("one"), lab.name("two"), tmp_path / "told"
    with cluster_of(lab, until_told) as cluster:
        there(cluster, one)
        jobs = [cluster.submit(str(told)) for _ in range(2)]
        wait_until(lambda: {job.status for job in jobs} == {lightwork.JobState.RUNNING}, "both run")
        lab.node("two")
        there(cluster, two)
        cluster.drain(one, now=True)
        wait_until(lambda: {job.node for job in jobs} == {two}, "both run again elsewhere")
        told.touch()
        assert [(job.get(60), job.node, job.attempts) for job in jobs] == [(str(told), two, 2)] * 2
    with cluster_of(lab, until_told, reentrant=False) as cluster:
        cluster.resume(one)
        job = cluster.submit_node(one, str(tmp_path / "never"))
        wait_until(lambda: job.status is lightwork.JobState.RUNNING, "it runs")
        wait_until(lambda: cluster.node_jobs(one, from_node=True) == [job], "it is there")
        cluster.drain(one, now=True)
        with pytest.raises(lightwork.JobLost, match="was drained by"):
            job.get(60)


def test_a_removed_node_goes_and_is_turned_away_until_it_is_added(lab: SharedLab) -> None:
    node = lab.node("one")
    lab.node("two")
    one, two = lab.name("one"), lab.name("two")
    with cluster_of(lab, sleep) as cluster:
        there(cluster, one, two)
        load = Load(cluster)
        load.runs_on(one, two)
        assert cluster.remove_hosts(one) == [one]
        node.says("was removed by")
        node.says(f"`lightwork hosts add {one}`")
        wait_until(lambda: {status.name for status in cluster.status().nodes} == {two}, "it is gone")
        assert state_of(cluster, one) == "removed"
        moment = time.time()
        load.runs_on(two)
        assert load.since(moment) == {two}
        cluster.add_hosts(one)
        there(cluster, one)
        load.runs_on(one, two)
        load.end()


def test_hosts_and_groups_are_added_under_load(lab: SharedLab) -> None:
    lab.node("one", "--group", "old")
    far = lab.node("far", join=False)
    one, name = lab.name("one"), lab.name("far")
    with cluster_of(lab, sleep) as cluster:
        there(cluster, one)
        load = Load(cluster)
        load.runs_on(one)
        address = listens_at(far)
        cluster.add_hosts([address, address], group="new")
        cluster.add_hosts(address)
        there(cluster, name)
        load.runs_on(one, name)
        groups = {status.name: status.groups for status in cluster.status().nodes}
        assert groups == {one: ("old",), name: ("new",)}
        new = [cluster.options(where='group == "new"').submit(0.0) for _ in range(4)]
        assert {(job.get(30), job.node)[1] for job in new} == {name}
        cluster.group_hosts("one-*", "new")
        cluster.drain("@new")
        assert {state_of(cluster, host).split(" by ")[0] for host in (one, name)} <= {"drained", "draining"}
        cluster.ungroup_hosts(one, "new")
        first = load.next()
        load.runs_on(one)
        time.sleep(0.4)
        assert load.seen(first) == {one}
        cluster.resume("@new")
        cluster.remove_hosts(address, wait=True)
        far.says("was removed by")
        with lightwork.JobCluster(sleep, nodes=[address]) as alone:
            assert alone.submit(0.0).get(30) == 0.0, "it is free for others"
        load.end()


def test_a_restart_in_the_middle_of_a_drain(lab: SharedLab, tmp_path: Path) -> None:
    lab.node("one", slots=1)
    one, two, told = lab.name("one"), lab.name("two"), tmp_path / "told"
    with cluster_of(lab, until_told, recover=f"drain-{lab.mark}") as cluster:
        there(cluster, one)
        runs, waits = cluster.submit(str(told)), cluster.options(computation=sleep).submit(0.1)
        wait_until(lambda: runs.status is lightwork.JobState.RUNNING, "it runs")
        cluster.group_hosts(one, "old")
        cluster.drain("@old")
        lab.kill()
        lab.begin()
        lab.node("two")
        assert (waits.get(60), waits.node) == (0.1, two)
        wait_until(lambda: state_of(cluster, one).startswith("draining by"), "it is back, and still has a job")
        told.touch()
        assert (runs.get(60), runs.node, runs.attempts) == (str(told), one, 1)
        wait_until(lambda: state_of(cluster, one).startswith("drained by"), "it has done what it had")
        cluster.resume(one)
        assert cluster.submit_node(one, str(told)).get(60) == str(told)


def test_a_restart_in_the_middle_of_a_removal(lab: SharedLab, tmp_path: Path) -> None:
    node = lab.node("one", slots=1)
    one, told = lab.name("one"), tmp_path / "told"
    with cluster_of(lab, until_told, recover=f"remove-{lab.mark}") as cluster:
        there(cluster, one)
        runs = cluster.submit(str(told))
        wait_until(lambda: runs.status is lightwork.JobState.RUNNING, "it runs")
        cluster.remove_hosts(one)
        lab.kill()
        lab.begin()
        wait_until(lambda: state_of(cluster, one).startswith("being removed by"), "it is back for its job")
        told.touch()
        assert (runs.get(60), runs.attempts) == (str(told), 1)
        node.says("was removed by")
        wait_until(lambda: state_of(cluster, one) == "removed", "it is gone")


def test_how_nodes_are_to_work_survives_a_restart(lab: SharedLab, tmp_path: Path) -> None:
    """Jobs run where the words about hosts let them, on nodes that come back and on those that come later."""
    first = lab.node("one")
    one, two, told = lab.name("one"), lab.name("two"), tmp_path / "told"
    with cluster_of(lab, until_told, recover=f"policy-{lab.mark}") as cluster:
        there(cluster, one)
        assert cluster.host_policy("*", slots=1, serve=2) == [one]
        with cluster_of(lab, sleep) as first_served:
            assert first_served.submit(0.0).get(30) == 0.0
        jobs = [cluster.submit(str(told)) for _ in range(2)]
        wait_until(lambda: jobs[0].status is lightwork.JobState.RUNNING, "one of them runs")
        lab.kill()
        lab.begin()
        there(cluster, one)
        wait_until(lambda: policy_of(cluster, one) == {"serve": 2, "slots": 1}, "it is known again")
        wait_until(lambda: slots_of(cluster) == {one: 1}, "it is back")
        assert jobs[1].status is lightwork.JobState.QUEUED, "there is only one slot"
        lab.node("two", slots=4)
        wait_until(lambda: jobs[1].status is lightwork.JobState.RUNNING, "the other one runs on the new node")
        assert slots_of(cluster) == {one: 1, two: 1}
        cluster.host_policy(two, slots=3, serve=-1)
        told.touch()
        assert [job.get(60) for job in jobs] == [str(told)] * 2
        assert policy_of(cluster, two) == {"serve": -1, "slots": 3}
    assert first.process.wait(30) == 0, "it has served its clients: one before the restart, one after"
    first.says("it has served 2 clients, as it was told")
    with cluster_of(lab, sleep) as cluster:
        wait_until(lambda: slots_of(cluster) == {two: 3}, "the other one stays, with what was said of it")


def slots_of(cluster: lightwork.JobCluster) -> dict[str, int]:
    return {node.name: node.slots for node in cluster.status().nodes}


def policy_of(cluster: lightwork.JobCluster, name: str) -> dict[str, str | int]:
    return next((host.policy for host in cluster.hosts() if host.name == name), {})
