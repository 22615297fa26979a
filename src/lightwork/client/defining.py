"""The computations of a cluster: packed, and joined with options to plans that many jobs share."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from lightwork.client import options as given
from lightwork.client.plan import Plan
from lightwork.client.session import Session
from lightwork.client.tailoring import Fittings
from lightwork.payload.computation import PackedComputation, for_own_version, pack_computation
from lightwork.payload.jobfiles import pack_job_files
from lightwork.payload.sendable import check_options
from lightwork.wire.messages import JobOptions

PLANS_MAX = 256  # that are remembered


class Definitions:
    """What the keywords of one cluster make of its functions and programs."""

    def __init__(self, preparing: given.Preparing, job_options: JobOptions, *, source: bool = False) -> None:
        self._preparing = preparing
        self._source = source  # other interpreters may come into play
        self.fittings = Fittings(preparing, source=source)
        self._job_options = job_options
        self._base: PackedComputation | None = None
        self._plans: dict[tuple[str, JobOptions], Plan] = {}

    def pack(self, computation: Any, depends: tuple[Any, ...] = ()) -> PackedComputation:
        """A computation with the cluster's depends and its own. The first one's environment is the others' as well."""
        how, base = self._preparing, self._base
        everything = (*how.depends, *depends)
        if base is not None:
            return pack_computation(computation, depends=everything, name=how.name, base=base, source=self._source)
        self._base = self._pack_first(computation, everything)
        return self._base

    def _pack_first(
        self, computation: Any, depends: tuple[Any, ...], after: PackedComputation | None = None
    ) -> PackedComputation:
        how = self._preparing
        return pack_computation(
            computation,
            depends=depends,
            setup=how.setup,
            setup_args=how.setup_args,
            cleanup=how.cleanup,
            dest_path=how.dest_path,
            isolation=how.isolation,
            name=how.name,
            source=self._source,
            after=after,
        )

    def successor(self, computation: Any, depends: Any, setup_args: Any) -> tuple[Definitions, PackedComputation]:
        """What comes in its place with another version of the cluster's own computation; all is packed anew."""
        how = self._preparing
        if depends is not None:
            how = replace(how, depends=given.depends_of(depends))
        if setup_args is not None:
            how = replace(how, setup_args=given.setup_args_of(setup_args, how))
        made = Definitions(how, self._job_options, source=self._source)
        made.fittings.given = self.fittings.given
        made._base = made._pack_first(computation, how.depends, self._base)
        return made, made._base

    def plan_with(self, session: Session, packed: PackedComputation | None, computation: Any, own: given.Own) -> Plan:
        """The plan of jobs with options of their own: of `packed`, or of another computation."""
        changes, files = own.changes(), None
        if packed is None:
            packed = self.pack(computation, own.depends)
        elif own.depends:
            found = pack_job_files(own.depends, packed)
            changes |= {"files": found.files, "injected": found.injected}
            files = session.blobs.hold(found.blobs)
            packed = for_own_version(packed, found.pinned) if found.pinned else packed
        plan = self.plan(session, packed, replace(self._job_options, **changes))
        plan.files = plan.files or files
        return plan

    def plan(self, session: Session, packed: PackedComputation, job_options: JobOptions | None = None) -> Plan:
        """One plan for all jobs with the same options: then they travel in one message."""
        job_options = job_options or self._job_options
        key = packed.wire.digest, job_options
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= PLANS_MAX:
                self._plans.clear()
            check_options(job_options)
            plan = self._plans[key] = Plan(session, packed, job_options, beyond=self._source)
        return plan
