"""Where processes come from: a keeper that forks, or, where there is none, the agent itself (portable)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from lightwork.node.core.interpreters import OWN
from lightwork.node.service.house_rules import HouseRules
from lightwork.node.service.interpreters import Interpreters
from lightwork.node.service.keeper_spawn import KeeperProcess
from lightwork.node.service.marked import PortableLink
from lightwork.node.service.program_link import ProgramLink
from lightwork.node.service.worker_link import Owner, WorkerLink
from lightwork.wire.channel import OUTPUT_LIMIT

Key = tuple[str, str]  # session, environment


class ProgramOrder:
    """A program to be started."""

    def __init__(self, token: int, argv: list[bytes], env: dict[str, str], directory: Path) -> None:
        self.token = token
        self.argv = argv
        self.env = env  # on top of our own
        self.directory = directory
        self.stdin = b""
        self.limit = OUTPUT_LIMIT  # bytes kept at each end of each stream


class Parent(Owner, Protocol):
    """The agent, as those who make processes know it."""

    interpreters: Interpreters
    links: dict[int, WorkerLink]
    nice: int  # of all processes
    rules: HouseRules

    def new_link(self, number: int) -> WorkerLink:
        """A worker's link, registered in `links`."""

    def new_portable_link(self, number: int) -> PortableLink:
        """The link of a worker that is spawned, registered in `links`."""

    def new_program_link(self, number: int) -> ProgramLink:
        """A program's link, registered in `links`."""

    def born(self, number: int, pid: int) -> None:
        """A worker or program has a process."""

    def set_up(self, key: Key) -> None:
        """Setup of an environment ran."""

    def not_set_up(self, key: Key, failure: dict[str, bytes]) -> None:
        """Setup of an environment raised, or its process died."""

    def template_died(self, key: Key) -> None:
        """A template is gone, and its workers with it (they are reported before)."""

    def keeper_died(self, python: int) -> None:
        """The keeper of an interpreter is gone, and all below it."""

    def cleaned(self, key: Key, slot: int, problem: dict[str, bytes]) -> None:
        """A cleanup ran."""

    def fault(self, error: BaseException, what: str) -> None:
        """Something of ours failed, and nobody knows whose attempts depend on it."""

    def trouble(self, text: str) -> None:
        """Something that users of this node should know, for their jobs wait."""

    def log(self, text: str) -> None:
        """For the node's own log."""


class Nursery(Protocol):
    """Makes and ends processes."""

    def start(self, process: KeeperProcess | None = None) -> None:
        """Be ready for orders; `process`: a keeper that was started early."""

    async def listen(self) -> None:
        """Be ready for workers."""

    def fork(self, number: int, template: Key | None, python: int = OWN) -> None:
        """Make a worker of an interpreter."""

    def set_up(self, key: Key, slot: int, load: Mapping[str, bytes], python: int = OWN) -> None:
        """Make a template process of an interpreter and run setup there."""

    def spawn(self, number: int, order: ProgramOrder) -> None:
        """Start a program."""

    def kill(self, number: int) -> None:
        """End a worker's or program's whole tree at once."""

    def signal(self, number: int, signal: int) -> None:
        """Send a signal to its process group."""

    def cleanup(self, key: Key, slot: int) -> bool:
        """Run a cleanup in the template; False if there is no template that has been set up."""

    def drop(self, key: Key) -> None:
        """The template is no longer needed."""

    def pids(self) -> dict[str, int]:
        """Our helpers."""

    async def stop(self) -> None:
        """End everything below us."""
