"""Node control from a program, against real `lightwork node` processes on this machine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

import lightwork
from tests.e2e.helpers import there, wait_until
from tests.support.jobs import read, recall, remember, sleep, where
from tests.support.nodes import Start


def test_jobs_go_where_they_are_sent(start: Start) -> None:
    one, two = start("one"), start("two")
    with lightwork.JobCluster(where, nodes=[one.address, two.address]) as cluster:
        there(cluster, one.name, two.name)
        for node in (one, two):
            jobs = [cluster.submit_node(node.name, n) for n in range(8)]
            assert [job.get(30) for job in jobs] == list(range(8))
            assert {job.node for job in jobs} == {node.name}
            assert {job.host for job in jobs} == {"127.0.0.1"}
        status = cluster.status()
        assert {one.state for one in status.attempted} == {"joined"}
        assert cluster.submit_job_id_node("mine", cluster.nodes[0], 3).get(30) == 3
        with pytest.raises(lightwork.UserError, match="no node 'nowhere'"):
            cluster.submit_node("nowhere", 1)


def test_a_node_out_of_use_and_back(start: Start) -> None:
    one, two = start("one"), start("two")
    with lightwork.JobCluster(where, nodes=[one.address, two.address]) as cluster:
        there(cluster, one.name, two.name)
        cluster.deallocate_node(one.name)
        jobs = [cluster.submit(n) for n in range(40)]
        assert {(job.get(30), job.node)[1] for job in jobs} == {two.name}
        cluster.allocate_node(one.name)
        assert cluster.submit_node(one.name, 5).get(30) == 5


def test_cpus(start: Start) -> None:
    node = start("one", slots=3)
    with lightwork.JobCluster(sleep, nodes=[node.address]) as cluster:
        there(cluster, node.name)
        assert cluster.set_node_cpus(node.name, -1) == 2
        assert cluster.set_node_cpus(node.name, 1) == 1
        began = time.monotonic()
        jobs = [cluster.submit(0.3) for _ in range(3)]
        assert [job.get(30) for job in jobs] == [0.3] * 3
        assert time.monotonic() - began >= 0.9, "one after another"
        assert cluster.set_node_cpus(node.name, 100) == 3


def test_which_jobs_are_there(start: Start) -> None:
    node = start("one", slots=1)
    with lightwork.JobCluster(sleep, nodes=[node.address]) as cluster:
        there(cluster, node.name)
        job = cluster.submit(60)
        wait_until(lambda: job.status is lightwork.JobState.RUNNING, "the job runs")
        assert cluster.node_jobs(node.name) == [job]
        assert cluster.node_jobs(node.name, from_node=True) == [job]
        job.cancel()
        assert job() is None
        assert cluster.node_jobs(node.name) == cluster.node_jobs(node.name, from_node=True) == []


def test_a_closed_node_is_free_for_others(start: Start) -> None:
    one, two = start("one"), start("two", slots=1)
    with lightwork.JobCluster(sleep, nodes=[one.address, two.address]) as cluster:
        there(cluster, one.name, two.name)
        ends = cluster.submit_node(one.name, 0.5)
        wait_until(lambda: ends.status is not lightwork.JobState.QUEUED, "the job runs")
        cluster.close_node(one.name)
        assert ends.status is lightwork.JobState.FINISHED, "it waits for the jobs there"
        with lightwork.JobCluster(where, nodes=[one.address]) as other:
            assert other.submit(1).get(30) == 1
        cancelled = cluster.submit_node(two.name, 60)
        wait_until(lambda: cancelled.status is lightwork.JobState.RUNNING, "the job runs")
        began = time.monotonic()
        cluster.close_node(two.name, terminate_pending=True)
        assert time.monotonic() - began < 20
        assert cancelled.status is lightwork.JobState.CANCELLED
        wait_until(lambda: cluster.status() and not cluster.nodes, "there is no node any more")


def test_another_data_set(start: Start, tmp_path: Path) -> None:
    node = start("one")
    data = tmp_path / "data"
    data.write_text("first")
    with lightwork.JobCluster(recall, nodes=[node.address], setup=remember, setup_args=("ours",)) as cluster:
        there(cluster, node.name)
        assert cluster.submit().get(30) == "ours"
        cluster.resetup_node(node.name, setup_args=("another",), depends=[str(data)])
        assert cluster.submit().get(30) == "another"
        reading = cluster.options(computation=read)
        assert reading.submit("data").get(30) == "first"
        data.write_text("second")
        cluster.resetup_node(node.name, depends=[str(data)])
        assert reading.submit("data").get(30) == "second"
        assert cluster.submit().get(30) == "another"
        cluster.resetup_node(node.name, depends=(), setup_args=())
        assert cluster.submit().get(30) == "ours"


def test_a_file_for_one_node(start: Start, tmp_path: Path) -> None:
    node = start("one")
    (tmp_path / "late").write_bytes(b"x" * 300_000)
    with lightwork.JobCluster(read, nodes=[node.address]) as cluster:
        there(cluster, node.name)
        cluster.send_file(tmp_path / "late", node.name)
        assert cluster.submit_node(node.name, "late").get(30) == "x" * 300_000


class Chooses(lightwork.NodeAllocate):
    """All but one slot of nodes called one-..., nothing of others; each has its number."""

    seen: list[tuple[Any, ...]]

    def allocate(self, cluster: Any, ip_addr: str, name: str, cpus: int, avail_info: Any, platform: str) -> int:
        self.seen.append((ip_addr, name, cpus, avail_info, platform))
        self.setup_args = (len(name),)
        return cpus - 1 if name.startswith("one-") else 0


def test_the_user_decides_node_by_node(start: Start) -> None:
    one, two = start("one", slots=3), start("two")
    chooses = [Chooses(one.address), Chooses(two.address)]
    for spec in chooses:
        spec.seen = []
    with lightwork.JobCluster(recall, nodes=chooses, setup=remember, setup_args=("ours",)) as cluster:
        jobs = [cluster.submit() for _ in range(20)]
        assert {job.get(30) for job in jobs} == {len(one.name)}
        assert {job.node for job in jobs} == {one.name}
        wait_until(lambda: all(spec.seen for spec in chooses), "both were offered")
        ((address, name, cpus, _, platform),) = chooses[0].seen
        assert (address, name, cpus) == ("127.0.0.1", one.name, 3)
        assert platform
        cluster.status()
        assert {node.name: node.slots for node in cluster.nodes}[one.name] == 2


def test_this_machine_beside_others_and_nodes_added_later(start: Start) -> None:
    one, two = start("one", slots=1), start("two", slots=1)
    with lightwork.JobCluster(where, nodes=["local", one.address], slots=1) as cluster:
        there(cluster, one.name)
        assert len(cluster.nodes) == 2
        cluster.allocate_node(two.address)
        there(cluster, one.name, two.name)
        jobs = [cluster.submit(n) for n in range(60)]
        assert [job.get(30) for job in jobs] == list(range(60))
        assert len({job.node for job in jobs}) == 3
        found = cluster.discover_nodes([one.address, two.address])
        assert set(found) == {one.name, two.name}
