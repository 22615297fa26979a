"""`lightwork node` in a process of its own, with a home of its own and a name that no other node has."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from lightwork.config import paths
from lightwork.security.secret import generate
from tests.cli.helpers import COMMAND, wait_for

SECRET = generate()


class Node:
    """One that was started; its output goes to files, which are read at any time."""

    def __init__(self, home: Path, name: str, *arguments: str, **environment: str) -> None:
        self.name = name
        self.directory = paths.node_directory(name)
        home.mkdir(exist_ok=True)
        self.stdout, self.stderr = home / f"{name}.out", home / f"{name}.err"
        command = [*COMMAND, "node", "--name", name, *arguments]
        with open(self.stdout, "wb") as out, open(self.stderr, "wb") as err:
            self.process = subprocess.Popen(
                command,
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment_in(home, **environment),
            )

    @property
    def out(self) -> str:
        return self.stdout.read_text()

    @property
    def err(self) -> str:
        return self.stderr.read_text()

    def says(self, text: str, within_s: float = 20.0) -> str:
        """Wait until it has said this, on either stream."""
        assert wait_for(lambda: text in self.out + self.err or self.process.poll() is not None, within_s), self.err
        assert text in self.out + self.err, f"it ended with {self.process.poll()}: {self.out} {self.err}"
        return self.out + self.err

    def address(self) -> str:
        """Where it listens."""
        self.says("listens")
        found = re.search(r"(unix:[^\"]+|loopback:[^\"]+)|listens at ([^ :]+|\[\S+\]):(\d+)", self.out)
        assert found is not None, self.out
        return found[1] or f"tcp:127.0.0.1:{found[3]}"

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def ended(self, within_s: float = 30.0) -> int:
        return self.process.wait(within_s)

    def family(self) -> list[psutil.Process]:
        """All processes of it, itself first."""
        me = psutil.Process(self.process.pid)
        return [me, *me.children(recursive=True)]

    def close(self) -> None:
        family = self.family() if self.process.poll() is None else []
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        psutil.wait_procs(family, 10)
        shutil.rmtree(self.directory, ignore_errors=True)


def environment_in(home: Path, **more: str) -> dict[str, str]:
    """Nothing of this user's own secret or state."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("LIGHTWORK_", "XDG_", "NO_COLOR"))
    }
    return {**kept, "HOME": str(home), **more}


def new_name() -> str:
    return f"t{uuid.uuid4().hex[:8]}"


@contextlib.contextmanager
def node(home: Path, *arguments: Any, name: str = "", **environment: str) -> Iterator[Node]:
    """It runs as long as the block, unless that ends it."""
    one = Node(home, name or new_name(), *map(str, arguments), **environment)
    try:
        yield one
    finally:
        one.close()


def stopped(one: Node) -> int:
    """TERM, and what came of it."""
    one.signal(signal.SIGTERM)
    return one.ended()
