"""What happened, readable: time, who, `> event` or `< command`; faults stand between with `!`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from lightwork.kit.notation import render, render_value
from lightwork.node.core import commands as node_do, events as node_on
from lightwork.scheduler.core import commands as do, events as on
from lightwork.wire.messages import NodeNews
from tests.simulation.clock import SECOND, START_NS

Told = tuple[int, str, str, Any]
DULL = (
    do.TellNode,
    do.TellComputation,
    on.NodesSpoke,
    on.TimePassed,
    on.NodeBeat,
    node_on.BeatDue,
    node_on.Ticked,
    NodeNews,
)


def lines(told: Iterable[Told], *, all_of_it: bool = False) -> Iterator[str]:
    """One for each event and command; what only says that time passes is left out."""
    for when, who, sign, record in told:
        if not all_of_it and (isinstance(record, DULL) or _is_beat(record)):
            continue
        what = record if isinstance(record, str) else _shown(record)
        yield f"{(when - START_NS) / SECOND:10.4f} {who:6} {sign} {what}"


def _is_beat(record: Any) -> bool:
    return isinstance(record, node_do.Send) and type(record.message).__name__ in ("Heartbeat", "Prepared")


def _shown(record: Any) -> str:
    if isinstance(record, do.Record):
        return f"Record {record.number} {render(record.fact)}"
    if isinstance(record, node_do.Send):
        return f"Send {render(record.message)}"
    return render(record) if hasattr(record, "__struct_fields__") else render_value(record)
