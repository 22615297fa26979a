"""Every kind of thing that cannot travel, and the sentence that says so; for the payload room and for real clusters."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import mmap
import queue
import socket
import sqlite3
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple


class Case(NamedTuple):
    """`make` gives (computation, args, kwargs); the error says `sentence`, and its hint `hint`."""

    name: str
    make: Callable[[], tuple[Any, tuple[Any, ...], dict[str, Any]]]
    sentence: str
    hint: str


def nothing(*args, **kwargs):
    return None


def capturing(thing: Any) -> Callable[[], Any]:
    def work():
        return thing

    return work


def _globals(**names: Any) -> dict[str, Any]:
    return {"__name__": "__main__", **names}


def using_global(thing: Any) -> Any:
    namespace = _globals(connection=thing)
    exec("def helper():\n    return connection\ndef work():\n    return helper()", namespace)
    return namespace["work"]


def with_default(thing: Any) -> Any:
    namespace = _globals(thing=thing)
    exec("def work(n, handle=thing):\n    return handle", namespace)
    return namespace["work"]


class Holder:
    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def method(self):
        return self.thing


def class_with(thing: Any) -> type:
    namespace = _globals(thing=thing)
    exec("class Work:\n    handle = thing\n    def __init__(self): pass", namespace)
    return namespace["Work"]


class Stubborn:
    def __reduce__(self):
        raise RuntimeError("I will not go")


def numbers():
    yield 1


async def async_numbers():
    yield 1


def executor() -> Any:
    return concurrent.futures.ThreadPoolExecutor(1)


def thing_of(name: str) -> Any:
    """One example of each kind that belongs to its process."""
    return THINGS[name]()


def _sleeper() -> Any:
    return subprocess.Popen([sys.executable, "-c", ""])


THINGS: dict[str, Callable[[], Any]] = {
    "lock": threading.Lock,
    "rlock": threading.RLock,
    "event": threading.Event,
    "condition": threading.Condition,
    "semaphore": threading.Semaphore,
    "thread": lambda: threading.Thread(target=print),
    "local": threading.local,
    "queue": queue.Queue,
    "simple queue": queue.SimpleQueue,
    "socket": socket.socket,
    "file": lambda: open(__file__),
    "binary file": lambda: open(__file__, "rb"),
    "connection": lambda: sqlite3.connect(":memory:"),
    "generator": numbers,
    "coroutine": lambda: async_numbers(),
    "frame": sys._getframe,
    "memory map": lambda: mmap.mmap(-1, 4096),
    "weak reference": lambda: weakref.ref(Holder(1)),
    "process": _sleeper,
    "executor": executor,
    "future": concurrent.futures.Future,
    "event loop": asyncio.new_event_loop,
    "context": contextvars.copy_context,
    "context variable": lambda: contextvars.ContextVar("v"),
    "memoryview": lambda: memoryview(b"abc"),
}


def _of_thing(name: str, sentence: str, hint: str) -> Case:
    return Case(
        name, lambda: (nothing, (1, thing_of(name)), {}), f"argument 2 is {sentence}, which cannot travel", hint
    )


CASES = [
    _of_thing("lock", "a lock", "make it inside the function"),
    _of_thing("rlock", "a lock", "make it inside the function"),
    _of_thing("event", "a threading.Event", "inside"),
    _of_thing("condition", "a condition", "inside"),
    _of_thing("semaphore", "a semaphore", "inside"),
    _of_thing("thread", "a thread", "start it inside"),
    _of_thing("local", "a threading.local", "inside"),
    _of_thing("queue", "a queue.Queue", "send_provisional"),
    _of_thing("simple queue", "a queue.SimpleQueue", "send_provisional"),
    _of_thing("socket", "a socket", "connect inside"),
    _of_thing("file", f"an open file ('{__file__}')", "open it inside"),
    _of_thing("binary file", f"an open file ('{__file__}')", "open it inside"),
    _of_thing("connection", "a database connection (sqlite3.Connection)", "connect inside"),
    _of_thing("generator", "a generator", "list(...)"),
    _of_thing("coroutine", "an async generator", "give a list"),
    _of_thing("frame", "a stack frame", "values"),
    _of_thing("memory map", "a memory map", "path"),
    _of_thing("weak reference", "a weak reference", "the object itself"),
    _of_thing("process", "a running process", "start it inside"),
    _of_thing("executor", "an executor", "inside"),
    _of_thing("future", "a future", "result()"),
    _of_thing("event loop", "an event loop", "gets its own"),
    _of_thing("context", "a context", "inside"),
    _of_thing("context variable", "a context variable", "inside"),
    Case(
        "captured variable",
        lambda: (capturing(threading.Lock()), (), {}),
        "the variable 'thing' captured by function capturing.work is a lock, which cannot travel to another process.",
        "in setup=",
    ),
    Case(
        "captured two functions away",
        lambda: (capturing(capturing(threading.Lock())), (), {}),
        "the variable 'thing' captured by function capturing.work is a lock, which cannot travel to another process "
        "(reached through function capturing.work).",
        "in setup=",
    ),
    Case(
        "inside of a captured container",
        lambda: (capturing({"a": [1, threading.Lock()]}), (), {}),
        "the variable 'thing' captured by function capturing.work, at ['a'][1], is a lock",
        "in setup=",
    ),
    Case(
        "global of a helper",
        lambda: (using_global(sqlite3.connect(":memory:")), (), {}),
        "the global 'connection' used by function helper is a database connection (sqlite3.Connection), which cannot "
        "travel to another process (reached through function work).",
        "in setup=",
    ),
    Case(
        "default of a parameter",
        lambda: (with_default(socket.socket()), (), {}),
        "the default of 'handle' in function work is a socket",
        "connect inside",
    ),
    Case(
        "object of a bound method",
        lambda: (Holder(threading.Lock()).method, (), {}),
        "the object that is bound to method Holder.method, at .thing, is a lock",
        "inside",
    ),
    Case(
        "attribute of a class",
        lambda: (class_with(threading.Lock()), (), {}),
        "the attribute 'handle' of class Work is a lock",
        "inside",
    ),
    Case(
        "argument of a partial",
        lambda: (functools.partial(nothing, 1, threading.Lock()), (), {}),
        "argument 2 of the partial is a lock",
        "inside",
    ),
    Case(
        "item of an argument",
        lambda: (nothing, (1, {"a": [open(__file__)]}), {}),
        f"argument 2, at ['a'][0], is an open file ('{__file__}')",
        "give the path",
    ),
    Case(
        "attribute of an argument",
        lambda: (nothing, (Holder([threading.Lock()]),), {}),
        "argument 1, at .thing[0], is a lock",
        "inside",
    ),
    Case(
        "keyword argument",
        lambda: (nothing, (), {"handle": threading.Lock()}),
        "argument 'handle' is a lock",
        "inside",
    ),
    Case(
        "a refusal of one's own",
        lambda: (nothing, ([Stubborn()],), {}),
        "Stubborn and cannot travel to another process: I will not go.",
        "",
    ),
    Case("generator function", lambda: (numbers, (), {}), "numbers is a generator function", "return a list"),
    Case(
        "async generator function", lambda: (async_numbers, (), {}), "is an async generator function", "return a list"
    ),
    Case(
        "partial of a generator function",
        lambda: (functools.partial(numbers), (), {}),
        "numbers is a generator function",
        "return a list",
    ),
    Case("a number", lambda: (3, (), {}), "computation must be a function, class or other callable, not an int", ""),
    Case(
        "nothing", lambda: (None, (), {}), "computation must be a function, class or other callable, not a NoneType", ""
    ),
    Case(
        "a list of words",
        lambda: (["echo", "1"], (), {}),
        "computation must be a function, class or other callable, not a list",
        "JobCluster('program')",
    ),
]


@contextmanager
def made(case: Case) -> Iterator[tuple[Any, tuple[Any, ...], dict[str, Any]]]:
    """What a case is made of; open things are closed afterwards."""
    computation, args, kwargs = case.make()
    try:
        yield computation, args, kwargs
    finally:
        for value in args:
            for name in ("close", "terminate", "shutdown"):
                ending = getattr(value, name, None)
                if callable(ending) and not isinstance(value, type):
                    ending()
                    break
            if isinstance(value, subprocess.Popen):
                value.wait()
