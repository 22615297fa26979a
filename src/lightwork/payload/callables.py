"""What can be a computation."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from lightwork.model.errors import CannotTravel, UserError
from lightwork.payload import names


def check(role: str, function: Any) -> None:
    """Raise if `function` cannot be called, or if what it returns could never travel."""
    if not callable(function):
        raise UserError(
            f"{role} must be a function, class or other callable, not {names.a_thing(function)}.",
            hint=_hint_for(role, function),
        )
    called = _called(function)
    if inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called):
        kind = "an async generator" if inspect.isasyncgenfunction(called) else "a generator"
        raise CannotTravel(
            f"{role} {names.name_of(function)} is {kind} function: what it returns cannot travel to another process.",
            hint="return a list, or send each item with lightwork.send_provisional",
        )


def _called(function: Any) -> Any:
    """The code behind partials and callable objects."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function) or isinstance(function, type):
        return function
    return getattr(type(function), "__call__", function)  # noqa: B004 - we want the method itself


def _hint_for(role: str, value: Any) -> str:
    if inspect.iscoroutine(value):
        return "give the function itself, without calling it"
    if isinstance(value, list | tuple) and role == "computation":
        return "a program's arguments are given with each job: JobCluster('program'), cluster.submit('arg')"
    return ""
