"""Taking up a session that an earlier program left: `attach`, and `recover_jobs` for who only wants the results."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lightwork.client import ending, networking, opening, options as given, recovering
from lightwork.client.cluster import OUTPUT_LIMIT, JobCluster
from lightwork.client.core import FINISHED
from lightwork.client.defining import Definitions
from lightwork.client.durable_session import DurableSession
from lightwork.client.networking import Keywords, Network
from lightwork.client.shared_server import Shared, address_of, own_schedulers
from lightwork.client.watching import watch
from lightwork.kit.text import listed
from lightwork.model.errors import LightworkError, UserError

if TYPE_CHECKING:
    from lightwork.client.job import Job
    from lightwork.model.states import ClusterEvent
    from lightwork.security.credential import Credential
    from lightwork.wire.messages import NodeStatus

_HINT = 'a session begins with JobCluster(..., recover="NAME") or SharedJobCluster(..., recover="NAME")'


class AttachedCluster(JobCluster):
    """A cluster without a computation of its own, on a session that was there: see `attach`."""

    def __init__(self, server: Any, network: Network, reporting: given.Reporting, timeout: float | None = None) -> None:
        self._name = self._recover = server.session
        self._server = server
        self._network = network
        try:
            self._definitions = Definitions(given.Preparing(), _OPTIONS, source=network.beyond)
            self._session = opening.open_durable(server, reporting, lasting=True, timeout=timeout)
            self._check_there()
        except BaseException:
            self._give_up()
            raise
        ending.add(self)

    def _check_there(self) -> None:
        """A session that begins with us was not there."""
        session = self._session
        assert isinstance(session, DurableSession)
        if session.core.incarnation == 1:
            raise UserError(f"There is no session {session.name!r} at {session.way.where}.", hint=_HINT)

    def _again(self) -> str:
        written = getattr(self._server, "written", "")
        return f'lightwork.attach("{self._session.name}"{written})'


_OPTIONS = given.job_options(None, None, None, (), OUTPUT_LIMIT)


def attach(
    name: str,
    *,
    scheduler: str | None = None,
    callback: Callable[[Job], Any] | None = None,
    cluster_status: Callable[[ClusterEvent, NodeStatus | None, Job | None], Any] | None = None,
    outputs_dir: str | os.PathLike[str] | None = None,
    secret: str | None = None,
    secret_file: str | os.PathLike[str] | None = None,
    certfile: str | os.PathLike[str] | None = None,
    keyfile: str | os.PathLike[str] | None = None,
    cafile: str | os.PathLike[str] | None = None,
    weak_secret: bool = False,
) -> JobCluster:
    """A cluster on the session that a program began with `recover=name`, here or at `scheduler`. See its `recovered`.

    Without `scheduler`: what a JobCluster left on this machine, else the session at this user's own scheduler.
    UserError names the sessions that are there, if this one is not.
    """
    reporting = given.reporting(callback, cluster_status, outputs_dir)
    told = Keywords(None, None, secret, secret_file, certfile, keyfile, cafile, weak_secret)
    return _attach(name, scheduler, reporting, told)


def _attach(
    name: str, scheduler: str | None, reporting: given.Reporting, told: Keywords, timeout: float | None = None
) -> AttachedCluster:
    recovering.check_name(name)
    network = networking.shared_network(told)
    if scheduler is None and name in recovering.names():
        return _attach_private(name, network, reporting, timeout)
    if scheduler is None and not own_schedulers():
        raise _no_session(name, "on this machine", recovering.names())
    address = address_of(scheduler)
    _look(name, scheduler, address, network.credential, weak_secret=told.weak_secret)
    return AttachedCluster(Shared(scheduler, network, name, name), network, reporting, timeout)


def _attach_private(name: str, network: Network, reporting: given.Reporting, timeout: float | None) -> AttachedCluster:
    launched = recovering.launched(name)
    fields = {key: launched[key] for key in recovering.KEPT if key in launched}
    server = recovering.DurablePrivate(name, name)
    try:
        server.tell(Network(credential=network.credential, weak_secret=network.weak_secret, **fields))
    except BaseException:
        server.discard()
        raise
    return AttachedCluster(server, network, reporting, timeout)


def _look(name: str, scheduler: str | None, address: str, credential: Credential | None, *, weak_secret: bool) -> None:
    """UserError if the session is not there. A scheduler that cannot be asked now is waited for later."""
    try:
        with watch(address, credential, weak_secret=weak_secret) as watcher:
            names = [one.name for one in watcher.sessions()]
    except UserError:
        raise
    except LightworkError:
        return
    if name not in names:
        raise _no_session(name, f"at {scheduler or address}", names + (recovering.names() if scheduler is None else []))


def _no_session(name: str, where: str, names: list[str]) -> UserError:
    hint = f"there are {listed(sorted(set(names)), 20)}" if names else _HINT
    return UserError(f"There is no session {name!r} {where}.", hint=hint)


def recover_jobs(
    name: str,
    *,
    scheduler: str | None = None,
    timeout: float | None = None,
    terminate_pending: bool = False,
    outputs_dir: str | os.PathLike[str] | None = None,
    secret: str | None = None,
    secret_file: str | os.PathLike[str] | None = None,
    certfile: str | os.PathLike[str] | None = None,
    keyfile: str | os.PathLike[str] | None = None,
    cafile: str | os.PathLike[str] | None = None,
    weak_secret: bool = False,
) -> list[Job]:
    """The ended jobs of a session that an earlier program left, with their results, ids and arguments.

    Waits up to `timeout` seconds (None: for ever) for the scheduler and for jobs that have not ended;
    `terminate_pending` cancels those. When all have ended the session is over; else it goes on, and a later call brings
    all of them. The rest as for `attach`. Unreachable, NodeBusy: the scheduler, or the session, was not to be had.
    """
    began = time.monotonic()
    told = Keywords(None, None, secret, secret_file, certfile, keyfile, cafile, weak_secret)
    cluster = _attach(name, scheduler, given.reporting(None, None, outputs_dir), told, timeout)
    jobs: list[Job] = list(cluster.recovered)
    session: Any = cluster._session
    for job in jobs:
        session.lives.want(job)
    if terminate_pending:
        cluster.cancel(jobs)
    left = None if timeout is None else max(0.0, began + timeout - time.monotonic())
    try:
        cluster.wait(left)
    except BaseException:
        cluster._leave()
        raise
    ended = [job for job in jobs if job.state >= FINISHED]
    if len(ended) == len(jobs):
        cluster.close()
    else:
        cluster._leave()
    return ended
