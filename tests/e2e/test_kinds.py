"""Every kind of callable, argument and dependency on real clusters; what cannot travel is refused at the call."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import lightwork
from tests.e2e import clusters
from tests.e2e.helpers import nothing_left
from tests.payload import dependencies, kinds, untravellable

HERE = Path(__file__).parent.parent.parent


def test_from_a_module(way: str) -> None:
    try:
        assert kinds.failures(clusters.run, kinds.kinds()) == []
    finally:
        clusters.close()


def test_from_a_program(way: str) -> None:
    count = len(kinds.kinds())
    environment = {**os.environ, "PYTHONPATH": str(HERE), "LIGHTWORK_TEST_RUN": "tests.e2e.clusters"}
    program = [sys.executable, str(Path(kinds.__file__))]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == [f"{count} of {count} kinds"], done.stdout + done.stderr


def test_typed_at_a_prompt(hosted: str) -> None:
    typed = (
        "import lightwork\nfactor = 6\n"
        "def helper(n):\n    return n * factor\n\n"
        "cluster = lightwork.JobCluster(lambda n: helper(n) + 1, slots=1)\n"
        "print(cluster.submit(7).get(30))\n"
        "cluster.close()\n"
    )
    done = subprocess.run([sys.executable, "-i"], input=typed, capture_output=True, text=True, timeout=60, cwd="/")
    assert "43" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("per_job", [False, True], ids=["cluster", "job"])
@pytest.mark.parametrize("row", dependencies.DEPENDENCIES, ids=lambda row: row.name.replace(" ", "-"))
def test_every_dependency(row: dependencies.Dependency, per_job: bool, tmp_path: Path) -> None:
    if per_job and row.name == "init_depends":
        pytest.skip("init_depends belongs to a computation")
    depends = row.make(tmp_path)
    with (
        nothing_left({}),
        lightwork.JobCluster(row.computation, depends=() if per_job else depends, slots=1) as cluster,
    ):
        job = cluster.options(depends=depends).submit() if per_job else cluster.submit()
        assert job.get(30) == row.expected


def test_what_cannot_travel_is_refused_at_the_call(hosted: str) -> None:
    """With its sentence: what, where it is captured, and what to do instead."""
    wrong = []
    with lightwork.JobCluster(slots=1) as cluster:
        for case in untravellable.CASES:
            with untravellable.made(case) as (computation, args, kwargs):
                if computation is None:  # in options() that is: the cluster's own
                    continue
                try:
                    cluster.options(computation=computation).submit(*args, **kwargs)
                except lightwork.UserError as error:
                    if case.sentence not in str(error) or case.hint not in error.hint:
                        wrong.append(f"{case.name}: {error}")
                else:
                    wrong.append(f"{case.name}: it was taken")
    assert wrong == []
