"""What `cluster.options(...)` gives: the cluster's `submit` and `map` with options of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from lightwork.client.job import Job
from lightwork.client.mapping import Mapping, Sizer, length_of
from lightwork.client.plan import Plan
from lightwork.client.progress import Bar
from lightwork.model.errors import UserError

if TYPE_CHECKING:
    from lightwork.client.cluster import JobCluster
    from lightwork.client.defining import Definitions
    from lightwork.client.options import Own


class Submitter:
    """Submits jobs of one computation with one set of options. Use it as often as you like."""

    __slots__ = ("_cluster", "_computation", "_id", "_key", "_made", "_own", "_version")

    def __init__(
        self, cluster: JobCluster, computation: Any, own: Own, job_id: Any = None, key: str | None = None
    ) -> None:
        self._cluster = cluster
        self._computation = computation  # None: the cluster's
        self._own = own
        self._id = job_id
        self._key = key
        self._version: Definitions = cluster._definitions  # for which the plan was made
        self._made = cluster._plan_of(computation, own)
        if key is not None:
            _check_key(self._made, key)

    @property
    def _plan(self) -> Plan:
        definitions = self._cluster._definitions
        if definitions is not self._version:  # the cluster's computation was updated
            self._made = self._cluster._plan_of(self._computation, self._own)
            self._version = definitions
        return self._made

    def submit(self, *args: Any, **kwargs: Any) -> Job:
        """Submit one job with the function's (or program's) own arguments; under a known key: find it again."""
        return self._submit(args, kwargs, self._id)

    def submit_job_id(self, job_id: Any, /, *args: Any, **kwargs: Any) -> Job:
        """As `submit`; the job's `id` is `job_id`."""
        return self._submit(args, kwargs, job_id)

    def _submit(self, args: tuple[Any, ...], kwargs: dict[str, Any], job_id: Any) -> Job:
        plan = self._plan
        session: Any = plan.session
        if self._key is None:
            job: Job = session.submit(plan, args, kwargs, job_id)
        else:
            job = session.submit(plan, args, kwargs, job_id, self._key)
        return job

    def map(
        self,
        *iterables: Iterable[Any],
        chunksize: int | None = None,
        progress: bool = False,
        ordered: bool = True,
    ) -> Iterator[Any]:
        """See `JobCluster.map`."""
        if self._key is not None:
            raise UserError("A key names one job, and map makes many.", hint="submit each item under a key of its own")
        return run_map(self._plan, iterables, chunksize=chunksize, progress=progress, ordered=ordered)


def _check_key(plan: Plan, key: object) -> None:
    from lightwork.client.durable_session import DurableSession
    from lightwork.client.keys import check_key

    check_key(key)
    if not isinstance(plan.session, DurableSession):
        raise UserError(
            "A key is remembered by a session that outlives links and programs, and this cluster has none.",
            hint='JobCluster(..., recover="NAME") or SharedJobCluster',
        )


def run_map(
    plan: Plan, iterables: tuple[Iterable[Any], ...], *, chunksize: int | None, progress: bool, ordered: bool
) -> Iterator[Any]:
    """Begin at once, give results as they are asked for."""
    if not iterables:
        raise UserError("map needs something to iterate over.", hint="cluster.map(range(10))")
    function = plan.packed.is_function
    if not function and chunksize not in (None, 1):
        raise UserError("A program runs once for each job; chunksize is for functions.")
    plain = not function or chunksize == 1
    total = length_of(iterables)
    sizer = Sizer(1 if plain else chunksize, plan.session.nodes.slots, total)
    mapping = Mapping(plan, zip(*iterables, strict=False), sizer, ordered=ordered, plain=plain, total=total)
    mapping.fill()
    return mapping.results(Bar(plan.computation.name, wanted=progress))
