"""A computation, packed: the message that defines it, and where the bytes of its files are.

    function, class, ...    payload = pickle of (call, injected, init, sources), then perhaps pickles of lists
                            of classes, which only have to be kept; local modules as files. A large payload
                            is a file itself (PAYLOADS), so that no message grows with it
    program, module         argv; the program itself as a file, if it is the user's own

Computations of one cluster with the same setup, depends and directory share an *environment*: workers and directory.
Their local modules may differ, as long as no path has two contents; `Environments` sees to that.
"""

from __future__ import annotations

import hashlib
import os
import sys
import types
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec
from msgspec import field
from msgspec.structs import replace as changed

from lightwork.config.limits import INLINE_MAX
from lightwork.model.errors import UserError
from lightwork.payload import (
    callables,
    depends as dependencies,
    explain,
    files,
    modules,
    names as naming,
    programs,
    sendable,
)
from lightwork.wire.messages import FUNCTION, MODULE, PROGRAM, Computation, File

if TYPE_CHECKING:
    from lightwork.payload import pickling

PAYLOADS = ".lightwork/payloads/"  # a payload that is a file lies below, by its digest; so says loading in the node too

_encode = msgspec.msgpack.Encoder().encode


class Environments:
    """Which content each path has, in each environment of a cluster."""

    def __init__(self) -> None:
        self._contents: dict[str, dict[str, str]] = {}

    def choose(self, shared: str, found: Iterable[File]) -> str:
        """`shared`; or if these files contradict what lies there, another name made from their content."""
        found = list(found)
        contents = self._contents.setdefault(shared, {})
        if any(contents.get(file.path, file.digest) != file.digest for file in found):
            return self.choose(digest_of(shared, *sorted(f"{file.path} {file.digest}" for file in found)), found)
        contents.update((file.path, file.digest) for file in found)
        return shared


class PackedComputation(msgspec.Struct, frozen=True):
    """What the client defines (`wire`) and serves (`blobs`: digest -> path here, or content)."""

    wire: Computation
    blobs: Mapping[str, files.Blob]
    modules: frozenset[str] = frozenset()  # local ones that are shipped
    classes: Mapping[int, type] = field(default_factory=dict)  # by id: the worker has them by value
    sources: Mapping[str, str] = field(default_factory=dict)  # of setup and cleanup too
    explicit: tuple[File, ...] = ()  # files that the user named
    environments: Environments = field(default_factory=Environments)

    @property
    def is_function(self) -> bool:
        """Whether its jobs take Python objects, not the arguments of a program."""
        return self.wire.kind == FUNCTION


def pack_computation(
    computation: object,
    *,
    depends: object = (),
    setup: object = None,
    setup_args: Iterable[object] = (),
    cleanup: object = True,
    dest_path: str = "",
    isolation: str = "worker",
    name: str = "",
    base: PackedComputation | None = None,
) -> PackedComputation:
    """Pack a function, class, program or module. With `base`: into that one's environment, with its files and setup.

    Raises CannotTravel naming what cannot be sent and where it is captured, UserError for missing files and programs.
    """
    packing = _Packing(base, dependencies.sort_depends(depends))
    if base is None:
        packing.take_options(setup, tuple(setup_args), cleanup, dest_path, isolation)
    if isinstance(computation, str | bytes | os.PathLike | types.ModuleType):
        packing.take_program(computation, name)
    else:
        packing.take_function(computation, name)
    return packing.finish()


def with_more(packed: PackedComputation, names: Iterable[str], classes: Iterable[type]) -> PackedComputation:
    """The same computation, with further local modules beside it, and classes that its arguments are made of."""
    from lightwork.payload import pickling

    payload, record = pickling.pickle_recorded(lambda record: list(classes), packed.classes)
    local = record.local_files()
    for name in names:
        local.add(name)
    fileset = files.FileSet()
    programs.add_local(local, fileset)
    found = {**_files_of(packed.wire), **fileset.files}
    return _named(
        changed(
            packed,
            wire=changed(packed.wire, payload=payload_of(packed) + payload, files=tuple(found.values())),
            blobs={**packed.blobs, **fileset.blobs},
            modules=packed.modules | local.modules | frozenset(names),
            classes={**packed.classes, **record.classes},
        )
    )


class _Packing:
    """One computation on its way into a message."""

    def __init__(self, base: PackedComputation | None, depends: dependencies.Depends) -> None:
        self.base = base or PackedComputation(Computation("", FUNCTION, ""), {})
        self.depends = depends
        self.local = modules.LocalFiles()
        self.classes = dict(self.base.classes)
        self.sources = dict(self.base.sources)
        self.wire = changed(self.base.wire, payload=b"", argv=(), python=sys.version_info[:2])

    def take_options(
        self, setup: object, setup_args: tuple[object, ...], cleanup: object, dest_path: str, isolation: str
    ) -> None:
        if isolation not in ("worker", "process"):
            raise UserError(f"isolation must be 'worker' or 'process', not {isolation!r}.")
        self.wire = changed(
            self.wire,
            setup=b"" if setup is None else self._call("setup", setup, setup_args),
            cleanup=b"" if isinstance(cleanup, bool) else self._call("cleanup", cleanup, setup_args),
            keep_files=cleanup is False,
            dest_path=_checked_path(dest_path),
            isolation=isolation,
        )

    def _call(self, role: str, function: object, args: tuple[object, ...]) -> bytes:
        from lightwork.payload import pickling  # programs do without cloudpickle

        callables.check(role, function)

        with explain.explained({role: function, "setup_args": args}):
            data, record = pickling.pickle_recorded(lambda record: (function, args, {}))
        self._ship(record)
        return data

    def take_program(self, program: str | bytes | os.PathLike[str] | types.ModuleType, name: str) -> None:
        named = [f"'{key}' in depends" for key in self.depends.names if key not in sys.modules]
        refused = ["setup"] if self.wire.setup else named
        if refused:
            raise UserError(f"{refused[0]} is for functions; a program can depend on files and directories only.")
        fileset = self.depends.fileset
        if isinstance(program, types.ModuleType):
            kind, known_as, argv = MODULE, program.__name__, programs.module_argv(program, fileset)
        else:
            path = os.fsdecode(program)
            kind, known_as, argv = PROGRAM, os.path.basename(path), programs.program_argv(path, fileset)
        self.wire = changed(self.wire, kind=kind, name=name or known_as, argv=argv)

    def take_function(self, computation: object, name: str) -> None:
        from lightwork.payload import pickling  # programs do without cloudpickle

        callables.check("computation", computation)
        names, init = self.depends.names, self.depends.init

        def around(record: pickling.Record) -> object:
            record.sources.texts.update(self.sources)
            return computation, names, init, record.sources.texts

        with explain.explained({"computation": computation, "depends": names}):
            payload, record = pickling.pickle_recorded(around)
        self._ship(record)
        self.classes.update(record.classes)
        self.wire = changed(self.wire, kind=FUNCTION, name=name or naming.name_of(computation), payload=payload)

    def _ship(self, record: pickling.Record) -> None:
        found = record.local_files()
        self.sources.update(record.sources.texts)
        self.local.files.update(found.files)
        self.local.modules |= found.modules

    def finish(self) -> PackedComputation:
        base, fileset = self.base, self.depends.fileset
        explicit = tuple(fileset.files.values())
        programs.add_local(self.local, fileset)
        found = {**_files_of(base.wire), **fileset.files}
        wire = changed(self.wire, files=tuple(found.values()))
        return _named(
            PackedComputation(
                wire,
                {**base.blobs, **fileset.blobs},
                base.modules | self.local.modules,
                self.classes,
                self.sources,
                (*base.explicit, *explicit),
                base.environments,
            )
        )


def payload_of(packed: PackedComputation) -> bytes:
    """The payload of a function, wherever it is."""
    content = [packed.blobs[file.digest] for file in packed.wire.files if file.path.startswith(PAYLOADS)]
    return content[0] if content and isinstance(content[0], bytes) else packed.wire.payload


def _files_of(wire: Computation) -> dict[str, File]:
    """By path, without the payload."""
    return {file.path: file for file in wire.files if not file.path.startswith(PAYLOADS)}


def _payload_aside(packed: PackedComputation) -> PackedComputation:
    """A large payload becomes a file."""
    payload = packed.wire.payload
    if len(payload) < INLINE_MAX:
        return packed
    fileset = files.FileSet()
    fileset.add_content(payload, PAYLOADS + digest_of(payload))
    wire = changed(packed.wire, payload=b"", files=(*packed.wire.files, *fileset.files.values()))
    return changed(packed, wire=wire, blobs={**packed.blobs, **fileset.blobs})


def _named(packed: PackedComputation) -> PackedComputation:
    """With its environment and its digest, which is the digest of all the rest. Raises UserError if it is too much."""
    packed = _payload_aside(packed)
    wire = changed(packed.wire, digest="", environment="")
    sendable.check_computation(wire)
    options = _encode((wire.setup, wire.cleanup, wire.keep_files, wire.dest_path, wire.isolation, wire.python))
    shared = digest_of(options, *(f"{file.path} {file.digest}" for file in packed.explicit))
    wire = changed(wire, environment=packed.environments.choose(shared, wire.files))
    return changed(packed, wire=changed(wire, digest=digest_of(_encode(wire))))


def digest_of(*parts: str | bytes) -> str:
    """One name for all of these, in this order."""
    state = hashlib.blake2b(digest_size=files.DIGEST_SIZE)
    for part in parts:
        data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        state.update(b"%d:" % len(data) + data)
    return state.hexdigest()


def _checked_path(dest_path: str) -> str:
    path = os.fspath(dest_path).replace("\\", "/")
    parts = path.split("/")
    if ".." in parts:
        raise UserError(f"dest_path '{dest_path}' must not have '..' in it.", hint="an absolute path may lie anywhere")
    absolute = path.startswith("/") or ":" in parts[0]
    return path if absolute else "/".join(part for part in parts if part not in ("", "."))
