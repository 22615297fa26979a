"""The restartable script, and who kills it: `python restartable.py OPTIONS` is run until nobody kills it any more.

Every life submits the same jobs under their keys, and writes down each result as it sees it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import lightwork

JOBS = 10_000
LIVES = 4  # the last one is not killed
LIMIT_S = 180.0


def square(oracle: str, n: int) -> int:
    """A job that tells that it was begun."""
    import os

    file = os.open(oracle, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, b"%d\n" % n)
    os.close(file)
    return n * n


class Options(NamedTuple):
    """What a life is told."""

    life: int
    jobs: int
    oracle: str
    seen: str
    make: str  # JobCluster or SharedJobCluster
    given: dict[str, Any]  # its keywords


def main() -> None:
    """One life."""
    options = Options(**json.loads(sys.argv[1]))
    seen = os.open(options.seen, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    print("begins", flush=True)
    with getattr(lightwork, options.make)(square, recover="restartable", **options.given) as cluster:
        print("open", len(cluster.recovered), flush=True)
        jobs = [cluster.options(key=f"square-{n}").submit(options.oracle, n) for n in range(options.jobs)]
        print("submitted", flush=True)
        for n, job in enumerate(jobs):
            os.write(seen, f"{options.life} {n} {job()} {int(job.redelivered)}\n".encode())
            time.sleep(0.0001)  # what the user does with it
    print("closed", flush=True)


class Story:
    """Lives one after another; killed at random points, but the last."""

    def __init__(self, directory: Path, make: str, given: Mapping[str, Any], jobs: int = JOBS) -> None:
        self.oracle, self.seen = directory / "oracle", directory / "seen"
        self.seed = int(os.environ.get("LIGHTWORK_TEST_SEED") or random.SystemRandom().randrange(1_000_000))
        self._chance = random.Random(self.seed)
        self._make, self._given, self._jobs = make, dict(given), jobs
        self.killed_at: list[str] = []

    def tell(self, start: Callable[[list[str]], subprocess.Popen[Any]]) -> None:
        """All lives; `start` runs a command line."""
        for life in range(1, LIVES + 1):
            options = Options(life, self._jobs, str(self.oracle), str(self.seen), self._make, self._given)
            process = start([sys.executable, str(Path(__file__)), json.dumps(options._asdict())])
            try:
                if life < LIVES:
                    self._kill(process, life)
                code = process.wait(LIMIT_S)
            finally:
                process.kill()
                process.wait()
            wanted = 0 if life == LIVES else -signal.SIGKILL
            assert code == wanted, f"seed {self.seed}: life {life} ended with {code}"

    def _kill(self, process: subprocess.Popen[Any], life: int) -> None:
        """At a random point: by what has begun, or by what this life has seen, or soon after it was started."""
        begun, seen, most = _lines(self.oracle), _lines_of(self.seen, life), int(0.9 * self._jobs)
        how, wanted, limit_s = seen, self._chance.randrange(most), LIMIT_S
        if self._chance.random() < 0.3:
            limit_s = self._chance.uniform(0.2, 1.0)
        elif begun() < most and self._chance.random() < 0.7:
            how, wanted = begun, self._chance.randrange(begun(), most)
        end = time.monotonic() + limit_s
        while process.poll() is None and time.monotonic() < end and how() < wanted and seen() < most:
            time.sleep(0.001)
        self.killed_at.append(f"{begun()} begun, {seen()} seen")
        process.kill()

    def judge(self) -> None:
        """Nothing is missing, nothing was done twice, what was seen twice was marked."""
        about = f"seed {self.seed}, killed at {self.killed_at}"
        begun = [int(line) for line in self.oracle.read_text().split()]
        assert sorted(set(begun)) == list(range(self._jobs)), f"{about}: some were never begun"
        assert len(begun) == self._jobs, f"{about}: {len(begun) - self._jobs} were begun again"
        lives: dict[int, dict[int, bool]] = {}
        for line in self.seen.read_text().splitlines():
            life, n, value, again = map(int, line.split())
            assert value == n * n, f"{about}: job {n} has the result {value}"
            assert n not in lives.setdefault(life, {}), f"{about}: job {n} was seen twice in life {life}"
            lives[life][n] = bool(again)
        assert len(lives[LIVES]) == self._jobs, about
        for life, seen in lives.items():
            before = {n for earlier, found in lives.items() if earlier < life for n in found}
            unmarked = [n for n, again in seen.items() if n in before and not again]
            assert not unmarked, f"{about}: seen before life {life}, and not marked there: {unmarked[:20]}"
            assert life > 1 or not any(seen.values()), f"{about}: marked in the first life"
        print(about)


def _lines(path: Path) -> Callable[[], int]:
    return lambda: path.read_bytes().count(b"\n") if path.exists() else 0


def _lines_of(path: Path, life: int) -> Callable[[], int]:
    return lambda: path.read_bytes().count(b"\n%d " % life) if path.exists() else 0


if __name__ == "__main__":
    main()
