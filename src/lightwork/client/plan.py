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
    """A computation and the options of its jobs, in one session."""

    __slots__ = ("computation", "files", "options", "packed", "session")

    def __init__(self, session: Session, packed: PackedComputation, options: JobOptions) -> None:
        self.session = session
        self.packed = packed
        self.computation: Computation = packed.wire
        self.options = options
        self.files: object = None  # holds the content of the jobs' own files
        session.blobs.keep(packed.blobs)

    def pack(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Arguments as a payload. If they need further local modules, the computation brings these from now on."""
        packed = self.packed
        if not packed.is_function:
            return program_arguments(args, kwargs)
        plain = pack_plain(args, kwargs)
        if plain is not None:
            return plain
        wider, payload = pack_job(packed, args, kwargs)
        if wider is not packed:
            self.session.blobs.keep(wider.blobs)
            self.packed, self.computation = wider, wider.wire
        return payload

    def chunked(self) -> Plan:
        """The same for whole lists of arguments."""
        plan = Plan(self.session, self.packed, replace(self.options, chunk=True))
        plan.files = self.files
        return plan
