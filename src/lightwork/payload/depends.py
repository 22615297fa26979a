"""`depends=`: files and directories to lie beside the jobs, and names to be there when they run."""

from __future__ import annotations

import functools
import os
import types
from collections.abc import Callable, Iterable
from typing import Any

from lightwork.model.errors import UserError
from lightwork.payload import files, modules, names

INIT = "init_depends"


class Depends:
    """What the user listed, sorted: `fileset` to lie in the directory, `names` for the functions, `init` to call."""

    def __init__(self) -> None:
        self.fileset = files.FileSet()
        self.names: dict[str, object] = {}
        self.init: Callable[[], object] | None = None


def sort_depends(depends: object) -> Depends:
    """Read the user's list without changing it; raises UserError for a missing file or what has no name."""
    found = Depends()
    for item in _as_list(depends):
        if isinstance(item, str | bytes | os.PathLike):
            found.fileset.add_path(os.fsdecode(item))
        elif isinstance(item, types.ModuleType):
            _add_module(found, item)
        else:
            _add_named(found, item)
    return found


def _as_list(depends: object) -> list[Any]:
    if depends is None:
        return []
    if isinstance(depends, Iterable) and not isinstance(depends, str | bytes | type):
        return list(depends)
    raise UserError(
        f"depends must be a list of files, directories, functions, classes or modules, not {type(depends).__name__}.",
        hint="write depends=[...]",
    )


def _add_module(found: Depends, module: types.ModuleType) -> None:
    """By its last name; a package of the user's own with all that is in its directory, data too."""
    found.names[module.__name__.rpartition(".")[2]] = module
    paths = list(getattr(module, "__path__", ()))
    if modules.kind_of(module.__name__) != "local":
        return
    place = "/".join([modules.MODULES_DIRECTORY, *module.__name__.split(".")])
    for path in paths:
        for inner in files.files_below(path):
            if "__pycache__" not in inner.split(os.sep):
                found.fileset.add_file(os.path.join(path, inner), f"{place}/{inner.replace(os.sep, '/')}")


def _add_named(found: Depends, item: Any) -> None:
    given = item
    while isinstance(item, functools.partial):
        item = item.func
    if isinstance(item, types.MethodType):
        item = item.__self__
    if not isinstance(item, type | types.FunctionType | types.BuiltinFunctionType):
        wrapped = callable(item) and isinstance(getattr(item, "__wrapped__", None), types.FunctionType)
        item = item if wrapped else type(item)  # an instance: its class; what functools.cache made: itself
    if item.__module__ == "builtins" and isinstance(item, type):
        raise UserError(
            f"depends has {names.a_thing(given)}, which is neither a file nor code of yours.",
            hint="values reach jobs as arguments, or as globals that setup= makes",
        )
    if item.__name__ == INIT:
        found.init = item
    found.names[item.__name__] = item
