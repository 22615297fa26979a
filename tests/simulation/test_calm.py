"""A month of work with few faults: journal, tables, spools and memory stay as small as what is in hand."""

from __future__ import annotations

from typing import Any

import pytest

from lightwork.node.service.custody import Custody
from tests.simulation.calm import BATCH, CalmWorld

# At most, however much was done before. Some 20 batches may be in hand at once, after a fault.
HAND = 20 * BATCH
MOST = {
    "journal rows": 2 * HAND,
    "clock": 3 * HAND,  # with what the oracle is about to forget
    "spool": 300,
    "rings": 30,
    "oracle": 10 * HAND,  # it remembers an hour
    "clients": 4 * HAND,
    "agents": HAND,
    "entries": HAND,
    "jobs": HAND,
    "attempts": HAND,
    "running": 100,
    "waiting commands": HAND,
}
MEMORY = 32 << 20  # from the first tenth on


def performed(days: float, count: int, seed: int = 1) -> CalmWorld:
    world = CalmWorld(seed, days, count)
    world.run()
    return world


def too_large(world: CalmWorld) -> list[str]:
    return [
        f"{what} after {tenth} tenths: {size:,}"
        for tenth, sizes in enumerate(world.measured, 1)
        for what, size in sizes.items()
        if size > MOST[what]
    ]


def nothing_grew(world: CalmWorld) -> None:
    assert world.ended >= world.submitted - len(world.oracle.refused) == world.count
    assert not too_large(world)
    assert max(world.memory) - world.memory[0] < MEMORY


@pytest.mark.slow
def test_three_days_of_a_hundred_thousand_jobs() -> None:
    nothing_grew(performed(3, 100_000))


@pytest.mark.soak
def test_thirty_days_of_a_million_jobs() -> None:
    nothing_grew(performed(30, 1_000_000))


def test_what_is_never_forgotten_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def keeps(self: Custody, gone: Any) -> None:
        """Records stay, whoever has them."""

    monkeypatch.setattr(Custody, "_forget", keeps)
    world = CalmWorld(1, 0.03, 2_000)
    world._start()
    world.clock.run_until(world.began_ns + world.chaos_ns)
    world.measured.append(world.sizes())
    assert any(line.startswith("spool") for line in too_large(world))
