"""What `lightwork sessions` does."""

from __future__ import annotations

from lightwork.cli import output
from lightwork.cli.documents import session
from lightwork.cli.table import Column, table, width_of
from lightwork.cli.watching import Where, all_of, heading, show_json
from lightwork.kit.text import span
from lightwork.wire.messages import SessionStatus

COLUMNS = (
    Column("Session", cut=True),
    Column("User", cut=True, give=5),
    Column("Host", cut=True, give=6),
    Column("Program", cut=True, give=2),
    Column("Weight", right=True, give=7),
    Column("Queued", right=True),
    Column("Running", right=True),
    Column("Kept", right=True, give=4),
    Column("Ended", right=True, give=3),
    Column("Open for", give=1),
)


def run(where: Where) -> int:
    """The exit status."""
    answers, status = all_of(where, lambda watcher: watcher.sessions())
    if where.as_json:
        show_json({"schedulers": [found._asdict() | {"sessions": list(map(session, told))} for found, told in answers]})
        return status
    for number, (found, told) in enumerate(answers):
        heading(where, found, number)
        if told:
            print(table(COLUMNS, list(map(_row, told)), width_of()))
        else:
            output.say("no sessions")
    return status


def _row(status: SessionStatus) -> tuple[str, ...]:
    return (
        status.name,
        status.user,
        status.host,
        _program(status),
        f"{status.weight:g}" if status.weight != 1 else "",
        f"{status.queued:,}",
        f"{status.running:,}",
        f"{status.ended:,}",
        f"{status.finished:,}",
        span(max(1, round(status.age_s))),
    )


def _program(status: SessionStatus) -> str:
    """Whether somebody is there, and what becomes of the session if not."""
    if status.attached:
        return ", ".join(["attached", *["lasting"] * status.lasting, *["exclusive"] * status.exclusive])
    return f"away for {span(max(1, round(status.away_s)))}"
