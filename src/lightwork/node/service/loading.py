"""What a worker is told about a computation (the fields of LOAD) and about its jobs (RUN options)."""

from __future__ import annotations

import os
from pathlib import Path

from lightwork.wire.messages import Computation, JobOptions
from lightwork.wire.outcome import encode_fields

DEFAULT = JobOptions()
MODULES = os.path.join(".lightwork", "modules")
PAYLOADS = ".lightwork/payloads/"  # a computation's large payload is a file below


class Place:
    """Where the jobs of an environment run, and who they are told to be."""

    def __init__(self, session: str, node: str, address: str, directory: Path, spool: Path) -> None:
        self.directory = directory
        self._common = {
            "directory": os.fsencode(directory),
            "module_dir": os.fsencode(directory / MODULES),
            "spool": os.fsencode(spool),
            "session": session.encode(),
            "node": node.encode(),
            "address": address.encode(),
        }

    def load(self, computation: Computation, run_setup: bool = False) -> dict[str, bytes]:
        """The fields of LOAD and TEMPLATE."""
        fields = {
            "digest": computation.digest.encode(),
            "name": computation.name.encode(),
            "kind": computation.kind.encode(),
            **self._common,
        }
        aside = [file.path for file in computation.files if file.path.startswith(PAYLOADS)]
        if aside:
            fields["payload_file"] = os.fsencode(self.directory / aside[0])
        else:
            fields["payload"] = computation.payload
        if computation.setup:
            fields["setup"] = computation.setup
        if computation.cleanup:
            fields["cleanup"] = computation.cleanup
        if run_setup:
            fields["run_setup"] = b"1"
        return fields


def run_options(options: JobOptions, directory: Path | None, told: dict[str, bytes]) -> bytes:
    """The options of a RUN frame, `told` among them; mostly there are none."""
    if directory is None and not told and options == DEFAULT:
        return b""
    fields = dict(told)
    if directory is not None:
        fields["directory"] = os.fsencode(directory)
    if options.output_limit_bytes != DEFAULT.output_limit_bytes:
        fields["output_limit"] = b"%d" % options.output_limit_bytes
    if options.memory_bytes:
        fields["memory"] = b"%d" % options.memory_bytes
    if options.stdin:
        fields["stdin"] = options.stdin
    if options.injected:
        fields["injected"] = options.injected
    if options.chunk:
        fields["chunk"] = b"1"
    for name, value in options.env:
        fields["env." + name] = value.encode(errors="surrogateescape")
    return encode_fields(fields)
