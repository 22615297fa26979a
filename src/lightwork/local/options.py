"""What the child process was told on its standard input; see client.launch.LaunchOptions for each field."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, convert


class Options(Struct, frozen=True, kw_only=True):
    """`address`: only for an agent of its own process, which joins the scheduler there."""

    slots: int | None
    name: str
    session: str
    directory: str
    arena_args: int | str | None
    arena_results: int | str | None
    apart: bool
    portable: bool
    uvloop: bool | None
    address: str = ""


def read(given: dict[str, Any]) -> Options:
    """Checked; msgspec.ValidationError names what is wrong."""
    return convert(given, Options)
