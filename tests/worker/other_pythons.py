"""Runs packed computations in real workers of another Python, where nothing of ours is installed.

`run` is what the table of kinds is run with (tests/payload/kinds.py); LIGHTWORK_TEST_PYTHON names the version.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lightwork.model.errors import CannotTravel
from lightwork.model.states import JobState
from lightwork.payload.arguments import pack_job
from lightwork.payload.computation import PAYLOADS, SOURCE, PackedComputation, pack_computation
from lightwork.payload.results import Ended, unpack_outcome
from lightwork.wire import channel as ch, outcome as oc
from tests.house.helpers import interpreter
from tests.payload.elsewhere import place_files
from tests.worker.agent_double import End, KeeperDouble, WorkerDouble, keeper

VERSIONS = ["3.8", "3.9", "3.10", "3.12", "3.13"]


class LoadFailed(Exception):
    """The worker refused the computation; `fields` says why."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__(f"{fields.get('type')}: {fields.get('message')}")
        self.fields = fields


class Machine:
    """The workers of one version."""

    def __init__(self, version: str, top: Path, keeper_double: KeeperDouble) -> None:
        self.version = version
        self._top = top
        self._keeper = keeper_double
        self._numbers = itertools.count()

    def place(self, packed: PackedComputation) -> Path:
        """A directory with its files."""
        directory = self._top / str(next(self._numbers))
        place_files(directory, packed.wire.files, packed.blobs)
        return directory

    def loaded(self, packed: PackedComputation, more: dict[str, bytes] | None = None) -> WorkerDouble:
        """A worker that holds a computation. Raises LoadFailed."""
        directory = self.place(packed)
        self._keeper.directory = directory
        worker = self._keeper.worker()
        frame = worker.load(None, fields={**load_fields(packed, directory), **(more or {})})
        if frame.kind != ch.LOADED:
            fields = oc.decode_fields(frame.body)
            raise LoadFailed({key: value.decode("utf-8", "replace") for key, value in fields.items()})
        return worker

    def run(self, computation: Any, args: Any = (), kwargs: Any = None, **options: Any) -> Any:
        """What a job returns; raises what it raises."""
        packed, payload = pack_job(pack_computation(computation, source=True, **options), tuple(args), kwargs or {})
        if packed.wire.untravellable:
            raise CannotTravel(packed.wire.untravellable)
        worker = self.loaded(packed)
        (token,) = worker.run([payload if isinstance(payload, bytes) else payload.to_bytes()])
        ended = opened(worker.end(token))
        if ended.error is not None:
            raise ended.error
        return ended.value


def load_fields(packed: PackedComputation, directory: Path) -> dict[str, bytes]:
    """What LOAD says of a computation that goes as source."""
    assert not packed.wire.untravellable
    fields = {"python": b"%d.%d" % packed.wire.python, "module_dir": os.fsencode(directory / ".lightwork" / "modules")}
    aside = [file.path for file in packed.wire.files if file.path.startswith(PAYLOADS) and file.path.endswith(SOURCE)]
    if aside:
        return {**fields, "source_file": os.fsencode(directory / aside[0])}
    return {**fields, "source": packed.wire.source}


def opened(end: End) -> Ended:
    """An end as the client reads it."""
    state = JobState.FINISHED if end.kind == oc.RETURNED else JobState.FAILED
    return unpack_outcome(state, end.status & ~oc.IN_ARENA | oc.ENVELOPE, oc.encode_outcome(end.outcome))


@contextlib.contextmanager
def machine(version: str) -> Iterator[Machine]:
    """Workers of this version, nothing lent to them. LookupError: there is no such Python here."""
    python = interpreter(version)
    if python is None:
        raise LookupError(f"no Python {version} on this machine")
    with tempfile.TemporaryDirectory() as top, keeper(Path(top), python) as made:
        yield Machine(version, Path(top), made)


@functools.cache
def _machine() -> Machine:
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(machine(os.environ["LIGHTWORK_TEST_PYTHON"]))


def run(computation: Any, args: Any = (), kwargs: Any = None, depends: Any = ()) -> Any:
    """What a job of this computation returns."""
    return _machine().run(computation, args, kwargs, depends=depends)
