"""The simulator itself: the same seed is the same schedule, whatever the process; what it double-books is noticed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lightwork.model.states import JobState
from lightwork.wire.messages import Message
from tests.simulation import links
from tests.simulation.runner import run, shrink, stored, transcript
from tests.simulation.world import World

ROOT = Path(__file__).resolve().parents[2]
SEEDS = (2, 3, 4, 5)


def digest(seed: int) -> str:
    _, lines = transcript(seed, all_of_it=True)
    text = "\n".join(lines)
    for state in JobState:  # over the wire they are numbers
        text = text.replace(state.name, str(int(state)))
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.slow
def test_a_seed_is_one_schedule() -> None:
    for seed in SEEDS[:2]:
        assert digest(seed) == digest(seed)
    assert digest(SEEDS[0]) != digest(SEEDS[1])


@pytest.mark.slow
def test_no_order_depends_on_hashes() -> None:
    script = "from tests.simulation.test_simulator import SEEDS, digest\nprint(*[digest(seed) for seed in SEEDS])"
    found = set()
    for hash_seed in ("0", "1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
        )
        found.add(done.stdout)
    assert len(found) == 1


@pytest.mark.slow
def test_messages_as_objects_or_as_bytes_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody changes a message that another one still holds."""
    plain = [digest(seed) for seed in SEEDS]
    encode, decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(Message).decode
    take = links.Link._take

    def packed(self: links.Link, message: Any, body: Any) -> None:
        take(self, decode(encode(message)) if isinstance(message, msgspec.Struct) else message, bytes(body))

    monkeypatch.setattr(links.Link, "_take", packed)
    assert [digest(seed) for seed in SEEDS] == plain


@pytest.mark.slow
def test_schedules_are_as_large_as_promised() -> None:
    for seed in range(10):
        world = World(seed)
        world.run()
        assert len(world.jobs) >= 30
        assert len(world.machines) >= 3
        assert len(world.names) >= 2
        assert world.faults.happened >= 20
        restarts = {"kill", "power", "scheduler dies at a write", "agent dies at a write"}
        if world.restarts_only:
            assert all(any(kind.startswith(one) for one in restarts) for kind in world.faults.kinds)
        assert not world.net.blocked


@pytest.mark.slow
def test_a_failing_schedule_becomes_smaller() -> None:
    seed = next(seed for seed, mutant in stored() if mutant == "no hold" and run(seed, mutant).promise)
    skipped = shrink(seed, "no hold")
    assert skipped
    assert run(seed, "no hold", skipped).promise == run(seed, "no hold").promise
