"""What a cluster tells of itself: a snapshot, the table of `stats()`, the line at its end."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lightwork.client.job import Job
from lightwork.kit.text import count, size, span
from lightwork.model.errors import LightworkError
from lightwork.model.states import JobState
from lightwork.wire.messages import Attempted, NodeStatus, Status

_HEADS = ("Node", "Slots", "Jobs", "Sec/Job", "Node time", "Sent", "Received")


class ClusterStatus(NamedTuple):
    """A snapshot. `jobs_pending`: submitted and not ended; `waiting`: why the oldest queued ones wait; `attempted`:
    where nodes were looked for, and what each address said; `slow`: jobs that run far longer than their like;
    `retried`: how often jobs that had failed were tried again; `twins_started`: second attempts of slow jobs, and how
    many of them were faster (`twins_won`)."""

    nodes: list[NodeStatus]
    jobs_pending: int
    queued: int = 0
    running: int = 0
    waiting: tuple[str, ...] = ()
    pids: dict[str, int] = {}
    attempted: tuple[Attempted, ...] = ()
    slow: tuple[str, ...] = ()
    retried: int = 0
    twins_started: int = 0
    twins_won: int = 0


def status_of(told: Status, pending: int) -> ClusterStatus:
    """What the scheduler told, as users see it."""
    return ClusterStatus(
        told.nodes,
        pending,
        told.queued,
        told.running,
        tuple(told.waiting),
        dict(told.pids),
        tuple(told.attempted),
        tuple(told.slow),
        told.retried,
        told.twins_started,
        told.twins_won,
    )


def rows(nodes: Iterable[NodeStatus]) -> list[tuple[str, ...]]:
    """The table of `stats()`, a row for each node."""
    table: list[tuple[str, ...]] = []
    for node in sorted(nodes, key=lambda node: node.name):
        seconds = node.job_time_ns / 1e9
        each = f"{seconds / node.jobs_done:.3g}" if node.jobs_done else "-"
        line = (node.name, str(node.slots), f"{node.jobs_done:,}", each, f"{seconds:,.3f}")
        table.append((*line, size(node.bytes_in), size(node.bytes_out)))
    return table


def totals(status: ClusterStatus, wall_time_s: float) -> str:
    """The line below the table."""
    job_time_s = sum(node.job_time_ns for node in status.nodes) / 1e9
    speed_up = f"{job_time_s / wall_time_s:.2f}" if wall_time_s > 0 else "-"
    told = [f"Total job time: {span(job_time_s)}, wall time: {span(wall_time_s)}, speed-up: {speed_up}"]
    if status.retried:
        told.append(f"tried again: {count(status.retried, 'time')}")
    if status.twins_started:
        told.append(f"second attempts of slow jobs: {status.twins_started:,} ({status.twins_won:,} were faster)")
    return ", ".join(told)


def show(status: ClusterStatus, wall_time_s: float) -> None:
    """Print table and totals to stdout: with rules on a terminal, else as plain columns."""
    table = rows(status.nodes)
    if sys.stdout.isatty():
        _show_rich(table)
    else:
        print(plain([_HEADS, *table]))  # noqa: T201
    print(totals(status, wall_time_s))  # noqa: T201


def plain(table: Sequence[tuple[str, ...]]) -> str:
    """Columns of text, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for first, *others in table:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _show_rich(table: list[tuple[str, ...]]) -> None:
    from rich.console import Console  # 40 ms that only a terminal pays
    from rich.table import Table

    shown = Table(*_HEADS[:1])
    for head in _HEADS[1:]:
        shown.add_column(head, justify="right")
    for row in table:
        shown.add_row(*row)
    Console().print(shown)


def closing_line(failed: int, total: int, first: Job | None) -> str:
    """How many jobs failed, and the first of them; empty if all went well."""
    if not failed or first is None:
        return ""
    node = f" on {first.node}" if first.node else ""
    told = f"first: job {first.id}{node}: {_reason(first)}"
    return f"{failed:,} of {count(total, 'job')} failed; {told}; job.get() raises it"


def _reason(job: Job) -> str:
    """Why it failed: the name of its exception, or the first line of what is said about its end."""
    error = job.peek().error
    if error is None or not isinstance(error, LightworkError):
        return type(error).__name__ if error is not None else JobState(job.state).name
    lines = str(error.args[0] if error.args else "").strip().splitlines()
    return lines[0] if lines else type(error).__name__
