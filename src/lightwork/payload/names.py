"""What things are called: functions and classes in tables and errors, and the globals that code uses."""

from __future__ import annotations

import dis
import functools
import types
from typing import Any

NAME_MAX = 255


def name_of(function: Any) -> str:
    """What a computation is called: its own name, or its class's for an object."""
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None) or type(function).__qualname__
    return str(name).replace("<locals>.", "")[-NAME_MAX:]


def a_thing(value: Any) -> str:
    """ "a socket.socket", "an int"."""
    kind = type(value)
    name = (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    )
    return f"a{'n' if name[0] in 'aeiouAEIOU' else ''} {name}"


def globals_of(code: types.CodeType) -> set[str]:
    """Names that code, and the code inside it, looks up in its module."""
    found = {str(step.argval) for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL"}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= globals_of(constant)
    return found
