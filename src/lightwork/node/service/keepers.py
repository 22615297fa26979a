"""The keeper, its templates, and who of them has which worker (POSIX).

    agent --channel--> keeper --forks--> workers, programs
                         |---forks--> template of an environment --forks--> its workers
                                        (a channel of its own, straight to the agent)

A keeper that dies is replaced at once. Everything below it is dead or being killed; only when that is sure are the
rings drained and the deaths told, so that nothing is given back that may still run.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import ExitStack

from msgspec import Struct

from lightwork.kit.tasks import spawn as spawn_task
from lightwork.node.service.channel import Channel
from lightwork.node.service.keeper_link import KeeperLink
from lightwork.node.service.keeper_spawn import Arenas, KeeperProcess, start_keeper
from lightwork.node.service.nursery import Key, Parent, ProgramOrder
from lightwork.node.service.output import Output
from lightwork.node.service.pipes import Pipes, closing, output_pipes
from lightwork.node.service.processes import kill_group, reap, start_of, sweep
from lightwork.node.service.stdin import stdin_descriptor
from lightwork.node.service.worker_link import WorkerLink
from lightwork.transport.descriptors import pair
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

TEMPLATES_FROM = 1 << 40  # their numbers never meet those of workers
TEMPLATE_OUTPUT = 64 << 10
QUICK_DEATH_S = 1.0
QUICK_DEATHS_TOLD = 3
PAUSE_S = 1.0
ALL: Key = ("", "")


class Template(Struct, eq=False):
    """An environment's template process."""

    key: Key
    number: int
    link: KeeperLink
    pipes: Pipes
    output: Output
    ready: bool = False
    pid: int = 0


class Keepers:
    """The nursery of systems that fork."""

    def __init__(self, parent: Parent, loop: asyncio.AbstractEventLoop, arenas: Arenas, sole: bool) -> None:
        self._parent = parent
        self._loop = loop
        self._arenas = arenas
        self._sole = sole  # this process has no other children: whatever is below it is ours
        self._process: KeeperProcess | None = None
        self._link: KeeperLink | None = None
        self._templates: dict[Key, Template] = {}
        self._homes: dict[int, KeeperLink] = {}  # who has which worker or program
        self._orphans: set[int] = set()  # wanted from a template that is gone
        self._numbers = TEMPLATES_FROM
        self._started_s = 0.0
        self._quick_deaths = 0
        self._stopping = False
        self._sweeping = asyncio.Lock()  # a sweep ends all below us, and so would end another one

    def start(self, process: KeeperProcess | None = None) -> None:
        """Take over a keeper that was started early, or start one. OSError: it cannot be started."""
        self._process = process or start_keeper(self._parent.python, self._arenas)
        self._started_s = self._loop.time()
        self._link = KeeperLink(self._loop, self._process.channel, self._on_frame, self._on_end)

    async def listen(self) -> None:
        """Workers come with their channels."""

    def pids(self) -> dict[str, int]:
        """The keeper and its templates."""
        found = {"keeper": self._process.pid} if self._process is not None else {}
        return found | {f"template {key[1][:8]}": one.pid for key, one in self._templates.items() if one.pid}

    # --- orders ---

    def fork(self, number: int, template: Key | None) -> None:
        """Make a worker."""
        link = self._parent.new_link(number)
        home = self._home(template)
        if home is None:
            self._orphans.add(number)
            return
        with ExitStack() as undo:  # of what will be handed down; the rest is the link's, and closed with it
            ours, theirs = pair()
            undo.enter_context(theirs)
            link.line = Channel(self._loop, ours, link.on_readable)
            link.pipes, ends = output_pipes(self._loop)
            stdout, stderr = (closing(end, undo) for end in ends)
            readers = [closing(os.dup(end), undo) for end in link.pipes.ends]
            undo.pop_all()
        self._homes[number] = home
        home.fork(number, str(link.ring.path), (theirs.detach(), stdout, readers[0], stderr, readers[1]))

    def set_up(self, key: Key, slot: int, load: Mapping[str, bytes]) -> None:
        """Make a template process and run setup there."""
        if self._link is None:
            return  # the keeper's death will be told, and then it is asked for again
        self._numbers += 1
        with ExitStack() as undo:
            ours, theirs = pair()
            undo.enter_context(ours)
            undo.enter_context(theirs)
            pipes, (stdout, stderr) = output_pipes(self._loop)
            undo.pop_all()
        output = Output(TEMPLATE_OUTPUT)
        pipes.begin(output)
        link = KeeperLink(self._loop, ours, self._on_frame, self._on_end)
        self._templates[key] = Template(key, self._numbers, link, pipes, output)
        self._link.template(self._numbers, slot, load, (theirs.detach(), stdout, stderr))

    def spawn(self, number: int, order: ProgramOrder) -> None:
        """Start a program."""
        link = self._parent.new_program_link(number)
        if self._link is None:
            self._orphans.add(number)
            return
        with ExitStack() as undo:
            link.pipes, ends = output_pipes(self._loop)
            stdout, stderr = (closing(end, undo) for end in ends)
            stdin = stdin_descriptor(order.stdin)
            undo.pop_all()
        link.read_output(order.limit)
        fields = {
            "token": b"%d" % order.token,
            "shared_file": os.fsencode(link.ring.path),
            "directory": os.fsencode(order.directory),
            **{f"argv.{index}": argument for index, argument in enumerate(order.argv)},
            **{f"env.{name}": os.fsencode(value) for name, value in order.env.items()},
        }
        self._homes[number] = self._link
        self._link.spawn(number, fields, (stdin, stdout, stderr))

    def kill(self, number: int) -> None:
        """End a worker's or program's whole tree."""
        home = self._homes.get(number)
        if home is not None:
            home.kill(number)

    def signal(self, number: int, signal: int) -> None:
        """Send a signal to its process group."""
        home = self._homes.get(number)
        if home is not None:
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
        template = self._templates.pop(key, None)
        if template is not None:
            template.link.close()
            template.pipes.close()
            if self._link is not None:
                self._link.kill(template.number)

    async def stop(self) -> None:
        """Close the channel: the keeper kills all below it and exits."""
        self._stopping = True
        for key in list(self._templates):
            self.drop(key)
        if self._link is not None:
            self._link.close()
            self._link = None
        if self._process is not None:
            await self._gone(self._process.pid)
        await self._sweep()

    # --- news ---

    def _home(self, template: Key | None) -> KeeperLink | None:
        if template is None:
            return self._link
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
            for template in self._templates.values():
                if template.number == number:
                    template.pid = pid
            return
        link = self._parent.links.get(number)
        if link is not None:
            link.pid = pid
            self._parent.born(number, pid)

    def _died(self, number: int, code: int, peak: int) -> None:
        self._homes.pop(number, None)
        link = self._parent.links.pop(number, None)
        if link is not None:
            link.died(code, peak)

    def _not_started(self, number: int, fields: dict[str, bytes]) -> None:
        self._homes.pop(number, None)
        text = fields.get("message", b"").decode(errors="replace")
        if number > TEMPLATES_FROM:
            template = next((one for one in self._templates.values() if one.number == number), None)
            if template is not None:
                self.drop(template.key)
                self._parent.not_set_up(template.key, {"type": b"OSError", "message": fields.get("message", b"")})
            return
        self._parent.log(f"process {number} could not be started: {text}")
        link = self._parent.links.pop(number, None)
        if link is not None:
            link.not_started(int(fields.get("errno", b"0")), text)

    def _of_template(self, link: KeeperLink, frame: Frame, fields: dict[str, bytes]) -> None:
        template = next((one for one in self._templates.values() if one.link is link), None)
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

    def _on_end(self, link: KeeperLink) -> None:
        if self._stopping:
            return
        if link is self._link:
            self._keeper_died()
            return
        template = next((one for one in self._templates.values() if one.link is link), None)
        if template is not None:
            self._template_died(template)

    def _template_died(self, template: Template) -> None:
        self.drop(template.key)
        if template.ready:
            numbers = [number for number, home in self._homes.items() if home is template.link]
            spawn_task(self._bury(numbers, template.key, ()), "bury a template", self._parent.fault)
        else:
            stderr = template.output.stderr.stream()
            message = b"the process died while setup ran: " + (stderr.tail or stderr.head)[-2000:]
            self._parent.not_set_up(template.key, {"type": b"SetupFailed", "message": message})

    def _keeper_died(self) -> None:
        process, self._process, self._link = self._process, None, None
        assert process is not None
        numbers = list(self._homes)
        for template in list(self._templates.values()):
            self.drop(template.key)
        self._quick_deaths = self._quick_deaths + 1 if self._loop.time() - self._started_s < QUICK_DEATH_S else 0
        tell = self._parent.trouble if self._quick_deaths == QUICK_DEATHS_TOLD else self._parent.log
        tell(f"the keeper (process {process.pid}) died; another one is started")
        pause_s = PAUSE_S if self._quick_deaths > 1 else 0.0
        spawn_task(self._replace(numbers, process.pid, pause_s), "replace the keeper", self._parent.fault)

    async def _replace(self, numbers: list[int], pid: int, pause_s: float) -> None:
        await asyncio.sleep(pause_s)
        while not self._stopping:
            try:
                self.start()
            except OSError as error:
                self._parent.trouble(f"no keeper can be started, so no jobs run here: {error}")
                await asyncio.sleep(PAUSE_S)
            else:
                await self._bury(numbers, ALL, (pid,))
                return

    async def _bury(self, numbers: list[int], key: Key, pids: tuple[int, ...]) -> None:
        """Tell that their home is gone, so that nobody is born there any more; be sure of their deaths; tell these."""
        self._parent.template_died(key)
        links = [self._parent.links[number] for number in numbers if number in self._parent.links]
        alive = [link.pid for link in links if link.pid]
        for worker in alive:
            kill_group(worker)
        await self._sweep([(worker, "") for worker in alive])
        for pid in (*pids, *alive):
            reap(pid)
        for link in [*links, *self._take_orphans()]:
            self._homes.pop(link.number, None)
            if self._parent.links.pop(link.number, None) is not None:
                link.died(-9, 0, with_keeper=True)

    def _take_orphans(self) -> list[WorkerLink]:
        """Those whose home was gone before they were born."""
        orphans, self._orphans = self._orphans, set()
        return [self._parent.links[number] for number in orphans if number in self._parent.links]

    async def _sweep(self, trees: list[tuple[int, str]] | None = None) -> None:
        trees = [tree for tree in trees or [] if start_of(tree[0])]
        async with self._sweeping:
            spare = [self._process.pid] if self._process is not None and not self._stopping else []
            if trees or self._sole:
                await sweep(self._parent.python, trees, os.getpid() if self._sole else 0, spare)

    async def _gone(self, pid: int, patience_s: float = 5.0) -> None:
        """Wait for a child's end."""
        deadline = self._loop.time() + patience_s
        while not reap(pid):
            if self._loop.time() > deadline:
                kill_group(pid)
            await asyncio.sleep(0.005)
