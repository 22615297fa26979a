"""A school's lab: the teacher sorts the machines into groups, sends jobs to some of them, and takes one out of service.

lightwork scheduler                                           on the teacher's machine
lightwork node --join ADDRESS --label room=12                 on each of the pupils'
python examples/school_lab.py [ADDRESS]                       ADDRESS: as the scheduler prints it; none: your own here
"""

import sys

import lightwork


def where_am_i():
    import time

    time.sleep(0.1)
    return lightwork.current_job().node


def main(scheduler=None):
    with lightwork.SharedJobCluster(where_am_i, scheduler=scheduler) as cluster:
        machines = sorted(cluster.wait_ready())  # all that are there, and have the function by now
        print(f"machines: {' '.join(machines)}")
        front, last = machines[: (len(machines) + 1) // 2], machines[-1]
        cluster.group_hosts(front, "front-row")

        jobs = [cluster.options(where='group == "front-row"').submit() for _ in range(6)]
        print(f"front row only: {' '.join(sorted({job.get() for job in jobs}))}")

        cluster.drain(last, wait=True)  # its pupil wants it back; returns when nothing runs there
        jobs = [cluster.submit() for _ in range(12)]
        print(f"without {last}: {' '.join(sorted({job.get() for job in jobs}))}")

        waiting = cluster.options(where=f'name == "{last}"').submit()
        for line in waiting.explain():
            print(f"  {line}")
        cluster.resume(last)
        print(f"and with it: {waiting.get()}")
        cluster.ungroup_hosts(front, "front-row")

        try:
            cluster.options(where='grop == "front-row"')
        except lightwork.WhereError as error:
            print(error)


if __name__ == "__main__":
    main(*sys.argv[1:2])
