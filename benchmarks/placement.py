"""The scheduler's core alone: what a decision costs by the number of nodes and of waiting jobs, and what a waiting job
takes of memory. Nodes are simulated: 16 attempts end at once, and the core hands out what takes their place."""

from __future__ import annotations

import gc
import sys
import time
import tracemalloc
from collections import deque

from benchmarks.ways import measured, row
from lightwork.scheduler.core import commands as do, events as on
from lightwork.scheduler.core.core import Core
from lightwork.wire.messages import Computation, JobOptions

SIZES = ((10, 10_000), (10, 1_000_000), (100, 100_000), (1_000, 10_000), (1_000, 1_000_000))
SLOTS, SESSIONS, BATCH = 8, 4, 16
ENDED = 30_000  # jobs, in a measurement
TURNS = 3
TOOK_NS = 300_000_000  # long ones: each end is a decision
OPTIONS = (
    JobOptions(),
    JobOptions(priority=1, where='group == "red"'),
    JobOptions(resources=(("cpus", 2000), ("memory", 1 << 30))),
)


def filled(nodes: int, jobs: int) -> tuple[Core, list[do.Command]]:
    """A core with so many nodes and waiting jobs: four sessions, three shapes each."""
    core = Core()
    said: list[do.Command] = []
    for number in range(nodes):
        given = {"resources": {"memory": 64 << 30}, "groups": ["red"] if number % 3 == 0 else []}
        said += core.feed([on.NodeJoined(f"n{number}", SLOTS, shares_memory=False, **given)], 1)  # type: ignore[arg-type]
    each = jobs // SESSIONS // len(OPTIONS)
    for session in range(SESSIONS):
        name = f"s{session}"
        events = [on.ClientJoined(name), on.TermsTold(name, 1.0 + session)]
        said += core.feed([*events, on.ComputationDefined(name, Computation("f", "function", "f"))], 1)
    for index, options in enumerate(OPTIONS):
        for session in range(SESSIONS):
            for at in range(index * each, (index + 1) * each, 4096):
                payloads = [b"%d" % number for number in range(at, min(at + 4096, (index + 1) * each))]
                said += core.feed([on.JobsSubmitted(f"s{session}", "f", at, payloads, options)], 1)
    return core, said


def steady(nodes: int, jobs: int) -> tuple[float, float]:
    """Microseconds for each job that ends and the one that takes its place; and for the first ones, node by node."""
    began = time.process_time()
    core, said = filled(nodes, jobs)
    filling = time.process_time() - began
    out: deque[tuple[str, int]] = deque()
    for command in said:
        if isinstance(command, do.Assign):
            out += [(command.node, token) for token in command.tokens]
    ready = [on.ComputationReady(c.node, c.session, "f") for c in said if isinstance(c, do.Prepare)]
    core.feed(ready, 2)
    now_ns, ended, took = 3, 0, [0.0]
    gc.collect()
    gc.freeze()
    while ended < min(ENDED, jobs // 2) and out:
        now_ns += 1_000_000
        some: dict[str, list[int]] = {}
        for _ in range(min(BATCH, len(out))):
            node, token = out.popleft()
            some.setdefault(node, []).append(token)
        events = []
        for node, tokens in some.items():
            count = len(tokens)
            times = [TOOK_NS] * count
            events.append(on.AttemptsEnded(node, tokens, [0] * count, times, times, [1] * count, b"x" * count))
            ended += count
        before = time.process_time()
        said = core.feed(events, now_ns)
        took.append(time.process_time() - before)
        for command in said:
            if isinstance(command, do.Assign):
                out += [(command.node, token) for token in command.tokens]
    return sum(took) / ended * 1e6, filling / jobs * 1e6


def memory(jobs: int = 200_000) -> float:
    """Bytes for each waiting job, its argument of 6 bytes included."""
    core, _ = filled(10, 12)
    payloads = [b"%06d" % number for number in range(4096)]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for at in range(0, jobs, 4096):
        fresh = [bytes(bytearray(payload)) for payload in payloads]
        core.feed([on.JobsSubmitted("s0", "f", 100 + at, fresh, JobOptions())], 5)
    return (tracemalloc.get_traced_memory()[0] - before) / (-(-jobs // 4096) * 4096)


def main() -> None:
    """The table."""
    row("nodes", "waiting jobs", "us per job", "x smallest", "us to submit")
    first = 0.0
    for nodes, jobs in SIZES:
        found = [measured("benchmarks.placement", str(nodes), str(jobs)) for _ in range(TURNS)]
        steady_us = min(pair[0] for pair in found)
        first = first or steady_us
        row(f"{nodes:,}", f"{jobs:,}", steady_us, steady_us / first, min(pair[1] for pair in found))
    row("bytes per waiting job", measured("benchmarks.placement", "memory")[0])


if __name__ == "__main__":
    if sys.argv[1:] == ["memory"]:
        print(memory())
    else:
        print(*steady(int(sys.argv[1]), int(sys.argv[2])))
