"""What a node says of itself first, on each link to a scheduler."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lightwork.transport.address import host_of
from lightwork.transport.link import Link
from lightwork.wire.messages import Hardware, NodeReady

if TYPE_CHECKING:
    from lightwork.node.service.agent import Agent, AgentOptions


def offer(agent: Agent, link: Link, claim: str = "", received: int = 0) -> NodeReady:
    """Its slots and all that decides which jobs it gets; under this claim number, of which so much has come."""
    options, machine = agent.options, agent.hardware
    return NodeReady(
        options.name,
        address_of(options, link),
        options.slots,
        machine,
        os.getpid(),
        options.identity,
        claim,
        received,
        options.shares_memory,
        agent.pythons,
        options.labels,
        options.era.name if options.era is not None else "",
        _resources(options.rules.resources, machine, len(agent.gpus)),
        list(options.rules.groups),
        options.rules.weight,
        agent.unwilling,
        link.peer.via,
        agent.core.workers.slots != options.slots,
    )


def address_of(options: AgentOptions, link: Link) -> str:
    """Ours, as the scheduler sees it."""
    return options.address or host_of(link.local_address)


def _resources(named: dict[str, int], machine: Hardware, gpus: int) -> dict[str, int]:
    found = {"memory": machine.memory_bytes, **named}
    return found | ({"gpu": gpus} if gpus else {})
