"""What `lightwork sessions` does."""

from __future__ import annotations

from lightwork.cli import documents, table, watching
from lightwork.cli.table import Column
from lightwork.cli.watching import Where
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
    answers, status = watching.all_of(where, lambda watcher: watcher.sessions())
    watching.show(
        where,
        answers,
        lambda told: {"sessions": list(map(documents.session, told))},
        lambda told: table.show(COLUMNS, list(map(_row, told)), "no sessions"),
    )
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
