"""How a program is called: its arguments, environment and place, from the computation and the job's own."""

from __future__ import annotations

import os
from pathlib import Path

from lightwork.node.service.loading import MODULES
from lightwork.node.service.nursery import ProgramOrder
from lightwork.wire.channel import IN_ARENA_BIT
from lightwork.wire.messages import Computation, JobOptions
from lightwork.wire.outcome import decode_fields

PYTHON, DIRECTORY = "{python}", "{directory}"
_CREDENTIALS = "LIGHTWORK_"


class NotCallable(Exception):
    """The program cannot be called like this; the text says why."""


def order(
    token: int, computation: Computation, options: JobOptions, arguments: bytes, length: int, place: Path, python: str
) -> ProgramOrder:
    """What is to be started; `place`: the computation's directory. NotCallable."""
    if length & IN_ARENA_BIT:
        raise NotCallable("the arguments are longer than any system takes")
    try:
        own = list(decode_fields(arguments).values())
    except ValueError as error:
        raise NotCallable(f"the arguments cannot be read: {error}") from None
    argv = [os.fsencode(_filled(part, place, python)) for part in computation.argv] + own
    if not argv:
        raise NotCallable("there is no program to call")
    wanted = ProgramOrder(token, argv, environment(place, options), place)
    wanted.stdin = options.stdin
    wanted.limit = options.output_limit_bytes
    return wanted


def _filled(part: str, place: Path, python: str) -> str:
    if part == PYTHON:
        return python
    if part.startswith(DIRECTORY + "/"):
        return str(place / part[len(DIRECTORY) + 1 :])
    return part


def environment(place: Path, options: JobOptions) -> dict[str, str]:
    """Variables on top of our own: programs and modules shipped with the computation come first."""
    python_path = [str(place / MODULES), str(place), *filter(None, [os.environ.get("PYTHONPATH")])]
    path = [str(place), *filter(None, [os.environ.get("PATH")])]
    return {
        "PYTHONPATH": os.pathsep.join(python_path),
        "PATH": os.pathsep.join(path),
        **{name: value for name, value in options.env if not name.startswith(_CREDENTIALS)},
    }
