"""Does what the core says: one method per command."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightwork.node.core import commands as do, events as on
from lightwork.node.core.dispatch import needs_directory
from lightwork.node.service import gpus
from lightwork.node.service.arguments import Arguments
from lightwork.node.service.blobs import BlobError, Blobs, TooLarge
from lightwork.node.service.crew import Crew
from lightwork.node.service.failed import failure_of
from lightwork.node.service.identities import Identities
from lightwork.node.service.interpreters import Interpreters
from lightwork.node.service.job_directories import JobDirectories
from lightwork.node.service.loading import run_options
from lightwork.node.service.memory import tree_bytes
from lightwork.node.service.nursery import Nursery
from lightwork.node.service.programs import NotCallable, order
from lightwork.node.service.results import Results
from lightwork.node.service.sessions import Sessions
from lightwork.node.service.sites import Sites
from lightwork.node.service.slices import slices
from lightwork.node.service.spool import Spool
from lightwork.transport.fetching import Fetching
from lightwork.wire.channel import CLEANUP, UNLOAD, pack_frame, pack_run
from lightwork.wire.messages import File, Heartbeat, Released

if TYPE_CHECKING:
    from lightwork.node.service.agent import Agent

SIGINT, SIGTERM = 2, 15
AGAIN_S = 1.0  # until what could not be started is tried again
QUIT_S = 5.0  # a worker that was told to leave and is still there is killed


class Hands:
    """Everything an agent has to act with."""

    def __init__(self, agent: Agent) -> None:
        options, directories = agent.options, agent.directories
        self._agent = agent
        self._loop = asyncio.get_running_loop()
        rules = options.rules
        self.blobs = Blobs(directories.blobs, rules.cache_bytes, rules.file_bytes, rules.user)
        self.spool = Spool(directories.spool, rules.user, rules.file_bytes)
        self.fetching = Fetching()
        self.arguments = Arguments(options.arguments, self.fetching, agent.post)
        self.results = Results(options.results, self.spool, options.shares_memory)
        self.jobs = JobDirectories(directories, self.blobs)
        self.identities = Identities()
        self.interpreters = options.interpreters or Interpreters()
        self._versions = self.interpreters.versions()  # what is found later is for the next agent
        agent.core.offer(self._versions, self.interpreters.for_source)
        self.sites = Sites(directories, options.name, self.interpreters)
        self.sites.file_max = rules.file_bytes
        self.crew = Crew(self._loop, agent.post, directories, self.spool, self.interpreters)
        self.crew.results = options.results
        self.crew.nice, self.crew.rules = options.nice, options.rules
        self.nursery = self._make_nursery()
        self.sessions = Sessions(agent, self.sites, self.blobs, self.crew, self.nursery)
        self.crew.on_trouble = lambda text: agent.notice("error", text)
        self.crew.on_fault = agent.fail
        self.crew.on_distrust = self.nursery.kill
        self._obey = self._table()

    def _make_nursery(self) -> Nursery:
        options = self._agent.options
        if options.portable:
            from lightwork.node.service.portable import Portable

            return Portable(self.crew, self._loop, options.arenas, options.sole)
        from lightwork.node.service.nurseries import keepers_of

        return keepers_of(self.crew, self._loop, options.arenas, options.sole)

    def obey(self, command: do.Command) -> None:
        """Do it."""
        self._obey[type(command)](command)

    def _table(self) -> dict[type[do.Command], Callable[[Any], None]]:
        return {
            do.Send: self._send,
            do.Run: self._run,
            do.Load: self._load,
            do.Unload: self._unload,
            do.TakeBack: self._take_back,
            do.Claim: self._claim,
            do.Fork: self._fork,
            do.Quit: self._quit,
            do.Kill: lambda command: self.nursery.kill(command.worker),
            do.Terminate: lambda command: self.nursery.signal(command.worker, SIGTERM),
            do.Interrupt: self._interrupt,
            do.MeasureMemory: self._measure,
            do.SpawnProgram: self._spawn_program,
            do.PlaceFiles: self.sessions.place_files,
            do.RunSetup: self.sessions.run_setup,
            do.FetchJobFiles: self.sessions.fetch_job_files,
            do.FetchArgument: self.arguments.fetch,
            do.FreeArgument: lambda command: self.arguments.free(command.token),
            do.CollectOutputs: self._collect,
            do.ForgetJob: self._forget_job,
            do.CleanSession: self.sessions.clean,
        }

    def pythons(self) -> list[tuple[int, int]]:
        """The minor versions whose workers can run here, preferred first."""
        return list(dict.fromkeys(self._versions))

    # --- what the clock needs ---

    def poll_busy(self) -> None:
        """Take what lies in the rings of busy workers: a short job's record rings no bell if a long one follows."""
        for worker in self._agent.core.workers.busy_ones():
            link = self.crew.links.get(worker.number)
            if link is not None and not link.dead:
                link.take()

    def words(self) -> list[on.Word]:
        """What the busy workers' words say."""
        found = []
        for worker in self._agent.core.workers.busy_ones():
            link = self.crew.links.get(worker.number)
            if link is not None and not link.dead:
                found.append(on.Word(worker.number, link.ring.running, link.ring.started_ns))
        return found

    # --- scheduler ---

    def _send(self, command: do.Send) -> None:
        tell = self._agent.tell
        message, whole = self.results.outgoing(command.message, command.body)
        custody = self._agent.custody
        for piece, body in slices(message, whole):
            if custody is not None:
                custody.note(piece, body)
            tell(piece, body)
        if type(message) is Heartbeat:
            tokens = self._agent.core.tokens()
            if tokens:
                self.identities.keep(min(tokens))
        elif type(message) is Released:
            self.blobs.release(message.session)
            self._agent.on_released(message.session)
            if custody is not None:
                custody.only(set(self._agent.core.tokens()))

    def free_region(self, offset: int) -> None:
        """A result is no longer needed."""
        if not self.results.free_region(offset):
            self.crew.log(f"region {offset} was to be freed, but is free")

    def free_spooled(self, tokens: list[int]) -> None:
        """What these attempts returned or left is no longer needed."""
        self.results.free(tokens)
        if tokens:
            self._loop.run_in_executor(None, self.spool.free, tokens)

    # --- workers ---

    def _fork(self, command: do.Fork) -> None:
        key = (command.session, command.environment)
        try:
            self.nursery.fork(command.worker, key if command.template else None, command.python)
        except OSError as error:  # no descriptors, no room on the disk: what waits for it is tried again
            self.crew.trouble(f"no worker can be started: {error}")
            self.crew.drop(command.worker)
            self._loop.call_later(AGAIN_S, self._agent.post, on.WorkerDied(command.worker, 0, 0, with_keeper=True))
        except BaseException:  # a fault of ours: the agent tells the core
            self.crew.drop(command.worker)
            raise

    def _load(self, command: do.Load) -> None:
        site = self.sites.get(command.session, command.environment)
        link = self.crew.links.get(command.worker)
        if site is None:
            raise LookupError("the computation has no directory here")
        if link is not None:
            if command.setup and command.computation.cleanup:
                link.last_frame = pack_frame(CLEANUP, b"", command.slot)
            link.send(site.load_frame(command.slot, command.computation, command.setup))

    def _unload(self, command: do.Unload) -> None:
        site = self.sites.get(command.session, command.environment)
        if site is not None:
            site.unload(command.slot)
        for number in command.workers:
            link = self.crew.links.get(number)
            if link is not None:
                link.send(pack_frame(UNLOAD, b"", command.slot))

    def _run(self, command: do.Run) -> None:
        link = self.crew.links.get(command.worker)
        if link is None:
            return  # it died just now; its death gives everything back
        try:
            directory = self._job_directory(command)
        except (BlobError, OSError) as error:
            self._agent.post(on.RunFailed(command.worker, command.tokens, failure_of(error)))
            return
        shift, told = self.identities.of(command.tokens)
        options = run_options(command.options, directory, told, self._gpus(command.gpus))
        link.expect_output(command.options.output_limit_bytes)
        link.send(pack_run(command.slot, command.tokens, command.lengths, [bytes(command.body)], options, shift))

    def _gpus(self, indices: tuple[int, ...]) -> dict[str, str]:
        return gpus.environment([self._agent.gpus[index] for index in indices]) if indices else {}

    def _take_back(self, command: do.TakeBack) -> None:
        link = self.crew.links.get(command.worker)
        if link is not None:
            link.take_back(command.serial)

    def _claim(self, command: do.Claim) -> None:
        link = self.crew.links.get(command.worker)
        if link is not None:
            link.claim(command.token, command.limit)

    def _interrupt(self, command: do.Interrupt) -> None:
        link = self.crew.links.get(command.worker)
        if link is not None:
            link.ring.cancel(command.token)
            self.nursery.signal(command.worker, SIGINT)

    def _quit(self, command: do.Quit) -> None:
        link = self.crew.links.get(command.worker)
        if link is not None:
            link.quit()
            self._loop.call_later(QUIT_S, self._still_there, command.worker)

    def _still_there(self, number: int) -> None:
        if number in self.crew.links:
            self.nursery.kill(number)

    def _measure(self, command: do.MeasureMemory) -> None:
        link = self.crew.links.get(command.worker)
        if link is not None and link.pid:
            self._agent.post(
                on.MemoryMeasured(command.worker, command.token, tree_bytes(link.pid, command.limit_bytes))
            )

    # --- programs ---

    def _spawn_program(self, command: do.SpawnProgram) -> None:
        site = self.sites.get(command.session, command.environment)
        if site is None:
            raise LookupError("the computation has no directory here")
        token, options = command.token, command.options
        try:
            wanted = order(
                token,
                command.computation,
                options,
                bytes(command.body),
                command.length,
                site.directory,
                self.interpreters.own,
            )
            shared = command.computation.files
            wanted.env |= self._gpus(command.gpus)
            wanted.directory = self.jobs.make(token, options, shared, site.directory) or site.directory
            self.nursery.spawn(command.worker, wanted)
        except (NotCallable, BlobError, OSError) as error:
            self.crew.drop(command.worker)
            self._agent.post(on.SpawnFailed(command.worker, failure_of(error)))
        except BaseException:
            self.crew.drop(command.worker)
            raise

    def _job_directory(self, command: do.Run) -> Path | None:
        """A working directory of the attempt's own, if it needs one. OSError, BlobError."""
        site = self.sites.with_slot(command.slot) if needs_directory(command.options) else None
        if site is None:
            return None
        shared = site.computations[command.slot].files
        return self.jobs.make(command.tokens[0], command.options, shared, site.directory)

    # --- ends ---

    def _collect(self, command: do.CollectOutputs) -> None:
        collect = self.spool.collect if self._agent.custody is None else self.spool.collect_again
        work = self._loop.run_in_executor(None, collect, command.token, self.jobs, command.patterns)
        work.add_done_callback(lambda done: self._collected(command, done))

    def _collected(self, command: do.CollectOutputs, done: asyncio.Future[list[File]]) -> None:
        error = done.exception()
        if self._agent.custody is not None and isinstance(error, OSError) and error.errno == errno.ENOSPC:
            self._loop.call_later(AGAIN_S, self._collect, command)  # nothing is lost: its end waits
            return
        failure: dict[str, bytes] = failure_of(error) if isinstance(error, TooLarge) else {}
        if error is not None and not failure:
            self._agent.notice("warning", f"the outputs of a job could not be collected: {error}")
        found = [] if error is not None else done.result()
        self._agent.post(on.OutputsCollected(command.token, found, failure))

    def _forget_job(self, command: do.ForgetJob) -> None:
        self._loop.run_in_executor(None, self.jobs.forget, command.token)

    async def stop(self) -> None:
        """End all, leave nothing."""
        for step in (self.nursery.stop, self._let_go, self._let_go_of_data, self.sessions.stop, self._remove_files):
            try:
                await step()
            except Exception as error:  # noqa: BLE001  # the rest must be done whatever happens
                self.crew.log(f"not all could be ended: {type(error).__name__}: {error}")

    async def _let_go(self) -> None:
        links = list(self.crew.links.values())
        self.crew.links.clear()
        for link in links:
            link.close()

    async def _let_go_of_data(self) -> None:
        """Nobody will send or fetch anything any more."""
        self.fetching.over("this node has stopped")
        self.arguments.clear()
        self.results.clear()
        if self._agent.custody is None:
            await self._loop.run_in_executor(None, self.spool.clear)

    async def _remove_files(self) -> None:
        for session in self.sites.sessions():
            for problem in await self._loop.run_in_executor(None, self.sites.remove_session, session):
                self.crew.log(problem)
        await self._loop.run_in_executor(None, self._agent.directories.clear_workers)
