"""Sessions on this node: their files and setups at the beginning, cleanups and deletion at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any

from lightwork.kit.tasks import spawn as spawn_task, stop
from lightwork.node.core import commands as do, events as on
from lightwork.node.service.blobs import BlobError, Blobs, TooLarge
from lightwork.node.service.cleaning import Cleaner
from lightwork.node.service.crew import Crew
from lightwork.node.service.failed import failure_of
from lightwork.node.service.nursery import Nursery
from lightwork.node.service.sites import Site, Sites
from lightwork.wire.channel import QUIT, pack_frame
from lightwork.wire.messages import File

if TYPE_CHECKING:
    from lightwork.node.service.agent import Agent

WORKERS_GONE_S = 10.0  # files are deleted then, whoever still works there
HELPER_S = 100.0
STOP_S = 10.0


class Sessions:
    """Does what the core says about whole sessions."""

    def __init__(self, agent: Agent, sites: Sites, blobs: Blobs, crew: Crew, nursery: Nursery) -> None:
        self._agent = agent
        self._loop = asyncio.get_running_loop()
        self._sites = sites
        self._blobs = blobs
        self._crew = crew
        self._nursery = nursery
        self._fetching: dict[str, set[asyncio.Task[None]]] = {}  # by session
        self._cleaning: set[asyncio.Task[None]] = set()
        self._cleaner = Cleaner(sites, nursery, self._clean_in_helper)
        crew.on_cleaned = self._cleaner.cleaned

    def place_files(self, command: do.PlaceFiles) -> None:
        """At once if there are none to fetch: nothing on the path of a first job may wait for a turn of the loop."""
        session, computation = command.session, command.computation
        try:
            site = self._sites.make(session, command.environment, computation, command.python)
        except (OSError, ValueError) as error:
            self._not_prepared(command, error)
            return
        if computation.files:
            self._fetch(session, self._fetch_files(command, site))
        else:
            self._agent.post(on.FilesPlaced(session, computation.digest))

    def _fetch(self, session: str, work: Coroutine[Any, Any, None]) -> None:
        """While the session lasts: what is half here at its end is not fetched for nobody."""
        tasks = self._fetching.setdefault(session, set())
        task = spawn_task(work, "fetch files")
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def _fetch_files(self, command: do.PlaceFiles, site: Site) -> None:
        computation = command.computation
        self._blobs.note(computation.files, command.session, lasting=True)
        try:
            await self.have(computation.files)
            site.files += await self._blobs.place(computation.files, site.directory)
        except OSError as error:
            self._not_prepared(command, BlobError(f"its files cannot be put into {site.directory}: {error}"))
        except Exception as error:  # noqa: BLE001  # whatever it is: the computation waits for an answer
            self._not_prepared(command, error)
        else:
            self._agent.post(on.FilesPlaced(command.session, computation.digest))

    def fetch_job_files(self, command: do.FetchJobFiles) -> None:
        """Have the files of a held batch in the cache."""
        self._fetch(command.session, self._fetch_job_files(command))

    async def _fetch_job_files(self, command: do.FetchJobFiles) -> None:
        self._blobs.note(command.files, command.session)
        try:
            await self.have(command.files)
        except Exception as error:  # noqa: BLE001  # whatever it is: the attempts wait for an answer
            lost = isinstance(error, BlobError | OSError) and not isinstance(error, TooLarge)
            kind = b"FileNotFoundError" if lost else type(error).__name__.encode()
            self._agent.post(on.JobFilesFetched(command.batch, {**failure_of(error), "type": kind}))
        else:
            self._agent.post(on.JobFilesFetched(command.batch))

    async def have(self, files: Iterable[File]) -> None:
        """Have all of these in the cache. BlobError, OSError."""
        await self._blobs.have(list(files), self._agent.hands.fetching)

    def _not_prepared(self, command: do.PlaceFiles, error: Exception) -> None:
        self._agent.post(on.PreparationFailed(command.session, command.computation.digest, failure_of(error)))

    def run_setup(self, command: do.RunSetup) -> None:
        """Make the environment's template process and run setup there."""
        site = self._sites.get(command.session, command.environment)
        if site is None:
            raise LookupError("the computation has no directory here")
        site.keep_for_cleanup(command.slot, command.computation)
        self._nursery.set_up(site.key, command.slot, site.place.load(command.computation), site.python)

    def clean(self, command: do.CleanSession) -> None:
        """Run cleanups, end templates, delete files."""
        task = spawn_task(self._clean(command.session), "clean up a session")
        self._cleaning.add(task)
        task.add_done_callback(self._cleaning.discard)

    async def stop(self) -> None:
        """Nothing runs here any more: wait for what threads still do with files, for these may soon be another's."""
        self._cleaner.stop()
        tasks = [*self._cleaning, *(task for tasks in self._fetching.values() for task in tasks)]
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_S)

    async def _clean(self, session: str) -> None:
        """Nobody works there any more when cleanups run and files go."""
        await stop(*self._fetching.pop(session, ()))
        workers = self._agent.core.workers
        numbers = {one.number for one in workers if one.environment is not None and one.environment.session == session}
        deadline = self._loop.time() + WORKERS_GONE_S
        while not numbers.isdisjoint(self._crew.links) and self._loop.time() < deadline:  # noqa: ASYNC110  # rare, short
            await asyncio.sleep(0.002)
        problems: list[str] = []
        try:
            problems += await self._cleaner.clean(session)
        except Exception as error:  # noqa: BLE001  # whatever it is: somebody waits for the end of the session
            problems.append(f"the session could not be cleaned up: {type(error).__name__}: {error}")
        finally:
            self._agent.post(on.SessionCleaned(session, [*problems, *self._crew.take_problems()]))
            self._remove_left_over()

    def _remove_left_over(self) -> None:
        """What workers that were killed were just writing for the client."""
        spool = self._agent.hands.spool
        left = spool.left_over(set(self._agent.core.tokens()))
        if left:
            self._loop.run_in_executor(None, spool.free, left)

    def _clean_in_helper(self, site: Site, slot: int, frames: bytes) -> None:
        """A fresh worker that loads the computation, runs its cleanup and leaves."""
        number = self._crew.helper(site.key, slot)
        self._nursery.fork(number, None, site.python)
        self._crew.links[number].send(frames + pack_frame(QUIT))
        self._loop.call_later(HELPER_S, self._nursery.kill, number)
