"""The module of a node's owner (`lightwork node --init FILE`): run in the process that all workers are forked from, or
in each worker where there is no fork; never in the agent or its keeper.

    init()  is called when the file has run     close()  at the end of that process     what it defines: jobs may use
"""

from __future__ import annotations

import os
import sys
from typing import Any, Optional

from lightwork.worker import context, failure

NAME = "lightwork_node_module"
_owner = 0  # the process that ran it


def load(path: str) -> Optional[failure.Fields]:
    """Run the file and its init(); a failure's fields, or None."""
    global _owner
    from importlib.util import module_from_spec, spec_from_file_location

    ours = os.getpid()
    try:
        spec = spec_from_file_location(NAME, path)
        if spec is None or spec.loader is None:
            raise ImportError("%s is no Python file" % path)
        module = module_from_spec(spec)
        sys.modules[NAME] = module
        spec.loader.exec_module(module)
        _call(module, "init")
    except BaseException as error:  # the owner's code: whatever it raises is the answer
        failed = failure.exited(error) if isinstance(error, SystemExit) else failure.describe(error)
        failed["during"] = b"init"
        return failed
    finally:
        if os.getpid() != ours:
            os._exit(0)  # it forked, and came back in the child too
    context.module, _owner = module, ours
    return None


def close() -> None:
    """The process that ran it ends: its close(). What that raises goes to the node's log, by way of stderr."""
    if context.module is None or os.getpid() != _owner:
        return
    try:
        _call(context.module, "close")
    except BaseException as error:  # the owner's code, at the end
        sys.stderr.write(failure.traceback_of(error))


def _call(module: Any, name: str) -> None:
    function = getattr(module, name, None)
    if callable(function):
        function()
