"""A cluster's computation in step on all nodes: its next version, and a barrier; and why a job waits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from lightwork.client import networking
from lightwork.client.core import FINISHED
from lightwork.client.waiting import STATUS_S
from lightwork.kit.text import count
from lightwork.model.errors import UserError
from lightwork.model.states import JobState
from lightwork.wire.messages import AskWhy, AwaitReady, Computation, Update, Why

if TYPE_CHECKING:
    from lightwork.client.defining import Definitions
    from lightwork.client.job import Job
    from lightwork.client.offering import Offers
    from lightwork.client.plan import Plan
    from lightwork.client.session import Session
    from lightwork.client.tailoring import Fittings


class StepControl:
    """A part of JobCluster."""

    _session: Session
    _definitions: Definitions
    _network: networking.Network
    _default: Plan | None
    _offers: Offers | None
    _computation: Any = None  # as the user gave it

    if TYPE_CHECKING:

        @property
        def _plan(self) -> Plan: ...

        def _tailor_all(self, fittings: Fittings) -> None: ...

    def update(self, computation: Any = None, *, depends: Any = None, setup_args: tuple[Any, ...] | None = None) -> int:
        """Put another version in the place of the cluster's computation, on every node; returns its number.

        Jobs that were submitted before run as they were, all later ones with the new version: a node that does not have
        it yet, because it was away, gets it first. What `map` has begun goes on as it began.

        computation  the new function or program; None: the same one, packed anew from what it is now
        depends      in place of those that the cluster was made with; None: the same ones, their files read again
        setup_args   for `setup`, in place of the earlier ones. If these or `depends` have changed, `setup` runs again
        """
        session, before = self._session, self._plan
        session.check()
        computation = self._computation if computation is None else computation
        definitions, packed = self._definitions.successor(computation, depends, setup_args)
        plan = definitions.plan(session, packed, before.options)
        self._define(before.computation)  # perhaps no job was submitted yet
        self._define(plan.computation)
        self._tailor_all(definitions.fittings)
        old = before.computation.digest
        try:
            answer = session.questions.ask(
                lambda number: Update(number, old, plan.computation),
                f"the scheduler to take the new {packed.wire.name}",
            )
        except BaseException:
            self._tailor_all(self._definitions.fittings)
            raise
        self._computation, self._default, self._definitions = computation, plan, definitions
        if self._offers is not None:
            self._offers.fittings = definitions.fittings
        if old != plan.computation.digest:
            self._define_no_more(old)
        return answer.total

    def wait_ready(self, nodes: int | None = None, timeout: float | None = None) -> list[str]:
        """Prepare the computation (files, `setup`) everywhere, without a job; returns names of nodes that have it.

        Waits until all nodes that the cluster uses have its latest version, or `nodes` of them. ClusterError: it failed
        on so many that this cannot be; NotReady: not within `timeout` seconds.
        """
        if nodes is not None and (isinstance(nodes, bool) or not isinstance(nodes, int) or nodes < 1):
            raise UserError(f"nodes={nodes!r} must be a number of nodes, or None for all.")
        computation = self._plan.computation
        self._define(computation)
        whom = "all nodes" if nodes is None else count(nodes, "node")
        answer = self._session.questions.ask(
            lambda number: AwaitReady(number, [computation.digest], nodes or 0),
            f"{whom} to have {computation.name}",
            timeout=timeout,
        )
        return answer.nodes

    def _define(self, computation: Computation) -> None:
        with self._session.lock:
            self._session.core.define(computation)

    def _define_no_more(self, digest: str) -> None:
        """Over later links, unless a job needs it."""
        from lightwork.client.durable_session import DurableSession

        session = self._session
        if isinstance(session, DurableSession):
            with session.lock:
                session.core.explicit.pop(digest, None)

    def explain(self, job: Job) -> list[str]:
        """Why the job waits: a sentence for each node, or for what else it waits for."""
        if job.under.session is not self._session:
            raise UserError(f"job {job.id} is not of this cluster.", hint="job.explain() knows whose it is")
        return explain(job)


def explain(job: Job) -> list[str]:
    """Why it waits, in sentences; or that it does not."""
    from lightwork.client.durable_session import DurableSession

    session: Any = job.under.session
    state = job.status
    if state >= FINISHED:
        where = f" on node {job.node}" if job.node else ""
        return [f"job {job.id} has ended{where}: {JobState(state).name}"]
    if session.unreachable:
        return [f"{session.way.where} cannot be reached now"]
    session.check()
    if isinstance(session, DurableSession) and not session.connection.wait(
        lambda: job.number < session.core.upto or session.unreachable, time.monotonic() + STATUS_S
    ):
        return [f"job {job.id} is on its way to {session.way.where}, which has not written it down yet"]
    why: Why = session.questions.ask_for(
        Why, lambda number: AskWhy(number, session.name, job.number), f"the scheduler to explain job {job.id}"
    )
    return why.lines
