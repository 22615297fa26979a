"""A producer that reacts to results: an integral, cut finer only where the curve is wild (adaptive quadrature).

    python examples/producer.py [TOLERANCE]            (default 1e-9)

`as_completed` asks the producer for jobs while there is room. What its `yield` returns are the jobs that have ended
since; a `yield` without a job means: nothing more before the next result.
"""

import math
import sys

import lightwork

SHARPNESS = 1e-4


def curve(x):
    return 1 / (x * x + SHARPNESS)


def simpson(left, right, steps):
    width = (right - left) / steps
    return (
        width
        / 3
        * math.fsum(curve(left + i * width) * (1 if i in (0, steps) else 4 if i % 2 else 2) for i in range(steps + 1))
    )


def area(left, right):
    """The integral over one piece, and by how much that may be wrong."""
    value = simpson(left, right, 20)
    return left, right, value, abs(value - simpson(left, right, 10)) / 15


def good(left, right, value, error, tolerance):
    return error <= tolerance * (right - left) / 2


def pieces(cluster, tolerance):
    """A job for each piece; a piece that was not exact enough comes again as two halves."""
    waiting, open_jobs = [(-1.0, 1.0)], 0
    while waiting or open_jobs:
        job = None
        if waiting:
            job = cluster.submit(*waiting.pop())
            open_jobs += 1
        for ended in (yield job):
            open_jobs -= 1
            left, right, value, error = ended.get()
            if not good(left, right, value, error, tolerance):
                middle = (left + right) / 2
                waiting += [(left, middle), (middle, right)]


def main(tolerance=1e-9):
    tolerance, values, jobs = float(tolerance), [], 0
    with lightwork.JobCluster(area) as cluster:
        for job in cluster.as_completed(pieces(cluster, tolerance)):
            jobs += 1
            if good(*job.get(), tolerance):
                values.append(job.get()[2])
    exact = 2 / math.sqrt(SHARPNESS) * math.atan(1 / math.sqrt(SHARPNESS))
    print(f"integral {math.fsum(values):.12f}, exactly {exact:.12f}, {len(values)} pieces from {jobs} jobs")


if __name__ == "__main__":
    main(*sys.argv[1:])
