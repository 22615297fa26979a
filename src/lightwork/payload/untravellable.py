"""Kinds of things that belong to one process, what we call them, and what to do instead."""

from __future__ import annotations

import io
from typing import Any, NamedTuple

from lightwork.payload import names


class Description(NamedTuple):
    """What something is, and what to do; `known`: no need to look inside."""

    what: str
    hint: str = ""

    @property
    def known(self) -> bool:
        return bool(self.hint)


_INSIDE = "make it inside the function, or in setup="
_CONNECT = "connect inside the function, or in setup="
_CLUSTER = "jobs are submitted by the program that made the cluster; return what the next jobs need"

# Type, as its module and name say it -> what it is, and what to do. By name: nothing is imported for their sake.
_KINDS = {
    "_thread.lock": ("a lock", _INSIDE),
    "_thread.RLock": ("a lock", _INSIDE),
    "threading.Condition": ("a condition", _INSIDE),
    "threading.Event": ("a threading.Event", _INSIDE),
    "threading.Semaphore": ("a semaphore", _INSIDE),
    "threading.Barrier": ("a barrier", _INSIDE),
    "threading.Thread": ("a thread", "start it inside the function"),
    "_thread._local": ("a threading.local", _INSIDE),
    "queue.Queue": ("a queue.Queue", "give a list, or send items with lightwork.send_provisional"),
    "_queue.SimpleQueue": ("a queue.SimpleQueue", "give a list, or send items with lightwork.send_provisional"),
    "_socket.socket": ("a socket", _CONNECT),
    "ssl.SSLSocket": ("a TLS connection", _CONNECT),
    "_ssl._SSLContext": ("a TLS context", _INSIDE),
    "sqlite3.Connection": ("a database connection (sqlite3.Connection)", _CONNECT),
    "sqlite3.Cursor": ("a database cursor (sqlite3.Cursor)", _CONNECT),
    "builtins.generator": ("a generator", "give a list: list(...)"),
    "builtins.async_generator": ("an async generator", "give a list"),
    "builtins.coroutine": ("a coroutine", "give the function, without calling it"),
    "builtins.frame": ("a stack frame", "give the values that are needed of it"),
    "builtins.traceback": ("a traceback", "give its text: traceback.format_exc()"),
    "builtins.memoryview": ("a memoryview", "give bytes(...) of it"),
    "builtins.PyCapsule": ("a handle of C code (PyCapsule)", _INSIDE),
    "weakref.ReferenceType": ("a weak reference", "give the object itself"),
    "mmap.mmap": ("a memory map", "give the path, and map it inside the function"),
    "subprocess.Popen": ("a running process", "start it inside the function"),
    "select.epoll": ("an epoll object", _INSIDE),
    "contextvars.Context": ("a context", _INSIDE),
    "_contextvars.Context": ("a context", _INSIDE),
    "_contextvars.ContextVar": ("a context variable", _INSIDE),
    "_asyncio.Future": ("an asyncio future", "await it first, and give its result"),
    "_asyncio.Task": ("an asyncio task", "await it first, and give its result"),
    "asyncio.events.AbstractEventLoop": ("an event loop", "an async function gets its own"),
    "concurrent.futures._base.Executor": ("an executor", _INSIDE),
    "concurrent.futures._base.Future": ("a future", "give its result()"),
    "multiprocessing.queues.Queue": ("a multiprocessing queue", "return values, or lightwork.send_provisional"),
    "multiprocessing.synchronize.SemLock": ("a multiprocessing lock", _INSIDE),
    "multiprocessing.pool.Pool": ("a multiprocessing pool", _INSIDE),
    "_ctypes._Pointer": ("a pointer", "give what it points to"),
    "lightwork.client.cluster.JobCluster": ("a JobCluster", _CLUSTER),
    "lightwork.client.job.Job": ("a Job", "give its result: job()"),
}
_FILE = "give the path, and open it inside the function"


def describe(value: Any) -> Description:
    """What `value` is for a reader; known kinds come with a hint."""
    if isinstance(value, io.IOBase) and not isinstance(value, io.BytesIO | io.StringIO):
        name = getattr(value, "name", None)
        return Description(f"an open file ({name!r})" if isinstance(name, str | bytes) else "an open file", _FILE)
    for kind in type(value).__mro__:
        found = _KINDS.get(f"{kind.__module__}.{kind.__qualname__}")
        if found is not None:
            return Description(*found)
    return Description(names.a_thing(value))
