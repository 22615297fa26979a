"""Tables of jobs: what is called with what, and what it returns. Written for any Python that a worker may have."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any, Callable, NamedTuple  # noqa: UP035


class Kind(NamedTuple):
    """One row: a job of `computation` with these arguments returns `expected`."""

    name: str
    computation: Any
    args: tuple[Any, ...] = ()
    expected: Any = None
    kwargs: dict[str, Any] = {}


def failures(run: Callable[..., Any], table: list[Kind]) -> list[str]:
    """Run all; what did not return what it should, one line each."""
    found = []
    for kind in table:
        try:
            value = run(kind.computation, kind.args, kind.kwargs)
        except Exception as error:
            found.append(f"{kind.name}: {type(error).__name__}: {error}")
            continue
        if kind.expected is not None and value != kind.expected:
            found.append(f"{kind.name}: {value!r}, not {kind.expected!r}")
    return found


def main(table: list[Kind]) -> None:
    """Run what the arguments name, or all, with the `run` of the module that LIGHTWORK_TEST_RUN names."""
    run = importlib.import_module(os.environ["LIGHTWORK_TEST_RUN"]).run
    names = sys.argv[1:]
    table = [kind for kind in table if not names or kind.name in names]
    wrong = failures(run, table)
    print("\n".join([*wrong, f"{len(table) - len(wrong)} of {len(table)} kinds"]))
