"""What a process that a keeper has just forked does to become a worker."""

from __future__ import annotations

import mmap
import os
import sys
from typing import Any, Dict, List, NamedTuple, Tuple

from lightwork.worker.arena import Arena
from lightwork.worker.jobs import Computation, Environment
from lightwork.worker.link import Link, channel_from_descriptor
from lightwork.worker.main import Worker, live
from lightwork.worker.process import null_stdin


class Inheritance(NamedTuple):
    """What a worker is born with."""

    arenas: Tuple[str, str]
    computations: Dict[int, Computation]
    environment: Environment


def be_worker(born_with: Inheritance, fields: Dict[str, bytes], given: List[int]) -> None:
    """In the child: become a worker. Descriptors: channel, stdout write, stdout read, stderr write, stderr read."""
    channel, out, out_reader, err, err_reader = given
    null_stdin()
    os.dup2(out, 1)
    os.dup2(err, 2)
    with open(os.fsdecode(fields["shared_file"]), "r+b") as file:
        view = memoryview(mmap.mmap(file.fileno(), 0))
    link = Link(channel_from_descriptor(channel))
    worker = Worker(link, view, Arena(*born_with.arenas), (out_reader, err_reader))
    worker.computations.update(born_with.computations)
    worker.environment = born_with.environment
    reseed()
    live(worker)


def reseed() -> None:
    """Workers forked from one template must not draw the same numbers. (The stdlib's `random` sees to itself.)"""
    numpy_random: Any = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()
