"""What `lightwork nodes` does."""

from __future__ import annotations

from lightwork.cli import documents, table, watching
from lightwork.cli.table import Column
from lightwork.cli.watching import Where
from lightwork.kit.text import listed, size
from lightwork.model.resources import shown
from lightwork.wire.messages import NodeStatus

COLUMNS = (
    Column("Node", cut=True),
    Column("Address", cut=True, give=6),
    Column("State", cut=True),
    Column("Busy", right=True),
    Column("Slots", right=True),
    Column("Weight", right=True, give=7),
    Column("Groups", cut=True, give=2),
    Column("Has", cut=True, give=3),
    Column("Labels", cut=True, give=8),
    Column("Relay", cut=True, give=5),
    Column("System", cut=True, give=9),
    Column("Memory", right=True, give=10),
    Column("Python", cut=True, give=4),
)


def run(where: Where, group: str) -> int:
    """The exit status."""
    answers, status = watching.all_of(where, lambda watcher: watcher.hosts().nodes)
    watching.show(
        where,
        answers,
        lambda told: {"nodes": [documents.node(one) for one in told if _is_in(one, group)]},
        lambda told: _show(told, group),
    )
    return status


def _show(told: list[NodeStatus], group: str) -> None:
    """For people."""
    rows = [_row(one) for one in sorted(told, key=lambda one: one.name) if _is_in(one, group)]
    table.show(COLUMNS, rows, f"no nodes in group {group}{_instead(told)}" if group else "no nodes")


def _instead(nodes: list[NodeStatus]) -> str:
    groups = sorted({group for node in nodes for group in node.groups})
    return f"; there are nodes in {listed(groups, 20)}" if groups else ""


def _is_in(one: NodeStatus, group: str) -> bool:
    return not group or group.removeprefix("@") in one.groups


def _row(one: NodeStatus) -> tuple[str, ...]:
    hardware = one.hardware
    return (
        one.name,
        one.address,
        one.state,
        f"{one.busy:,}",
        f"{one.slots:,}" if one.offered in (0, one.slots) else f"{one.slots:,} of {one.offered:,}",
        f"{one.weight:,}" if one.weight else "",
        ", ".join(one.groups),
        ", ".join(shown(name, amount) for name, amount in one.resources if name != "memory"),
        ", ".join(f"{name}={value}" for name, value in one.labels),
        one.relay,
        f"{hardware.system} {hardware.architecture}".strip() if hardware is not None else "",
        size(hardware.memory_bytes) if hardware is not None and hardware.memory_bytes else "",
        " ".join(one.pythons),
    )
