"""Results on the way: jobs that tell how far they are, and that are stopped when it is good enough.

    python examples/provisional.py [DIGITS]            (default 0.001: how exact pi has to be)

Every job throws darts for ever and sends what it has. The callback adds up all jobs' darts and, once pi is known well
enough, cancels them; a cancelled job may catch the interrupt and still return its best.
"""

import math
import sys
import threading

import lightwork


def darts(seed):
    """(thrown, inside the circle), sent again and again, until somebody interrupts."""
    import random
    import time

    chance = random.Random(seed)
    thrown = inside = 0
    try:
        while True:
            until = time.monotonic() + 0.1
            while time.monotonic() < until:
                for _ in range(1000):
                    inside += chance.random() ** 2 + chance.random() ** 2 <= 1
                thrown += 1000
            lightwork.send_provisional((thrown, inside))
    except KeyboardInterrupt:
        return thrown, inside


def estimate(counts):
    """Pi, and by how much that may be wrong (two standard errors)."""
    thrown, inside = (sum(column) for column in zip(*counts))
    share = inside / thrown
    return 4 * share, 8 * math.sqrt(share * (1 - share) / thrown)


def main(wanted=0.001):
    latest = {}
    good_enough = threading.Event()

    def hear(job):
        if job.result is None:
            return
        latest[job.id] = job.result
        pi, error = estimate(latest.values())
        if error < float(wanted) and not good_enough.is_set():
            print(f"so far {pi:.5f} +- {error:.5f}: good enough")
            good_enough.set()

    with lightwork.JobCluster(darts, callback=hear) as cluster:
        jobs = [cluster.submit(seed) for seed in range(2)]
        good_enough.wait()
        for job in jobs:
            job.cancel()
        counts = [job() for job in jobs]
    pi, error = estimate(count for count in counts if count)  # a job that had not started has thrown none
    print(f"pi is {pi:.5f} +- {error:.5f} after {sum(count[0] for count in counts if count)} darts")
    print("states:", *(job.status.name for job in jobs))


if __name__ == "__main__":
    main(*sys.argv[1:])
