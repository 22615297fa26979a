"""What a worker is told about a computation (the fields of LOAD) and about its jobs (RUN options)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from lightwork.node.core.interpreters import named
from lightwork.wire.messages import Computation, JobOptions
from lightwork.wire.outcome import encode_fields

DEFAULT = JobOptions()
MODULES = os.path.join(".lightwork", "modules")
PAYLOADS = ".lightwork/payloads/"  # a computation's large payload is a file below, and so is large source:
SOURCE = ".source"  # its name ends like this


class Place:
    """Where the jobs of an environment run, and who they are told to be."""

    def __init__(
        self,
        session: str,
        node: str,
        address: str,
        directory: Path,
        spool: Path,
        lasting: bool = False,
        file_max: int = 0,
    ) -> None:
        self.directory = directory
        self.version = (0, 0)  # of the interpreter of its workers; (0, 0): nobody said
        self._common = {
            "directory": os.fsencode(directory),
            "module_dir": os.fsencode(directory / MODULES),
            "spool": os.fsencode(spool),
            "session": session.encode(),
            "node": node.encode(),
            "address": address.encode(),
            **({"lasting": b"1"} if lasting else {}),
            **({"file_max": b"%d" % file_max} if file_max else {}),
        }

    def load(self, computation: Computation, run_setup: bool = False) -> dict[str, bytes]:
        """The fields of LOAD and TEMPLATE."""
        fields = {
            "digest": computation.digest.encode(),
            "name": computation.name.encode(),
            "kind": computation.kind.encode(),
            **self._common,
            **self._functions(computation),
        }
        if run_setup:
            fields["run_setup"] = b"1"
        return fields

    def _functions(self, computation: Computation) -> dict[str, bytes]:
        """Pickles for workers of the version that wrote them, source for all others.

        Nowhere else is this decided: the bytecode in these pickles would crash another interpreter. (The worker, which
        is told the version, refuses it once more.)
        """
        native = (0, 0) in (computation.python, self.version) or computation.python == self.version
        name = "payload" if native else "source"
        aside = [file.path for file in computation.files if file.path.startswith(PAYLOADS)]
        large = [path for path in aside if path.endswith(SOURCE) != native]
        if large:
            content = {f"{name}_file": os.fsencode(self.directory / large[0])}
        elif native:
            content = {"payload": computation.payload}
        elif computation.source:
            content = {"source": computation.source}
        else:
            raise AssertionError(f"pickles of Python {computation.python} are not for workers of {self.version}")
        told = {
            "python": named(computation.python).encode() if computation.python != (0, 0) else b"",
            "setup": computation.setup if native else b"",
            "cleanup": computation.cleanup if native else b"",
            "setup_source": b"" if native else computation.setup_source,
        }
        return content | {key: value for key, value in told.items() if value}


NOTHING: dict[str, str] = {}


def run_options(
    options: JobOptions, directory: Path | None, told: dict[str, bytes], env: Mapping[str, str] = NOTHING
) -> bytes:
    """The options of a RUN frame, `told` among them; mostly there are none. `env`: variables that we add."""
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
    for name, value in (*options.env, *env.items()):
        fields["env." + name] = value.encode(errors="surrogateescape")
    return encode_fields(fields)
