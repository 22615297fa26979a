"""The door: run as a script by whatever interpreter a node has, where Lightwork need not be installed.

    python boot.py keeper --channel FD [--args-arena A] [--results-arena A] [--cloudpickle DIR] [--user UID:GID:GROUPS]
    python boot.py worker --connect HOST PORT --key-file PATH --shared FILE [--init FILE] [the same options]
    python boot.py sweep  [--below PID] [--tree PID[:START]]... [--spare PID]...

A is `fd:N` or a path. The key may come in LIGHTWORK_WORKER_KEY instead. It makes the package `lightwork` of the very
files that it lies among, and cloudpickle of that in DIR alone; it adds nothing to sys.path, and gives the interpreter a
clean `__main__`: what users' code looks up there must not be ours.
"""

from __future__ import annotations

import os
import sys

# The allocator has read its own by now, and jobs have no business with the others.
_DROPPED = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")
_KEPT = ("LIGHTWORK_PORTABLE", "LIGHTWORK_NODE_PROCESS", "LIGHTWORK_BELOW")


def _register() -> None:
    """Make `import lightwork` mean the files next to us, whatever else is installed."""
    from importlib.util import spec_from_file_location

    here = os.path.dirname(os.path.abspath(__file__))
    package = os.path.dirname(here)
    if sys.path and os.path.abspath(sys.path[0]) == here:
        del sys.path[0]
    face = os.path.join(package, "__init__.py")
    spec = spec_from_file_location("lightwork", face, submodule_search_locations=[package])
    _load("lightwork", spec)


def _find_cloudpickle(directories: list) -> None:  # type: ignore[type-arg]
    """Import it, once for all that are forked, and before users' modules have a say in where it is found.

    From a directory that is lent (the agent's, which is for another interpreter) nothing else can be imported. What is
    lent comes first: an older one, that may be installed here, does not understand what the agent's wrote.
    """
    if directories:
        from importlib.machinery import PathFinder

        _load("cloudpickle", PathFinder.find_spec("cloudpickle", directories))
        return
    try:
        import cloudpickle  # noqa: F401
    except ImportError:
        pass  # jobs that need it say so


def _load(name: str, spec) -> None:  # type: ignore[no-untyped-def]
    from importlib.util import module_from_spec

    if spec is None or spec.loader is None:
        raise SystemExit("lightwork: %s cannot be loaded" % name)
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


def _scrub() -> str:
    """Take credentials and our own settings out of the environment; returns the worker's key."""
    key = os.environ.get("LIGHTWORK_WORKER_KEY", "")
    for name in list(os.environ):
        if name in _DROPPED or (name.startswith("LIGHTWORK_") and name not in _KEPT):
            del os.environ[name]
    return key


def _clean_main() -> None:
    ours = sys.modules["__main__"]
    sys.modules["__main__"] = type(sys)("__main__")
    sys.modules["__lightwork_boot__"] = ours


def _options(arguments: list) -> dict:  # type: ignore[type-arg]  # list[str] means nothing to Python 3.8
    """`--name value...` pairs; an option that comes again adds to its values."""
    options = {}  # type: ignore[var-annotated]
    values = options.setdefault("", [])
    for argument in arguments:
        if argument.startswith("--"):
            values = options.setdefault(argument[2:], [])
        else:
            values.append(argument)
    return options


def main() -> None:
    """Become what the first argument says."""
    key = _scrub()
    _register()
    _clean_main()
    part, options = sys.argv[1], _options(sys.argv[2:])
    sys.argv[:] = [""]
    if part != "sweep":
        _find_cloudpickle(options.get("cloudpickle", []))
    if part == "keeper" and sys.platform != "win32":
        from lightwork.worker import keeper

        keeper.main(options)
    elif part == "worker":
        from lightwork.worker import portable

        portable.main(options, key)
    elif part == "sweep":
        from lightwork.worker import killing

        sys.stdout.write("%d\n" % killing.sweep(options))
    else:
        raise SystemExit("lightwork: boot.py knows keeper, worker and sweep, not %r" % part)


if __name__ == "__main__":
    main()
