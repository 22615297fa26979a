"""`lightwork run --scheduler`: the same on a scheduler that somebody started, with its nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.helpers import lightwork
from tests.cli.nodes import new_name, node
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


def test_where_and_what_jobs_need(tmp_path: Path) -> None:
    with at_home(tmp_path) as home, scheduler(home, "--state", home.state) as one:
        address = one.place().address
        given = {"cwd": home.path, **home.environment()}
        wanted = ["run", "-q", "--scheduler", address, "--priority", "5", "--where", 'label.disk == "ssd"']
        with node(home.path, "--join", address, "--label", "disk=ssd", "--resource", "tape=1", name=new_name()):
            ended = lightwork(*wanted, "--resource", "tape=1", "--resource", "cpus=0.5", "echo", "there", **given)
            assert (ended.returncode, ended.stdout) == (0, b"there\n"), ended.stderr
            ended = lightwork(*wanted, "--resource", "tape=2", "echo", "there", **given)
            assert (ended.returncode, ended.stdout) == (1, b"")
            assert b"no node could ever run it: it asks for 2 tape" in ended.stderr
            assert b"--wait-for-nodes waits for one that may come" in ended.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--where", "corse > 8"], b"error: where: corse is no name\n  corse > 8\n  ^\nhint: did you mean cores?"),
        (["--resource", "gpu=many"], b"error: --resource: gpu='many' is no whole number above 0."),
        (["--resource", "gpu"], b"error: --resource gpu: not NAME=AMOUNT."),
        (["--priority", "1001"], b"1001 is not in the range"),
    ],
)
def test_what_cannot_be_meant(tmp_path: Path, words: list[str], said: bytes) -> None:
    ended = lightwork("run", *words, "true", cwd=tmp_path)
    assert ended.returncode == 2
    assert said in ended.stderr


def test_failed_jobs_are_tried_again(tmp_path: Path) -> None:
    script = f"test -e {tmp_path}/tried || {{ touch {tmp_path}/tried; exit 3; }}; echo well"
    ended = lightwork("run", "-q", "-j", "1", "--retries", "1", "-n", "local", "sh", "-c", script, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (0, b"well\n"), ended.stderr
