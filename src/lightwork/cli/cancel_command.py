"""What `lightwork cancel` does."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

import click

from lightwork.cli import output
from lightwork.cli.watching import FAILED, Where, one, show_json
from lightwork.client.watching import Watcher
from lightwork.kit.text import count, listed
from lightwork.model.errors import UserError

JOBS_MAX = 1_000_000  # that can be named at once
NUMBER_MAX = (1 << 63) - 1
_PART = re.compile(r"(.+)/(\d+)(?:-(\d+))?")
_NAMED_MAX = 20  # numbers in a sentence


def run(where: Where, jobs: Sequence[str], *, yes: bool) -> int:
    """The exit status: 1 if the user thought better of it."""
    wanted = parse(jobs)
    shown = []
    for session, numbers in wanted.items():
        with one(where, session) as watcher:
            if not numbers and not (yes or _agreed(watcher, session)):
                output.say("nothing was cancelled")
                return FAILED
            found, total = watcher.cancel(session, numbers)
            shown.append({"address": watcher.address, "session": session, "cancelled": total, "jobs": found})
        if not where.as_json:
            _tell(session, numbers, found, total)
    if where.as_json:
        show_json({"sessions": shown})
    return 0


def parse(jobs: Sequence[str]) -> dict[str, list[int]]:
    """Numbers by session; none: all of it. UserError: it names no jobs, or too many."""
    found: dict[str, list[int]] = {}
    whole = set()
    for text in jobs:
        match = _PART.fullmatch(text)
        session = match[1] if match else text
        found.setdefault(session, [])
        if match is None:
            whole.add(session)
            continue
        first, last = int(match[2]), int(match[3] or match[2])
        if last < first or last > NUMBER_MAX:
            raise UserError(f"{text} names no jobs", hint="the lower number comes first: SESSION/10-19")
        if last - first + sum(map(len, found.values())) >= JOBS_MAX:
            raise UserError(f"{text}: more than {JOBS_MAX:,} jobs", hint=f"`lightwork cancel {session}` takes them all")
        found[session] += range(first, last + 1)
    return {session: [] if session in whole else numbers for session, numbers in found.items()}


def _agreed(watcher: Watcher, session: str) -> bool:
    """Whether a person who can answer wants that. Who cannot is not asked."""
    stdin = sys.stdin
    if stdin is None or not stdin.isatty() or not output.on_terminal():
        return True
    open_ = next((status.queued + status.running for status in watcher.sessions() if status.name == session), 0)
    if not open_:  # nothing can be lost; what is wrong is told later
        return True
    return click.confirm(f"cancel {count(open_, 'job')} of session {session}?", err=True)


def _tell(session: str, numbers: Sequence[int], found: Sequence[int], total: int) -> None:
    had = sorted(set(numbers) - set(found)) if len(found) == total else []
    if total or not had:
        output.say(f"{count(total, 'job')} of session {session} cancelled")
    if had:
        which = listed([f"{number:,}" for number in had], _NAMED_MAX)
        what = f"job {which} of session {session} had ended, or never was"
        output.say(what if len(had) == 1 else f"jobs {which} of session {session} had ended, or never were")
