"""Computations as a worker holds them: unpickled once, then called job after job.

A computation of our own version of Python comes as cloudpickle wrote it, one of another as source (source_loader.py).
"""

from __future__ import annotations

import _pickle
import importlib
import os
import types
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional

from lightwork.wire.outcome import decode_fields
from lightwork.worker import arena, failure, travel
from lightwork.worker.kinds import finish, module_runner, unpack_arguments
from lightwork.worker.loader import Loader, Scopes, WrongPython, globals_of, version
from lightwork.worker.restore import Place

if TYPE_CHECKING:
    from lightwork.worker.source_loader import Modules

_MISSING = object()
_BOTH = b"\0LWBOTH\1"  # injected names in both forms; so says payload/source.py too


class Setup:
    """A function with its arguments, to be called once: setup or cleanup."""

    def __init__(self, loader: Loader) -> None:
        self._function, self._args, self._kwargs = loader.load()
        self.captured = loader.captured

    def run(self) -> Any:
        """Call it; a coroutine is run to its end."""
        return finish(self._function(*self._args, **self._kwargs))


class Computation:
    """What LOAD brought."""

    def __init__(self, fields: Dict[str, bytes]) -> None:
        text = {key: value.decode("utf-8", "replace") for key, value in fields.items() if key in _TEXTS}
        self.name, self.digest = text.get("name", ""), text.get("digest", "")
        self.kind = text.get("kind", "function")
        self.session, self.node, self.address = (text.get(key, "") for key in ("session", "node", "address"))
        self.spool = os.fsdecode(fields.get("spool", b""))
        self.lasting = "lasting" in fields  # what its jobs return is to outlive this process, and the agent
        self.file_max = int(fields.get("file_max", b"0"))  # of a file that its jobs send; 0: any size
        self.home = text.get("python", "")  # the client's version of Python, if it was told
        self.place = _place(fields)
        self.scopes: Scopes = {}
        self.modules: Optional[Modules] = None  # if it came as source
        self._classes: List[Any] = []
        self.call: Callable[..., Any] = _nothing
        self.unpack: Callable[[Any], Any] = _pickle.loads
        self.unpack_segments: Callable[[List[memoryview]], Any] = arena.loads
        self.setup: Optional[Setup] = None
        self.cleanup: Optional[Setup] = None

    def load(self, fields: Dict[str, bytes]) -> None:
        """Unpickle everything; the worker is at the computation's place already. Raises what users' modules raise."""
        importlib.invalidate_caches()  # its modules' files may have come since the last computation was loaded
        sources = {key[7:]: value.decode("utf-8", "replace") for key, value in fields.items() if key[:7] == "source."}
        failure.sources.update(sources)
        if self.kind == "module":
            self.call, self.unpack = module_runner(self.name), unpack_arguments
        elif "source" in fields or "source_file" in fields:
            self._load_source(fields)
        elif self.home not in ("", version()):
            raise WrongPython(
                "the computation holds bytecode of Python %s, this worker runs %s" % (self.home, version())
            )
        else:
            self._load_function(_content(fields, "payload"))
        for part in ("setup", "cleanup"):
            if fields.get(part) and self.modules is None:
                setattr(self, part, Setup(Loader(fields[part], self.scopes, self.home)))

    def _load_function(self, payload: bytes) -> None:
        (call, injected, init, *rest), *self._classes = Loader(payload, self.scopes, self.home).load_all()
        failure.sources.update(rest[0] if rest else {})
        self._take(call, injected, init)

    def _take(self, call: Callable[..., Any], injected: Dict[str, Any], init: Optional[Callable[[], Any]]) -> None:
        self.call = call
        self.inject(injected or {})
        if init is not None:
            init()

    def _load_source(self, fields: Dict[str, bytes]) -> None:
        from lightwork.worker import source_loader

        parts = decode_fields(_content(fields, "source"))
        if fields.get("setup_source"):
            parts.update(decode_fields(fields["setup_source"]))
        modules = self.modules = source_loader.Modules(parts["python"].decode(), self.scopes)
        travel.home = modules.home
        self.unpack, self.unpack_segments = modules.unpack, modules.unpack_segments
        try:
            (call, injected, init), self._classes = source_loader.load(parts, modules)
            for part in ("setup", "cleanup"):
                if part in parts:
                    setattr(self, part, Setup(source_loader.SourceLoader(parts[part], modules)))
        finally:
            failure.sources.update(modules.sources())
        self._take(call, injected, init)

    def enter(self) -> None:
        """Its jobs come next."""
        if self.modules is not None:
            self.modules.enter()

    def loads(self, payload: bytes) -> Any:
        """Unpickle names for some jobs alone: their functions share the globals of this computation."""
        parts = decode_fields(payload[len(_BOTH) :]) if payload.startswith(_BOTH) else {}
        if self.modules is None:
            return Loader(parts.get("pickle", payload), self.scopes, self.home).load()
        from lightwork.worker import source_loader

        if not parts:  # it is refused if there is bytecode in it
            return source_loader.SourceLoader(payload, self.modules).load()
        try:
            return source_loader.load(decode_fields(parts["source"]), self.modules)[0]
        finally:
            failure.sources.update(self.modules.sources())

    def inject(self, names: Dict[str, Any]) -> Dict[str, Any]:
        """Put names where the computation's code finds them as globals; returns what they replaced, for `withdraw`."""
        replaced = {}
        for number, scope in enumerate(self._all_scopes()):
            for name, value in names.items():
                replaced["%d %s" % (number, name)] = scope.get(name, _MISSING)
                scope[name] = value
        return replaced

    def withdraw(self, replaced: Dict[str, Any]) -> None:
        """Undo `inject`."""
        scopes = self._all_scopes()
        for key, value in replaced.items():
            number, _, name = key.partition(" ")
            if value is _MISSING:
                scopes[int(number)].pop(name, None)
            else:
                scopes[int(number)][name] = value

    def _all_scopes(self) -> List[Dict[str, Any]]:
        """The globals of everything that the computation brought along by value, and of what it calls."""
        scopes = {id(scope): scope for scope in self.scopes.values()}
        scopes.update((id(scope), scope) for scope in globals_of(self.call, 0))
        return list(scopes.values())


_TEXTS = frozenset(("name", "digest", "kind", "python", "session", "node", "address"))


def _place(fields: Dict[str, bytes]) -> Place:
    directory = os.fsdecode(fields.get("directory", b"")) or os.getcwd()
    modules = os.fsdecode(fields.get("module_dir", b""))
    path = ([modules] if modules else []) + ([directory] if fields.get("directory") else [])
    return Place(directory, path, environment_of(fields))


def environment_of(fields: Dict[str, bytes]) -> Dict[str, str]:
    """The `env.NAME` fields."""
    return {key[4:]: os.fsdecode(value) for key, value in fields.items() if key[:4] == "env."}


def _content(fields: Dict[str, bytes], name: str) -> bytes:
    if name in fields:
        return fields[name]
    with open(os.fsdecode(fields[name + "_file"]), "rb") as file:
        return file.read()


def _nothing(*args: Any, **kwargs: Any) -> None:
    """What a computation calls before it is loaded."""


class Environment:
    """What setup has made in this process: its value, and globals for all computations that share the environment."""

    def __init__(self) -> None:
        self.value: Any = None
        self._made: Scopes = {}

    def set_up(self, computation: Computation) -> None:
        """Run a computation's setup and keep what it made."""
        if computation.setup is None:
            return
        before = {module: dict(scope) for module, scope in computation.scopes.items()}
        self.value = computation.setup.run()
        for module, scope in computation.scopes.items():
            old, named = before.get(module, {}), computation.setup.captured.get(module, ())
            self._made[module] = {
                name: value for name, value in scope.items() if name in named or old.get(name, _MISSING) is not value
            }

    def give(self, computation: Computation) -> None:
        """Let a computation that was loaded later see it too. It keeps its own functions: they look at its globals."""
        for module, made in self._made.items():
            scope = computation.scopes.setdefault(module, {"__name__": module, "__builtins__": __builtins__})
            for name, value in made.items():
                if name not in scope or not isinstance(value, (types.FunctionType, type)):
                    scope[name] = value
