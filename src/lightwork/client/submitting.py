"""What `cluster.options(...)` gives: the cluster's `submit` and `map` with options of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from lightwork.client.job import Job
from lightwork.client.mapping import Mapping, Sizer, length_of
from lightwork.client.plan import Plan
from lightwork.client.progress import Bar
from lightwork.model.errors import UserError


class Submitter:
    """Submits jobs of one computation with one set of options. Use it as often as you like."""

    __slots__ = ("_id", "_plan")

    def __init__(self, plan: Plan, job_id: Any = None) -> None:
        self._plan = plan
        self._id = job_id

    def submit(self, *args: Any, **kwargs: Any) -> Job:
        """Submit one job with the function's (or program's) own arguments."""
        return self._plan.session.submit(self._plan, args, kwargs, self._id)

    def submit_job_id(self, job_id: Any, /, *args: Any, **kwargs: Any) -> Job:
        """As `submit`; the job's `id` is `job_id`."""
        return self._plan.session.submit(self._plan, args, kwargs, job_id)

    def map(
        self,
        *iterables: Iterable[Any],
        chunksize: int | None = None,
        progress: bool = False,
        ordered: bool = True,
    ) -> Iterator[Any]:
        """See `JobCluster.map`."""
        return run_map(self._plan, iterables, chunksize=chunksize, progress=progress, ordered=ordered)


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
