"""`lightwork doctor --recover` mends a journal that a scheduler refuses, and says what that costs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.desk import Actors, Desk, desk

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals of POSIX")]


@pytest.fixture
def here() -> Iterator[Desk]:
    with desk() as one:
        yield one


def stopped_scheduler(here: Desk, jobs: int = 6) -> Path:
    """Its state directory: a session with so many jobs is on disk."""
    keeper = here.scheduler()
    actors = Actors(here.place("keeper")["address"])
    actors.submit(jobs)
    for token in actors.tokens[:2]:
        actors.end(token)
    keeper.terminate()
    assert keeper.wait(30) == 0
    actors.close()
    return here.home / "state-keeper"


def spoil(state: Path) -> None:
    """A byte of an early record is another one."""
    (path,) = (state / "journal").glob("*.sqlite")
    data = bytearray(path.read_bytes())
    data[data.rindex(b"nightly")] ^= 0xFF  # pages fill from their end
    path.write_bytes(data)


def test_a_journal_in_order_is_left_alone(here: Desk) -> None:
    state = stopped_scheduler(here)
    done = here.run("doctor", "--recover", state)
    assert done.returncode == 0, done.stderr
    assert "is in order" in done.stdout
    told = here.json("doctor", "--recover", state)
    assert (told["damaged"], told["lost_records"], told["first_bad_record"], told["put_aside"]) == (
        False,
        0,
        None,
        None,
    )
    assert told["kept_records"] >= 4


def test_a_damaged_journal_is_mended(here: Desk) -> None:
    state = stopped_scheduler(here)
    spoil(state)
    refused = here.run("scheduler", "--state", state)
    assert refused.returncode != 0
    assert "lightwork doctor --recover" in refused.stderr
    told = here.json("doctor", "--recover", state)
    assert told["damaged"]
    assert told["lost_records"] >= 1
    assert told["first_bad_record"] == told["kept_records"] + 1
    assert list(Path(told["put_aside"]).iterdir())
    here.scheduler()
    assert here.json("status")["schedulers"][0]["name"] == "keeper"


def test_people_are_told_what_is_lost(here: Desk) -> None:
    state = stopped_scheduler(here)
    spoil(state)
    done = here.run("doctor", "--recover", state)
    assert done.returncode == 0, done.stderr
    assert [line.partition(":")[0] for line in done.stdout.splitlines()[:3]] == ["damaged", "kept", "lost"]
    assert f"the damaged files are in {state / 'damaged-1'}" in done.stdout
    assert "reentrant=False" in done.stderr


def test_not_while_a_scheduler_works_there(here: Desk) -> None:
    here.scheduler()
    done = here.run("doctor", "--recover", here.home / "state-keeper")
    assert done.returncode == 1
    assert done.stderr.startswith("error: a scheduler works in ")
    assert "hint: stop it first" in done.stderr


@pytest.mark.parametrize(
    ("directory", "words"), [("nowhere", "there is no directory"), (".", "there is no journal in")]
)
def test_what_is_no_state_directory(here: Desk, directory: str, words: str) -> None:
    done = here.run("doctor", "--recover", directory)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_a_directory_must_be_named(here: Desk) -> None:
    assert here.run("doctor").returncode == 2
