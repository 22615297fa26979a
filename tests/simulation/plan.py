"""What the jobs of a schedule are: drawn from the seed before anything happens, so that faults do not change it."""

from __future__ import annotations

from random import Random

from msgspec import Struct

from lightwork.wire.messages import Computation, JobOptions
from tests.simulation.clock import MS, SECOND

WIDTH = 6  # digits of a job's index, which is its argument

# What running it brings.
FINE, RAISES, FLAKY, POISON, HANGS, STUBBORN = "fine", "raises", "flaky", "poison", "hangs", "stubborn"


class Planned(Struct):
    """One job that a user's program submits. `cancel_ns`: after its submit; 0: never. `flaky`: so often it fails."""

    index: int
    client: str
    computation: str
    kind: str
    duration_ns: int
    at_ns: int  # after the program's start
    options: JobOptions
    key: str = ""
    cancel_ns: int = 0
    failures: int = 0

    @property
    def arguments(self) -> bytes:
        """By which a worker knows it."""
        return b"%0*d" % (WIDTH, self.index)


COMPUTATIONS = {
    "f": Computation("f", "function", "f"),
    "g": Computation("g", "function", "g", setup=b"x", environment="e"),
    "h": Computation("h", "function", "h", isolation="process"),
}


def index_of(payload: bytes) -> int:
    """Which job has this argument."""
    return int(payload[:WIDTH])


def draw(random: Random, count: int, clients: list[str], nodes: list[str], span_ns: int) -> list[Planned]:
    """So many jobs. Kinds and options are mixed by swarm: each schedule has its own weights."""
    mix = {
        None: random.choice((1, 4)),
        True: random.choice((0, 1, 3, 9)),
        False: random.choice((0, 1, 4, 9)),
    }
    mix_kinds, mix_weights = list(mix), list(mix.values())
    kinds = {
        FINE: 20,
        RAISES: random.choice((0, 1, 3)),
        FLAKY: random.choice((0, 1, 3, 20)),
        POISON: random.choice((0, 0, 1)),
        HANGS: random.choice((0, 1, 2)),
        STUBBORN: random.choice((0, 1, 1)),
    }
    kind_names, kind_weights = list(kinds), list(kinds.values())
    pinned, keyed = random.choice((0.0, 0.1)), random.choice((0.0, 0.5, 1.0))
    cancelled = random.choice((0.0, 0.05, 0.2))
    long_ns = random.choice((5, 20, 60)) * SECOND
    jobs = []
    for index in range(count):
        kind = random.choices(kind_names, kind_weights)[0]
        reentrant = random.choices(mix_kinds, mix_weights)[0]
        options = JobOptions(
            timeout_ns=random.choice((1, 10)) * SECOND if random.random() < 0.05 else 0,
            reentrant=reentrant,
            node=random.choice(nodes) if random.random() < pinned else "",
            retries=random.choice((1, 2, 3)) if kind == FLAKY else 0,
        )
        duration = _duration(random, long_ns)
        one = Planned(index, clients[index % len(clients)], random.choice("ffgh"), kind, duration, 0, options)
        one.at_ns = int(random.random() * span_ns) if random.random() < 0.7 else 0
        one.key = f"k{index}" if random.random() < keyed else ""
        one.failures = random.randint(1, 3) if kind == FLAKY else 0
        if random.random() < cancelled:
            one.cancel_ns = int(random.random() * 20 * SECOND)
        jobs.append(one)
    return jobs


def _duration(random: Random, long_ns: int) -> int:
    draw = random.random()
    if draw < 0.3:
        return random.randint(1, 30) * MS
    if draw < 0.7:
        return random.randint(100, 3000) * MS
    return SECOND + int(random.random() * long_ns)
