"""Programs on a lab's hosts: nodes that hold a secret, and clients that are scripts and print lines of JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightwork.security.secret import generate
from tests.e2e.helpers import wait_until
from tests.support.lab import Lab, Program

PRELUDE = """
import json, os, sys, time
import lightwork

def say(**what):
    print(json.dumps(what), flush=True)

"""
LIMIT_S = 60.0
SHORT = "HEARTBEAT_S=0.2 LEASE_S=2 LOST_S=4 RETRY_S=0.5 NO_NODE_S=1 ASK_NETWORK_S=1"  # for tests of what takes long


class Farm(Lab):
    """A lab on 192.168.3.0/24. `timers`: for all programs."""

    def __init__(
        self,
        *hosts: str,
        subnets: Iterable[str] = ("192.168.3.0/24",),
        timers: str = "",
        visible: Iterable[Path] = (),
    ) -> None:
        super().__init__(*subnets, hosts=hosts, visible=visible)
        self.secret = generate()
        self.timers = timers
        self._scripts = 0

    def __enter__(self) -> Farm:
        return self

    def environment(self, secret: str | None, env: Mapping[str, str] | None) -> dict[str, str]:
        """What a program of this farm is told."""
        found = {"LIGHTWORK_TIMERS": self.timers} if self.timers else {}
        given = self.secret if secret is None else secret
        return {**found, **({"LIGHTWORK_SECRET": given} if given else {}), **(env or {})}

    def node(
        self,
        host: str,
        *options: str,
        secret: str | None = None,
        env: Mapping[str, str] | None = None,
        ready: str | None = None,
    ) -> Program:
        """`lightwork node` on a host; back when it has said where it is (or what `ready` says)."""
        program = self[host].start(["lightwork", "node", *options], env=self.environment(secret, env))
        wanted = ready if ready is not None else "join" if "--join" in options else "listens"
        program.wait_for(wanted)
        return program

    def client(
        self, host: str, code: str, *arguments: str, secret: str | None = None, env: Mapping[str, str] | None = None
    ) -> Client:
        """A script of a user's: `lightwork` and `say(key=value)` are there."""
        self._scripts += 1
        path = self[host].work / f"script{self._scripts}.py"
        path.write_text(PRELUDE + textwrap.dedent(code))
        return Client(self[host].python(path, *arguments, env=self.environment(secret, env)))


class Client:
    """A user's program, and what it says."""

    def __init__(self, program: Program) -> None:
        self.program = program

    @property
    def said(self) -> list[dict[str, Any]]:
        """All that it has said so far."""
        return [json.loads(line) for line in self.program.out.splitlines() if line.startswith("{")]

    def get(self, key: str) -> Any:
        """What it said under this key, first."""
        return next((line[key] for line in self.said if key in line), None)

    def wait_for(self, key: str, limit_s: float = LIMIT_S) -> Any:
        """Until it has said something under this key."""

        def there() -> bool:
            assert self.program.popen.poll() in (None, 0), self.told()
            return self.get(key) is not None

        wait_until(there, f"the client says {key}: {self.told()}", limit_s)
        return self.get(key)

    def wait(self, limit_s: float = LIMIT_S) -> None:
        """Until it has ended well."""
        code = self.program.wait(limit_s)
        assert code == 0, f"exit code {code}: {self.told()}"

    def told(self) -> str:
        """Everything, for an error message."""
        return f"\nout: {self.program.out}\nerr: {self.program.err}"
