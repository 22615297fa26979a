"""`JobCluster`: runs a function or program as jobs. The public face over a session."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lightwork.client import ending, launch, networking, options as given
from lightwork.client.closing import Closable
from lightwork.client.control import Node, NodeControl
from lightwork.client.hosts import HostControl
from lightwork.client.steps import StepControl
from lightwork.model.errors import UserError

if TYPE_CHECKING:  # the rest of the room is imported where it is needed: while the child starts, in `_open`
    from lightwork.client.durable_jobs import RecoveredJob
    from lightwork.client.job import Job
    from lightwork.client.plan import Plan
    from lightwork.client.report import ClusterStatus
    from lightwork.client.session import Session
    from lightwork.client.submitting import Submitter
    from lightwork.model.states import ClusterEvent
    from lightwork.wire.messages import JobOptions, NodeStatus

OUTPUT_LIMIT = 1 << 20  # of the beginning and of the end of each of a job's streams


class JobCluster(NodeControl, HostControl, StepControl, Closable):
    """Runs a computation as jobs, on this machine if nothing else is said. Use it in a `with` block, or close it.

    computation     a Python function or other callable, a class, a module (run as `python -m`), or a program by path or
                    name; None: each job names its own by `options(computation=...)`
    nodes           where: names, addresses, patterns ("192.168.3.*", "*"), tuples (host, port, cpus, depends,
                    setup_args), NodeAllocate, "local" for this machine, or a list of these. None: this machine and, if
                    there is a credential, whoever answers on the network
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
    retries         how often a job is tried again that failed by itself (an exception, an exit code, timeout, memory):
                    after 0.5 s, 1 s, 2 s and so on, on another node if there is one; `job.history` tells of each try
    priority        -1,000 to 1,000; jobs with a larger one go first
    where           on which nodes jobs may run: 'os == "linux" and memory >= 8G'; docs/where.md has the language
    resources       what each job needs while it runs: {"cpus": 2, "memory": "8G", "gpu": 1, "licence": 1}; without
                    "cpus" one slot. No more jobs run at once than there is of each
    wait_for_nodes  True: a job that no known node could ever run waits for one that can; else it fails with
                    CannotBePlaced
    recover         a name for what is submitted: it outlives this program. Run it again, and jobs that were submitted
                    under a key (`options(key=...)`) are not run again; `recovered` has the others
    isolation       "worker": jobs of one computation share warm processes; "process": each has a fresh one
    outputs         patterns of files that each job's directory is searched for at its end; they are brought to
                    `outputs_dir`/ID/ (default: the current directory)
    output_limit    so much of the beginning and of the end of stdout and stderr is kept
    slots           how many jobs run at once on this machine; None: one for each processor
    secret          known to all that belong together; or secret_file, which holds it; or certfile, keyfile (one file
                    may hold both) and cafile. None: LIGHTWORK_SECRET, or what `lightwork secret --save` saved
    weak_secret     use a secret that can be guessed also beyond this machine
    listen          "HOST:PORT" where nodes may join (`lightwork node --join`)
    pulse_interval  seconds between two heartbeats of a node
    ping_interval   seconds between two questions to the network which nodes are there
    """

    _closed = False
    _wall_time_s: float | None = None
    _default: Plan | None = None
    _recover: str | None = None

    def __init__(
        self,
        computation: Any = None,
        *,
        nodes: Any = None,
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
        retries: int = 0,
        priority: int = 0,
        where: str | None = None,
        resources: Mapping[str, Any] | None = None,
        wait_for_nodes: bool = False,
        recover: str | None = None,
        isolation: str = "worker",
        outputs: str | Iterable[str] = (),
        outputs_dir: str | os.PathLike[str] | None = None,
        output_limit: int | str = OUTPUT_LIMIT,
        slots: int | None = None,
        secret: str | None = None,
        secret_file: str | os.PathLike[str] | None = None,
        certfile: str | os.PathLike[str] | None = None,
        keyfile: str | os.PathLike[str] | None = None,
        cafile: str | os.PathLike[str] | None = None,
        weak_secret: bool = False,
        listen: str | None = None,
        pulse_interval: float | None = None,
        ping_interval: float | None = None,
    ) -> None:
        directory = given.one_of(dest_path, transfer_dest, "dest_path and transfer_dest")
        preparing = given.preparing(depends, setup, setup_args, cleanup, directory, isolation, name)
        placing = given.placing(priority, where, resources, wait_for_nodes)
        options = given.job_options(timeout, memory, reentrant, outputs, output_limit, retries, placing)
        callback = given.one_of(callback, job_status, "callback and job_status")
        reporting = given.reporting(callback, cluster_status, outputs_dir)
        credentials = secret, secret_file, certfile, keyfile, cafile, weak_secret
        keywords = networking.Keywords(nodes, listen, *credentials, pulse_interval, ping_interval, slots)
        self._name, self._recover = name or "", recover
        self._server = server = launch.server_of(self._name or name_of(computation), recover)
        try:
            self._network = networking.network_of(keywords)
            server.tell(self._network)
            self._open(computation, preparing, options, reporting)
        except BaseException:
            self._give_up()
            raise

    def _open(
        self, computation: Any, preparing: given.Preparing, options: JobOptions, reporting: given.Reporting
    ) -> None:
        """While the child starts, import what the rest needs, and pack the computation; then connect."""
        from lightwork.client.defining import Definitions

        self._computation = computation
        self._definitions = Definitions(preparing, options, source=self._network.beyond)
        packed = self._definitions.pack(computation) if computation is not None else None
        wanted = self._wishes()
        self._session = self._join(reporting)
        ending.add(self)
        self._network.warn()
        self._session.on_linked.append(self._tailor_again)
        if wanted:
            self._begin_to_seek(wanted)
        if packed is not None:
            self._default = self._definitions.plan(self._session, packed)
            self._name = self._name or packed.wire.name

    def _join(self, reporting: given.Reporting) -> Session:
        """The session on the scheduler that was started, or that goes on from an earlier life."""
        from lightwork.client import opening

        server: Any = self._server
        if self._recover is not None:
            return opening.open_durable(server, reporting, lasting=True)
        return opening.open_private(server, reporting)

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
        key: str | None = None,
        depends: Any = (),
        timeout: float | None = None,
        retries: int | None = None,
        priority: int | None = None,
        where: str | None = None,
        resources: Mapping[str, Any] | None = None,
        wait_for_nodes: bool | None = None,
        stdin: bytes | str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        node: Node | None = None,
    ) -> Submitter:
        """`submit` and `map` for jobs with options of their own; what is not given is as for the cluster.

        computation     another function or program; one cluster runs any number of them
        id              what the jobs' `id` shall be
        key             names this piece of work for as long as the session lives, also in later runs of the program (at
                        most 255 bytes): what was submitted under it before is not run again, the job is that one
        depends         files and names for these jobs alone
        timeout         seconds that a job may run
        retries         how often a job is tried again that failed by itself
        priority, where, resources, wait_for_nodes: as for the cluster, in place of what that has; where="": any node,
                        resources={}: one slot
        stdin           bytes or text that a job reads as its standard input, or the path of a file that has them
        env             variables to be set for the job
        node            the node that they run on, and no other: its name, its address, or one of `cluster.nodes`
        """
        self._session.check()
        own = given.Own(
            depends=given.depends_of(depends),
            timeout=timeout,
            stdin=stdin,
            env=env,
            node=self._node(node) if node is not None else "",
            retries=retries,
            priority=priority,
            where=where,
            resources=resources,
            wait_for_nodes=wait_for_nodes,
        )
        from lightwork.client.submitting import Submitter

        return Submitter(self, computation, own, id, key)

    def _plan_of(self, computation: Any, own: given.Own) -> Plan:
        """Of jobs with options of their own; None: of the cluster's computation, in its latest version."""
        packed = self._plan.packed if computation is None else None
        return self._definitions.plan_with(self._session, packed, computation, own)

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

    def cancel(self, jobs: Job | Iterable[Job]) -> bool:
        """Cancel a job, or several; True if any had not ended. A running one is interrupted (KeyboardInterrupt)."""
        return self._session.cancel(jobs if isinstance(jobs, Iterable) else [jobs])

    # --- what it tells ---

    @property
    def recovered(self) -> list[RecoveredJob]:
        """Jobs that earlier lives of the program submitted under `recover`, with `args`, `kwargs`, `id` and `key`.

        The result of one that has ended comes when it is asked for.
        """
        from lightwork.client.durable_session import DurableSession

        return self._session.lives.recovered() if isinstance(self._session, DurableSession) else []

    @property
    def name(self) -> str:
        """Of the cluster: as given, else its computation's."""
        return self._name

    def status(self) -> ClusterStatus:
        """The nodes, how many jobs have not ended, and why the oldest queued ones wait."""
        from lightwork.client.report import ClusterStatus, status_of

        session = self._session
        latest = session.status if self._closed else session.waits.ask_status() or session.status
        pending = session.core.unfinished()
        return status_of(latest, pending) if latest is not None else ClusterStatus(session.nodes.present(), pending)

    def stats(self, wall_time: float | None = None) -> None:
        """Print a table of what ran where: slots, jobs, seconds per job, node time, bytes; and the speed-up."""
        if wall_time is None:
            wall_time = self._wall_time_s or time.monotonic() - self._session.began
        from lightwork.client import report

        report.show(self.status(), wall_time)

    print_status = stats


def name_of(computation: Any) -> str:
    """What a computation is called, for people."""
    named = getattr(computation, "__name__", None)
    return named if isinstance(named, str) else os.path.basename(str(computation)) if computation else "cluster"
