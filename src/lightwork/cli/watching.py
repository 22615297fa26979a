"""What all commands that look into a scheduler share: which one is meant, how it is reached, how errors are told.

--scheduler ADDRESS --> that one
nothing             --> this user's own on this machine: places (config.places), and programs with a JobCluster
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

if TYPE_CHECKING:
    from lightwork.client.watching import Watcher

FAILED = 1
PIPE_CLOSED = 141  # what a shell reports of a program that died of SIGPIPE

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_OPTIONS = (
    click.option("--scheduler", metavar="ADDRESS", help="Which one: host, host:port, unix:/path.  [yours, here]"),
    click.option("--secret-file", metavar="FILE", help="The secret that it knows is in this file."),
    click.option("--certfile", metavar="FILE", help="Your own certificate, instead of a secret; may hold the key too."),
    click.option("--keyfile", metavar="FILE", help="Its key."),
    click.option("--cafile", metavar="FILE", help="Who must have signed the scheduler's certificate."),
    click.option("--weak-secret", is_flag=True, help="Use a secret that can be guessed beyond this machine too."),
    click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output."),
)


def options(command: F) -> F:
    """The options by which a scheduler is chosen and reached."""
    for add in reversed(_OPTIONS):
        command = add(command)
    return command


@dataclass(frozen=True)
class Where:
    """These options."""

    scheduler: str | None = None
    secret_file: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    cafile: str | None = None
    weak_secret: bool = False
    as_json: bool = False


def split(given: dict[str, Any]) -> Where:
    """Takes them out of a command's options."""
    return Where(**{name: given.pop(name) for name in Where.__dataclass_fields__})


class Found(NamedTuple):
    """A scheduler that may be meant. `name`: what it is called, as far as its place tells."""

    address: str
    name: str = ""


def told(work: Callable[[], int]) -> int:
    """Run a command; the exit status. What cannot be done now is told in a sentence, and is status 1."""
    from lightwork.cli import output
    from lightwork.client.waiting import speak_through
    from lightwork.model.errors import LightworkError, UserError

    speak_through(output.say)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = work()
        sys.stdout.flush()
        return status
    except UserError:
        raise
    except BrokenPipeError:
        output.let_go_of_stdout()
        return PIPE_CLOSED
    except LightworkError as error:
        complain(error)
        return FAILED


def complain(error: Exception) -> None:
    """What went wrong, and what to do."""
    from lightwork.cli import output

    output.error(str(error.args[0] if error.args else error), hint=getattr(error, "hint", ""))


def show_json(document: Any) -> None:
    """The one document."""
    print(json.dumps(document, indent=2))


# --- which one ---


def find(where: Where) -> list[Found]:
    """The one that is named, else all of this user on this machine. ClusterError: there is none."""
    from lightwork.cli.finding import here
    from lightwork.model.errors import ClusterError

    if where.scheduler:
        return [Found(where.scheduler)]
    found = here()
    if not found:
        raise ClusterError(
            "no scheduler of yours runs on this machine",
            hint="name one by --scheduler HOST, or start one: `lightwork scheduler`",
        )
    return found


def connect(where: Where, found: Found) -> Watcher:
    """Look into it."""
    from lightwork.client.watching import watch
    from lightwork.security import credential

    given = None
    if not found.address.startswith(("unix:", "loopback:")):
        files = {name: getattr(where, name) for name in ("secret_file", "certfile", "keyfile", "cafile")}
        given = credential.find(**files)
    return watch(found.address, given, weak_secret=where.weak_secret)


def all_of(where: Where, ask: Callable[[Watcher], T]) -> tuple[list[tuple[Found, T]], int]:
    """What each that may be meant answers; the exit status. Of several, one that cannot be reached is told of."""
    from lightwork.model.errors import LightworkError

    places, answers, status = find(where), [], 0
    for found in places:
        try:
            with connect(where, found) as watcher:
                answers.append((Found(watcher.address, watcher.name), ask(watcher)))
        except LightworkError as error:
            if len(places) == 1:
                raise
            complain(error)
            status = FAILED
    return answers, status


def one(where: Where, session: str = "") -> Watcher:
    """A watcher of the only one that may be meant; of several, the one that has this session. UserError: name it."""
    from lightwork.model.errors import LightworkError, UserError

    places = find(where)
    if len(places) == 1:
        return connect(where, places[0])
    having = []
    for found in places if session else []:
        try:
            with connect(where, found) as watcher:
                if any(status.name == session for status in watcher.sessions()):
                    having.append(found)
        except LightworkError as error:
            complain(error)
    if len(having) == 1:
        return connect(where, having[0])
    names = "; ".join(f"--scheduler {found.address}{found.name and f' ({found.name})'}" for found in having or places)
    what = f"{len(having) or 'none'} of {len(places)} schedulers here have a session {session!r}"
    if not session:
        what = f"{len(places)} schedulers of yours run on this machine"
    raise UserError(what, hint=f"name one: {names}")


def show(
    where: Where, answers: list[tuple[Found, T]], document: Callable[[T], dict[str, Any]], tell: Callable[[T], None]
) -> None:
    """What each scheduler answered, under its name unless its user named it; or all of it as one document."""
    if where.as_json:
        show_json({"schedulers": [found._asdict() | document(told) for found, told in answers]})
        return
    for number, (found, told) in enumerate(answers):
        if number:
            print()
        if not where.scheduler:
            print(f"scheduler {found.name} at {found.address}")
        tell(told)
