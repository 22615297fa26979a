"""What a process is born with: pipes for its output, a channel or an input, and what its keeper is told of it.

Our ends go into the process's link, which closes them; those for the child are returned, to be sent to the keeper and
closed then. If one cannot be made, none is left.
"""

from __future__ import annotations

import asyncio
import os
import stat
from contextlib import ExitStack

from lightwork.node.service.channel import Channel
from lightwork.node.service.job_user import JobUser
from lightwork.node.service.nursery import ProgramOrder
from lightwork.node.service.pipes import Pipes, closing, output_pipes
from lightwork.node.service.program_link import ProgramLink
from lightwork.node.service.stdin import stdin_descriptor
from lightwork.node.service.worker_link import WorkerLink
from lightwork.transport.descriptors import Socket, pair


def worker_ends(loop: asyncio.AbstractEventLoop, link: WorkerLink, user: JobUser | None) -> tuple[int, ...]:
    """A worker's channel, and its pipes with their reading ends: it reads them itself after each attempt."""
    with ExitStack() as undo:  # of what will be handed down; the rest is the link's, and closed with it
        ours, theirs = pair()
        undo.enter_context(theirs)
        link.line = Channel(loop, ours, link.on_readable)
        link.pipes, ends = output_pipes(loop)
        stdout, stderr = (closing(_given(end, user), undo) for end in ends)
        readers = [closing(os.dup(end), undo) for end in link.pipes.ends]
        undo.pop_all()
    return theirs.detach(), stdout, readers[0], stderr, readers[1]


def template_ends(loop: asyncio.AbstractEventLoop, user: JobUser | None) -> tuple[Socket, Pipes, tuple[int, ...]]:
    """Our end of a template's channel, the pipes of its output, and its own ends."""
    with ExitStack() as undo:
        ours, theirs = pair()
        undo.enter_context(ours)
        undo.enter_context(theirs)
        pipes, (out, err) = output_pipes(loop)
        undo.pop_all()
    ends = _given(out, user), _given(err, user)
    return ours, pipes, (theirs.detach(), *ends)


def program_ends(
    loop: asyncio.AbstractEventLoop, link: ProgramLink, order: ProgramOrder, user: JobUser | None
) -> tuple[int, ...]:
    """A program's standard streams."""
    with ExitStack() as undo:
        link.pipes, ends = output_pipes(loop)
        stdout, stderr = (closing(_given(end, user), undo) for end in ends)
        stdin = _given(stdin_descriptor(order.stdin), user)
        undo.pop_all()
    link.read_output(order.limit)
    return stdin, stdout, stderr


def _given(descriptor: int, user: JobUser | None) -> int:
    """A job's user can open it again by /dev/stdout and the like. (/dev/null, which is everybody's, stays root's.)"""
    if user is not None and not stat.S_ISCHR(os.fstat(descriptor).st_mode):
        user.give(descriptor)
    return descriptor


def program_fields(link: ProgramLink, order: ProgramOrder) -> dict[str, bytes]:
    """How a program is called."""
    return {
        "token": b"%d" % order.token,
        "shared_file": os.fsencode(link.ring.path),
        "directory": os.fsencode(order.directory),
        **{f"argv.{index}": argument for index, argument in enumerate(order.argv)},
        **{f"env.{name}": os.fsencode(value) for name, value in order.env.items()},
    }
