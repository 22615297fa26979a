"""What the child process was told on its standard input; see client.launch.LaunchOptions for each field."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, convert


class Options(Struct, frozen=True, kw_only=True):
    """`address`: only for an agent or node of its own process, which joins the scheduler there; `state`, `recover`:
    only for a durable scheduler and its node."""

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
    local: bool = True
    credential: Any = None  # a Credential, whose own text shows no secret
    weak_secret: bool = False
    listen: str = ""
    pulse_s: float = 0.0
    ask_s: float = 0.0
    state: str = ""
    recover: str = ""


def read(given: dict[str, Any]) -> Options:
    """Checked; msgspec.ValidationError names what is wrong."""
    if given.get("credential") is not None:
        from lightwork.security.credential import Credential  # only then

        given = {**given, "credential": convert(given["credential"], Credential)}
    return convert(given, Options)
