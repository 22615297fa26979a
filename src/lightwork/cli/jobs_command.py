"""What `lightwork jobs` does."""

from __future__ import annotations

import time
from collections.abc import Sequence

from lightwork.cli import documents, output
from lightwork.cli.table import Column, table, width_of
from lightwork.cli.watching import Where, one, show_json
from lightwork.kit.text import count, span
from lightwork.model.states import TERMINAL, JobState
from lightwork.wire.messages import JobStatus

COLUMNS = (
    Column("Job"),
    Column("State"),
    Column("Priority", right=True, give=7),
    Column("Runs", cut=True, give=3),
    Column("Node", cut=True, give=2),
    Column("Started", give=5),
    Column("Time", right=True, give=4),
    Column("Key", cut=True, give=6),
    Column("Note", cut=True, give=1),
)


def run(where: Where, session: str, states: Sequence[str], limit: int) -> int:
    """The exit status."""
    with one(where, session) as watcher:
        rows, total = watcher.jobs(session, numbers(states), limit)
        place = {"address": watcher.address, "name": watcher.name}
    if where.as_json:
        show_json(place | {"total": total, "jobs": list(map(documents.job, rows))})
        return 0
    if rows:
        print(table(COLUMNS, list(map(_row, rows)), width_of()))
    if len(rows) < total:
        output.say(f"{len(rows):,} of {count(total, 'job')}; --limit {total} shows all")
    elif not rows:
        output.say("no such jobs" if states else "no jobs")
    return 0


def numbers(states: Sequence[str]) -> list[int]:
    """Of the states that the user names; "ended": all ends."""
    found = {int(state) for name in states for state in (TERMINAL if name == "ended" else (JobState[name.upper()],))}
    return sorted(found)


def _row(status: JobStatus) -> tuple[str, ...]:
    tries = f"attempt {status.attempts:,}" if status.attempts > 1 else ""
    return (
        f"{status.session}/{status.number}",
        documents.state_name(status.state),
        f"{status.priority:,}" if status.priority else "",
        status.computation,
        status.node,
        _clock(status.start_ns),
        span(status.duration_ns / 1e9) if status.start_ns else "",
        status.key,
        "; ".join(filter(None, (tries, status.text))),
    )


def _clock(start_ns: int) -> str:
    """By the clock of this machine."""
    return time.strftime("%m-%d %H:%M:%S", time.localtime(start_ns / 1e9)) if start_ns > 0 else ""
