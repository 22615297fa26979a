"""`JobCluster(recover=...)`: program, scheduler or node die and are back, or Ctrl-C is pressed: what ended stays so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lightwork
from tests.e2e.helpers import LIMIT_S, alive, marked, nothing_left, wait_until
from tests.support.nodes import Start
from tests.support.restartable import Story


@pytest.fixture
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Sessions of these tests are not among those of the user who runs them."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    yield tmp_path / "state"
    for pid in marked(f"XDG_STATE_HOME={tmp_path / 'state'}"):  # of a test that failed: sessions outlive programs
        os.kill(pid, signal.SIGKILL)


def test_killed_three_times_over_listed_nodes(own_state: Path, tmp_path: Path, start: Start) -> None:
    nodes = [start("n1").address, start("n2").address]
    story = Story(tmp_path, "JobCluster", {"nodes": nodes})
    story.tell(_start)
    story.judge()


def test_killed_three_times_on_this_machine(own_state: Path, tmp_path: Path) -> None:
    with nothing_left({}):
        story = Story(tmp_path, "JobCluster", {"slots": 2}, jobs=2_000)
        story.tell(_start)
        story.judge()


def _start(command: list[str]) -> subprocess.Popen[Any]:
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


PROGRAM = """
    import sys, time
    import lightwork

    def slow(directory, n):
        import os, time
        with open(f"{directory}/begun", "a") as file:
            file.write(f"{n}\\n")
        time.sleep(0.1 if n < 10 else 3.0)
        return n

    if __name__ == "__main__":
        with lightwork.JobCluster(slow, slots=2, recover="mine") as cluster:
            print("recovered", len(cluster.recovered), flush=True)
            jobs = [cluster.options(key=n).submit(sys.argv[1], n) for n in range(14)]
            print("pids", *cluster.status().pids.values(), flush=True)
            for job in jobs:
                print("got", job(), int(job.redelivered), job.attempts, flush=True)
        print("closed", flush=True)
"""


class Run:
    """One life of the program above."""

    def __init__(self, directory: Path) -> None:
        program = directory / "program.py"
        program.write_text(textwrap.dedent(PROGRAM).replace("key=n", "key=str(n)"))
        self._files = [directory / f"{os.urandom(4).hex()}.{name}" for name in ("out", "err")]
        with open(self._files[0], "w") as out, open(self._files[1], "w") as err:
            command = [sys.executable, str(program), str(directory)]
            self.process = subprocess.Popen(command, stdout=out, stderr=err)

    @property
    def out(self) -> list[list[str]]:
        return [line.split() for line in self._files[0].read_text().splitlines()]

    @property
    def err(self) -> str:
        return self._files[1].read_text()

    def got(self) -> list[list[str]]:
        return [words[1:] for words in self.out if words[0] == "got"]

    def wait_for(self, word: str, number: int = 1) -> None:
        def there() -> bool:
            assert self.process.poll() in (None, 0), self.err
            return sum(words[0] == word for words in self.out) >= number

        wait_until(there, f"{word}: {self.out}\n{self.err}", 2 * LIMIT_S)

    def end(self) -> None:
        assert self.process.wait(4 * LIMIT_S) == 0, self.err


def begun(directory: Path) -> list[int]:
    return sorted(int(line) for line in (directory / "begun").read_text().split())


def test_its_scheduler_is_killed(own_state: Path, tmp_path: Path) -> None:
    """The client starts it again; what runs on the node goes on."""
    with nothing_left({}):
        run = Run(tmp_path)
        run.wait_for("got", 10)
        (host,) = [place.pid for place in _schedulers()]
        os.kill(host, signal.SIGKILL)
        run.end()
        assert run.got() == [[str(n), "0", "1"] for n in range(14)]
        assert begun(tmp_path) == list(range(14))


def _schedulers() -> list[Any]:
    from lightwork.config import places

    return [place for place in places.find() if place.session == "mine"]


def test_its_node_is_killed(own_state: Path, tmp_path: Path) -> None:
    """It is started again at once; what ran there begins again, what had ended does not."""
    with nothing_left({}):
        run = Run(tmp_path)
        run.wait_for("got", 10)
        wait_until(lambda: 11 in begun(tmp_path), "both slots are busy with long jobs")
        (node,) = [place.pid for place in _nodes(own_state)]
        os.kill(node, signal.SIGKILL)
        run.end()
        assert [n for n, *_ in run.got()] == list(map(str, range(14)))
        again = [n for n in set(begun(tmp_path)) if begun(tmp_path).count(n) > 1]
        assert sorted(again) == [10, 11]


def _nodes(state: Path) -> list[Any]:
    from lightwork.config import places

    found = [places.read(path) for path in state.rglob("node.json")]
    return [place for place in found if place is not None and alive(place.pid)]


def test_ctrl_c_detaches(own_state: Path, tmp_path: Path) -> None:
    with nothing_left({}) as mark:
        first = Run(tmp_path)
        first.wait_for("got", 10)
        first.process.send_signal(signal.SIGINT)
        assert first.process.wait(LIMIT_S) != 0
        assert "detached from session 'mine': 4 jobs not ended; run the program again" in first.err, (
            f"how to come back is told: {first.err}"
        )
        assert marked(mark), "its jobs go on"
        time.sleep(0.5)
        second = Run(tmp_path)
        second.end()
        assert ["recovered", "14"] in second.out
        assert [n for n, *_ in second.got()] == list(map(str, range(14)))
        assert all(again == "1" for n, again, _ in second.got() if int(n) < 10)
        assert begun(tmp_path) == list(range(14))


def test_a_second_program_waits_for_the_first(own_state: Path, tmp_path: Path) -> None:
    with nothing_left({}):
        first = Run(tmp_path)
        first.wait_for("got", 10)
        second = Run(tmp_path)
        wait_until(lambda: "session mine is in use" in second.err, "the second is told", LIMIT_S)
        first.end()
        second.end()
        assert begun(tmp_path).count(0) == 2, "the session of the first was closed: nothing is known any more"


def test_jobs_go_on_while_nobody_is_there(own_state: Path, tmp_path: Path) -> None:
    """All of them end; then the next life is told everything at once."""
    with nothing_left({}):
        first = Run(tmp_path)
        first.wait_for("got")
        first.process.kill()
        first.process.wait()
        wait_until(lambda: begun(tmp_path) == list(range(14)), "all are begun", 2 * LIMIT_S)
        time.sleep(3.5)
        began = time.monotonic()
        second = Run(tmp_path)
        second.end()
        assert [n for n, *_ in second.got()] == list(map(str, range(14)))
        assert time.monotonic() - began < 3 * LIMIT_S
        assert begun(tmp_path) == list(range(14))


def test_without_recover_nothing_is_kept(own_state: Path) -> None:
    with nothing_left({}):
        with lightwork.JobCluster(abs, slots=1) as cluster:
            assert cluster.submit(-1).get(LIMIT_S) == 1
        assert not list(own_state.rglob("*.sqlite")) if own_state.exists() else True
