"""200 jobs of very different length on four nodes of which one is ten times slower: with twins, and without.

A job's work is a child process that sleeps, and that carries the job's number: so what is left of losing twins is seen
in /proc. A job must not have a process one second after its end.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import lightwork
from benchmarks.ways import measured, median, row
from lightwork.security.secret import generate

SEED = 2
JOBS, NODES, SLOTS, TURNS = 200, 4, 8, 2
SLOWNESS = 10.0  # of one node
SHORTEST_S, TAIL, LONGEST_S = 0.2, 1.2, 4.0
PROMISED, GRACE_S = 0.6, 1.0
MARK = "BENCH_JOB"
WIDTHS = (12, 12, 14, 16, 14)


def lengths() -> list[float]:
    """Seconds that the jobs take on a node that is not slow; the same each time."""
    chance = random.Random(SEED)
    return [min(SHORTEST_S * chance.paretovariate(TAIL), LONGEST_S) for _ in range(JOBS)]


def work(number: int, seconds: float, run: str) -> int:
    """Sleeps, longer on a slow node."""
    factor = float(os.environ.get("THIS_NODE_SLOWNESS", "1"))
    env = {**os.environ, "BENCH_JOB": f"{run}-{number}"}
    subprocess.run(["sleep", str(seconds * factor)], env=env, start_new_session=True, check=True)
    return number


class Remains:
    """Looks for processes of jobs that ended a while ago."""

    def __init__(self, run: str) -> None:
        self.run = run
        self._ended: dict[str, float] = {}
        self._over = threading.Event()
        self.found: set[str] = set()
        self.longest_s = 0.0  # that one was still seen after its job's end
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def ended(self, job: lightwork.Job) -> None:
        """To be called at the end of each job."""
        self._ended[f"{self.run}-{job.id}"] = time.monotonic()

    def close(self) -> None:
        """When no process can be left any more, whatever was promised."""
        time.sleep(2 * GRACE_S)
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.05):
            seen = set(_marks())
            now = time.monotonic()
            for mark in seen & self._ended.keys():
                since_s = now - self._ended[mark]
                self.longest_s = max(self.longest_s, since_s)
                if since_s > GRACE_S:
                    self.found.add(mark)


def _marks() -> Iterator[str]:
    """The jobs that have processes."""
    for path in Path("/proc").iterdir():
        if path.name.isdecimal():
            with suppress(OSError):  # it has ended
                for line in (path / "environ").read_bytes().split(b"\0"):
                    if line.startswith(MARK.encode()):
                        yield line.decode().partition("=")[2]


@contextmanager
def nodes(directory: Path) -> Iterator[list[str]]:
    """Addresses of `lightwork node` processes, the last one slow."""
    found: list[subprocess.Popen[bytes]] = []
    logs = [directory / f"node{number}" for number in range(NODES)]
    try:
        for number, log in enumerate(logs):
            slow = {"THIS_NODE_SLOWNESS": str(SLOWNESS)} if number == NODES - 1 else {}
            command = [sys.executable, "-m", "lightwork", "node", "--listen", "127.0.0.1:0", "--slots", str(SLOTS)]
            with open(log, "wb") as file:
                env = {**os.environ, **slow}
                name = ["--name", f"bench{number}-{os.getpid()}"]
                found.append(subprocess.Popen([*command, *name], stdout=file, stderr=subprocess.STDOUT, env=env))
        while not all("listens at " in log.read_text() for log in logs):
            time.sleep(0.02)
        yield [log.read_text().split("listens at ")[1].split(": ")[0].strip() for log in logs]
    finally:
        for process in found:
            process.terminate()
        for process in found:
            process.wait(20)


def ours(reentrant: bool | None, addresses: list[str]) -> tuple[float, ...]:
    """Seconds until the last job has ended; twins, and how many of them won; how many were left, and for how long."""
    remains = Remains(f"{reentrant}-{time.monotonic_ns()}")
    with lightwork.JobCluster(work, nodes=addresses, reentrant=reentrant, callback=remains.ended) as cluster:
        while len(cluster.nodes) < NODES:
            time.sleep(0.02)
        began = time.perf_counter()
        jobs = [cluster.submit(number, seconds, remains.run) for number, seconds in enumerate(lengths())]
        if [job() for job in jobs] != list(range(JOBS)):
            raise AssertionError("a job did not return its number")
        took_s = time.perf_counter() - began
        status = cluster.status()
        remains.close()
    return took_s, status.twins_started, status.twins_won, len(remains.found), remains.longest_s


def main() -> None:
    """The table."""
    os.environ["LIGHTWORK_SECRET"] = generate()
    row("reentrant", "seconds", "twins (won)", "left after 1 s", "seen for (s)", widths=WIDTHS)
    times: dict[bool | None, list[float]] = {None: [], True: []}
    with tempfile.TemporaryDirectory() as directory, nodes(Path(directory)) as addresses:
        for _ in range(TURNS):
            for reentrant, found in times.items():
                took_s, twins, won, left, longest_s = measured("benchmarks.twins", str(reentrant), *addresses)
                found.append(took_s)
                row(str(reentrant), took_s, f"{twins:.0f} ({won:.0f})", int(left), longest_s, widths=WIDTHS)
    ratio = median(times[True]) / median(times[None])
    row("ratio", ratio, f"promised: at most {PROMISED}", widths=(12, 12, 30))


if __name__ == "__main__":
    print(*ours({"True": True, "None": None}[sys.argv[1]], sys.argv[2:]))
