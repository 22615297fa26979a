"""Bytes from strangers and broken peers: a connection never raises, keeps little, and reports what is wrong."""

import os
import random
import re
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from tests.wire import fuzzing
from tests.wire.fuzzing import ASKS, GREETED, GREETING, LISTENING, SERVES, corpus, make_input, one_input

ROOT = Path(__file__).resolve().parents[2]
SEED = 20_240_607


def run(count: int, seed: int) -> dict[str, int]:
    """So many inputs; how many ended how."""
    chance, ends = random.Random(seed), dict[str, int]()
    frames: list[bytes] = []
    for number in range(count):
        if number % 10_000 == 0:
            frames = corpus(chance)
        data = make_input(chance, frames)
        try:
            connection = one_input(data)
        except BaseException as error:
            error.add_note(f"input {number} of seed {seed}: {data.hex()}")
            raise
        end = type(connection.error).__name__ if connection.error else "up" if connection.peer else "waiting"
        ends[end] = ends.get(end, 0) + 1
    return ends


def test_a_few_thousand():
    ends = run(4_000, SEED)
    assert {"up", "waiting", "ProtocolError", "FrameTooLong"} <= set(ends), ends
    assert min(ends["up"], ends["ProtocolError"]) > 400, ends


@pytest.mark.slow
def test_a_hundred_thousand():
    for part in range(4):
        run(25_000, SEED + 1 + part)


def test_memory_stays_bounded():
    """Whatever was announced: what is kept is of the size of what was sent."""
    chance = random.Random(SEED)
    frames = corpus(chance)
    run(200, 1)
    tracemalloc.start()
    try:
        for _ in range(300):
            one_input(make_input(chance, frames))
            assert tracemalloc.get_traced_memory()[0] < 8 << 20
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", fuzzing.KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_of_message_is_made_and_taken(kind):
    """The generator knows all of them: none is left out by a new field's type."""
    chance = random.Random(kind.__name__)
    seen = 0
    for _ in range(20):
        connection = one_input(bytes([LISTENING | GREETED | SERVES | ASKS]) + fuzzing.frame_of(kind, chance))
        seen += connection.error is None
    assert connection.peer is not None
    assert seen or kind.__name__ in ("Hello", "Refused", "Chunk", "Credit")  # these break rules of the dialogue


@pytest.mark.soak
def test_five_million_guided_by_coverage(tmp_path):
    """atheris is an optional part of the developers' tools: for Python 3.11 and 3.12 on Linux."""
    pytest.importorskip("atheris", reason="atheris is not installed")
    seeds = tmp_path / "corpus"
    seeds.mkdir()
    chance = random.Random(SEED)
    for number, frame in enumerate(corpus(chance, 3)):
        (seeds / str(number)).write_bytes(bytes([chance.randrange(64) | GREETED]) + frame)
    (seeds / "hello").write_bytes(bytes([LISTENING]) + GREETING)
    runs = os.environ.get("LIGHTWORK_FUZZ_RUNS", "5000000")
    command = [sys.executable, "-m", "tests.wire.fuzz_atheris", str(seeds), f"-runs={runs}", f"-seed={SEED}"]
    command += [
        "-max_len=600",
        "-rss_limit_mb=1024",
        "-timeout=60",
        f"-artifact_prefix={tmp_path}/",
        "-print_final_stats=1",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-5000:]
    found = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    assert found is not None, done.stderr[-5000:]
    assert int(found[1]) >= int(runs)
    print(*re.findall(r"stat::.*", done.stderr), sep="\n")
