"""Run schedules: `python -m tests.simulation --seed N [--verbose]`, or `--range A B --processes 2`."""

from __future__ import annotations

import sys
import time
import traceback

from tests.simulation.transcript import lines
from tests.simulation.world import World

if sys.argv[1] == "t":
    world = World(int(sys.argv[2]))
    world.told = []
    try:
        world.run()
    except Exception:
        traceback.print_exc(file=sys.stdout)
    for line in lines(world.told):
        print(line[:400])
    sys.exit()
a, b = int(sys.argv[1]), int(sys.argv[2])
t = time.process_time()
bad = 0
steps = 0
kinds: dict[str, int] = {}
for seed in range(a, b):
    world = World(seed)
    try:
        world.run()
    except Exception as e:
        bad += 1
        print("seed", seed, type(e).__name__, str(e)[:300])
        if len(sys.argv) > 3:
            traceback.print_exc()
    steps += world.clock.steps
    for k, v in world.faults.kinds.items():
        kinds[k] = kinds.get(k, 0) + v
dt = time.process_time() - t
print(f"{b - a} schedules, {bad} bad, {steps} steps, {dt:.2f} s, {dt / (b - a) * 1000:.1f} ms each", kinds)
