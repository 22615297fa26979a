"""What `lightwork up` and `down` do: a line for each machine, as soon as it is known what became of it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from lightwork.cli import output
from lightwork.config import ports
from lightwork.config.hosts_file import HostsFile, read
from lightwork.kit.text import count
from lightwork.model.errors import UserError
from lightwork.pools import wheel
from lightwork.pools.farm import UP, Farm, Outcome
from lightwork.pools.record import check_names, load, name_of
from lightwork.pools.ssh import Ssh
from lightwork.security.credential import Credential, check_reach, find
from lightwork.security.secret import VARIABLE
from lightwork.transport.address import network_address

LOOK_S = 1.0
AGAIN_S = 30.0  # machines that failed are tried again so often
FAILED_MAX = 101


@dataclass(frozen=True)
class Up:
    """The command line, option by option."""

    file: str
    once: bool = False
    install: bool = False
    scheduler: str | None = None
    ssh_command: str = "ssh"
    secret_file: str | None = None
    weak_secret: bool = False


@dataclass(frozen=True)
class Down:
    """The command line, option by option."""

    file: str
    force: bool = False
    ssh_command: str = "ssh"


def up(options: Up) -> int:
    """Start what is missing, stop what is too much; then follow the file. The exit status."""
    path = Path(options.file)
    wanted = _read(path)
    scheduler = options.scheduler or wanted.scheduler
    farm = Farm(
        Ssh(options.ssh_command),
        load(path),
        _words(scheduler, weak_secret=options.weak_secret),
        _environment(options, scheduler),
        wheel.text() if options.install else ("", ""),
    )
    screen = _Screen()
    failed = _bring_about(farm, wanted, screen)
    if options.once:
        return min(len(failed), FAILED_MAX)
    output.say(f"follows {path}; Ctrl-C ends this, `lightwork down {path}` stops the nodes")
    try:
        _follow(path, farm, screen, wanted)
    except KeyboardInterrupt:
        output.say(f"\nthe nodes stay; `lightwork down {path}` stops them")
    return 0


def down(options: Down) -> int:
    """Stop all that was started by this file, and what stands in it. The exit status."""
    path = Path(options.file)
    record = load(path)
    hosts = dict(record.hosts)
    if not hosts:
        output.say(f"nothing was started by {path}")
        return 0
    output.say(f"stopping {count(len(hosts), 'node')}" + ("" if options.force else "; jobs that run may end"))
    failed = Farm(Ssh(options.ssh_command), record).down(hosts.values(), _Screen().tell, now=options.force)
    return min(len(failed), FAILED_MAX)


class _Screen:
    """A line for each machine; the same trouble is told once."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def tell(self, outcome: Outcome) -> None:
        """What became of one."""
        name = name_of(outcome.host)
        if self._told.get(name) == outcome.text:
            return
        self._told[name] = outcome.text
        if outcome.failed:
            what = "not started" if outcome.wanted == UP else "not stopped"
            output.error(f"{name}: {what}: {outcome.text}", hint=outcome.hint)
        else:
            print(f"{name}: {outcome.text}", flush=True)
            if outcome.trouble:
                output.warning(f"{name}: {outcome.trouble}")


def _bring_about(farm: Farm, wanted: HostsFile, screen: _Screen) -> list[Outcome]:
    changes = farm.changes(wanted.hosts)
    failed = farm.down(changes.stop, screen.tell, now=False) if changes.stop else []
    kept = {name_of(outcome.host) for outcome in failed}
    return failed + farm.up([host for host in changes.start if name_of(host) not in kept], screen.tell)


def _follow(path: Path, farm: Farm, screen: _Screen, wanted: HostsFile) -> None:
    seen, tried = _stamp(path), time.monotonic()
    while True:
        time.sleep(LOOK_S)
        now, stamp = time.monotonic(), _stamp(path)
        if stamp != seen:
            seen = stamp
            try:
                wanted = _read(path)
            except UserError as error:
                output.error(f"{error.args[0]}; what was there before stays", hint=error.hint)
                continue
        elif now - tried < AGAIN_S:
            continue
        tried = now
        _bring_about(farm, wanted, screen)


def _read(path: Path) -> HostsFile:
    """UserError: no nodes can be made of it."""
    found = read(path)
    check_names(path, found.hosts)
    return found


def _stamp(path: Path) -> tuple[int, int, int]:
    """Differs when the file was written, or another one took its place."""
    try:
        found = os.stat(path)
    except OSError:  # an editor is about to put it back
        return 0, 0, 0
    return found.st_ino, found.st_mtime_ns, found.st_size


def _words(scheduler: str, *, weak_secret: bool) -> list[str]:
    words = ["--join", scheduler] if scheduler else []
    return words + (["--weak-secret"] if weak_secret else [])


def _environment(options: Up, scheduler: str) -> dict[str, str]:
    """The secret, which every node needs."""
    credential = find(secret_file=options.secret_file)
    if credential is None:
        raise UserError(
            "nodes talk over the network only with a secret, and there is none", hint="`lightwork secret --save`"
        )
    if not credential.secrets:
        raise UserError("a certificate cannot be sent to the machines", hint="give the nodes a secret: --secret-file")
    _check_reach(credential, options, scheduler)
    return {VARIABLE: "\n".join(credential.secrets)}


def _check_reach(credential: Credential, options: Up, scheduler: str) -> None:
    address = network_address(scheduler, ports.SCHEDULER) if scheduler else f"tcp:*:{ports.NODE}"
    if warning := check_reach(credential, address, options.weak_secret):
        output.warning(warning)
