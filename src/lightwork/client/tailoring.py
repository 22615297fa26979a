"""What computations have on one node in place of, or beside, their own: setup with other arguments, further files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from lightwork.client.options import Preparing
from lightwork.model.errors import UserError
from lightwork.payload.computation import PackedComputation, digest_of, pack_computation
from lightwork.payload.files import Blob
from lightwork.wire.messages import Tailoring

_encode = msgspec.msgpack.Encoder().encode


class Own(NamedTuple):
    """What one node has of its own: further files, and other arguments of setup (none: the cluster's)."""

    depends: tuple[Any, ...] = ()
    setup_args: tuple[Any, ...] = ()

    def same(self, other: Own) -> bool:
        """Arguments may be anything, arrays too: it counts whether they are the same objects."""
        args, others = self.setup_args, other.setup_args
        same = len(args) == len(others) and all(one is two for one, two in zip(args, others, strict=True))
        return same and self.depends == other.depends


class Tailored(NamedTuple):
    """What travels, and the contents of its files."""

    wire: Tailoring
    blobs: Mapping[str, Blob]


class Fittings:
    """Makes it for the nodes of one cluster, and remembers what each has."""

    def __init__(self, preparing: Preparing, *, source: bool) -> None:
        self._how = preparing
        self._source = source
        self._made: list[tuple[Own, Tailored]] = []  # the last few: files are read in full
        self.given: dict[str, Own] = {}  # by node

    def make(self, own: Own, where: str, *, afresh: bool = False) -> Tailored:
        """Raises UserError and CannotTravel as for the cluster's own; `afresh`: files may have changed."""
        how = self._how
        if own.setup_args and how.setup is None and not callable(how.cleanup):
            raise UserError(
                f"There are setup_args for node {where}, but the cluster has no setup.",
                hint="JobCluster(function, setup=...)",
            )
        for known, made in self._made:
            if not afresh and known.same(own):
                return made
        made = self._pack(own.depends, own.setup_args or how.setup_args)
        self._made = [*self._made[-15:], (own, made)]
        return made

    def _pack(self, depends: tuple[Any, ...], setup_args: tuple[Any, ...]) -> Tailored:
        """Packed as a computation that does nothing would be: then all is checked as for the cluster's own."""
        how = self._how
        packed = pack_computation(
            _nothing,
            depends=depends,
            setup=how.setup,
            setup_args=setup_args,
            cleanup=how.cleanup,
            isolation=how.isolation,
            source=self._source,
        )
        wire = packed.wire
        made = Tailoring("", wire.setup, self._source_of(packed), wire.cleanup, wire.files)
        made = msgspec.structs.replace(made, environment=digest_of(_encode(made)))
        return Tailored(made, packed.blobs)

    def _source_of(self, packed: PackedComputation) -> bytes:
        if not self._source:
            return b""
        from lightwork.payload.source import setup_source  # only where it was packed

        return setup_source(packed)


_nothing = len  # any function that each interpreter has by itself
