"""A nightly batch that is in nobody's way: low priority, a small share, and it goes on where it was after a restart.

    lightwork scheduler
    lightwork node --join ADDRESS
    python examples/nightly.py [ADDRESS]            ADDRESS: as the scheduler prints it; none: your own here

Run it again while it runs, or after Ctrl-C: what is done is not done again.
"""

import sys

import lightwork


def simulate(day):
    import time

    time.sleep(0.2)
    return day, time.time()


def main(scheduler=None):
    night = lightwork.SharedJobCluster(simulate, scheduler=scheduler, recover="nightly", priority=-10, weight=0.5)
    by_day = lightwork.SharedJobCluster(simulate, scheduler=scheduler)  # somebody who comes in at eight
    with night, by_day:
        batch = [night.options(key=f"day {day}").submit(day) for day in range(1, 31)]
        batch[0].get()
        urgent = [by_day.submit(day) for day in range(100, 104)]
        last_urgent = max(job.get()[1] for job in urgent)
        ends = [job.get()[1] for job in batch]
        behind = sum(end > last_urgent for end in ends)
        print(f"{len(batch)} nightly jobs, {len(urgent)} by day; {behind} nightly ones had to wait for these")


if __name__ == "__main__":
    main(*sys.argv[1:2])
