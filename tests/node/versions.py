"""The interpreters of this machine, found as a node finds them, and functions that any of them can load."""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path
from typing import Any

import pytest

from lightwork.node.service.interpreter_search import InterpreterSearch
from lightwork.node.service.interpreters import Interpreter, Interpreters
from lightwork.wire.messages import Computation
from tests.node.test_files import file

VERSIONS = [(3, 8), (3, 9), (3, 10), (3, 11), (3, 12), (3, 13)]
OWN = Interpreters().versions()[0]


@functools.cache
def here() -> tuple[Interpreter, ...]:
    """All that a search finds, our own first."""

    async def search() -> tuple[Interpreter, ...]:
        found = Interpreters()
        await InterpreterSearch(found).look_around(patience_s=30.0)
        return tuple(found.known)

    return asyncio.run(search())


def offering(*versions: tuple[int, int]) -> Interpreters:
    """Our own and these; the test is skipped if one is not on this machine."""
    made = Interpreters()
    for version in versions:
        found = [one for one in here() if one.version == version]
        if not found:
            pytest.skip(f"no Python {version[0]}.{version[1]} on this machine")
        if version != OWN:
            made.known.append(found[0])
    return made


def others() -> list[tuple[int, int]]:
    """Two versions that are not ours; the test is skipped if there are fewer."""
    found = [one.version for one in here()[1:]]
    if len(found) < 2:
        pytest.skip("fewer than two other versions of Python on this machine")
    return found[:2]


def named(module: str, name: str) -> bytes:
    """A function of a module that is found at the other side, as a computation."""
    return b"\x80\x04(c%s\n%s\n}N}t." % (module.encode(), name.encode())


def call_of(module: str, name: str) -> bytes:
    """A setup or cleanup."""
    return b"\x80\x04c%s\n%s\n)}\x87." % (module.encode(), name.encode())


def shipped(scheduler: Any, name: str, python: tuple[int, int], **fields: Any) -> Computation:
    """The function `name` of the module `shipped_jobs.py`, for a version. What is shipped is source, so all load it."""
    text = Path(__file__).with_name("shipped_jobs.py").read_bytes()
    files = (file("shipped_jobs.py", text, scheduler),)
    fields.setdefault("digest", f"{name}-{python[0]}-{python[1]}")
    payload = named("shipped_jobs", name)
    return Computation(kind="function", name=name, payload=payload, files=files, python=python, **fields)
