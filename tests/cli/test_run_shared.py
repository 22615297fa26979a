"""`lightwork run --scheduler`: the same on a scheduler that somebody started, with its nodes."""

from __future__ import annotations

from pathlib import Path

from tests.cli.helpers import lightwork
from tests.cli.nodes import node
from tests.support.schedulers import at_home, scheduler

SECRET = "lw-test-0123456789"


def test_on_a_shared_scheduler(tmp_path: Path) -> None:
    with at_home(tmp_path) as home, scheduler(home, "--state", home.state) as one:
        address = one.place().address
        with node(home.path, "--join", address):
            ran = ["run", "--scheduler", address, "-q", "-a", "1", "-a", "2", "echo", "job {}"]
            ended = lightwork(*ran, cwd=home.path, **home.environment())
            assert (ended.returncode, ended.stdout) == (0, b"job 1\njob 2\n"), ended.stderr
            refused = lightwork("run", "--scheduler", address, "-j", "2", "true", cwd=home.path, **home.environment())
            assert refused.returncode == 2
            assert b"on a scheduler that others share" in refused.stderr


def test_failed_jobs_are_tried_again(tmp_path: Path) -> None:
    script = f"test -e {tmp_path}/tried || {{ touch {tmp_path}/tried; exit 3; }}; echo well"
    ended = lightwork("run", "-q", "-j", "1", "--retries", "1", "-n", "local", "sh", "-c", script, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (0, b"well\n"), ended.stderr
