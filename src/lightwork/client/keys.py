"""Keys that jobs were submitted under: a key that the session knows never runs again.

Known are those that the scheduler told of when this life of the program began, and those of this life.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from lightwork.client.past import Past
from lightwork.model.errors import UserError

KEY_MAX = 255  # bytes
_SHOWN = 60


class Known(NamedTuple):
    """The job that has a key."""

    number: int
    print: bytes  # of its arguments
    computation: str  # its name


def check_key(key: object) -> str:
    """A key, as users give it."""
    if not isinstance(key, str):
        raise UserError(f"key={key!r} must be text.", hint="str(key), if that names the same thing in every run")
    if not key or len(key.encode("utf-8", "surrogatepass")) > KEY_MAX:
        raise UserError(f"key={key[:_SHOWN]!r} must have 1 to {KEY_MAX} bytes.")
    return key


class Keys:
    """Of one session. The caller holds the session's lock."""

    def __init__(self) -> None:
        self._known: dict[str, Known] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._known

    def learn(self, pasts: Iterable[Past]) -> None:
        """Jobs of earlier lives."""
        for past in pasts:
            if past.key:
                self._known[past.key] = Known(past.number, past.print, past.name)

    def add(self, key: str, known: Known) -> None:
        """A new job has it."""
        self._known[key] = known

    def drop(self, keys: Iterable[str]) -> None:
        """Their jobs were not taken: they may be submitted again."""
        for key in keys:
            self._known.pop(key, None)

    def find(
        self, key: str, mark: bytes, computation: str, call: tuple[tuple[Any, ...], dict[str, Any]], session: str
    ) -> int | None:
        """The number of the job that has this key. UserError: its arguments, or its function, were others."""
        known = self._known.get(key)
        if known is None:
            return None
        whose = f"The key {key!r} belongs to job {session}/{known.number}"
        if known.computation != computation:
            raise UserError(
                f"{whose} of {known.computation}, and cannot be another one's, of {computation}.",
                hint="put the function's name into the key; name= of a cluster counts as its function's name",
            )
        if known.print and mark != known.print:
            raise UserError(
                f"{whose}, which had other arguments than {computation}{_shown(call)}.",
                hint="a key names one piece of work for the life of the session: new arguments need a new key",
            )
        return known.number


def _shown(call: tuple[tuple[Any, ...], dict[str, Any]]) -> str:
    args, kwargs = call
    parts = [_brief(value) for value in args] + [f"{name}={_brief(value)}" for name, value in kwargs.items()]
    text = ", ".join(parts)
    return f"({text if len(text) <= 2 * _SHOWN else text[: 2 * _SHOWN] + '...'})"


def _brief(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  a __repr__ of the user's may raise anything, and this is an error's text already
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
