"""The process that all workers and templates are forked from, if the node's owner has a module for them: a keeper
below the keeper, in which that module was run (node_module.py). POSIX only.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import Any, Dict, List

from lightwork.wire.channel import TEMPLATE_FAILED, TEMPLATE_READY
from lightwork.worker import node_module
from lightwork.worker.link import channel_from_descriptor
from lightwork.worker.output import JobStream
from lightwork.worker.process import null_stdin

assert sys.platform != "win32"


def be_ancestor(arenas: Any, fields: Dict[str, bytes], given: List[int]) -> None:
    """In a child of the keeper: run the file, then serve as a keeper whose workers and templates have what it made,
    until the agent closes the channel. Never returns."""
    from lightwork.worker.keeper import Keeper
    from lightwork.worker.template import flush

    channel, out, err = given
    null_stdin()
    os.dup2(out, 1)
    os.dup2(err, 2)
    sys.stdout, sys.stderr = JobStream(1, set()), JobStream(2, set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keeper = Keeper(channel_from_descriptor(channel), arenas)
    os.chdir("/")
    failed = node_module.load(os.fsdecode(fields["init"]))
    flush()
    if failed is None:
        keeper.spare_children()
        gc.collect()
        gc.freeze()
        keeper.send(TEMPLATE_READY, {})
        keeper.run()
        node_module.close()
    else:
        keeper.drain(TEMPLATE_FAILED, failed, 0)
        keeper.end_everything()
    flush()
    os._exit(0 if failed is None else 1)
