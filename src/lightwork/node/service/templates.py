"""The template processes of one keeper: each has an environment where setup ran, and forks its workers."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from lightwork.node.service.keeper_link import KeeperLink
from lightwork.node.service.nursery import Key
from lightwork.node.service.output import Output
from lightwork.node.service.pipes import Pipes

TEMPLATES_FROM = 1 << 40  # their numbers never meet those of workers
TEMPLATE_OUTPUT = 64 << 10


class Template(Struct, eq=False):
    """An environment's template process, or one where setup still runs."""

    key: Key
    number: int
    link: KeeperLink
    pipes: Pipes
    output: Output
    ready: bool = False
    pid: int = 0


class Templates:
    """Those of one keeper, by environment, number and link."""

    def __init__(self) -> None:
        self._all: dict[Key, Template] = {}
        self._numbers = TEMPLATES_FROM

    def __iter__(self) -> Iterator[Template]:
        return iter(list(self._all.values()))

    def add(self, key: Key, link: KeeperLink, pipes: Pipes) -> Template:
        """A new one; what it prints is collected."""
        self._numbers += 1
        made = self._all[key] = Template(key, self._numbers, link, pipes, Output(TEMPLATE_OUTPUT))
        pipes.begin(made.output)
        return made

    def get(self, key: Key) -> Template | None:
        """That of an environment."""
        return self._all.get(key)

    def pop(self, key: Key) -> Template | None:
        """That of an environment, which is no longer one of us."""
        return self._all.pop(key, None)

    def numbered(self, number: int) -> Template | None:
        """The one with this number."""
        return next((one for one in self._all.values() if one.number == number), None)

    def at(self, link: KeeperLink) -> Template | None:
        """The one at the other end."""
        return next((one for one in self._all.values() if one.link is link), None)
