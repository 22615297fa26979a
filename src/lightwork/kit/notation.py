"""One notation for events and commands: `> Event field=value ...` and `< Command ...`.

The format of transcript tests, of the debug log and of a job's biography. Fields that are empty or at their default are
left out; bytes are given by their size, attempt tokens as epoch.number, columns as 1,2,3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any

COLUMN_SHOWN = 12  # further entries are counted only
TOKEN_BITS = 40


def render(record: Any) -> str:
    """A record with annotated fields (a struct) as one line."""
    fields = (f"{name}={shown}" for name, shown in _told(record))
    return " ".join((type(record).__name__, *fields))


def _told(record: Any) -> Iterator[tuple[str, str]]:
    """The fields that say something: no defaults, nothing empty."""
    names: Sequence[str] = record.__struct_fields__
    values: Sequence[Any] = record.__struct_defaults__
    defaults = dict(zip(names[len(names) - len(values) :], values, strict=True))
    for name in names:
        value = getattr(record, name)
        shown = render_value(value)
        if shown != "-" and (name not in defaults or value != defaults[name]):
            yield name, shown


def render_value(value: Any) -> str:
    """One field's value."""
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value)}B"
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1 << TOKEN_BITS:
        return f"{value >> TOKEN_BITS}.{value & ((1 << TOKEN_BITS) - 1)}"
    if isinstance(value, tuple) and value and all(isinstance(item, tuple) and len(item) == 2 for item in value):
        return ",".join(str(name) for name, _ in value)  # pairs, such as variables: what they hold may be secret
    if isinstance(value, list | tuple):
        shown = ",".join(render_value(item) for item in value[:COLUMN_SHOWN])
        return shown + (f",...{len(value)}" if len(value) > COLUMN_SHOWN else "") or "-"
    if isinstance(value, dict):
        return ",".join(sorted(map(str, value))) or "-"
    if hasattr(value, "__struct_fields__"):
        named = getattr(value, "name", "") or getattr(value, "digest", "")
        return named or ",".join(f"{name}:{shown}" for name, shown in _told(value)) or "-"
    return str(value).replace(" ", "_").replace("\n", "|") or "-"
