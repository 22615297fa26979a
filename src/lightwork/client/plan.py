"""What jobs are submitted under: a computation with options, made once and shared by all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from lightwork.payload.arguments import pack_job, pack_plain
from lightwork.payload.computation import PackedComputation
from lightwork.payload.programs import program_arguments
from lightwork.wire.messages import Computation, JobOptions

if TYPE_CHECKING:
    from lightwork.client.session import Session


class Plan:
    """A computation and the options of its jobs, in one session. `beyond`: nodes may have other interpreters than ours.

    Jobs whose arguments hold bytecode have a twin of their computation, which goes to our minor version only.
    """

    __slots__ = ("_twins", "beyond", "bound", "checked", "computation", "files", "options", "packed", "session")

    packed: PackedComputation
    computation: Computation
    bound: bool  # it must be looked whether there is an interpreter for it

    def __init__(
        self, session: Session, packed: PackedComputation, options: JobOptions, *, beyond: bool = False
    ) -> None:
        self.session = session
        self.options = options
        self.beyond = beyond
        self.files: object = None  # holds the content of the jobs' own files
        self.checked = -1  # when that was looked for: Nodes.changes
        self._twins: dict[str, Plan] = {}
        self._take(packed)

    def _take(self, packed: PackedComputation) -> None:
        self.session.blobs.keep(packed.blobs)
        self.packed, self.computation = packed, packed.wire
        self.bound = self.beyond and bool(packed.wire.untravellable)

    def pack(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Plan, Any]:
        """Arguments as a payload, and the plan of the job: this one, or its twin.

        If they need further local modules, the computation brings these from now on.
        """
        packed = self.packed
        if not packed.is_function:
            return self, program_arguments(args, kwargs)
        plain = pack_plain(args, kwargs)
        if plain is not None:
            return self, plain
        wider, payload = pack_job(packed, args, kwargs)
        if wider is packed:
            return self, payload
        if wider.pinned and not packed.pinned:
            return self._twin(wider), payload
        self._take(wider)
        return self, payload

    def _twin(self, packed: PackedComputation) -> Plan:
        twin = self._twins.get(packed.wire.digest)
        if twin is None:
            twin = self._twins[packed.wire.digest] = Plan(self.session, packed, self.options, beyond=self.beyond)
            twin.files = self.files
        return twin

    def chunked(self) -> Plan:
        """The same for whole lists of arguments."""
        plan = Plan(self.session, self.packed, replace(self.options, chunk=True), beyond=self.beyond)
        plan.files = self.files
        return plan
