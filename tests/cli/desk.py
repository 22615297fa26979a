"""A user's desk: a home and a runtime directory of its own, programs and schedulers that run there, and the command."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from lightwork.transport.blocking import BlockingLink
from lightwork.transport.dial import connect
from lightwork.wire import messages as say, outcome
from lightwork.wire.messages import PROTOCOL, Hello
from tests.cli.helpers import COMMAND, wait_for
from tests.cli.nodes import environment_in

PROGRAM = """
import os, sys, time
import lightwork

def work(go, n):
    print("begin", n, flush=True)
    print("oops", n, file=sys.stderr, flush=True)
    while not os.path.exists(go):
        time.sleep(0.02)
    print("end", n, flush=True)
    time.sleep(1.0)
    return n

if __name__ == "__main__":
    with lightwork.JobCluster(work, slots=2, name=sys.argv[1]) as cluster:
        for n in range(5):
            cluster.submit(sys.argv[2], n)
        cluster.wait()
"""


class Desk:
    """Everything below one short directory: sockets have short names only."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="lwd"))
        (self.home / "run").mkdir(mode=0o700)
        self.environment = environment_in(self.home, XDG_RUNTIME_DIR=str(self.home / "run"), COLUMNS="")
        del self.environment["COLUMNS"]
        self.go = self.home / "go"
        self._running: list[subprocess.Popen[bytes]] = []

    def close(self) -> None:
        """End all that runs here."""
        for process in self._running:
            family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
            process.kill()
            process.wait()
            psutil.wait_procs(family, 10)
        wait_for(lambda: not self.left(), 15)
        shutil.rmtree(self.home)

    def left(self) -> list[int]:
        """Processes of this home that still run."""
        found = []
        for process in psutil.process_iter(["pid", "status"]):
            with contextlib.suppress(psutil.Error, OSError):
                here = process.environ().get("HOME") == str(self.home)
                if here and process.info["status"] != psutil.STATUS_ZOMBIE:
                    found.append(process.pid)
        return found

    def start(self, *command: str, name: str = "program") -> subprocess.Popen[bytes]:
        """A process of this user."""
        with open(self.home / f"{name}.log", "ab") as log:
            process = subprocess.Popen(
                command, cwd=self.home, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._running.append(process)
        return process

    # --- what runs ---

    def cluster(self, name: str = "lab") -> str:
        """A program with five jobs on two slots, which end when `go` is there; its session, once two of them run."""
        path = self.home / "program.py"
        path.write_text(PROGRAM)
        before = self.sessions()
        self.start(sys.executable, str(path), name, str(self.go))
        return wait_for(lambda: self._new(before))

    def _new(self, before: list[dict[str, Any]]) -> str:
        known = {one["name"] for one in before}
        found = [one for one in self.sessions() if one["name"] not in known and one["running"] == 2]
        return str(found[0]["name"]) if found else ""

    def sessions(self) -> list[dict[str, Any]]:
        """Of all schedulers here, as the command tells them."""
        done = self.run("sessions", "--json")
        found = json.loads(done.stdout)["schedulers"] if not done.returncode else []
        return [session for one in found for session in one["sessions"]]

    def scheduler(self, *arguments: str, name: str = "keeper") -> subprocess.Popen[bytes]:
        """`lightwork scheduler`, once it is up."""
        state = ("--state", str(self.home / f"state-{name}"), "--name", name)
        process = self.start(*COMMAND, "scheduler", *state, *arguments, name=name)
        wait_for(lambda: self.place(name) or process.poll() is not None)
        assert process.poll() is None, self.log(name)
        return process

    def place(self, name: str) -> dict[str, Any]:
        """What this scheduler's place file says."""
        path = self.home / "run" / "lightwork" / "schedulers" / f"{name}.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def log(self, name: str) -> str:
        """What a process has said."""
        return (self.home / f"{name}.log").read_text()

    # --- the command ---

    def run(self, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        """The finished command, in pipes."""
        command = [*COMMAND, *map(str, arguments)]
        return subprocess.run(
            command, cwd=self.home, env=self.environment | environment, stdin=subprocess.DEVNULL, text=True,
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip

    def json(self, *arguments: object) -> Any:
        """The document that it shows; nothing else is on stdout."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def on_terminal(self, *arguments: object, width: int = 80, typed: bytes = b"") -> tuple[str, int]:
        """What the command shows on a terminal, and its status; `typed`: what its user answers a question."""
        import fcntl
        import pty
        import struct
        import termios

        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 25, width, 0, 0))
        command = [*COMMAND, *map(str, arguments)]
        environment = self.environment | {"TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
        given = {"stdin": theirs, "stdout": theirs, "stderr": theirs, "cwd": self.home, "env": environment}
        with subprocess.Popen(command, **given) as process:  # type: ignore[call-overload]
            os.close(theirs)
            shown = _read(ours, typed)
        return shown.decode(), process.returncode


def _read(terminal: int, typed: bytes) -> bytes:
    shown, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline and select.select([terminal], [], [], 60)[0]:
        try:
            data = os.read(terminal, 4096)
        except OSError:  # its last user has left
            break
        shown += data
        if typed and b"?" in shown:
            os.write(terminal, typed)
            typed = b""
    os.close(terminal)
    return shown


@contextlib.contextmanager
def desk() -> Iterator[Desk]:
    """It is there as long as the block."""
    one = Desk()
    try:
        yield one
    finally:
        one.close()


class Actors:
    """A client and a node of a durable scheduler that do what they are told: jobs end as a test wants them to."""

    def __init__(self, address: str, session: str = "nightly") -> None:
        self.session = session
        hello = Hello(PROTOCOL, "client", "prog", session=session, lasting=True, user="ann", host="ada", pid=1)
        self.client = connect(address, hello)
        self.node = connect(address, Hello(PROTOCOL, "node", "bob"))
        self._said: list[Any] = []
        self.node.send(say.NodeReady("bob", "", 2, say.Hardware(), identity="i1", claim="c1", era="e1"))
        self._hear(self.node, say.Welcome)
        self.node.send(say.Truth([], [], [], [], [], []))
        self._hear(self.client, say.Opened)

    def submit(self, count: int, **options: Any) -> None:
        """Jobs from number 0 on; the first ones run on the node."""
        self.client.send(say.Define(say.Computation("f", "function", "simulate")))
        keys = [f"key{number}" for number in range(count)]
        self.client.send(say.Submit("f", 0, [1] * count, say.JobOptions(**options), keys=keys), b"x" * count)
        self._hear(self.client, say.Accepted)
        assign = self._hear(self.node, say.Assign)
        self.tokens = assign.tokens
        self.node.send(say.Prepared(self.session, "f", True))
        self.node.send(say.Started(self.tokens, [1] * len(self.tokens)))

    def end(self, token: int, status: int = 0, **parts: Any) -> None:
        """This attempt is over."""
        body = outcome.encode_outcome(outcome.Outcome(b"v", **parts))
        second = 1_000_000_000
        self.node.send(say.Ended([token], [status | outcome.ENVELOPE], [second], [second], [len(body)]), body)
        assert self.node.drain(0, 20)
        self._hear(self.client, say.Results)

    def _hear(self, link: BlockingLink, kind: type) -> Any:
        def found() -> Any:
            self._said += [message for message, _ in link.receive(1)]
            return next((message for message in self._said if isinstance(message, kind)), None)

        message = wait_for(found)
        self._said.remove(message)
        return message

    def close(self) -> None:
        """Both are gone, without a word."""
        self.client.abort()
        self.node.abort()
