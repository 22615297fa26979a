"""`lightwork node --service`: a systemd unit with exactly these options."""

from __future__ import annotations

import os
import re
import sys

from lightwork.cli import output
from lightwork.security.secret import VARIABLE, secret_path

NAME = "lightwork-node.service"
_UNIT = """\
[Unit]
Description=Lightwork node: lets this machine run jobs of others
Wants=network-online.target
After=network-online.target

[Service]
ExecStart={command}
Restart=on-failure
RestartSec=5
# TERM goes to the node alone: running jobs have so long to end.
KillMode=mixed
TimeoutStopSec=5min

[Install]
WantedBy={target}
"""


def print_unit(arguments: list[str]) -> int:
    """The unit on standard output, what to do with it on standard error."""
    root = sys.platform != "win32" and os.geteuid() == 0
    command = " ".join(quoted(word) for word in [sys.executable, "-P", "-m", "lightwork", "node", *arguments])
    sys.stdout.write(_UNIT.format(command=command, target="multi-user.target" if root else "default.target"))
    sys.stdout.flush()
    if root:
        place, control, more = "/etc/systemd/system", "systemctl", "add User= below [Service], or jobs run as root"
    else:
        place, control = "~/.config/systemd/user", "systemctl --user"
        more = "`loginctl enable-linger` lets it run while you are not logged in"
    output.say(f"hint: save it as {place}/{NAME}, then: {control} enable --now {NAME.partition('.')[0]}; {more}")
    own = "--secret-file" in arguments or "--certfile" in arguments
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
