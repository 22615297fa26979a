"""The arguments of a job again, from what travelled: for a later life of the program that submitted it."""

from __future__ import annotations

from typing import Any

from lightwork.payload.reading import unpack_memory, unpack_value
from lightwork.wire.messages import FUNCTION
from lightwork.wire.outcome import decode_fields

Call = tuple[tuple[Any, ...], dict[str, Any]]


def unpack_call(kind: str, payload: bytes | memoryview) -> Call:
    """Arguments and keyword arguments; of a program: its arguments as text. Raises whatever unpickling raises."""
    if kind == FUNCTION:
        args, kwargs = unpack_value(payload) if isinstance(payload, bytes) else unpack_memory(payload)
        return tuple(args), dict(kwargs)
    written = decode_fields(bytes(payload)).values()
    return tuple(argument.decode("utf-8", "surrogateescape") for argument in written), {}
