"""Node control on a scheduler that several programs share: each one's own part, and what is for all."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lightwork
from tests.e2e.helpers import there, wait_until
from tests.support.jobs import read, recall, remember, sleep, where
from tests.support.shared_lab import SharedLab, cluster_of, listens_at, shared_lab

pytestmark = pytest.mark.slow


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SharedLab]:
    with shared_lab(tmp_path, monkeypatch) as made:
        yield made


def nodes_of(jobs: list[lightwork.Job]) -> set[str]:
    return {str((job.get(30), job.node)[1]) for job in jobs}


def test_each_program_uses_nodes_in_its_own_way(lab: SharedLab) -> None:
    lab.begin()
    lab.node("one")
    lab.node("two")
    one, two = lab.name("one"), lab.name("two")
    with cluster_of(lab, where) as cluster, cluster_of(lab, where) as other:
        there(cluster, one, two)
        there(other, one, two)
        assert cluster.name == "where"
        status = cluster.status()
        assert {node.name for node in status.nodes} == {one, two}
        assert set(cluster.discover_nodes([one])) == {one}
        cluster.deallocate_node(one)
        assert nodes_of([cluster.submit(n) for n in range(40)]) == {two}
        assert nodes_of([other.submit_node(one, n) for n in range(4)]) == {one}, "it is out of use for one of them only"
        cluster.allocate_node(one)
        assert cluster.submit_node(one, 5).get(30) == 5
        running = cluster.options(computation=sleep, node=one).submit(4.0)
        wait_until(lambda: running.status is lightwork.JobState.RUNNING, "the job runs")
        assert cluster.node_jobs(one) == cluster.node_jobs(one, from_node=True) == [running]
        assert other.node_jobs(one) == other.node_jobs(one, from_node=True) == [], "others' jobs are not ours to see"
        cluster.close_node(one)
        assert running.status is lightwork.JobState.FINISHED, "it waits for the jobs there"
        assert other.submit_node(one, 1).get(30) == 1, "the node stays for the other one"
        assert nodes_of([cluster.submit(n) for n in range(10)]) == {two}
        cluster.print_status()


def test_a_listening_node_is_found_for_one_program_and_given_back(lab: SharedLab) -> None:
    lab.begin()
    lab.node("one")
    far = lab.node("far", join=False)
    name = lab.name("far")
    with cluster_of(lab, where) as cluster, cluster_of(lab, where) as other:
        cluster.allocate_node(listens_at(far))
        there(cluster, name)
        assert nodes_of([cluster.submit_node(name, n) for n in range(4)]) == {name}
        assert nodes_of([other.submit(n) for n in range(40)]) == {lab.name("one")}
        cluster.close_node(name)
        with lightwork.JobCluster(where, nodes=[listens_at(far)]) as alone:
            assert alone.submit(1).get(30) == 1, "nobody else wanted it"


def test_another_data_set_and_a_file_for_one_node(lab: SharedLab, tmp_path: Path) -> None:
    lab.begin()
    lab.node("one")
    one, data = lab.name("one"), tmp_path / "data"
    data.write_text("first")
    with cluster_of(lab, recall, setup=remember, setup_args=("ours",)) as cluster:
        there(cluster, one)
        assert cluster.submit().get(30) == "ours"
        cluster.resetup_node(one, setup_args=("another",), depends=[str(data)])
        assert cluster.submit().get(30) == "another"
        assert cluster.options(computation=read).submit("data").get(30) == "first"
    (tmp_path / "late").write_bytes(b"x" * 300_000)
    with cluster_of(lab, read) as cluster:
        there(cluster, one)
        cluster.send_file(tmp_path / "late", one)
        assert cluster.submit_node(one, "late").get(30) == "x" * 300_000


def test_slots_are_not_one_programs_to_change(lab: SharedLab) -> None:
    lab.begin()
    lab.node("one", slots=3)
    one = lab.name("one")
    with cluster_of(lab, where) as cluster:
        there(cluster, one)
        with pytest.raises(lightwork.ClusterError, match="others use it as well"):
            cluster.set_node_cpus(one, 1)
        assert {node.name: node.slots for node in cluster.nodes}[one] == 3
    with cluster_of(lab, where, exclusive=True) as cluster:
        there(cluster, one)
        assert cluster.set_node_cpus(one, 1) == 1
    with cluster_of(lab, where) as cluster:
        there(cluster, one)
        wait_until(lambda: cluster.status().nodes[0].slots == 3, "others have its slots again")


def test_cooperating_programs_may(lab: SharedLab) -> None:
    lab.begin("--cooperative")
    lab.node("one", slots=3)
    one = lab.name("one")
    with cluster_of(lab, where) as cluster, cluster_of(lab, where) as other:
        there(cluster, one)
        assert cluster.set_node_cpus(one, -1) == 2
        assert other.status().nodes[0].slots == 2
        assert other.set_node_cpus(one, 100) == 3


class Half(lightwork.NodeAllocate):
    """One slot of each node."""

    def allocate(self, cluster: Any, ip_addr: str, name: str, cpus: int, avail_info: Any, platform: str) -> int:
        self.setup_args = (cpus,)
        return 0 if name.startswith("two") else 1


def test_the_user_decides_how_much_is_for_this_program(lab: SharedLab) -> None:
    lab.begin()
    lab.node("one", slots=3)
    lab.node("two", slots=3)
    one = lab.name("one")
    given: dict[str, Any] = {"nodes": [Half("*")], "setup": remember, "setup_args": (0,)}
    with cluster_of(lab, recall, **given) as cluster, cluster_of(lab, sleep) as other:
        there(cluster, one)
        assert cluster.submit().get(30) == 3, "setup_args are those that allocate() has set"
        began = time.monotonic()
        jobs = [cluster.options(computation=sleep).submit(0.3) for _ in range(4)]
        beside = [other.submit(0.4) for _ in range(5)]
        assert nodes_of(jobs) == {one}
        assert time.monotonic() - began >= 4 * 0.3 - 0.05, "one after another"
        assert nodes_of(beside) == {one, lab.name("two")}
        assert {node.slots for node in other.status().nodes} == {3}, "the other one may use them all"
        spans = sorted((job.start_time or 0.0, job.end_time or 0.0) for job in jobs)
        assert all(end <= start + 0.2 for (_, end), (start, _) in itertools.pairwise(spans))
