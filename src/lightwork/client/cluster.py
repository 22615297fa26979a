"""`JobCluster`: runs a function or program as jobs. The public face over a session."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from lightwork.client import ending, launch, options as given
from lightwork.kit.text import count
from lightwork.model.errors import UserError

if TYPE_CHECKING:  # the rest of the room is imported where it is needed: while the child starts, in `_open`
    from lightwork.client.job import Job
    from lightwork.client.plan import Plan
    from lightwork.client.report import ClusterStatus
    from lightwork.client.submitting import Submitter
    from lightwork.model.states import ClusterEvent
    from lightwork.wire.messages import JobOptions, NodeStatus

OUTPUT_LIMIT = 1 << 20  # of the beginning and of the end of each of a job's streams


class JobCluster:
    """Runs a computation as jobs, on this machine if nothing else is said. Use it in a `with` block, or close it.

    computation     a Python function or other callable, a class, a module (run as `python -m`), or a program by path or
                    name; None: each job names its own by `options(computation=...)`
    depends         files, directories, functions, classes, modules, instances that the jobs need
    callback        called with each job when it has ended, and with each provisional result (`job.status` is RUNNING,
                    `job.provisional` the value); in one thread of its own; alias job_status
    cluster_status  called with (ClusterEvent, node or None, job or None) whenever something changes
    reentrant       None: jobs are started again if their worker or node died. True, False: see the documentation
    setup           function that runs once on each node before any job, with `setup_args`; what it returns jobs get by
                    `lightwork.node_value()`
    cleanup         True or False: whether shipped files are removed at the end; or a function, run once on each node
    dest_path       where shipped files lie and jobs run: below the node's directory, or absolute; alias transfer_dest
    name            of the cluster, for people
    timeout         seconds that a job may run
    memory          bytes that a job and its children may use, or text such as "8G"
    isolation       "worker": jobs of one computation share warm processes; "process": each has a fresh one
    outputs         patterns of files that each job's directory is searched for at its end; they are brought to
                    `outputs_dir`/ID/ (default: the current directory)
    output_limit    so much of the beginning and of the end of stdout and stderr is kept
    slots           how many jobs run at once; None: one for each processor
    """

    def __init__(
        self,
        computation: Any = None,
        *,
        depends: Any = (),
        callback: Callable[[Job], Any] | None = None,
        job_status: Callable[[Job], Any] | None = None,
        cluster_status: Callable[[ClusterEvent, NodeStatus | None, Job | None], Any] | None = None,
        reentrant: bool | None = None,
        setup: Callable[..., Any] | None = None,
        setup_args: tuple[Any, ...] = (),
        cleanup: bool | Callable[..., Any] = True,
        dest_path: str | os.PathLike[str] | None = None,
        transfer_dest: str | os.PathLike[str] | None = None,
        name: str | None = None,
        timeout: float | None = None,
        memory: int | str | None = None,
        isolation: str = "worker",
        outputs: str | Iterable[str] = (),
        outputs_dir: str | os.PathLike[str] | None = None,
        output_limit: int | str = OUTPUT_LIMIT,
        slots: int | None = None,
    ) -> None:
        callback = given.one_of(callback, job_status, "callback and job_status")
        directory = given.one_of(dest_path, transfer_dest, "dest_path and transfer_dest")
        preparing = given.Preparing(
            depends=given.depends_of(depends),
            setup=given.callback_of(setup, "setup"),
            setup_args=tuple(setup_args),
            cleanup=cleanup,
            dest_path=os.fspath(directory) if directory is not None else "",
            isolation=isolation,
            name=name or "",
        )
        job_options = given.job_options(
            timeout=timeout, memory=memory, reentrant=reentrant, outputs=outputs, output_limit=output_limit
        )
        reporting = given.Reporting(
            callback=given.callback_of(callback, "callback"),
            cluster_status=given.callback_of(cluster_status, "cluster_status"),
            directory=Path(outputs_dir).absolute() if outputs_dir is not None else Path.cwd(),
        )
        if slots is not None and (not isinstance(slots, int) or slots < 1):
            raise UserError(f"slots={slots!r} must be at least 1.")
        self._closed = False
        self._wall_time_s: float | None = None
        self._default: Plan | None = None
        self._name = name or ""
        self._server = launch.Private(self._name or _name_of(computation), launch.new_session(), slots)
        self._open(computation, preparing, job_options, reporting)

    def _open(
        self, computation: Any, preparing: given.Preparing, job_options: JobOptions, reporting: given.Reporting
    ) -> None:
        """While the child starts, import what the rest needs, and pack the computation; then connect."""
        try:
            from lightwork.client.defining import Definitions
            from lightwork.client.opening import open_private

            self._definitions = Definitions(preparing, job_options)
            packed = self._definitions.pack(computation) if computation is not None else None
            self._session = open_private(self._server, reporting)
        except BaseException:
            self._server.discard()
            raise
        ending.add(self)
        if packed is not None:
            self._default = self._definitions.plan(self._session, packed)
            self._name = self._name or packed.wire.name

    # --- jobs ---

    @property
    def _plan(self) -> Plan:
        if self._default is None:
            raise UserError(
                "This cluster has no computation of its own.", hint="cluster.options(computation=function).submit(...)"
            )
        return self._default

    def submit(self, *args: Any, **kwargs: Any) -> Job:
        """Submit one job; the arguments are the function's own. Raises CannotTravel if they cannot be sent."""
        plan = self._default or self._plan
        return self._session.submit(plan, args, kwargs)

    def submit_job_id(self, job_id: Any, /, *args: Any, **kwargs: Any) -> Job:
        """As `submit`; the job's `id` is `job_id`."""
        return self._session.submit(self._plan, args, kwargs, job_id)

    def options(
        self,
        *,
        computation: Any = None,
        id: Any = None,
        depends: Any = (),
        timeout: float | None = None,
        stdin: bytes | str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Submitter:
        """`submit` and `map` for jobs with options of their own; what is not given is as for the cluster.

        computation     another function or program; one cluster runs any number of them
        id              what the jobs' `id` shall be
        depends         files and names for these jobs alone
        timeout         seconds that a job may run
        stdin           bytes or text that a job reads as its standard input, or the path of a file that has them
        env             variables to be set for the job
        """
        self._session.check()
        packed = self._plan.packed if computation is None else None
        own = given.Own(depends=given.depends_of(depends), timeout=timeout, stdin=stdin, env=env)
        from lightwork.client.submitting import Submitter

        return Submitter(self._definitions.plan_with(self._session, packed, computation, own), id)

    def map(
        self, *iterables: Any, chunksize: int | None = None, progress: bool = False, ordered: bool = True
    ) -> Iterator[Any]:
        """The function over one or more iterables: an iterator over the results, in order unless `ordered=False`.

        A callable in front of the iterables is the function, instead of the cluster's own. The work begins at once,
        a window of it at a time. Items share jobs, as many as make about 50 ms of work; `chunksize` fixes the number.
        An error names the item, and ends the map.
        """
        if len(iterables) > 1 and callable(iterables[0]) and not isinstance(iterables[0], Iterable):
            plan = self._definitions.plan(self._session, self._definitions.pack(iterables[0]))
            iterables = iterables[1:]
        else:
            plan = self._plan
        from lightwork.client.submitting import run_map

        return run_map(plan, iterables, chunksize=chunksize, progress=progress, ordered=ordered)

    def as_completed(self, jobs: Iterable[Job | None], limit: int | None = None) -> Iterator[Job]:
        """Jobs as they end. `jobs` may be a list, an iterator that submits, or a generator that reacts to results.

        From an iterator no more than `limit` (default 1,000) unfinished jobs are taken at a time, so a million can be
        submitted on the way. To a generator, `yield job` returns the list of jobs that have ended since it was asked
        last; `yield None` (or a bare `yield`) waits until there are more of them:

            def produce():
                open_jobs = {cluster.submit(x) for x in first_guesses}
                ended = []
                for job in open_jobs:
                    ended += yield job
                while not good_enough(ended):
                    ended = yield cluster.submit(better_than(ended))
        """
        from lightwork.client.completing import as_completed

        return as_completed(self._session, jobs, limit)

    def wait(self, timeout: float | None = None, progress: bool = False) -> bool:
        """Until all jobs have ended and their callbacks have returned; False if `timeout` seconds were not enough.

        Raises what a callback raised (the first one).
        """
        session = self._session
        session.waits.check_thread("the end of all jobs")
        core = session.core
        from lightwork.client.progress import Bar

        with Bar(self._name, wanted=progress) as bar:

            def tick() -> None:
                bar.update(core.ended, core.ended + core.unfinished())

            done = session.waits.until(session.settled, timeout, self._unfinished, tick=tick if progress else None)
            if progress:
                tick()
        error = session.callbacks.take_error()
        if error is not None:
            raise error
        return done

    __call__ = wait

    def _unfinished(self) -> str:
        number = self._session.core.unfinished()
        return count(number, "job") if number else "callbacks to return"

    def cancel(self, jobs: Job | Iterable[Job]) -> bool:
        """Cancel a job, or several; True if any had not ended. A running one is interrupted (KeyboardInterrupt)."""
        return self._session.cancel(jobs if isinstance(jobs, Iterable) else [jobs])

    # --- what it tells ---

    @property
    def name(self) -> str:
        """Of the cluster: as given, else its computation's."""
        return self._name

    def status(self) -> ClusterStatus:
        """The nodes, how many jobs have not ended, and why the oldest queued ones wait."""
        from lightwork.client.report import ClusterStatus

        session = self._session
        latest = session.status if self._closed else session.waits.ask_status() or session.status
        pending = session.core.unfinished()
        if latest is None:
            return ClusterStatus(list(session.nodes.values()), pending)
        return ClusterStatus(
            latest.nodes, pending, latest.queued, latest.running, tuple(latest.waiting), dict(latest.pids)
        )

    def stats(self, wall_time: float | None = None) -> None:
        """Print a table of what ran where: slots, jobs, seconds per job, node time, bytes; and the speed-up."""
        if wall_time is None:
            wall_time = self._wall_time_s or time.monotonic() - self._session.began
        from lightwork.client import report

        report.show(self.status().nodes, wall_time)

    print_status = stats

    # --- the end ---

    def close(self, timeout: float | None = None, terminate: bool = False) -> bool:
        """Wait for all jobs, run cleanups, and end. False if jobs are left after `timeout` seconds: then it is open.

        `terminate` cancels what has not ended. A closed cluster's jobs keep their results.
        """
        if self._closed:
            return True
        session = self._session
        session.waits.check_thread("the end of the cluster")
        if not terminate and not session.waits.until(session.settled, timeout, self._unfinished, steadily=True):
            return False
        self._end(cancel=terminate)
        return True

    def shutdown(self) -> None:
        """As `close()`."""
        self.close()

    def _end(self, *, cancel: bool) -> None:
        self._closed = True
        ending.remove(self)
        session = self._session
        self._wall_time_s = time.monotonic() - session.began
        clean = False
        try:
            session.waits.ask_status()
            session.leave(cancel=cancel)
            clean = session.left
        finally:
            if not clean:
                session.sever()
            self._end_server(clean)
        self._say_failures()

    def _end_server(self, clean: bool) -> None:
        payloads, results = self._session.payloads, self._server.arenas.results
        keep = payloads.unopened() > 0 and results is not None
        if keep and results is not None:
            weakref.finalize(payloads, results.close)
        self._server.end(clean=clean, keep_results=keep)

    def _say_failures(self) -> None:
        """How many jobs failed, in a line. (`lightwork run` speaks of each by itself, and overrides this.)"""
        from lightwork.client import report, waiting

        core = self._session.core
        if line := report.closing_line(core.failed, core.ended, core.first_failed):
            waiting.say(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif not self._closed:
            self._end(cancel=True)

    def at_exit(self, *, crashed: bool) -> None:
        """The program ends without a close: wait as close does, or cancel if an exception ended it."""
        try:
            if crashed:
                self._end(cancel=True)
            else:
                self.close()
        except KeyboardInterrupt:
            self._end(cancel=True)

    def abandon(self) -> None:
        """In a forked child."""
        self._closed = True
        self._session.abandon()
        self._server.abandon()


def _name_of(computation: Any) -> str:
    named = getattr(computation, "__name__", None)
    return named if isinstance(named, str) else os.path.basename(str(computation)) if computation else "cluster"
