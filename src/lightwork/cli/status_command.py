"""What `lightwork status` does."""

from __future__ import annotations

from lightwork.cli import documents
from lightwork.cli.report import printable
from lightwork.cli.table import Column, table, width_of
from lightwork.cli.watching import Where, all_of, show
from lightwork.kit.text import count, size, span
from lightwork.wire.messages import Attempted, NodeStatus, Status

COLUMNS = (
    Column("Node", cut=True),
    Column("Address", cut=True, give=5),
    Column("State"),
    Column("Busy", right=True),
    Column("Slots", right=True),
    Column("Jobs done", right=True, give=3),
    Column("Job time", right=True, give=4),
    Column("CPU free", right=True, give=1),
    Column("Memory free", right=True, give=2),
    Column("Disk free", right=True, give=6),
    Column("Python", cut=True, give=7),
    Column("Labels", cut=True, give=8),
)
WELL = ("joined", "connected", "closed")  # where nothing is to be told of


def run(where: Where) -> int:
    """The exit status."""
    answers, status = all_of(where, lambda watcher: watcher.status())
    show(where, answers, documents.status, _show)
    return status


def _show(told: Status) -> None:
    """For people."""
    print(", ".join([count(told.running, "job") + " running", f"{told.queued:,} queued", *_further(told)]))
    if told.nodes:
        print(table(COLUMNS, [_row(node) for node in sorted(told.nodes, key=lambda node: node.name)], width_of()))
    else:
        print("no nodes")
    for sentence in (*told.waiting, *told.slow):
        print(printable(sentence))
    for one in told.attempted:
        if one.state not in WELL:
            print(_tried(one))


def _further(told: Status) -> list[str]:
    """What is told only if there was any."""
    twins = f"{count(told.twins_started, 'twin')} started, of which {told.twins_won:,} won"
    return [twins] * bool(told.twins_started) + [count(told.retried, "retry", "retries")] * bool(told.retried)


def _row(node: NodeStatus) -> tuple[str, ...]:
    load = node.load
    slots = f"{node.slots:,}" if node.slots == node.offered else f"{node.slots:,} of {node.offered:,}"
    known = load is not None and load.memory_free_bytes > 0  # its first heartbeat has told
    return (
        node.name,
        f"{node.address} via relay {node.relay}" if node.relay else node.address,
        node.state,
        f"{node.busy:,}",
        slots,
        f"{node.jobs_done:,}",
        span(node.job_time_ns / 1e9) if node.jobs_done else "",
        f"{load.cpu_free_percent:.0f}%" if load is not None and known else "",
        size(load.memory_free_bytes) if load is not None and known else "",
        size(load.disk_free_bytes) if load is not None and known else "",
        ", ".join(node.pythons),
        ", ".join(f"{name}={value}" for name, value in node.labels),
    )


def _tried(one: Attempted) -> str:
    text = printable(one.text or f"{one.address}: {one.state}")
    return f"{text}\nhint: {printable(one.hint)}" if one.hint else text
