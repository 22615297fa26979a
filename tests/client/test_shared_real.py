"""Programs on a real scheduler with two nodes: placement, steering nodes, versions in step, several at once."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import lightwork
from lightwork.client.allocation import NodeAllocate
from tests.cli.nodes import new_name, node
from tests.e2e.helpers import wait_until
from tests.support.schedulers import at_home, scheduler

pytestmark = pytest.mark.slow
LIMIT_S = 60.0


def double(n: int) -> int:
    return 2 * n


def triple(n: int) -> int:
    return 3 * n


def nap(seconds: float) -> float:
    import time

    time.sleep(seconds)
    return seconds


def span(seconds: float) -> tuple[float, float]:
    import time

    began = time.time()
    time.sleep(seconds)
    return began, time.time()


def remember(value: Any) -> Any:
    return value


def recall(seconds: float = 0.0) -> Any:
    import time

    time.sleep(seconds)
    return lightwork.node_value()


def gpus() -> str:
    import os

    return os.environ.get("CUDA_VISIBLE_DEVICES", "")


def read(path: str) -> str:
    with open(path) as file:
        return file.read()


class Farm(NamedTuple):
    """A scheduler, and its nodes: `plain` with a label, `rich` with two GPUs."""

    address: str
    plain: str
    rich: str

    def open(self, computation: Any = double, **options: Any) -> lightwork.SharedJobCluster:
        return lightwork.SharedJobCluster(computation, scheduler=self.address, **options)


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    path = tmp_path_factory.mktemp("farm")
    plain, rich = f"{new_name()}-plain", f"{new_name()}-rich"
    with at_home(path) as home, scheduler(home, "--state", home.state, "--resource", "licence=1") as one:
        address = one.place().address
        joining = "--join", address, "--slots", 2
        with (
            node(home.path, *joining, "--label", "disk=ssd", name=plain, **home.environment()),
            node(home.path, *joining, "--resource", "gpu=2", name=rich, **home.environment()),
        ):
            with lightwork.SharedJobCluster(double, scheduler=address) as cluster:
                assert cluster.wait_ready(2, timeout=LIMIT_S)
            yield Farm(address, plain, rich)


@pytest.fixture(autouse=True)
def nobody_s_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


# --- placement ---


def test_jobs_run_where_they_are_to(farm: Farm) -> None:
    with farm.open(where='label.disk == "ssd"') as cluster:
        jobs = [cluster.submit(n) for n in range(6)]
        assert {job() for job in jobs} == {0, 2, 4, 6, 8, 10}
        assert {job.node for job in jobs} == {farm.plain}
        others = [cluster.options(where="gpu >= 2").submit(n) for n in range(6)]
        assert [job() for job in others] == [0, 2, 4, 6, 8, 10]
        assert {job.node for job in others} == {farm.rich}
        assert list(cluster.options(where=f'not name == "{farm.rich}"').map([1, 2])) == [2, 4]


def test_what_there_is_of_a_resource_is_not_given_twice(farm: Farm) -> None:
    with farm.open(span, resources={"licence": 1}) as cluster:
        spans = sorted(job.get(LIMIT_S) for job in [cluster.submit(0.1) for _ in range(4)])
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
        shown = cluster.options(computation=gpus, resources={"gpu": 1}).submit()
        assert shown.get(LIMIT_S) in ("0", "1")
        assert shown.node == farm.rich


def test_a_job_that_no_node_can_ever_run(farm: Farm) -> None:
    with farm.open() as cluster:
        asked: list[dict[str, Any]]
        asked = [{"resources": {"gpu": 3}}, {"where": 'label.disk == "tape"'}, {"resources": {"tape": 1}}]
        for options in asked:
            with pytest.raises(lightwork.CannotBePlaced, match="no node could ever run it") as caught:
                cluster.options(**options).submit(1).get(LIMIT_S)
            assert "wait_for_nodes=True" in caught.value.hint
        patient = cluster.options(resources={"gpu": 3}, wait_for_nodes=True).submit(1)
        told = "\n".join(patient.explain())
        assert farm.rich in told
        assert "3 gpu" in told
        assert not patient.finish.wait(0.5)
        assert patient.cancel()
        why = "\n".join(cluster.options(where="gpu > 5", wait_for_nodes=True).submit(1).explain())
        assert "gpu > 5 does not hold: gpu is 2" in why
        cluster.cancel(list(cluster._session.core.open.values()))


# --- steering nodes ---


def test_the_session_s_own_use_of_nodes(farm: Farm, capfd: pytest.CaptureFixture[str]) -> None:
    with farm.open(name="steered") as cluster, farm.open(nap) as other:
        assert cluster.name == "steered"
        status = cluster.status()
        assert sorted(one.name for one in status.nodes) == sorted([farm.plain, farm.rich])
        assert sorted(cluster.discover_nodes()) == sorted([farm.plain, farm.rich])
        cluster.deallocate_node(farm.plain)
        jobs = [cluster.submit(n) for n in range(8)]
        cluster.wait()
        assert {job.node for job in jobs} == {farm.rich}
        theirs = [other.options(node=farm.plain).submit(0.2) for _ in range(2)]
        assert [job.get(LIMIT_S) for job in theirs] == [0.2, 0.2], "others go on using it"
        assert cluster.allocate_node(farm.plain) == [farm.plain]
        assert cluster.submit_node(farm.plain, 4).get(LIMIT_S) == 8
        cluster.stats()
        assert farm.plain in capfd.readouterr().out


def test_slots_of_a_shared_node_are_not_one_user_s_to_change(farm: Farm) -> None:
    with farm.open() as cluster:
        with pytest.raises(lightwork.ClusterError, match="not for one of its users to change") as caught:
            cluster.set_node_cpus(farm.plain, 1)
        assert "--cooperative" in caught.value.hint
    with farm.open(exclusive=True) as cluster:
        assert cluster.submit(1).get(LIMIT_S) == 2
        assert cluster.set_node_cpus(farm.plain, 1) == 1
        assert cluster.set_node_cpus(farm.plain, 2) == 2


def test_jobs_and_files_of_a_node(farm: Farm, tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("for one node")
    with farm.open(read) as cluster:
        cluster.send_file(tmp_path / "data.txt", farm.rich)
        assert cluster.submit_node(farm.rich, "data.txt").get(LIMIT_S) == "for one node"
        naps = [cluster.options(computation=nap, node=farm.plain).submit(5.0) for _ in range(2)]
        wait_until(lambda: {job.status for job in naps} == {lightwork.JobState.RUNNING}, "both run", LIMIT_S)
        assert sorted(job.id for job in cluster.node_jobs(farm.plain)) == [job.id for job in naps]
        assert sorted(job.id for job in cluster.node_jobs(farm.plain, from_node=True)) == [job.id for job in naps]
        assert [job.get(LIMIT_S) for job in naps] == [5.0, 5.0]


def test_setup_again_for_this_session_alone(farm: Farm) -> None:
    given: dict[str, Any] = {"setup": remember, "setup_args": ("first",)}
    with farm.open(recall, **given) as cluster, farm.open(recall, **given) as other:
        assert cluster.submit_node(farm.rich).get(LIMIT_S) == "first"
        cluster.resetup_node(farm.rich, setup_args=("second",))
        assert cluster.submit_node(farm.rich).get(LIMIT_S) == "second"
        assert cluster.submit_node(farm.plain).get(LIMIT_S) == "first"
        assert other.submit_node(farm.rich).get(LIMIT_S) == "first"


def test_a_node_is_drained_for_all(farm: Farm, capfd: pytest.CaptureFixture[str]) -> None:
    with farm.open(nap) as cluster, farm.open() as other:
        running = cluster.options(node=farm.plain).submit(5.0)
        wait_until(lambda: running.status is lightwork.JobState.RUNNING, "it runs", LIMIT_S)
        assert cluster.drain(farm.plain, wait=True, timeout=LIMIT_S) == [farm.plain]
        assert running.finish.is_set()
        (host,) = [one for one in other.hosts() if one.name == farm.plain]
        assert host.state.startswith("drained by")
        jobs = [other.submit(n) for n in range(8)]
        other.wait()
        assert {job.node for job in jobs} == {farm.rich}
        waits = other.options(node=farm.plain).submit(1)
        assert "drained" in "\n".join(waits.explain())
        assert other.resume(farm.plain) == [farm.plain]
        assert waits.get(LIMIT_S) == 2
        assert "is drained by" in capfd.readouterr().err


def test_groups_come_and_go_while_jobs_wait(farm: Farm) -> None:
    with farm.open(wait_for_nodes=True) as cluster:
        job = cluster.options(where='group == "night"').submit(1)
        assert 'group == "night" does not hold' in "\n".join(job.explain())
        assert cluster.group_hosts(farm.rich, "night") == [farm.rich]
        assert job.get(LIMIT_S) == 2
        assert job.node == farm.rich
        assert cluster.ungroup_hosts(farm.rich, "night") == [farm.rich]
        with pytest.raises(lightwork.CannotBePlaced):
            cluster.options(where='group == "night"', wait_for_nodes=False).submit(1).get(LIMIT_S)


class OnlyOne(NodeAllocate):
    """One slot of nodes whose names end so; none of others."""

    def allocate(self, cluster: Any, ip_addr: str, name: str, cpus: int, avail_info: Any, platform: str) -> int:
        return 1 if name.endswith("-rich") else 0


def test_node_allocate_limits_the_session_s_part(farm: Farm) -> None:
    with farm.open(span, nodes=[OnlyOne("*")]) as cluster, farm.open(nap) as other:
        jobs = [cluster.submit(0.1) for _ in range(4)]
        theirs = [other.options(node=farm.plain).submit(0.05) for _ in range(2)]
        spans = sorted(job.get(LIMIT_S) for job in jobs)
        assert {job.node for job in jobs} == {farm.rich}
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans)), "one at a time"
        assert [job.get(LIMIT_S) for job in theirs] == [0.05, 0.05]


def test_nodes_means_these_and_no_others(farm: Farm) -> None:
    with farm.open(nodes=["*-plain"]) as cluster:
        jobs = [cluster.submit(n) for n in range(8)]
        assert [job.get(LIMIT_S) for job in jobs] == [2 * n for n in range(8)]
        assert {job.node for job in jobs} == {farm.plain}
        cluster.allocate_node("*-rich")
        assert cluster.options(where="gpu >= 1").submit(1).get(LIMIT_S) == 2


def test_a_closed_node_is_still_there_for_others(farm: Farm) -> None:
    with farm.open() as cluster:
        cluster.close_node(farm.plain)
        with farm.open() as other:
            assert other.submit_node(farm.plain, 1).get(LIMIT_S) == 2
        jobs = [cluster.submit(n) for n in range(8)]
        cluster.wait()
        assert {job.node for job in jobs} == {farm.rich}


# --- versions in step ---


def test_later_jobs_run_the_new_version(farm: Farm) -> None:
    with farm.open(recall, setup=remember, setup_args=("one",)) as cluster:
        before = [cluster.submit(0.3) for _ in range(6)]
        assert cluster.update(setup_args=("two",)) == 1
        after = [cluster.submit() for _ in range(12)]
        assert [job.get(LIMIT_S) for job in after] == ["two"] * 12
        assert [job.get(LIMIT_S) for job in before] == ["one"] * 6
        assert cluster.update(double, depends=()) == 2
        assert sorted(cluster.wait_ready(timeout=LIMIT_S)) == sorted([farm.plain, farm.rich])
        assert {cluster.submit_node(name, 4).get(LIMIT_S) for name in (farm.plain, farm.rich)} == {8}


def fails() -> None:
    raise ValueError("no data here")


def test_a_barrier_that_cannot_be_reached_says_so(farm: Farm, capfd: pytest.CaptureFixture[str]) -> None:
    with farm.open(recall, setup=fails) as cluster:
        with pytest.raises(lightwork.ClusterError, match="recall"):
            cluster.wait_ready(timeout=LIMIT_S)
        with pytest.raises(lightwork.SetupFailed):
            cluster.submit().get(LIMIT_S)
    assert "no data here" in capfd.readouterr().err


# --- several at once ---


def test_several_clusters_at_once_in_one_program(farm: Farm) -> None:
    """Shared and private ones, each in threads of its own, with callbacks; nobody gets another's results."""
    functions = [double, triple, double, triple]
    found: list[list[int]] = [[] for _ in functions]
    wrong: list[BaseException] = []

    def work(index: int, function: Any) -> None:
        try:
            ended: list[Any] = []
            given = {"callback": ended.append}
            private = lightwork.JobCluster(function, slots=1, nodes="local", **given)  # type: ignore[arg-type]
            cluster = farm.open(function, **given) if index < 3 else private
            with private, cluster:
                jobs = [cluster.submit(n) for n in range(60)]
                mine = [private.submit(n) for n in range(10)]
                results = [job.get(LIMIT_S) for job in jobs]
                assert [job.get(LIMIT_S) for job in mine] == [function(n) for n in range(10)]
                assert cluster.wait(LIMIT_S)
                assert private.wait(LIMIT_S)
            assert len(ended) == 70
            found[index] = results
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=item) for item in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    assert wrong == []
    assert found == [[function(n) for n in range(60)] for function in functions]


def test_one_cluster_in_many_threads(farm: Farm) -> None:
    found: dict[int, list[int]] = {}
    with farm.open() as cluster:

        def work(first: int) -> None:
            jobs = [cluster.options(priority=first % 3).submit(n) for n in range(first, first + 20)]
            found[first] = [job.get(LIMIT_S) for job in jobs]

        threads = [threading.Thread(target=work, args=(first,)) for first in range(0, 120, 20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT_S)
    assert found == {first: [2 * n for n in range(first, first + 20)] for first in range(0, 120, 20)}


def test_an_exclusive_program_runs_alone_and_the_others_hear_of_it(farm: Farm) -> None:
    with farm.open(span) as first, farm.open(span) as third:
        early = [first.submit(0.3) for _ in range(6)]
        early[-1].explain()  # now all are on disk
        with farm.open(span, exclusive=True) as alone:
            alones = [alone.submit(0.3) for _ in range(6)]
            late = [third.submit(0.01) for _ in range(4)]
            told = "\n".join(late[0].explain())
            assert "wants all nodes for itself" in told
            spans = [job.get(LIMIT_S) for job in alones]
        ends = [job.get(LIMIT_S) for job in early]
        begins = [job.get(LIMIT_S) for job in late]
        assert max(end for _, end in ends) <= min(begin for begin, _ in spans)
        assert max(end for _, end in spans) <= min(begin for begin, _ in begins)


def test_a_heavier_program_gets_more(farm: Farm) -> None:
    with farm.open(nap, weight=3) as heavy, farm.open(nap, weight=1) as light:
        for one in (heavy, light):
            one.submit(0.05).get(LIMIT_S)  # now it is known how long they take, whatever ran here before
        pairs: list[tuple[Any, Any]] = [(heavy.submit(0.05), light.submit(0.05)) for _ in range(60)]
        for job in itertools.chain(*pairs):
            job.get(LIMIT_S)
        last = max(job.end_time for job, _ in pairs)
        done = sum(job.end_time <= last for _, job in pairs)
        assert 12 <= done <= 30, f"about 20 of 60, and it was {done}"


def test_the_more_urgent_goes_first(farm: Farm) -> None:
    with farm.open(span) as cluster:
        jobs = [cluster.submit(0.3) for _ in range(24)]
        jobs[0].get(LIMIT_S)
        urgent = cluster.options(priority=5).submit(0.0)
        began, _ = urgent.get(LIMIT_S)
        later = sum(job.get(LIMIT_S)[0] > began for job in jobs)
        assert later >= 12


def test_a_scheduler_that_is_stopped_and_started_again(tmp_path: Path) -> None:
    """What was said about nodes and versions holds, and no job is lost."""
    plain, rich = f"{new_name()}-plain", f"{new_name()}-rich"
    with at_home(tmp_path) as home, scheduler(home, "--state", home.state) as one:
        address = one.place().address
        joining = "--join", address, "--slots", 2
        given: dict[str, Any] = {"setup": remember, "setup_args": ("one",)}
        with (
            node(home.path, *joining, name=plain, **home.environment()),
            node(home.path, *joining, name=rich, **home.environment()),
            lightwork.SharedJobCluster(recall, scheduler=address, nodes=[OnlyOne("*")], weight=2, **given) as cluster,
            lightwork.SharedJobCluster(recall, scheduler=address, **given) as other,
        ):
            assert sorted(other.wait_ready(2, timeout=LIMIT_S)) == sorted([plain, rich])
            before = [other.options(node=plain).submit(0.05) for _ in range(20)]
            assert cluster.update(setup_args=("two",)) == other.update(setup_args=("two",)) == 1
            mine = [cluster.submit(0.05) for _ in range(12)]
            assert other.group_hosts(plain, "night") == [plain]
            mine[0].get(LIMIT_S)
            assert one.stop() == 0
            with scheduler(home, "--state", home.state):
                assert [job.get(LIMIT_S) for job in before] == ["one"] * 20
                assert [job.get(LIMIT_S) for job in mine] == ["two"] * 12
                assert {job.node for job in mine} == {rich}
                assert other.options(where='group == "night"').submit().get(LIMIT_S) == "two"
                assert cluster.update(setup_args=("three",)) == 2
                assert cluster.submit().get(LIMIT_S) == "three"
                assert cluster.wait_ready(timeout=LIMIT_S) == [rich]
                cluster.close()
                other.close()
