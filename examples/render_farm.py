"""A render farm: frames that need a GPU, a licence or much memory, on a scheduler that counts what there is of each.

lightwork scheduler --resource licence=2              the licences are the farm's, wherever a frame is rendered
lightwork node --join ADDRESS --resource gpu=2        a machine with two GPUs; real ones it finds by itself
python examples/render_farm.py [ADDRESS]              the address that the scheduler prints; none: your own here
"""

import sys

import lightwork


def render(frame):
    """Has a GPU and a licence while it runs. Which GPU is its own, it finds in the environment, as CUDA does."""
    import os
    import time

    began = time.time()
    time.sleep(0.3)
    gpu = f"{lightwork.current_job().node}/{os.environ['CUDA_VISIBLE_DEVICES']}"
    return frame, gpu, began, time.time()


def join(frames):
    """Needs no GPU, but two slots."""
    return f"{len(frames)} frames joined"


def at_once(spans):
    """How many of these (begin, end) there were at the same time, at most."""
    return max(sum(begin <= moment < end for begin, end in spans) for moment, _ in spans)


def main(scheduler=None):
    needs = {"gpu": 1, "licence": 1, "memory": "64M"}
    with lightwork.SharedJobCluster(render, scheduler=scheduler, resources=needs) as cluster:
        jobs = [cluster.submit(frame) for frame in range(8)]
        huge = cluster.options(resources={"gpu": 64}).submit(99)
        done = [job.get() for job in jobs]
        print(f"{len(done)} frames, at most {at_once([(begin, end) for *_, begin, end in done])} at once,", end=" ")
        print(f"on GPUs {' '.join(sorted({gpu for _, gpu, _, _ in done}))}")
        joined = cluster.options(computation=join, resources={"cpus": 2}).submit([frame for frame, *_ in done])
        print(joined.get())
        try:
            huge.get()
        except lightwork.CannotBePlaced as error:
            print(f"frame 99: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
