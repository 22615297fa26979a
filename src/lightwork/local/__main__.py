"""`python -m lightwork.local`: reads its options as one line of JSON, answers with one line, its address.

    (nothing)   a scheduler, hosting an agent unless that is to be apart     agent   that one (host.py)
    durable     a scheduler that outlives its client (durable.py)            node    its node (node_process.py)

Before anything else it starts the keeper, which boots while the imports of the rest are read.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def main() -> None:
    """The program."""
    os.umask(0o077)
    options: dict[str, Any] = json.loads(sys.stdin.readline())
    if sys.argv[1:] == ["durable"]:
        from lightwork.local.durable import run as run_durable

        run_durable(options)
        return
    if sys.argv[1:] == ["node"]:
        from lightwork.local.node_process import run as run_node

        run_node(options)
        return
    is_agent = sys.argv[1:] == ["agent"]
    keeper = None
    if options["local"] and not options["portable"] and (is_agent or not options["apart"]):
        keeper = _start_keeper(options)
    from lightwork.local.host import run

    run(options, keeper, is_agent=is_agent)


def _start_keeper(options: dict[str, Any]) -> Any:
    from lightwork.node.service.keeper_spawn import Arenas, start_keeper

    return start_keeper(arenas=Arenas(_place(options["arena_args"]), _place(options["arena_results"])))


def _place(given: int | str | None) -> str:
    return f"fd:{given}" if isinstance(given, int) else given or ""


if __name__ == "__main__":
    main()
