"""The main job where there is nothing that POSIX has: what Windows lacks is taken away from every process of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.helpers import nothing_left

# Loaded by every interpreter of the job before anything else. What the standard library itself needs below stays.
TAKEN_AWAY = """
import os, sys
for name in ("fork", "forkpty", "getuid", "geteuid", "getgid", "setsid", "getsid", "killpg", "setpgid", "getpgid",
             "fchdir", "posix_spawn", "mkfifo", "memfd_create", "pidfd_open", "register_at_fork", "wait4"):
    if hasattr(os, name):
        delattr(os, name)
import socket
del socket.send_fds, socket.recv_fds

def without_paths(call):
    def checked(self, address):
        if isinstance(address, (str, bytes)):
            raise OSError("this system has no unix sockets")
        return call(self, address)
    return checked

socket.socket.bind = without_paths(socket.socket.bind)
socket.socket.connect = without_paths(socket.socket.connect)

def refuse(self, *args, **kwargs):
    raise NotImplementedError("this system's event loop has no such method")

import asyncio.selector_events, asyncio.unix_events
asyncio.selector_events.BaseSelectorEventLoop.add_reader = refuse
asyncio.selector_events.BaseSelectorEventLoop.add_writer = refuse
asyncio.unix_events._UnixSelectorEventLoop.add_signal_handler = refuse
"""


@pytest.mark.parametrize("bare", [False, True], ids=["switched", "bare"])
def test_the_demo(bare: bool, tmp_path: Path) -> None:
    """With the portable seams switched on; and with what is missing elsewhere really missing."""
    environment = {"LIGHTWORK_PORTABLE": "1", "LIGHTWORK_NO_UVLOOP": "1"}
    if bare:
        (tmp_path / "site").mkdir()
        (tmp_path / "site" / "sitecustomize.py").write_text(TAKEN_AWAY)
        environment |= {"PYTHONPATH": str(tmp_path / "site"), "USERNAME": "somebody"}
    with nothing_left(environment):
        command = [sys.executable, "-m", "lightwork", "demo", "--jobs", "200", "--programs", "20", "--width", "96"]
        done = subprocess.run(command, cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "200" in done.stdout
    assert (tmp_path / "lightwork-demo.png").stat().st_size > 1000
