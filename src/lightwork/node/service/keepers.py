"""The keeper of one interpreter, its templates, and who of them has which worker (POSIX).

    agent --channel--> keeper --forks--> workers, programs
                         |---forks--> template of an environment --forks--> its workers
                                        (a channel of its own, straight to the agent)

A keeper that dies is replaced at once. Everything below it is dead or being killed; only when that is sure are the
rings drained and the deaths told, so that nothing is given back that may still run. The keeper of an interpreter other
than our own is given up if it dies again and again, for others can do the work: then no worker of it can be started.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

from lightwork.kit.tasks import spawn as spawn_task
from lightwork.node.core.interpreters import OWN, named
from lightwork.node.service.ancestor import NUMBER as ANCESTOR, Ancestor, sentence
from lightwork.node.service.births import program_ends, program_fields, template_ends, worker_ends
from lightwork.node.service.burial import bury, gone
from lightwork.node.service.keeper_link import KeeperLink
from lightwork.node.service.keeper_spawn import Arenas, KeeperProcess, start_keeper
from lightwork.node.service.nursery import Key, Parent, ProgramOrder
from lightwork.node.service.processes import be_nice, kill_group
from lightwork.node.service.sweeping import Sweeper
from lightwork.node.service.templates import TEMPLATES_FROM, Template, Templates
from lightwork.node.service.worker_link import WorkerLink
from lightwork.wire.channel import (
    CLEANED,
    DIED,
    KEEPER_READY,
    SPAWN_FAILED,
    STARTED_PID,
    TEMPLATE_FAILED,
    TEMPLATE_READY,
    Frame,
)
from lightwork.wire.outcome import decode_fields

Home = KeeperLink | Ancestor
QUICK_DEATH_S = 1.0
QUICK_DEATHS_TOLD = 3
PAUSE_S = 1.0


class Keepers:
    """The nursery of one interpreter, by its number, on systems that fork."""

    def __init__(
        self, parent: Parent, loop: asyncio.AbstractEventLoop, arenas: Arenas, sweeper: Sweeper, number: int = OWN
    ) -> None:
        self._parent = parent
        self._loop = loop
        self._arenas = arenas
        self._sweeper = sweeper
        self._number = number
        self._python = parent.interpreters[number]
        self._given_up = ""  # why no worker can be started
        self._process: KeeperProcess | None = None
        self._link: KeeperLink | None = None
        self._ancestor: Ancestor | None = None  # who has run the file of the node's owner
        self._templates = Templates()
        self._homes: dict[int, Home] = {}  # who has which worker or program
        self._orphans: set[int] = set()  # wanted from a template that is gone
        self._started_s = 0.0
        self._quick_deaths = 0
        self._stopping = False

    def start(self, process: KeeperProcess | None = None) -> None:
        """Take over a keeper that was started early, or start one. OSError: it cannot be started."""
        rules = self._parent.rules
        self._process = process or start_keeper(self._python.path, self._arenas, rules.user)
        be_nice(self._process.pid, self._parent.nice)
        self._sweeper.living.add(self._process.pid)
        self._started_s = self._loop.time()
        link = self._link = KeeperLink(self._loop, self._process.channel, self._on_frame, self._on_end)
        if rules.init:
            told = self._on_frame, self._unborn, self._ancestor_died
            self._ancestor = Ancestor(self._loop, link, rules.init, rules.user, *told)

    async def listen(self) -> None:
        """StartFailed: the file of the node's owner cannot be run."""
        if self._ancestor is not None:
            await self._ancestor.must_run(self._parent.log)

    def start_soon(self) -> None:
        """Start a keeper now; or after a sweep that is under way, which would end it, or when it can be started."""
        if self._sweeper.quiet.locked() or not self._starts():
            spawn_task(self._replace([], 0, 0.0), "start a keeper", self._parent.fault)

    def pids(self) -> dict[str, int]:
        """The keeper and its templates."""
        name = f"keeper{'' if self._number == OWN else ' ' + named(self._python.version)}"
        found = {name: self._process.pid} if self._process is not None else {}
        return found | {f"template {one.key[1][:8]}": one.pid for one in self._templates if one.pid}

    # --- orders ---

    def fork(self, number: int, template: Key | None) -> None:
        """Make a worker."""
        link = self._parent.new_link(number)
        home = self._home(template)
        if self._given_up:
            self._parent.links.pop(number).not_started(0, self._given_up)
        elif home is None:
            self._orphans.add(number)
        else:
            descriptors = worker_ends(self._loop, link, self._parent.rules.user)
            self._homes[number] = home
            home.fork(number, str(link.ring.path), descriptors)

    def set_up(self, key: Key, slot: int, load: Mapping[str, bytes]) -> None:
        """Make a template process and run setup there."""
        if self._given_up:
            self._parent.not_set_up(key, {"type": b"OSError", "message": self._given_up.encode(errors="replace")})
            return
        if self._link is None:
            return  # the keeper's death will be told, and then it is asked for again
        ours, pipes, descriptors = template_ends(self._loop, self._parent.rules.user)
        made = self._templates.add(key, KeeperLink(self._loop, ours, self._on_frame, self._on_end), pipes)
        (self._ancestor or self._link).template(made.number, slot, load, descriptors)

    def spawn(self, number: int, order: ProgramOrder) -> None:
        """Start a program."""
        link = self._parent.new_program_link(number)
        if self._link is None:
            self._orphans.add(number)
            return
        descriptors = program_ends(self._loop, link, order, self._parent.rules.user)
        self._homes[number] = self._link
        self._link.spawn(number, program_fields(link, order), descriptors)

    def kill(self, number: int) -> None:
        """End a worker's or program's whole tree."""
        if home := self._homes.get(number):
            home.kill(number)

    def signal(self, number: int, signal: int) -> None:
        """Send a signal to its process group."""
        if home := self._homes.get(number):
            home.signal(number, signal)

    def cleanup(self, key: Key, slot: int) -> bool:
        """Run a cleanup in the template."""
        template = self._templates.get(key)
        if template is None or not template.ready:
            return False
        template.link.cleanup(slot)
        return True

    def drop(self, key: Key) -> None:
        """End the template."""
        template = self._templates.pop(key)
        if template is not None:
            template.link.close()
            template.pipes.close()
            if self._link is not None:
                (self._ancestor or self._link).kill(template.number)

    async def stop(self) -> None:
        """Close the channel: the keeper kills all below it and exits. (A sweep should follow.)"""
        self._stopping = True
        for template in self._templates:
            self.drop(template.key)
        if self._ancestor is not None and self._link is not None:
            await self._ancestor.end(self._parent.log)
        if self._link is not None:
            self._link.close()
            self._link = None
        if self._process is not None:
            await gone(self._process.pid)
            self._sweeper.living.discard(self._process.pid)

    # --- news ---

    def _home(self, template: Key | None) -> Home | None:
        if template is None:
            return self._ancestor or self._link
        found = self._templates.get(template)
        return found.link if found is not None else None

    def _on_frame(self, link: KeeperLink, frame: Frame) -> None:
        try:
            self._follow(link, frame)
        except Exception as error:  # noqa: BLE001  # whose birth or death was it? Somebody would wait for it for ever
            self._parent.fault(error, f"a keeper's frame of kind {frame.kind} could not be followed")

    def _follow(self, link: KeeperLink, frame: Frame) -> None:
        if frame.kind == KEEPER_READY:
            return
        fields = decode_fields(frame.body)
        if frame.kind in (TEMPLATE_READY, TEMPLATE_FAILED, CLEANED):
            self._of_template(link, frame, fields)
            return
        number = int(fields["id"])
        if frame.kind == STARTED_PID:
            self._born(number, int(fields["pid"]))
        elif frame.kind == DIED:
            code = os.waitstatus_to_exitcode(int(fields["status"]))
            self._died(number, code, int(fields.get("max_rss", b"0")))
        elif frame.kind == SPAWN_FAILED:
            self._not_started(number, fields)

    def _born(self, number: int, pid: int) -> None:
        if number > TEMPLATES_FROM:
            template = self._templates.numbered(number)
            if template is not None:
                template.pid = pid
            return
        link = self._parent.links.get(number)
        if link is not None:
            link.pid = pid
            self._parent.born(number, pid)

    def _died(self, number: int, code: int, peak: int) -> None:
        if number == ANCESTOR and self._ancestor is not None:
            self._ancestor.gone()
        self._homes.pop(number, None)
        link = self._parent.links.pop(number, None)
        if link is not None:
            link.died(code, peak)

    def _not_started(self, number: int, fields: dict[str, bytes]) -> None:
        self._homes.pop(number, None)
        text = fields.get("message", b"").decode(errors="replace")
        if number > TEMPLATES_FROM:
            template = self._templates.numbered(number)
            if template is not None:
                self.drop(template.key)
                self._parent.not_set_up(template.key, {"type": b"OSError", "message": fields.get("message", b"")})
            return
        self._parent.log(f"process {number} could not be started: {text}")
        link = self._parent.links.pop(number, None)
        if link is not None:
            link.not_started(int(fields.get("errno", b"0")), text)

    def _of_template(self, link: KeeperLink, frame: Frame, fields: dict[str, bytes]) -> None:
        template = self._templates.at(link)
        if template is None:
            return
        if frame.kind == CLEANED:
            self._parent.cleaned(template.key, frame.slot, fields)
        elif frame.kind == TEMPLATE_READY:
            template.ready = True
            self._parent.set_up(template.key)
        else:
            self.drop(template.key)
            self._parent.not_set_up(template.key, fields)

    # --- deaths of keepers ---

    def _unborn(self, numbers: list[int], failure: dict[str, bytes]) -> None:
        """The file of the node's owner cannot be run (here and now), or they were ended before it was."""
        if self._ancestor is not None and self._ancestor.settled.done():
            self._given_up = sentence(self._parent.rules.init, failure)
            self._parent.trouble(self._given_up)
        for number in numbers:
            self._not_started(number, {**failure, "message": (self._given_up or "ended").encode()})

    def _ancestor_died(self) -> None:
        if self._process is not None and not self._stopping:
            kill_group(self._process.pid)  # all below it is dead, and so the keeper is of no use

    def _on_end(self, link: KeeperLink) -> None:
        if self._stopping:
            return
        if link is self._link:
            self._keeper_died()
            return
        template = self._templates.at(link)
        if template is not None:
            self._template_died(template)

    def _template_died(self, template: Template) -> None:
        self.drop(template.key)
        if template.ready:
            numbers = [number for number, home in self._homes.items() if home is template.link]
            self._parent.template_died(template.key)
            spawn_task(self._bury(numbers, ()), "bury a template", self._parent.fault)
        else:
            message = b"the process died while setup ran: " + template.output.last_words()
            self._parent.not_set_up(template.key, {"type": b"SetupFailed", "message": message})

    def _keeper_died(self) -> None:
        process, self._process, self._link = self._process, None, None
        assert process is not None
        self._sweeper.living.discard(process.pid)
        numbers = list(self._homes)
        if self._ancestor is not None:
            self._ancestor.close()
            self._ancestor = None
        for template in self._templates:
            self.drop(template.key)
        self._quick_deaths = self._quick_deaths + 1 if self._loop.time() - self._started_s < QUICK_DEATH_S else 0
        self._tell_death(process.pid)
        pause_s = PAUSE_S if self._quick_deaths > 1 and not self._given_up else 0.0
        spawn_task(self._replace(numbers, process.pid, pause_s), "replace the keeper", self._parent.fault)

    def _tell_death(self, pid: int) -> None:
        often = self._quick_deaths == QUICK_DEATHS_TOLD
        if often and self._number != OWN:
            self._give_up("its keeper dies at once")
        else:
            tell = self._parent.trouble if often else self._parent.log
            tell(f"the keeper (process {pid}) died; another one is started")

    def _give_up(self, why: str) -> None:
        python = self._python
        self._given_up = f"Python {named(python.version)} of this node ({python.path}) runs no workers: {why}"
        self._parent.trouble(self._given_up)

    async def _replace(self, numbers: list[int], pid: int, pause_s: float) -> None:
        await asyncio.sleep(pause_s)
        async with self._sweeper.quiet:  # a sweep would end the new one
            while not (self._stopping or self._given_up or self._starts()):  # noqa: ASYNC110  # it tries again
                await asyncio.sleep(PAUSE_S)
            if self._stopping:
                return
            self._parent.keeper_died(self._number)  # so nobody is born below the old one any more
        await self._bury(numbers, (pid,) if pid else ())

    def _starts(self) -> bool:
        """Whether there is no need to try again."""
        try:
            self.start()
        except OSError as error:
            if self._number != OWN and isinstance(error, FileNotFoundError | PermissionError):
                self._give_up(f"it cannot be started: {error.strerror}")  # it was uninstalled
                return True
            what = f"no jobs of Python {named(self._python.version)} run here"
            self._parent.trouble(f"no keeper can be started, so {what}: {error}")
            return False
        return True

    async def _bury(self, numbers: list[int], pids: tuple[int, ...]) -> None:
        """Their home is gone: be sure of their deaths, and tell these."""
        links = [self._parent.links[number] for number in numbers if number in self._parent.links]
        await bury([link.pid for link in links if link.pid], pids, self._sweeper)
        for link in [*links, *self._take_orphans()]:
            self._homes.pop(link.number, None)
            if self._parent.links.pop(link.number, None) is not None:
                link.died(-9, 0, with_keeper=True)

    def _take_orphans(self) -> list[WorkerLink]:
        """Those whose home was gone before they were born."""
        orphans, self._orphans = self._orphans, set()
        return [self._parent.links[number] for number in orphans if number in self._parent.links]
