"""What `lightwork demo` does: three kinds of work on one cluster, each checked against plain Python."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lightwork.cli import demo_jobs, demo_program
from lightwork.cli.picture import png
from lightwork.client.cluster import JobCluster
from lightwork.client.job import Job
from lightwork.client.progress import Bar
from lightwork.kit.text import count, size, span
from lightwork.model.errors import ClusterError, UserError

DIVISORS_S = 12.0  # so long may the first part take
EXPONENTS = range(6, 13)
SAMPLE = 20  # results that are computed once more, without a cluster
ROWS = 8  # of the picture, in one job
NUMBERS = 400  # for one program
_NEXT = """
What next?
  lightwork run -a "one job" -a "another job" echo    your own programs, from the shell
  lightwork run --help                                what else `run` can do

  import lightwork                                    your own functions, from Python
  with lightwork.JobCluster(function) as cluster:
      jobs = [cluster.submit(n) for n in range(20)]
      print([job.get() for job in jobs])"""


@dataclass(frozen=True)
class Sizes:
    """How much is done."""

    jobs: int
    programs: int
    width: int


def tour(picture: Path, sizes: Sizes) -> None:
    """Do it all, and say in plain words what was done. Raises ClusterError if a result is not what it should be."""
    if not picture.absolute().parent.is_dir():
        raise UserError(f"there is no directory {picture.absolute().parent} to put the picture into")
    began = time.perf_counter()
    with JobCluster(demo_jobs.divisors, name="demo") as cluster:
        _functions(cluster, sizes.jobs)
        _programs(cluster, sizes.programs)
        _draw(cluster, picture, sizes.width)
    print(f"\nAll this took {span(time.perf_counter() - began)} and left nothing running.")
    print(_NEXT)


def _functions(cluster: JobCluster, jobs: int) -> None:
    exponent = exponent_for(jobs, os.cpu_count() or 1, _million_s())
    first = 1 + 10**exponent
    numbers = range(first, first + 2 * jobs, 2)
    print(
        f"A Python function: the divisors of the first {count(jobs, 'odd number')} above 10^{exponent}, one job each."
    )
    began = time.perf_counter()
    results = list(cluster.map(numbers, chunksize=1, progress=True))
    took = span(time.perf_counter() - began)
    for at in _sample(jobs):
        _check(f"divisors of {numbers[at]}", results[at], demo_jobs.divisors(numbers[at]))
    primes = sum(not found for _, found in results)
    print(
        f"  {took}. {count(primes, 'prime')} among them; {count(len(_sample(jobs)), 'result')} computed again, equal."
    )
    print("What ran where:\n")
    cluster.stats()


def _programs(cluster: JobCluster, programs: int) -> None:
    print(f"\nA program: {count(programs, 'run')} of a script; each seeks the longest walk to 1 in {NUMBERS} numbers.")
    starts = [1 + NUMBERS * at for at in range(programs)]
    began = time.perf_counter()
    runs = cluster.options(computation=demo_program.__file__)
    jobs = [runs.submit(start, start + NUMBERS) for start in starts]
    _watch(cluster, jobs, "program")
    took = span(time.perf_counter() - began)
    found = [_printed(job) for job in jobs]
    for at in _sample(programs):
        steps, negative = demo_program.longest(starts[at], starts[at] + NUMBERS)
        _check(f"walk from {starts[at]} on", found[at], (steps, -negative))
    steps, number = max(found)
    print(f"  {took}. The longest begins at {number:,}: {steps} steps.")


def _draw(cluster: JobCluster, picture: Path, width: int) -> None:
    height = max(1, width * 2 // 3)
    print(f"\nA picture of {width} x {height} points, {ROWS} rows in a job.")
    tops = range(0, height, ROWS)
    began = time.perf_counter()
    rows = cluster.options(computation=demo_jobs.mandelbrot_rows)
    jobs = [rows.submit(top, min(top + ROWS, height), width, height) for top in tops]
    _watch(cluster, jobs, "picture")
    pixels = [job.get() for job in jobs]
    middle = len(tops) // 2
    again = demo_jobs.mandelbrot_rows(tops[middle], min(tops[middle] + ROWS, height), width, height)
    _check("rows in the middle", pixels[middle], again)
    data = png(width, height, b"".join(pixels))
    picture.write_bytes(data)
    print(f"  {span(time.perf_counter() - began)}. The valley of the sea horses is in {picture} ({size(len(data))}).")


def _watch(cluster: JobCluster, jobs: list[Job], name: str) -> None:
    """Wait for them all, with a bar on a terminal."""
    with Bar(name, wanted=True) as bar:
        bar.update(0, len(jobs))
        for done, _ in enumerate(cluster.as_completed(jobs), 1):
            bar.update(done, len(jobs))


def _printed(job: Job) -> tuple[int, int]:
    """What the program printed; raises ProgramError if it ended badly."""
    job.get()
    steps, number = job.stdout.split()
    return int(steps), int(number)


def exponent_for(jobs: int, cores: int, million_s: float) -> int:
    """The largest power of ten near which so many numbers are done in time; `million_s`: for a million trials."""

    def cost(exponent: int) -> float:
        return jobs * math.sqrt(10**exponent) / 1e6 * million_s / cores

    return max((exponent for exponent in EXPONENTS if cost(exponent) <= DIVISORS_S), default=EXPONENTS[0])


def _million_s() -> float:
    trials = []
    for _ in range(3):
        began = time.perf_counter()
        demo_jobs.divisors(10**10)
        trials.append(10 * (time.perf_counter() - began))
    return min(trials)


def _sample(jobs: int) -> Sequence[int]:
    return range(0, jobs, max(1, jobs // SAMPLE))


def _check(what: str, got: object, expected: object) -> None:
    if got != expected:
        raise ClusterError(f"{what}: the cluster says {got!r}, plain Python {expected!r}")
