"""Which schedulers of this user are there: by what they wrote down, and by the directories of programs."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightwork.cli.finding import here
from lightwork.cli.watching import Found
from lightwork.config import paths, places
from lightwork.config.places import Place
from lightwork.kit.process import start_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="directories of POSIX")

GONE = 999_999_999


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="lwf") as runtime:
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        yield


def place(name: str, address: str, pid: int = 0) -> Place:
    return Place(name=name, address=address, pid=pid or os.getpid(), start=start_of(os.getpid()))


def program(pid: int, name: str = "scheduler.sock") -> str:
    directory = paths.runtime_directory() / f"{pid}-0123abcd"
    directory.mkdir()
    (directory / name).touch()
    return str(directory / name)


def test_nobody() -> None:
    assert here() == []


def test_those_that_live_each_once() -> None:
    places.write(place("lab", "unix:/a"))
    places.write(place("old", "unix:/b", GONE))
    clusters = paths.state_directory() / "clusters"
    for name, one in {"same": place("lab", "unix:/a"), "own": place("night", "unix:/c")}.items():
        (clusters / name).mkdir(parents=True)
        places.write(one, clusters / name / "place.json")
    (clusters / "empty").mkdir()
    assert here() == [Found("unix:/a", "lab"), Found("unix:/c", "night")]


def test_those_of_programs() -> None:
    mine = program(os.getpid())
    program(GONE)
    (paths.runtime_directory() / "something").mkdir()
    assert here() == [Found(f"unix:{mine}")]


def test_those_with_a_token() -> None:
    token = program(os.getpid(), "scheduler.token")
    assert here() == [Found(f"loopback:{token}")]
