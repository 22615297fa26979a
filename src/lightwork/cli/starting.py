"""How a process of ours that stays is started: as a service, apart from its terminal, or here.

options --> `--service`: a unit with these options | `--detach`: another process with them | neither: it runs here
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Protocol

from lightwork.cli import output
from lightwork.model.errors import UserError


class HowToRun(Protocol):
    """The options that all of them have."""

    @property
    def detach(self) -> bool: ...
    @property
    def service(self) -> bool: ...
    @property
    def detached(self) -> bool: ...


class Foreground:
    """Tells on our own streams."""

    def at_home(self, name: str) -> None:
        """It has its directory, and the name that goes with it."""

    def announce(self, line: str) -> None:
        """Where it is, on standard output: for a person to read and paste."""
        print(line, flush=True)

    def hint(self, text: str) -> None:
        """What else its owner should know."""
        output.say(f"hint: {text}")

    def up(self, trouble: str = "") -> None:
        """It works, or tries to join; the log has said what is wrong."""


def check(options: HowToRun) -> None:
    """UserError: not both."""
    if options.detach and options.service:
        raise UserError("--detach and --service: a service stays in the foreground of systemd", hint="leave out one")


def start(what: str, options: HowToRun, words: list[str], serve: Callable[[], int]) -> int:
    """The exit status. `words`: the command line, for another process."""
    if options.service:
        from lightwork.cli.service import print_unit

        return print_unit(words, what)
    if options.detach:
        from lightwork.cli import detach

        return detach.start(words, what)
    os.umask(0o077)
    return serve()


def report(what: str, options: HowToRun) -> Any:
    """To whom the program tells how it is."""
    if options.detached:
        from lightwork.cli.detach import Report

        return Report(what)
    return Foreground()


def run(program: Coroutine[Any, Any, int]) -> int:
    """Here, until it is over; the exit status."""
    from lightwork.kit.loop import run_loop

    return run_loop(program, uvloop=False if os.environ.get("LIGHTWORK_NO_UVLOOP") == "1" else None)


# --- the command line, as another process in another directory may be given it ---


def absolute(path: str) -> str:
    """From anywhere."""
    return os.path.abspath(os.path.expanduser(path))


def values(options: object, names: Iterable[str]) -> list[str]:
    """`--name VALUE` for each that is given."""
    return [word for name in names if (value := getattr(options, name)) for word in (_flag(name), value)]


def files(options: object, names: Iterable[str]) -> list[str]:
    """The same, with paths."""
    return [word for name in names if (value := getattr(options, name)) for word in (_flag(name), absolute(value))]


def flags(options: object, names: Iterable[str]) -> list[str]:
    """`--name` for each that is set."""
    return [_flag(name) for name in names if getattr(options, name)]


def each(flag: str, given: Iterable[str]) -> list[str]:
    """An option that may be given several times."""
    return [word for value in given for word in (flag, value)]


def listed(given: Iterable[str]) -> tuple[str, ...]:
    """`("a,b", "c")` as three, each once."""
    return tuple(dict.fromkeys(name.strip() for text in given for name in text.split(",") if name.strip()))


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
