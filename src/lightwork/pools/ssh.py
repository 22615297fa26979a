"""A shell on another machine, by the system's own `ssh`: its keys, its configuration, its agent.

What is to be done goes in as a script on standard input, so that nothing of it (a secret above all) is on any command
line. Nobody is asked for a password: whom `ssh HOST true` does not let in at once, we say so.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import threading
from typing import NamedTuple

from lightwork.config.hosts_file import Host
from lightwork.model.errors import UserError

SSH = "ssh"
_SSH_FAILED = 255  # what ssh itself ends with; anything else is of the script
_CONNECT_S = 10
_OPTIONS = ("-T", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={_CONNECT_S}")
_NOISE = re.compile(r"^(Warning: Permanently added|\*\* |Connection to .* closed|Pseudo-terminal)")
_WHYS = (  # what ssh says, and what its user can do
    ("Permission denied", "`ssh-copy-id {who}` lets you in without a password"),
    ("Host key verification failed", "`ssh {who}` once by hand, and look at the key before you accept it"),
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", "the machine is another one, or was installed anew: ask its owner"),
    ("Connection refused", "does sshd run there, on this port?"),
    ("Could not resolve hostname", "is the name right?"),
    ("timed out", "is the machine on, and does its firewall let ssh pass?"),
    ("No route to host", "is the machine on, and in this network?"),
    ("Connection closed", "its sshd does not want us: its log says why"),
)


class Done(NamedTuple):
    """How a script ended. `why` and `hint`: why it never ran there; "": it ran."""

    status: int
    out: str
    err: str
    why: str = ""
    hint: str = ""


class Ssh:
    """Shells, by a command line such as "ssh" or "ssh -F file"; any number at once, from several threads."""

    def __init__(self, command: str = SSH) -> None:
        self._command = shlex.split(command)
        if not self._command:
            raise UserError("--ssh is empty", hint='--ssh "ssh -F FILE"')
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._over = False

    def run(self, host: Host, script: str, limit_s: float) -> Done:
        """Run a POSIX shell script there, to its end or for so many seconds."""
        try:
            process = self._start([*self._command, *_OPTIONS, *_where(host), "sh -s"])
        except OSError as error:
            return Done(_SSH_FAILED, "", "", f"{self._command[0]} cannot be run: {error.strerror}", "install OpenSSH")
        try:
            out, err = process.communicate(script, timeout=limit_s)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            return Done(_SSH_FAILED, out, err, f"no answer within {limit_s:.0f} s", "is the machine overloaded?")
        finally:
            with self._lock:
                self._running.discard(process)
        if process.returncode == _SSH_FAILED:
            return Done(_SSH_FAILED, out, err, *_reason(host, err))
        return Done(process.returncode, out, err)

    def _start(self, command: list[str]) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        with self._lock:
            if self._over:
                raise OSError(0, "interrupted")
            process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, errors="replace")
            self._running.add(process)
        return process

    def stop(self) -> None:
        """End all of them, and begin none any more: their user is in a hurry."""
        with self._lock:
            self._over = True
            for process in self._running:
                process.kill()


def who(host: Host) -> str:
    """As `ssh` takes it."""
    return f"{host.user}@{host.address}" if host.user else host.address


def _where(host: Host) -> list[str]:
    if host.address.startswith("-"):
        raise UserError(f"{host.address!r} is no host", hint="names do not begin with a dash")
    return [*(["-p", str(host.ssh_port)] if host.ssh_port else []), "--", who(host)]


def _reason(host: Host, err: str) -> tuple[str, str]:
    lines = [line.strip() for line in err.splitlines() if line.strip() and not _NOISE.match(line)]
    said = lines[-1].removeprefix("ssh: ") if lines else "ssh ended without a word"
    for sign, hint in _WHYS:
        if any(sign in line for line in lines):
            return said, hint.format(who=who(host))
    return said, f"`ssh {who(host)} true` shows more"
