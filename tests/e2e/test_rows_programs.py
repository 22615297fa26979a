"""Programs and modules as computations: where they run, what they see, how they end (rows Y3, F-I10, R8, R18, R19)."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

import lightwork
from lightwork import JobState
from tests.e2e.helpers import LIMIT_S, wait_until

OWN = "lightwork_rows_program"


def script(path: Path, text: str, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_seeds_constructor_with_tmp_as_destination(hosted: str, tmp_path: Path) -> None:
    """JobCluster('/some/program', transfer_dest='/tmp'): there, and only our own file goes away again."""
    program = script(tmp_path / f"program-{os.urandom(6).hex()}", "#!/bin/sh\necho $0 in $(pwd) with $1\n")
    theirs = Path("/tmp") / f"theirs-{os.urandom(6).hex()}"
    theirs.write_text("stays")
    try:
        with lightwork.JobCluster(str(program), transfer_dest="/tmp", slots=2) as cluster:
            for n, job in enumerate([cluster.submit(str(n)) for n in range(4)]):
                assert job.get(LIMIT_S) == 0
                assert job.stdout == f"/tmp/{program.name} in /tmp with {n}\n"
            assert stat.S_IMODE(os.stat(f"/tmp/{program.name}").st_mode) & 0o100
        assert not os.path.exists(f"/tmp/{program.name}")
        assert theirs.read_text() == "stays" and program.exists()
    finally:
        theirs.unlink()


def test_exit_code_is_the_result_and_not_zero_is_a_failure(hosted: str) -> None:
    with lightwork.JobCluster("sh", slots=1) as cluster:
        good, bad = cluster.submit("-c", "exit 0"), cluster.submit("-c", "echo why >&2; exit 3")
        assert (good(), good.status, good.get()) == (0, JobState.FINISHED, 0)
        assert (bad(), bad.result, bad.status) == (3, 3, JobState.FAILED)
        with pytest.raises(lightwork.ProgramError, match="exited with code 3") as caught:
            bad.get()
        assert (caught.value.exit_code, caught.value.stderr) == (3, "why\n")
        killed = cluster.submit("-c", "kill -SEGV $$")
        wait_until(killed.finish.is_set, "the killed program ends")
        assert killed.status is not JobState.FINISHED and "SIGSEGV" in str(killed.exception)


def test_environment_directory_and_path(way: str, tmp_path: Path) -> None:
    script(tmp_path / "tools" / OWN, "#!/bin/sh\necho own tool\n")
    show = 'pwd; echo "$PATH"; ' + OWN + '; echo "$COLOUR $HOME"; cat'
    depends = [tmp_path / "tools" / OWN]
    with lightwork.JobCluster("sh", depends=depends, slots=1) as cluster:
        colourful = cluster.options(env={"COLOUR": "red", "HOME": "/elsewhere"})
        job = colourful.submit("-c", show)
        assert job.get(LIMIT_S) == 0, job.stderr
        directory, path, own, colour = job.stdout.splitlines()
        assert path.split(os.pathsep)[0] == directory != os.getcwd()
        assert (own, colour) == ("own tool", "red /elsewhere")
        plain = cluster.options(stdin="from the user").submit("-c", 'echo "${COLOUR-none}"; cat')
        assert plain.get(LIMIT_S) == 0 and plain.stdout == "none\nfrom the user"


def test_arguments_arrive_as_they_are(hosted: str) -> None:
    words = ["two words", "", "$HOME", "'quoted\"", "*", "ü", "-x", "line\nbreak"]
    with lightwork.JobCluster("printf", slots=1) as cluster:
        job = cluster.submit("[%s]", *words)
        assert job.get(LIMIT_S) == 0 and job.stdout == "".join(f"[{word}]" for word in words)


def test_a_python_file_needs_no_execute_bit_and_imports_what_lies_beside_it(hosted: str, tmp_path: Path) -> None:
    script(tmp_path / "beside.py", "WORD = 'imported'\n", 0o644)
    program = script(tmp_path / "main.py", "import sys, beside; print(beside.WORD, sys.argv[1:])\n", 0o644)
    with lightwork.JobCluster(program, depends=[tmp_path / "beside.py"], slots=1) as cluster:
        job = cluster.submit("a", "b")
        assert job.get(LIMIT_S) == 0, job.stderr
        assert job.stdout == "imported ['a', 'b']\n"


def test_every_program_runs_in_its_own_cluster_s_directory(hosted: str) -> None:
    """Two clusters at once: not one of their programs sees the other's directory."""
    with lightwork.JobCluster("pwd", slots=2) as one, lightwork.JobCluster("pwd", slots=2) as two:
        jobs = [(cluster, cluster.submit()) for _ in range(60) for cluster in (one, two)]
        places: dict[object, set[str]] = {one: set(), two: set()}
        for cluster, job in jobs:
            assert job.get(LIMIT_S) == 0
            places[cluster].add(job.stdout)
    assert len(places[one]) == len(places[two]) == 1 and places[one] != places[two]


def test_a_program_that_is_not_there(hosted: str) -> None:
    assert shutil.which("no-such-program-anywhere") is None
    with pytest.raises(lightwork.UserError, match="no-such-program-anywhere"):
        lightwork.JobCluster("no-such-program-anywhere", slots=1)


def test_a_program_that_cannot_be_executed_fails_its_jobs(hosted: str, tmp_path: Path) -> None:
    program = script(tmp_path / "broken", "#!/no/such/interpreter\n")
    with lightwork.JobCluster(program, slots=1) as cluster:
        job = cluster.submit()
        wait_until(job.finish.is_set, "it ends")
        assert job.status is JobState.FAILED and job.exception


def test_a_module_is_run_as_python_does(hosted: str) -> None:
    import platform

    with lightwork.JobCluster(platform, slots=1) as cluster:
        job = cluster.submit("terse")
        assert job.get(LIMIT_S) == 0, job.stderr
        assert job.stdout.strip() == platform.platform(terse=True)
