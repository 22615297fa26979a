"""A computation, packed: the message that defines it, and where the bytes of its files are.

    function, class, ...    payload = pickle of (call, injected, init, sources), then perhaps pickles of lists
                            of classes, which only have to be kept; local modules as files. A large payload
                            is a file itself (PAYLOADS), so that no message grows with it. If asked for, the same
                            once more as source (source.py), or a sentence that says why it cannot go so
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
    from lightwork.payload.source import SourceForm

PAYLOADS = ".lightwork/payloads/"  # a payload that is a file lies below, by its digest; so says loading in the node too
SOURCE = ".source"  # how the names of those end that are in source form
NOT_ASKED = "its source was not packed"

_REASON_MAX = 1000  # characters

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
    form: SourceForm | None = None  # if it was asked for
    pinned: str = ""  # why it is for workers of our version only, although it could go as source
    twins: list[PackedComputation] = field(default_factory=list)  # the same, pinned

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
    after: PackedComputation | None = None,
    source: bool = False,
) -> PackedComputation:
    """Pack a function, class, program or module. With `base`: into that one's environment, with its files and setup;
    `after`: in the place of that one, whose directories on nodes have what they have.

    `source`: for workers of other versions of Python too; what cannot go to these is no error (`check_interpreters`).
    Raises CannotTravel naming what cannot be sent and where it is captured, UserError for missing files and programs.
    """
    environments = after.environments if after is not None else Environments()
    packing = _Packing(base, dependencies.sort_depends(depends), source, environments)
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

    classes = list(classes)
    payload, record = pickling.pickle_recorded(lambda record: classes, packed.classes)
    local = record.local_files()
    for name in names:
        local.add(name)
    form = packed.form and packed.form.with_more(classes, local)
    fileset = files.FileSet()
    programs.add_local(local, fileset)
    found = {**_files_of(packed.wire), **fileset.files}
    return _named(
        changed(
            packed,
            wire=changed(packed.wire, payload=payload_of(packed) + payload, files=tuple(found.values())),
            blobs={**packed.blobs, **fileset.blobs},
            modules=packed.modules | local.modules | frozenset(names),
            classes=_known_to_both({**packed.classes, **record.classes}, form),
            form=form,
            twins=[],
        )
    )


def _known_to_both(classes: dict[int, type], form: SourceForm | None) -> dict[int, type]:
    """The classes that a worker has by value, whichever form it got."""
    if form is None or form.refused:
        return classes
    return {number: kind for number, kind in classes.items() if number in form.classes}


def for_own_version(packed: PackedComputation, reason: str) -> PackedComputation:
    """The same computation, for workers of our version of Python only."""
    if packed.wire.untravellable:
        return packed
    if not any(twin.pinned == reason for twin in packed.twins):
        wire = changed(packed.wire, payload=payload_of(packed), files=tuple(_files_of(packed.wire).values()))
        packed.twins.append(_named(changed(packed, wire=wire, pinned=reason, twins=[])))
    return next(twin for twin in packed.twins if twin.pinned == reason)


class _Packing:
    """One computation on its way into a message."""

    def __init__(
        self,
        base: PackedComputation | None,
        depends: dependencies.Depends,
        source: bool,
        environments: Environments,
    ) -> None:
        self.base = base or PackedComputation(Computation("", FUNCTION, ""), {}, environments=environments)
        self.depends = depends
        self.local = modules.LocalFiles()
        self.classes: dict[int, type] = {}
        self.sources = dict(self.base.sources)
        self.wire = changed(self.base.wire, payload=b"", argv=(), python=sys.version_info[:2])
        self.form = _begun(self.base) if source else None

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
        if self.form is not None:
            self.form.add(role, (function, args, {}), self.local)
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
        self.wire = changed(self.wire, kind=kind, name=name or known_as, argv=argv, python=(0, 0))
        self.form = None

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
        if self.form is not None:
            self.form.add("call", (computation, names, init), self.local)
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
                _known_to_both(self.classes, self.form),
                self.sources,
                (*base.explicit, *explicit),
                base.environments,
                self.form,
            )
        )


def _begun(base: PackedComputation) -> SourceForm:
    """The source form of a computation in an environment that may have a setup already."""
    from lightwork.payload.source import SourceForm  # it takes its time to import

    if base.form is not None:
        return base.form.kept()
    return SourceForm(refused={"setup": NOT_ASKED} if base.wire.setup or base.wire.cleanup else {})


def payload_of(packed: PackedComputation) -> bytes:
    """The payload of a function, wherever it is."""
    aside = [file for file in packed.wire.files if _is_aside(file) and not file.path.endswith(SOURCE)]
    content = packed.blobs[aside[0].digest] if aside else b""
    return content if content and isinstance(content, bytes) else packed.wire.payload


def _is_aside(file: File) -> bool:
    return file.path.startswith(PAYLOADS)


def _files_of(wire: Computation) -> dict[str, File]:
    """By path, without the payload."""
    return {file.path: file for file in wire.files if not _is_aside(file)}


def _large_aside(packed: PackedComputation) -> PackedComputation:
    """A large payload becomes a file, and so does large source."""
    wire, fileset = packed.wire, files.FileSet()
    if len(wire.payload) >= INLINE_MAX:
        fileset.add_content(wire.payload, PAYLOADS + digest_of(wire.payload))
        wire = changed(wire, payload=b"")
    if len(wire.source) >= INLINE_MAX:
        fileset.add_content(wire.source, PAYLOADS + digest_of(wire.source) + SOURCE)
        wire = changed(wire, source=b"")
    wire = changed(wire, files=(*wire.files, *fileset.files.values()))
    return changed(packed, wire=wire, blobs={**packed.blobs, **fileset.blobs})


def _with_source(packed: PackedComputation) -> PackedComputation:
    """The source form in its place; or, if there is none, why."""
    form, reason = packed.form, packed.pinned
    if packed.is_function:
        reason = reason or (NOT_ASKED if form is None else form.reason)
    source = form.envelope() if form is not None and not reason else b""
    return changed(packed, wire=changed(packed.wire, source=source, untravellable=_sayable(reason)))


def _sayable(reason: str) -> str:
    return reason.encode("utf-8", "replace").decode()[:_REASON_MAX]


def _named(packed: PackedComputation) -> PackedComputation:
    """With its environment and its digest, which is the digest of all the rest. Raises UserError if it is too much."""
    packed = _large_aside(_with_source(packed))
    wire = changed(packed.wire, digest="", environment="")
    sendable.check_computation(wire)
    version = sys.version_info[:2]  # that of programs too: they share the directory
    options = _encode((wire.setup, wire.cleanup, wire.keep_files, wire.dest_path, wire.isolation, version))
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
