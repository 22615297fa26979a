"""`lightwork node|scheduler|relay --service`: a systemd unit with exactly these options."""

from __future__ import annotations

import os
import re
import sys
from typing import NamedTuple

from lightwork.cli import output
from lightwork.cli.config_option import for_a_service
from lightwork.security.secret import VARIABLE, secret_path


class _Kind(NamedTuple):
    description: str
    times: str
    as_root: str


_KINDS = {
    "node": _Kind(
        "Lightwork node: lets this machine run jobs of others",
        "RestartSec=5\n# TERM goes to the node alone: running jobs have so long to end.\n"
        "KillMode=mixed\nTimeoutStopSec=5min",
        "add User= below [Service], or jobs run as root",
    ),
    "relay": _Kind(
        "Lightwork relay: carries the nodes of this network over one link to a scheduler",
        "RestartSec=1",
        "add User= below [Service]: it needs no rights of root",
    ),
    "scheduler": _Kind(
        "Lightwork scheduler: keeps jobs and hands them to nodes",
        "RestartSec=1\n# TERM goes to the scheduler alone: its journal ends after it.\n"
        "KillMode=mixed\nTimeoutStopSec=1min",
        "add User= below [Service]: it needs no rights of root",
    ),
}
_UNIT = """\
[Unit]
Description={description}
Wants=network-online.target
After=network-online.target

[Service]
ExecStart={command}
Restart=on-failure
{times}

[Install]
WantedBy={target}
"""


def print_unit(arguments: list[str], what: str = "node") -> int:
    """The unit on standard output, what to do with it on standard error."""
    root = sys.platform != "win32" and os.geteuid() == 0
    arguments = for_a_service(arguments)
    command = " ".join(quoted(word) for word in [sys.executable, "-P", "-m", "lightwork", what, *arguments])
    target = "multi-user.target" if root else "default.target"
    kind = _KINDS[what]
    sys.stdout.write(_UNIT.format(description=kind.description, command=command, times=kind.times, target=target))
    sys.stdout.flush()
    if root:
        place, control, more = "/etc/systemd/system", "systemctl", kind.as_root
    else:
        place, control = "~/.config/systemd/user", "systemctl --user"
        more = "`loginctl enable-linger` lets it run while you are not logged in"
    name = f"lightwork-{what}"
    output.say(f"hint: save it as {place}/{name}.service, then: {control} enable --now {name}; {more}")
    own = any(word.endswith(("--config", "-secret-file", "-certfile")) for word in arguments)
    if not own and os.environ.get(VARIABLE) and not os.path.lexists(secret_path()):
        output.warning(
            f"{VARIABLE} is not set for services", hint="put the secret into a file: `lightwork secret --help`"
        )
    return 0


def quoted(word: str) -> str:
    """A word of ExecStart= that systemd takes as it is."""
    word = word.replace("%", "%%").replace("$", "$$")
    if re.fullmatch(r"[A-Za-z0-9_@%+=:,./$*-]+", word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
