"""Large payloads through shared memory."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from lightwork.wire import channel as ch, outcome as oc, segments as sg, shared_file as sf
from tests.worker.agent_double import KeeperDouble, WorkerDouble, arguments, keeper

np = pytest.importorskip("numpy")


def put(made: KeeperDouble, at: int, *args) -> bytes:
    """Arguments into the arena; their reference."""
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps((args, {}), 5, buffer_callback=buffers.append)
    parts = [memoryview(data), *(buffer.raw() for buffer in buffers)]
    header, offsets, size = sg.plan([part.nbytes for part in parts])
    assert made.args is not None
    made.args[at : at + len(header)] = header
    for offset, part in zip(offsets, parts, strict=True):
        made.args[at + offset : at + offset + part.nbytes] = part
    return oc.ARENA_REFERENCE.pack(at, size)


def value_of(end) -> Any:
    pieces = sg.split(memoryview(end.outcome.value))
    return pickle.loads(pieces[0], buffers=pieces[1:])


def saved(worker: WorkerDouble, token: int) -> Any:
    """The value that went into a file."""
    payload = (worker.directory / "spool" / str(token) / oc.VALUE_FILE).read_bytes()
    pieces = sg.split(memoryview(payload))
    return pickle.loads(pieces[0], buffers=pieces[1:])


def test_large_results(worker: WorkerDouble):
    def make(n):
        import numpy as np

        return {"array": np.arange(n), "bytes": b"z" * n, "small": [1, 2]}

    worker.load(make)
    for n in (1_000_000, 300_000):
        end = worker.call(n)
        assert end.status & oc.IN_ARENA
        value = value_of(end)
        assert value["bytes"] == b"z" * n
        assert (value["array"] == np.arange(n)).all()
    end = worker.call(1000)
    assert not end.status & oc.IN_ARENA


def test_large_arguments_may_be_written_to_and_kept(worker: WorkerDouble, a_keeper: KeeperDouble):
    def change(array, keep):
        array += 1
        if keep:
            globals().setdefault("kept", []).append(array[: 1 << 16])
        return int(array[0]), [int(old[7]) for old in globals().get("kept", [])]

    worker.load(change)
    array = np.zeros(1 << 20)
    (token,) = worker.run_at([put(a_keeper, 4096 * 3, array, True)])
    assert worker.end(token).value == (1, [1])
    assert a_keeper.args is not None
    (token,) = worker.run_at([put(a_keeper, 4096 * 3, array + 41, False)])  # the same region, used anew
    assert worker.end(token).value == (42, [1])
    with open(f"/proc/{worker.pid}/maps") as file:
        assert sum("args" in line for line in file) <= 2, "what nobody kept is unmapped"


def test_read_but_kept_arguments_do_not_change_under_the_job(worker: WorkerDouble, a_keeper: KeeperDouble):
    def keep(array):
        globals()["kept"] = globals().get("kept", array)
        return float(globals()["kept"][-1])

    worker.load(keep)
    tokens = worker.run_at([put(a_keeper, 0, np.full(100_000, 5.0))])
    assert worker.end(tokens[0]).value == 5.0
    tokens = worker.run_at([put(a_keeper, 0, np.full(100_000, 6.0))])
    assert worker.end(tokens[0]).value == 5.0


def test_large_arguments_in_the_frame(worker: WorkerDouble):
    def change(array):
        array[0] = 9
        return float(array.sum())

    worker.load(change)
    array = np.ones(100_000)
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(((array,), {}), 5, buffer_callback=buffers.append)
    parts = [memoryview(data), *(buffer.raw() for buffer in buffers)]
    header, offsets, size = sg.plan([part.nbytes for part in parts])
    whole = bytearray(size)
    whole[: len(header)] = header
    for offset, part in zip(offsets, parts, strict=True):
        whole[offset : offset + part.nbytes] = part
    tokens = worker.run([bytes(whole), arguments(array)])
    assert worker.end(tokens[0]).value == worker.end(tokens[1]).value == 100_008.0


def test_a_result_that_never_fits(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """It goes into a file, at once."""
    monkeypatch.setattr("tests.worker.agent_double.ARENA_SIZE", 1 << 20)
    with keeper(tmp_path) as made:
        worker = made.worker()
        worker.load(lambda n: b"x" * n)
        (token,) = worker.run([arguments(2_000_000)])
        assert worker.end(token).status == oc.APART
        assert saved(worker, token) == b"x" * 2_000_000
        assert worker.call(10).value == b"x" * 10


def test_without_room_in_the_arena_the_ring_takes_what_it_can(worker: WorkerDouble):
    worker.refuse = True
    worker.load(lambda n: b"x" * n)
    assert worker.call(400_000).value == b"x" * 400_000


def test_a_result_waits_for_room(worker: WorkerDouble):
    worker.refuse = True
    worker.load(lambda n: b"x" * n)
    (token,) = worker.run([arguments(5_000_000)])
    worker.wait(lambda: any(frame.kind == ch.NODE_LOG for frame in worker.frames))
    assert token not in worker.ends
    worker.refuse = False
    assert worker.end(token).value == b"x" * 5_000_000
    logs = [frame for frame in worker.frames if frame.kind == ch.NODE_LOG]
    assert [b"waits for room" in frame.body for frame in logs] == [True]


def test_without_an_arena_the_ring_takes_what_it_can(tmp_path):
    with keeper(tmp_path, results=False) as made:
        worker = made.worker()
        worker.load(lambda n: b"x" * n)
        assert worker.call(400_000).value == b"x" * 400_000
        (token,) = worker.run([arguments(sf.BODY)])
        assert worker.end(token).status == oc.APART
        assert saved(worker, token) == b"x" * sf.BODY


def test_an_array_in_a_file(tmp_path):
    with keeper(tmp_path, results=False) as made:
        worker = made.worker()
        worker.load(lambda n: np.arange(n))
        (token,) = worker.run([arguments(1_000_000)])
        assert worker.end(token).status == oc.APART
        assert saved(worker, token)[-1] == 999_999


def test_a_disk_that_takes_nothing_is_an_error_of_the_job(tmp_path):
    with keeper(tmp_path, results=False) as made:
        worker = made.worker()
        worker.load(lambda n: b"x" * n)
        (worker.directory / "spool").write_text("a file where a directory should be")
        end = worker.call(sf.BODY)
        assert end.kind == oc.UNSENDABLE
        assert "Not a directory" in end.failure["message"]
        assert worker.call(10).value == b"x" * 10


def test_a_reference_outside_the_arena_is_not_followed(worker: WorkerDouble):
    worker.load(lambda x: x)
    (token,) = worker.run_at([oc.ARENA_REFERENCE.pack(1 << 40, 10)])
    assert worker.end(token).kind == oc.NOT_RUN
