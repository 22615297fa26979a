"""What `options(depends=...)` adds to single jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from lightwork.model.errors import UserError
from lightwork.payload import explain, files, programs
from lightwork.payload.computation import PackedComputation
from lightwork.payload.depends import INIT, sort_depends
from lightwork.wire.messages import File


class JobFiles(NamedTuple):
    """For JobOptions: `files` and `injected`; `blobs` is what Fetch(kind="blob") is served from.

    `pinned`: why the jobs are for workers of our version of Python only, if the computation is not:
    they then belong to `computation.for_own_version(packed, pinned)`.
    """

    files: tuple[File, ...] = ()
    injected: bytes = b""
    blobs: Mapping[str, files.Blob] = {}
    pinned: str = ""


def pack_job_files(depends: object, packed: PackedComputation | None = None) -> JobFiles:
    """Pack a job's own depends: files for its directory, and names for its function. Raises as `pack_computation`."""
    found = sort_depends(depends)
    injected, pinned = b"", ""
    if found.init is not None:
        raise UserError(
            f"{INIT} is called when a computation is loaded, so it belongs into the depends of the cluster."
        )
    if found.names:
        from lightwork.payload import pickling

        with explain.explained({"depends": found.names}):
            injected, record = pickling.pickle_recorded(lambda record: found.names, packed.classes if packed else ())
        local = record.local_files()
        if packed is not None and packed.form is not None:
            injected, pinned = packed.form.with_injected(injected, found.names, local)
        programs.add_local(local, found.fileset)
    shipped = {file.path: file.digest for file in packed.wire.files} if packed else {}
    new = tuple(file for file in found.fileset.files.values() if shipped.get(file.path) != file.digest)
    return JobFiles(new, injected, found.fileset.blobs, pinned)
