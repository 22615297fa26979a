"""`lightwork hosts` as a shell sees it."""

from __future__ import annotations

from typing import Any

import click

from lightwork.cli import watching

_EPILOG = """
\b
HOST is a name, an address, a pattern in quotes ('lab*', '10.5.0.*'), or a group
as @GROUP. What is said holds for all programs, for nodes that come later, and
after a restart of the scheduler; the last word counts.
"""
_HOSTS = click.argument("hosts", nargs=-1, required=True, metavar="HOST...")
_NOW = click.option("--now", is_flag=True, help="What runs there is ended, and starts again elsewhere.")
_GROUP = click.argument("group", metavar="GROUP")


@click.group(epilog=_EPILOG)
def hosts() -> None:
    """Say which machines a scheduler uses, and what for."""


def _change(action: str, hosts: tuple[str, ...], given: dict[str, Any], **more: Any) -> int:
    from lightwork.cli import hosts_command

    return watching.told(lambda: hosts_command.change(watching.split(given), action, hosts, **more))


@hosts.command("list")
@watching.options
def list_(**given: Any) -> int:
    """Show those that are there, that are looked for, and that were removed."""
    from lightwork.cli import hosts_command

    return watching.told(lambda: hosts_command.show(watching.split(given)))


@hosts.command()
@_HOSTS
@click.option("--group", metavar="GROUP", help="Put them into this group as well.")
@watching.options
def add(hosts: tuple[str, ...], group: str | None, **given: Any) -> int:
    """Look for nodes there (HOST may be HOST:PORT), and take back that they were removed."""
    return _change("add", hosts, given, group=group or "")


@hosts.command()
@_HOSTS
@_NOW
@watching.options
def remove(hosts: tuple[str, ...], now: bool, **given: Any) -> int:
    """Let go of them for good, when what runs there has ended."""
    return _change("remove", hosts, given, now=now)


@hosts.command()
@_HOSTS
@_NOW
@watching.options
def drain(hosts: tuple[str, ...], now: bool, **given: Any) -> int:
    """Start nothing more there, until `resume`."""
    return _change("drain", hosts, given, now=now)


@hosts.command()
@_HOSTS
@watching.options
def resume(hosts: tuple[str, ...], **given: Any) -> int:
    """Take back that they are drained."""
    return _change("resume", hosts, given)


@hosts.command("set")
@_HOSTS
@click.option("--slots", type=int, metavar="N", help="So many jobs run at once there; -1: on all slots but one.")
@click.option("--service-start", metavar="TIME", help="From then on they take jobs, each day: 20:00, by their clock.")
@click.option("--service-stop", metavar="TIME", help="From then on they take none; the same as start: at any time.")
@click.option("--service-end", metavar="TIME", help="Then those that run are ended, and run elsewhere.")
@click.option("--serve", type=click.IntRange(-1), metavar="N", help="So many clients more; 0: leave now; -1: any.")
@watching.options
def set_(hosts: tuple[str, ...], slots: int | None, serve: int | None, **given: Any) -> int:
    """Say how nodes there are to work; what is not given stays as it was."""
    from lightwork.cli import hosts_command

    hours = {name: given.pop(name) for name in hosts_command.HOURS}
    return watching.told(lambda: hosts_command.set_policy(watching.split(given), hosts, hours, serve, slots))


@hosts.command()
@_GROUP
@_HOSTS
@watching.options
def group(group: str, hosts: tuple[str, ...], **given: Any) -> int:
    """Put hosts into a group, whichever others they are in."""
    return _change("group", hosts, given, group=group)


@hosts.command()
@_GROUP
@_HOSTS
@watching.options
def ungroup(group: str, hosts: tuple[str, ...], **given: Any) -> int:
    """Take hosts out of a group."""
    return _change("ungroup", hosts, given, group=group)
