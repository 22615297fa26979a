"""A function on every core: twenty jobs that sleep, and where each of them ran. The first program of dispy's guide.

python examples/compute.py            (about two minutes on two cores: the jobs sleep 5 to 20 s)
"""


def compute(n):
    import time, socket

    time.sleep(n)
    host = socket.gethostname()
    return (host, n)


if __name__ == "__main__":
    import lightwork as dispy, random

    cluster = dispy.JobCluster(compute)
    jobs = []
    for n in range(20):
        job = cluster.submit(random.randint(5, 20))
        job.id = n
        jobs.append(job)
    # cluster.wait()
    for job in jobs:
        host, n = job()
        print("%s executed job %s at %s with %s" % (host, job.id, job.start_time, n))
        # other fields: job.stdout, job.stderr, job.exception, job.ip_addr, job.start_time, job.end_time
