"""A real sshd of our own on loopback, which lets one fresh key in, and a configuration for `ssh` that knows it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.lab import PATH, install

SERVER_CONFIG = """\
ListenAddress 127.0.0.1:{port}
HostKey {directory}/host
PidFile {directory}/sshd.pid
AuthorizedKeysFile {directory}/user.pub
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
SetEnv HOME={home} XDG_CONFIG_HOME={home}/.config XDG_STATE_HOME={home}/.local/state XDG_RUNTIME_DIR={runtime}
"""
CLIENT_CONFIG = """\
Host *
  IdentityFile {directory}/user
  IdentitiesOnly yes
  UserKnownHostsFile {directory}/known_hosts
  GlobalKnownHostsFile /dev/null
"""


@dataclass(frozen=True)
class Sshd:
    """`ssh`: a command line that reaches it; `home`: of whoever comes in."""

    port: int
    home: Path
    ssh: str


@contextlib.contextmanager
def sshd(directory: Path) -> Iterator[Sshd]:
    """One that runs, until the end of the block."""
    program = _needed()
    home, port = directory / "home", _free_port()
    home.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / name], check=True)
    (directory / "known_hosts").write_text(f"[127.0.0.1]:{port} {(directory / 'host.pub').read_text()}")
    runtime = Path(tempfile.mkdtemp(prefix="lw", dir="/tmp"))  # short, as sockets must be
    config = SERVER_CONFIG.format(port=port, directory=directory, home=home, runtime=runtime)
    (directory / "sshd_config").write_text(config)
    (directory / "ssh_config").write_text(CLIENT_CONFIG.format(directory=directory))
    with open(directory / "sshd.log", "wb") as log:
        server = subprocess.Popen([program, "-D", "-e", "-f", directory / "sshd_config"], stderr=log)
    try:
        _wait_for(port, server)
        yield Sshd(port, home, f"ssh -F {directory / 'ssh_config'}")
    finally:
        server.terminate()
        server.wait(10)
        shutil.rmtree(runtime, ignore_errors=True)


def _needed() -> str:
    if sys.platform != "linux":
        pytest.skip("this sshd is set up as on Linux")
    if os.geteuid() == 0:
        install({"sshd": "openssh-server", "ssh": "openssh-client"})
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    found = shutil.which("sshd", path=PATH)
    if found is None or shutil.which("ssh") is None:
        pytest.skip("no sshd here, and apt-get did not bring it")
    return found


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 15
    while time.monotonic() < end:
        assert server.poll() is None, "sshd has ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError("sshd does not listen")
