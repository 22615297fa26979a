"""Every way that a job can end, and what is told about it. After each the worker, or the next one, works on."""

from __future__ import annotations

import pickle
import signal
import sys

import pytest

from lightwork.wire import channel as ch, outcome as oc, shared_file as sf
from tests.worker.agent_double import KeeperDouble, WorkerDouble, arguments


def test_an_exception_comes_with_its_source_lines_and_itself(worker: WorkerDouble):
    def inner(n):
        return 1 // n  # the line

    def outer(n):
        try:
            return inner(n)
        except ZeroDivisionError as error:
            raise LookupError("outer") from error

    worker.load(outer)
    end = worker.call(0)
    assert end.kind == oc.RAISED
    assert (end.failure["type"], end.failure["message"]) == ("LookupError", "outer")
    assert "return 1 // n  # the line" in end.failure["traceback"]
    assert "direct cause" in end.failure["traceback"]
    assert "lightwork/worker" not in end.failure["traceback"]
    carried = pickle.loads(end.outcome.failure["exception"])
    assert (type(carried), carried.args) == (LookupError, ("outer",))


def test_source_lines_of_a_file_that_is_not_here(worker: WorkerDouble):
    namespace: dict[str, object] = {"__name__": "__main__"}
    text = "def fail():\n    raise KeyError('deep')  # shown\n"
    exec(compile(text, "/nowhere/notebook-cell-7", "exec"), namespace)
    worker.load(namespace["fail"], fields={"source./nowhere/notebook-cell-7": text.encode()})
    assert "raise KeyError('deep')  # shown" in worker.call().failure["traceback"]


def test_an_exception_that_cannot_travel_is_told_in_words(worker: WorkerDouble):
    def fail():
        class Odd(Exception):
            def __init__(self, a, b):
                super().__init__("only one")

            def __str__(self):
                raise RuntimeError("not even this")

        raise Odd(1, 2)

    worker.load(fail)
    end = worker.call()
    assert end.kind == oc.RAISED
    assert "exception" not in end.outcome.failure
    assert end.failure["type"].endswith("Odd")
    assert "raise Odd(1, 2)" in end.failure["traceback"]


@pytest.mark.parametrize(("code", "number"), [(None, "0"), (3, "3"), ("words", "1")])
def test_sys_exit(worker: WorkerDouble, code, number):
    def leave(code):
        sys.exit(code)

    worker.load(leave)
    end = worker.call(code)
    assert (end.kind, end.failure["exit_code"]) == (oc.EXITED, number)
    assert "sys.exit" in end.failure["message"]
    assert "sys.exit(code)" in end.failure["traceback"]
    assert worker.call(code).kind == oc.EXITED, "the worker lives"


def test_other_base_exceptions_do_not_kill_the_loop(worker: WorkerDouble):
    def fail(kind):
        raise kind("x")

    worker.load(fail)
    for kind in (KeyboardInterrupt, GeneratorExit, BaseException, MemoryError, RecursionError):
        assert (worker.call(kind).kind, worker.call(kind).failure["type"]) == (oc.RAISED, kind.__name__)


def test_a_module_that_is_missing(worker: WorkerDouble):
    def use():
        import not_installed_here  # type: ignore[import-not-found]

        return not_installed_here

    worker.load(use)
    hint = worker.call().failure["hint"]
    assert "'not_installed_here'" in hint
    assert sys.executable in hint


def test_a_result_that_cannot_travel_is_named(worker: WorkerDouble):
    def give():
        import socket

        return {"a": [1, 2, {"deep": socket.socket()}]}

    worker.load(give)
    end = worker.call()
    assert end.kind == oc.UNSENDABLE
    assert "result['a'][2]['deep'] is a socket.socket" in end.failure["message"]
    worker.load(lambda: (n for n in range(3)))
    assert "result is a generator" in worker.call().failure["message"]


def test_arguments_that_cannot_be_loaded(worker: WorkerDouble):
    worker.load(lambda x: x)
    (token,) = worker.run([b"\x80\x05cno_such_module\nname\n."])
    end = worker.end(token)
    assert end.kind == oc.NOT_RUN
    assert "no_such_module" in end.failure["message"]


def test_lambdas_and_local_classes_come_back_by_value(worker: WorkerDouble):
    worker.load(lambda n: lambda m: n * m)
    assert worker.call(6).value(7) == 42


def die_of(what):
    import ctypes
    import os

    if what == "exit":
        os._exit(3)
    if what == "segv":
        ctypes.string_at(0)
    if what == "kill":
        os.kill(os.getpid(), 9)
    return what


@pytest.mark.parametrize(("what", "status"), [("exit", 3 << 8), ("segv", signal.SIGSEGV), ("kill", signal.SIGKILL)])
def test_a_job_that_kills_its_worker_is_blamed_alone(a_keeper: KeeperDouble, what: str, status: int):
    worker, other = a_keeper.worker(), a_keeper.worker()
    for each in (worker, other):
        each.load(die_of)
    tokens = worker.run([arguments(n) for n in range(50)] + [arguments(what)] + [arguments(n) for n in range(50)])
    died = a_keeper.expect(ch.DIED, worker.id)
    assert int(died["status"]) & 0xFFFF in (status, status | 0x80)
    assert worker.to_blame() == tokens[50]
    assert sorted(worker.ends) == tokens[:50]
    assert worker.unstarted() == tokens[51:]
    assert other.call("fine").value == "fine"


def test_a_cancelled_job(a_keeper: KeeperDouble):
    def sleep(seconds):
        import time

        time.sleep(seconds)
        return "slept"

    worker = a_keeper.worker()
    worker.load(sleep)
    token, after = worker.run([arguments(30), arguments(0)])
    worker.wait(lambda: worker.words[sf.STARTED] == token)
    a_keeper.signal(worker.id, signal.SIGINT)  # nobody's: no cancel word
    worker.pump(0.1)
    assert not worker.ends
    worker.words[sf.CANCEL] = token
    a_keeper.signal(worker.id, signal.SIGINT)
    assert worker.end(token).kind == oc.CANCELLED
    assert worker.end(after).value == "slept"
    a_keeper.signal(worker.id, signal.SIGINT)  # late: the job has ended
    assert worker.call(0).value == "slept"


def test_a_cancelled_job_may_return_its_best(a_keeper: KeeperDouble):
    def search():
        import time

        try:
            time.sleep(30)
        except KeyboardInterrupt:
            return "best so far"

    worker = a_keeper.worker()
    worker.load(search)
    (token,) = worker.run([arguments()])
    worker.wait(lambda: worker.words[sf.STARTED] == token)
    worker.words[sf.CANCEL] = token
    a_keeper.signal(worker.id, signal.SIGINT)
    assert worker.end(token).value == "best so far"


def test_a_coroutine_is_cancelled_too(a_keeper: KeeperDouble):
    async def sleep():
        import asyncio

        await asyncio.sleep(30)

    worker = a_keeper.worker()
    worker.load(sleep)
    (token,) = worker.run([arguments()])
    worker.wait(lambda: worker.words[sf.STARTED] == token)
    worker.pump(0.2)
    worker.words[sf.CANCEL] = token
    a_keeper.signal(worker.id, signal.SIGINT)
    assert worker.end(token).kind == oc.CANCELLED


def test_memory_limit_is_a_memory_error_and_is_lifted_again(worker: WorkerDouble):
    def take(size):
        return len(bytearray(size))

    worker.load(take)
    assert worker.call(300 << 20, options={"memory": b"%d" % (100 << 20)}).failure["type"] == "MemoryError"
    assert worker.call(300 << 20).value == 300 << 20


def test_a_job_that_forks_and_returns_twice_ends_once(worker: WorkerDouble):
    def fork(say):
        import os

        pid = os.fork()
        if pid == 0:
            print("child", say)
            return "from the child"
        os.waitpid(pid, 0)
        return "from the parent"

    worker.load(fork)
    for n in range(3):
        end = worker.call(n)
        assert (end.value, end.stdout) == ("from the parent", b"child %d\n" % n)


def test_multiprocessing_in_a_job(worker: WorkerDouble):
    def pool():
        import multiprocessing

        with multiprocessing.get_context("fork").Pool(2) as workers:
            return workers.map(abs, [-1, -2, -3])

    worker.load(pool)
    assert worker.call().value == [1, 2, 3]
