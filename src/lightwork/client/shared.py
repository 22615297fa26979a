"""`SharedJobCluster`: the same towards a scheduler that somebody started (`lightwork scheduler`), with its nodes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lightwork.client import networking, options as given, recovering
from lightwork.client.cluster import OUTPUT_LIMIT, JobCluster, name_of
from lightwork.client.launch import new_session
from lightwork.client.shared_server import Shared

if TYPE_CHECKING:
    from lightwork.client.job import Job
    from lightwork.client.session import Session
    from lightwork.model.states import ClusterEvent
    from lightwork.wire.messages import NodeStatus


class SharedJobCluster(JobCluster):
    """Runs a computation as jobs on the nodes of a scheduler that several programs share.

    scheduler       where it is: "HOST" or "HOST:PORT", or "unix:/path"; None: the one that this user has started on
                    this machine. Alias scheduler_host
    nodes           use only these of the scheduler's nodes; it looks for those that it does not have. None: all that it
                    has. Of a node that others use, too, `cpus`, and what `allocate` returns, limit our own part
    recover         a name for what is submitted: it outlives this program. Without it, jobs end with the program
    weight          0.01 to 100, otherwise 1: of the machines' time, among programs with jobs of equal priority
    exclusive       True: wait until all jobs that others submitted before have ended, then have all nodes alone until
                    the cluster is closed

    The other keywords are those of JobCluster. The constructor waits for the scheduler, and says so. If the connection
    breaks, or the scheduler is restarted, the cluster connects again by itself, and nothing is lost.
    """

    def __init__(
        self,
        computation: Any = None,
        *,
        scheduler: str | None = None,
        scheduler_host: str | None = None,
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
        weight: float | None = None,
        exclusive: bool = False,
        recover: str | None = None,
        isolation: str = "worker",
        outputs: str | Iterable[str] = (),
        outputs_dir: str | os.PathLike[str] | None = None,
        output_limit: int | str = OUTPUT_LIMIT,
        secret: str | None = None,
        secret_file: str | os.PathLike[str] | None = None,
        certfile: str | os.PathLike[str] | None = None,
        keyfile: str | os.PathLike[str] | None = None,
        cafile: str | os.PathLike[str] | None = None,
        weak_secret: bool = False,
    ) -> None:
        directory = given.one_of(dest_path, transfer_dest, "dest_path and transfer_dest")
        preparing = given.preparing(depends, setup, setup_args, cleanup, directory, isolation, name)
        placing = given.placing(priority, where, resources, wait_for_nodes)
        options = given.job_options(timeout, memory, reentrant, outputs, output_limit, retries, placing)
        callback = given.one_of(callback, job_status, "callback and job_status")
        reporting = given.reporting(callback, cluster_status, outputs_dir)
        scheduler = given.one_of(scheduler, scheduler_host, "scheduler and scheduler_host")
        told = networking.Keywords(nodes, None, secret, secret_file, certfile, keyfile, cafile, weak_secret)
        if recover is not None:
            recovering.check_name(recover)
        self._name, self._recover = name or "", recover
        self._network = networking.shared_network(told)
        terms = given.terms(weight, exclusive, lasting=recover is not None)
        title = self._name or name_of(computation)
        self._server = Shared(scheduler, self._network, recover or new_session(), title, terms)
        try:
            self._open(computation, preparing, options, reporting)
        except BaseException:
            self._give_up()
            raise

    def _join(self, reporting: given.Reporting) -> Session:
        from lightwork.client import opening

        server: Any = self._server
        return opening.open_durable(server, reporting, lasting=self._recover is not None)

    def _again(self) -> str:
        server: Any = self._server
        return f'lightwork.attach("{self._session.name}"{server.written})'
