"""What `lightwork hosts` does."""

from __future__ import annotations

from collections.abc import Sequence

from lightwork.cli import documents, output
from lightwork.cli.table import Column, table, width_of
from lightwork.cli.watching import Where, all_of, heading, one, show_json
from lightwork.kit.text import count, listed
from lightwork.wire.messages import Answer, HostStatus

COLUMNS = (
    Column("Host", cut=True),
    Column("Address", cut=True, give=3),
    Column("State", cut=True),
    Column("Groups", cut=True, give=2),
    Column("By", cut=True, give=4),
    Column("Note", cut=True, give=1),
)
SHOWN_MAX = 20
_DONE = {
    "add": "looked for, or in use",
    "remove": "removed",
    "drain": "drained",
    "resume": "in use again",
    "group": "in group {}",
    "ungroup": "not in group {} any more",
}


def show(where: Where) -> int:
    """The exit status."""
    answers, status = all_of(where, lambda watcher: watcher.hosts().hosts)
    if where.as_json:
        show_json(
            {"schedulers": [found._asdict() | {"hosts": list(map(documents.host, told))} for found, told in answers]}
        )
        return status
    for number, (found, told) in enumerate(answers):
        heading(where, found, number)
        if told:
            print(table(COLUMNS, list(map(_row, told)), width_of()))
        else:
            output.say("no hosts")
    return status


def change(where: Where, action: str, hosts: Sequence[str], group: str = "", *, now: bool = False) -> int:
    """The exit status."""
    names = list(dict.fromkeys(hosts))
    group = group.removeprefix("@")
    with one(where) as watcher:
        answer = watcher.change_hosts(action, names, group, now=now)
        address = watcher.address
    if where.as_json:
        show_json({"address": address, "action": action, "hosts": names, "nodes": answer.nodes, "jobs": answer.total})
        return 0
    _tell(action, names, group, answer, now=now)
    return 0


def _tell(action: str, names: list[str], group: str, answer: Answer, *, now: bool) -> None:
    """What holds now, and what is still to come."""
    output.say(f"{listed(names, SHOWN_MAX)}: {_DONE[action].format(group)}")
    if answer.nodes and answer.nodes != names:
        output.say(f"nodes now: {listed(answer.nodes, SHOWN_MAX)}")
    if action in ("remove", "drain") and answer.total and not now:
        output.say(f"{count(answer.total, 'job')} there may end first; --now ends them, and they start again elsewhere")


def _row(status: HostStatus) -> tuple[str, ...]:
    return (status.name, status.address, status.state, ", ".join(status.groups), status.by, status.text)
