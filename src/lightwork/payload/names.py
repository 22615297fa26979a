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


_GLOBAL = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")  # the last two in the bodies of classes


def globals_of(code: types.CodeType) -> set[str]:
    """Names that code, and the code inside it, looks up in its module."""
    steps = list(dis.get_instructions(code))
    stored = {step.argval for step in steps if step.opname == "STORE_NAME"}
    found = {str(step.argval) for step in steps if step.opname in _GLOBAL and step.argval not in stored}
    return found | globals_inside(code)


def globals_inside(code: types.CodeType) -> set[str]:
    """Those that only the code inside it looks up."""
    return {name for inner in code.co_consts if isinstance(inner, types.CodeType) for name in globals_of(inner)}
