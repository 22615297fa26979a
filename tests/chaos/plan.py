"""What will be done to whom, and when: made from a seed before anything starts.

0 s            begin                                     end                 every process is up, nothing is cut
|---- quiet ----|--- kills, stops, cuts at random times ---|---- convergence ---->
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

KILL, STOP, CUT, DEAF = "kill", "stop", "cut", "deaf"
RAZE = "raze"  # a node's program dies in one moment with all that could clean up after it
SPARE = 3  # kills of workers more than are wanted: late ones may find nobody at work


class Size(NamedTuple):
    """How much of it."""

    seconds: float  # of faults
    schedulers: int
    nodes: int
    workers: int
    clients: int
    keepers: int
    journals: int
    stops: int
    cuts: int
    relays: int  # kills
    relay_cuts: int  # of its link to the scheduler
    jobs: int  # of each client


class Fault(NamedTuple):
    """`at_s` after the beginning. `for_s`: how long it lasts, or how long it takes until somebody starts it again."""

    at_s: float
    what: str
    kind: str  # scheduler, journal, node, keeper, worker, client, relay; host or link for cuts
    whom: str  # name of a host or client; "": there is but one
    for_s: float


def plan(seed: int, size: Size, nodes: Sequence[str], clients: Sequence[str], hosts: Sequence[str]) -> list[Fault]:
    """In order of time."""
    chance = random.Random(seed)

    def at(place: int, of: int) -> float:
        return round((place + chance.random()) / of * size.seconds, 2)

    def pause() -> float:
        return round(chance.choice((0.05, 0.5, 1.0, 2.0)) * chance.uniform(0.5, 1.0), 2)

    faults = [Fault(at(n, size.schedulers), KILL, "scheduler", "", pause()) for n in range(size.schedulers)]
    for n in range(size.nodes):
        long = n % 5 == 4  # past the lease
        what = RAZE if n % 5 == 1 else KILL
        faults.append(Fault(at(n, size.nodes), what, "node", chance.choice(nodes), 8.0 if long else pause()))
    workers = size.workers + SPARE
    faults += [Fault(at(n, workers), KILL, "worker", chance.choice(nodes), 0.0) for n in range(workers)]
    faults += [Fault(at(n, size.clients), KILL, "client", chance.choice(clients), pause()) for n in range(size.clients)]
    faults += [Fault(at(n, size.keepers), KILL, "keeper", chance.choice(nodes), 0.0) for n in range(size.keepers)]
    faults += [Fault(at(n, size.journals), KILL, "journal", "", pause()) for n in range(size.journals)]
    faults += [Fault(at(n, size.relays), KILL, "relay", "", pause()) for n in range(size.relays)]
    for n in range(size.relay_cuts):  # one of three is past the lease
        lasts = 14.0 if n % 3 == 2 else chance.choice((1.0, 3.0, 6.0))
        faults.append(Fault(at(n, size.relay_cuts), CUT, "link", "", lasts))
    kinds = ("scheduler", "journal", "node", "keeper", "worker", "client", "relay")
    for n in range(size.stops):
        kind = kinds[n % len(kinds)]
        alone = dict.fromkeys(("scheduler", "journal", "relay"), "")
        whom = {"client": chance.choice(clients), **alone}.get(kind, chance.choice(nodes))
        long = kind == "node" and n % 4 == 2
        faults.append(Fault(at(n, size.stops), STOP, kind, whom, 9.0 if long else round(chance.uniform(0.5, 3.0), 2)))
    for n in range(size.cuts):
        whom, what = chance.choice(hosts), CUT if n % 3 else DEAF
        lasts = chance.choice((0.7, 2.0, 4.0, 9.0, 13.0))
        most = lasts if whom in nodes else 4.0  # a client that is not lasting may be away for its lease alone
        faults.append(Fault(at(n, size.cuts), what, "host", whom, min(lasts, most)))
    return sorted(faults)
