"""What a running attempt has written so far, for who watches it.

What runs longer than a moment has its output read here anyway; of what began just now it is asked for, and comes a
moment later.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from lightwork.config import limits
from lightwork.node.service.output import Output
from lightwork.wire.messages import AskOutput, OutputNow

if TYPE_CHECKING:
    from lightwork.node.service.agent import Agent
    from lightwork.node.service.worker_link import WorkerLink

SOON_S = 0.02  # until output that nobody has read yet is here
GONE = "it does not run here any more"
WAITS = "it has not started yet"


def tell_written(agent: Agent, asked: AskOutput) -> None:
    """Answer, now or in a moment."""
    found = _find(agent, asked.token)
    if isinstance(found, str):
        _answer(agent, asked, None, found)
        return
    link, limit = found
    output = link.written(asked.token)
    if output is not None and not (output.stdout.empty and output.stderr.empty):
        _answer(agent, asked, output)
        return
    link.claim(asked.token, limit)
    asyncio.get_running_loop().call_later(SOON_S, _tell_later, agent, asked, link)


def _tell_later(agent: Agent, asked: AskOutput, link: WorkerLink) -> None:
    """Whoever has ended meanwhile tells it all with its end."""
    output = None if link.dead else link.written(asked.token)
    _answer(agent, asked, output, "" if output is not None else GONE)


def _find(agent: Agent, token: int) -> tuple[WorkerLink, int] | str:
    """The link of the worker that runs it, and how much of its output is kept; or why there is none."""
    for worker in agent.core.workers.busy_ones():
        if token not in worker.tokens():
            continue
        link = agent.hands.crew.links.get(worker.number)
        if link is None or link.dead:
            return GONE
        if link.ring.running != token:
            return WAITS if link.ring.started != token else GONE
        return link, worker.flights[0].options.output_limit_bytes
    return WAITS if token in agent.core.held.tokens() else GONE


def _answer(agent: Agent, asked: AskOutput, output: Output | None, error: str = "") -> None:
    told = OutputNow(asked.number, error=error)
    if output is not None:
        most = limits.OUTPUT_PIECE
        told.stdout_at, told.stdout = output.stdout.stream().piece(asked.stdout_from, most)
        told.stderr_at, told.stderr = output.stderr.stream().piece(asked.stderr_from, most)
    agent.tell(told, b"")
