"""What can be called as a job, besides plain functions: coroutines, modules, chunks."""

from __future__ import annotations

import sys
import types
from typing import Any, Callable, Dict, List, Tuple

from lightwork.wire.outcome import decode_fields


def finish(value: Any) -> Any:
    """The value, or what the coroutine comes to."""
    if isinstance(value, types.CoroutineType):
        return run_coroutine(value)
    return value


def run_coroutine(coroutine: Any) -> Any:
    """Run a job that is a coroutine on an event loop of its own."""
    import asyncio

    return asyncio.run(coroutine)


# --- modules


def unpack_arguments(payload: Any) -> Tuple[Tuple[List[str]], Dict[str, Any]]:
    """Arguments of a module's or program's job: fields "0", "1", ..."""
    fields = decode_fields(payload)
    return ([fields[str(n)].decode("utf-8", "surrogateescape") for n in range(len(fields))],), {}


class ModuleExit(Exception):
    """A module ended by itself or by sys.exit, as a program does."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def module_runner(name: str) -> Callable[[List[str]], None]:
    """A function that runs a module as `python -m name arguments` would."""

    def run_module(arguments: List[str]) -> None:
        import runpy

        argv, main = sys.argv, sys.modules.get("__main__")
        sys.argv = [name, *arguments]
        try:
            runpy.run_module(name, run_name="__main__", alter_sys=True)
        except SystemExit as exit_:
            raise ModuleExit(exit_code(exit_)) from None
        finally:
            sys.argv = argv
            if main is not None:
                sys.modules["__main__"] = main
        raise ModuleExit(0)

    return run_module


def exit_code(error: SystemExit) -> int:
    """What the process would exit with; words go to stderr."""
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    sys.stderr.write("%s\n" % (error.code,))
    return 1


# --- chunks


class Chunk:
    """Calls a function for each tuple of a list; `item` is the one at work, or that failed."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call
        self.item = -1

    def __call__(self, tuples: List[Tuple[Any, ...]], **kwargs: Any) -> List[Any]:
        results = []
        self.item = -1
        call = self._call
        for self.item, args in enumerate(tuples):
            results.append(finish(call(*args, **kwargs)))
        self.item = -1
        return results
