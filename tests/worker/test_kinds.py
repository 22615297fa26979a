"""Every kind of callable that can be a computation, in the worker."""

from __future__ import annotations

import functools
import math
from typing import Any

import cloudpickle
import pytest

from lightwork.wire import outcome as oc
from tests.worker.agent_double import WorkerDouble

OFFSET = 100


class Scale:
    """A class, whose instances are callable too."""

    unit = 3

    def __init__(self, factor: int = 1) -> None:
        self.factor = factor

    def times(self, n: int) -> int:
        return self.factor * n

    def __call__(self, n: int) -> int:
        return self.factor * n + OFFSET

    @classmethod
    def units(cls, n: int) -> int:
        return cls.unit * n

    @staticmethod
    def plain(n: int) -> int:
        return n + OFFSET


def closure(step: int) -> Any:
    return lambda n: n + step


def twice(function: Any) -> Any:
    @functools.wraps(function)
    def both(n: int) -> Any:
        return function(function(n))

    return both


@twice
def decorated(n: int) -> int:
    return n + 1


async def coroutine(n: int) -> int:
    import asyncio

    await asyncio.sleep(0)
    return n * 10


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda n: n + OFFSET, 105),
        (closure(2), 7),
        (decorated, 7),
        (Scale(4).times, 20),
        (Scale(4), 120),
        (Scale.units, 15),
        (Scale.plain, 105),
        (functools.partial(pow, 2), 32),
        (math.factorial, 120),
        (str, "5"),
        (coroutine, 50),
        (functools.partial(coroutine), 50),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_kind_of_callable(worker: WorkerDouble, call: Any, expected: Any):
    worker.load(call)
    assert worker.call(5).value == expected


def test_a_class_makes_instances_and_they_come_back(worker: WorkerDouble):
    worker.load(Scale)
    end = worker.call(6)
    made = end.value
    assert type(made) is Scale, "the client's own class, not a twin of it"
    assert made.times(2) == 12


def test_a_module_runs_as_a_program(worker: WorkerDouble, tmp_path):
    (tmp_path / "greet.py").write_text("import sys\nprint(__name__, sys.argv[1:])\nsys.exit(len(sys.argv) - 1)\n")
    worker.load(None, kind=b"module", name=b"greet")
    (token,) = worker.run([oc.encode_fields({"0": b"hello", "1": b"you"})])
    end = worker.end(token)
    assert (end.kind, end.failure["exit_code"]) == (oc.EXITED, "2")
    assert end.stdout == b"__main__ ['hello', 'you']\n"
    (token,) = worker.run([b""])
    end = worker.end(token)
    assert (end.kind, end.outcome.value) == (oc.RETURNED, b"")


def test_shipped_modules_and_files_are_found(worker: WorkerDouble, tmp_path):
    modules = tmp_path / ".lightwork" / "modules"
    modules.mkdir(parents=True)
    (modules / "shipped_helper.py").write_text("def answer(): return 42\n")
    (tmp_path / "data.txt").write_text("beside")

    def use():
        import shipped_helper  # type: ignore[import-not-found]

        with open("data.txt") as file:
            return shipped_helper.answer(), file.read()

    worker.load(use, module_dir=bytes(modules))
    assert worker.call().value == (42, "beside")


def test_init_and_injected_names(worker: WorkerDouble):
    def helper(n):
        return n + 1

    def init():
        globals()["started"] = "yes"

    def use(n):
        return globals()["helper_name"](n), globals()["started"]

    payload = cloudpickle.dumps((use, {"helper_name": helper}, init))
    worker.load(None, payload=payload)
    assert worker.call(1).value == (2, "yes")
