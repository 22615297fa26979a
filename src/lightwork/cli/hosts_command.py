"""What `lightwork hosts` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lightwork.cli import documents, output, table, watching
from lightwork.cli.table import Column
from lightwork.cli.watching import Where, one, show_json
from lightwork.kit.text import count, listed
from lightwork.model.errors import UserError
from lightwork.wire.messages import Answer, HostStatus, SetPolicy

COLUMNS = (
    Column("Host", cut=True),
    Column("Address", cut=True, give=3),
    Column("State", cut=True),
    Column("Groups", cut=True, give=2),
    Column("By", cut=True, give=4),
    Column("Note", cut=True, give=1),
)
SHOWN_MAX = 20
HOURS = ("service_start", "service_stop", "service_end")
_DONE = {
    "add": "looked for, or in use",
    "remove": "removed",
    "drain": "drained",
    "resume": "in use again",
    "group": "in group {}",
    "ungroup": "not in group {} any more",
    "set": "{}",
}


def show(where: Where) -> int:
    """The exit status."""
    answers, status = watching.all_of(where, lambda watcher: watcher.hosts().hosts)
    watching.show(
        where,
        answers,
        lambda told: {"hosts": list(map(documents.host, told))},
        lambda told: table.show(COLUMNS, list(map(_row, told)), "no hosts"),
    )
    return status


def change(where: Where, action: str, hosts: Sequence[str], group: str = "", *, now: bool = False) -> int:
    """The exit status."""
    names, group = list(dict.fromkeys(hosts)), group.removeprefix("@")
    with one(where) as watcher:
        answer = watcher.change_hosts(action, names, group, now=now)
    return _told(where, watcher.address, action, names, answer, group, now=now)


def set_policy(
    where: Where, hosts: Sequence[str], hours: Mapping[str, str | None], serve: int | None, slots: int | None
) -> int:
    """The exit status. `hours`: as they were typed, by HOURS."""
    given: dict[str, str | int | None] = {**hours, "serve": serve, "slots": slots}
    said = {name: value for name, value in given.items() if value is not None}
    if not said:
        raise UserError("hosts set: nothing is said", hint=f"there are {listed(list(map(_option, given)))}")
    start, stop, end = (-1 if (text := hours[name]) is None else _minute(_option(name), text) for name in HOURS)
    policy = SetPolicy(start, stop, end, -2 if serve is None else serve, slots=slots)
    names = list(dict.fromkeys(hosts))
    with one(where) as watcher:
        answer = watcher.change_hosts("policy", names, policy=policy)
    return _told(where, watcher.address, "set", names, answer, _policy(said))


def _minute(option: str, text: str) -> int:
    """Of the day. UserError."""
    from lightwork.node.core.hours import second_of

    second = 1 if text.startswith("+") else second_of(text, option, 0)
    if second % 60:
        raise UserError(f"{option} {text}: that is no minute of a day", hint="HH:MM, such as 18:00, by the clock there")
    return second // 60


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _policy(said: Mapping[str, str | int]) -> str:
    """For people."""
    return ", ".join(f"{name.replace('_', '-')} {value}" for name, value in said.items())


def _told(
    where: Where, address: str, action: str, names: list[str], answer: Answer, what: str, *, now: bool = False
) -> int:
    """The exit status: it is done."""
    if where.as_json:
        show_json({"address": address, "action": action, "hosts": names, "nodes": answer.nodes, "jobs": answer.total})
    else:
        _tell(action, names, what, answer, now=now)
    return 0


def _tell(action: str, names: list[str], what: str, answer: Answer, *, now: bool) -> None:
    """What holds now, and what is still to come."""
    output.say(f"{listed(names, SHOWN_MAX)}: {_DONE[action].format(what)}")
    if answer.nodes and answer.nodes != names:
        output.say(f"nodes now: {listed(answer.nodes, SHOWN_MAX)}")
    if action in ("remove", "drain") and answer.total and not now:
        output.say(f"{count(answer.total, 'job')} there may end first; --now ends them, and they start again elsewhere")


def _row(status: HostStatus) -> tuple[str, ...]:
    note = "; ".join(text for text in (_policy(status.policy), status.text) if text)
    return (status.name, status.address, status.state, ", ".join(status.groups), status.by, note)
