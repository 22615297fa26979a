"""The file of hosts that a scheduler watches: who is added there is looked for, who is taken out is let go.

file --looked at every second--> the same twice --> read --> what differs from the last time --> ChangeHosts

What was taken from it is kept beside the journal, so that an edit made while no scheduler ran counts like any other,
and what somebody said about a host meanwhile (`lightwork hosts`) is not unsaid by a restart.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from lightwork.config import timers
from lightwork.config.hosts_file import HostsFile, read
from lightwork.kit.owner_log import OwnerLog
from lightwork.kit.tasks import spawn, stop
from lightwork.kit.text import listed
from lightwork.model.errors import LightworkError
from lightwork.wire.messages import Answer, ChangeHosts

MEMORY = "hosts"  # in the state directory
SHOWN_MAX = 20

Change = Callable[[ChangeHosts], Answer]
Known = dict[str, list[str]]  # groups by place
_Sign = tuple[int, int, int] | None


class WatchedHosts:
    """One file."""

    def __init__(self, path: Path, state: Path, change: Change, log: OwnerLog) -> None:
        self._path = path
        self._memory = state / MEMORY
        self._change = change
        self._log = log
        self._known = _remembered(self._memory)
        self._sign: _Sign = None  # of what was read last
        self._seen: _Sign = None
        self._task: asyncio.Task[None] | None = None

    def first(self) -> None:
        """Before anybody else comes. UserError: the file cannot be used."""
        self._sign = self._seen = _sign_of(self._path)
        self._follow(read(self._path))

    def start(self) -> None:
        """From now on."""
        self._task = spawn(self._keep(), "watch the file of hosts")

    async def stop(self) -> None:
        """Watch it no more."""
        if self._task is not None:
            await stop(self._task)

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(timers.LOOK_HOSTS_S)
            sign = await loop.run_in_executor(None, _sign_of, self._path)
            settled, self._seen = sign == self._seen, sign  # nobody is writing it just now
            if not settled or sign == self._sign:
                continue
            self._sign = sign
            try:
                self._follow(await loop.run_in_executor(None, read, self._path))
                self._log.forget(str(self._path))
            except LightworkError as error:
                self._log.say(f"{error.args[0]}; the hosts stay as they were", str(self._path))

    def _follow(self, found: HostsFile) -> None:
        """Make what holds the same as what is written."""
        wanted: Known = {}
        for host in found.hosts:  # one place may stand there twice: a machine with two nodes that join
            wanted[host.place] = sorted({*wanted.get(host.place, []), *host.groups})
        known, added = self._known, [place for place in wanted if place not in self._known]
        self._tell("remove", [place for place in known if place not in wanted])
        if not self._tell("add", added):  # the next edit tries it again
            wanted = {place: groups for place, groups in wanted.items() if place in known}
        for group in sorted({group for groups in [*wanted.values(), *known.values()] for group in groups}):
            into = [place for place in wanted if group in wanted[place] and group not in known.get(place, [])]
            out = [place for place in known if group in known[place] and group not in wanted.get(place, [])]
            self._tell("group", into, group)
            self._tell("ungroup", [place for place in out if place in wanted], group)
        self._known = wanted
        _remember(self._memory, wanted)

    def _tell(self, action: str, places: Iterable[str], group: str = "") -> bool:
        """Whether it was taken."""
        hosts = list(places)
        if not hosts:
            return True
        answer = self._change(ChangeHosts(0, action, hosts, group, by=self._path.name))
        which = listed(hosts, SHOWN_MAX)
        if answer.error:
            self._log.say(f"{self._path}: {answer.error}")
        elif action in _SAID:
            self._log.say(f"{self._path}: {_SAID[action]} {which}")
        return not answer.error


_SAID = {"add": "uses", "remove": "lets go of"}


def _sign_of(path: Path) -> _Sign:
    """What changes when the file does."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _remembered(path: Path) -> Known:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Known)
    except (OSError, msgspec.DecodeError):  # the first time, or nothing that can be used: then all are added
        return {}


def _remember(path: Path, known: Known) -> None:
    draft = path.with_name(f"{path.name}.new")
    try:
        draft.write_bytes(msgspec.json.encode(known))
        os.replace(draft, path)
    except OSError:  # no room: then the next life adds them again
        return
