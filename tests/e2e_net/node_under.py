"""`lightwork node` that offers one interpreter alone: python node_under.py PATH VERSION [option of the node]...

A node prefers its own interpreter, and its own program needs Python 3.11; so tests of workers of others take it away.
"""

from __future__ import annotations

import sys

from lightwork.cli.main import main
from lightwork.node.service.interpreter_search import InterpreterSearch
from lightwork.node.service.interpreters import Interpreter, Interpreters


async def _finds_nothing(self: InterpreterSearch) -> None:
    return None


if __name__ == "__main__":
    path, version, *options = sys.argv[1:]
    major, minor = map(int, version.split("."))
    Interpreters.__init__.__defaults__ = (Interpreter(path, (major, minor)),)
    InterpreterSearch.look_around = _finds_nothing  # type: ignore[assignment,method-assign]
    sys.argv[1:] = ["node", *options]
    main()
