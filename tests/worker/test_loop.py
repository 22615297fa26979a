"""Jobs in, records out: order, options, take-back, throughput."""

from __future__ import annotations

import time
from typing import Any

from lightwork.wire import channel as ch, outcome as oc, shared_file as sf
from tests.worker.agent_double import KeeperDouble, WorkerDouble, arguments, setup_payload


def double(n):
    return 2 * n


def test_thousands_of_tiny_jobs_come_back_in_order(worker: WorkerDouble):
    worker.load(double)
    tokens = [token for _ in range(10) for token in worker.run([arguments(n) for n in range(1000)])]
    worker.wait(lambda: len(worker.ends) == 10_000)
    assert worker.order == tokens
    assert [worker.ends[token].value for token in tokens] == [2 * n for n in range(1000)] * 10
    assert worker.bells >= 10


def test_many_jobs_a_second(worker: WorkerDouble):
    """A floor far below what is measured (230,000/s on a quiet machine), so that it only trips over a blunder."""
    worker.load(double)
    payloads = [arguments(n) for n in range(2000)]
    began = time.monotonic()
    for _ in range(10):
        worker.run(payloads)
    worker.wait(lambda: len(worker.ends) == 20_000)
    assert 20_000 / (time.monotonic() - began) > 15_000


def test_a_ring_that_is_full_waits_for_the_agent(worker: WorkerDouble):
    worker.load(lambda n: b"x" * 100_000)
    tokens = worker.run([arguments(n) for n in range(40)])
    time.sleep(0.3)
    assert worker.words[sf.RECORD_TAIL] <= 10
    worker.wait(lambda: len(worker.ends) == 40)
    assert all(worker.ends[token].value == b"x" * 100_000 for token in tokens)


def test_revoked_jobs_do_not_start_and_say_so(worker: WorkerDouble, tmp_path):
    def touch(n, seconds):
        time.sleep(seconds)
        open(f"started-{n}", "w").close()
        return n

    worker.load(touch)
    tokens = worker.run([arguments(n, 0.3 if n == 0 else 0) for n in range(5)])
    later = worker.run([arguments(7, 0)])
    worker.wait(lambda: worker.words[sf.STARTED] == tokens[0])
    worker.words[sf.REVOKE] = worker.sent[tokens[-1]]
    time.sleep(0.001)
    assert worker.words[sf.STARTED] == tokens[0]
    assert worker.end(later[0]).value == 7
    assert worker.ends[tokens[0]].value == 0
    assert worker.revoked == tokens[1:]
    assert sorted(path.name for path in tmp_path.glob("started-*")) == ["started-0", "started-7"]


def test_take_back_races_never_run_twice_nor_get_lost(worker: WorkerDouble):
    worker.load(lambda: None)
    given_back = 0
    for _ in range(150):
        tokens = worker.run([arguments()] * 20)
        worker.words[sf.REVOKE] = worker.sent[tokens[-1]]
        time.sleep(0.001)
        started = worker.words[sf.STARTED]
        worker.drain()
        ended = [token for token in tokens if token in worker.ends]
        unstarted = {token for token in tokens if token not in ended and token != started}
        given_back += len(unstarted)
        worker.wait(lambda: all(token in worker.ends or token in worker.revoked for token in tokens))
        assert not unstarted & set(worker.ends), "given back, and run all the same"
    assert given_back > 0


def test_a_chunk_is_one_job_and_names_its_bad_item(worker: WorkerDouble):
    worker.load(lambda a, b=0: a // b)
    chunk = {"chunk": b"1"}
    assert worker.call([(6, 2), (9, 3)], options=chunk).value == [3, 3]
    end = worker.call([(6, 2), (1, 0), (9, 3)], options=chunk)
    assert end.kind == oc.RAISED
    assert end.failure["item"] == "1"
    assert end.failure["type"] == "ZeroDivisionError"
    assert "item" not in worker.call([], [], [], options=chunk).failure


def test_environment_and_directory_and_stdin_are_of_these_jobs_only(worker: WorkerDouble, tmp_path):
    def look():
        import os
        import sys

        return os.environ.get("COLOUR"), os.environ.get("SHAPE"), os.getcwd(), sys.stdin.read(), os.read(0, 10)

    own = tmp_path / "own"
    own.mkdir()
    worker.load(look, fields={"env.SHAPE": b"round"})
    options = {"env.COLOUR": b"blue", "directory": bytes(own), "stdin": b"words"}
    assert worker.call(options=options).value == ("blue", "round", str(own), "words", b"")
    assert worker.call().value == (None, "round", str(tmp_path), "", b"")
    assert worker.call(options=options).value == ("blue", "round", str(own), "words", b"")


def test_injected_names_are_of_these_jobs_only(worker: WorkerDouble):
    import cloudpickle

    def look():
        return globals().get("extra")

    worker.load(look)
    assert worker.call(options={"injected": cloudpickle.dumps({"extra": 5})}).value == 5
    assert worker.call().value is None


def test_a_worker_holds_several_computations(worker: WorkerDouble):
    worker.load(lambda: "one", slot=1)
    worker.load(lambda: "two", slot=2)
    assert [worker.call(slot=slot).value for slot in (1, 2, 1, 2)] == ["one", "two", "one", "two"]


def test_a_computation_that_cannot_be_loaded_says_why_and_the_worker_lives(worker: WorkerDouble):
    frame = worker.load(None, payload=b"\x80\x05cno_such_module\nname\n.")
    assert frame is not None
    fields = oc.decode_fields(frame.body)
    assert frame.kind == ch.LOAD_FAILED
    assert fields["type"] == b"ModuleNotFoundError"
    assert fields["during"] == b"load"
    assert b"no_such_module" in fields["hint"]
    worker.load(double)
    assert worker.call(4).value == 8


def test_setup_and_cleanup_in_a_worker(worker: WorkerDouble):
    namespace: dict[str, Any] = {"__name__": "__main__", "table": None}
    code = """
def prepare(size):
    global table
    table = list(range(size))
    return "prepared"
def look(n):
    import lightwork
    return table[n], lightwork.node_value()
def tidy():
    print("tidied", len(table))
    raise OSError("not quite")
"""
    exec(code, namespace)
    frame = worker.load(
        namespace["look"],
        setup=setup_payload(namespace["prepare"], 10),
        cleanup=setup_payload(namespace["tidy"]),
        run_setup=b"1",
    )
    assert frame is not None
    assert frame.kind == ch.LOADED
    assert worker.call(7).value == (7, "prepared")
    worker.load(namespace["look"], slot=2)  # of the same environment: it sees what setup made
    assert worker.call(3, slot=2).value == (3, "prepared")
    worker.send(ch.CLEANUP, slot=1)
    fields = oc.decode_fields(worker.expect(ch.CLEANED).body)
    assert fields["message"] == b"not quite"


def test_setup_that_raises(worker: WorkerDouble):
    def bad():
        raise ValueError("no data here")

    frame = worker.load(double, setup=setup_payload(bad), run_setup=b"1")
    assert frame is not None
    fields = oc.decode_fields(frame.body)
    assert (frame.kind, fields["during"]) == (ch.LOAD_FAILED, b"setup")
    assert b'raise ValueError("no data here")' in fields["traceback"]


def test_quit_ends_the_worker_in_good_order(worker: WorkerDouble, a_keeper: KeeperDouble, tmp_path):
    def register():
        import atexit

        atexit.register(lambda: open("atexit-ran", "w").close())

    worker.load(register)
    worker.call()
    worker.send(ch.QUIT)
    died = a_keeper.expect(ch.DIED, worker.id)
    assert died["status"] == b"0"
    assert int(died["max_rss"]) > 1_000_000
    assert (tmp_path / "atexit-ran").exists()
    assert worker.to_blame() is None
