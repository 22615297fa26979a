"""Work that keeps the cores busy: divisors of fifty large numbers, then what each node did. From dispy's guide.

python examples/divisors.py           (some seconds)
"""


def divisors(n):
    import math

    res = []
    for i in range(2, int(math.sqrt(n)) + 1):
        if n % i == 0:
            res.append(i)
    return (n, res)


if __name__ == "__main__":
    import lightwork as dispy

    cluster = dispy.JobCluster(divisors)
    jobs = []
    start = 1 + 10**13
    for n in range(start, start + 100, 2):
        jobs.append(cluster.submit(n))
    # cluster.wait()
    for job in jobs:
        n, factors = job()
        print(n, factors)
    cluster.stats()
