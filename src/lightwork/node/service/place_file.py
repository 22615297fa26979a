"""A file that a client sends to a node while its jobs run there: laid beside the files of its computation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightwork.kit.tasks import spawn as spawn_task
from lightwork.node.core.computations import Stage
from lightwork.node.service.failed import failure_of
from lightwork.wire.messages import FilePlaced, PlaceFile

if TYPE_CHECKING:
    from lightwork.node.service.agent import Agent


def place_file(agent: Agent, message: PlaceFile) -> None:
    """Do it, and answer."""
    spawn_task(_answer(agent, message), "place a file")


async def _answer(agent: Agent, message: PlaceFile) -> None:
    try:
        error = await _placed(agent, message)
    except Exception as problem:  # noqa: BLE001  # whatever it is: a client waits for the answer
        error = failure_of(problem)["message"].decode()
    agent.tell(FilePlaced(message.number, error), b"")


async def _placed(agent: Agent, message: PlaceFile) -> str:
    """Why it could not be done."""
    sites, blobs = agent.hands.sites, agent.hands.blobs
    definition = agent.core.computations.get(message.session, message.computation)
    site = None
    if definition is not None and definition.stage is not Stage.GONE:
        site = sites.get(message.session, definition.environment.name)
    if site is None:
        return "the computation is not prepared on this node"
    blobs.note([message.file], message.session)
    await agent.hands.sessions.have([message.file])
    if sites.get(*site.key) is not site:
        return "the computation is no longer on this node"
    site.files += await blobs.place([message.file], site.directory)
    return ""
