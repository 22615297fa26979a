"""Every kind of callable, dependency and outcome once more: on a node that is another machine and has nothing of ours.

The tests of tests/e2e are run by a pytest in the client's namespace, their clusters' jobs on a node in another one,
whose working directory is empty and on whose path the project is not.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.helpers import wait_until
from tests.e2e_net.farm import Farm
from tests.payload import kinds
from tests.support.lab_host import Program, processes_in

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LIMIT_S = 300.0
AT_LEAST = 25  # tests in each half: what is not chosen by its name any more is missed
HALVES = {
    "a": ["test_kinds.py", "test_rows_programs.py", "test_nasty_jobs.py"],
    "b": ["test_rows_files.py", "test_rows_in_job.py", "test_rows_jobs.py", "test_rows_lifecycle.py"],
}
NOT_FAR = {
    "test_from_a_program or test_typed_at_a_prompt": "below, by other means",
    "relative_dest_path or test_the_seeds_constructor or test_current_job_counts": "look into the node's /tmp",
    "test_each_cluster_has_a_directory_of_its_own or its_own_cluster_s_directory or in_threads": "two clusters at once",
    "test_times_states_and_place": "knows the address of this machine",
    "wait_and_close or can_terminate or the_program_waits or a_crash or a_log_of or have_a_name or callback": "client",
    "clear_ or swallows or timeout_of_get or submit_raises or status_and_stats or cluster_status": "the client's",
    "identity or is_named_at_once or outside_a_job": "the client's, too",
    "among_many_of_several or slots_share or python] or child]": "heavy, and no different there",
}


class Node:
    """A node with all that ran on it before a test."""

    def __init__(self, farm: Farm, host: str) -> None:
        self.host = farm[host]
        self._files = farm.directory / host / "vartmp" / f"lightwork-{os.getuid()}" / host
        self.program = farm.node(host, "--slots", "2")
        self._processes = len(processes_in(self.host.namespace))

    def is_as_before(self) -> None:
        """Of all those jobs no process and no directory is left, and the node has not complained."""
        wait_until(lambda: len(processes_in(self.host.namespace)) <= self._processes, "no process is left")
        for directory in ("jobs", "spool", "workers", "computations"):
            assert list((self._files / directory).iterdir()) == []
        assert list(self.host.work.iterdir()) == []
        assert "Traceback" not in self.program.err, self.program.err


@pytest.fixture(scope="module")
def farm() -> Iterator[Farm]:
    with Farm("client", "a", "b") as farm:
        yield farm


@pytest.fixture(scope="module")
def nodes(farm: Farm) -> dict[str, Node]:
    return {host: Node(farm, host) for host in HALVES}


def python(farm: Farm, node: str, *arguments: str | Path, **env: str) -> Program:
    """A Python of the client's machine whose clusters have this node."""
    told = farm.environment(None, {"LIGHTWORK_TEST_NODES": node, "PYTHONPATH": str(ROOT), **env})
    return farm["client"].python(*arguments, env=told, cwd=ROOT)


def test_all_of_them(farm: Farm, nodes: dict[str, Node]) -> None:
    chosen = f"not apart and not portable and not ({' or '.join(NOT_FAR)})"
    running = {}
    for node, files in HALVES.items():
        options = ["-q", "-p", "tests.e2e_net.far", "-p", "no:cacheprovider", "--basetemp"]
        options += [f"{farm['client'].work}/{node}", "-k", chosen, *(f"tests/e2e/{file}" for file in files)]
        running[node] = python(farm, node, "-m", "pytest", *options)
    for node, program in running.items():
        assert program.wait(LIMIT_S) == 0, program.out[-20_000:] + program.err
        assert int(re.findall(r"(\d+) passed", program.out)[-1]) >= AT_LEAST
        nodes[node].is_as_before()


def test_kinds_of_a_program(farm: Farm, nodes: dict[str, Node]) -> None:
    """What is defined in `__main__` travels by value."""
    count = len(kinds.kinds())
    program = python(farm, "a", Path(kinds.__file__), LIGHTWORK_TEST_RUN="tests.e2e_net.far")
    assert program.wait(LIMIT_S) == 0, program.err
    assert program.out.splitlines() == [f"{count} of {count} kinds"], program.out + program.err


BARE = """
import hashlib, numpy

def look():
    import importlib.util, os, sys
    return [name for name in ("tests", "script1") if importlib.util.find_spec(name)], os.path.realpath(os.getcwd())

def double(array):
    array += array
    return array

def same(data):
    return data

if __name__ == "__main__":
    size = 50 << 20
    with lightwork.JobCluster(look, nodes=["a"]) as cluster:
        say(found=cluster.submit()())
        array, data = numpy.arange(size // 8), os.urandom(size)
        jobs = [cluster.options(computation=double).submit(array), cluster.options(computation=same).submit(data)]
        jobs.append(cluster.options(computation=same).submit(bytearray(data)))
        doubled, back, changeable = [job.get() for job in jobs]
        doubled[0] += 1
        equal = [bool((doubled[1:] == 2 * array[1:]).all()), back == data, bytes(changeable) == data]
        say(equal=equal, types=[type(value).__name__ for value in (doubled, back, changeable)])
        say(nodes=[job.node for job in jobs])
"""


def test_large_values_and_a_bare_machine(farm: Farm, nodes: dict[str, Node]) -> None:
    client = farm.client("client", BARE)
    client.wait()
    found, directory = client.get("found")
    assert found == [] and not directory.startswith((str(ROOT), os.getcwd()))
    assert client.get("equal") == [True] * 3
    assert client.get("types") == ["ndarray", "bytes", "bytearray"]
    assert client.get("nodes") == ["a"] * 3
    nodes["a"].is_as_before()


def test_typed_at_a_prompt(farm: Farm, nodes: dict[str, Node]) -> None:
    typed = (
        "import lightwork\nfactor = 6\n"
        "def helper(n):\n    return n * factor\n\n"
        "cluster = lightwork.JobCluster(lambda n: helper(n) + 1, nodes=['a'])\n"
        "print(cluster.submit(7).get(30))\n"
        "cluster.close()\n"
    )
    client = farm["client"]
    command = ["python", "-i"]
    done = client.run(command, input=typed, env=farm.environment(None, None), timeout=LIMIT_S)
    assert "43" in done.stdout, done.stdout + done.stderr
