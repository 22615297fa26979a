"""Computations in step on a durable scheduler: updates while jobs run, nodes that were stopped meanwhile, barriers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import lightwork
from tests.e2e.helpers import there, wait_until
from tests.support.shared_lab import SharedLab, cluster_of, shared_lab

pytestmark = pytest.mark.slow


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SharedLab]:
    with shared_lab(tmp_path, monkeypatch) as made:
        made.begin()
        yield made


def prepare(directory: str, version: int, fails_on: str = "nowhere") -> int:
    """`setup`: when this version was there, by node; its directory has the node's name in its path."""
    import os
    import pathlib
    import time

    node = next(part for part in pathlib.Path.cwd().parts if part.startswith(("one-", "two-")))
    if node.startswith(fails_on):
        raise OSError(f"no data set {version} here")
    time.sleep(0.3)
    line = f"{version} {time.time()}\n".encode()
    made = os.open(pathlib.Path(directory, node), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(made, line)
    os.close(made)
    return version


def prepared(directory: Path, node: str, version: int) -> float:
    """When the node had it."""
    lines = [line.split() for line in (directory / node).read_text().splitlines()]
    return next(float(moment) for number, moment in lines if int(number) == version)


def first(seconds: float = 0.0) -> tuple[int, object]:
    import time

    time.sleep(seconds)
    return 1, lightwork.node_value()


def second(seconds: float = 0.0) -> tuple[int, object]:
    import time

    time.sleep(seconds)
    return 2, lightwork.node_value()


def beside() -> tuple[str, float]:
    import time

    began = time.time()
    time.sleep(0.02)
    return lightwork.current_job().node, began


def test_an_update_while_jobs_run(lab: SharedLab, tmp_path: Path) -> None:
    lab.node("one")
    lab.node("two")
    one, two = lab.name("one"), lab.name("two")
    with cluster_of(lab, first, setup=prepare, setup_args=(str(tmp_path), 1)) as cluster:
        there(cluster, one, two)
        assert set(cluster.wait_ready()) == {one, two}, "without a job"
        assert prepared(tmp_path, one, 1) < time.time()
        before = [cluster.submit(0.5) for _ in range(12)]
        assert cluster.update(second, setup_args=(str(tmp_path), 2)) == 1
        after = [cluster.submit(0.0) for _ in range(12)]
        assert set(cluster.wait_ready()) == {one, two}
        assert [job.get(30) for job in before] == [(1, 1)] * 12
        assert [job.get(30) for job in after] == [(2, 2)] * 12
        assert cluster.update(first, setup_args=(str(tmp_path), 1)) == 2
        assert cluster.submit().get(30) == (1, 1)


@pytest.mark.parametrize("stopped", ["a moment", "past its lease", "over a restart"])
def test_a_node_that_was_stopped_gets_it_before_anything_else(lab: SharedLab, tmp_path: Path, stopped: str) -> None:
    lab.node("one")
    frozen = lab.node("two")
    one, two = lab.name("one"), lab.name("two")
    with cluster_of(lab, first, setup=prepare, setup_args=(str(tmp_path), 1), recover=f"steps-{lab.mark}") as cluster:
        there(cluster, one, two)
        assert set(cluster.wait_ready()) == {one, two}
        other = cluster.options(computation=beside)
        assert {other.submit().get(30)[0] for _ in range(20)} <= {one, two}
        frozen.freeze(alone=stopped == "a moment")
        try:
            assert cluster.update(second, setup_args=(str(tmp_path), 2)) == 1
            assert cluster.wait_ready() == [one], "nobody waits for a node that cannot be heard"
            jobs = [other.submit() for _ in range(20)]
            assert {job.get(30)[0] for job in jobs} == {one}
            assert "behind: it has not prepared second" in {host.name: host.text for host in cluster.hosts()}[two]
            if stopped == "over a restart":
                lab.kill()
                lab.begin()
            if stopped != "a moment":
                time.sleep(4.5)
            assert not _has(tmp_path, two, 2)
        finally:
            frozen.thaw()
        assert frozen.process.poll() is None, frozen.said
        seen: dict[str, list[float]] = {one: [], two: []}

        def both() -> bool:
            for job in [other.submit() for _ in range(8)]:
                node, began = job.get(30)
                seen[node].append(began)
            return bool(seen[two])

        wait_until(both, "it runs jobs again", 30)
        assert min(seen[two]) >= prepared(tmp_path, two, 2), "it was synchronised first"
        assert set(cluster.wait_ready()) == {one, two}
        assert {cluster.options(node=node).submit().get(30) for node in (one, two)} == {(2, 2)}


def _has(directory: Path, node: str, version: int) -> bool:
    try:
        return prepared(directory, node, version) > 0
    except StopIteration:
        return False


def test_where_it_fails_it_is_not_used_and_shown(lab: SharedLab, tmp_path: Path) -> None:
    lab.node("one")
    lab.node("two")
    one, two = lab.name("one"), lab.name("two")
    with cluster_of(lab, first, setup=prepare, setup_args=(str(tmp_path), 1)) as cluster:
        there(cluster, one, two)
        assert set(cluster.wait_ready()) == {one, two}
        cluster.update(second, setup_args=(str(tmp_path), 2, "two"))
        assert cluster.wait_ready(nodes=1) == [one]
        with pytest.raises(lightwork.ClusterError, match=f"second could not be prepared on node {two}; {one} has it"):
            cluster.wait_ready()
        jobs = [cluster.submit() for _ in range(10)]
        assert {(job.get(30), job.node)[1] for job in jobs} == {one}
        told = {host.name: host.text for host in cluster.hosts()}
        assert told[one] == ""
        assert "set aside for second of session" in told[two]
        with cluster_of(lab, beside) as other:
            jobs = [other.options(node=two).submit() for _ in range(3)]
            assert {job.get(30)[0] for job in jobs} == {two}, "for that computation alone"
