"""Computations as a worker holds them: unpickled once, then called job after job."""

from __future__ import annotations

import _pickle
import importlib
import os
import types
from typing import Any, Callable, Dict, List, Optional

from lightwork.worker import failure
from lightwork.worker.kinds import finish, module_runner, unpack_arguments
from lightwork.worker.loader import Loader, Scopes, globals_of
from lightwork.worker.restore import Place

_MISSING = object()


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
        self.place = _place(fields)
        self.scopes: Scopes = {}
        self._classes: List[Any] = []
        self.call: Callable[..., Any] = _nothing
        self.unpack: Callable[[Any], Any] = _pickle.loads
        self.setup: Optional[Setup] = None
        self.cleanup: Optional[Setup] = None

    def load(self, fields: Dict[str, bytes]) -> None:
        """Unpickle everything; the worker is at the computation's place already. Raises what users' modules raise."""
        importlib.invalidate_caches()  # its modules' files may have come since the last computation was loaded
        sources = {key[7:]: value.decode("utf-8", "replace") for key, value in fields.items() if key[:7] == "source."}
        failure.sources.update(sources)
        if self.kind == "module":
            self.call, self.unpack = module_runner(self.name), unpack_arguments
        else:
            self._load_function(_payload(fields))
        for part in ("setup", "cleanup"):
            if fields.get(part):
                setattr(self, part, Setup(Loader(fields[part], self.scopes)))

    def _load_function(self, payload: bytes) -> None:
        (call, injected, init, *rest), *self._classes = Loader(payload, self.scopes).load_all()
        failure.sources.update(rest[0] if rest else {})
        self.call = call
        self.inject(injected or {})
        if init is not None:
            init()

    def loads(self, payload: bytes) -> Any:
        """Unpickle something that belongs to this computation: its functions share one set of globals."""
        return Loader(payload, self.scopes).load()

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


_TEXTS = frozenset(("name", "digest", "kind", "session", "node", "address"))


def _place(fields: Dict[str, bytes]) -> Place:
    directory = os.fsdecode(fields.get("directory", b"")) or os.getcwd()
    modules = os.fsdecode(fields.get("module_dir", b""))
    path = ([modules] if modules else []) + ([directory] if fields.get("directory") else [])
    return Place(directory, path, environment_of(fields))


def environment_of(fields: Dict[str, bytes]) -> Dict[str, str]:
    """The `env.NAME` fields."""
    return {key[4:]: os.fsdecode(value) for key, value in fields.items() if key[:4] == "env."}


def _payload(fields: Dict[str, bytes]) -> bytes:
    if "payload" in fields:
        return fields["payload"]
    with open(os.fsdecode(fields["payload_file"]), "rb") as file:
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
