"""`lightwork scheduler` in a process of its own, with a home and a runtime directory of its own; and a bare client."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from lightwork.config.places import Place, read
from lightwork.model.errors import LinkBroken
from lightwork.security.credential import Credential
from lightwork.transport.blocking import BlockingLink
from lightwork.transport.dial import connect
from lightwork.transport.tls import Encryption
from lightwork.wire.messages import PROTOCOL, Hello, Message
from tests.cli.helpers import gone, wait_for
from tests.cli.nodes import environment_in

MARK = "RUN_TEST_MARK"


class Home:
    """Directories that only this test uses, and a mark that all its processes carry."""

    def __init__(self, home: Path) -> None:
        self.path = home
        self.mark = uuid.uuid4().hex
        self.runtime = Path(tempfile.mkdtemp(prefix="lw", dir="/tmp"))  # short, as sockets must be
        self.state = home / "state"

    def environment(self, **more: str) -> dict[str, str]:
        return environment_in(self.path, XDG_RUNTIME_DIR=str(self.runtime), **{MARK: self.mark, **more})

    def sockets(self) -> list[str]:
        """Paths that are listened at, and place files."""
        found = (self.runtime / "lightwork").rglob("*")
        return sorted(path.name for path in found if not path.is_dir() and path.suffix != ".lock")

    def places(self) -> list[Place]:
        """What schedulers say of themselves, living or dead."""
        files = sorted((self.runtime / "lightwork" / "schedulers").glob("*.json"))
        return [place for place in map(read, files) if place is not None]


@contextlib.contextmanager
def at_home(path: Path) -> Iterator[Home]:
    """No process of it is left at the end."""
    home = Home(path)
    try:
        yield home
        assert gone(home.mark, 15) == []
    finally:
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(MARK) == home.mark:
                    process.kill()
        shutil.rmtree(home.runtime, ignore_errors=True)


class Scheduler:
    """One that was started; its output goes to files."""

    def __init__(self, home: Home, *arguments: Any, name: str = "lab", **environment: str) -> None:
        self.home, self.name = home, name
        life = uuid.uuid4().hex[:6]
        self._out, self._err = (home.path / f"{name}-{life}.{end}" for end in ("out", "err"))
        command = [sys.executable, "-m", "lightwork", "scheduler", "--name", name, *map(str, arguments)]
        with open(self._out, "wb") as out, open(self._err, "wb") as err:
            self.process = subprocess.Popen(
                command,
                cwd=home.path,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=home.environment(**environment),
            )

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def says(self, text: str, within_s: float = 20.0) -> str:
        """Wait until it has said this, on either stream."""
        with contextlib.suppress(AssertionError):
            wait_for(lambda: text in self.out + self.err or self.process.poll() is not None, within_s)
        assert text in self.out + self.err, f"it ended with {self.process.poll()}: {self.out} {self.err}"
        return self.out + self.err

    def place(self) -> Place:
        """Where it says that it is."""
        self.says(" listens")
        return next(one for one in self.home.places() if one.pid == self.process.pid)

    def ended(self, within_s: float = 30.0) -> int:
        return self.process.wait(within_s)

    def stop(self) -> int:
        """TERM, and what came of it."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()


@contextlib.contextmanager
def scheduler(home: Home, *arguments: Any, name: str = "lab", **environment: str) -> Iterator[Scheduler]:
    """It runs as long as the block, unless that ends it."""
    one = Scheduler(home, *arguments, name=name, **environment)
    try:
        yield one
    finally:
        one.close()


class Caller:
    """A client (or node, or watcher) without a library around it."""

    def __init__(self, address: str, role: str = "client", secret: str = "", **hello: Any) -> None:
        cipher = Encryption(Credential(secrets=(secret,), origin="the test")) if secret else None
        given = {"name": "test", "session": "s1", "host": "h", "user": "u", **hello}
        self.link: BlockingLink = connect(address, Hello(PROTOCOL, role, **given), encryption=cipher, timeout=10)
        self.heard: list[Message] = []

    @property
    def scheduler(self) -> Hello:
        return self.link.peer

    def send(self, message: Message, body: bytes = b"") -> None:
        self.link.send(message, body)

    def hears(self, kind: type, within_s: float = 20.0) -> Any:
        """Wait for a message of this kind."""
        self.until(lambda: any(isinstance(one, kind) for one in self.heard), within_s)
        return next(one for one in self.heard if isinstance(one, kind))

    def until(self, condition: Callable[[], object], within_s: float = 20.0) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline and self.link.error is None, (self.heard, self.link.error)
            self.heard += [message for message, _ in self.link.receive(0.1)]

    def lost(self, within_s: float = 20.0) -> str:
        """Wait for the end of the link: "goodbye" or "broken"."""
        deadline = time.monotonic() + within_s
        with contextlib.suppress(LinkBroken):
            while True:
                assert time.monotonic() < deadline
                self.heard += [message for message, _ in self.link.receive(0.1)]
        return "goodbye" if self.link.left else "broken"

    def close(self) -> None:
        self.link.abort()


@contextlib.contextmanager
def caller(address: str, role: str = "client", **given: Any) -> Iterator[Caller]:
    one = Caller(address, role, **given)
    try:
        yield one
    finally:
        one.close()


def environ_of(pid: int) -> str:
    """What a process was started with: its environment and arguments."""
    where = f"/proc/{pid}"
    with open(f"{where}/environ", "rb") as file, open(f"{where}/cmdline", "rb") as line:
        return (file.read() + line.read()).decode(errors="replace")


def default_state(home: Home, name: str) -> Path:
    return Path(os.path.join(home.path, ".local", "state", "lightwork", "schedulers", name))
