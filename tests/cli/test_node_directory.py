"""`lightwork node --directory`: all that a node keeps is where its owner wants it, and nobody else gets at it."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lightwork.config import paths
from lightwork.security.secret import generate
from tests.cli.helpers import lightwork
from tests.cli.nodes import Node, new_name, node
from tests.node.scheduler_double import arguments, function
from tests.node.station_double import RemoteScheduler

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="processes and modes of POSIX")]


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory whose path leaves room for a socket's."""
    path = Path(tempfile.mkdtemp(prefix="lwn", dir="/tmp"))
    yield path
    shutil.rmtree(path)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def called(tmp_path: Path, *given: object, secret: str = "") -> tuple[int, str]:
    """`lightwork node`, to its end: the exit status, and what it said."""
    done = lightwork("node", *given, cwd=tmp_path, HOME=str(tmp_path), LIGHTWORK_SECRET=secret)
    said = (done.stdout + done.stderr).decode()
    return done.returncode, re.sub(r"warning: jobs of this node run as root.*\nhint: .*\n", "", said)


def leave(text: str) -> str:
    with open("here", "w") as file:
        file.write(text)
    return os.getcwd()


def work(one: Node, leave_by_goodbye: bool = True) -> str:
    """Where a job of this node is at work; it leaves a file there."""

    async def story() -> str:
        scheduler = RemoteScheduler()
        await scheduler.dial(one.address())
        computation = function(leave)
        scheduler.prepare(computation)
        [token] = scheduler.assign(computation, [arguments("x")])
        [end] = await scheduler.all_ended([token])
        if leave_by_goodbye:
            scheduler.leave()
        return str(end.value)

    return asyncio.run(story())


def test_all_that_it_keeps_is_there(tmp_path: Path, short: Path) -> None:
    base = short / "new"
    with node(tmp_path, "--directory", base) as one:
        address = one.address()
        home = base / f"lightwork-{paths.user_tag()}" / one.name
        assert address == f"unix:{home}/run/node.sock"
        assert [mode(path) for path in (base, home.parent, home, home / "run")] == [0o700] * 4
        assert work(one).startswith(f"{home}/")
        assert {"node.lock", "agent.lock", "identity", "process", "blobs", "spool"} <= {
            path.name for path in home.iterdir()
        }
        assert list(one.directory.iterdir()) == [], "and nothing is where it usually is"

        single = called(tmp_path, "--name", one.name, "--directory", base, "--single")
        assert single == (1, f"error: node {one.name} runs here already as process {one.process.pid}\n")
        with node(tmp_path / "b", "--directory", base, name=one.name, LIGHTWORK_SECRET=generate()) as two:
            two.says(f"node {one.name}-2, ")
        with node(tmp_path / "c", "--listen", "127.0.0.1:0", name=one.name, LIGHTWORK_SECRET=generate()) as three:
            three.says(f"node {one.name}, ")  # in the usual place it is alone

        cleaned = called(tmp_path, "--name", one.name, "--directory", base, "--serve", "0", "--clean")
        assert cleaned[0] == 1
        assert f"node {one.name} runs: it has left nothing yet" in cleaned[1]
        assert "no node" in called(tmp_path, "--name", one.name, "--stop")[1]
        stopped = called(tmp_path, "--name", one.name, "--stop", "--directory", base)
        assert stopped == (0, f"node {one.name} is stopped\n")
        assert one.ended() == 0
        assert not (home / "run" / "node.sock").exists()


def test_what_a_killed_one_left_is_removed(tmp_path: Path, short: Path) -> None:
    config = tmp_path / "lab.toml"
    (short / "keep").mkdir()
    config.write_text(f'[node]\ndirectory = "{os.path.relpath(short, tmp_path)}/keep"\n')
    with node(tmp_path, "--config", config) as one:
        place = Path(work(one, leave_by_goodbye=False))
        assert (place / "here").read_text() == "x"
        assert place.is_relative_to(short / "keep")
        family = one.family()
        one.process.kill()
        one.process.wait()
        clean = ("--name", one.name, "--config", config, "--serve", "0", "--clean")
        code, said = called(tmp_path, *clean)
        assert code == 0
        assert "of files of an earlier node removed" in said
        assert not place.exists()
        psutil.wait_procs(family, 10)
        assert called(tmp_path, *clean) == (0, "no files of an earlier node\n")


def test_detached_and_as_a_service_it_is_named_in_full(tmp_path: Path, short: Path) -> None:
    name = new_name()
    (tmp_path / "near").symlink_to(short)
    given = ("--name", name, "--directory", "near", "--listen", "127.0.0.1:0")
    code, unit = called(tmp_path, *given, "--service", secret=generate())
    assert code == 0
    assert f" --directory {tmp_path}/near" in unit.splitlines()[6], unit
    code, said = called(tmp_path, *given, "--detach", secret=generate())
    assert code == 0, said
    found = re.search(r"process (\d+)\b", said)
    assert found is not None
    process = psutil.Process(int(found[1]))
    try:
        assert (short / f"lightwork-{paths.user_tag()}" / name / "identity").exists()
    finally:
        code, said = called(tmp_path, "--name", name, "--directory", "near", "--stop", "--now")
        psutil.wait_procs([process], 15)
    assert (code, said) == (0, f"node {name} is stopped\n")
    assert not process.is_running()


def refused(tmp_path: Path, base: Path, *more: str) -> str:
    """What it says; it has left nothing."""
    before = sorted(base.rglob("*")) if base.is_dir() else None
    code, said = called(tmp_path, "--name", new_name(), "--directory", base, *more)
    assert code == 2, said
    assert said.startswith("error: --directory ")
    assert "\nhint: " in said
    assert (sorted(base.rglob("*")) if base.is_dir() else None) == before
    return said


def test_what_is_no_place_for_it(tmp_path: Path, short: Path) -> None:
    (short / "file").touch()
    assert "is no directory" in refused(tmp_path, short / "file")
    assert "ot a directory" in refused(tmp_path, short / "file" / "below")
    assert "No such file or directory" in refused(tmp_path, short / "missing" / "below")
    assert "No such file or directory" in refused(tmp_path, short / "missing", "--stop")
    (short / "open").mkdir()
    (short / "open").chmod(0o777)
    assert "others may write there" in refused(tmp_path, short / "open")
    (short / "open").chmod(0o1777)
    with node(tmp_path, "--directory", short / "open") as one:
        one.says("listens")
        assert mode(short / "open") == 0o1777, "it is its owner's to close"
    long = short / ("x" * 100)
    code, said = called(tmp_path, "--name", new_name(), "--directory", long)
    assert code == 2
    assert "is too long for a unix socket, by " in said
    assert "hint: name a shorter one; with a secret the node needs no such socket" in said
    with node(tmp_path, "--directory", long, "--listen", "127.0.0.1:0", LIGHTWORK_SECRET=generate()) as one:
        one.says("listens at 127.0.0.1:")


@pytest.mark.skipif(sys.platform != "win32" and os.geteuid() != 0, reason="only root can give directories away")
def test_what_is_anothers(tmp_path: Path, short: Path) -> None:
    theirs, closed = short / "theirs", short / "closed"
    theirs.mkdir()
    os.chown(theirs, 65534, 65534)
    assert "belongs to another user (number 65534)" in refused(tmp_path, theirs)
    closed.mkdir(mode=0o700)
    said = refused(tmp_path, closed, "--job-user", "nobody")
    assert "jobs of --job-user nobody could not get to their files there" in said
    below = theirs / "ours"
    below.mkdir(mode=0o711)
    said = refused(tmp_path, below, "--job-user", "nobody")
    assert f"{theirs} belongs to another user (number 65534), who could change what is there" in said
    (closed / f"lightwork-{paths.user_tag()}").mkdir()
    os.chown(closed / f"lightwork-{paths.user_tag()}", 65534, 65534)
    code, said = called(tmp_path, "--name", new_name(), "--directory", closed)
    assert code == 1
    assert "belongs to another user (number 65534)" in said
